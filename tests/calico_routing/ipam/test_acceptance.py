"""The behaviours of spec/calico.md section 9.2, each test named after its entry there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from calico_routing.datastore.interface import ConflictError, Datastore, DatastoreError, NotFoundError
from calico_routing.ipam.affinity import affinities_of
from calico_routing.ipam.allocator import LIMIT_MESSAGE, Allocator
from calico_routing.ipam.block_operations import WINDOWS_HANDLE, ReservedEnds
from calico_routing.ipam.check import Leftovers, collect_garbage
from calico_routing.ipam.errors import (
    AffinityError,
    AlreadyAssignedError,
    NoPoolError,
    NotAssignedError,
    StaleReleaseError,
)
from calico_routing.ipam.requests import AssignRequest, ReleaseRequest
from calico_routing.model.blocks import address_at, ordinal_of, parse_network
from calico_routing.model.errors import ValidationError
from calico_routing.model.names import LONGEST_NAME, affinity_name, cidr_name
from calico_routing.model.resources import BlockAffinity, IPAMBlock, IPAMConfig, IPReservation, Metadata, Node
from tests.calico_routing.ipam.cluster import Clock, Cluster
from tests.properties.faulty_datastore import Crash, FaultyDatastore


@pytest.fixture
def cluster(store: Datastore) -> Iterator[Cluster]:
    cluster = Cluster(store)
    yield cluster
    cluster.assert_sound()


def free(cluster: Cluster) -> int:
    return sum(len(block.unallocated) for block in cluster.blocks().values())


def test_b1_assigning_more_than_there_is_gives_what_there_is(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", "one")
    cluster.add_pool("10.0.1.0/27", "two", block_size=28)
    request = AssignRequest(host="a", handle="h", num4=300)
    result = cluster.allocator.auto_assign(request).ipv4
    assert len(set(result.addresses)) == len(result.addresses) == 256 + 32
    assert not result.complete
    assert result.shortfall.startswith("Assigned 288 out of 300 requested IPv4 addresses")


def test_b2_a_released_address_comes_last(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    first = cluster.assign()
    cluster.allocator.release_by_handle("h")
    seen = []
    for _ in range(8):
        seen += cluster.assign()
        cluster.allocator.release_by_handle("h")
    assert len(set(seen)) == 8
    assert seen[0] != first[0]
    assert seen[-1] == first[0]


def test_b3_a_stale_release_changes_nothing(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/30", block_size=30)
    addresses = cluster.assign(count=4)
    old = cluster.allocator.assignment(addresses[0])
    cluster.allocator.release_by_handle("h")
    assert sorted(cluster.assign(count=4)) == sorted(addresses)
    before = cluster.blocks()
    stale = ReleaseRequest(address=addresses[0], handle="h", sequence_number=old.sequence_number)
    with pytest.raises(StaleReleaseError, match="was assigned at sequence number"):
        cluster.allocator.release_ips([stale])
    with pytest.raises(StaleReleaseError, match="has handle h, not other"):
        cluster.allocator.release_ips([ReleaseRequest(address=addresses[0], handle="other")])
    assert cluster.blocks() == before


def test_b3_one_stale_address_protects_its_whole_block_and_no_other(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=30)
    addresses = sorted(cluster.assign(count=8), key=lambda text: parse_network(text).first)
    wrong = ReleaseRequest(address=addresses[0], handle="other")
    with pytest.raises(StaleReleaseError):
        cluster.allocator.release_ips([wrong, *[ReleaseRequest(address=address) for address in addresses[1:]]])
    assert sorted(cluster.allocator.addresses_by_handle("h")) == sorted(addresses[:4])


def test_b4_releases_are_grouped_and_duplicates_count_once(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=30)
    addresses = cluster.assign(count=5)
    requests = [ReleaseRequest(address=address) for address in (*addresses, *addresses, "10.0.0.7", "192.0.2.1")]
    writes = FaultyDatastore(cluster.store)
    result = Allocator(writes).release_ips(requests)
    assert sorted(result.released) == sorted(addresses)
    unassigned = {"10.0.0.7", "10.0.0.3"} - set(addresses)
    assert set(result.unallocated) <= {*unassigned, "192.0.2.1"}
    assert "192.0.2.1" in result.unallocated
    assert len([entry for entry in writes.written if "IPAMBlock" in entry]) == 2
    again = cluster.allocator.release_ips([ReleaseRequest(address=addresses[0])])
    assert (again.released, again.unallocated) == ((), (addresses[0],))


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_b5_a_disabled_or_deleted_pool_gives_nothing_but_takes_back(cluster: Cluster, change: str) -> None:
    pool = cluster.add_pool("10.0.0.0/28", block_size=29)
    cluster.add_pool("10.1.0.0/28", "other", block_size=29)
    addresses = cluster.assign(pools4=("pool",))
    if change == "disable":
        cluster.store.update(pool.replace(disabled=True))
    else:
        cluster.store.delete(pool)
    others = cluster.assign(count=30, handle="other")
    assert len(others) == 16
    assert all(address.startswith("10.1.") for address in others)
    with pytest.raises(NoPoolError, match=r"the given pool \(pool\) does not exist, or is not enabled"):
        cluster.assign(pools4=("pool",))
    result = cluster.allocator.release_ips([ReleaseRequest(address=addresses[0], handle="h")])
    assert result.released == tuple(addresses)


@pytest.mark.parametrize(
    ("requested", "labels", "expected"),
    [
        ((), {"rack": "1"}, "10.0."),
        ((), {"rack": "2"}, "10.1."),
        ((), {}, NoPoolError),
        (("second",), {"rack": "2"}, "10.1."),
        (("10.1.0.0/24",), {"rack": "2"}, "10.1."),
        (("unknown",), {"rack": "1"}, NoPoolError),
        (("10.9.0.0/24",), {"rack": "1"}, NoPoolError),
        (("first", "unknown"), {"rack": "1"}, NoPoolError),
        # Section 2.1 point 2: pools asked for by name or CIDR are taken whatever they select.
        (("second",), {"rack": "1"}, "10.1."),
    ],
)
def test_b6_requested_pools_and_node_selectors(
    cluster: Cluster, requested: tuple[str, ...], labels: dict[str, str], expected: str | type[Exception]
) -> None:
    cluster.add_pool("10.0.0.0/24", "first", node_selector='rack == "1"')
    cluster.add_pool("10.1.0.0/24", "second", node_selector='rack == "2"')
    cluster.add_node("n", labels)
    if isinstance(expected, str):
        (address,) = cluster.assign("n", pools4=requested)
        assert address.startswith(expected)
    else:
        with pytest.raises(expected):
            cluster.assign("n", pools4=requested)


def test_b6_manual_pools_and_uses(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", "manual", assignment_mode="Manual")
    with pytest.raises(NoPoolError, match="no configured Calico pools for node a"):
        cluster.assign()
    assert cluster.assign(pools4=("manual",))
    cluster.add_pool("10.1.0.0/24", "tunnels", allowed_uses=("Tunnel",))
    with pytest.raises(NoPoolError, match="allow use Workload"):
        cluster.assign()
    assert cluster.assign(use="Tunnel")[0].startswith("10.1.")


def test_b6_namespace_selectors(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", namespace_selector='team == "x"', allowed_uses=("Workload",))
    assert cluster.assign(namespace_labels={"team": "x"})
    with pytest.raises(NoPoolError):
        cluster.assign(namespace_labels={"team": "y"})


def test_b7_empty_blocks_of_a_pool_that_selects_other_nodes_are_given_up(cluster: Cluster) -> None:
    pool = cluster.add_pool("10.0.0.0/27", block_size=29)
    cluster.add_pool("10.1.0.0/27", "other", block_size=29)
    kept = cluster.assign(count=9, pools4=("pool",))
    cluster.allocator.release_ips([ReleaseRequest(address=kept.pop())])
    assert len(affinities_of(cluster.store, "a")) == 2
    cluster.store.update(pool.replace(node_selector="has(nothing)"))
    assert cluster.assign(handle="new")[0].startswith("10.1.")
    cidrs = [affinity.cidr for affinity in affinities_of(cluster.store, "a")]
    assert sorted(cidr[:5] for cidr in cidrs) == ["10.0.", "10.1."]
    assert cluster.block_of(kept[0]).host == "a"
    cluster.allocator.release_by_handle("h")
    assert [affinity.cidr[:5] for affinity in affinities_of(cluster.store, "a")] == ["10.1."]


def test_b8_a_full_pool_makes_hosts_borrow(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=29)
    cluster.assign("a", 8, "full")
    (first,) = cluster.assign("b", 1, "b")
    block = cluster.block_of(first)
    (borrowed,) = cluster.assign("a", 1, "borrower")
    assert cluster.block_of(borrowed).cidr == block.cidr
    assert cluster.block_of(borrowed).host == "b"
    cluster.allocator.release_by_handle("borrower")
    assert len(cluster.blocks()[block.cidr].unallocated) == 7
    cluster.set_config(strict_affinity=True)
    assert "strictAffinity" in cluster.messages("a", 1, "borrower")
    assert cluster.assign("b", 1, "b2")
    cluster.set_config(strict_affinity=False)
    assert len(cluster.assign("a", 1, "borrower")) == 1


def test_b9_strict_affinity_may_be_switched_on_while_blocks_exist(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    cluster.assign("a", 2, "owner")
    (borrowed,) = cluster.assign("b", 1, "borrower")
    cluster.set_config(strict_affinity=True)
    assert cluster.assign("b", 1, "more") == []
    assert cluster.allocator.assignment(borrowed).handle == "borrower"
    assert len(cluster.assign("a", 1, "owner")) == 1
    with pytest.raises(ValidationError, match="autoAllocateBlocks"):
        cluster.set_config(strict_affinity=False, auto_allocate_blocks=False)
    with pytest.raises(ValidationError, match="maxBlocksPerHost: needs strictAffinity"):
        cluster.set_config(strict_affinity=False, max_blocks_per_host=2)


def test_b9_without_auto_allocation_only_own_blocks_are_used(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=29)
    cluster.set_config(strict_affinity=True, auto_allocate_blocks=False)
    assert cluster.assign() == []
    cluster.allocator.claim_affinity("10.0.0.0/29", "a")
    assert len(cluster.assign(count=9)) == 8


def test_b10_the_block_limit_is_kept_and_nothing_is_borrowed(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24")
    cluster.assign("b", 1, "other")
    config = cluster.set_config(strict_affinity=True, max_blocks_per_host=1)
    assert len(cluster.assign(count=64)) == 64
    assert LIMIT_MESSAGE in cluster.messages(count=1)
    assert len(cluster.blocks()) == 2
    cluster.store.update(config.replace(max_blocks_per_host=2))
    assert len(cluster.assign(count=1)) == 1


def test_b10_a_request_may_lower_the_limit(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/27", block_size=29)
    assert len(cluster.assign(count=17, max_blocks=2)) == 16
    assert LIMIT_MESSAGE in cluster.messages(count=1, max_blocks=2)


def test_b10_the_default_cap_is_20_blocks(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/26", block_size=31)
    assert len(cluster.assign(count=64)) == 40
    assert len(affinities_of(cluster.store, "a")) == 20


def test_b11_assigning_a_given_address(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=29)

    def assign_ip(address: str, host: str = "a", use: str = "") -> str:
        return cluster.allocator.assign_ip(address, handle="h", host=host, attributes={"node": host}, use=use)

    assert assign_ip("10.0.0.5") == "10.0.0.5/29"
    assert cluster.affinities() == {("a", "10.0.0.0/29"): "confirmed"}
    assert cluster.blocks()["10.0.0.0/29"].unallocated == (0, 1, 2, 3, 4, 6, 7)
    with pytest.raises(AlreadyAssignedError, match="Address already assigned in block"):
        assign_ip("10.0.0.5")
    with pytest.raises(NoPoolError, match="is not in a configured pool"):
        assign_ip("10.1.0.5")
    with pytest.raises(NoPoolError, match="does not allow use LoadBalancer"):
        assign_ip("10.0.0.6", use="LoadBalancer")
    assert assign_ip("10.0.0.4", "b") == "10.0.0.4/29"
    cluster.set_config(strict_affinity=True)
    with pytest.raises(AffinityError, match="belongs to host:a"):
        assign_ip("10.0.0.6", "b")
    assert assign_ip("10.0.0.6") == "10.0.0.6/29"


def test_b11_a_block_is_claimed_only_if_the_pool_allows_the_node(cluster: Cluster) -> None:
    pool = cluster.add_pool("10.0.0.0/28", node_selector="has(nothing)", block_size=29)
    with pytest.raises(NoPoolError, match="does not select node a"):
        cluster.allocator.assign_ip("10.0.0.1", handle="h", host="a", attributes={})
    assert cluster.blocks() == {}
    cluster.store.update(pool.replace(disabled=True))
    with pytest.raises(NoPoolError):
        cluster.allocator.assign_ip("10.0.0.1", handle="h", host="a", attributes={})


@pytest.mark.parametrize(("writes_before", "winner"), [(0, "b"), (1, "b"), (2, "a")])
def test_b12_two_hosts_race_for_one_block(cluster: Cluster, writes_before: int, winner: str) -> None:
    """B claims the whole block after some writes of A; the one who made the block has it."""
    outcome: dict[str, bool] = {}

    def interfere() -> None:
        if slow.writes == writes_before and not outcome:
            outcome["b"] = claims(cluster.allocator, "b")

    def claims(allocator: Allocator, host: str) -> bool:
        try:
            return bool(allocator.claim_affinity("10.0.0.0/29", host))
        except AffinityError:
            return False

    slow = FaultyDatastore(cluster.store, before=interfere)
    outcome["a"] = claims(Allocator(slow, Clock()), "a")
    assert outcome == {"a": winner == "a", "b": winner == "b"}
    assert cluster.affinities() == {(winner, "10.0.0.0/29"): "confirmed"}
    assert cluster.blocks()["10.0.0.0/29"].host == winner


def test_b12_the_race_has_both_outcomes(cluster: Cluster) -> None:
    cluster.allocator.claim_affinity("10.0.0.0/29", "b")
    with pytest.raises(AffinityError, match="belongs to host:b, not to host:a"):
        cluster.allocator.claim_affinity("10.0.0.0/29", "a")
    assert cluster.affinities() == {("b", "10.0.0.0/29"): "confirmed"}


@pytest.mark.parametrize("write", [1, 2, 3])
def test_b12_a_crashed_claim_is_repaired_by_the_next(cluster: Cluster, write: int) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    with pytest.raises(Crash):
        Allocator(FaultyDatastore(cluster.store, crash_after=write), Clock()).claim_affinity("10.0.0.0/29", "a")
    assert set(cluster.affinities().values()) == ({"pending"} if write < 3 else {"confirmed"})
    assert len(cluster.assign()) == 1
    assert cluster.affinities() == {("a", "10.0.0.0/29"): "confirmed"}


@pytest.mark.parametrize("repair", ["claim", "assign", "collector"])
def test_b12b_a_pending_affinity_beside_anothers_confirmed_one_is_removed(cluster: Cluster, repair: str) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    cluster.allocator.claim_affinity("10.0.0.0/29", "b")
    name = affinity_name("a", "10.0.0.0/29")
    pending = BlockAffinity(metadata=Metadata(name=name), node="a", cidr="10.0.0.0/29", state="pending")
    cluster.store.create(pending)
    if repair == "claim":
        with pytest.raises(AffinityError):
            cluster.allocator.claim_affinity("10.0.0.0/29", "a")
    elif repair == "assign":
        assert len(cluster.assign("a")) == 1
    else:
        collect_garbage(cluster.store, collect_garbage(cluster.store, Leftovers()))
    assert cluster.affinities() == {("b", "10.0.0.0/29"): "confirmed"}


def test_b13_a_block_of_a_deleted_host_is_not_stolen_before_it_is_released(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    (used,) = cluster.assign("c", 1, "c")
    cluster.store.delete(cluster.store.get(Node, "c"))
    (borrowed,) = cluster.assign("a", 1, "a")
    assert cluster.block_of(borrowed).host == "c"
    cluster.allocator.release_host_affinities("c")
    assert cluster.block_of(used).affinity is None
    assert len(cluster.assign("a", 1, "a2")) == 1
    assert cluster.block_of(used).host == "a"


def test_b14_reserved_addresses_are_given_on_demand_only(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=28)
    metadata = Metadata(name="r")
    cluster.store.create(IPReservation(metadata=metadata, reserved_cidrs=("10.0.0.0/29", "10.0.0.9")))
    addresses = cluster.assign(count=16)
    assert sorted(int(address.rpartition(".")[2]) for address in addresses) == [8, 10, 11, 12, 13, 14, 15]
    assert cluster.allocator.assign_ip("10.0.0.3", handle="h", host="a", attributes={}) == "10.0.0.3/28"
    assert cluster.block_of("10.0.0.0").unallocated == (0, 1, 2, 4, 5, 6, 7, 9)


def test_b14_wholly_reserved_blocks_are_not_claimed(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=30)
    reserved = ("10.0.0.0/29", "10.0.0.8/31", "10.0.0.10/31")
    cluster.store.create(IPReservation(metadata=Metadata(name="r"), reserved_cidrs=reserved))
    assert len(cluster.assign(count=16)) == 4
    assert list(cluster.blocks()) == ["10.0.0.12/30"]


def test_b15_the_longest_host_name(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", block_size=29)
    cluster.add_pool("fd00::/64", "six")
    host, sibling = "n" * 253, "n" * 252 + "m"
    for name in (host, sibling):
        cluster.add_node(name)
        request = AssignRequest(host=name, handle=f"h-{name[-1]}", num4=9, num6=1)
        assert len(cluster.allocator.auto_assign(request).addresses) == 10
    names = [affinity.name for affinity in cluster.store.list(BlockAffinity).items]
    assert len(set(names)) == 6
    assert all(len(name) <= LONGEST_NAME for name in names)
    assert {affinity.node for affinity in affinities_of(cluster.store, host)} == {host}
    assert len(affinities_of(cluster.store, host)) == 3


def test_b15_a_host_whose_name_begins_another(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24")
    cluster.add_node("a-10")
    cluster.assign("a", 1, "x")
    cluster.assign("a-10", 1, "y")
    assert [affinity.node for affinity in affinities_of(cluster.store, "a")] == ["a"]


def test_b16_releasing_by_handle(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=30)
    addresses = cluster.assign(count=6)
    others = cluster.assign(count=1, handle="other")
    assert sum(cluster.handles()["h"].values()) == 6
    assert sorted(cluster.allocator.addresses_by_handle("h")) == sorted(addresses)
    assert sorted(cluster.allocator.release_by_handle("h")) == sorted(addresses)
    assert list(cluster.handles()) == ["other"]
    assert len(affinities_of(cluster.store, "a")) == 2
    assert cluster.allocator.assignment(others[0]).handle == "other"
    for action in (cluster.allocator.release_by_handle, cluster.allocator.addresses_by_handle):
        with pytest.raises(NotAssignedError, match="handle h does not exist"):
            action("h")


def test_b17_releasing_all_of_a_host(cluster: Cluster) -> None:
    pool = cluster.add_pool("10.0.0.0/28", block_size=30)
    cluster.assign("a", 5, "a")
    full, rest = sorted(cluster.blocks().values(), key=lambda block: len(block.unallocated))
    cluster.allocator.claim_affinity("10.0.0.12/30" if "10.0.0.12/30" not in cluster.blocks() else "10.0.0.4/30", "a")
    cluster.store.delete(pool)
    with pytest.raises(AffinityError, match="is not empty"):
        cluster.allocator.release_host_affinities("a", must_be_empty=True)
    assert {affinity.cidr for affinity in affinities_of(cluster.store, "a")} == {full.cidr, rest.cidr}
    assert all(affinity.confirmed for affinity in affinities_of(cluster.store, "a"))
    cluster.allocator.release_host_affinities("a")
    assert affinities_of(cluster.store, "a") == []
    assert {block.affinity for block in cluster.blocks().values()} == {None}
    assert len(cluster.allocator.release_by_handle("a")) == 5
    assert cluster.blocks() == {}


def test_b17_releasing_all_of_a_pool(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=30)
    cluster.add_pool("10.1.0.0/28", "other", block_size=30)
    for host in ("a", "b"):
        cluster.assign(host, 1, host, pools4=("pool",))
        cluster.assign(host, 1, host, pools4=("other",))
    cluster.allocator.release_pool_affinities("10.0.0.0/28")
    assert {cidr[:5] for _, cidr in cluster.affinities()} == {"10.1."}
    for host in ("a", "b"):
        cluster.allocator.release_by_handle(host)


def test_b17_a_foreign_or_missing_claim_is_not_released(cluster: Cluster) -> None:
    cluster.allocator.claim_affinity("10.0.0.0/30", "b")
    with pytest.raises(NotAssignedError, match="host a has no claim"):
        cluster.allocator.release_affinity("10.0.0.0/30", "a")
    assert cluster.affinities() == {("b", "10.0.0.0/30"): "confirmed"}


def test_b18_who_has_an_address(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=29)
    attributes = {"node": "a", "pod": "web-0", "namespace": "default"}
    (address,) = cluster.assign(attributes=attributes)
    found = cluster.allocator.assignment(address)
    assert (found.handle, found.attributes) == ("h", attributes)
    assert found.sequence_number == cluster.block_of(address).sequence_number - 1
    network = parse_network(cluster.block_of(address).cidr)
    with pytest.raises(NotAssignedError, match="is not assigned"):
        cluster.allocator.assignment(address_at(network, 7))
    with pytest.raises(NotAssignedError, match="is in no block"):
        cluster.allocator.assignment("192.0.2.1")


@pytest.mark.parametrize("fault", ["conflicts", "failures"])
def test_b19_a_failed_block_write_takes_the_handle_back(cluster: Cluster, fault: str) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    cluster.allocator.claim_affinity("10.0.0.0/29", "a")
    faulty = FaultyDatastore(cluster.store, **{fault: {2}})  # type: ignore[arg-type]
    request = AssignRequest(host="a", handle="h", num4=1)
    if fault == "conflicts":
        assert Allocator(faulty, Clock()).auto_assign(request).ipv4.complete
        assert cluster.handles() == {"h": {"10.0.0.0/29": 1}}
    else:
        with pytest.raises(DatastoreError, match="injected"):
            Allocator(faulty, Clock()).auto_assign(request)
        assert cluster.handles() == {}
    assert faulty.written[1] == "update IPAMBlock 10-0-0-0-29"


def test_b19_a_handle_write_survives_conflicts(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    cluster.assign()
    faulty = FaultyDatastore(cluster.store, conflicts=range(1, 10))
    assert Allocator(faulty, Clock()).auto_assign(AssignRequest(host="a", handle="h", num4=1)).ipv4.complete
    assert cluster.handles() == {"h": {"10.0.0.0/29": 2}}


@pytest.mark.parametrize(
    ("cidr", "size"),
    [
        ("10.0.0.0/16", 20),
        ("10.0.0.0/16", 26),
        ("10.0.0.0/24", 32),
        ("fd00::/64", 116),
        ("fd00::/48", 122),
        ("fd00::/120", 128),
    ],
)
def test_b20_block_sizes(cluster: Cluster, cidr: str, size: int) -> None:
    cluster.add_pool(cidr, block_size=size)
    version = 6 if ":" in cidr else 4
    request = AssignRequest(host="a", handle="h", num4=5, num6=5)
    if version == 6:
        result = cluster.allocator.auto_assign(request.replace(num4=0)).ipv6
    else:
        result = cluster.allocator.auto_assign(request.replace(num6=0)).ipv4
    assert result.complete
    for text in result.addresses:
        address, length = text.split("/")
        assert int(length) == size
        block = cluster.block_of(address)
        network = parse_network(block.cidr)
        assert address_at(network, ordinal_of(network, address)) == address
        assert cluster.store.get(IPAMBlock, cidr_name(block.cidr)) == block
    assert len(cluster.allocator.release_by_handle("h")) == 5
    cluster.allocator.release_host_affinities("a", must_be_empty=True)
    assert cluster.blocks() == {}


def test_b20_dual_stack_is_all_or_nothing_when_a_family_has_no_pool(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24")
    with pytest.raises(NoPoolError):
        cluster.allocator.auto_assign(AssignRequest(host="a", handle="h", num4=1, num6=1))
    assert cluster.handles() == {}


def test_b21_reserved_ends_are_honoured_and_never_released(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/28", block_size=29)
    allocator = Allocator(cluster.store, Clock(), reserved=ReservedEnds(first=3, last=1))
    addresses = allocator.auto_assign(AssignRequest(host="a", handle="h", num4=16)).ipv4.addresses
    assert sorted(int(text.partition("/")[0].rpartition(".")[2]) for text in addresses) == [3, 4, 5, 6, 11, 12, 13, 14]
    result = allocator.release_ips([ReleaseRequest(address="10.0.0.0"), ReleaseRequest(address="10.0.0.7")])
    assert result.released == ()
    assert set(result.unallocated) == {"10.0.0.0", "10.0.0.7"}
    assert allocator.assignment("10.0.0.0").handle == WINDOWS_HANDLE
    with pytest.raises(NotAssignedError):
        allocator.release_by_handle(WINDOWS_HANDLE)
    allocator.release_by_handle("h")
    allocator.release_host_affinities("a", must_be_empty=True)
    assert cluster.blocks() == {}


def test_a_handle_with_a_carriage_return_is_still_ours(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    (address,) = cluster.assign()
    block = cluster.block_of(address)
    entry = block.attributes[0].replace(handle_id="h\r\n")
    cluster.store.update(block.replace(attributes=(entry,)))
    assert cluster.allocator.release_by_handle("h") == (address,)
    assert cluster.handles() == {}


def test_blocks_of_old_releases_have_no_sequence_numbers(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    (address,) = cluster.assign()
    block = cluster.block_of(address)
    cluster.store.update(block.replace(sequence_number=0, sequence_number_for_allocation={}))
    assert cluster.allocator.assignment(address).sequence_number == 0
    assert len(cluster.assign(handle="h2")) == 1
    result = cluster.allocator.release_ips([ReleaseRequest(address=address, handle="h", sequence_number=0)])
    assert result.released == (address,)


def test_equal_handles_and_attributes_share_an_entry(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    for handle in ("x", "y", "x"):
        cluster.assign(handle=handle, attributes={"node": "a"})
    block = next(iter(cluster.blocks().values()))
    assert block.allocations[:4] == (0, 1, 0, None)
    cluster.allocator.release_by_handle("x")
    block = next(iter(cluster.blocks().values()))
    assert block.allocations == (None, 0, None, None, None, None, None, None)
    assert block.unallocated == (3, 4, 5, 6, 7, 0, 2)


def test_ensure_block_claims_once(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24")
    assert cluster.allocator.ensure_block("a") == cluster.allocator.ensure_block("a")
    assert len(cluster.blocks()) == 1


def test_hosts_start_in_the_same_place_every_time(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/16")
    first = cluster.allocator.ensure_block("a").cidr
    cluster.allocator.release_host_affinities("a")
    assert cluster.allocator.ensure_block("a").cidr == first


def test_a_hundred_conflicts_are_the_limit(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/29", block_size=29)
    faulty = FaultyDatastore(cluster.store, conflicts=range(1, 10_000))
    started = time.monotonic()
    with pytest.raises(Exception, match="others were faster 100 times"):
        Allocator(faulty, Clock()).claim_affinity("10.0.0.0/29", "a")
    assert time.monotonic() - started < 5
    assert faulty.writes == 100


def test_config_without_an_object_is_the_default(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError):
        cluster.store.get(IPAMConfig, "default")
    cluster.add_pool("10.0.0.0/29", block_size=29)
    assert cluster.assign()
    with pytest.raises(NotFoundError):
        cluster.store.get(IPAMConfig, "default")
    assert issubclass(ConflictError, DatastoreError)
