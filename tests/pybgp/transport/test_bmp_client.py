"""A speaker and monitoring stations on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, LocalError, PeerConfig, Speaker, SpeakerConfig
from pybgp.formats.bmp import (
    DownReason,
    Initiation,
    PeerDown,
    PeerUp,
    RouteMonitoring,
    StatisticsReport,
    StatisticType,
    Termination,
    decode,
    encode,
)
from pybgp.formats.bmp_station import Heard, Station
from pybgp.session.events import DownReason as SessionDownReason
from pybgp.session.events import SessionDown, SessionUp
from pybgp.transport import bmp_reports
from pybgp.transport.bmp_client import BmpClient
from pybgp.transport.bmp_config import BmpConfig
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.capabilities import FourOctetAs
from pybgp.wire.iana import Origin
from pybgp.wire.messages import Notification, Open, decode_open
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.nlri import format_prefix
from tests.pybgp.transport.test_speaker import free_port, until

HERE, THERE = "127.0.1.61", "127.0.1.62"
SOON = {"first_retry_time": 0.05, "longest_retry_time": 0.1}


class Listening:
    """A station that keeps what it hears, connection by connection, and may be told not to read."""

    def __init__(self) -> None:
        self.connections: list[list[Heard]] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard: list[Heard] = []
        self.connections.append(heard)
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        station = Station()
        await self.may_read.wait()
        try:
            while data := await reader.read(65536):
                heard += station.receive_data(data)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        self.may_read.set()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.wait(self._tasks)
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def hang_up(self) -> None:
        self._writers[-1].close()

    @property
    def last(self) -> list[Heard]:
        return self.connections[-1] if self.connections else []

    def of_kind(self, kind: type) -> list[Any]:
        return [item.message for item in self.last if isinstance(item.message, kind)]

    def prefixes(self, *, loc_rib: bool) -> set[str]:
        """What is announced and not withdrawn again."""
        found: set[str] = set()
        for message, update, error in self.last:
            assert error is None
            if isinstance(message, RouteMonitoring) and update is not None and message.peer.is_loc_rib == loc_rib:
                found |= {format_prefix(IPV4_UNICAST, key) for item in update.announced for key in item.keys}
                found -= {format_prefix(IPV4_UNICAST, key) for item in update.withdrawn for key in item.keys}
        return found

    def ends(self, *, loc_rib: bool) -> int:
        updates = [
            item.update
            for item in self.last
            if isinstance(item.message, RouteMonitoring) and item.message.peer.is_loc_rib == loc_rib
        ]
        return sum(update is not None and update.end_of_rib == IPV4_UNICAST for update in updates)


@asynccontextmanager
async def station() -> AsyncIterator[Listening]:
    listening = Listening()
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(listening.serve, sock=probe)
    listening.port = probe.getsockname()[1]
    async with server, asyncio.timeout(20):
        try:
            yield listening
        finally:
            await listening.close()


def pair(port: int, **options: Any) -> tuple[Speaker, Speaker]:
    """A monitored speaker and its neighbour in another AS."""
    bgp = free_port()
    policies = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
    stations = (BmpConfig("127.0.0.1", port, **{**SOON, **options}),)
    # A loopback address is no next hop, so each names another one.
    listen, hop = ((HERE, bgp),), ("10.0.0.61",)
    ours = Speaker(SpeakerConfig(64512, hop[0], listen=listen, next_hops=hop, bmp_stations=stations, **policies))
    theirs = Speaker(SpeakerConfig(64513, "10.0.0.62", next_hops=("10.0.0.62",), **policies))
    ours.configure({"other": ours.peer(THERE, 64513, passive=True, local_address=HERE, port=bgp, idle_hold_time=0.1)})
    theirs.configure({"ours": theirs.peer(HERE, 64512, local_address=THERE, port=bgp, connect_retry_time=0.3)})
    return ours, theirs


def test_a_station_is_told_everything_then_what_changes() -> None:
    async def scenario() -> None:
        async with station() as heard:
            ours, theirs = pair(heard.port, system_name="tower")
            ours.announce("203.0.113.0/24")
            theirs.announce(["198.51.100.0/24", "192.0.2.0/24"])
            async with ours:
                async with theirs:
                    await until(lambda: heard.prefixes(loc_rib=False) == {"198.51.100.0/24", "192.0.2.0/24"})
                    await until(lambda: len(heard.prefixes(loc_rib=True)) == 3)
                    theirs.withdraw("192.0.2.0/24")
                    await until(lambda: heard.prefixes(loc_rib=False) == {"198.51.100.0/24"})
                    await until(lambda: heard.prefixes(loc_rib=True) == {"198.51.100.0/24", "203.0.113.0/24"})
                    await until(lambda: heard.ends(loc_rib=True) == 1)
                await until(lambda: heard.of_kind(PeerDown) != [])
                await until(lambda: heard.prefixes(loc_rib=True) == {"203.0.113.0/24"})
            await until(lambda: heard.of_kind(Termination) != [])
            check_order(heard)

    asyncio.run(scenario())


def check_order(heard: Listening) -> None:
    messages = [item.message for item in heard.last]
    assert isinstance(messages[0], Initiation)
    assert [item.text for item in messages[0].information] == ["pybgp", "tower"]
    table, session = heard.of_kind(PeerUp)
    assert (table.peer.is_loc_rib, table.sent_open) == (True, table.received_open)
    assert str(ip_address(session.peer.address)) == THERE
    assert str(ip_address(session.local_address)) == HERE
    assert session.remote_port != 0
    (down,) = heard.of_kind(PeerDown)
    assert (down.reason, down.notification[19:21]) == (DownReason.REMOTE_NOTIFICATION, b"\x06\x02")
    assert messages[-1] == Termination(messages[-1].information)  # type: ignore[union-attr]  # just seen
    assert messages[-1].reason == 0  # type: ignore[union-attr]


def test_a_later_connection_begins_anew() -> None:
    async def scenario() -> None:
        async with station() as heard:
            ours, theirs = pair(heard.port)
            theirs.announce([f"10.{number}.0.0/16" for number in range(50)])
            async with ours, theirs:
                await until(lambda: len(heard.prefixes(loc_rib=False)) == 50)
                heard.hang_up()
                await until(lambda: len(heard.connections) == 2 and heard.ends(loc_rib=False) == 1)
                assert len(heard.prefixes(loc_rib=False)) == len(heard.prefixes(loc_rib=True)) == 50

    asyncio.run(scenario())


def test_a_station_that_does_not_read_is_dropped_and_told_again() -> None:
    """A monitoring station never blocks BGP: bounded queue, disconnect, redump (spec section 10)."""

    async def scenario() -> None:
        async with station() as heard:
            ours, theirs = pair(heard.port, queue_limit=256 * 1024, adj_rib_in=False)
            heard.may_read.clear()
            async with ours, theirs:
                (client,) = ours.bmp_clients
                await until(lambda: client.is_connected and ours.peers()["other"].state == "Established")
                number = 0
                while not client.overflows:
                    marks = range(number, number + 900)
                    ours.announce(f"10.{number >> 8 & 255}.{number & 255}.0/24", communities=marks)
                    number += 1
                    assert number < 65536
                    await asyncio.sleep(0)
                await until(lambda: len(theirs.best(IPV4_UNICAST)) == number)
                assert ours.peers()["other"].established_count == 1
                heard.may_read.set()
                await until(lambda: len(heard.connections) > 1 and heard.ends(loc_rib=True) == 1)
                assert len(heard.prefixes(loc_rib=True)) == number

    asyncio.run(scenario())


def test_statistics_count_what_the_tables_hold() -> None:
    async def scenario() -> None:
        async with station() as heard:
            ours, theirs = pair(heard.port, statistics_interval=0.05)
            theirs.announce(["198.51.100.0/24", "192.0.2.0/24"])

            def counts() -> list[int]:
                reports = [report.numbers() for report in heard.of_kind(StatisticsReport)[-2:]]
                wanted = (StatisticType.FAMILY_ADJ_RIB_IN, StatisticType.FAMILY_LOC_RIB)
                return [
                    report[kind, IPV4_UNICAST]
                    for report in reports
                    for kind in wanted
                    if (kind, IPV4_UNICAST) in report
                ]

            async with ours, theirs:
                await until(lambda: counts() == [2, 2])

    asyncio.run(scenario())


def test_a_station_that_is_not_there_is_tried_again() -> None:
    async def scenario() -> None:
        ours, _ = pair(free_port())
        async with ours, asyncio.timeout(10):
            await asyncio.sleep(0.2)
            assert not ours.bmp_clients[0].is_connected

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("event", "reason", "data"),
    [
        (SessionDown(SessionDownReason.HOLD_EXPIRED, "", sent=Notification(4)), 1, "04"),
        (SessionDown(SessionDownReason.NOTIFICATION_RECEIVED, "", received=Notification(6, 4)), 3, "0604"),
        (SessionDown(SessionDownReason.STOPPED, ""), 2, "0002"),
        (SessionDown(SessionDownReason.TCP_FAILED, ""), 4, ""),
    ],
)
def test_each_end_has_its_reason(event: SessionDown, reason: int, data: str) -> None:
    header = bmp_reports.table_header(SpeakerConfig(64512, "10.0.0.1"), 5.5)
    message = bmp_reports.peer_down(header, event)
    assert (message.reason, decode(encode(message))) == (reason, message)
    assert data in message.data.hex()
    assert (header.seconds, header.microseconds) == (5, 500_000)


def test_a_peer_that_contradicts_itself_is_monitored_all_the_same() -> None:
    """Two AS numbers in one OPEN: it was read, and could not be written as it was."""
    twice = Open(64513, 90, 7, (FourOctetAs(64514), FourOctetAs(64513)))
    config = PeerConfig("fe80::1%lo", 64513, 64512, 1)
    peer = SimpleNamespace(config=config, local_address="fe80::2%lo", ports=(179, 40000))
    event = SessionUp(Negotiated(64512, 64513, 1, 7), twice, Open(64512, 90, 1))
    message = bmp_reports.peer_up(peer, event, 1.0)  # type: ignore[arg-type]  # what is asked of a peer
    assert decode(encode(message)) == message
    assert decode_open(message.received_open) == Open(64513, 90, 7, (FourOctetAs(64513),))
    assert message.local_address[:2] == message.peer.address[:2] == b"\xfe\x80"


def test_a_callback_that_fails_does_not_harm_the_session() -> None:
    async def scenario() -> None:
        async with station() as heard:
            ours, theirs = pair(heard.port)
            calls: list[str] = []

            def fail(name: str, *_: object) -> None:
                calls.append(name)
                raise RuntimeError(name)

            ours.on_event(fail)
            theirs.announce("198.51.100.0/24")
            async with ours, theirs:
                await until(lambda: heard.prefixes(loc_rib=False) == {"198.51.100.0/24"})
            assert set(calls) == {"other"}

    asyncio.run(scenario())


@pytest.mark.parametrize(("wanted", "messages"), [(True, 3), (False, 1)])
def test_a_dump_stops_where_nobody_wants_it(wanted: bool, messages: int) -> None:
    """A peer that goes down meanwhile gets no End-of-RIB behind its Peer Down."""

    class Writer:
        transport = SimpleNamespace(get_write_buffer_size=lambda: 0)

        def __init__(self) -> None:
            self.written: list[bytes] = []

        def write(self, octets: bytes) -> None:
            self.written.append(octets)

        async def drain(self) -> None:
            pass

    async def scenario() -> list[bytes]:
        speaker = Speaker(SpeakerConfig(64512, "10.0.0.1"))
        client = BmpClient(speaker, BmpConfig("127.0.0.1", 1))
        values = {1: Origin.IGP, 2: AsPath.sequence(64512)}
        attributes = Attributes.build(values, bytes([192, 0, 2, 1]))
        path = SimpleNamespace(received=attributes, attributes=attributes)
        table: Any = {bytes([24, 10, number >> 8, number & 255]): path for number in range(1200)}
        writer: Any = Writer()
        client._writer = writer
        header = bmp_reports.table_header(speaker.config, 1.0)
        await client._dump_table(writer, header, IPV4_UNICAST, table, lambda: wanted)
        return list(writer.written)

    found = asyncio.run(scenario())
    assert len(found) == messages
    assert (len(found[-1]) == 48 + 23) == wanted


def test_a_route_that_no_update_holds_is_left_out() -> None:
    header = bmp_reports.table_header(SpeakerConfig(64512, "10.0.0.1"), 1.0)
    key = bytes([24, 10, 0, 0])
    values = {1: Origin.IGP, 2: AsPath.sequence(64512)}
    for count, messages in ((10, 1), (2000, 1), (16383, 0)):
        attributes = Attributes.build({**values, 8: list(range(count))})
        found = list(bmp_reports.routes(header, IPV4_UNICAST, [key], attributes))
        assert len(found) == messages
    assert len(encode(found[0]) if found else b"") < 70000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": ""}, "bmp host"),
        ({"port": 0}, "bmp port 0"),
        ({"queue_limit": 1}, "queue_limit 1"),
        ({"statistics_interval": -1}, "statistics_interval -1"),
        ({"first_retry_time": 0}, "first_retry_time 0"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        BmpConfig(**{"host": "192.0.2.1", "port": 11019, **options})
