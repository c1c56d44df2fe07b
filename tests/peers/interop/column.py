"""One daemon of others as a column of the matrix: its configuration out of session plans, and its own view of each."""

from __future__ import annotations

import abc
import asyncio
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from examples.demo.namespaces import Namespace, join, run
from pybgp import IPV4_UNICAST
from tests.peers.interop.plan import THEIR_ADDRESS, THEIR_V6, SessionPlan
from tests.peers.interop.station import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.wire.families import Family
    from tests.peers.daemons import Daemon

POLL_SECONDS = 0.25


class Lab:
    """Two namespaces on one cable: all our stations in one, the daemon in the other."""

    def __init__(self, name: str, plans: Sequence[SessionPlan], *, link_local: bool = True) -> None:
        """Remember what to make; without ``link_local`` our stations have global IPv6 addresses alone."""
        self._link_local = link_local
        self.ours, self.theirs = (Namespace(f"pybgp-{os.getpid()}-{name}-{side}") for side in ("ours", "theirs"))
        self._plans = plans

    def __enter__(self) -> Lab:
        """Make both, with every station's address."""
        try:
            self.ours.create()
            self.theirs.create()
            if not self._link_local:
                self.ours.write_sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
            join(self.ours, "eth0", self.theirs, "eth0")
            self._assign(self.theirs, THEIR_ADDRESS, THEIR_V6)
            for plan in self._plans:
                for one in (plan, plan.behind) if plan.watched else (plan,):
                    self._assign(self.ours, f"10.77.0.{one.index}", f"fd77::{one.index:x}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Delete both."""
        self.ours.delete()
        self.theirs.delete()

    def _assign(self, namespace: Namespace, *addresses: str) -> None:
        for address in addresses:
            words = (f"{address}/64", "nodad") if ":" in address else (f"{address}/24",)
            namespace.ip("address", "add", *words, "dev", "eth0")


class Column(abc.ABC):
    """A daemon with all its sessions; every question blocks and is asked in a thread."""

    title: ClassVar[str]
    daemon_kind: ClassVar[type[Daemon]]
    daemon: Daemon
    #: The address families that its configuration has words for.
    families: ClassVar[frozenset[Family]]
    #: A prefix that comes from it, with a 4-octet AS number in its path: it passes on what another station said.
    wide_path: ClassVar[tuple[str, int]] = ("10.12.0.0/24", 4200000001)
    #: Whether it sends to one station what it heard from another.
    passes_on: ClassVar[bool] = True
    #: Whether it sends its routes when it is asked to, and marks the begin and the end where it said it would.
    answers: ClassVar[bool] = True
    marks: ClassVar[bool] = True
    #: Whether it says that an end is meant to last (RFC 8538 section 3).
    sends_hard_resets: ClassVar[bool] = True
    #: Whether its kernel refuses a connection without the signature.
    guards_its_port: ClassVar[bool] = True
    #: Whether it can be told to ask for a refresh.
    asks: ClassVar[bool] = True
    #: What `shut_down` can say.
    shutdown_text: ClassVar[str] = "back at noon"
    #: A prefix that it has two paths to.
    several_paths: ClassVar[str] = "10.200.2.0/24"
    #: How it shows our communities and extended communities.
    shows_communities: ClassVar[tuple[str, ...]] = ("64512:100", r"(?i)(rt|target)[: ]+64512:7")
    #: What of each family it sends: its own routes, or those of our stations.
    own: ClassVar[Mapping[Family, tuple[str, ...]]] = {}
    #: Whether it takes a link-local next hop behind the global one at any time.
    takes_link_local: ClassVar[bool] = True
    #: Names of sessions whose feature it has no words for.
    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, lab: Lab, directory: Path, plans: Sequence[SessionPlan]) -> None:
        """Write the configuration."""
        self.lab = lab
        self.directory = directory
        self.plans = plans
        self.daemon = self.daemon_kind(lab.theirs, directory, self.configuration(plans))

    @classmethod
    def possible(cls, plans: Iterable[SessionPlan]) -> list[SessionPlan]:
        """Return the sessions that it can have, each with the families that both sides know."""
        return [
            replace(plan, families=tuple(family for family in plan.families if family in cls.families))
            for plan in plans
            if plan.name not in cls.lacks and plan.families[-1] in cls.families
        ]

    @abc.abstractmethod
    def configuration(self, plans: Sequence[SessionPlan]) -> str:
        """Return the whole configuration."""

    @abc.abstractmethod
    def status(self, plan: SessionPlan) -> str:
        """Return what it shows of a session."""

    @abc.abstractmethod
    def is_up(self, plan: SessionPlan) -> bool:
        """Whether it calls a session established."""

    @abc.abstractmethod
    def heard(self, plan: SessionPlan, family: Family) -> str:
        """Return what it shows of the routes that it has from a station, with all their attributes."""

    @abc.abstractmethod
    def everything(self, prefix: str) -> str:
        """Return what it shows of one IPv4 prefix, whoever it is from."""

    @abc.abstractmethod
    def ask_refresh(self, plan: SessionPlan, family: Family) -> None:
        """Have it ask a station for its routes again."""

    @abc.abstractmethod
    def shut_down(self, plan: SessionPlan) -> None:
        """Have it end a session with `shutdown_text`."""

    def ended(self, plan: SessionPlan) -> str:
        """Return "ended" if it calls a session that it shut down so."""
        return "up" if self.is_up(plan) else "ended"

    def said(self, plan: SessionPlan) -> str:
        """Return where the other side's shutdown text would be found."""
        return f"{self.status(plan)}\n{self.daemon.output_path.read_text(errors='replace')}"

    def bfd_sessions(self) -> str:
        """Return what it shows of BFD."""
        return ""

    def count(self, plan: SessionPlan) -> int:
        """Return how many IPv4 prefixes it has from a station."""
        return len(set(re.findall(r"\d+\.\d+\.\d+\.\d+/\d+", self.heard(plan, IPV4_UNICAST))))

    def announce_many(self) -> bool:
        """Have it send more prefixes than one plain message holds; False: it passes on ours anyway."""
        return False

    def scratch(self, configuration: str) -> str:
        """Write a configuration that is only to be looked at, to a file of its own, and return its path."""
        handle, path = tempfile.mkstemp(dir=self.directory, suffix=".conf", text=True)
        with os.fdopen(handle, "w") as file:
            file.write(f"{configuration}\n")
        return path

    def refuses(self, configuration: str) -> str:
        """Return its complaint about a configuration; empty if it takes it, or cannot check one."""
        return ""

    def start(self) -> None:
        """Run it and have it announce what its configuration cannot."""
        self.daemon.start()

    def kill(self) -> None:
        """End it without a word."""
        self.daemon.stop(9)

    def start_again(self) -> None:
        """Run it again after `kill`, as one that takes over."""
        self.daemon.start()

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()

    # Waiting

    async def sees(self, question: Callable[[], str], *patterns: str, absent: bool = False) -> str:
        """Wait until all patterns (or none of them) are found in an answer, and return the answer."""
        answer = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    answer = await asyncio.to_thread(question)
                    found = [re.search(pattern, answer, re.MULTILINE) is not None for pattern in patterns]
                    if not any(found) if absent else all(found):
                        return answer
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            verb = "still shows" if absent else "does not show"
            shown = " & ".join(patterns)
            raise TimeoutError(f"{self.title} {verb} {shown}:\n{answer}\n{self.daemon.report()}") from error

    async def wait_up(self, plan: SessionPlan) -> None:
        """Wait until the daemon calls the session established."""
        await self.sees(lambda: "up" if self.is_up(plan) else self.status(plan), "^up$")

    async def hears(self, plan: SessionPlan, family: Family, *patterns: str) -> str:
        """Wait until what it has from a station shows all patterns."""
        return await self.sees(lambda: self.heard(plan, family), *patterns)

    async def unhears(self, plan: SessionPlan, family: Family, *patterns: str) -> str:
        """Wait until what it has from a station shows none of the patterns."""
        return await self.sees(lambda: self.heard(plan, family), *patterns, absent=True)


def version_of(package: str) -> str:
    """Return the version of an installed Debian package; empty without it."""
    return run("dpkg-query", "-W", "-f", "${Version}", package, check=False).strip()


@contextmanager
def prepared(kind: type[Column], lab: Lab, plans: Sequence[SessionPlan]) -> Iterator[Column]:
    """Configure a daemon in a directory that its own user may enter; it is ended however this ends."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        column = kind(lab, Path(name) / "daemon", plans)
        try:
            yield column
        finally:
            column.stop()
