"""From cluster state and configuration to one plan."""

from __future__ import annotations

import pytest

from calico_routing.configuration import ConfigurationError, parse_configuration
from calico_routing.model.resources import FelixConfiguration, Metadata
from calico_routing.node_plan import PlanError, TunnelWish, plan_node, plan_router, router_id
from pybgp.rib.aggregates import Aggregate
from pybgp.rib.decision import DecisionOptions
from pybgp.session.config import LongLivedConfig
from pybgp.session.route_options import Condition, PrefixLimit, RouteOptions
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AddPathMode, Role

from .clusters import MESH, affinity, configuration, node, pool, snapshot

PLAIN = parse_configuration("", "x", {})


def test_router_ids() -> None:
    """Spec section 10 has the hash of worker-01."""
    assert router_id("hash", "worker-01", "10.0.0.12/24") == "203.75.66.94"
    assert router_id("", "worker-01", "10.0.0.12/24") == "10.0.0.12"
    assert router_id("1.2.3.4", "worker-01", "10.0.0.12/24") == "1.2.3.4"
    with pytest.raises(PlanError, match=r"node\.router_id \(CALICO_ROUTER_ID\)"):
        router_id("", "worker-01", "")


def test_a_hash_beyond_the_unicast_range_is_moved() -> None:
    assert all(int(router_id("hash", f"n{number}", "").partition(".")[0]) <= 223 for number in range(300))


def test_where_to_listen() -> None:
    assert plan_node(snapshot(), PLAIN).speaker.listen == (("0.0.0.0", 179),)
    both = node("worker-01", "10.0.0.12/24", ipv6_address="fd00::12/64")
    assert plan_node(snapshot(nodes=(both,)), PLAIN).speaker.listen == (("0.0.0.0", 179), ("::", 179))
    settings = configuration(listen_port=1179, bind_mode="NodeIP")
    assert plan_node(snapshot(settings, nodes=(both,)), PLAIN).speaker.listen == (
        ("10.0.0.12", 1179),
        ("fd00::12", 1179),
    )
    own = parse_configuration('[bgp]\nlisten_port = 1180\nlisten_addresses = ["10.0.0.12"]', "x", {})
    assert plan_node(snapshot(), own).speaker.listen == (("10.0.0.12", 1180),)
    assert plan_node(snapshot(configuration(listen_port=1179)), own).speaker.listen == (("10.0.0.12", 1179),)


def test_what_is_announced() -> None:
    own = node("worker-01", "10.0.0.12/24", ipv4_ipip_tunnel_address="192.168.9.9")
    extra = parse_configuration('[bgp]\nnetworks = ["203.0.113.0/24"]', "x", {})
    plan = plan_node(snapshot(affinity("worker-01", "192.168.5.0/26"), nodes=(own,)), extra)
    assert plan.announcements == {
        ("192.168.5.0/26", "block"),
        ("192.168.9.9/32", "tunnel"),
        ("203.0.113.0/24", "network"),
    }
    assert plan.export is not None
    assert "203.0.113.0/24" in plan.export.pools
    assert plan.own_addresses == {"10.0.0.12", "192.168.9.9"}


@pytest.mark.parametrize(
    ("setting", "resources", "mtu"),
    [
        ("", {}, 1440),
        ("", {"default": 1480}, 1480),
        ("", {"default": 1480, "node.worker-01": 1400}, 1400),
        ("", {"default": 0}, 0),
        ("[kernel]\ntunnel_mtu = 1300", {"default": 1480}, 1300),
        ('[kernel]\ntunnel_mtu = "auto"', {"default": 1480}, 0),
    ],
)
def test_the_mtu_of_the_tunnel(setting: str, resources: dict[str, int], mtu: int) -> None:
    felix = [FelixConfiguration(metadata=Metadata(name=name), ipip_mtu=value) for name, value in resources.items()]
    plan = plan_node(snapshot(*felix), parse_configuration(setting, "x", {}))
    assert plan.tunnel == TunnelWish(False, "", mtu)


@pytest.mark.parametrize(("mode", "wanted"), [("Never", False), ("Always", True), ("CrossSubnet", True)])
def test_when_the_tunnel_is_wanted(mode: str, wanted: bool) -> None:
    assert plan_node(snapshot(pool("p", "10.1.0.0/16", ipip_mode=mode)), PLAIN).tunnel.wanted is wanted


