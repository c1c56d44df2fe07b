"""Neighbours on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from pybgp.errors import LocalError
from pybgp.session.config import GracefulRestartConfig, PeerConfig, RestartState
from pybgp.session.deadlines import Timer
from pybgp.session.events import (
    DownReason,
    Event,
    SessionDown,
    SessionUp,
    StateChanged,
    UpdateReceived,
    WritingResumed,
)
from pybgp.session.state_machine import State
from pybgp.transport.peer import Peer
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import Keepalive, Notification, encode, end_of_rib
from tests.pybgp.session.session_examples import open_of
from tests.pybgp.transport.peer_examples import LEFT, PATIENCE, RIGHT, Recorder, both_up, config, listening, two_sides

END_OF_RIB = end_of_rib(IPV4_UNICAST)
GRACEFUL = {"graceful_restart": GracefulRestartConfig()}


def test_two_peers_come_up_and_exchange_updates() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            left.peer.send(END_OF_RIB)
            assert (await right.recorder.first(UpdateReceived)).update.end_of_rib == IPV4_UNICAST
            status = right.peer.status()
            assert (status.state, status.protocol_state, status.info) == ("Established", "up", "Established")
            assert status.received is not None
            assert status.received["UPDATE"] == 1
            assert status.negotiated is not None
            assert {"hold", "keepalive", "send_hold"} == set(status.timers or {})
            assert status.history[-1].new is State.ESTABLISHED

    asyncio.run(scenario())


@pytest.mark.parametrize("passive", [LEFT, RIGHT])
def test_one_side_may_only_wait(passive: str) -> None:
    async def scenario() -> None:
        changes = {here: {"passive": here == passive} for here in (LEFT, RIGHT)}
        async with two_sides(changes[LEFT], changes[RIGHT]) as (left, right):
            waiting, calling = (left, right) if passive == LEFT else (right, left)
            waiting.peer.start()
            assert waiting.peer.status().info == "Passive"
            calling.peer.start()
            await waiting.up()
            await calling.up()

    asyncio.run(scenario())


def test_a_peer_that_is_late_is_found_soon() -> None:
    """The first attempts come fast, so that two nodes that start together are up in well under a second."""

    async def scenario() -> None:
        async with two_sides(right={"passive": True}) as (left, right):
            right.listener.close()
            left.peer.start()
            await left.recorder.until(lambda: left.peer.status().last_error)
            assert left.peer.status().info in (
                "Active Socket: Connection refused",
                "Connect Socket: Connection refused",
            )
            assert left.peer.status().protocol_state == "start"
            right.listener._address = (right.listener.host, left.peer.config.port)
            right.listener.start()
            right.peer.start()
            await left.up()
            assert left.peer.status().last_error == ""

    asyncio.run(scenario())


def test_events_leave_in_the_turn_in_which_the_octets_arrive() -> None:
    """Between the read and the sink nothing is scheduled."""

    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            (connection,) = right.peer._connections.values()
            before = len(right.recorder.events)
            connection.get_buffer(-1)[: len(END_OF_RIB)] = END_OF_RIB
            connection.buffer_updated(len(END_OF_RIB))
            assert [type(event) for event in right.recorder.events[before:]] == [UpdateReceived]

    asyncio.run(scenario())


def test_the_sink_may_send_and_stop() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):

            def answer(peer: Peer, event: Event) -> None:
                if isinstance(event, SessionUp):
                    peer.send(END_OF_RIB)
                if isinstance(event, UpdateReceived):
                    peer.stop("enough")

            right.recorder.react = answer
            left.peer.start()
            right.peer.start()
            await left.up()
            left.peer.send(END_OF_RIB * 3)
            down = await left.recorder.first(SessionDown)
            assert down.text == "Received: Administrative shutdown: enough"
            assert left.recorder.of_kind(UpdateReceived)
            kinds = [type(event) for event in right.recorder.events if not isinstance(event, StateChanged)]
            assert kinds[-1] is SessionDown

    asyncio.run(scenario())


def test_a_stopped_peer_is_not_spoken_to() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            with pytest.raises(LocalError, match=f"neighbour {RIGHT} is in Idle: nothing can be sent"):
                left.peer.send(END_OF_RIB)
            left.peer.start()
            right.peer.start()
            await left.up()
            left.peer.stop("bye")
            assert left.peer.status().protocol_state == "down"
            await left.peer.wait_closed()
            down = await right.recorder.first(SessionDown)
            assert (down.reason, down.text) == (
                DownReason.NOTIFICATION_RECEIVED,
                "Received: Administrative shutdown: bye",
            )
            assert right.peer.status().info.endswith("Received: Administrative shutdown: bye")

    asyncio.run(scenario())


def test_reset_comes_back() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            left.peer.reset(4, communication="again")
            assert (await right.recorder.first(SessionDown)).text == "Received: Administrative reset: again"
            await left.up(2)
            await right.up(2)
            assert right.peer.status().established_count == 2

    asyncio.run(scenario())


def test_a_graceful_stop_leaves_the_routes_with_the_helper_which_waits_for_us() -> None:
    async def scenario() -> None:
        async with two_sides(GRACEFUL, GRACEFUL) as (left, right):
            await both_up(left, right)
            left.peer.stop(graceful=True)
            await left.peer.wait_closed()
            down = await right.recorder.first(SessionDown)
            assert (down.text, down.retained) == ("Socket: Connection closed", {IPV4_UNICAST})
            again = Peer(left.peer.config, left.recorder, listeners=[left.listener],
                         restart_state=RestartState(True, frozenset({IPV4_UNICAST})))  # fmt: skip
            again.start()
            up = await right.up(2)
            assert up.negotiated.graceful_restart is not None
            assert up.negotiated.graceful_restart.restart_state
            assert up.negotiated.graceful_restart.families == ((IPV4_UNICAST, True),)
            again.stop()
            await again.wait_closed()

    asyncio.run(scenario())


def test_a_peer_that_does_not_read_stops_nobody() -> None:
    """The octets wait here, the speaker is told to pause, and to go on when the peer reads again."""

    async def scenario() -> None:
        async with listening(LEFT) as listener:
            recorder = Recorder()
            peer = Peer(config(LEFT, RIGHT, listener.port, passive=True), recorder, listeners=[listener])
            peer.start()
            loop = asyncio.get_running_loop()
            slow = socket.socket()
            try:
                slow.bind((RIGHT, 0))
                slow.setblocking(False)
                await loop.sock_connect(slow, (LEFT, listener.port))
                await loop.sock_sendall(slow, open_of(config(RIGHT, LEFT, 179)) + encode(Keepalive()))
                await recorder.first(SessionUp)
                assert peer.can_write
                sent = 0
                while peer.can_write:
                    peer.send(END_OF_RIB * 1000)
                    sent += 23 * 1000
                (connection,) = peer._connections.values()
                connection.made_progress()
                assert not connection.made_progress()
                while not recorder.of_kind(WritingResumed):
                    await loop.sock_recv(slow, 65536)
                assert connection.made_progress()
                assert peer.can_write
                assert sent > 256 * 1024
                peer.stop()
            finally:
                slow.close()
                async with asyncio.timeout(PATIENCE):
                    await peer.wait_closed()
            assert not peer.can_write

    asyncio.run(scenario())


def test_a_notification_arrives_although_octets_are_unread() -> None:
    """A close with unread octets would send a reset, which may overtake the reason."""

    async def scenario() -> None:
        async with listening(LEFT) as listener:
            peer = Peer(config(LEFT, RIGHT, listener.port, passive=True), Recorder(), listeners=[listener])
            peer.start()
            loop = asyncio.get_running_loop()
            with socket.socket() as rude:
                rude.bind((RIGHT, 0))
                rude.setblocking(False)
                await loop.sock_connect(rude, (LEFT, listener.port))
                await loop.sock_sendall(rude, b"\0" * 1_000_000)
                heard = b""
                while octets := await loop.sock_recv(rude, 65536):
                    heard += octets
            assert heard.endswith(encode(Notification(1, 1)))
            peer.stop()
            async with asyncio.timeout(PATIENCE):
                await peer.wait_closed()

    asyncio.run(scenario())


def test_a_dead_connection_is_replaced_by_a_new_one_of_a_graceful_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("pybgp.session.neighbor._START_UP_WINDOW", 0.0)
        async with two_sides(GRACEFUL | {"passive": True}, GRACEFUL) as (left, right):
            left.peer.start()
            right.peer.start()
            await left.up()
            (connection,) = right.peer._connections.values()
            # The other machine forgets the connection without a word.
            right.peer._connections.clear()
            again = Peer(right.peer.config, right.recorder, listeners=[right.listener])
            again.start()
            await left.up(2)
            down = left.recorder.of_kind(SessionDown)[0]
            assert (down.reason, down.retained) == (DownReason.SUPERSEDED, {IPV4_UNICAST})
            assert left.peer.status().info == "Established"
            again.stop()
            await again.wait_closed()
            connection.abort()

    asyncio.run(scenario())


@pytest.mark.parametrize(("changes", "text"), [
    ({"address": "127.0.0.63", "port": 1}, "Socket: Connection refused"),
    ({"local_address": "192.0.2.1"}, "Socket: Cannot assign requested address (192.0.2.1)"),
])  # fmt: skip
def test_why_there_is_no_connection(changes: dict[str, object], text: str) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        peer = Peer(replace(config(LEFT, RIGHT, 1), **changes), recorder)  # type: ignore[arg-type]
        peer.start()
        await recorder.until(lambda: peer.status().last_error)
        assert peer.status().last_error == text
        peer.stop()
        await peer.wait_closed()

    asyncio.run(scenario())


def test_the_timer_is_not_touched_for_what_arrives_or_leaves() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            handle = left.peer._timer
            (connection,) = left.peer._connections.values()
            for _ in range(10):
                left.peer.send(END_OF_RIB)
                connection.get_buffer(-1)[: len(END_OF_RIB)] = END_OF_RIB
                connection.buffer_updated(len(END_OF_RIB))
            assert left.peer._timer is handle

    asyncio.run(scenario())


def test_what_waits_in_the_kernel_counts_before_the_hold_timer() -> None:
    """A loop that was busy past the hold time must not take its peers for dead."""

    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            session = right.peer.neighbor.established
            assert session is not None
            left.peer.send(END_OF_RIB)
            session._deadlines.start(Timer.HOLD, asyncio.get_running_loop().time())
            right.peer._rearm()
            await right.recorder.first(UpdateReceived)
            assert right.recorder.of_kind(SessionDown) == []
            assert right.peer.status().info == "Established"

    asyncio.run(scenario())


def test_status_before_the_start() -> None:
    status = Peer(config(LEFT, RIGHT, 179), nobody).status()
    assert (status.state, status.protocol_state, status.info) == ("Idle", "down", "Idle")


def nobody(peer: Peer, event: Event) -> None:
    raise AssertionError("nothing happens before the start")


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
def test_peers_meet_over_ipv6() -> None:
    async def scenario() -> None:
        async with listening("::1") as one, listening("::1") as two:
            recorder = Recorder()
            peers = []
            for number, (listener, other) in enumerate(((one, two), (two, one)), 1):
                settings = PeerConfig("::1", 65000, 65000, number, port=other.port, passive=number == 2)
                peers.append(Peer(settings, recorder, listeners=[listener]))
            for peer in peers:
                peer.start()
            await recorder.first(SessionUp, 2)
            for peer in peers:
                peer.stop()
            for peer in peers:
                await peer.wait_closed()

    asyncio.run(scenario())


def test_a_connection_that_is_not_wanted_now_can_be_told_so() -> None:
    """Cease 6/5 while the neighbour rests after a failure (spec section 6.1)."""

    async def scenario() -> None:
        changes = {"notify_rejected": True, "passive": True, "idle_hold_time": 5.0}
        async with two_sides(changes) as (left, _):
            left.peer.start()
            with socket.create_connection((LEFT, left.listener.port), source_address=(RIGHT, 0)) as broken:
                broken.sendall(b"\0" * 19)
                await left.recorder.until(lambda: left.peer.neighbor.last_sent)
            with socket.create_connection((LEFT, left.listener.port), source_address=(RIGHT, 0)) as refused:
                refused.setblocking(False)
                async with asyncio.timeout(PATIENCE):
                    octets = await asyncio.get_running_loop().sock_recv(refused, 100)
                assert octets == encode(Notification(6, 5))

    asyncio.run(scenario())


def test_a_neighbour_can_be_held_down_with_a_reason_until_the_next_start() -> None:
    async def scenario() -> None:
        async with two_sides() as (left, right):
            await both_up(left, right)
            left.peer.hold_down("too many prefixes", 1, b"\0\1\1\0\0\0\5")
            assert left.peer.status().info == "Idle Error: too many prefixes"
            down = await right.recorder.first(SessionDown)
            assert down.received == Notification(6, 1, b"\0\1\1\0\0\0\5")
            left.peer.start()
            await left.up(2)

    asyncio.run(scenario())
