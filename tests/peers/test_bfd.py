"""BFD with the daemons of others: both sides say Up, and the end of either is seen as what it was."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.demo.namespaces import Namespace
from pybgp.bfd.config import AuthenticationKey, BfdConfig
from pybgp.bfd.packet import AuthenticationType, SessionState
from pybgp.bfd.session import Session, StateChanged
from pybgp.transport.bfd_endpoint import BfdEndpoint
from tests.namespaces.cable import cable
from tests.peers.daemons import Bird, Frr

pytestmark = [
    pytest.mark.peers,
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

OURS, THEIRS = "10.78.0.1", "10.78.0.2"
OURS_V6, THEIRS_V6 = "fd00:78::1", "fd00:78::2"
PATIENCE = 30.0
UP, DOWN = SessionState.UP, SessionState.DOWN
BIRD_TYPES = {
    AuthenticationType.SIMPLE_PASSWORD: "simple",
    AuthenticationType.KEYED_MD5: "keyed md5",
    AuthenticationType.METICULOUS_MD5: "meticulous keyed md5",
    AuthenticationType.KEYED_SHA1: "keyed sha1",
    AuthenticationType.METICULOUS_SHA1: "meticulous keyed sha1",
}


@pytest.fixture
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    with cable("bfd", [f"{OURS}/24", f"{OURS_V6}/64"], [f"{THEIRS}/24", f"{THEIRS_V6}/64"]) as both:
        yield both


def bird_bfd(options: str = "", *, multihop: bool = False, v6: bool = False) -> str:
    ours, theirs = (OURS_V6, THEIRS_V6) if v6 else (OURS, THEIRS)
    where = f"local {theirs} multihop on" if multihop else 'dev "eth0"' + (f" local {theirs}" if v6 else "")
    kind = "multihop" if multihop else "interface"
    times = f"min rx interval 100 ms; min tx interval 100 ms; idle tx interval 300 ms; multiplier 5; {options}"
    block = f"{kind} {{ {times} }};" if multihop else f'{kind} "*" {{ {times} }};'
    return f"""
router id {THEIRS};
protocol device {{ }}
protocol bfd bfd1 {{ {block} neighbor {ours} {where}; }}
"""


@contextmanager
def bird(namespace: Namespace, configuration: str) -> Iterator[Bird]:
    Bird.require()
    with tempfile.TemporaryDirectory() as name:
        daemon = Bird(namespace, Path(name), configuration)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()


@asynccontextmanager
async def session_with(namespace: Namespace, config: BfdConfig, *, v6: bool = False) -> Any:
    """A session of ours in a namespace, what it reported, and a way to wait for it."""
    events: list[StateChanged] = []
    news = asyncio.Event()

    def hear(event: StateChanged) -> None:
        events.append(event)
        news.set()

    async def until(is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                news.clear()
                await news.wait()

    endpoint = BfdEndpoint()
    with namespace.entered():
        ours, theirs = (OURS_V6, THEIRS_V6) if v6 else (OURS, THEIRS)
        interface = "" if config.multihop else "eth0"
        session = endpoint.add(config, ours, theirs, interface=interface, on_change=hear)
    try:
        yield endpoint, session, events, until
    finally:
        endpoint.close()


async def bird_says(daemon: Bird, address: str, state: str) -> str:
    """Wait until BIRD shows a session in a state, and return its line."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = await asyncio.to_thread(daemon.client, "show", "bfd", "sessions")
            found = re.search(rf"^{re.escape(address)} .*", shown, re.MULTILINE)
            if found and found[0].split()[2] == state:
                return found[0]
            await asyncio.sleep(0.05)


