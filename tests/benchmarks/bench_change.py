"""How fast one new block travels: `python -m tests.benchmarks.bench_change [ROUNDS]`, as root.

Two nodes of each kind on a veth: pybgp-node with an SQLite store, and BIRD 2 where it is installed.  In every round
each kind gets a block more and loses it again, one after the other, so that both see the same machine.
Measured: own blackhole in the first kernel -> route in the second (both kinds); and for ours also block confirmed in
the store (counted from before the write) -> route in the second kernel.  The exit status is 1 where a goal is missed.
"""

from __future__ import annotations

import contextlib
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from calico_routing.datastore.open import open_datastore
from calico_routing.model.allocation import CONFIRMED, PENDING
from calico_routing.model.names import affinity_name
from calico_routing.model.resources import BlockAffinity, IPPool, Metadata
from examples.demo.cluster import ClusterNode, NodeAddress
from examples.demo.ground import run_in_sandbox
from examples.demo.namespaces import Namespace, find_program
from tests.benchmarks.route_clock import RouteClock, Seen
from tests.peers.daemons import Bird
from tests.uml.telling import wait_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calico_routing.datastore.interface import Datastore

POOL: Final = "10.244.0.0/16"
HOLD_SECONDS: Final = 90
DEFAULT_ROUNDS: Final = 100
#: Own kernel -> other kernel: at most so many times BIRD's.
RATIO_GOAL: Final = 2.5
STORE_GOAL_MILLISECONDS: Final = 15.0


class Pair(Protocol):
    """Two nodes of one kind; the first one gains and loses blocks."""

    first: str
    second: str

    def add(self, block: str) -> float | None:
        """Give the first node a block; return the time at which it was ordered, if that means anything."""

    def remove(self, block: str) -> None:
        """Take it away."""


class Timing:
    """Milliseconds of one measure."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: list[float] = []

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def line(self) -> str:
        ninety = statistics.quantiles(self.values, n=10)[-1]
        return f"{self.name:58} p50 {self.median:7.3f} ms   p90 {ninety:7.3f} ms   n {len(self.values)}"


class OurPair:
    """Two pybgp-node agents over one SQLite store, pool without IPIP, so that any kernel will do."""

    def __init__(self, first: ClusterNode, second: ClusterNode, store: Datastore) -> None:
        self.first, self.second = first.name, second.name
        self._store = store
        self._affinities: dict[str, BlockAffinity] = {}

    def add(self, block: str) -> float:
        name = affinity_name(self.first, block)
        claim = BlockAffinity(metadata=Metadata(name=name), node=self.first, cidr=block, state=PENDING)
        claim = self._store.create(claim)
        ordered = time.perf_counter()
        self._affinities[block] = self._store.update(claim.replace(state=CONFIRMED))
        return ordered

    def remove(self, block: str) -> None:
        self._store.delete(self._affinities.pop(block))


class BirdPair:
    """Two BIRDs; a block more is a static route more and `configure`."""

    def __init__(self, first: Bird, second: Bird) -> None:
        self.first, self.second = first.namespace.name, second.namespace.name
        self._bird = first

    def add(self, block: str) -> None:
        self._bird.reconfigure(bird_configuration("10.1.0.1", "10.1.0.2", [block]))

    def remove(self, block: str) -> None:
        self._bird.reconfigure(bird_configuration("10.1.0.1", "10.1.0.2", []))


def bird_configuration(local: str, peer: str, blocks: list[str]) -> str:
    routes = " ".join(f"route {block} blackhole;" for block in blocks)
    return f"""
