"""Import policy as Python: functions that read a route, change it, and decide; here the edge of a small network.

Bogons and long paths are refused, the blackhole community is honoured for customers only, and customers are preferred.
Prints every change of the best routes, and on SIGUSR1 why each route of the neighbour was taken or not.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_network

import structlog

from pybgp import (
    REJECT_ALL,
    AttributeCode,
    BgpError,
    Change,
    PythonClause,
    Route,
    RoutePolicy,
    Speaker,
    SpeakerConfig,
    Verdict,
    format_prefix,
)
from pybgp.wire.communities import parse_community

BOGONS = [ip_network(text) for text in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "224.0.0.0/3")]
BLACKHOLE = parse_community("blackhole")
DISCARD_NEXT_HOP = bytes((192, 0, 2, 1))
LONGEST_PATH = 50


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge the routes of a neighbour by Python functions.")
    parser.add_argument("neighbor", help="address of the router")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    parser.add_argument("--customer", action="append", type=int, default=[], metavar="AS", help="several are possible")
    return parser.parse_args()


def refuse_bogons(route: Route) -> Verdict | None:
    """Look at the prefix, and at nothing else."""
    network = ip_network(route.prefix)
    if any(network.version == bogon.version and network.subnet_of(bogon) for bogon in BOGONS):  # type: ignore[arg-type]
        return Verdict.REJECT
    return None


def refuse_long_paths(route: Route) -> Verdict | None:
    """Look at the path; asked once for all prefixes of an UPDATE."""
    return Verdict.REJECT if route.as_path.length > LONGEST_PATH else None


class Customers:
    """A clause with a memory of its own is an object with a method."""

    def __init__(self, customers: Sequence[int]) -> None:
        self._customers = frozenset(customers)

    def judge(self, route: Route) -> Verdict | None:
        """Prefer routes of customers, and let them blackhole their own host routes (RFC 7999)."""
        is_customer = route.as_path.first in self._customers
        is_host = route.prefix.endswith(("/32", "/128"))
        if BLACKHOLE in (route.get(AttributeCode.COMMUNITIES) or ()):
            if not (is_customer and is_host):
                return Verdict.REJECT
            route.set_next_hop(DISCARD_NEXT_HOP)
            route.tag = "blackhole"
            return Verdict.ACCEPT
        if is_host:
            return Verdict.REJECT
        route.set(AttributeCode.LOCAL_PREF, 200 if is_customer else 100)
        route.tag = "customer" if is_customer else "transit"
        return Verdict.ACCEPT


def make_policy(customers: Sequence[int]) -> RoutePolicy:
    """Return the clauses in their order; a function that fails refuses the route, and is counted."""
    return RoutePolicy(
        "edge",
        [
            PythonClause("bogons", refuse_bogons, looks_at_prefixes=True),
            PythonClause("long-paths", refuse_long_paths),
            PythonClause("customers", Customers(customers).judge, looks_at_prefixes=True),
        ],
        default=Verdict.REJECT,
    )


def show(changes: Sequence[Change]) -> None:
    for change in changes:
        path = change.path
        more = "" if path is None else f" local-pref {path.attributes.local_pref or 100} {path.label}"
        print(f"{change}{more}", flush=True)


def explain(speaker: Speaker, policy: RoutePolicy) -> None:
    """Say of every route of the neighbour what the policy makes of it, and which clause decided."""
    for family in speaker.families():
        for key, path in speaker.received("router", family).items():
            judged = policy.explain(path, family, key, internal=False)
            verdict = "accepted" if judged.accepted else "refused"
            clause = judged.hits[-1].clause if judged.hits else "default"
            print(f"{format_prefix(family, key)}: {verdict} by {clause}", file=sys.stderr, flush=True)


async def run(options: argparse.Namespace) -> None:
    policy = make_policy(options.customer)
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=policy, export_policy=REJECT_ALL)
    speaker = Speaker(config)
    speaker.configure({"router": speaker.peer(options.neighbor, options.remote_as, port=options.port)})
    speaker.on_change(show)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, explain, speaker, policy)
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
    async with speaker:
        await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except BgpError as error:
        sys.exit(f"policy_in_python: {error}")


if __name__ == "__main__":
    main()
