"""How time and memory grow with routes and peers: `python -m tests.benchmarks.bench_growth [--write]`, as root.

Tables of 250,000 to two million routes from one peer, then 10 to 1,000 peers that tell 10,000 routes together, all of
them to all; per route and per route told they should cost roughly the same.  `--write` draws docs/growth.svg and puts a
table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date

from examples.demo.ground import run_in_sandbox
from examples.demo.namespaces import Namespace
from tests.benchmarks.bench_tables import NAMESPACE, PEER_NETWORK
from tests.benchmarks.growth_plot import Panel, draw
from tests.benchmarks.report import REPORT, machine, with_section
from tests.benchmarks.tables.receivers import ADDRESS, Job, OurReceiver
from tests.benchmarks.tables.route_table import RouteTable
from tests.benchmarks.tables.rows import LIMIT_SECONDS, Cost, one_peer, raw_peers, running, teller

ROUTES = (250_000, 500_000, 1_000_000, 2_000_000)
PEERS = (10, 100, 1000)
#: What all peers tell together.
TOLD = 10_000
HEADING = "## Growth"
PLOT = REPORT.with_name("growth.svg")
#: How much dearer a route may be in the biggest table than in the smallest.
GOAL = 1.5


def all_to_all(namespace: Namespace, count: int) -> Cost:
    """Let peers tell equal parts of a table, and every one of them hear the parts of all others."""
    table, configs = RouteTable(TOLD, seed=2), raw_peers(count)
    own = max(sum(len(one.keys) for one in table.sets[part::count]) for part in range(count))
    with running(OurReceiver, namespace, Job(configs, exports=True)) as (run, peers):
        for peer in peers:
            peer.forget()
        run.begin()
        for number, peer in enumerate(peers):
            run.feeder.send(peer, table.octets(teller(peer.config), number, count))
        ended = run.feeder.wait_announced(peers, TOLD - own, LIMIT_SECONDS)
        return run.cost(ended)


def measure(routes: tuple[int, ...], peers: tuple[int, ...]) -> tuple[list[Cost], list[Cost]]:
    namespace = Namespace(NAMESPACE).create()
    namespace.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
    namespace.ip("route", "add", "local", PEER_NETWORK, "dev", "lo")
    by_routes, by_peers = [], []
    try:
        for count in routes:
            cost = one_peer(OurReceiver, namespace, RouteTable(count))
            by_routes.append(cost)
            print(f"{count:9} routes: {cost.cpu:7.2f} s of CPU time, {cost.mebibytes:6.0f} MiB", flush=True)
        for count in peers:
            cost = all_to_all(namespace, count)
            by_peers.append(cost)
            print(f"{count:9} peers:  {cost.cpu:7.2f} s of CPU time, {cost.mebibytes:6.0f} MiB", flush=True)
    finally:
        namespace.delete()
    return by_routes, by_peers


def per_unit(costs: list[Cost], counts: tuple[int, ...], base: float) -> tuple[list[float], list[float]]:
    """Return microseconds of CPU time, and octets beyond what an idle speaker has, for each unit."""
    times = [cost.cpu / count * 1e6 for cost, count in zip(costs, counts, strict=True)]
    memory = [(cost.mebibytes - base) * 2**20 / count for cost, count in zip(costs, counts, strict=True)]
    return times, memory


def report(
    by_routes: list[Cost], by_peers: list[Cost], routes: tuple[int, ...], peers: tuple[int, ...]
) -> tuple[str, str]:
    """Return the section and the plot."""
    base = min(cost.mebibytes for cost in by_peers)
    route_times, route_memory = per_unit(by_routes, routes, base)
    told = tuple(TOLD * (count - 1) for count in peers)
    told_times, _ = per_unit(by_peers, told, base)
    _, peer_memory = per_unit(by_peers[1:], peers[1:], base)
    plot = draw(
        [
            Panel("CPU time per route", "routes from one peer", routes, {"microseconds": route_times}),
            Panel("Memory per route", "routes from one peer", routes, {"octets": route_memory}),
            Panel("CPU time per route told", "peers, 10,000 routes, all to all", peers, {"microseconds": told_times}),
        ]
    )
    lines = [
        HEADING,
        "",
        f"Measured on {date.today():%Y-%m-%d} by `python -m tests.benchmarks.bench_growth --write`: {machine()}.",
        "",
        f"![Cost per route and per peer]({PLOT.name})",
        "",
        "| routes from one peer | CPU s | per route | peak MiB | per route |",
        "|---|---|---|---|---|",
    ]
    for count, cost, time, octets in zip(routes, by_routes, route_times, route_memory, strict=True):
        lines.append(f"| {count:,} | {cost.cpu:.2f} | {time:.2f} us | {cost.mebibytes:.0f} | {octets:.0f} octets |")
    lines += [
        "",
        "| peers, 10,000 routes from all to all | CPU s | per route told | peak MiB | per peer |",
        "|---|---|---|---|---|",
    ]
    for number, (count, cost, time) in enumerate(zip(peers, by_peers, told_times, strict=True)):
        share = f"{peer_memory[number - 1] / 1024:.0f} KiB" if number else "-"
        lines.append(f"| {count:,} | {cost.cpu:.2f} | {time:.2f} us | {cost.mebibytes:.0f} | {share} |")
    return "\n".join(lines) + "\n", plot


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_growth")
    parser.add_argument("--write", action="store_true", help=f"write {PLOT.name} and a section of {REPORT.name}")
    parser.add_argument("--routes", default=",".join(map(str, ROUTES)), help="sizes of tables")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.here:
        return run_in_sandbox([sys.executable, "-m", "tests.benchmarks.bench_growth", *arguments, "--here"])
    routes = tuple(int(text) for text in options.routes.split(","))
    by_routes, by_peers = measure(routes, PEERS)
    section, plot = report(by_routes, by_peers, routes, PEERS)
    print(f"\n{section}", end="")
    if options.write:
        PLOT.write_text(plot)
        REPORT.write_text(with_section(REPORT.read_text(), HEADING, section))
    times, _ = per_unit(by_routes, routes, 0.0)
    return int(times[-1] > GOAL * times[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
