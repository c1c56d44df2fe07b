"""Connections that mean no good: the other sessions keep their hold timers, and memory stays bounded.

PYBGP_HOSTILE_SECONDS makes the attacks longer; a million connections take a few minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

from pybgp import IPV4_UNICAST, DynamicPeers, Speaker
from pybgp.session.session import Session
from pybgp.transport.peer_connection import _HIGH_WATER, PeerConnection
from pybgp.wire.iana import MARKER
from pybgp.wire.messages import Keepalive, encode
from tests.pybgp.session.session_examples import open_of as octets_of_open
from tests.pybgp.session.session_examples import ours
from tests.pybgp.transport.test_speaker import Town, run, until

SECONDS = float(os.environ.get("PYBGP_HOSTILE_SECONDS", "3.5"))
#: The shortest that BGP knows, so that a turn of the loop that is too long shows soon.
HOLD_TIME = 3
#: The attackers' address for single connections, that of a configured neighbour, and the range of dynamic ones.
STRANGER, VICTIM, CROWD = "127.0.9.1", "127.0.1.3", "127.0.8.0/24"
#: What may be gained in memory over an attack: buffers and caches of the process itself.
ALLOWANCE = 24 * 1024 * 1024
KEEPALIVE = encode(Keepalive())


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (names are all that is wanted)


def open_of_victim() -> bytes:
    return octets_of_open(ours(local_as=64512, remote_as=64512, router_id=0x0A000003, hold_time=HOLD_TIME))


class Watch:
    """Measures how long the loop is away at a time."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.longest = max(self.longest, time.monotonic() - before - 0.01)


@asynccontextmanager
async def under_attack(place: Town, **options: object) -> AsyncIterator[Speaker]:
    """Two healthy speakers, one of which also has the victim as a neighbour; afterwards all must be as before."""
    one, two = place.make(1, **options), place.make(2)
    place.join(1, 2, 3, hold_time=HOLD_TIME)
    place.join(2, 1, hold_time=HOLD_TIME)
    template = one.peer("192.0.2.1", 64512, open_time=1.0)
    one.configure_dynamic({"crowd": DynamicPeers(CROWD, template, limit=20, linger=0.5)})
    for speaker in (one, two):
        await speaker.start()
    await until(lambda: one.peers()["n2"].state == "Established")
    watch, memory, files = Watch(), resident(), open_files()
    watching = asyncio.create_task(watch.run())
    try:
        yield one
        two.announce("192.0.2.0/24")
        await until(lambda: "192.0.2.0/24" in place.seen(1))
    finally:
        watching.cancel()
    assert one.peers()["n2"].established_count == two.peers()["n1"].established_count == 1
    assert watch.longest < HOLD_TIME / 3, "a KEEPALIVE could have been late"
    await until(lambda: open_files() <= files + 2)
    assert resident() - memory < ALLOWANCE