def test_the_tunnel_address_is_looked_at_again_when_it_may_change() -> None:
    def key(**fields: object) -> object:
        return plan_node(snapshot(pool("p", "10.1.0.0/16", **fields)), PLAIN).tunnel_address_key

    assert key() == key(nat_outgoing=True)
    assert key() != key(ipip_mode="Always")
    assert key() != key(disabled=True)
    assert key() != key(node_selector="has(x)")
    assert key() != key(allowed_uses=("Workload",))


def test_a_static_peer_takes_the_place_of_the_clusters() -> None:
    text = (
        '[[peer]]\nname = "mine"\naddress = "10.0.0.11"\nremote_as = 1\n[[peer]]\naddress = "192.0.2.1"\nremote_as = 1'
    )
    plan = plan_node(snapshot(), parse_configuration(text + '\n[datastore]\nurl = "memory:"', "x", {}))
    assert set(plan.peers) == {"Mesh_10_0_0_13", "mine", "192.0.2.1"}


def test_a_node_that_is_not_there_has_no_plan() -> None:
    with pytest.raises(PlanError, match="node nobody is not in the datastore"):
        plan_node(snapshot(own="nobody"), PLAIN)


def test_equal_states_make_equal_plans() -> None:
    assert plan_node(snapshot(), PLAIN) == plan_node(snapshot(nodes=MESH[::-1]), PLAIN)


def test_a_plain_router() -> None:
    text = """
[node]
as_number = 65001
[bgp]
networks = ["203.0.113.0/24"]
hold_time = 30
[[peer]]
address = "192.0.2.1"
remote_as = 65002
families = ["ipv4-unicast", "ipv6-unicast"]
hold_time = 9
ttl_security_hops = 1
[[peer]]
address = "2001:db8::1"
remote_as = 65001
local_as = 65009
"""
    plan = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24")
    assert plan.speaker == (65001, "192.0.2.9", (("0.0.0.0", 179), ("::", 179)), (), "", 0, (), DecisionOptions())
    one, two = plan.peers.values()
    assert ([str(family) for family in one.families], one.hold_time) == (["ipv4-unicast", "ipv6-unicast"], 9)
    assert (one.ttl_security_hops, two.hold_time, two.local_as) == (1, 30, 65009)
    assert plan.announcements == {("203.0.113.0/24", "network")}
    assert plan.export is None


def test_the_options_of_a_static_peer() -> None:
    text = """
[node]
as_number = 65001
[[peer]]
address = "192.0.2.1"
remote_as = 65002
keepalive_time = 20
allow_own_as = 1
local_as_mode = "prepend"
as_override = true
private_as = "remove"
next_hop = "force-self"
prefix_limit = 100
prefix_limit_discard = true
prefix_limit_restart_time = 60
send_limit = 7
third_party_next_hop = true
validate_flow_rules = false
add_path_receive = true
add_path_send = "best-2"
role = "route-server-client"
strict_role = true
[[peer]]
address = "192.0.2.2"
remote_as = 65002
hold_time = 9
"""
    one, two = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24").peers.values()
    limit = PrefixLimit(100, discard=True, restart_time=60)
    assert (one.keepalive_time, one.role, one.strict_role) == (20, Role.ROUTE_SERVER_CLIENT, True)
    assert two.role is None
    assert one.routes == RouteOptions(
        allow_own_as=1,
        local_as_mode="prepend",
        as_override=True,
        private_as="remove",
        next_hop="force-self",
        receive_limit=limit,
        send_limit=7,
        third_party_next_hop=True,
        validate_flow_rules=False,
        add_path_send="best-2",
    )
    assert (one.add_path, two.add_path) == (((IPV4_UNICAST, AddPathMode.BOTH),), ())
    assert (two.keepalive_time, two.routes) == (None, RouteOptions())


def test_long_lived_graceful_restart_of_static_peers() -> None:
    text = """
[node]
as_number = 65001
[bgp]
long_lived_stale_time = 7200
[[peer]]
address = "192.0.2.1"
remote_as = 65001
send_stale = true
[[peer]]
address = "192.0.2.2"
remote_as = 65002
long_lived_stale_time = 60
[[peer]]
address = "192.0.2.3"
remote_as = 65002
long_lived_stale_time = 0
"""
    one, two, three = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24").peers.values()
    assert (one.long_lived, two.long_lived) == (
        LongLivedConfig(7200, maximum_stale_time=7200),
        LongLivedConfig(60, maximum_stale_time=60),
    )
    assert three.long_lived is None
    assert one.routes.send_stale
    without = text.replace("[bgp]", "[bgp]\ngraceful_restart = false")
    peers = plan_router(parse_configuration(without, "x", {}), "192.0.2.9/24").peers.values()
    assert [peer.long_lived for peer in peers] == [None, None, None]


