"""`python -m tests.benchmarks.bench_simulator [big | mesh N | tree N]`: what simulated networks cost.

Without arguments a mesh of 100 nodes and a tree of 1,000 route reflectors; with `big`, of 500 and 5,000, which takes
minutes and 4 GiB.  Each runs in a process of its own, comes up, loses a node, and must then have every route that the
topology says, and no other.
"""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
import time

import structlog

from pybgp.simulator import Simulation, mesh, reflector_tree
from pybgp.wire.families import IPV4_UNICAST

DEFAULTS = (("mesh", 100), ("tree", 1000))
BIG = (("mesh", 500), ("tree", 5000))
#: Nodes of a tree that announce a prefix: with all of them every node would hold thousands of routes.
ANNOUNCERS = 100
FANOUT = 20


def run(shape: str, count: int) -> None:
    """Simulate one network and print a line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    topology = mesh(count) if shape == "mesh" else reflector_tree(count, FANOUT, announcers=min(ANNOUNCERS, count))
    expected = count if shape == "mesh" else min(ANNOUNCERS, count)
    started = time.process_time()
    with Simulation(topology, seed=1, record=False) as simulation:
        last = simulation.settle()
        up = time.process_time() - started
        check(simulation, expected)
        victim = f"node{count}"
        simulation.kill(victim)
        killed = simulation.now
        lost = simulation.settle() - killed
        check(simulation, expected - 1)
        total = time.process_time() - started
        sessions = len(topology.links)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{shape} of {count}: {sessions} sessions and all routes in {last:.2f} virtual seconds, {up:.0f} s of CPU time"
    )
    print(
        f"  {victim} killed, gone everywhere after {lost:.3f} virtual seconds; {total:.0f} s, {memory:.0f} MiB",
        flush=True,
    )


def check(simulation: Simulation, expected: int) -> None:
    """Every running node has so many routes, and a packet along each arrives."""
    for name, node in simulation.nodes.items():
        if node.is_running:
            found = len(simulation.speaker(name).best(IPV4_UNICAST))
            if found != expected:
                raise SystemExit(f"{name} has {found} routes, not {expected}")
    if problems := simulation.problems():
        raise SystemExit(problems[0])


def main(arguments: list[str]) -> None:
    """Run one network here, or some in processes of their own."""
    if len(arguments) == 2:
        run(arguments[0], int(arguments[1]))
        return
    for shape, count in BIG if arguments == ["big"] else DEFAULTS:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_simulator", shape, str(count)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
