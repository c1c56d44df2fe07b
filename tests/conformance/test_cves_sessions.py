"""What broke others beyond one message: sessions, tables, monitoring, files and timers, a test for each row.

The rows about single messages are in ``test_cves.py``, those about RTR in ``tests/regressions/test_cves_rtr.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import tracemalloc
from collections.abc import Iterator
from itertools import count

import pytest

from pybgp import IPV4_UNICAST, PrefixLimit
from pybgp.errors import FormatError
from pybgp.formats.bmp import BmpFramer
from pybgp.formats.bmp import decode as decode_bmp
from pybgp.formats.mrt import Record, decode
from pybgp.session.config import RestartState
from pybgp.session.events import Connect, SessionDown, SessionEnded, SessionUp, UpdateReceived
from pybgp.session.state_machine import State
from pybgp.transport.peer import Peer
from pybgp.transport.prefix_limits import PrefixGuard
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import EVPN
from pybgp.wire.framing import Framer
from pybgp.wire.messages import Notification, RouteRefresh, Update, decode_update, encode, end_of_rib
from pybgp.wire.negotiated import Negotiated
from tests.conformance.test_cves import MAC_IP, reach
from tests.pybgp.session.session_examples import (
    GRACEFUL,
    KEEPALIVE,
    drive,
    established,
    neighbor,
    notifications,
    of_kind,
    open_of,
    ours,
    session,
    theirs,
)
from tests.pybgp.transport.test_hostile_peers import VICTIM, connected, open_of_victim, under_attack
from tests.pybgp.transport.test_speaker import Town, run, until

END_OF_RIB = end_of_rib(IPV4_UNICAST)
SHUTDOWN = encode(Notification(6, 2))


@contextlib.contextmanager
def bounded(*, seconds: float, octets: int) -> Iterator[None]:
    """CPU time and memory of what is inside."""
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < seconds
    assert peak < octets


# A, B: sessions.


def test_bird_2_17_1_cve_2025_59688_connections_to_a_disabled_neighbour() -> None:
    """They are refused without a message, in any number, also while the neighbour is being torn down."""
    machine = neighbor()
    dialled = next(event for event in machine.start(0.0) if isinstance(event, Connect)).session
    machine.connection_made(dialled, 0.0)
    machine.receive_data(dialled, open_of(theirs()) + KEEPALIVE, 0.0)
    machine.stop(1.0, "bye")
    with bounded(seconds=2.0, octets=200_000):
        for number in range(1000):
            assert machine.accept(1.0 + number) == (None, [])
            for octets in (SHUTDOWN, KEEPALIVE, END_OF_RIB, b"\0" * 19):
                assert machine.receive_data(dialled, octets, 1.0 + number) == []
    assert (machine.state, machine.is_enabled) == (State.IDLE, False)
    assert notifications(dialled.data_to_send())[-1].subcode == 2
    assert any(isinstance(event, Connect) for event in machine.start(2000.0))


def test_bird_2_17_1_a_notification_while_ours_is_on_its_way() -> None:
    machine = established()
    machine.stop(1.0)
    assert machine.receive_data(SHUTDOWN + KEEPALIVE, 1.0) == []
    assert [item.subcode for item in notifications(machine.data_to_send())] == [2]


def test_openbsd_7_3_errata_009_nothing_is_read_after_a_limit_closed_the_session() -> None:
    machine = established()
    first = machine.receive_data(END_OF_RIB, 1.0)
    assert of_kind(first, UpdateReceived)
    machine.stop(1.0, subcode=1)
    for octets in (SHUTDOWN, END_OF_RIB, SHUTDOWN[:20], SHUTDOWN[20:]):
        assert machine.receive_data(octets, 2.0) == []
    assert [item.subcode for item in notifications(machine.data_to_send())] == [1]
    assert machine.state is State.IDLE


def test_cve_2026_37460_attributes_of_rfapi_are_opaque() -> None:
    """There is no such consumer here: the encapsulation attributes of VNC (255, and 23 of its type) are only kept."""
    octets = bytes.fromhex("40010100 400206 0201 0000fde9 4003040a000001 c0ff06 0102030405ff")
    body = b"\0\0" + len(octets).to_bytes(2, "big") + octets + b"\x18\xc0\0\2"
    message = b"\xff" * 16 + (19 + len(body)).to_bytes(2, "big") + b"\2" + body
    update = decode_update(message, Negotiated(65000, 65001, 1, 2), AttributeStore())
    assert update.faults == ()
    assert update.attributes is not None
    assert update.attributes.value_octets(255) == bytes.fromhex("0102030405ff")


def test_cve_2026_5107_a_mac_route_stays_in_its_family() -> None:
    """Nobody here imports EVPN into other tables; a route's key is its own fields, whatever else it claims."""
    on = Negotiated(65000, 65001, 1, 2, families=frozenset({EVPN, IPV4_UNICAST}))
    update = decode_update(reach("001946", "0a000001", MAC_IP), on, AttributeStore())
    assert isinstance(update, Update)
    assert [item.family for item in update.announced] == [EVPN]
    other = decode_update(reach("001946", "0a000001", MAC_IP[:-2] + "65"), on, AttributeStore())
    assert isinstance(other, Update)
    assert update.announced[0].keys != other.announced[0].keys


