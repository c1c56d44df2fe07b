"""The IPIP tunnel address (spec/calico.md section 2.8), case by case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calico_routing.datastore.interface import Datastore, DatastoreError, NotFoundError
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.tunnel_address import ensure_ipip_tunnel_address, tunnel_handle
from calico_routing.model.resources import Node
from tests.calico_routing.ipam.cluster import Clock, Cluster
from tests.properties.faulty_datastore import Crash, FaultyDatastore


@pytest.fixture
def cluster(store: Datastore) -> Iterator[Cluster]:
    cluster = Cluster(store, nodes="a b")
    yield cluster
    cluster.assert_sound()


def ensure(cluster: Cluster, node: str = "a") -> str:
    stored = ensure_ipip_tunnel_address(cluster.store, cluster.allocator, node)
    assert cluster.store.get(Node, node) == stored
    return stored.ipv4_ipip_tunnel_address


def set_address(cluster: Cluster, address: str, node: str = "a") -> None:
    cluster.store.update(cluster.store.get(Node, node).replace(ipv4_ipip_tunnel_address=address))


def test_an_address_is_assigned_once(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    address = ensure(cluster)
    assert ensure(cluster) == address
    found = cluster.allocator.assignment(address)
    assert found.handle == "ipip-tunnel-addr-a"
    assert found.attributes == {"node": "a", "type": "ipipTunnelAddress"}
    assert ensure(cluster, "b") != address


@pytest.mark.parametrize(
    "fields",
    [
        {"ipip_mode": "Never"},
        {"ipip_mode": "Always", "disabled": True},
        {"ipip_mode": "Always", "node_selector": "has(nothing)"},
        {"ipip_mode": "Always", "allowed_uses": ("Workload",)},
        {"vxlan_mode": "Always"},
    ],
)
def test_no_address_without_a_pool_that_tunnels(cluster: Cluster, fields: dict[str, object]) -> None:
    cluster.add_pool("10.0.0.0/24", **fields)
    assert ensure(cluster) == ""
    assert cluster.handles() == {}


@pytest.mark.parametrize("change", ["never", "disabled", "deleted"])
def test_the_address_goes_with_the_pool_and_a_new_pool_gives_a_new_one(cluster: Cluster, change: str) -> None:
    pool = cluster.add_pool("10.0.0.0/24", ipip_mode="CrossSubnet")
    assert ensure(cluster).startswith("10.0.")
    if change == "deleted":
        cluster.store.delete(pool)
    else:
        fields = {"never": {"ipip_mode": "Never"}, "disabled": {"disabled": True}}[change]
        cluster.store.update(pool.replace(**fields))
    assert ensure(cluster) == ""
    assert cluster.handles() == {}
    cluster.add_pool("10.1.0.0/24", "other", ipip_mode="Always")
    assert ensure(cluster).startswith("10.1.")


def test_an_address_outside_the_eligible_pools_is_replaced(cluster: Cluster) -> None:
    pool = cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    old = ensure(cluster)
    cluster.add_pool("10.1.0.0/24", "other", ipip_mode="Always")
    assert ensure(cluster) == old
    cluster.store.update(pool.replace(ipip_mode="Never"))
    assert ensure(cluster).startswith("10.1.")
    assert len(cluster.handles()[tunnel_handle("a")]) == 1


def test_an_address_that_is_not_assigned_is_replaced(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    old = ensure(cluster)
    cluster.allocator.release_by_handle(tunnel_handle("a"))
    assert ensure(cluster) != old


@pytest.mark.parametrize("owner", ["pod", "tunnel of b"])
def test_an_address_of_somebody_else_is_left_to_him(cluster: Cluster, owner: str) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    foreign = ensure(cluster, "b") if owner == "tunnel of b" else cluster.assign("b", 1, "pod")[0]
    set_address(cluster, foreign)
    assert ensure(cluster) not in {foreign, ""}
    assert cluster.allocator.assignment(foreign).handle != tunnel_handle("a")


def test_an_address_without_any_attributes_is_registered(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    (address,) = cluster.assign("a", 1, "old")
    block = cluster.block_of(address)
    anonymous = block.attributes[0].replace(handle_id=None, secondary={})
    cluster.store.update(block.replace(attributes=(anonymous,)))
    handle = next(handle for handle in cluster.handles() if handle == "old")
    assert handle
    set_address(cluster, address)
    assert ensure(cluster) == address
    assert cluster.allocator.assignment(address).handle == tunnel_handle("a")
    forget_handle(cluster, "old")


def forget_handle(cluster: Cluster, name: str) -> None:
    from calico_routing.model.resources import IPAMHandle

    cluster.store.delete(cluster.store.get(IPAMHandle, name))


def test_no_free_address_is_an_error_and_nothing_is_kept(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/32", ipip_mode="Always", block_size=32)
    cluster.assign("b", 1, "pod")
    with pytest.raises(IpamError, match="no tunnel address for node a: Assigned 0 out of 1"):
        ensure(cluster)
    assert list(cluster.handles()) == ["pod"]


def test_an_unknown_node_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match="Node z does not exist"):
        ensure(cluster, "z")


def test_a_failed_node_write_gives_the_address_back(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    cluster.allocator.ensure_block("a")
    faulty = FaultyDatastore(cluster.store, failures={3})
    with pytest.raises(DatastoreError, match="injected"):
        ensure_ipip_tunnel_address(faulty, Allocator(faulty, Clock()), "a")
    assert faulty.written[2] == "update Node a"
    assert cluster.handles() == {}


def test_a_concurrent_node_change_is_kept(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    done: list[bool] = []

    def interfere() -> None:
        if slow.writes == 5 and not done:
            done.append(True)
            cluster.store.update(cluster.store.get(Node, "a").replace(as_number=65000))

    slow = FaultyDatastore(cluster.store, before=interfere)
    node = ensure_ipip_tunnel_address(slow, Allocator(slow, Clock()), "a")
    assert done
    assert node.as_number == 65000
    assert node.ipv4_ipip_tunnel_address


def test_a_crash_after_any_write_is_repaired_by_the_next_run(cluster: Cluster) -> None:
    cluster.add_pool("10.0.0.0/24", ipip_mode="Always")
    for write in range(1, 20):
        faulty = FaultyDatastore(cluster.store, crash_after=write)
        try:
            ensure_ipip_tunnel_address(faulty, Allocator(faulty, Clock()), "a")
        except Crash:
            cluster.assert_sound(settled=False)
            continue
        break
    address = ensure(cluster)
    assert cluster.handles() == {tunnel_handle("a"): {cluster.block_of(address).cidr: 1}}
