"""`pybgp-node run`: the agent itself, with each cause of failure told in one line and by its own exit status."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.configuration import ConfigurationError, load_configuration
from calico_routing.control_socket import ControlSocketError
from calico_routing.datastore.interface import DatastoreError
from calico_routing.ipam.errors import IpamError
from calico_routing.kernel.interface import KernelError
from calico_routing.listen_check import ListenError
from calico_routing.logs import configure_logs
from calico_routing.model.errors import ValidationError
from calico_routing.node_daemon import NodeDaemon
from calico_routing.node_plan import PlanError
from calico_routing.startup import IdentityError, PoolError, StartupError
from pybgp.errors import LocalError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from calico_routing.configuration import Configuration

CODES: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (ConfigurationError, ExitCode.CONFIGURATION),
    (PoolError, ExitCode.CONFIGURATION),
    (ValidationError, ExitCode.CONFIGURATION),
    (LocalError, ExitCode.CONFIGURATION),
    (PlanError, ExitCode.CONFIGURATION),
    (IdentityError, ExitCode.IDENTITY),
    (StartupError, ExitCode.FAILURE),
    (IpamError, ExitCode.FAILURE),
    (DatastoreError, ExitCode.DATASTORE),
    (KernelError, ExitCode.KERNEL),
    (ListenError, ExitCode.LISTEN),
    (ControlSocketError, ExitCode.CONTROL_SOCKET),
    (OSError, ExitCode.FAILURE),
)


def run(options: argparse.Namespace) -> int:
    """Run until a signal ends it."""
    try:
        configuration = load_configuration(options.config, os.environ)
        configure_logs(
            options.log_level or configuration.log.level,
            json_lines=(options.log_format or configuration.log.format) == "json",
        )
        asyncio.run(_run(configuration, lambda: load_configuration(options.config, os.environ)))
    except tuple(kind for kind, _ in CODES) as error:
        return complain(error, exit_code(error))
    return ExitCode.OK


async def _run(configuration: Configuration, load: Callable[[], Configuration]) -> None:
    await NodeDaemon(configuration, load=load).run()


def exit_code(error: Exception) -> ExitCode:
    """Return the exit status for an error; the first kind that fits."""
    return next((code for kind, code in CODES if isinstance(error, kind)), ExitCode.FAILURE)
