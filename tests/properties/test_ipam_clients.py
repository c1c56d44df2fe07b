"""Any interleaving of clients, with conflicts and crashes after any write, keeps section 11 of spec/calico.md."""

from __future__ import annotations

import itertools
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_routing.datastore.interface import ConflictError, Datastore
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.ipam.affinity import affinities_of, find_affinity
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.block_operations import assign
from calico_routing.ipam.check import Leftovers, check_store, collect_garbage, load_contents
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.handles import increment_handle
from calico_routing.ipam.requests import AssignRequest, ReleaseRequest
from calico_routing.model.names import affinity_name
from calico_routing.model.resources import BlockAffinity, IPAMBlock, Metadata
from tests.calico_routing.ipam.cluster import Clock, Cluster
from tests.properties.faulty_datastore import Client, Crash, FaultyDatastore, interleave

#: four blocks of two addresses for two hosts: every request meets the others.
POOL, BLOCK_SIZE = "10.0.0.0/29", 31
HOSTS = ("a", "b")

OPERATIONS = st.one_of(
    st.tuples(st.just("assign"), st.integers(1, 3)),
    st.tuples(st.just("assign_ip"), st.integers(0, 7)),
    st.tuples(st.just("release_some"), st.integers(1, 3)),
    st.tuples(st.just("release_handle"), st.just(0)),
    st.tuples(st.just("ensure_block"), st.just(0)),
    st.tuples(st.just("give_up_blocks"), st.integers(0, 1)),
)
PROGRAMS = st.lists(OPERATIONS, min_size=1, max_size=4)


class Worker:
    """One client: its host, its own handle, and the addresses that it believes to have."""

    def __init__(self, cluster: Cluster, number: int, program: list[tuple[str, int]], **faults: object) -> None:
        self.host = HOSTS[number % len(HOSTS)]
        self.handle = f"h{number}"
        self.program = program
        self.addresses: set[str] = set()
        #: addresses of a request that was under way when the client died.
        self.uncertain = False
        self.store = FaultyDatastore(cluster.store, before=self.pause, **faults)  # type: ignore[arg-type]
        self.allocator = Allocator(self.store, Clock())
        self.client: Client
        self.client = Client(self.run)

    def pause(self) -> None:
        self.client.pause()

    def run(self, client: Client) -> None:
        self.client = client
        for verb, argument in self.program:
            try:
                getattr(self, verb)(argument)
            except IpamError:
                continue
            except Crash:
                self.uncertain = True
                raise

    def assign(self, count: int) -> None:
        request = AssignRequest(host=self.host, handle=self.handle, num4=count)
        self.addresses.update(text.partition("/")[0] for text in self.allocator.auto_assign(request).addresses)

    def assign_ip(self, ordinal: int) -> None:
        text = self.allocator.assign_ip(f"10.0.0.{ordinal}", handle=self.handle, host=self.host, attributes={})
        self.addresses.add(text.partition("/")[0])

    def release_some(self, count: int) -> None:
        chosen = sorted(self.addresses)[:count]
        requests = [ReleaseRequest(address=address, handle=self.handle) for address in chosen]
        result = self.allocator.release_ips(requests)
        assert set(result.released) == set(chosen)
        self.addresses -= set(chosen)

    def release_handle(self, _argument: int) -> None:
        released = self.allocator.release_by_handle(self.handle)
        assert set(released) == self.addresses
        self.addresses.clear()

    def ensure_block(self, _argument: int) -> None:
        self.allocator.ensure_block(self.host)

    def give_up_blocks(self, must_be_empty: int) -> None:
        self.allocator.release_host_affinities(self.host, must_be_empty=bool(must_be_empty))


def collect_all(cluster: Cluster) -> None:
    collect_garbage(cluster.store, collect_garbage(cluster.store, Leftovers()))


def assert_owners(cluster: Cluster, workers: list[Worker]) -> None:
    """Every address is where its client believes it to be, and nowhere else (invariant 5)."""
    owned = list(itertools.chain.from_iterable(worker.addresses for worker in workers if not worker.uncertain))
    assert len(owned) == len(set(owned))
    for worker in workers:
        if not worker.uncertain:
            for address in worker.addresses:
                assert cluster.allocator.assignment(address).handle == worker.handle
            try:
                stored = set(cluster.allocator.addresses_by_handle(worker.handle))
            except IpamError:
                stored = set()
            assert stored == worker.addresses


def run_clients(
    programs: list[list[tuple[str, int]]], schedule: list[int], faults: list[dict[str, object]], **config: object
) -> tuple[Cluster, list[Worker]]:
    cluster = Cluster(MemoryDatastore(), nodes=" ".join(HOSTS))
    cluster.add_pool(POOL, block_size=BLOCK_SIZE)
    if config:
        cluster.set_config(**config)
    workers = [
        Worker(cluster, number, program, **fault)
        for number, (program, fault) in enumerate(zip(programs, faults, strict=True))
    ]
    version = 0
    with closing(interleave([worker.client for worker in workers], itertools.cycle(schedule))) as turns:
        for _ in turns:
            written = sum(worker.store.writes for worker in workers)
            if written != version:
                version = written
                assert check_store(load_contents(cluster.store)) == []
    return cluster, workers


