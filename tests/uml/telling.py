"""What the scenarios inside User-Mode Linux share: writing down facts, asking agents, packets from pod to pod."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from examples.demo.namespaces import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from examples.demo.cluster import Cluster, ClusterNode
    from examples.demo.cni_runtime import Pod


class Recorder:
    """Writes kernel tables and facts where the host finds them."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.directory = directory
        self.cluster = cluster
        self.facts: dict[str, Any] = {}

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def fact(self, name: str, value: Any) -> None:
        self.facts[name] = value
        self.say(f"{name}: {value}")
        (self.directory / "facts.json").write_text(json.dumps(self.facts, indent=1))

    def tables(self, phase: str) -> None:
        self.say(f"tables of {phase}")
        target = self.directory / phase
        target.mkdir(exist_ok=True)
        for node in self.cluster.nodes.values():
            routes = node.namespace.ip("-json", "route", "show", "table", "all")
            (target / f"{node.name}.routes.json").write_text(routes)

    def wait_recovered(self, names: Sequence[str]) -> None:
        """Wait until no agent of these nodes keeps stale routes or waits for End-of-RIB any more."""

        def recovered() -> bool:
            answers = [ask(str(self.cluster.nodes[name].control_socket), "status") for name in names]
            return not any(answer.get("restarting") for answer in answers)

        wait_until(recovered, 30, "end of the graceful restart", 0.1)

    def logs(self) -> None:
        for node in self.cluster.nodes.values():
            if node.log_path.exists():
                (self.directory / f"{node.name}.log").write_bytes(node.log_path.read_bytes())


def peers_of(node: ClusterNode) -> dict[str, str]:
    """Return the session state by peer address, as the agent tells it; empty while it does not answer."""
    try:
        answer = ask(str(node.control_socket), "status")
    except (DaemonNotRunningError, DaemonAnswerError):
        return {}
    return {peer["address"]: peer["state"] for peer in answer["peers"]}


def wait_session(node: ClusterNode, peer: ClusterNode, *, up: bool = True, seconds: float = 30) -> float:
    """Wait until a node says that its session with a peer is established, or that it is not."""
    what = f"{node.name}: session with {peer.name} {'up' if up else 'down'}"
    return wait_until(lambda: (peers_of(node).get(peer.address) == "Established") is up, seconds, what, 0.1)


def tcp_exchange(server: Pod, client: Pod) -> str:
    """Ask an HTTP-like question over TCP from pod to pod and return the answer."""
    with server.network.entered():
        listener = socket.create_server((server.address, 80))
    listener.settimeout(20)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(99)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with client.network.entered():
        connection = socket.create_connection((server.address, 80), 10)
    with connection, listener:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    thread.join(10)
    return f"{answer[:15].decode()} {len(answer)}"


def ping(pod: Pod, address: str, *options: str) -> str:
    """Return what ping printed."""
    return pod.network.run("ping", "-W", "2", *options, address, check=False)


def received(text: str) -> str:
    """Return ping's `3/3` of packets sent and received."""
    found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    return f"{found[2]}/{found[1]}" if found else text


def settled(cluster: Cluster) -> bool:
    """Tell whether every IPv6 address is past its duplicate address detection."""
    nodes = cluster.nodes.values()
    return not any(node.namespace.ip("-6", "address", "show", "tentative").strip() for node in nodes)
