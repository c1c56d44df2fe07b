"""Our own pybgp-node as a plain BGP router in a namespace, in the shape of the other daemons."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from tests.peers.daemons import Daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = str(Path(sys.executable).parent / "pybgp-node")


class Router(Daemon):
    """pybgp-node without a datastore."""

    package = "pybgp"
    program = "pybgp-node"

    def command(self) -> Sequence[str]:
        return [PROGRAM, "run", "--config", str(self.configuration_path)]

    def client(self, command: str, *words: str) -> str:
        """Run a command of `pybgp-node` that asks this one; CommandError if it fails."""
        return self.ask(PROGRAM, command, "--socket", str(self.control_path), *words, check=True)

    def client_process(self, command: str, *words: str, **options: Any) -> subprocess.Popen[Any]:
        """Do the same in the background."""
        return self.namespace.spawn(PROGRAM, command, "--socket", str(self.control_path), *words, **options)

    @property
    def control_path(self) -> Path:
        """Return its control socket."""
        return self.directory / "control"

    def established(self) -> set[str]:
        try:
            answer = ask(str(self.control_path), "status")
        except (DaemonNotRunningError, DaemonAnswerError):
            return set()
        return {peer["address"] for peer in answer["peers"] if peer["state"] == "Established"}

    def routes_from(self, peer: str) -> set[str]:
        routes = self.namespace.ip_json("route", "show", "proto", "bird")
        return {route["dst"] for route in routes if route.get("gateway") == peer}


def router_session(
    directory: Path, local: str, peer: str, local_as: int, peer_as: int, blocks: Sequence[str], hold_time: int = 9
) -> str:
    """Return a configuration with one session that announces blocks."""
    return f"""
[node]
name = "router"
nodename_file = "{directory}/nodename"
ip = "{local}/24"
as_number = {local_as}

[datastore]
url = "none"

[control]
socket = "{directory}/control"

[bgp]
hold_time = {hold_time}
connect_retry_time = 1.0
networks = {json.dumps(list(blocks))}

[[peer]]
address = "{peer}"
remote_as = {peer_as}
"""
