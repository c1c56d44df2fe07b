"""Show the EVPN routes of a route reflector or leaf: as text, or as JSON lines; once, or as they change."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

import structlog

from pybgp import (
    ACCEPT_ALL,
    EVPN,
    REJECT_ALL,
    BgpError,
    Change,
    Path,
    SessionDown,
    Speaker,
    SpeakerConfig,
    UpdateReceived,
    attributes_to_json,
)
from pybgp.wire.nlri import join_nlri, nlri_to_json
from pybgp.wire.text import to_text


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show EVPN routes.")
    parser.add_argument("neighbor", help="address of the route reflector or leaf")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, help="default: the same")
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    parser.add_argument("--type", action="append", default=[], metavar="TYPE", help="mac-ip, ip-prefix, ...")
    parser.add_argument("--json", action="store_true", help="JSON lines")
    parser.add_argument("--follow", action="store_true", help="go on after the whole table, and show changes")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds until the table must be there")
    return parser.parse_args()


class Dump:
    """Prints routes as the options want them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._types = frozenset(options.type)
        self._as_json = options.json

    def table(self, routes: dict[bytes, Path]) -> None:
        """Print a whole table, sorted by the octets of its routes."""
        for key, path in sorted(routes.items()):
            self._show("+", key, path)

    def changes(self, changes: Sequence[Change]) -> None:
        """Print what came, changed or went."""
        for family, path, keys in changes:
            if family == EVPN:
                for key in keys:
                    self._show("+" if path else "-", key, path)

    def _show(self, sign: str, key: bytes, path: Path | None) -> None:
        for route in self._routes(key, path):
            if self._types and route["type"] not in self._types:
                continue
            if self._as_json:
                attributes = attributes_to_json(path.attributes) if path is not None else None
                print(json.dumps({"change": sign, "route": route, "attributes": attributes}), flush=True)
            else:
                hop = f" via {ip_address(path.next_hop)}" if path is not None and path.next_hop else ""
                print(f"{sign} {to_text(route)}{hop}", flush=True)

    def _routes(self, key: bytes, path: Path | None) -> Iterator[dict[str, object]]:
        """A key and the details of its path, such as the label, are one NLRI."""
        for nlri in join_nlri(EVPN, [key], path.attributes.details if path is not None else None):
            yield nlri_to_json(EVPN, nlri)


async def run(options: argparse.Namespace) -> None:
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=ACCEPT_ALL, export_policy=REJECT_ALL)
    speaker, dump = Speaker(config), Dump(options)
    remote_as = options.remote_as or options.local_as
    speaker.configure({"peer": speaker.peer(options.neighbor, remote_as, port=options.port, families=(EVPN,))})
    complete, why = asyncio.Event(), ["no session"]

    def note(_: str, __: object, event: object) -> None:
        if isinstance(event, UpdateReceived) and event.update.end_of_rib == EVPN:
            complete.set()
        elif isinstance(event, SessionDown):
            why[0] = event.text

    speaker.on_event(note)
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with speaker:
        try:
            async with asyncio.timeout(options.wait):
                await complete.wait()
        except TimeoutError:
            error = speaker.peers()["peer"].last_error or why[0]
            raise BgpError(f"{options.neighbor}: no whole table within {options.wait} s: {error}") from None
        dump.table(dict(speaker.best(EVPN)))
        if options.follow:
            speaker.on_change(dump.changes)
            await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except BgpError as error:
        sys.exit(f"evpn_dump: {error}")


if __name__ == "__main__":
    main()
