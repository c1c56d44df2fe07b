"""pybgp's Speaker as a program under test: `python -m tests.benchmarks.tables.our_speaker CONFIGURATION`.

Beside the configuration it keeps the file `figures`: how many routes it holds, and the longest time in seconds that
the event loop was blocked so far.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pybgp import IPV4_UNICAST, IPV6_UNICAST, Speaker, SpeakerConfig
from pybgp.rib.policy import (
    ACCEPT_ALL,
    REJECT_ALL,
    Clause,
    Policy,
    PrefixMatch,
    PrefixSet,
    RoutePolicy,
    Verdict,
)
from pybgp.session.route_options import RouteOptions

HEARTBEAT_SECONDS = 0.005
REPORT_SECONDS = 0.2


class Heart:
    """Beats often; the CPU time between two beats is at least what the longest turn took.

    Wall time would count other programs in, and every machine that measures has some.
    """

    def __init__(self) -> None:
        self.longest_block = 0.0
        self._loop = asyncio.get_running_loop()
        self._used = 0.0

    def start(self) -> None:
        self._used = time.process_time()
        self._loop.call_later(HEARTBEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self.longest_block = max(self.longest_block, time.process_time() - self._used)
        self.start()


def import_policy(taken: Sequence[str]) -> Policy:
    """Take what is in a set, or everything if there is none."""
    if not taken:
        return ACCEPT_ALL
    return RoutePolicy("some", [Clause("in", (PrefixMatch(PrefixSet.of(*taken)),), (), Verdict.ACCEPT)])


async def run(document: dict[str, Any], report: Callable[[dict[str, float]], None]) -> None:
    config = SpeakerConfig(
        local_as=document["asn"],
        router_id=document["address"],
        listen=((document["address"], 179),),
        import_policy=import_policy(document.get("taken", ())),
        export_policy=ACCEPT_ALL if document["exports"] else REJECT_ALL,
    )
    speaker = Speaker(config)
    speaker.configure(
        {
            address: speaker.peer(
                address,
                asn,
                passive=True,
                hold_time=hold_time,
                ttl=4,
                families=(IPV4_UNICAST, IPV6_UNICAST) if ipv6 else (IPV4_UNICAST,),
                routes=RouteOptions(reflector_client=asn == document["asn"] and document["exports"]),
                **document.get("options", {}),
            )
            for address, asn, ipv6, hold_time in document["peers"]
        }
    )
    await speaker.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    heart = Heart()
    if document.get("times_turns", True):
        heart.start()
    reported: dict[str, float] = {}
    while not over.is_set():
        routes = sum(len(speaker.best(family)) for family in (IPV4_UNICAST, IPV6_UNICAST))
        figures = {"routes": routes, "longest_block": heart.longest_block}
        if figures != reported:
            report(figures)
            reported = figures
        await asyncio.sleep(REPORT_SECONDS)
    await speaker.stop()


def replace(path: Path, text: str) -> None:
    """Write a file that a reader never finds half written."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def main() -> None:
    # The agent's own tuning (style: garbage collection is tuned by the program, never by the library).
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    path = Path(sys.argv[1])
    figures = path.with_name("figures")
    asyncio.run(run(json.loads(path.read_text()), lambda found: replace(figures, json.dumps(found))))


if __name__ == "__main__":
    main()
