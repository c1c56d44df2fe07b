"""The fake peer against a real speaker: on loopback sockets, and in memory with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest

from pybgp import IPV4_UNICAST, LocalError, Speaker, SpeakerConfig, State, format_prefix
from pybgp.errors import ErrorCode
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.simulator import LinkQuality
from pybgp.testing import FakePeer, MemoryNetwork, NotSeenError, run_in_virtual_time
from pybgp.transport.peer import Peer
from pybgp.wire.attributes import Fault
from tests.pybgp.transport.test_speaker import free_port

OURS, THEIRS = 64512, 64513
QUICK = {"first_retry_time": 0.05, "connect_retry_time": 0.2, "idle_hold_time": 0.05, "maximum_idle_hold_time": 0.05}
Scenario: TypeAlias = Callable[[Speaker, FakePeer], Coroutine[Any, Any, None]]


async def on_sockets(scenario: Scenario, **options: Any) -> None:
    config = SpeakerConfig(OURS, "192.0.2.1", import_policy=ACCEPT_ALL, export_policy=ACCEPT_ALL)
    speaker = Speaker(config)
    async with FakePeer(THEIRS, remote_as=OURS, patience=20.0) as peer:
        speaker.configure({"fake": speaker.peer(peer.address, THEIRS, port=peer.port, **QUICK, **options)})
        async with speaker:
            await scenario(speaker, peer)


async def in_memory(scenario: Scenario, **options: Any) -> None:
    network = MemoryNetwork()
    config = SpeakerConfig(OURS, "192.0.2.1", import_policy=ACCEPT_ALL, export_policy=ACCEPT_ALL)
    speaker = Speaker(config, make_peer=network.make_peer)
    async with FakePeer(THEIRS, remote_as=OURS, address="192.0.2.2", network=network, patience=3600.0) as peer:
        speaker.configure({"fake": speaker.peer(peer.address, THEIRS, **QUICK, **options)})
        async with speaker:
            await scenario(speaker, peer)


def play(where: str, scenario: Scenario, **options: Any) -> None:
    if where == "sockets":
        asyncio.run(on_sockets(scenario, **options))
    else:
        run_in_virtual_time(in_memory(scenario, **options))


EVERYWHERE = pytest.mark.parametrize("where", ["sockets", "memory"])


@EVERYWHERE
def test_both_hear_each_other(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        speaker.announce("203.0.113.0/24", next_hop="192.0.2.9", med=5)
        negotiated = await peer.established()
        assert (negotiated.local_as, negotiated.peer_as) == (THEIRS, OURS)
        attributes = await peer.wait_announced("203.0.113.0/24")
        assert list(attributes.as_path) == [OURS]
        await peer.wait_end_of_rib(IPV4_UNICAST)
        watch = speaker.watch("198.51.100.0/24")
        peer.announce("198.51.100.0/24", next_hop="192.0.2.7")
        assert str(await anext(watch)) == "198.51.100.0/24 via 192.0.2.7 as-path 64513"
        peer.withdraw("198.51.100.0/24")
        assert str(await anext(watch)) == "198.51.100.0/24 withdrawn"
        speaker.withdraw("203.0.113.0/24")
        await peer.wait_withdrawn("203.0.113.0/24")
        update = await peer.wait_update(lambda update: bool(update.withdrawn))
        assert update.withdrawn[0].family == IPV4_UNICAST

    play(where, scenario)


@EVERYWHERE
def test_the_speaker_comes_back_after_each_way_of_going(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        ways = (lambda: peer.notify(text="bye"), peer.close, peer.abort, lambda: peer.send_malformed(Fault.RESET))
        for count, go in enumerate(ways, 1):
            await peer.established()
            assert peer.connections == count
            go()
            await peer.wait_connections(count + 1)
        await peer.established()

    play(where, scenario)


@EVERYWHERE
def test_a_malformed_route_is_withdrawn_and_the_session_stays(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        watch = speaker.watch("198.51.100.0/24")
        peer.announce("198.51.100.0/24")
        assert (await anext(watch)).path is not None
        peer.send_malformed(Fault.WITHDRAW, "198.51.100.0/24")
        assert (await anext(watch)).path is None
        assert peer.is_established

    play(where, scenario)


@EVERYWHERE
def test_a_speaker_that_is_stopped_says_so(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        speaker.shut_down_peer("fake", "maintenance until 6 UTC")
        notification = await peer.wait_notification()
        assert notification.shutdown_text == "maintenance until 6 UTC"
        await peer.wait_closed()
        assert peer.state is State.IDLE

    play(where, scenario)


@EVERYWHERE
def test_who_stops_reading_hears_later(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        await peer.wait_end_of_rib(IPV4_UNICAST)
        peer.stop_reading()
        speaker.announce("203.0.113.0/24", next_hop="192.0.2.9")
        await asyncio.sleep(0.1)
        assert peer.route("203.0.113.0/24") is None
        assert "203.0.113.0/24" in [format_prefix(IPV4_UNICAST, key) for key in speaker.sent("fake", IPV4_UNICAST)]
        peer.read_again()
        await peer.wait_announced("203.0.113.0/24")

    play(where, scenario)


def test_who_never_reads_is_given_up_by_the_send_hold_timer() -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        await peer.wait_end_of_rib(IPV4_UNICAST)
        peer.stop_reading()
        many = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(60_000)]
        for med in range(8):
            speaker.announce(many, next_hop="192.0.2.9", med=med)
            await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        await peer.wait(lambda: speaker.peers()["fake"].state is not State.ESTABLISHED, "the send hold timer")
        assert asyncio.get_running_loop().time() - begun <= 90

    play("memory", scenario, hold_time=9, send_hold_time=90.0)


def test_silence_in_virtual_time_takes_no_time() -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(7 * 86400)
        assert peer.is_established
        begun = loop.time()
        peer.fall_silent()
        notification = await peer.wait_notification()
        assert notification.code == ErrorCode.HOLD_TIMER_EXPIRED
        assert 60 <= loop.time() - begun <= 90.1

    play("memory", scenario, hold_time=90)


@EVERYWHERE
def test_a_vain_wait_says_what_there_was(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        speaker.announce("203.0.113.0/24", next_hop="192.0.2.9")
        await peer.wait_announced("203.0.113.0/24")
        peer.patience = 0.05
        with pytest.raises(NotSeenError) as caught:
            await peer.wait_announced("203.0.114.0/24")
        text = "an announcement of 203.0.114.0/24: not within 0.05 s; connections 1, state Established, "
        assert str(caught.value).startswith(text)
        assert str(caught.value).endswith("announced: 203.0.113.0/24")
        assert isinstance(caught.value, AssertionError)

    play(where, scenario)


@EVERYWHERE
def test_the_fake_peer_calls(where: str) -> None:
    async def scenario() -> None:
        network = MemoryNetwork() if where == "memory" else None
        port, address = free_port(), "127.0.0.3" if network is None else "192.0.2.2"
        listen = (("127.0.0.1", port),) if network is None else ()
        make_peer = Peer if network is None else network.make_peer
        speaker = Speaker(SpeakerConfig(OURS, "192.0.2.1", listen=listen), make_peer=make_peer)
        async with FakePeer(THEIRS, remote_as=OURS, address=address, network=network) as peer:
            speaker.configure({"fake": speaker.peer(address, THEIRS, passive=True)})
            if network is not None:
                with pytest.raises(LocalError, match="no such peer, or it is not started"):
                    await peer.connect()
            async with speaker:
                await peer.connect("127.0.0.1", port)
                await peer.established()

    if where == "memory":
        run_in_virtual_time(scenario())
    else:
        asyncio.run(scenario())


@EVERYWHERE
def test_nobody_is_there_until_there_is(where: str) -> None:
    async def scenario(speaker: Speaker, peer: FakePeer) -> None:
        await peer.established()
        peer.is_accepting = False
        peer.close()
        await peer.wait(lambda: speaker.peers()["fake"].state is not State.ESTABLISHED, "the end")
        if where == "memory":
            await asyncio.sleep(600)
        assert peer.connections == 1
        peer.is_accepting = True
        await peer.wait_connections(2)
        await peer.established()

    play(where, scenario)


def test_errors_of_the_ground_are_one_line() -> None:
    async def scenario() -> None:
        async with FakePeer(THEIRS, remote_as=OURS) as peer:
            with pytest.raises(LocalError, match=r"fake peer at 127\.0\.0\.2 port"):
                await FakePeer(THEIRS, remote_as=OURS, port=peer.port).start()
            with pytest.raises(LocalError, match=r"connection to 127\.0\.0\.1 port 1: "):
                await FakePeer(THEIRS, remote_as=OURS).connect("127.0.0.1", 1)
            with pytest.raises(LocalError, match="nothing is negotiated"):
                peer.announce("10.0.0.0/8")

    asyncio.run(scenario())


def test_two_fake_peers_and_lossy_links_are_the_same_every_time() -> None:
    async def scenario() -> tuple[float, list[str]]:
        network = MemoryNetwork(LinkQuality(latency=0.05, jitter=0.1, loss=0.2), seed=7)
        config = SpeakerConfig(OURS, "192.0.2.1", import_policy=ACCEPT_ALL, export_policy=ACCEPT_ALL)
        speaker = Speaker(config, make_peer=network.make_peer)
        async with AsyncExitStack() as stack:
            addresses = ("192.0.2.2", "192.0.2.3")
            left, right = [
                await stack.enter_async_context(FakePeer(asn, remote_as=OURS, address=address, network=network))
                for asn, address in zip((THEIRS, 64514), addresses, strict=True)
            ]
            with pytest.raises(LocalError, match="there are two fake peers"):
                await FakePeer(1, remote_as=OURS, address="192.0.2.2", network=network).start()
            peers = {one.address: speaker.peer(one.address, one.local_as) for one in (left, right)}
            speaker.configure(peers)
            await stack.enter_async_context(speaker)
            await left.established()
            await right.established()
            left.announce("10.0.0.0/8")
            attributes = await right.wait_announced("10.0.0.0/8")
            network.link("192.0.2.2").cut()
            right.patience = 1000.0
            await right.wait_withdrawn("10.0.0.0/8")
            return asyncio.get_running_loop().time(), [str(asn) for asn in attributes.as_path]

    first, second = run_in_virtual_time(scenario()), run_in_virtual_time(scenario())
    assert first == second
    assert first[1] == [str(OURS), str(THEIRS)]
    assert first[0] > 60