async def eventually(is_so: Callable[[], object]) -> None:
    """Wait for what a session does not report."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)


async def settled(session: Session, seconds: float) -> None:
    await eventually(lambda: session.detection_time == pytest.approx(seconds))


@pytest.mark.parametrize(("multihop", "v6"), [(False, False), (True, False), (False, True), (True, True)])
def test_up_and_down_with_bird(namespaces: tuple[Namespace, Namespace], multihop: bool, v6: bool) -> None:
    """5 x 300 ms as BIRD's multiplier and our interval have it; BIRD's end by SIGKILL is a failure, seen in time."""

    async def scenario(daemon: Bird) -> None:
        # BIRD 2.0.12 sends multihop packets with the kernel's TTL of 64 instead of 255.
        config = BfdConfig(multihop=multihop, minimum_ttl=64)
        async with session_with(namespaces[0], config, v6=v6) as (endpoint, session, events, until):
            await until(lambda: session.state is UP)
            assert (await bird_says(daemon, OURS_V6 if v6 else OURS, "Up")).split()[4:] == ["0.300", "0.900"]
            await settled(session, 1.5)
            assert session.transmit_interval == pytest.approx(0.3)
            daemon.stop(9)
            await until(lambda: session.state is DOWN)
            assert events[-1].is_failure
            assert endpoint.status(session).discarded == {}

    with bird(namespaces[1], bird_bfd(multihop=multihop, v6=v6)) as daemon:
        asyncio.run(scenario(daemon))


@pytest.mark.parametrize("kind", AuthenticationType, ids=lambda kind: kind.name)
def test_authentication_with_bird(namespaces: tuple[Namespace, Namespace], kind: AuthenticationType) -> None:
    options = f'authentication {BIRD_TYPES[kind]}; password "abc123" {{ id 3; }};'

    async def scenario(daemon: Bird) -> None:
        config = BfdConfig(authentication=AuthenticationKey(kind, 3, b"abc123"))
        async with session_with(namespaces[0], config) as (_, session, _, until):
            await until(lambda: session.state is UP)
            await bird_says(daemon, OURS, "Up")
            await settled(session, 1.5)
            received = session.received
            await eventually(lambda: session.received >= received + 5)
            assert session.discarded == {}

    with bird(namespaces[1], bird_bfd(options)) as daemon:
        asyncio.run(scenario(daemon))


def test_a_wrong_key_stays_down(namespaces: tuple[Namespace, Namespace]) -> None:
    options = 'authentication keyed sha1; password "abc123" { id 3; };'

    async def scenario() -> None:
        config = BfdConfig(authentication=AuthenticationKey(AuthenticationType.KEYED_SHA1, 3, b"another"))
        async with session_with(namespaces[0], config) as (endpoint, session, events, _):
            await eventually(lambda: endpoint.status(session).discarded.get("authentication", 0) >= 3)
            assert (session.state, events) == (DOWN, [])

    with bird(namespaces[1], bird_bfd(options)):
        asyncio.run(scenario())


def test_bird_sees_our_removal_as_administrative(namespaces: tuple[Namespace, Namespace]) -> None:
    async def scenario(daemon: Bird) -> None:
        async with session_with(namespaces[0], BfdConfig()) as (endpoint, session, _, until):
            await until(lambda: session.state is UP)
            await bird_says(daemon, OURS, "Up")
            endpoint.remove(session)
            await bird_says(daemon, OURS, "Down")

    with bird(namespaces[1], bird_bfd()) as daemon:
        asyncio.run(scenario(daemon))


class Bfdd(Frr):
    """FRR's bfdd alone, without zebra."""

    program = "/usr/lib/frr/bfdd"

    def command(self) -> Sequence[str]:
        files = ["-f", str(self.configuration_path), "-i", str(self.directory / "pid")]
        sockets = ["-z", str(self.directory / "no-zebra"), "--vty_socket", str(self.directory)]
        control = ["--bfdctl", str(self.directory / "bfdd.sock")]
        return [self.program, "-u", "frr", "-g", "frr", *files, *sockets, *control, "-P", "0"]

    def peers(self) -> list[dict[str, Any]]:
        """Ask through vtysh; empty while the daemon is not there yet."""
        words = ["vtysh", "--vty_socket", str(self.directory), "-d", "bfdd", "-c", "show bfd peers json"]
        text = self.ask(*words)
        try:
            found: list[dict[str, Any]] = json.loads(text[text.find("[") :])
        except ValueError:
            return []
        return found


def test_up_and_down_with_frr(namespaces: tuple[Namespace, Namespace]) -> None:
    """Multihop, because without zebra bfdd knows no interfaces."""
    Bfdd.require()
    configuration = f"bfd\n peer {OURS} multihop local-address {THEIRS}\n  no shutdown\n exit\nexit\n"

    async def scenario(daemon: Bfdd) -> None:
        async with session_with(namespaces[0], BfdConfig(multihop=True)) as (_, session, events, until):
            await until(lambda: session.state is UP)
            await settled(session, 0.9)
            shown = await asyncio.to_thread(daemon.peers)
            assert [(peer["peer"], peer["status"]) for peer in shown] == [(OURS, "up")]
            daemon.stop(9)
            await until(lambda: session.state is DOWN)
            assert events[-1].is_failure
            assert session.discarded == {}

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        daemon = Bfdd(namespaces[1], Path(name) / "bfdd", configuration)
        try:
            daemon.start()
            asyncio.run(scenario(daemon))
        except TimeoutError as error:
            raise AssertionError(daemon.report()) from error
        finally:
            daemon.stop()
