"""Collect what neighbours send: one MRT file for each of them, and all UPDATEs as JSON lines.

The MRT files hold every message of both directions (BGP4MP_ET, RFC 6396) and grow over restarts; nothing is announced.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

import structlog

from pybgp import (
    REJECT_ALL,
    BgpError,
    Family,
    NlriSet,
    PeerConfig,
    SessionDown,
    SessionUp,
    Speaker,
    SpeakerConfig,
    UpdateReceived,
    attributes_to_json,
    format_nlri,
    parse_family,
)
from pybgp.formats.mrt import Ends
from pybgp.tools.recorder import MrtRecorder


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Collect the routes of neighbours as MRT and JSON lines.")
    parser.add_argument("peers", nargs="+", metavar="ADDRESS,AS[,PORT]", help="who is collected from")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS", help="take connections here")
    parser.add_argument("--listen-port", type=int, default=179)
    parser.add_argument("--family", action="append", type=parse_family, help="default: ipv4-unicast ipv6-unicast")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the MRT files and updates.jsonl go")
    return parser.parse_args()


def by_family(sets: Sequence[NlriSet]) -> dict[str, list[str]]:
    return {str(family): [format_nlri(family, key) for key in keys] for family, keys, _ in sets}


def facts(event: object) -> dict[str, object] | None:
    """Return what a line says about an event; None for what no line tells of."""
    if isinstance(event, SessionUp):
        return {"type": "up", "families": [str(family) for family in sorted(event.negotiated.families)]}
    if isinstance(event, SessionDown):
        return {"type": "down", "reason": event.reason.value, "text": event.text}
    if not isinstance(event, UpdateReceived):
        return None
    update = event.update
    found: dict[str, object] = {"type": "update"}
    if update.withdrawn:
        found["withdrawn"] = by_family(update.withdrawn)
    if update.announced:
        found["announced"] = by_family(update.announced)
    if update.announced and update.attributes is not None:
        found["attributes"] = attributes_to_json(update.attributes)
    if update.end_of_rib is not None:
        found["end_of_rib"] = str(update.end_of_rib)
    if update.faults:
        found["faults"] = [fault.reason for fault in update.faults]
    return found


class Collector:
    """A speaker that writes down what it hears."""

    def __init__(self, options: argparse.Namespace, lines: TextIO, files: ExitStack) -> None:
        listen = tuple((address, options.listen_port) for address in options.listen)
        config = SpeakerConfig(
            options.local_as, options.router_id, listen=listen, import_policy=REJECT_ALL, export_policy=REJECT_ALL
        )
        self.speaker = Speaker(config)
        self._lines = lines
        families = tuple(options.family or map(parse_family, ("ipv4-unicast", "ipv6-unicast")))
        peers = dict(self._peer(text, families) for text in options.peers)
        self.speaker.configure(peers)
        for name in peers:
            path = options.directory / f"{name.replace(':', '-')}.mrt"
            # Unbuffered: what was heard is in the file, whatever becomes of this process.
            self._record(name, files.enter_context(path.open("ab", buffering=0)))
        self.speaker.on_event(self._note)

    def _peer(self, text: str, families: tuple[Family, ...]) -> tuple[str, PeerConfig]:
        address, _, rest = text.partition(",")
        asn, _, port = rest.partition(",")
        if not asn.isdecimal() or not (port or "179").isdecimal():
            raise BgpError(f"peer {text!r}: ADDRESS,AS or ADDRESS,AS,PORT expected")
        return address, self.speaker.peer(address, int(asn), port=int(port or 179), families=families)

    def _record(self, name: str, file: BinaryIO) -> None:
        def begin(ends: Ends) -> MrtRecorder:
            return MrtRecorder(file, ends, time.time)

        self.speaker.record(name, begin)

    def _note(self, name: str, _: object, event: object) -> None:
        if found := facts(event):
            self._lines.write(json.dumps({"time": round(time.time(), 6), "peer": name, **found}) + "\n")


async def run(options: argparse.Namespace) -> None:
    with ExitStack() as files:
        lines = files.enter_context((options.directory / "updates.jsonl").open("a", encoding="utf-8", buffering=1))
        collector = Collector(options, lines, files)
        if task := asyncio.current_task():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        async with collector.speaker:
            await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except (BgpError, OSError) as error:
        sys.exit(f"route_collector: {error}")


if __name__ == "__main__":
    main()
