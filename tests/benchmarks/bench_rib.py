"""How fast UPDATEs become routes, and routes UPDATEs:  python -m tests.benchmarks.bench_rib [ROUTES]

Decode, Adj-RIB-In, best path, export to one group; CPU seconds, synthetic IPv4 routes, gc tuned as the agent does.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable

from pybgp.rib.export import ExportProfile
from pybgp.rib.member import Member
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.tables import Rib
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.update_encoding import encode_updates
from pybgp.wire.updates import decode_update

READ_SIZE = 64 * 1024
LISTENER = 99
PEERS = (1, 2, 3)


class Bench:
    """A rib with three peers and one listener, fed with the octets of a full table."""

    def __init__(self) -> None:
        self.rib = Rib(64512, 1)
        self.store = AttributeStore()
        self.negotiated = {number: Negotiated(64512, 65000 + number, 1, number) for number in PEERS}
        for number in PEERS:
            facts = RibPeer(number, bytes([10, 0, 0, number]), 64512, 65000 + number, number)
            self.rib.set_peer(facts, ACCEPT_ALL)
        profile = ExportProfile(IPV4_UNICAST, False, 64512, bytes([10, 0, 0, 9]), ACCEPT_ALL)
        self.group = UpdateGroup(profile, self.rib.best(IPV4_UNICAST))
        self.group.add(Member(LISTENER, bytes([10, 0, 0, LISTENER])))
        self.sent = 0
        self.longest_turn = 0.0

    def feed(self, number: int, octets: bytes) -> None:
        framer, negotiated, apply = Framer(), self.negotiated[number], self.rib.apply
        for start in range(0, len(octets), READ_SIZE):
            began = time.perf_counter()
            framer.feed(octets[start : start + READ_SIZE])
            while (message := framer.next_message()) is not None:
                update = decode_update(message, negotiated, self.store)
                for nlri in update.announced:
                    for change in apply(number, nlri.family, (), nlri.attributes, nlri.keys):
                        self.group.enqueue(change.path, change.keys)
            self.export()
            self.longest_turn = max(self.longest_turn, time.perf_counter() - began)

    def lose(self, number: int) -> None:
        self.rib.mark_stale(number, IPV4_UNICAST)
        while changes := self.rib.sweep_stale(number, IPV4_UNICAST, 20_000):
            began = time.perf_counter()
            for change in changes:
                self.group.enqueue(change.path, change.keys)
            self.export()
            self.longest_turn = max(self.longest_turn, time.perf_counter() - began)

    def export(self) -> None:
        while not self.group.is_idle:
            self.sent += sum(len(octets) for _, octets in self.group.flush())


def full_table(number: int, routes: int, per_update: int, blocks: int, negotiated: Negotiated, length: int) -> bytes:
    """Return the UPDATEs of one peer for all prefixes."""
    parts = []
    hop = bytes([10, 0, 0, number])
    sets = [
        Attributes.build({1: 0, 2: AsPath.sequence(65000 + number, *range(block, block + length))}, hop)
        for block in range(100_000, 100_000 + blocks)
    ]
    for index, start in enumerate(range(0, routes, per_update)):
        stop = min(start + per_update, routes)
        keys = [b"\x18" + (0x010000 + prefix).to_bytes(3, "big") for prefix in range(start, stop)]
        parts += encode_updates(IPV4_UNICAST, keys, sets[index % blocks], negotiated)
    return b"".join(parts)


def measured(name: str, bench: Bench, action: Callable[[], None]) -> None:
    bench.sent, bench.longest_turn = 0, 0.0
    began = time.process_time()
    action()
    seconds = time.process_time() - began
    print(f"| {name:<46} | {seconds:7.2f} | {bench.sent / 1e6:8.1f} | {bench.longest_turn * 1000:9.0f} |", flush=True)


def run(routes: int, per_update: int, blocks: int) -> None:
    print(f"\n{routes} routes, {per_update} per UPDATE, {blocks} attribute sets")
    print("| case                                           |   CPU s |  sent MB | longest ms |")
    bench = Bench()
    lengths = {1: 3, 2: 4, 3: 2}
    names = {1: "first full table", 2: "second peer, loses everywhere", 3: "third peer, wins everywhere"}
    for number in PEERS:
        octets = full_table(number, routes, per_update, blocks, bench.negotiated[number], lengths[number])
        gc.freeze()
        measured(names[number], bench, lambda number=number, octets=octets: bench.feed(number, octets))
    measured("that peer is lost", bench, lambda: bench.lose(3))
    print(f"resident: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


def main() -> None:
    routes = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    gc.set_threshold(100_000, 20, 100)
    run(routes, 5, max(1, routes // 10))
    run(routes, 300, 2000)


if __name__ == "__main__":
    main()
