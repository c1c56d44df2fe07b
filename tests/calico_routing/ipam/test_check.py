"""The checker finds what is broken by hand, and the collector repairs what crashes leave (section 11)."""

from __future__ import annotations

import pytest

from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.ipam.block_operations import assign, new_block
from calico_routing.ipam.check import Contents, Leftovers, check_store, collect_garbage, load_contents
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.handles import increment_handle
from calico_routing.model.blocks import parse_network
from calico_routing.model.names import affinity_name
from calico_routing.model.resources import BlockAffinity, IPAMBlock, IPAMHandle, IPPool, Metadata
from tests.calico_routing.ipam.cluster import Cluster

CIDR = "10.0.0.0/30"


def block(**changes: object) -> IPAMBlock:
    fresh = new_block(parse_network(CIDR), "host:a", claim_time="", sequence_number=10)
    return assign(fresh, [0], "h", {"node": "a"}).replace(**changes)


def contents(
    *blocks: IPAMBlock,
    handles: dict[str, dict[str, int]] | None = None,
    affinities: tuple[tuple[str, str], ...] = (("a", "confirmed"),),
    pools: tuple[str, ...] = ("10.0.0.0/24",),
) -> Contents:
    counts = {"h": {CIDR: 1}} if handles is None else handles
    return Contents(
        pools=tuple([IPPool(metadata=Metadata(name=f"p{cidr}"), cidr=cidr, block_size=30) for cidr in pools]),
        blocks=blocks,
        affinities=tuple(
            [
                BlockAffinity(metadata=Metadata(name=affinity_name(node, CIDR)), node=node, cidr=CIDR, state=state)
                for node, state in affinities
            ]
        ),
        handles=tuple(
            [IPAMHandle(metadata=Metadata(name=name), handle_id=name, block=count) for name, count in counts.items()]
        ),
    )


def test_a_sound_store_has_no_findings() -> None:
    assert check_store(contents(block()), settled=True) == []


@pytest.mark.parametrize(
    ("broken", "invariant", "text"),
    [
        (contents(block(allocations=(0, None, None))), 1, "has 3 allocations for 4 addresses"),
        (contents(block(allocations=(1, None, None, None))), 1, "but uses [1]"),
        (contents(block(attributes=(), allocations=(0, None, None, None))), 1, "has attributes []"),
        (contents(block(unallocated=(1, 2, 2, 3))), 2, "twice"),
        (contents(block(unallocated=(1, 2))), 2, "has the queue [1, 2] but the free ordinals [1, 2, 3]"),
        (contents(block(unallocated=(0, 1, 2, 3))), 2, "has the queue [0, 1, 2, 3]"),
        (contents(block(unallocated=(1, 2, 3, 4))), 2, "beyond its size"),
        (contents(block(sequence_number_for_allocation={0: 10, 2: 10})), 3, "ordinal 2, which is free"),
        (contents(block(sequence_number_for_allocation={0: 99})), 3, "beyond its own"),
        (contents(block(cidr="10.0.0.1/30"), affinities=()), 4, "host bits"),
        (contents(block(), block(cidr="10.0.0.0/29", allocations=(None,) * 8)), 5, "overlaps block 10.0.0.0/30"),
        (contents(block(), handles={}), 6, "counts 0 addresses in 10.0.0.0/30, which has 1"),
        (contents(block(), handles={"h": {CIDR: 2}}), 6, "counts {'10.0.0.0/30': 2}"),
        (contents(block(), handles={"h": {CIDR: 1}, "i": {CIDR: 1}}), 6, "the blocks have {}"),
        (contents(handles={}), 7, "there is no such block"),
        (contents(block(affinity="host:b")), 7, "belongs to host:b"),
        (contents(block(), affinities=(("a", "confirmed"), ("b", ""))), 7, "is confirmed for a, b"),
        (contents(block(), pools=("10.0.0.0/24", "10.0.0.0/16")), 11, "overlaps pool p10.0.0.0/16"),
        (contents(block(metadata=Metadata(name="x"))), 12, "should be named 10-0-0-0-30"),
    ],
)
def test_each_broken_promise_is_found(broken: Contents, invariant: int, text: str) -> None:
    found = [str(finding) for finding in check_store(broken, settled=True) if finding.invariant == invariant]
    assert any(text in finding for finding in found), found
    assert not any("\n" in finding for finding in found)


def test_work_on_a_damaged_block_is_refused_by_name() -> None:
    cluster = Cluster(MemoryDatastore())
    cluster.add_pool("10.0.0.0/30", block_size=30)
    cluster.assign()
    stored = next(iter(cluster.blocks().values()))
    cluster.store.update(stored.replace(attributes=()))
    for action in (
        cluster.assign,
        lambda: cluster.allocator.assignment("10.0.0.0"),
        lambda: cluster.allocator.release_by_handle("h"),
        lambda: cluster.allocator.assign_ip("10.0.0.3", handle="h", host="a", attributes={}),
    ):
        with pytest.raises(IpamError, match=r"block 10\.0\.0\.0/30 is damaged: it has an allocation"):
            action()
    assert cluster.blocks()[stored.cidr].attributes == ()


def test_a_busy_store_may_count_too_many() -> None:
    assert check_store(contents(block(), handles={"h": {CIDR: 2}, "i": {CIDR: 1}})) == []
    assert check_store(contents(block(), affinities=(("a", "confirmed"), ("b", "pending")))) == []


def test_the_collector_needs_two_looks_at_the_same_revision() -> None:
    cluster = Cluster(MemoryDatastore())
    cluster.add_pool("10.0.0.0/29", block_size=30)
    cluster.assign(count=1, handle="good")
    cidr = next(iter(cluster.blocks()))
    increment_handle(cluster.store, "leak", cidr, 1)
    increment_handle(cluster.store, "good", cidr, 1)
    seen = collect_garbage(cluster.store, Leftovers())
    assert cluster.handles() == {"leak": {cidr: 1}, "good": {cidr: 2}}
    increment_handle(cluster.store, "leak", cidr, 1)
    seen = collect_garbage(cluster.store, seen)
    assert cluster.handles() == {"leak": {cidr: 2}, "good": {cidr: 1}}
    collect_garbage(cluster.store, seen)
    assert cluster.handles() == {"good": {cidr: 1}}
    cluster.assert_sound()


def test_the_collector_removes_claims_without_a_block() -> None:
    cluster = Cluster(MemoryDatastore())
    name = affinity_name("a", CIDR)
    for state in ("pending", "pendingDeletion"):
        affinity = BlockAffinity(metadata=Metadata(name=name), node="a", cidr=CIDR, state=state)
        cluster.store.create(affinity)
        collect_garbage(cluster.store, collect_garbage(cluster.store, Leftovers()))
        assert cluster.affinities() == {}


def test_contents_are_what_the_store_has() -> None:
    cluster = Cluster(MemoryDatastore())
    cluster.add_pool("10.0.0.0/24")
    cluster.assign()
    found = load_contents(cluster.store)
    assert [len(found.pools), len(found.blocks), len(found.affinities), len(found.handles)] == [1, 1, 1, 1]