# F: files, monitoring, timers.

#: the body of a RIB entry: sequence, 24 bits, how many entries, then peer index, time, attribute length.
RIB = "00000001 18 c00002 0001 0000 00000000"


@pytest.mark.parametrize(
    ("subtype", "body"),
    [
        (1, "0a000001 ffff 61 0000"),
        (1, "0a000001 0002 61"),
        (1, "0a000001 0000 ffff"),
        (1, "0a000001 0000 0001 03 0a000001"),
        (2, RIB + "ffff"),
        (2, RIB + "0005 40010100"),
        (2, RIB.replace("0001 0000", "ffff 0000") + "0004 40010100"),
        (2, "00000001 21 c0000200 00"),
        (6, "00000001 0001 01 ff"),
        (8, RIB + "00000001 ffff 40010100"),
    ],
)
def test_cve_2026_7736_cve_2025_43972_lengths_in_mrt_are_bounded_by_their_record(subtype: int, body: str) -> None:
    with bounded(seconds=0.5, octets=200_000), pytest.raises(FormatError):
        decode(Record(0, 13, subtype, bytes.fromhex(body)))


@pytest.mark.parametrize("kind", range(7))
def test_bmp_short_messages_are_typed_errors(kind: int) -> None:
    for length in range(80):
        octets = b"\3" + (6 + length).to_bytes(4, "big") + bytes([kind]) + b"\xff" * length
        with bounded(seconds=0.5, octets=200_000), contextlib.suppress(FormatError):
            decode_bmp(octets)
    for claimed in (0, 5, 2**31, 2**32 - 1):
        framer = BmpFramer()
        framer.feed(b"\3" + claimed.to_bytes(4, "big") + bytes([kind]))
        with bounded(seconds=0.5, octets=200_000), pytest.raises(FormatError):
            framer.next_message()


def test_cve_2020_1662_a_peer_that_flaps_at_its_limit() -> None:
    """RFC 2439 damping is not here; the rest between sessions grows to its bound, and nothing else grows."""
    machine = neighbor(ours(idle_hold_time=1.0, maximum_idle_hold_time=60.0))
    dialled = next(event for event in machine.start(0.0) if isinstance(event, Connect)).session
    now, gaps = 0.0, []
    with bounded(seconds=5.0, octets=2_000_000):
        for _ in range(500):
            machine.connection_made(dialled, now)
            events = machine.receive_data(dialled, open_of(theirs()) + KEEPALIVE, now)
            assert of_kind(events, SessionUp)
            events = machine.receive_data(dialled, encode(Notification(6, 1)), now)
            assert of_kind(events, SessionDown)
            ended = now
            connects: list[Connect] = []
            while not connects:
                timer = machine.next_timer()
                assert timer is not None
                now = max(now, timer)
                connects = of_kind(machine.handle_timer(now), Connect)
            dialled = connects[0].session
            gaps.append(now - ended)
    assert gaps[0] < gaps[3] < gaps[-1]
    assert max(gaps) <= 60.0 + 5.0


def test_zombie_peers_are_found_by_the_send_hold_timer() -> None:
    """It sends KEEPALIVEs for ever and takes nothing: RFC 9687."""
    machine = established()
    ended = 0.0
    for now in count(10, 10):
        events = machine.receive_data(KEEPALIVE, float(now)) + machine.handle_timer(float(now))
        if of_kind(events, SessionDown):
            ended = float(now)
            break
    assert ended == 480.0