async def connected(place: Town, source: str, *, receive_buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Port numbers are few, and each closed connection keeps its own for a while: a reset sets it free.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.1.1", place.port))
    return connection


async def hammer(attack: Callable[[], Awaitable[None]], *, workers: int = 8) -> int:
    """Repeat an attack from several sides for the time of a test; return how often it happened."""
    done = count()
    end = time.monotonic() + SECONDS

    async def work() -> None:
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                await attack()
            next(done)

    await asyncio.gather(*(work() for _ in range(workers)))
    return next(done)


def test_garbage_connections() -> None:
    """From strangers, from a configured neighbour's address, and from the range of dynamic ones."""

    async def scenario(place: Town) -> None:
        random = Random(7)
        loop = asyncio.get_running_loop()

        async def attack() -> None:
            source = random.choice((STRANGER, VICTIM, f"127.0.8.{random.randrange(1, 255)}"))
            start = random.choice((b"", b"\xff" * 16, open_of_victim()[: random.randrange(40)]))
            with await connected(place, source) as connection:
                await loop.sock_sendall(connection, start + random.randbytes(random.randrange(200)))

        async with under_attack(place) as one:
            number = await hammer(attack)
            assert number > 100
            assert len(one.peers()) <= 2 + 20
            await until(lambda: len(one.peers()) == 2)

    run(scenario)


def test_half_open_connections() -> None:
    """A neighbour has one place for connections that say nothing, and a range no more than its limit."""

    async def scenario(place: Town) -> None:
        async with under_attack(place) as one:
            files = open_files()
            async with contextlib.AsyncExitStack() as stack:
                for number in range(300):
                    source = VICTIM if number % 2 else f"127.0.8.{1 + number // 2}"
                    stack.enter_context(await connected(place, source))
                await asyncio.sleep(0.3)
                ours_only = open_files() - files - 300
                assert ours_only <= 20 + 1 + 4
                # The strangers' time for an OPEN is over while their sockets are still there.
                await until(lambda: len(one.peers()) == 2)

    run(scenario)


def test_slow_peers_that_drip_octets() -> None:
    """An octet now and then restarts no timer: neither for the OPEN nor, later, the hold timer."""

    async def scenario(place: Town) -> None:
        loop = asyncio.get_running_loop()

        async def drip(source: str, start: bytes) -> None:
            with contextlib.suppress(OSError), await connected(place, source) as connection:
                await loop.sock_sendall(connection, start)
                for octet in b"\xff" * 16 + b"\x10\x00\x02" + bytes(4000):
                    await loop.sock_sendall(connection, bytes([octet]))
                    await asyncio.sleep(0.1)

        async with under_attack(place, import_policy=None) as one:
            downs: list[str] = []
            one.on_peer(lambda name, status: downs.append(name) if "Hold timer" in status.last_error else None)
            crowd = [drip(f"127.0.8.{number}", open_of_victim()[:20]) for number in range(1, 20)]
            await asyncio.gather(drip(VICTIM, open_of_victim() + KEEPALIVE), *crowd)
            assert "n3" in downs
            assert sum(name.startswith("crowd/") for name in downs) >= 19

    run(scenario)


def test_a_peer_that_stops_reading() -> None:
    """It is sent what its socket takes; the rest waits as prefixes, not as octets, and its send hold timer runs out."""

    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        place.join(2, 1, hold_time=HOLD_TIME)
        settings = {"port": place.port, "local_address": "127.0.1.1"}
        deaf = one.peer(VICTIM, 64512, hold_time=HOLD_TIME, send_hold_time=4.0, idle_hold_time=60.0, **settings)
        one.configure({"n2": one.peer("127.0.1.2", 64512, hold_time=HOLD_TIME, **settings), "deaf": deaf})
        for speaker in (one, two):
            await speaker.start()
        await until(lambda: one.peers()["n2"].state == "Established")
        watch = Watch()
        watching = asyncio.create_task(watch.run())
        with await connected(place, VICTIM, receive_buffer=4096) as connection:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, open_of_victim() + KEEPALIVE)
            await until(lambda: one.peers()["deaf"].state == "Established")
            peer = one._peerings["deaf"].peer
            session = peer.neighbor.established
            assert session is not None
            prefixes = [f"10.{high}.{low}.0/24" for high in range(30) for low in range(200)]

            async def stay() -> None:
                """Send KEEPALIVEs, so that only the send hold timer can notice."""
                with contextlib.suppress(OSError):
                    while True:
                        await loop.sock_sendall(connection, KEEPALIVE)
                        await asyncio.sleep(0.25)

            staying = asyncio.create_task(stay())
            waiting = 0
            for turn in range(60):
                # Attributes differ, so that every prefix costs an UPDATE of its own.
                for number, prefix in enumerate(prefixes[turn * 100 : (turn + 1) * 100]):
                    one.announce(prefix, communities=range(turn * 100 + number, turn * 100 + number + 200))
                await asyncio.sleep(0)
                waiting = max(
                    (waiting, *(held._transport.get_write_buffer_size() for held in peer._connections.values()))
                )
            assert not peer.can_write
            # One slice of changes may go beyond the mark; the table is 5 MB as UPDATEs.
            assert _HIGH_WATER < waiting < _HIGH_WATER + 2**20
            await until(lambda: len(two.best(IPV4_UNICAST)) == 6000)
            await until(lambda: peer.neighbor.established is not session)
            staying.cancel()
        watching.cancel()
        assert one.peers()["deaf"].last_error == "BGP Error: Send hold timer expired"
        assert one.peers()["n2"].established_count == 1
        assert watch.longest < HOLD_TIME / 3

    run(scenario)


def test_a_session_that_ends_in_the_read_that_brought_it_up_disturbs_nobody() -> None:
    """KEEPALIVE and a malformed UPDATE in one segment: the session was up, with all that follows, and is down."""
    bad_update = MARKER + b"\0\x1b\x02\0\0\0\x04\x40\x01\x01\x07"

    async def scenario(place: Town) -> None:
        failures: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        async with under_attack(place) as speaker:
            connection = await connected(place, VICTIM)
            await loop.sock_sendall(connection, open_of_victim())
            await until(lambda: speaker.peers()["n3"].state == "OpenConfirm")
            await loop.sock_sendall(connection, KEEPALIVE + bad_update)
            await until(lambda: speaker.peers()["n3"].last_error_sent)
            status = speaker.peers()["n3"]
            assert (status.state, status.established_count) == ("Idle", 1)
            connection.close()
        assert failures == []

    run(scenario)


def test_what_ends_badly_leaves_nothing_to_the_garbage_collector() -> None:
    """A program with big tables lets it run seldom, and a neighbour may come back many times a second."""
    malformed = MARKER + b"\0\x17\x02\xff\xff\0\0"

    async def scenario(place: Town) -> None:
        speaker, loop = place.make(1), asyncio.get_running_loop()
        place.join(1, 3, passive=True, idle_hold_time=0.01, maximum_idle_hold_time=0.01)
        await speaker.start()

        async def say(octets: bytes, error: str) -> None:
            with await connected(place, VICTIM) as connection:
                await loop.sock_sendall(connection, octets)
                await until(lambda: speaker.peers()["n3"].last_error == error)
            await until(lambda: speaker.peers()["n3"].state == "Passive")

        def there() -> tuple[int, int]:
            kinds = Counter(map(type, gc.get_objects()))
            return kinds[Session], kinds[PeerConnection]

        gc.collect()
        gc.disable()
        try:
            before = there()
            await say(b"x" * 50, "BGP Error: Connection not synchronized")
            await say(KEEPALIVE, "BGP Error: Unexpected message in OpenSent state")
            await say(open_of_victim() + KEEPALIVE + malformed, "BGP Error: Malformed attribute list")
            await until(lambda: there() == before)
        finally:
            gc.enable()

    run(scenario)
