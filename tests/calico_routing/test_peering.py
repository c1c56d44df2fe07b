"""Who peers with whom (spec sections 4.3 and 4.4)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.model.resources import SecretKey
from calico_routing.peering import PeeringDefaults, is_passive, peer_configurations, split_address
from pybgp.session.config import PeerConfig
from pybgp.session.route_options import RouteOptions
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST

from .clusters import bgp_peer, configuration, node, snapshot

DEFAULTS = PeeringDefaults(
    router_id=0x0A00000C, hostname="worker-01", secrets={"bgp/mesh": "tigera", "bgp/rr": "other"}
)


def peers(*more: object, own: str = "worker-01", **changes: object) -> dict[str, PeerConfig]:
    return peer_configurations(snapshot(*more, own=own, **changes), DEFAULTS)  # type: ignore[arg-type]


def test_the_mesh_is_every_other_node() -> None:
    found = peers()
    assert list(found) == ["Mesh_10_0_0_11", "Mesh_10_0_0_13"]
    one = found["Mesh_10_0_0_11"]
    assert (one.address, one.port, one.remote_as, one.local_as) == ("10.0.0.11", 179, 64512, 64512)
    assert (one.local_address, one.hold_time, one.ttl, one.families) == ("10.0.0.12", 240, 64, (IPV4_UNICAST,))
    assert one.graceful_restart is not None
    assert one.graceful_restart.restart_time == 120
    assert (one.router_id, one.hostname, one.description) == (0x0A00000C, "worker-01", "master-01")


def test_the_greater_text_connects() -> None:
    """Not the greater number: "10.0.0.9" connects to "10.0.0.10" (spec section 10)."""
    assert is_passive("10.0.0.10", "10.0.0.9")
    assert not is_passive("10.0.0.9", "10.0.0.10")
    found = peers()
    assert not found["Mesh_10_0_0_11"].passive
    assert found["Mesh_10_0_0_13"].passive
    assert found["Mesh_10_0_0_13"].call_at_start, "else a node that was away waits for the others' next attempt"


@given(st.sets(st.ip_addresses(v=4).map(str), min_size=2, max_size=8))
def test_each_pair_has_one_active_side_and_all_sessions_exist_twice(addresses: set[str]) -> None:
    """Invariant 18: n(n-1)/2 sessions, and both sides agree who connects."""
    nodes = [node(f"n{number}", f"{address}/24") for number, address in enumerate(sorted(addresses))]
    views = {one.name: peer_configurations(snapshot(own=one.name, nodes=nodes), DEFAULTS) for one in nodes}
    for first, second in itertools.combinations(nodes, 2):
        there = next(p for p in views[first.name].values() if p.description == second.name)
        back = next(p for p in views[second.name].values() if p.description == first.name)
        assert there.passive is not back.passive
        assert (there.address, there.local_address) == (back.local_address, back.address)


def test_as_numbers_come_from_the_node_else_the_cluster_else_64512() -> None:
    nodes = (node("worker-01", "10.0.0.12/24"), node("a", "10.0.0.1/24", as_number=64999))
    found = peers(configuration(as_number=64600), node("b", "10.0.0.2/24"), nodes=nodes)
    assert [(peer.remote_as, peer.local_as) for peer in found.values()] == [(64999, 64600), (64600, 64600)]


def test_ports_come_from_the_peers_configuration_else_the_clusters() -> None:
    found = peers(configuration(listen_port=1179), configuration("node.worker-02", listen_port=1180))
    assert {name: peer.port for name, peer in found.items()} == {"Mesh_10_0_0_11": 1179, "Mesh_10_0_0_13": 1180}


def test_the_mesh_can_be_off() -> None:
    assert peers(configuration(node_to_node_mesh_enabled=False)) == {}


def test_a_route_reflector_takes_no_part_in_the_mesh() -> None:
    reflector = node("rr", "10.0.0.99/24", route_reflector_cluster_id="1.0.0.1")
    assert list(peers(reflector)) == ["Mesh_10_0_0_11", "Mesh_10_0_0_13"]
    assert peers(reflector, own="rr") == {}


def test_each_family_has_its_own_session() -> None:
    nodes = (
        node("worker-01", "10.0.0.12/24", ipv6_address="fd00::12/64"),
        node("both", "10.0.0.1/24", ipv6_address="fd00::1/64"),
        node("six", ipv6_address="fd00::2/64"),
    )
    found = peers(nodes=nodes)
    assert list(found) == ["Mesh_10_0_0_1", "Mesh_fd00__1", "Mesh_fd00__2"]
    assert found["Mesh_fd00__1"].families == (IPV6_UNICAST,)
    assert found["Mesh_fd00__1"].local_address == "fd00::12"
    assert peers(own="six", nodes=nodes).keys() == {"Mesh_fd00__1", "Mesh_fd00__12"}


def test_mesh_password_and_restart_time() -> None:
    settings = configuration(node_mesh_password=SecretKey(name="bgp", key="mesh"), node_mesh_max_restart_time="2m30s")
    one = peers(settings)["Mesh_10_0_0_11"]
    assert one.password == "tigera"
    assert one.graceful_restart is not None
    assert one.graceful_restart.restart_time == 150


def test_what_a_session_cannot_have_is_brought_within_its_bounds() -> None:
    """One resource with a day of restart time must not cost every node its sessions."""
    settings = configuration(node_mesh_max_restart_time="24h")
    found = peers(settings, bgp_peer("far", peer_ip="192.0.2.9", as_number=65000, ttl_security=255))
    one = found["Mesh_10_0_0_11"]
    assert one.graceful_restart is not None
    assert one.graceful_restart.restart_time == 4095
    assert found["Global_192_0_2_9"].ttl_security_hops == 254


def test_a_missing_secret_means_no_password() -> None:
    settings = configuration(node_mesh_password=SecretKey(name="bgp", key="none"))
    assert peers(settings)["Mesh_10_0_0_11"].password is None


def test_graceful_restart_can_be_off() -> None:
    found = peer_configurations(snapshot(), DEFAULTS._replace(restart_time=None))
    assert found["Mesh_10_0_0_11"].graceful_restart is None


def test_without_an_own_node_there_are_no_peers() -> None:
    assert peers(own="nobody") == {}


OFF = configuration(node_to_node_mesh_enabled=False)


def test_a_global_peer_outside_the_cluster() -> None:
    found = peers(OFF, bgp_peer("tor", peer_ip="192.0.2.1", as_number=65000))
    one = found["Global_192_0_2_1"]
    assert (one.remote_as, one.port, one.passive, one.local_address) == (65000, 179, False, "10.0.0.12")


def test_a_port_is_part_of_the_name() -> None:
    found = peers(OFF, bgp_peer("tor", peer_ip="192.0.2.1:1179", as_number=65000))
    assert found["Global_192_0_2_1_port_1179"].port == 1179


def test_options_of_a_peer() -> None:
    peer = bgp_peer(
        "tor",
        peer_ip="192.0.2.1",
        as_number=65000,
        local_as_number=65001,
        password=SecretKey(name="bgp", key="rr"),
        source_address="None",
        max_restart_time="10s",
        ttl_security=2,
    )
    one = peers(OFF, peer)["Global_192_0_2_1"]
    assert (one.local_as, one.password, one.local_address, one.ttl_security_hops) == (65001, "other", None, 2)
    assert one.ttl is None
    assert one.graceful_restart is not None
    assert one.graceful_restart.restart_time == 10


def test_a_node_peer_is_for_its_nodes_only() -> None:
    by_name = bgp_peer("a", node="worker-01", peer_ip="192.0.2.1", as_number=65000)
    assert list(peers(OFF, by_name)) == ["Node_192_0_2_1"]
    assert peers(OFF, by_name, own="worker-02") == {}
    nodes = (node("worker-01", "10.0.0.12/24", labels={"rack": "a"}), node("other", "10.0.0.1/24"))
    by_label = bgp_peer("a", node_selector="rack == 'a'", peer_ip="192.0.2.1", as_number=65000)
    assert list(peers(OFF, by_label, nodes=nodes)) == ["Node_192_0_2_1"]
    assert peers(OFF, by_label, nodes=nodes, own="other") == {}


def test_a_node_peer_to_the_address_of_a_global_one_is_dropped() -> None:
    found = peers(
        OFF,
        bgp_peer("a", node="worker-01", peer_ip="192.0.2.1", as_number=65001),
        bgp_peer("b", peer_ip="192.0.2.1", as_number=65000),
    )
    assert {name: peer.remote_as for name, peer in found.items()} == {"Global_192_0_2_1": 65000}


REFLECTORS = (
    node("worker-01", "10.0.0.12/24"),
    node("worker-02", "10.0.0.13/24"),
    node("rr-1", "10.0.0.1/24", labels={"rr": "yes"}, as_number=64700),
    node("rr-2", "10.0.0.2/24", labels={"rr": "yes"}),
)
TO_REFLECTORS = bgp_peer("rr", node_selector="!has(rr)", peer_selector="has(rr)")


def test_peers_by_selector_and_their_mirror_image() -> None:
    found = peers(OFF, TO_REFLECTORS, nodes=REFLECTORS)
    assert {name: peer.remote_as for name, peer in found.items()} == {"Node_10_0_0_1": 64700, "Node_10_0_0_2": 64512}
    assert not any(peer.passive for peer in found.values()), "node peers are never made passive"
    assert list(peers(OFF, TO_REFLECTORS, nodes=REFLECTORS, own="rr-1")) == ["Node_10_0_0_12", "Node_10_0_0_13"]


@pytest.mark.parametrize(
    ("own", "clients"), [("", []), ("1.0.0.1", ["10.0.0.12", "10.0.0.2"]), ("1.0.0.2", ["10.0.0.12"])]
)
def test_a_reflectors_internal_peers_are_clients_unless_they_share_its_cluster(own: str, clients: list[str]) -> None:
    nodes = (
        node("worker-01", "10.0.0.12/24"),
        node("outside", "10.0.0.3/24", as_number=64700),
        node("rr-1", "10.0.0.1/24", route_reflector_cluster_id=own),
        node("rr-2", "10.0.0.2/24", route_reflector_cluster_id="1.0.0.2"),
    )
    found = peers(OFF, bgp_peer("all", node="rr-1", peer_selector="all()"), nodes=nodes, own="rr-1")
    assert len(found) == 3
    assert sorted(one.address for one in found.values() if one.routes.reflector_client) == clients


def test_no_mirror_image_when_that_is_manual() -> None:
    manual = TO_REFLECTORS.replace(reverse_peering="Manual")
    assert peers(OFF, manual, nodes=REFLECTORS, own="rr-1") == {}


def test_a_global_peer_that_is_a_node_is_mirrored_and_one_side_waits() -> None:
    """A7: mesh off and a global BGPPeer per host."""
    resources = [bgp_peer(f"p{one}", peer_ip=f"10.0.0.{one}", as_number=64512) for one in (11, 12, 13)]
    found = peers(OFF, *resources)
    assert {name: peer.passive for name, peer in found.items()} == {"Global_10_0_0_11": False, "Global_10_0_0_13": True}
    one_sided = peers(OFF, bgp_peer("p", peer_ip="10.0.0.12", as_number=64512))
    assert list(one_sided) == ["Global_10_0_0_11", "Global_10_0_0_13"], "the mirror image, towards every node"


def test_another_as_number_is_no_mirror_image() -> None:
    assert peers(OFF, bgp_peer("p", peer_ip="10.0.0.12", as_number=65000)) == {}


def test_the_port_of_a_node_is_found_by_address_and_as_number() -> None:
    port = configuration("node.worker-02", listen_port=1180)
    found = peers(OFF, port, bgp_peer("p", peer_ip="10.0.0.13", as_number=64512))
    assert found["Global_10_0_0_13_port_1180"].port == 1180
    found = peers(OFF, port, bgp_peer("p", peer_ip="10.0.0.13", as_number=65000))
    assert found["Global_10_0_0_13"].port == 179


def test_an_explicit_peer_takes_the_place_of_the_mesh_session() -> None:
    found = peers(bgp_peer("p", node="worker-01", peer_ip="10.0.0.13", as_number=64512))
    assert list(found) == ["Mesh_10_0_0_11", "Node_10_0_0_13"]


def test_never_with_oneself() -> None:
    assert "Global_10_0_0_12" not in peers(bgp_peer("all", peer_selector="all()"))


def test_local_workload_peers_are_left_to_others() -> None:
    assert peers(OFF, bgp_peer("w", local_workload_selector="all()", as_number=65000)) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", ("1.2.3.4", None)),
        ("1.2.3.4:1179", ("1.2.3.4", 1179)),
        ("fd00::1", ("fd00::1", None)),
        ("[fd00::1]:1179", ("fd00::1", 1179)),
        ("[fd00::1]", ("fd00::1", None)),
    ],
)
def test_addresses_with_ports(text: str, expected: tuple[str, int | None]) -> None:
    assert split_address(text) == expected


def test_a_change_elsewhere_changes_no_other_session() -> None:
    """Spec section 4.9: what did not change keeps its very configuration."""
    before = peers()
    after = peers(node("worker-03", "10.0.0.14/24"))
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("fields", "remote_as", "expected"),
    [
        ({}, 64512, RouteOptions()),
        ({"keep_original_next_hop": True}, 65001, RouteOptions(next_hop="keep")),
        ({"keep_original_next_hop": True}, 64512, RouteOptions()),
        ({"keep_original_next_hop": True, "local_as_number": 65001}, 65001, RouteOptions()),
        ({"next_hop_mode": "Self"}, 64512, RouteOptions(next_hop="self")),
        ({"next_hop_mode": "Keep"}, 64512, RouteOptions(next_hop="keep")),
        ({"next_hop_mode": "Auto"}, 65001, RouteOptions()),
        ({"num_allowed_local_as_numbers": 2}, 65001, RouteOptions(allow_own_as=2)),
    ],
)
def test_next_hops_and_own_as_numbers(fields: dict[str, object], remote_as: int, expected: RouteOptions) -> None:
    """The old flag is for external peers only, the new mode for both (spec section 4.6)."""
    found = peers(bgp_peer("tor", peer_ip="192.0.2.1", as_number=remote_as, **fields))
    assert found["Global_192_0_2_1"].routes == expected


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("20s", 20), ("4m0s", None), ("500ms", None)])
def test_keepalive_time(text: str, seconds: int | None) -> None:
    """One that the hold time of 240 s has no room for would keep the node from all of its sessions."""
    found = peers(bgp_peer("tor", peer_ip="192.0.2.1", as_number=65001, keepalive_time=text))
    assert found["Global_192_0_2_1"].keepalive_time == seconds
