"""BFD on loopback sockets: sessions come up, share an endpoint, and end as their operators meant."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pybgp.bfd.config import BfdConfig
from pybgp.bfd.packet import ControlPacket, SessionState, encode
from pybgp.bfd.session import Session, StateChanged
from pybgp.errors import LocalError
from pybgp.transport.bfd_endpoint import BfdEndpoint

PATIENCE = 20.0
HERE, THERE, ELSEWHERE = "127.0.0.81", "127.0.0.82", "127.0.0.83"
PORTS = {"single_hop_port": 37841, "multihop_port": 47841}
FAST = BfdConfig(transmit_interval=0.05, receive_interval=0.05, multiplier=10)
UP, DOWN = SessionState.UP, SessionState.DOWN


class Watch:
    """Remembers what a session reports, and wakes those who wait."""

    def __init__(self) -> None:
        self.events: list[StateChanged] = []
        self._news = asyncio.Event()

    def __call__(self, event: StateChanged) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def endpoints(count: int = 2) -> AsyncIterator[list[BfdEndpoint]]:
    made = [BfdEndpoint(**PORTS) for _ in range(count)]
    try:
        yield made
    finally:
        for endpoint in made:
            endpoint.close()


async def both_up(left: BfdEndpoint, right: BfdEndpoint, config: BfdConfig = FAST) -> tuple[Session, Session, Watch]:
    watch = Watch()
    one = left.add(config, HERE, THERE, on_change=watch)
    two = right.add(config, THERE, HERE, on_change=watch)
    await watch.until(lambda: (one.state, two.state) == (UP, UP))
    return one, two, watch


@pytest.mark.parametrize("multihop", [False, True])
def test_two_endpoints_meet(multihop: bool) -> None:
    async def scenario() -> None:
        async with endpoints() as (left, right):
            config = BfdConfig(0.05, 0.05, 10, multihop=multihop)
            one, two, watch = await both_up(left, right, config)
            status = left.status(one)
            assert (status.state, status.remote_state, status.discarded) == (UP, UP, {})
            assert one.remote_discriminator == two.local_discriminator
            await watch.until(lambda: left.status(one).transmit_interval == pytest.approx(0.05))

    asyncio.run(scenario())


def test_ipv6_meets_too() -> None:
    async def scenario() -> None:
        async with endpoints(1) as (endpoint,):
            watch = Watch()
            try:
                session = endpoint.add(FAST, "::1", "::1", on_change=watch)
            except LocalError as error:
                pytest.skip(f"no IPv6 here: {error}")
            await watch.until(lambda: session.state is UP)

    asyncio.run(scenario())


def test_removal_is_no_failure_and_can_be_taken_back() -> None:
    async def scenario() -> None:
        async with endpoints() as (left, right):
            one, two, watch = await both_up(left, right)
            left.remove(one)
            await watch.until(lambda: two.state is DOWN)
            assert two.remote_state is SessionState.ADMIN_DOWN
            assert not any(event.is_failure for event in watch.events)
            assert left.add(FAST, HERE, THERE, on_change=watch) is one
            await watch.until(lambda: (one.state, two.state) == (UP, UP))

    asyncio.run(scenario())


def test_close_tells_the_neighbor() -> None:
    async def scenario() -> None:
        async with endpoints() as (left, right):
            _, two, watch = await both_up(left, right)
            left.close()
            await watch.until(lambda: two.state is DOWN)
            assert not watch.events[-1].is_failure

    asyncio.run(scenario())


def test_a_neighbor_that_falls_silent_is_a_failure() -> None:
    async def scenario() -> None:
        async with endpoints() as (left, right):
            one, _, watch = await both_up(left, right)
            for outlet in tuple(right._outlets.values()):
                right._forget(outlet)
            await watch.until(lambda: one.state is DOWN)
            assert watch.events[-1].is_failure
            assert left.status(one).diagnostic == 1

    asyncio.run(scenario())


def test_sessions_share_a_listener_and_have_source_ports_of_their_own() -> None:
    async def scenario() -> None:
        async with endpoints() as (left, right):
            watch = Watch()
            sessions = [left.add(FAST, HERE, there, on_change=watch) for there in (THERE, ELSEWHERE)]
            sessions += [right.add(FAST, there, HERE, on_change=watch) for there in (THERE, ELSEWHERE)]
            await watch.until(lambda: all(session.state is UP for session in sessions))
            assert len(left._listeners) == 1
            ports = {outlet.socket.getsockname()[1] for outlet in left._outlets.values()}
            assert len(ports) == 2
            assert min(ports) >= 49152

    asyncio.run(scenario())


def test_the_same_session_twice_is_refused_and_an_address_that_is_not_ours_too() -> None:
    async def scenario() -> None:
        async with endpoints(1) as (endpoint,):
            endpoint.add(FAST, HERE, THERE, on_change=Watch())
            with pytest.raises(LocalError, match="exists already"):
                endpoint.add(FAST, HERE, THERE, on_change=Watch())
            with pytest.raises(LocalError, match=r"BFD from 192\.0\.2\.77 to 192\.0\.2\.78: .*assign"):
                endpoint.add(FAST, "192.0.2.77", "192.0.2.78", on_change=Watch())
            assert len(endpoint._listeners) == len(endpoint._table) == 1

    asyncio.run(scenario())


def test_a_packet_from_further_away_is_discarded() -> None:
    async def scenario() -> None:
        async with endpoints(1) as (endpoint,):
            watch = Watch()
            session = endpoint.add(FAST, HERE, THERE, on_change=watch)
            packet = encode(ControlPacket(DOWN, 3, 1, 0, 1_000_000, 1_000_000))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind((THERE, 0))
                stranger.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 254)
                stranger.sendto(packet, (HERE, PORTS["single_hop_port"]))
                stranger.sendto(b"noise", (HERE, PORTS["single_hop_port"]))
                stranger.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
                stranger.sendto(packet, (HERE, PORTS["single_hop_port"]))
            await watch.until(lambda: session.state is not DOWN)
            assert endpoint.status(session).discarded == {"TTL": 1}

    asyncio.run(scenario())
