"""The programs under test, each configured to take what raw peers tell, and to tell the others if it shall."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.namespaces import Namespace, find_program
from tests.benchmarks.tables.feeder import RawPeerConfig
from tests.benchmarks.tables.process_cost import Rest, cpu_seconds, family_of, peak_mebibytes
from tests.peers.daemons import Bird, Daemon, Frr, GoBgp, OpenBgpd

ADDRESS = "10.77.0.1"
ASN = 64512
HOLD_SECONDS = 240


@dataclass(frozen=True)
class Job:
    """Who speaks to the receiver, and whether it passes routes on."""

    peers: Sequence[RawPeerConfig]
    exports: bool = False
    #: whether our own speaker measures the turns of its loop, 200 times a second.
    times_turns: bool = True
    #: prefixes that are taken, each with the longest length that it stands for; none: everything is.
    taken: Sequence[tuple[str, int]] = ()

    @property
    def ipv6(self) -> bool:
        return any(peer.ipv6 for peer in self.peers)

    def internal(self, peer: RawPeerConfig) -> bool:
        return peer.asn == ASN


class Receiver(ABC):
    """One program; `start` runs it, the figures are of all its processes."""

    name: str
    package: str
    #: how it is started, files by their role.
    command: str
    #: whether it can pass routes on at all.
    can_export = True
    #: whether `make` heeds `Job.taken`.
    can_filter = False

    def __init__(self, namespace: Namespace, directory: Path, job: Job) -> None:
        self.daemon = self.make(namespace, directory, job)
        self._processes: list[int] = []

    @classmethod
    @abstractmethod
    def is_installed(cls) -> bool: ...

    @classmethod
    @abstractmethod
    def version(cls) -> str: ...

    @abstractmethod
    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon: ...

    @abstractmethod
    def held_routes(self) -> int:
        """Return how many routes it holds, by its own account."""

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    @property
    def processes(self) -> list[int]:
        """All its processes, known from the first question on; they are there once a session is up."""
        if not self._processes:
            assert self.daemon.process is not None
            self._processes = family_of(self.daemon.process.pid)
        return self._processes

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.processes)

    def peak_mebibytes(self) -> float:
        return peak_mebibytes(self.processes)

    def rest(self) -> Rest:
        return Rest(self.processes)


def _said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


class BirdReceiver(Receiver):
    name, package = "BIRD", "bird2"
    command = "bird -f -c CONFIGURATION -s SOCKET"
    can_filter = True

    @classmethod
    def is_installed(cls) -> bool:
        return find_program("bird") is not None

    @classmethod
    def version(cls) -> str:
        return _said("bird", "--version")

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        export = "all" if job.exports else "none"
        taken = ", ".join(f"{prefix}{{{prefix.partition('/')[2]},{longest}}}" for prefix, longest in job.taken)
        policy = f"filter some {{ if net ~ [ {taken} ] then accept; reject; }}\n" if taken else ""
        accepted = "filter some" if taken else "all"
        sessions = "\n".join(
            f"protocol bgp p{number} {{ local {ADDRESS} as {ASN}; neighbor {peer.address} as {peer.asn}; multihop; "
            f"passive on; hold time {HOLD_SECONDS}; {'rr client;' if job.internal(peer) and job.exports else ''} "
            f"ipv4 {{ import {accepted}; export {export}; }};"
            f"{f' ipv6 {{ import all; export {export}; }};' if peer.ipv6 else ''} }}"
            for number, peer in enumerate(job.peers)
        )
        return Bird(namespace, directory, f"router id {ADDRESS};\nprotocol device {{ }}\n{policy}{sessions}\n")

    def held_routes(self) -> int:
        assert isinstance(self.daemon, Bird)
        text = self.daemon.client("show", "route", "count")
        return sum(int(found) for found in re.findall(r"of \d+ routes for (\d+) networks in table", text))


class FrrReceiver(Receiver):
    name, package = "FRR", "frr"
    command = "bgpd -n -S -u frr -g frr -f CONFIGURATION -i PID -z NO_ZEBRA --vty_socket DIRECTORY -P 0"

    @classmethod
    def is_installed(cls) -> bool:
        return Path(Frr.program).exists()

    @classmethod
    def version(cls) -> str:
        return "FRR " + _said(Frr.program, "--version")

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        general, families = [], {"ipv4": [], "ipv6": []}
        for peer in job.peers:
            here = f" neighbor {peer.address}"
            general += [f"{here} remote-as {peer.asn}", f"{here} passive", f"{here} timers 80 {HOLD_SECONDS}"]
            if not job.internal(peer):
                general += [f"{here} ebgp-multihop 4"]
            for family in ("ipv4", "ipv6") if peer.ipv6 else ("ipv4",):
                families[family].append(f" {here} activate")
                if job.internal(peer) and job.exports:
                    families[family].append(f" {here} route-reflector-client")
                if not job.exports:
                    families[family].append(f" {here} route-map nothing out")
        text = f"router bgp {ASN}\n bgp router-id {ADDRESS}\n no bgp ebgp-requires-policy\n"
        text += " no bgp network import-check\n" + "\n".join(general) + "\n"
        for family, lines in families.items():
            if lines:
                text += f" address-family {family} unicast\n" + "\n".join(lines) + "\n exit-address-family\n"
        return Frr(namespace, directory, f"route-map nothing deny 10\n{text}")

    def held_routes(self) -> int:
        assert isinstance(self.daemon, Frr)
        summary = self.daemon.client("show bgp summary") or {}
        peers = [peer for part in summary.values() for peer in part["peers"].values()]
        return sum(peer["pfxRcd"] for peer in peers)


class GoBgpReceiver(Receiver):
    name, package = "GoBGP", "gobgpd"
    command = "gobgpd -f CONFIGURATION -t toml --api-hosts 127.0.0.1:50051 --pprof-disable -p"

    @classmethod
    def is_installed(cls) -> bool:
        return find_program("gobgpd") is not None

    @classmethod
    def version(cls) -> str:
        return _said("gobgpd", "--version")

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        export = "accept-route" if job.exports else "reject-route"
        text = f'[global.config]\n  as = {ASN}\n  router-id = "{ADDRESS}"\n  local-address-list = ["{ADDRESS}"]\n'
        text += f'[global.apply-policy.config]\n  default-export-policy = "{export}"\n'
        for peer in job.peers:
            text += (
                f'[[neighbors]]\n  [neighbors.config]\n    neighbor-address = "{peer.address}"\n'
                f"    peer-as = {peer.asn}\n  [neighbors.transport.config]\n    passive-mode = true\n"
                f"  [neighbors.timers.config]\n    hold-time = {HOLD_SECONDS}\n    keepalive-interval = 80\n"
            )
            if not job.internal(peer):
                text += "  [neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = 4\n"
            elif job.exports:
                text += "  [neighbors.route-reflector.config]\n    route-reflector-client = true\n"
                text += f'    route-reflector-cluster-id = "{ADDRESS}"\n'
            for family in ("ipv4", "ipv6") if peer.ipv6 else ("ipv4",):
                text += f'  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "{family}'
                text += '-unicast"\n'
        return GoBgp(namespace, directory, text)

    def held_routes(self) -> int:
        total = 0
        for family in ("ipv4", "ipv6"):
            text = self.daemon.ask("gobgp", "global", "rib", "summary", "-a", family)
            found = re.search(r"Destination: (\d+)", text)
            total += int(found[1]) if found else 0
        return total


class OpenBgpdReceiver(Receiver):
    name, package = "OpenBGPD", "openbgpd"
    command = "bgpd -d -f CONFIGURATION"

    @classmethod
    def is_installed(cls) -> bool:
        return Path(OpenBgpd.program).exists() and find_program("bgpctl") is not None

    @classmethod
    def version(cls) -> str:
        return "OpenBGPD " + _said("dpkg-query", "--show", "--showformat=${Version}", cls.package)

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        text = f"AS {ASN}\nrouter-id {ADDRESS}\nlisten on {ADDRESS}\nfib-update no\nholdtime {HOLD_SECONDS}\n"
        # It looks every next hop up in the kernel; an internal one it takes as it is only with these two.
        text += "nexthop qualify via bgp\nnexthop qualify via default\n"
        for peer in job.peers:
            hops = "" if job.internal(peer) else "  multihop 4\n"
            client = "  route-reflector\n" if job.internal(peer) and job.exports else ""
            ipv6 = "  announce IPv6 unicast\n" if peer.ipv6 else ""
            text += (
                f"neighbor {peer.address} {{\n  remote-as {peer.asn}\n  local-address {ADDRESS}\n  passive\n"
                f"{hops}{client}  announce IPv4 unicast\n{ipv6}  enforce neighbor-as no\n}}\n"
            )
        text += "allow from any\n" + ("allow to any\n" if job.exports else "deny to any\n")
        return OpenBgpd(namespace, directory, text)

    def held_routes(self) -> int:
        assert isinstance(self.daemon, OpenBgpd)
        neighbors = (self.daemon.client("show", "neighbor") or {}).get("neighbors") or []
        return sum(int(entry.get("stats", {}).get("prefixes", {}).get("received", 0)) for entry in neighbors)


class ExaBgp(Daemon):
    """ExaBGP, which keeps what it is told and passes nothing on."""

    package = "exabgp"
    program = "exabgp"

    def command(self) -> Sequence[str]:
        settings = ("daemon.user=root", "daemon.drop=false", "api.cli=false", f"tcp.bind={ADDRESS}", "tcp.port=179")
        words = [f"exabgp.{setting}" for setting in (*settings, "log.level=CRIT")]
        return ["env", *words, "exabgp", str(self.configuration_path)]

    def established(self) -> set[str]:
        return set()

    def routes_from(self, peer: str) -> set[str]:
        return set()


class ExaBgpReceiver(Receiver):
    name, package = "ExaBGP", "exabgp"
    command = "exabgp CONFIGURATION, with exabgp.api.cli=false and exabgp.log.level=CRIT"
    can_export = False

    @classmethod
    def is_installed(cls) -> bool:
        return find_program("exabgp") is not None

    @classmethod
    def version(cls) -> str:
        return _said("exabgp", "--version")

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        text = ""
        for peer in job.peers:
            ipv6 = " ipv6 unicast;" if peer.ipv6 else ""
            text += (
                f"neighbor {peer.address} {{ router-id {ADDRESS}; local-address {ADDRESS}; local-as {ASN}; "
                f"peer-as {peer.asn}; hold-time {HOLD_SECONDS}; passive; adj-rib-in true; "
                f"family {{ ipv4 unicast;{ipv6} }} }}\n"
            )
        return ExaBgp(namespace, directory, text)

    def held_routes(self) -> int:
        """It cannot be asked without a helper process; the raw peers saw that it read everything."""
        return -1


class OurSpeaker(Daemon):
    """pybgp's Speaker as a program, see `our_speaker`."""

    package = ""
    program = sys.executable

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.benchmarks.tables.our_speaker", str(self.configuration_path)]

    def established(self) -> set[str]:
        return set()

    def routes_from(self, peer: str) -> set[str]:
        return set()

    def figures(self) -> dict[str, float]:
        """Ask for its own account."""
        return dict(json.loads(self.output_path.with_name("figures").read_text()))