@pytest.mark.parametrize("maximum", [1, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("percent", [1, 75, 100])
def test_frr_a2ae427_the_threshold_of_a_limit_does_not_overflow(maximum: int, percent: int) -> None:
    limit = PrefixLimit(maximum, percent)
    assert 1 <= limit.warning <= maximum
    assert limit.warning in (1, maximum * percent // 100)
    guard = PrefixGuard("n", Peer(ours(), lambda peer, event: None), limit)
    assert guard.admit(IPV4_UNICAST, (), [b"\x08\x0a"]) == [b"\x08\x0a"]


@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED])
def test_cve_2022_37035_a_connection_that_closes_while_it_is_read(state: State) -> None:
    """One owner: whatever comes behind the end, in any order and number, is nothing."""
    late = (KEEPALIVE, SHUTDOWN, END_OF_RIB, b"", b"\0" * 40)
    for octets in late:
        machine = drive(session(), state)
        events = machine.receive_data(SHUTDOWN + octets, 1.0)
        assert len(of_kind(events, SessionEnded)) == 1
        for again in late:
            assert machine.receive_data(again, 1.0) == []
            assert not [event for event in machine.connection_failed(1.0, "reset") if isinstance(event, SessionEnded)]
            assert machine.handle_timer(10_000.0) == []
        assert machine.data_to_send() == b""


@pytest.mark.parametrize("hold_time", [1, 2])
def test_hold_time_1_and_2_are_refused(hold_time: int) -> None:
    machine = drive(session(), State.OPEN_SENT)
    octets = open_of(theirs())
    machine.receive_data(octets[:22] + hold_time.to_bytes(2, "big") + octets[24:], 0.0)
    assert notifications(machine.data_to_send()) == [Notification(2, 6, hold_time.to_bytes(2, "big"))]


@pytest.mark.parametrize(("mine", "peers"), [(0, 90), (90, 0), (0, 0)])
def test_hold_time_0_of_one_side_stops_both_timers(mine: int, peers: int) -> None:
    machine = established(ours(hold_time=mine), theirs(hold_time=peers))
    assert not {"hold", "keepalive", "send_hold"} & machine.timers(0.0).keys()
    assert machine.handle_timer(1e9) == []
    assert machine.state is State.ESTABLISHED


def test_flood_of_route_refresh() -> None:
    """Ten thousand requests in a few reads: the table is sent a few times, not ten thousand."""
    request = encode(RouteRefresh(IPV4_UNICAST))

    async def scenario(place: Town) -> None:
        loop = asyncio.get_running_loop()
        async with under_attack(place) as one:
            one.announce([f"10.1.{number}.0/24" for number in range(200)])
            with await connected(place, VICTIM) as connection:
                await loop.sock_sendall(connection, open_of_victim() + KEEPALIVE)
                await until(lambda: one.peers()["n3"].state == "Established")
                framer, announced = Framer(), 0

                async def read() -> None:
                    nonlocal announced
                    while octets := await loop.sock_recv(connection, 65536):
                        framer.feed(octets)
                        while (message := framer.next_message()) is not None:
                            announced += message[18] == 2

                reading = asyncio.create_task(read())
                for _ in range(10):
                    await loop.sock_sendall(connection, request * 1000 + KEEPALIVE)
                await until(lambda: one.peers()["n3"].state == "Established" and announced > 1)
                # A prefix that comes after them all shows that they are over.
                before = announced
                one.announce("192.0.2.128/25")
                await until(lambda: announced > before)
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
                assert announced < 500

    run(scenario)


def test_calico_9575_the_f_bit_follows_what_was_kept_in_every_first_open() -> None:
    """About a fifth of nodes said F=0 by a race; here the bit is a function of what the process found at its start."""
    for kept in (True, False):
        preserved = frozenset({IPV4_UNICAST}) if kept else frozenset()
        said = {
            open_of(ours(graceful_restart=GRACEFUL), RestartState(restarting=True, preserved=preserved))
            for _ in range(50)
        }
        (octets,) = said
        # Code 64, R and N, 120 seconds, IPv4 unicast, and its F bit.
        assert bytes.fromhex("4006 c078 0001 01" + ("80" if kept else "00")) in octets
