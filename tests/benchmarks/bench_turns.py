"""How long single turns of the event loop are where tables are big: `python -m tests.benchmarks.bench_turns`.

One speaker in this process, with peers that are octets and counters.  CPU time; a turn is one round of the event loop.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from ipaddress import ip_address

from calico_routing.route_listing import Query, RouteLister
from calico_routing.time_slices import in_slices
from pybgp import ACCEPT_ALL, IPV4_UNICAST
from pybgp.rib.policy import REJECT_ALL, Clause, PrefixMatch, PrefixSet, RoutePolicy, SetMed, Verdict
from pybgp.session.config import GracefulRestartConfig
from pybgp.session.route_options import RouteOptions
from pybgp.wire.capabilities import AddPath, EnhancedRouteRefresh, GracefulRestart
from pybgp.wire.iana import AddPathMode, RefreshSubtype
from pybgp.wire.messages import RouteRefresh, encode, end_of_rib
from tests.benchmarks.tables.route_table import RouteTable, Teller
from tests.benchmarks.turns.ground import Ground, do, run

DEFAULT_ROUTES = 1_000_000
MARKED = RoutePolicy("marked", [Clause("all", (), (SetMed(7),), Verdict.ACCEPT)])


def teller(number: int, prepended: int = 1) -> Teller:
    address = ip_address(f"127.0.1.{number}").packed
    return Teller(65000 + number, bytes([10, 9, 9, number]), address * 4, prepended=prepended)


class Bench:
    """The table, told by several."""

    def __init__(self, routes: int) -> None:
        self.routes = routes
        table = RouteTable(routes)
        self.worse, self.better = table.octets(teller(1, 2)), table.octets(teller(2))

    async def second_table(self) -> None:
        """Two full tables, the second of which loses everywhere, or wins everywhere; then the better one is lost."""
        ground = Ground()
        one, two = ground.peer(1), ground.peer(2)
        ground.peer(3)
        await ground.start()
        await ground.measured("first full table", ground.wires[one].tell(self.worse))
        await ground.measured("second full table, better everywhere", ground.wires[two].tell(self.better))
        await ground.measured("the better of the two lost", do(partial(ground.lose, two)))
        await ground.rest()
        ground.away.clear()
        await ground.until(lambda: ground.speaker.peers()[two].negotiated is not None)
        await ground.measured("it is back, and tells and is told again", ground.wires[two].tell(self.better))
        await ground.stop()
        ground = Ground()
        one, two = ground.peer(1), ground.peer(2)
        ground.peer(3)
        await ground.start()
        await ground.measured("first full table", ground.wires[two].tell(self.better))
        await ground.measured("second full table, worse everywhere", ground.wires[one].tell(self.worse))
        await ground.measured("the worse of the two lost", do(partial(ground.lose, one)))
        await ground.stop()

    async def one_of_a_group(self) -> None:
        """One peer of five is to be told something else than the others."""
        ground = Ground()
        one = ground.peer(1)
        others = [ground.peer(number) for number in range(3, 8)]
        await ground.start()
        await ground.measured("first full table to five", ground.wires[one].tell(self.worse))
        speaker = ground.speaker
        some = RoutePolicy("half", [Clause("in", (PrefixMatch(PrefixSet.of("0.0.0.0/1 le 32")),), (), Verdict.ACCEPT)])
        for text, policy in (
            ("half of the table for one of five", some),
            ("another MED for one of five", MARKED),
            ("nothing for one of five", REJECT_ALL),
            ("everything again for one of five", None),
        ):
            await ground.measured(text, do(partial(speaker.set_export_policy, policy, peer=others[0])))
        await ground.measured("half of the table for all five", do(partial(speaker.set_export_policy, some)))
        await ground.measured("one of five asks for everything again", ask_again(ground, others[1]))
        await ground.measured("one of five lost", do(partial(ground.lose, others[2])))
        await ground.stop()

    async def removed(self) -> None:
        """Peers are taken out of the configuration."""
        ground = Ground()
        one, two = ground.peer(1), ground.peer(2)
        ground.peer(3)
        await ground.start()
        await ground.wires[one].tell(self.worse)
        await ground.wires[two].tell(self.better)
        for text, name in (("the better of two peers no longer configured", two), ("the last one too", one)):
            del ground.configs[name]
            await ground.measured(text, do(partial(ground.speaker.configure, ground.configs)))
        await ground.stop()

    async def lost(self) -> None:
        """Peers are lost where a table keeps more than one path to each prefix."""
        for text, config in (("two paths share traffic", {"maximum_paths": 2}),):
            ground = Ground(**config)
            one, two = ground.peer(1), ground.peer(2)
            ground.peer(3)
            await ground.start()
            await ground.measured(f"first full table, {text}", ground.wires[one].tell(self.worse))
            await ground.measured(f"second, {text}", ground.wires[two].tell(self.better))
            await ground.measured(f"the better lost, {text}", do(partial(ground.lose, two)))
            await ground.measured(f"the other lost, {text}", do(partial(ground.lose, one)))
            await ground.stop()

    async def add_path_out(self) -> None:
        """A peer is sent every path."""
        ground = Ground()
        one, two = ground.peer(1), ground.peer(2)
        mode = ((IPV4_UNICAST, AddPathMode.SEND),)
        ground.peer(
            3,
            AddPath(((IPV4_UNICAST, AddPathMode.RECEIVE),)),
            add_path=mode,
            routes=RouteOptions(add_path_send="all"),
        )
        await ground.start()
        await ground.measured("first full table, all paths sent", ground.wires[one].tell(self.worse))
        await ground.measured("second, all paths sent", ground.wires[two].tell(self.better))
        await ground.measured("the better lost, all paths sent", do(partial(ground.lose, two)))
        await ground.measured("the other lost, all paths sent", do(partial(ground.lose, one)))
        await ground.stop()

    async def restart(self) -> None:
        """A peer restarts gracefully."""
        ground = Ground()
        capability = GracefulRestart(restart_time=120, families=((IPV4_UNICAST, True),))
        one = ground.peer(1, capability, EnhancedRouteRefresh(), graceful_restart=GracefulRestartConfig())
        ground.peer(3)
        await ground.start()
        await ground.measured("first full table", ground.wires[one].tell(self.worse + end_of_rib(IPV4_UNICAST)))
        await ground.measured("a session lost, its routes kept", self.stale(ground, one))
        await ground.measured("the table told again", ground.wires[one].tell(self.worse))
        await ground.measured("End-of-RIB", ground.wires[one].tell(end_of_rib(IPV4_UNICAST)))
        begin = encode(RouteRefresh(IPV4_UNICAST, RefreshSubtype.BEGIN))
        await ground.measured("enhanced refresh begins", ground.wires[one].tell(begin))
        half = self.worse[: len(self.worse) // 2]
        await ground.measured("half told again", ground.wires[one].tell(half[: half.rfind(b"\xff" * 16)]))
        end = encode(RouteRefresh(IPV4_UNICAST, RefreshSubtype.END))
        await ground.measured("the refresh ends, and the other half goes", ground.wires[one].tell(end))
        await ground.stop()

    async def stale(self, ground: Ground, name: str) -> None:
        ground.wires[name].cut()
        await ground.until(lambda: ground.speaker.peers()[name].negotiated is not None)

    async def commands(self) -> None:
        """What operators ask of a daemon with a big table, and tell it."""
        ground = Ground()
        one = ground.peer(1)
        three = ground.peer(3)
        await ground.start()
        await ground.measured("first full table", ground.wires[one].tell(self.worse))
        speaker = ground.speaker
        prefix = next(iter(speaker.routes(IPV4_UNICAST)))[0]
        for text, query in (
            ("", Query()),
            (" sent to a peer", Query(sent=three)),
            (" from a peer", Query(received=one)),
        ):
            await ground.measured(f"routes{text}, all of them", read(RouteLister(speaker, query, (one, three)).lines()))
        await ground.measured("explain", do(partial(speaker.explain, prefix)))
        found = speaker.preview_policies(MARKED, MARKED, {})
        await ground.measured("policy --dry-run", read(("" if one is None else "x" for one in found), look_every=1))
        await ground.measured("another import policy", do(partial(speaker.set_policies, MARKED, ACCEPT_ALL, {})))
        await ground.measured("another export policy", do(partial(speaker.set_policies, MARKED, MARKED, {})))
        await ground.stop()


async def read(lines: Iterable[str], **options: int) -> None:
    """Read what a command answers, in turns as the daemon does."""
    async for _ in in_slices(lines, **options):
        pass


async def ask_again(ground: Ground, name: str) -> None:
    ground.wires[name].say(encode(RouteRefresh(IPV4_UNICAST)))


ROWS = ("second_table", "one_of_a_group", "removed", "lost", "add_path_out", "restart", "commands")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_turns")
    parser.add_argument("--routes", type=int, default=DEFAULT_ROUTES)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    options = parser.parse_args(arguments)
    bench = Bench(options.routes)
    run(*(getattr(bench, row) for row in options.rows.split(",")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