class OurReceiver(Receiver):
    name, package = "pybgp", ""
    command = "python -m tests.benchmarks.tables.our_speaker CONFIGURATION"
    can_filter = True

    @classmethod
    def is_installed(cls) -> bool:
        return True

    @classmethod
    def version(cls) -> str:
        return f"pybgp, Python {sys.version.split()[0]}"

    def make(self, namespace: Namespace, directory: Path, job: Job) -> Daemon:
        peers = [[peer.address, peer.asn, peer.ipv6, peer.hold_time] for peer in job.peers]
        document = {"address": ADDRESS, "asn": ASN, "peers": peers}
        document |= {"exports": job.exports, "times_turns": job.times_turns}
        document["taken"] = [f"{prefix} le {longest}" for prefix, longest in job.taken]
        return OurSpeaker(namespace, directory, json.dumps(document))

    def held_routes(self) -> int:
        return int(self.figures()["routes"])

    def figures(self) -> dict[str, float]:
        """Its own account: routes held, and the longest time that its loop was blocked."""
        assert isinstance(self.daemon, OurSpeaker)
        return self.daemon.figures()


RECEIVERS: tuple[type[Receiver], ...] = (
    OurReceiver,
    BirdReceiver,
    FrrReceiver,
    OpenBgpdReceiver,
    GoBgpReceiver,
    ExaBgpReceiver,
)
