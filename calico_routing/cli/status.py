"""`pybgp-node status`: the table of `calicoctl node status`, or the whole answer as JSON."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from calico_routing.node_status import NOT_RUNNING, render_status

if TYPE_CHECKING:
    import argparse


def status(options: argparse.Namespace) -> int:
    """Ask the running agent and print its answer."""
    path = options.socket or configured_socket(options.config)
    if path is None:
        return ExitCode.CONFIGURATION
    try:
        document = ask(path, "status")
    except DaemonNotRunningError:
        print(NOT_RUNNING)
        return ExitCode.FAILURE
    except DaemonAnswerError as error:
        return complain(error, ExitCode.FAILURE)
    if options.output == "json":
        print(json.dumps(document, indent=2))
    else:
        print(render_status(document, time.time()), end="")
    return ExitCode.OK


def configured_socket(config: str | None) -> str | None:
    """Return the socket that the configuration names; None after a complaint."""
    from calico_routing.configuration import ConfigurationError, load_configuration  # noqa: PLC0415 - 30 ms

    try:
        return load_configuration(config, os.environ).control.socket
    except ConfigurationError as error:
        complain(error, ExitCode.CONFIGURATION)
        return None
