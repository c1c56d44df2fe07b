"""What routing asks of a snapshot (spec section 4.6)."""

from __future__ import annotations

import pytest

from calico_routing.model.resources import Community, PrefixAdvertisement
from calico_routing.route_plan import PoolRule

from .clusters import MESH, affinity, configuration, node, pool, snapshot

BLOCK = "192.168.5.0/26"


@pytest.mark.parametrize(
    ("state", "blackhole", "announced", "leaving"),
    [
        ("confirmed", True, True, False),
        ("", True, True, False),
        ("pending", False, False, False),
        ("pendingDeletion", True, False, True),
    ],
)
def test_what_the_state_of_a_block_means(state: str, blackhole: bool, announced: bool, leaving: bool) -> None:
    found = snapshot(affinity("worker-01", BLOCK, state))
    rules = found.export_rules()
    assert (BLOCK in found.blocks()) is blackhole
    assert (BLOCK in rules.blocks) is announced
    assert (BLOCK in rules.leaving_blocks) is leaving


def test_blocks_of_others_and_deleted_ones_do_not_count() -> None:
    found = snapshot(affinity("worker-02", BLOCK), affinity("worker-01", "192.168.6.0/26", deleted=True))
    assert found.blocks() == ()
    assert found.export_rules().blocks == frozenset()


def test_a_single_address_gets_no_blackhole_but_is_announced() -> None:
    found = snapshot(affinity("worker-01", "192.168.5.7/32"), affinity("worker-01", "fd00::7/128"))
    assert found.blocks() == ()
    assert found.export_rules().blocks == {"192.168.5.7/32", "fd00::7/128"}


def test_pools_are_sorted_into_those_that_leave_and_those_that_do_not() -> None:
    rules = snapshot(
        pool("a", "10.1.0.0/16"),
        pool("b", "10.2.0.0/16", disable_bgp_export=True),
        pool("c", "10.3.0.0/16", disabled=True),
    ).export_rules()
    assert (rules.pools, rules.silent_pools) == ({"10.1.0.0/16", "10.3.0.0/16"}, {"10.2.0.0/16"})


def test_pool_rules_are_in_a_fixed_order() -> None:
    one, two = pool("z", "10.1.0.0/16", ipip_mode="Always"), pool("a", "10.2.0.0/16", vxlan_mode="CrossSubnet")
    expected = (PoolRule("10.1.0.0/16", "Always"), PoolRule("10.2.0.0/16", "Never", "CrossSubnet"))
    assert snapshot(one, two).pool_rules() == snapshot(two, one).pool_rules() == expected


def test_settings_of_the_node_come_before_those_of_the_cluster() -> None:
    found = snapshot(
        configuration(listen_port=1179, as_number=64600), configuration("node.worker-01", listen_port=1180)
    )
    assert (found.listen_port("worker-01"), found.listen_port("worker-02")) == (1180, 1179)
    assert found.as_number(MESH[0]) == 64600
    assert found.as_number(node("x", as_number=64999)) == 64999
    assert snapshot().listen_port("worker-01") is None
    assert snapshot().as_number(None) == 64512


def test_advertisements_with_names_of_communities() -> None:
    everywhere = configuration(
        communities=(Community(name="gold", value="65000:1"),),
        prefix_advertisements=(PrefixAdvertisement(cidr="10.1.0.0/16", communities=("gold", "65000:2")),),
    )
    assert snapshot(everywhere).export_rules().advertisements == (("10.1.0.0/16", ("65000:1", "65000:2")),)
    own = configuration(
        "node.worker-01", prefix_advertisements=(PrefixAdvertisement(cidr="10.2.0.0/16", communities=("gold",)),)
    )
    assert snapshot(everywhere, own).export_rules().advertisements == (("10.2.0.0/16", ("65000:1",)),)


def test_equal_resources_make_equal_snapshots() -> None:
    assert snapshot(affinity("worker-01", BLOCK)) == snapshot(affinity("worker-01", BLOCK))
    assert snapshot(affinity("worker-01", BLOCK)) != snapshot()
