"""`pybgp-node install-cni`: puts the CNI plugins and their network configuration in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.cni.install import InstallError, InstallSettings, install, settings_from
from calico_routing.configuration import ConfigurationError, load_configuration

if TYPE_CHECKING:
    import argparse

    from calico_routing.configuration import Configuration

SQLITE_URL = "sqlite://"


def install_cni(options: argparse.Namespace) -> int:
    """Install with the agent's configuration, over it the environment of Calico's installer (spec section 3.7)."""
    try:
        configuration = load_configuration(options.config, os.environ)
        done = install(settings_from(os.environ, _defaults(options, configuration)))
    except ConfigurationError as error:
        return complain(error, ExitCode.CONFIGURATION)
    except InstallError as error:
        return complain(error, ExitCode.FAILURE)
    for word, paths in (("written", done.written), ("unchanged", done.unchanged), ("removed", done.removed)):
        for path in paths:
            print(f"{word}: {path}")
    return ExitCode.OK


def _defaults(options: argparse.Namespace, configuration: Configuration) -> InstallSettings:
    """Return what the plugins need to work with this agent."""
    base = InstallSettings(
        binary_directories=tuple(Path(part) for part in options.bin_dir.split(":")),
        network_directory=Path(options.conf_dir),
        node_name=configuration.node.name,
        log_level=configuration.log.level,
        control_socket=configuration.control.socket,
    )
    url = configuration.datastore_url or ""
    return base._replace(datastore_path=url.removeprefix(SQLITE_URL)) if url.startswith(SQLITE_URL) else base
