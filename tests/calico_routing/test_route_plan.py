from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.interface import IPV6_METRIC, KernelRoute, NextHop
from calico_routing.route_plan import (
    NextHopResolver,
    PlanContext,
    PoolRule,
    RoutePlanner,
    plan_route,
    plan_routes,
)
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import format_prefix, parse_prefix

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "mesh"
NODES = {"master-01": "10.0.0.11", "worker-01": "10.0.0.12", "worker-02": "10.0.0.13"}
BLOCK = "192.168.5.0/26"
POOL = "192.168.0.0/16"
PEER = "10.0.0.12"
FAR_PEER = "10.7.0.12"
CONNECTED = KernelRoute("10.0.0.0/24", next_hops=(NextHop(None, "ens160"),), protocol=2, scope=253)
DEFAULT = KernelRoute("0.0.0.0/0", next_hops=(NextHop("10.0.0.1", "ens160"),), protocol=3)
RESOLVER = NextHopResolver([DEFAULT, CONNECTED])
TUNNEL = NextHop(PEER, "tunl0", onlink=True)
PLAIN = NextHop(PEER, "ens160")
FAR_PLAIN = NextHop("10.0.0.1", "ens160")


def context(mode: str = "Always", **changes: object) -> PlanContext:
    own = PlanContext(
        pools=(PoolRule(POOL, mode),),
        own_networks=("10.0.0.11/24",),
        own_addresses=frozenset({"10.0.0.11", "192.168.171.64"}),
        own_blocks=("192.168.171.64/26",),
        resolve=RESOLVER,
    )
    return own._replace(**changes)


def unicast(destination: str, *hops: NextHop) -> KernelRoute:
    return KernelRoute(destination, "unicast", hops)


@pytest.mark.parametrize(
    ("mode", "next_hop", "expected"),
    [
        ("Always", PEER, TUNNEL),
        ("Always", FAR_PEER, NextHop(FAR_PEER, "tunl0", onlink=True)),
        ("CrossSubnet", PEER, PLAIN),
        ("CrossSubnet", FAR_PEER, NextHop(FAR_PEER, "tunl0", onlink=True)),
        ("Never", PEER, PLAIN),
        ("Never", FAR_PEER, FAR_PLAIN),
    ],
)
def test_the_pools_mode_and_the_next_hops_subnet_choose_the_way(mode: str, next_hop: str, expected: NextHop) -> None:
    assert plan_route(BLOCK, [next_hop], context(mode)) == unicast(BLOCK, expected)


def test_a_node_whose_address_is_a_host_prefix_has_nobody_in_its_subnet() -> None:
    planned = plan_route(BLOCK, [PEER], context("CrossSubnet", own_networks=("10.0.0.11/32",)))
    assert planned == unicast(BLOCK, TUNNEL)


def test_without_the_tunnel_device_the_plain_route_is_used() -> None:
    assert plan_route(BLOCK, [PEER], context(tunnel_device=None)) == unicast(BLOCK, PLAIN)


def test_equal_paths_become_one_route_with_several_tunnelled_next_hops() -> None:
    planned = plan_route(BLOCK, ["10.0.0.13", PEER, PEER], context())
    assert planned == unicast(BLOCK, TUNNEL, NextHop("10.0.0.13", "tunl0", onlink=True))


def test_cross_subnet_may_mix_tunnel_and_plain_in_one_route() -> None:
    planned = plan_route(BLOCK, [FAR_PEER, PEER], context("CrossSubnet"))
    assert planned == unicast(BLOCK, PLAIN, NextHop(FAR_PEER, "tunl0", onlink=True))


def test_a_pool_with_vxlan_is_somebody_elses_work() -> None:
    pools = (PoolRule(POOL, "Never", "Always"),)
    assert plan_route(BLOCK, [PEER], context(pools=pools)) is None


def test_outside_every_pool_routes_are_plain() -> None:
    assert plan_route("172.16.0.0/12", [PEER], context()) == unicast("172.16.0.0/12", PLAIN)


def test_a_prefix_that_only_overlaps_a_pool_is_not_inside_it() -> None:
    assert plan_route("192.0.0.0/8", [PEER], context()) == unicast("192.0.0.0/8", PLAIN)


@pytest.mark.parametrize("destination", ["0.0.0.0/0", "10.0.0.11/32", "10.0.0.0/24", "192.168.171.64/32"], ids=str)
def test_never_installed(destination: str) -> None:
    assert plan_route(destination, [PEER], context()) is None


def test_the_default_route_is_installed_on_request() -> None:
    planned = plan_route("0.0.0.0/0", [PEER], context(accept_default_route=True))
    assert planned == unicast("0.0.0.0/0", PLAIN)


