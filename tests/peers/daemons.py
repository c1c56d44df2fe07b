"""Routing daemons of others in a namespace: write the configuration, start, ask, stop by process id."""

from __future__ import annotations

import abc
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from examples.demo.namespaces import CommandError, Namespace, find_program, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIX = re.compile(r"\b\d+\.\d+\.\d+\.\d+/\d+\b")
STOP_SECONDS = 5


def require_program(name: str, package: str) -> str:
    """Return the program's path, or skip the test with a line that names the package."""
    found = find_program(name)
    if found is None:
        pytest.skip(f"{name} is not installed (package {package})")
    return found


class Daemon(abc.ABC):
    """A foreground process in a namespace with a directory of its own."""

    package: ClassVar[str]
    program: ClassVar[str]

    def __init__(self, namespace: Namespace, directory: Path, configuration: str) -> None:
        """Write the configuration; `start` runs the daemon."""
        self.namespace = namespace
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.configuration_path = directory / "daemon.conf"
        self.output_path = directory / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self.configure(configuration)

    @classmethod
    def require(cls) -> None:
        """Skip the test where the daemon is not installed."""
        require_program(cls.program, cls.package)

    @abc.abstractmethod
    def command(self) -> Sequence[str]:
        """Return the words that start it in the foreground."""

    @abc.abstractmethod
    def established(self) -> set[str]:
        """Return the addresses of the peers whose session is up."""

    @abc.abstractmethod
    def routes_from(self, peer: str) -> set[str]:
        """Return the IPv4 prefixes accepted from a peer."""

    def configure(self, configuration: str) -> None:
        """Write the configuration file."""
        self.configuration_path.write_text(configuration)
        self.configuration_path.chmod(0o600)

    def start(self, *more: str) -> None:
        """Run it; its output goes to a file beside the configuration."""
        with self.output_path.open("ab") as output:
            self.process = self.namespace.spawn(
                *self.command(), *more, stdout=output, stderr=output, start_new_session=True
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, by SIGKILL if it lingers."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ask(self, *words: str, check: bool = False) -> str:
        """Run the daemon's own client program in the namespace."""
        return self.namespace.run(*words, check=check, seconds=10)

    def wait_established(self, *peers: str, seconds: float = 30) -> float:
        """Wait for sessions and return the seconds it took; the error carries the daemon's own view."""
        try:
            return wait_until(lambda: self._alive() and self.established() >= set(peers), seconds, "session", 0.1)
        except TimeoutError as error:
            raise TimeoutError(f"{self.program}: no session with {', '.join(peers)}\n{self.report()}") from error

    def wait_routes(self, peer: str, prefixes: Iterable[str], seconds: float = 10) -> float:
        """Wait until exactly these prefixes are accepted from a peer."""
        wanted = set(prefixes)
        try:
            return wait_until(lambda: self.routes_from(peer) == wanted, seconds, "routes", 0.1)
        except TimeoutError as error:
            found = sorted(self.routes_from(peer))
            raise TimeoutError(f"{self.program}: from {peer} {found}, not {sorted(wanted)}\n{self.report()}") from error

    def report(self) -> str:
        """Return the last lines it wrote."""
        return "\n".join(self.output_path.read_text(errors="replace").splitlines()[-30:])

    def _alive(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise CommandError(f"{self.program} ended by itself:\n{self.report()}")
        return True


class Bird(Daemon):
    """BIRD 2."""

    package = "bird2"
    program = "bird"

    def command(self) -> Sequence[str]:
        return ["bird", "-f", "-c", str(self.configuration_path), "-s", str(self.control_path)]

    @property
    def control_path(self) -> Path:
        """Return its control socket."""
        return self.directory / "control"

    def client(self, *words: str) -> str:
        """Ask through birdc; empty while the daemon is not there yet."""
        # A Unix socket is no part of a network namespace, so no namespace is entered (which would cost a process).
        return run("birdc", "-s", str(self.control_path), *words, check=False, seconds=10)

    def established(self) -> set[str]:
        found = set()
        for block in re.split(r"\n(?=\S)", self.client("show", "protocols", "all")):
            address = re.search(r"Neighbor address: (\S+)", block)
            if address and re.search(r"BGP state: +Established", block):
                found.add(address[1])
        return found

    def routes_from(self, peer: str) -> set[str]:
        text = self.client("show", "route", "all")
        return {
            match[0]
            for block in re.split(r"\n(?=\S)", text)
            if f"BGP.next_hop: {peer}\n" in f"{block}\n" and (match := PREFIX.search(block))
        }

    def reconfigure(self, configuration: str) -> None:
        """Write another configuration and have it read."""
        self.configure(configuration)
        answer = self.client("configure")
        if not re.search(r"Reconfigur(ed|ation in progress)", answer):
            raise CommandError(f"bird: configure: {answer}")


class Frr(Daemon):
    """FRR's bgpd alone, without zebra."""

    package = "frr"
    program = "/usr/lib/frr/bgpd"

    def __init__(self, namespace: Namespace, directory: Path, configuration: str) -> None:
        super().__init__(namespace, directory, configuration)
        for path in (directory, self.configuration_path):
            shutil.chown(path, "frr", "frr")

    @classmethod
    def require(cls) -> None:
        if not Path(cls.program).exists():
            pytest.skip(f"{cls.program} is not installed (package {cls.package})")

    def command(self) -> Sequence[str]:
        files = ["-f", str(self.configuration_path), "-i", str(self.directory / "pid")]
        sockets = ["-z", str(self.directory / "no-zebra"), "--vty_socket", str(self.directory)]
        return [self.program, "-n", "-S", "-u", "frr", "-g", "frr", *files, *sockets, "-P", "0"]

    def client(self, question: str) -> Any:
        """Ask through vtysh and decode its JSON; None while the daemon is not there yet."""
        words = ["vtysh", "--vty_socket", str(self.directory), "-d", "bgpd", "-c", f"{question} json"]
        text = self.ask(*words)
        start = text.find("{")
        try:
            return json.loads(text[start:]) if start >= 0 else None
        except ValueError:
            return None

    def established(self) -> set[str]:
        peers = ((self.client("show bgp summary") or {}).get("ipv4Unicast") or {}).get("peers") or {}
        return {address for address, peer in peers.items() if peer["state"] == "Established"}

    def routes_from(self, peer: str) -> set[str]:
        table = (self.client("show bgp ipv4 unicast") or {}).get("routes") or {}
        return {prefix for prefix, paths in table.items() if any(path.get("peerId") == peer for path in paths)}


class GoBgp(Daemon):
    """GoBGP."""

    package = "gobgpd"
    program = "gobgpd"

    def command(self) -> Sequence[str]:
        return [
            "gobgpd",
            "-f",
            str(self.configuration_path),
            "-t",
            "toml",
            "--api-hosts",
            "127.0.0.1:50051",
            "--pprof-disable",
            "-p",
        ]

    def client(self, *words: str) -> Any:
        """Ask through gobgp and decode its JSON; None while the daemon is not there yet."""
        try:
            return json.loads(self.ask("gobgp", "-j", *words))
        except ValueError:
            return None

    def announce(self, prefix: str) -> None:
        """Originate a prefix."""
        self.ask("gobgp", "global", "rib", "add", prefix, check=True)

    def established(self) -> set[str]:
        neighbors = self.client("neighbor") or []
        return {entry["state"]["neighbor_address"] for entry in neighbors if entry["state"].get("session_state") == 6}

    def routes_from(self, peer: str) -> set[str]:
        table = self.client("neighbor", peer, "adj-in")
        return set(table) if isinstance(table, dict) else set()


class OpenBgpd(Daemon):
    """OpenBGPD, portable edition; its program shares a name with FRR's, so full paths."""

    package = "openbgpd"
    program = "/usr/sbin/bgpd"
    run_directory = Path("/run/openbgpd")

    @classmethod
    def require(cls) -> None:
        if not Path(cls.program).exists() or find_program("bgpctl") is None:
            pytest.skip(f"{cls.program} is not installed (package {cls.package})")

    def __init__(self, namespace: Namespace, directory: Path, configuration: str) -> None:
        super().__init__(namespace, directory, f'socket "{directory}/control"\n{configuration}')
        self.run_directory.mkdir(exist_ok=True)  # systemd would make it

    def command(self) -> Sequence[str]:
        return [self.program, "-d", "-f", str(self.configuration_path)]

    def client(self, *words: str) -> Any:
        """Ask through bgpctl and decode its JSON; None while the daemon is not there yet."""
        try:
            return json.loads(self.ask("bgpctl", "-j", "-s", str(self.directory / "control"), *words))
        except ValueError:
            return None

    def established(self) -> set[str]:
        neighbors = (self.client("show") or {}).get("neighbors") or []
        return {entry["remote_addr"] for entry in neighbors if entry["state"] == "Established"}

    def routes_from(self, peer: str) -> set[str]:
        rib = (self.client("show", "rib") or {}).get("rib") or []
        return {entry["prefix"] for entry in rib if entry["neighbor"]["remote_addr"] == peer}


def bird_session(local: str, peer: str, local_as: int, peer_as: int, blocks: Sequence[str], hold_time: int = 9) -> str:
    """Return a BIRD configuration with one session that announces blocks and writes nothing to the kernel."""
    routes = " ".join(f"route {block} blackhole;" for block in blocks)
    return f"""
router id {local};
protocol device {{ }}
protocol static blocks {{ ipv4; {routes} }}
protocol bgp peer1 {{
  local {local} as {local_as}; neighbor {peer} as {peer_as}; multihop;
  hold time {hold_time}; connect delay time 1; connect retry time 3; error wait time 1,5; graceful restart on;
  ipv4 {{ import all; export all; next hop self; }};
}}
"""


def bird_mesh_node(
    name: str, nodes: Mapping[str, str], blocks: Sequence[str], pool: str, hold_time: int, local_as: int = 64512
) -> str:
    """Return the configuration of a Calico node whose agent is a stock BIRD.

    It has no tunnel attribute, so next hops are looked up in a table whose routes lead into tunl0.
    As in Calico the side whose address is the greater text connects.
    """
    address = nodes[name]
    others = [other for other in nodes.values() if other != address]
    tunnels = "\n".join(f"  route {other}/32 via {other}%tunl0 onlink;" for other in others)
    own = "\n".join(f"  route {block} blackhole;" for block in blocks)
    whole = "\n".join(f"  if net = {block} then accept;\n  if net ~ {block} then reject;" for block in blocks)
    sessions = "\n".join(
        f"protocol bgp Mesh_{other.replace('.', '_')} from mesh {{\n"
        f"  neighbor {other} as {local_as}; passive {'on' if other > address else 'off'};\n}}"
        for other in others
    )
    return f"""
router id {address};
graceful restart wait 10;
ipv4 table tunnels4;
protocol static tunnels {{ ipv4 {{ table tunnels4; }};
{tunnels}
}}
protocol static blocks {{ ipv4;
{own}
}}
filter to_peers {{
{whole}
  if net ~ {pool} then accept;
  reject;
}}
filter to_kernel {{ if source = RTS_DEVICE then reject; accept; }}
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; interface -"cali*", "*"; }}
protocol kernel {{
  metric 0; learn; persist; scan time 2; graceful restart; merge paths on;
  ipv4 {{ import all; export filter to_kernel; }};
}}
template bgp mesh {{
  local {address} as {local_as}; multihop; hold time {hold_time}; keepalive time {hold_time // 3};
  graceful restart on; connect delay time 1; connect retry time 5; error wait time 2,10;
  ipv4 {{ gateway recursive; igp table tunnels4; import all; export filter to_peers; add paths on; }};
}}
{sessions}
"""


def frr_session(local: str, peer: str, local_as: int, peer_as: int, blocks: Sequence[str], hold_time: int = 9) -> str:
    """Return the same for FRR's bgpd."""
    networks = "\n".join(f"  network {block}" for block in blocks)
    return f"""
router bgp {local_as}
 bgp router-id {local}
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor {peer} remote-as {peer_as}
 neighbor {peer} timers {hold_time // 3} {hold_time}
 neighbor {peer} timers connect 3
 neighbor {peer} disable-connected-check
 address-family ipv4 unicast
{networks}
 exit-address-family
"""


def gobgp_session(local: str, peer: str, local_as: int, peer_as: int, hold_time: int = 9) -> str:
    """Return the same for GoBGP, whose blocks are announced once it runs."""
    return f"""
[global.config]
  as = {local_as}
  router-id = "{local}"
  local-address-list = ["{local}"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{peer}"
    peer-as = {peer_as}
  [neighbors.timers.config]
    hold-time = {hold_time}
    keepalive-interval = {hold_time // 3}
    connect-retry = 5
"""


def openbgpd_session(
    local: str, peer: str, local_as: int, peer_as: int, blocks: Sequence[str], hold_time: int = 9
) -> str:
    """Return the same for OpenBGPD."""
    networks = "\n".join(f"network {block}" for block in blocks)
    return f"""
AS {local_as}
router-id {local}
listen on {local}
fib-update no
holdtime {hold_time}
{networks}
neighbor {peer} {{
  remote-as {peer_as}
  local-address {local}
  announce IPv4 unicast
}}
allow to any
allow from any
"""
