"""`pybgp-node explain PREFIX`: every path and why it won or lost, the policies, what peers hear, the kernel route."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.cli.status import configured_socket
from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from calico_routing.explain_document import render_explanation

if TYPE_CHECKING:
    import argparse


def explain(options: argparse.Namespace) -> int:
    """Ask the running agent and print its answer."""
    path = options.socket or configured_socket(options.config)
    if path is None:
        return ExitCode.CONFIGURATION
    try:
        document = ask(path, f"explain {options.prefix}")
    except (DaemonNotRunningError, DaemonAnswerError) as error:
        return complain(error, ExitCode.FAILURE)
    print(json.dumps(document, indent=2) if options.output == "json" else render_explanation(document).rstrip("\n"))
    return ExitCode.OK