def test_rejected_ranges_take_their_insides_along() -> None:
    rejecting = context(reject=("10.96.0.0/12",))
    assert plan_route("10.96.0.0/12", [PEER], rejecting) is None
    assert plan_route("10.97.1.1/32", [PEER], rejecting) is None
    assert plan_route("10.0.0.0/8", [PEER], rejecting) is not None


def test_own_blocks_are_blackholes_even_if_a_peer_offers_them() -> None:
    own = "192.168.171.64/26"
    assert plan_route(own, [PEER], context()) == KernelRoute(own, "blackhole")
    assert plan_routes({}, context()) == {own: KernelRoute(own, "blackhole")}


def test_a_borrowed_address_inside_our_block_is_routed_to_its_host() -> None:
    assert plan_route("192.168.171.70/32", [PEER], context()) == unicast("192.168.171.70/32", TUNNEL)


def test_a_block_of_one_address_has_no_blackhole() -> None:
    assert plan_routes({}, context(own_blocks=("192.168.9.9/32", "fd00::1/128"))) == {}


def test_a_next_hop_without_a_way_gives_no_route() -> None:
    lost = context("Never", resolve=NextHopResolver([CONNECTED]))
    assert plan_route(BLOCK, [FAR_PEER], lost) is None
    assert plan_route(BLOCK, [FAR_PEER, PEER], lost) == unicast(BLOCK, PLAIN)


def test_we_are_never_our_own_next_hop() -> None:
    assert plan_route(BLOCK, ["10.0.0.11"], context()) is None


def test_ipv6_is_plain_and_has_the_kernels_metric() -> None:
    connected = KernelRoute("fd10::/64", next_hops=(NextHop(None, "ens160"),), protocol=2, metric=256)
    six = context(pools=(PoolRule("fd00::/48", "Never"),), own_networks=("fd10::11/64",))
    six = six._replace(resolve=NextHopResolver([connected]), own_blocks=("fd00::40/122",))
    assert plan_routes({"fd00:0:0:1::/122": ["fd10::12"]}, six) == {
        "fd00:0:0:1::/122": KernelRoute(
            "fd00:0:0:1::/122", "unicast", (NextHop("fd10::12", "ens160"),), metric=IPV6_METRIC
        ),
        "fd00::40/122": KernelRoute("fd00::40/122", "blackhole", metric=IPV6_METRIC),
    }


def recorded_routes(phase: str, node: str) -> dict[str, KernelRoute]:
    path = GOLDEN / phase / f"{node}.routes.json"
    if not path.exists():
        pytest.skip("the recorded mesh is not here")
    found: dict[str, KernelRoute] = {}
    for entry in json.loads(path.read_text()):
        if entry.get("protocol") == "bird" and "table" not in entry:
            hop = NextHop(entry.get("gateway"), entry.get("dev"), "onlink" in entry["flags"])
            hops = () if entry.get("type") == "blackhole" else (hop,)
            found[entry["dst"]] = KernelRoute(entry["dst"], entry.get("type", "unicast"), hops)
    return found


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("phase", ["1-initial", "3-add-block", "4-remove-block", "7-node-back"])
def test_the_recorded_mesh_is_planned_route_by_route(phase: str, node: str) -> None:
    recorded = recorded_routes(phase, node)
    assert recorded
    blocks = {
        destination: name
        for name in NODES
        for destination, route in recorded_routes(phase, name).items()
        if route.kind == "blackhole"
    }
    own = PlanContext(
        pools=(PoolRule(POOL, "Always"),),
        own_networks=(f"{NODES[node]}/24",),
        own_addresses=frozenset({NODES[node]}),
        own_blocks=tuple(block for block, name in blocks.items() if name == node),
        resolve=RESOLVER,
    )
    learnt = {block: [NODES[name]] for block, name in blocks.items() if name != node}
    assert plan_routes(learnt, own) == recorded


addresses = st.integers(0, 2**32 - 1).map(lambda value: str(ip_address(value)))
prefixes = st.builds(
    lambda value, length: str(ip_network((value, length), strict=False)), st.integers(0, 2**32 - 1), st.integers(0, 32)
)


@given(
    st.dictionaries(prefixes, st.lists(addresses, max_size=3), max_size=8), st.sampled_from(["Always", "CrossSubnet"])
)
def test_the_plan_depends_on_nothing_but_its_input(learnt: dict[str, list[str]], mode: str) -> None:
    reversed_input = {key: list(reversed(learnt[key])) for key in reversed(learnt)}
    planned = plan_routes(learnt, context(mode))
    assert plan_routes(reversed_input, context(mode)) == planned
    planner = RoutePlanner(context(mode))
    assert {key: route for key in learnt if (route := planner.plan(key, learnt[key]))}.items() <= planned.items()


