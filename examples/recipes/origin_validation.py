"""Refuse routes with a wrong origin: an RPKI cache is asked by RTR (RFC 8210), and judges routes (RFC 6811).

Prints routes as they come and go; when the cache changes its mind, only the routes concerned are judged again.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import structlog

from pybgp import (
    REJECT_ALL,
    AffectedRoutes,
    BgpError,
    Change,
    PythonClause,
    Route,
    RoutePolicy,
    RtrClient,
    Speaker,
    SpeakerConfig,
    ValidationState,
    ValidationTable,
    Verdict,
    Vrp,
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Refuse routes whose origin the RPKI calls invalid.")
    parser.add_argument("neighbor", help="address of the router")
    parser.add_argument("cache", help="RPKI cache: host or host,port (default 323)")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for the cache before the session")
    return parser.parse_args()


def judging(table: ValidationTable) -> RoutePolicy:
    """Return an import policy that asks the table about each prefix."""

    def judge(route: Route) -> Verdict | None:
        if route.key is None:
            return None
        state = table.validate(route.family, route.key, route.origin_as)
        if state is ValidationState.INVALID:
            return Verdict.REJECT
        route.tag = state.value
        return Verdict.ACCEPT

    return RoutePolicy("origins", [PythonClause("rpki", judge, looks_at_prefixes=True)], default=Verdict.REJECT)


def show(changes: Sequence[Change]) -> None:
    for change in changes:
        state = f" {change.path.label}" if change.path is not None else ""
        print(f"{change}{state}", flush=True)


async def run(options: argparse.Namespace) -> None:
    host, _, port = options.cache.partition(",")
    if not (port or "323").isdecimal():
        raise BgpError(f"cache {options.cache!r}: host or host,port expected")
    table = ValidationTable()
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=judging(table), export_policy=REJECT_ALL)
    speaker = Speaker(config)
    speaker.configure({"router": speaker.peer(options.neighbor, options.remote_as, port=options.port)})
    speaker.on_change(show)

    def changed(vrps: Sequence[Vrp]) -> None:
        speaker.judge_again(AffectedRoutes(vrps).among)

    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with RtrClient(host, table, port=int(port or 323), on_change=changed) as cache:
        # Better to begin late than to judge by nothing; but a cache that is away must not keep the network away.
        with suppress(TimeoutError):
            async with asyncio.timeout(options.wait):
                await cache.synchronized.wait()
        print(f"{len(table)} payloads from {host}", file=sys.stderr, flush=True)
        async with speaker:
            await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except BgpError as error:
        sys.exit(f"origin_validation: {error}")


if __name__ == "__main__":
    main()