router id {local};
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; }}
protocol static blocks {{ ipv4; {routes} }}
protocol kernel {{ metric 0; scan time 2; ipv4 {{ import none; export where source != RTS_DEVICE; }}; }}
protocol bgp peer1 {{
  local {local} as 64512; neighbor {peer} as 64512; hold time {HOLD_SECONDS}; connect delay time 1;
  ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }};
}}
"""


def cable(first: Namespace, second: Namespace, subnet: str) -> None:
    first.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", second.name)
    for number, namespace in enumerate((first, second), 1):
        namespace.ip("address", "add", f"{subnet}.{number}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")


@contextlib.contextmanager
def our_pair(directory: Path) -> Iterator[tuple[OurPair, tuple[Namespace, Namespace]]]:
    identities = [NodeAddress("ours-a", "10.0.0.1"), NodeAddress("ours-b", "10.0.0.2")]
    store_path = directory / "datastore.db"
    settings = {"hold_time": HOLD_SECONDS}
    first, second = (ClusterNode(one, directory / one.name, store_path, settings) for one in identities)
    namespaces = (first.namespace.create(), second.namespace.create())
    cable(*namespaces, "10.0.0")
    with open_datastore(f"sqlite://{store_path}") as store:
        store.create(IPPool(metadata=Metadata(name="pool"), cidr=POOL, block_size=26))
        try:
            for node in (first, second):
                node.directory.mkdir()
                node.start(interface="eth0")
            wait_session(first, second)
            wait_session(second, first)
            yield OurPair(first, second, store), namespaces
        finally:
            for node in (first, second):
                node.stop(signal.SIGKILL)


@contextlib.contextmanager
def bird_pair(directory: Path) -> Iterator[tuple[BirdPair, tuple[Namespace, Namespace]]]:
    namespaces = (Namespace("bird-a").create(), Namespace("bird-b").create())
    cable(*namespaces, "10.1.0")
    ends = ("10.1.0.1", "10.1.0.2")
    birds = [
        Bird(namespace, directory / namespace.name, bird_configuration(*pair, []))
        for namespace, pair in zip(namespaces, (ends, ends[::-1]), strict=True)
    ]
    try:
        for bird in birds:
            bird.start()
        birds[0].wait_established(ends[1])
        yield BirdPair(*birds), namespaces
    finally:
        for bird in birds:
            bird.stop()


def one_round(clock: RouteClock, pair: Pair, block: str, timings: dict[str, Timing]) -> None:
    """Add a block, wait for it in both kernels, take it away, wait again."""
    there = {place: Seen(place, block, deleted=False) for place in (pair.first, pair.second)}
    ordered = pair.add(block)
    moments = clock.wait_for(set(there.values()))
    arrived = moments[there[pair.second]]
    timings["kernel"].values.append((arrived - moments[there[pair.first]]) * 1000)
    if ordered is not None:
        timings["store"].values.append((arrived - ordered) * 1000)
    pair.remove(block)
    clock.wait_for({Seen(place, block, deleted=True) for place in (pair.first, pair.second)})


def measure(rounds: int) -> int:
    """Run all rounds, print the table and return the exit status."""
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, our_namespaces = stack.enter_context(our_pair(work))
        namespaces = [*our_namespaces]
        pairs: list[tuple[Pair, dict[str, Timing]]] = [
            (
                ours,
                {
                    "kernel": Timing("pybgp-node: blackhole here -> route there"),
                    "store": Timing("pybgp-node: block confirmed in SQLite -> route there"),
                },
            )
        ]
        if find_program(Bird.program):
            birds, bird_namespaces = stack.enter_context(bird_pair(work))
            pairs.append((birds, {"kernel": Timing("BIRD 2:     blackhole here -> route there")}))
            namespaces += bird_namespaces
        clock = stack.enter_context(RouteClock({namespace.name: namespace for namespace in namespaces}))
        for number in range(rounds):
            block = f"10.244.{number // 4 % 256}.{number % 4 * 64}/26"
            for pair, timings in pairs:
                one_round(clock, pair, block, timings)
    return report([timings for _, timings in pairs])


def report(timings: list[dict[str, Timing]]) -> int:
    for timing in (timing for group in timings for timing in group.values()):
        print(timing.line())
    store = timings[0]["store"].median
    missed = store > STORE_GOAL_MILLISECONDS
    print(f"store -> other kernel: {store:.2f} ms, goal {STORE_GOAL_MILLISECONDS:g} ms")
    if len(timings) == 1:
        print("BIRD is not installed: nothing to compare with (package bird2)")
    else:
        ratio = timings[0]["kernel"].median / timings[1]["kernel"].median
        missed = missed or ratio > RATIO_GOAL
        print(f"own kernel -> other kernel: {ratio:.2f} times BIRD's p50, goal {RATIO_GOAL:g}")
    return int(missed)


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--here"]:
        return run_in_sandbox([sys.executable, "-m", "tests.benchmarks.bench_change", "--here", *arguments])
    return measure(int(arguments[1]) if len(arguments) > 1 else DEFAULT_ROUNDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