@given(prefixes, addresses, st.sampled_from(["Always", "CrossSubnet", "Never"]))
def test_encapsulated_iff_the_mode_says_so(destination: str, next_hop: str, mode: str) -> None:
    planned = plan_route(destination, [next_hop], context(mode, own_blocks=()))
    if planned is None:
        return
    inside = ip_network(destination).subnet_of(ip_network(POOL))
    near = ip_address(next_hop) in ip_network("10.0.0.0/24")
    tunnelled = inside and (mode == "Always" or (mode == "CrossSubnet" and not near))
    assert [hop.device == "tunl0" and hop.onlink and hop.gateway == next_hop for hop in planned.next_hops] == [
        tunnelled
    ]


#: Prefixes that often lie inside each other, and some that are never routes.
nested = st.builds(
    lambda value, length: str(ip_network((value, length), strict=False)),
    st.sampled_from([0x0A000000, 0x0A00000B, 0x0A0000FF, 0x0A7F0000, 0x0AFFFFFF, 0x0B000000, 0xC0A8AB40]),
    st.integers(0, 32) | st.sampled_from([8, 9, 24, 31, 32]),
)
modes = st.sampled_from(["Always", "Never"])
NEVER_INSTALLED = ("10.0.0.11/32", "192.168.171.64/32", "10.0.0.0/24", "0.0.0.0/0")


@given(
    st.lists(nested, max_size=12),
    st.lists(st.tuples(nested, modes, modes), max_size=3),
    st.lists(nested, max_size=1),
    st.lists(nested, max_size=2),
)
def test_a_run_is_planned_as_the_rules_say_of_each(
    destinations: list[str], pools: list[tuple[str, str, str]], reject: list[str], blocks: list[str]
) -> None:
    """Own blocks before all, then what never is a route, then the first pool that contains it."""
    rules = tuple(PoolRule(*pool) for pool in pools)
    facts = context(pools=rules, reject=tuple(reject), own_blocks=tuple(blocks))
    keys = [parse_prefix(one)[1] for one in destinations]
    runs = RoutePlanner(facts).plan_run(IPV4_UNICAST, keys, [FAR_PEER])
    planned = [(key, route) for some, route in runs for key in some]
    assert sorted(key for key, _ in planned) == sorted(keys)
    for key, route in planned:
        network = ip_network(format_prefix(IPV4_UNICAST, key))
        pool = next((one for one in rules if network.subnet_of(ip_network(one.cidr))), None)
        if str(network) in blocks and network.prefixlen < 32:
            assert route == KernelRoute("", "blackhole")
        elif (
            str(network) in NEVER_INSTALLED
            or any(network.subnet_of(ip_network(one)) for one in reject)
            or (pool and pool.vxlan_mode == "Always")
        ):
            assert route is None
        else:
            device = "tunl0" if pool and pool.ipip_mode == "Always" else "ens160"
            assert route is not None
            assert [hop.device for hop in route.next_hops] == [device]


def test_the_longest_prefix_and_then_the_lowest_metric_lead_to_a_next_hop() -> None:
    other = CONNECTED._replace(next_hops=(NextHop(None, "backup"),), metric=100)
    hole = KernelRoute("10.0.0.128/25", "blackhole")
    resolver = NextHopResolver([DEFAULT, other, CONNECTED, hole])
    assert resolver("10.0.0.200") == NextHop("10.0.0.200", "ens160")
    assert resolver("8.8.8.8") == NextHop("10.0.0.1", "ens160")
    assert NextHopResolver([])("8.8.8.8") is None


def test_a_resolver_tells_whether_its_answers_still_hold() -> None:
    used = NextHopResolver([DEFAULT, CONNECTED])
    used("10.0.0.200")
    assert not used.differs_from(NextHopResolver([CONNECTED]))
    used("8.8.8.8")
    assert used.differs_from(NextHopResolver([CONNECTED]))


def test_next_hops_that_routes_of_bgp_lead_to_are_replaced_by_where_they_lead() -> None:
    ways = {"172.16.0.1": (PEER, "10.0.0.14"), "172.16.0.2": ()}
    made = context(follow=lambda hop: ways.get(hop, (hop,)))
    both = (NextHop(PEER, "ens160"), NextHop("10.0.0.14", "ens160"))
    assert plan_route("203.0.113.0/24", ["172.16.0.1"], made) == unicast("203.0.113.0/24", *both)
    assert plan_route("203.0.113.0/24", ["172.16.0.2"], made) is None
    assert plan_route("203.0.113.0/24", ["172.16.0.2", PEER], made) == unicast("203.0.113.0/24", PLAIN)
    tunnelled = plan_route(BLOCK, ["172.16.0.1"], made)
    assert tunnelled == unicast(BLOCK, NextHop("172.16.0.1", "tunl0", onlink=True)), "the tunnel ends at the next hop"
