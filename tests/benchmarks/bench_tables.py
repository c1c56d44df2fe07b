"""Whole tables through whole speakers, side by side: `python -m tests.benchmarks.bench_tables`, as root.

Each receiver, ours and every routing daemon that is installed, gets the same octets from plain sockets in a namespace
of its own.  Time runs from the first octet sent until the receiver rests, or until the last listener has heard
everything; CPU is that of all its processes meanwhile, memory their largest resident size.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from datetime import date

from examples.demo.ground import run_in_sandbox
from examples.demo.namespaces import CommandError, Namespace
from tests.benchmarks.report import REPORT, machine, with_section
from tests.benchmarks.tables.feeder import FeederError
from tests.benchmarks.tables.receivers import ADDRESS, RECEIVERS, Receiver
from tests.benchmarks.tables.route_table import RouteTable
from tests.benchmarks.tables.rows import ROWS, Cost, Row

DEFAULT_ROUTES = 100_000
IPV6_SHARE = 5
NAMESPACE = "bench"
PEER_NETWORK = "10.78.0.0/16"
#: what the others are compared with.
YARDSTICK = "BIRD"
Results = dict[str, dict[str, Cost | str]]


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_tables")
    parser.add_argument("--routes", type=int, default=DEFAULT_ROUTES, help="IPv4 routes; a fifth more are IPv6")
    parser.add_argument("--ipv4-only", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", default="", help="numbers of rows, from 1, as in 1,3")
    parser.add_argument("--receivers", default="", help="names, as in pybgp,BIRD")
    parser.add_argument("--rounds", type=int, default=1, help="of each row and receiver the quickest counts")
    parser.add_argument("--write", action="store_true", help=f"put the result into {REPORT.name}")
    parser.add_argument("--heading", help=f"the section of {REPORT.name}, if not that of all rows for so many routes")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def chosen_rows(text: str) -> list[Row]:
    return [ROWS[int(number) - 1] for number in text.split(",")] if text else list(ROWS)


def chosen_receivers(text: str) -> list[type[Receiver]]:
    names = {name.lower() for name in text.split(",")} if text else None
    return [kind for kind in RECEIVERS if (names is None or kind.name.lower() in names) and kind.is_installed()]


def measure(rows: list[Row], kinds: list[type[Receiver]], table: RouteTable, rounds: int) -> Results:
    """Run every row with every receiver, round by round; a failure is a word in the table, not the end."""
    namespace = Namespace(NAMESPACE).create()
    namespace.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
    namespace.ip("route", "add", "local", PEER_NETWORK, "dev", "lo")
    results: Results = {row.name: {} for row in rows}
    try:
        for row in rows * rounds:
            for kind in kinds:
                if (row.exports and not kind.can_export) or (row.filters and not kind.can_filter):
                    continue
                try:
                    outcome: Cost | str = row.run(kind, namespace, table)
                except (FeederError, CommandError, TimeoutError, RuntimeError, OSError) as error:
                    outcome = f"failed: {error}"
                results[row.name][kind.name] = together(results[row.name].get(kind.name), outcome)
                print(f"{row.name:45} {kind.name:9} {described(outcome)}", flush=True)
    finally:
        namespace.delete()
    return results


def together(before: Cost | str | None, outcome: Cost | str) -> Cost | str:
    """Return the quicker of two rounds, with the most memory and the longest turn of both."""
    if isinstance(before, str) or isinstance(outcome, str) or before is None:
        return before if isinstance(before, str) else outcome
    turns = [one.longest_block for one in (before, outcome) if one.longest_block is not None]
    return replace(
        min(before, outcome, key=lambda one: one.wall),
        mebibytes=max(before.mebibytes, outcome.mebibytes),
        longest_block=max(turns, default=None),
    )


def described(outcome: Cost | str) -> str:
    if isinstance(outcome, str):
        return outcome
    block = f"   longest block {outcome.longest_block * 1000:.0f} ms" if outcome.longest_block is not None else ""
    share = f"   {outcome.idle_share:.2%} of a core" if outcome.idle_share is not None else ""
    return f"{outcome.wall:8.2f} s   {outcome.cpu:8.2f} s CPU   {outcome.mebibytes:7.0f} MiB{block}{share}"


def report(
    heading: str,
    results: Results,
    kinds: list[type[Receiver]],
    table: RouteTable,
    arguments: list[str],
    rounds: int,
) -> str:
    """Return a section of the page, in Markdown."""
    parts = [
        heading,
        "",
        f"Measured on {date.today():%Y-%m-%d} by `python -m tests.benchmarks.bench_tables {shlex.join(arguments)}`: "
        f"{machine()}. Loopback, one run, one receiver after the other, each fed with the same octets by plain "
        f"sockets{f'; of {rounds} rounds the quickest, with the most memory of all' if rounds > 1 else ''}.",
        "",
        f"The table: {table.shape()}.",
        "",
        "Seconds of wall time (of CPU in brackets), and the peak of resident memory; behind each the multiple of "
        f"{YARDSTICK}'s wall time, of its CPU time in brackets, and of its memory.",
        "",
        "| work | " + " | ".join(kind.name for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for name, outcomes in results.items():
        cells = [cell(outcomes.get(kind.name), outcomes.get(YARDSTICK)) for kind in kinds]
        parts.append(f"| {name} | " + " | ".join(cells) + " |")
    blocks = [
        f"{outcome.longest_block * 1000:.0f} ms ({name})"
        for name, outcomes in results.items()
        for outcome in outcomes.values()
        if isinstance(outcome, Cost) and outcome.longest_block is not None
    ]
    if blocks:
        parts += ["", f"CPU time of the longest turn of pybgp's event loop: {', '.join(blocks)}."]
    parts += ["", "Versions and command lines:", ""]
    parts += [f"* {kind.name}: {kind.version()}: `{kind.command}`" for kind in kinds]
    return "\n".join(parts) + "\n"


def cell(outcome: Cost | str | None, yardstick: Cost | str | None) -> str:
    if outcome is None:
        return "-"
    if isinstance(outcome, str):
        return outcome
    if outcome.idle_share is not None:
        return f"{outcome.idle_share:.2%} of a core, {outcome.mebibytes:.0f} MiB"
    text = f"{outcome.wall:.2f} s ({outcome.cpu:.2f}), {outcome.mebibytes:.0f} MiB"
    if isinstance(yardstick, Cost) and outcome is not yardstick:
        multiples = outcome.wall / yardstick.wall, outcome.cpu / yardstick.cpu
        text += f"; {multiples[0]:.1f} x ({multiples[1]:.1f}), {outcome.mebibytes / yardstick.mebibytes:.1f} x"
    return text


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if not options.here:
        return run_in_sandbox([sys.executable, "-m", "tests.benchmarks.bench_tables", *arguments, "--here"])
    table = RouteTable(options.routes, 0 if options.ipv4_only else options.routes // IPV6_SHARE, options.seed)
    print(table.shape(), flush=True)
    rows, kinds = chosen_rows(options.rows), chosen_receivers(options.receivers)
    results = measure(rows, kinds, table, options.rounds)
    heading = f"## {options.heading or f'Tables of {table.ipv4_routes:,} routes'}"
    section = report(heading, results, kinds, table, arguments[:-1], options.rounds)
    print(f"\n{section}", end="")
    if options.write:
        REPORT.write_text(with_section(REPORT.read_text(), heading, section))
    return int(any(isinstance(outcome, str) for row in results.values() for outcome in row.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