def test_a_confederation() -> None:
    text = """
[node]
as_number = 65001
[bgp]
confederation = 65100
confederation_members = [65002]
[[peer]]
address = "192.0.2.1"
remote_as = 65001
[[peer]]
address = "192.0.2.2"
remote_as = 65002
[[peer]]
address = "192.0.2.3"
remote_as = 65003
[[peer]]
address = "192.0.2.4"
remote_as = 65003
local_as = 65009
"""
    plan = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24")
    assert (plan.speaker.confederation, plan.speaker.confederation_members) == (65100, (65002,))
    assert [(peer.local_as, peer.confederation) for peer in plan.peers.values()] == [
        (65001, True),
        (65001, True),
        (65100, False),
        (65009, False),
    ]
    with pytest.raises(ConfigurationError, match=r"^x:6: bgp.confederation_members: expected bgp.confederation"):
        parse_configuration(text.replace("confederation = 65100", ""), "x", {})


def test_the_decision_and_route_servers() -> None:
    text = """
[node]
as_number = 65001
[bgp]
always_compare_med = true
prefer_oldest = true
[[peer]]
address = "192.0.2.1"
remote_as = 65002
route_server_client = true
[[peer]]
address = "192.0.2.2"
remote_as = 65002
enforce_first_as = false
"""
    plan = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24")
    assert plan.speaker.decision == DecisionOptions(always_compare_med=True, prefer_oldest=True)
    one, two = plan.peers.values()
    assert one.routes == RouteOptions(route_server_client=True)
    assert (one.update_options.check_first_as, two.update_options.check_first_as) == (True, False)
    with pytest.raises(ConfigurationError, match=r"^x:10: peer.route_server_client: expected another remote_as"):
        parse_configuration(text.replace("remote_as = 65002", "remote_as = 65001"), "x", {})
    per_client = text.replace("route_server_client = true", "route_server_client = true\nper_client_best = true")
    one, _ = plan_router(parse_configuration(per_client, "x", {}), "192.0.2.9/24").peers.values()
    assert one.routes == RouteOptions(route_server_client=True, per_client_best=True)
    with pytest.raises(ConfigurationError, match=r"^x:14: peer.per_client_best: expected route_server_client = true"):
        parse_configuration(text.replace("enforce_first_as = false", "per_client_best = true"), "x", {})


def test_what_a_router_originates() -> None:
    text = """
[node]
as_number = 65001
[[aggregate]]
prefix = "10.0.0.0/8"
summary_only = true
communities = ["65001:1", "no-export"]
[[aggregate]]
prefix = "2001:db8::/32"
[[peer]]
address = "192.0.2.1"
remote_as = 65002
default_originate = true
conditions = [{ advertise = ["10.0.0.0/8 le 24"], when = "absent", of = ["192.0.2.0/24"] }]
"""
    plan = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24")
    marks = (65001 << 16 | 1, 0xFFFFFF01)
    assert plan.aggregates == (Aggregate("10.0.0.0/8", True, marks), Aggregate("2001:db8::/32"))
    condition = Condition(("10.0.0.0/8 le 24",), "absent", ("192.0.2.0/24",))
    assert plan.peers["192.0.2.1"].routes == RouteOptions(default_originate=True, conditions=(condition,))
    for old, new, problem in (
        ('"2001:db8::/32"', '"10.0.0.0/8"', "x:9: aggregate.prefix: expected each once"),
        ('"2001:db8::/32"', '"10.0.0.1/32"', "x:9: aggregate.prefix: expected more than one address"),
        ('"no-export"', '"export"', "x:7: aggregate.communities: expected a list, each item a community"),
        ('"absent"', '"never"', "x:14: peer.conditions: expected a list, each item {"),
        (" le 24", " le 33", "x:14: peer.conditions: expected a list, each item {"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            parse_configuration(text.replace(old, new), "x", {})
        assert str(raised.value).startswith(problem)


def test_a_route_reflector() -> None:
    text = """
[node]
as_number = 65001
[bgp]
cluster_id = "1.0.0.1"
[[peer]]
address = "192.0.2.1"
remote_as = 65001
reflector_client = true
"""
    plan = plan_router(parse_configuration(text, "x", {}), "192.0.2.9/24")
    assert plan.speaker.cluster_id == "1.0.0.1"
    assert plan.peers["192.0.2.1"].routes == RouteOptions(reflector_client=True)
    with pytest.raises(ConfigurationError, match=r"^x:9: peer.reflector_client: expected our own AS, 65001"):
        parse_configuration(text.replace("remote_as = 65001", "remote_as = 65002"), "x", {})
