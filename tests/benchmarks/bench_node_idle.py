"""What one node costs, and how fast it starts: `python -m tests.benchmarks.bench_node_idle [SECONDS]`, as root.

Three agents over one SQLite store, on one bridge, each with blocks; a BGPPeer that nobody answers stands for every
node.  Measured on the third agent, which starts when the other two run: process start -> every route of the mesh in
its kernel; then its processor time while nothing happens, and its resident memory.  The exit status is 1 where a goal
is missed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from calico_routing.datastore.open import open_datastore
from calico_routing.model.names import affinity_name
from calico_routing.model.resources import BGPPeer, BlockAffinity, IPPool, Metadata
from examples.demo.cluster import ClusterNode, NodeAddress
from examples.demo.ground import run_in_sandbox
from examples.demo.namespaces import Namespace, join
from tests.benchmarks.route_clock import RouteClock, Seen
from tests.uml.telling import wait_session

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL: Final = "10.244.0.0/16"
NAMES: Final = ("node-a", "node-b", "node-c")
BLOCKS_PER_NODE: Final = 8
STARTS: Final = 5
DEFAULT_IDLE_SECONDS: Final = 30
START_GOAL_SECONDS: Final = 1.0
CPU_GOAL_PERCENT: Final = 0.3
MEMORY_GOAL_MEGABYTES: Final = 60.0
#: Nothing answers here, and nobody says so.
SILENT_PEER: Final = "10.0.0.250"


def blocks_of(number: int) -> list[str]:
    return [f"10.244.{number}.{64 * index % 256}/26" for index in range(4)] + [
        f"10.244.{number + 100}.{64 * index % 256}/26" for index in range(BLOCKS_PER_NODE - 4)
    ]


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[list[ClusterNode]]:
    """Make the LAN, the store and the nodes; no agent runs yet."""
    store_path = directory / "datastore.db"
    lan = Namespace("lan").create()
    lan.ip("link", "add", "lan0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
    lan.ip("link", "set", "lan0", "up")
    nodes = []
    for number, name in enumerate(NAMES, 1):
        node = ClusterNode(NodeAddress(name, f"10.0.0.{number}"), directory / name, store_path, {})
        node.directory.mkdir()
        node.namespace.create()
        join(lan, f"p-{name}", node.namespace, "eth0")
        lan.ip("link", "set", f"p-{name}", "master", "lan0")
        node.namespace.ip("address", "add", f"10.0.0.{number}/24", "dev", "eth0")
        nodes.append(node)
    with open_datastore(f"sqlite://{store_path}") as store:
        store.create(IPPool(metadata=Metadata(name="pool"), cidr=POOL, block_size=26))
        store.create(BGPPeer(metadata=Metadata(name="silent"), peer_ip=SILENT_PEER, as_number=64999))
        for number, name in enumerate(NAMES, 1):
            for block in blocks_of(number):
                metadata = Metadata(name=affinity_name(name, block))
                store.create(BlockAffinity(metadata=metadata, node=name, cidr=block))
    try:
        yield nodes
    finally:
        for node in nodes:
            node.stop(signal.SIGKILL)


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no VmRSS for process {process}")


def start_seconds(node: ClusterNode) -> float:
    """Start the agent on a bare kernel and wait for every route of the mesh."""
    node.namespace.ip("route", "flush", "proto", "bird")
    wanted = {Seen(node.name, block, deleted=False) for number in (1, 2, 3) for block in blocks_of(number)}
    with RouteClock({node.name: node.namespace}) as clock:
        begun = time.perf_counter()
        node.start(interface="eth0")
        return max(clock.wait_for(wanted).values()) - begun


def measure(idle_seconds: float) -> int:
    """Measure, print the table and return the exit status."""
    with tempfile.TemporaryDirectory() as directory, cluster(Path(directory)) as nodes:
        first, second, third = nodes
        for node in (first, second):
            node.start(interface="eth0")
        wait_session(first, second)
        starts = []
        for attempt in range(STARTS):
            starts.append(start_seconds(third))
            if attempt < STARTS - 1:
                third.stop(signal.SIGTERM)
        assert third.process is not None
        process = third.process.pid
        time.sleep(2)
        before, begun = processor_seconds(process), time.monotonic()
        time.sleep(idle_seconds)
        percent = 100 * (processor_seconds(process) - before) / (time.monotonic() - begun)
        megabytes = resident_megabytes(process)
    print(f"start -> all {3 * BLOCKS_PER_NODE} routes: best {min(starts):.3f} s, worst {max(starts):.3f} s of {STARTS}")
    print(f"idle: {percent:.2f} % of a core over {idle_seconds:g} s, {megabytes:.1f} MB resident")
    print(f"goals: {START_GOAL_SECONDS:g} s, {CPU_GOAL_PERCENT:g} %, {MEMORY_GOAL_MEGABYTES:g} MB")
    return int(
        sorted(starts)[STARTS // 2] > START_GOAL_SECONDS
        or percent > CPU_GOAL_PERCENT
        or megabytes > MEMORY_GOAL_MEGABYTES
    )


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--here"]:
        return run_in_sandbox([sys.executable, "-m", "tests.benchmarks.bench_node_idle", "--here", *arguments])
    return measure(float(arguments[1]) if len(arguments) > 1 else DEFAULT_IDLE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
