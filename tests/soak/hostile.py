"""A million connections that mean no good: `python -m tests.soak.hostile [--connections 1000000]`, on loopback.

Processes of their own connect as fast as they can to a speaker, from strangers, from a configured neighbour's address
and from the range of dynamic neighbours: they say nothing, garbage, or the beginning of an OPEN, and reset the
connection; some stay open and silent for a while, so that there are always half-open ones.  Meanwhile the speaker has a
session with a hold time of 3 s, over which a route is announced and withdrawn once a second.  In the end

- that session was never lost, no turn of the loop took a third of its hold time, and every change of the route arrived,
- the process has the open files that it had, and its memory is within an allowance that does not depend on the number.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import random
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.sharedctypes import Synchronized

import structlog

from pybgp import Speaker
from tests.pybgp.transport.test_hostile_peers import STRANGER, VICTIM, Watch, open_of_victim, resident, under_attack
from tests.pybgp.transport.test_speaker import Town, run, until

ATTACKERS, THREADS = 2, 16
TARGET = "127.0.1.1"
PROBE = "198.51.100.0/24"
#: half-open connections that each thread keeps.
SILENT = 4
Counters = Sequence[tuple[Synchronized, Synchronized]]  # type: ignore[type-arg]  # it is generic for checkers alone
#: a reset frees the port at once; there are not enough of them for a million in TIME_WAIT.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def attack(port: int, number: int, seed: int, done: Synchronized[int], refused: Synchronized[int]) -> None:
    """Make so many connections, many at a time: a full backlog makes each of them wait for a second."""
    threads = [
        threading.Thread(target=_attack, args=(port, number // THREADS, seed * THREADS + place, done, refused))
        for place in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _attack(port: int, number: int, seed: int, done: Synchronized[int], refused: Synchronized[int]) -> None:
    chosen = random.Random(seed)
    opening = open_of_victim()
    starts = (b"", b"\xff" * 16, opening[:40], b"GET / HTTP/1.1\r\n\r\n", chosen.randbytes(200))
    silent: deque[socket.socket] = deque()
    sources = (STRANGER, VICTIM, *(f"127.0.8.{last}" for last in range(1, 255)))
    for count in range(number):
        connection = socket.socket()
        connection.settimeout(5.0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            connection.bind((chosen.choice(sources), 0))
            connection.connect((TARGET, port))
            connection.send(chosen.choice(starts) + chosen.randbytes(chosen.randrange(100)))
        except OSError:
            with refused.get_lock():
                refused.value += 1
        if count % 20:
            connection.close()
        else:
            silent.append(connection)
            if len(silent) > SILENT:
                silent.popleft().close()
        with done.get_lock():
            done.value += 1
    for connection in silent:
        connection.close()


async def probe(place: Town, speakers: tuple[Speaker, Speaker]) -> int:
    """Announce and withdraw a route once a second until cancelled; each change must arrive."""
    one, two = speakers
    changes = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            two.announce(PROBE)
            await until(lambda: PROBE in place.seen(1))
            await asyncio.sleep(0.5)
            two.withdraw([PROBE])
            await until(lambda: PROBE not in place.seen(1))
            await asyncio.sleep(0.5)
            changes += 2
            assert one.peers()["n2"].state == "Established"
    return changes


def soak(connections: int, *, seed: int = 1, quiet: bool = True) -> str:
    """Return what happened; AssertionError if a promise of the module's head is broken."""
    context = multiprocessing.get_context("spawn")
    counters = [(context.Value("q", 0), context.Value("q", 0)) for _ in range(ATTACKERS)]
    said = ""

    async def scenario(place: Town) -> None:
        nonlocal said
        async with under_attack(place) as one:
            before, started = resident(), time.monotonic()
            share = connections // ATTACKERS // THREADS * THREADS
            attackers = [
                context.Process(target=attack, args=(place.port, share, seed + place_of, *counters[place_of]))
                for place_of in range(ATTACKERS)
            ]
            for process in attackers:
                process.start()
            watch = Watch()
            watching = asyncio.create_task(watch.run())
            probing = asyncio.create_task(probe(place, (one, place.speakers[2])))
            largest = before
            try:
                while any(process.is_alive() for process in attackers):
                    await asyncio.sleep(1.0)
                    if probing.done():
                        probing.result()
                    largest = max(largest, resident())
                    if not quiet:
                        shown = _line(counters, started, largest - before, watch.longest)
                        print(f"\r{shown}", end="", flush=True)
            finally:
                for process in attackers:
                    process.terminate()
                    process.join()
                    process.close()
                probing.cancel()
                watching.cancel()
            changes = await probing
            assert [done.value for done, _ in counters] == [share] * ATTACKERS
            await until(lambda: len(one.peers()) == 2)
            said = f"{_line(counters, started, largest - before, watch.longest)}, {changes} changes of a route arrived"

    run(scenario)
    return said


def _line(
    counters: Sequence[tuple[Synchronized[int], Synchronized[int]]], started: float, grown: int, away: float
) -> str:
    done, refused = (sum(pair[which].value for pair in counters) for which in (0, 1))
    rate = done / (time.monotonic() - started)
    size = f"memory +{grown / 2**20:.1f} MiB, longest pause of the loop {1000 * away:.0f} ms"
    return f"{done:,} connections, {rate:,.0f} a second, {refused:,} not taken, {size}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    text = soak(chosen.connections, seed=chosen.seed, quiet=False)
    print(f"\r{text}; the other session never went down, no turn of its loop took a third of its hold time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