SCHEDULES = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(PROGRAMS, min_size=2, max_size=3), SCHEDULES, st.sets(st.integers(1, 12), max_size=4))
def test_interleaved_clients_with_conflicts(
    programs: list[list[tuple[str, int]]], schedule: list[int], conflicts: set[int]
) -> None:
    faults: list[dict[str, object]] = [{"conflicts": conflicts} for _ in programs]
    cluster, workers = run_clients(programs, schedule, faults)
    assert_owners(cluster, workers)
    assert check_store(load_contents(cluster.store), settled=True) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PROGRAMS, st.integers(1, 15)), min_size=2, max_size=3), SCHEDULES)
def test_interleaved_clients_that_crash(clients: list[tuple[list[tuple[str, int]], int]], schedule: list[int]) -> None:
    faults: list[dict[str, object]] = [{"crash_after": write} for _, write in clients]
    cluster, workers = run_clients([program for program, _ in clients], schedule, faults)
    assert_owners(cluster, workers)
    collect_all(cluster)
    assert check_store(load_contents(cluster.store), settled=True) == []
    assert set(cluster.affinities().values()) <= {"confirmed", *unfinished(cluster)}
    for host in HOSTS:
        cluster.assign(host, 1, f"after-{host}")
    cluster.assert_sound()


def unfinished(cluster: Cluster) -> set[str]:
    """Invariant 8: what is pending still has its block."""
    blocks = {block.cidr: block.host for block in cluster.store.list(IPAMBlock).items}
    states = set()
    for affinity in cluster.store.list(BlockAffinity).items:
        if not affinity.confirmed:
            assert blocks[affinity.cidr] == affinity.node
            states.add(affinity.state)
    return states


@settings(max_examples=40, deadline=None)
@given(st.lists(PROGRAMS, min_size=2, max_size=3), SCHEDULES, st.integers(1, 2))
def test_invariant_10_limits_hold_with_strict_affinity(
    programs: list[list[tuple[str, int]]], schedule: list[int], limit: int
) -> None:
    programs = [[step for step in program if step[0] != "assign_ip"] for program in programs]
    faults: list[dict[str, object]] = [{} for _ in programs[:2]]
    cluster, workers = run_clients(programs[:2], schedule, faults, strict_affinity=True, max_blocks_per_host=limit)
    assert_owners(cluster, workers)
    for host in HOSTS:
        assert len(affinities_of(cluster.store, host)) <= limit
    for worker in workers:
        for address in worker.addresses:
            assert cluster.block_of(address).host in {worker.host, None}


def test_under_strict_affinity_a_block_with_others_addresses_is_not_taken_over() -> None:
    programs = [[("assign", 3)], [("assign", 1), ("give_up_blocks", 0)]]
    cluster, workers = run_clients(programs, [1], [{}, {}], strict_affinity=True)
    (address,) = workers[1].addresses
    assert cluster.block_of(address).host is None


@settings(max_examples=40, deadline=None)
@given(st.lists(OPERATIONS, max_size=5), OPERATIONS, st.integers(1, 30))
def test_every_crash_of_one_client_is_survivable(
    before: list[tuple[str, int]], last: tuple[str, int], write: int
) -> None:
    """Invariants 6, 8 and 9, with the client's own next run instead of the collector."""
    cluster, (first,) = run_clients([before], [0], [{}])
    survivor = Worker(cluster, 0, [last], crash_after=write)
    survivor.addresses = first.addresses
    for _ in interleave([survivor.client], itertools.cycle([0])):
        pass
    assert check_store(load_contents(cluster.store)) == []
    with suppress(IpamError):
        cluster.allocator.release_by_handle("h0")
    again = cluster.blocks()
    with suppress(IpamError):
        cluster.allocator.release_by_handle("h0")
    assert cluster.blocks() == again
    assert sum(len(block.unallocated) for block in again.values()) == 2 * len(again)
    assert len(cluster.assign("a", 8, "rest")) == 8
    collect_all(cluster)
    cluster.assert_sound()


def block_before_handle(
    self: Allocator, block: IPAMBlock, ordinals: list[int], handle: str, attributes: dict[str, str]
) -> IPAMBlock | None:
    """Write in the wrong order: a crash between the two leaves a handle that counts too few."""
    try:
        stored = self._datastore.update(assign(block, ordinals, handle, attributes))
    except ConflictError:
        return None
    increment_handle(self._datastore, handle, block.cidr, len(ordinals))
    return stored


def announce_as_confirmed(datastore: Datastore, cidr: str, host: str) -> BlockAffinity:
    """Claim in one phase: routing would believe a claim whose block does not exist."""
    affinity = BlockAffinity(metadata=Metadata(name=affinity_name(host, cidr)), node=host, cidr=cidr)
    return find_affinity(datastore, host, cidr) or datastore.create(affinity)


def release_and_forget(block: IPAMBlock, ordinals: list[int]) -> IPAMBlock:
    """Free addresses, but leave their attributes and queue as they are."""
    allocations = [None if ordinal in ordinals else index for ordinal, index in enumerate(block.allocations)]
    return block.replace(allocations=tuple(allocations))


@pytest.mark.parametrize(
    ("place", "mutant"),
    [
        ("calico_routing.ipam.allocator.Allocator.take", block_before_handle),
        ("calico_routing.ipam.affinity._announce", announce_as_confirmed),
        ("calico_routing.ipam.release.release", release_and_forget),
    ],
)
def test_the_invariants_notice_wrong_code(monkeypatch: pytest.MonkeyPatch, place: str, mutant: object) -> None:
    monkeypatch.setattr(place, mutant)
    program = [("assign", 2), ("release_some", 1), ("assign", 1), ("release_handle", 0)]
    with pytest.raises(AssertionError):
        for write in range(1, 12):
            run_clients([program, program], [0, 1], [{"crash_after": write}, {}])
