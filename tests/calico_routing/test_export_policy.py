"""What leaves a node (spec section 4.6, export)."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from calico_routing.export_policy import OTHER_TUNNEL, CalicoExportPolicy, ExportRules, PrefixSet
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AttributeCode
from pybgp.wire.nlri import format_prefix, parse_prefix

RULES = ExportRules(
    pools=frozenset({"192.168.0.0/16", "fd00:1::/48"}),
    silent_pools=frozenset({"192.168.128.0/17", "10.99.0.0/16"}),
    blocks=frozenset({"192.168.5.0/26", "fd00:1::40/122"}),
    leaving_blocks=frozenset({"192.168.6.0/26"}),
)


def accepted(prefix: str, rules: ExportRules = RULES) -> bool:
    family, key = parse_prefix(prefix)
    return CalicoExportPolicy(rules).accepts(family, key)


def test_the_own_block_leaves_whole() -> None:
    assert accepted("192.168.5.0/26")
    assert not accepted("192.168.5.1/32")
    assert not accepted("192.168.5.0/27")
    assert accepted("fd00:1::40/122")
    assert not accepted("fd00:1::41/128")


def test_a_borrowed_address_leaves() -> None:
    assert accepted("192.168.77.130/32")


def test_routes_of_others_inside_a_pool_leave() -> None:
    assert accepted("192.168.77.128/26")
    assert accepted("192.168.0.0/16")


def test_outside_the_pools_nothing_leaves() -> None:
    assert not accepted("10.0.0.0/24")
    assert not accepted("0.0.0.0/0")
    assert not accepted("192.168.0.0/15")
    assert not accepted("fd00:2::/64")


def test_a_pool_without_export_is_silent_even_for_own_blocks() -> None:
    assert not accepted("10.99.1.0/26")
    assert not accepted("192.168.200.0/26", RULES._replace(blocks=frozenset({"192.168.200.0/26"})))


def test_a_leaving_block_is_withdrawn_while_its_addresses_stay() -> None:
    assert not accepted("192.168.6.0/26")
    assert accepted("192.168.6.1/32")


def fake_path(label: str = "") -> Any:
    return SimpleNamespace(label=label, attributes=object())


def test_the_policy_keeps_the_order_and_the_attributes() -> None:
    keys = [parse_prefix(text)[1] for text in ("192.168.5.1/32", "192.168.5.0/26", "10.0.0.0/8", "192.168.9.9/32")]
    path = fake_path()
    ((attributes, kept),) = CalicoExportPolicy(RULES).apply(path, IPV4_UNICAST, keys, internal=True)
    assert attributes is path.attributes
    assert [format_prefix(IPV4_UNICAST, key) for key in kept] == ["192.168.5.0/26", "192.168.9.9/32"]
    assert not list(CalicoExportPolicy(RULES).apply(path, IPV4_UNICAST, keys[:1], internal=True))


def test_routes_of_other_tunnels_are_no_business_of_the_own_as() -> None:
    keys = [parse_prefix("192.168.9.9/32")[1]]
    policy = CalicoExportPolicy(RULES)
    assert not list(policy.apply(fake_path(OTHER_TUNNEL), IPV4_UNICAST, keys, internal=True))
    assert list(policy.apply(fake_path(OTHER_TUNNEL), IPV4_UNICAST, keys, internal=False))


networks = st.ip_addresses(v=4).flatmap(
    lambda address: st.integers(0, 32).map(lambda length: ipaddress.ip_network((address, length), strict=False))
)


@given(st.lists(networks, max_size=6), networks)
def test_coverage_is_what_ipaddress_says(around: list[ipaddress.IPv4Network], inner: ipaddress.IPv4Network) -> None:
    found = PrefixSet(IPV4_UNICAST, map(str, around)).covers(parse_prefix(str(inner))[1])
    assert found == any(inner.subnet_of(outer) for outer in around)


def test_families_are_kept_apart() -> None:
    both = PrefixSet(IPV6_UNICAST, ["0.0.0.0/0", "fd00::/8"])
    assert both.covers(parse_prefix("fd00::1/128")[1])
    assert not both.covers(parse_prefix("2001:db8::/32")[1])


@given(st.sets(networks.filter(lambda n: 8 <= n.prefixlen <= 32), max_size=5), networks)
def test_nothing_inside_an_own_block_leaves(blocks: set[ipaddress.IPv4Network], prefix: ipaddress.IPv4Network) -> None:
    """Invariant 13."""
    rules = ExportRules(pools=frozenset({"0.0.0.0/0"}), blocks=frozenset(map(str, blocks)))
    inside = any(prefix != block and prefix.subnet_of(block) for block in blocks)
    if prefix in blocks:
        assert accepted(str(prefix), rules)
    else:
        assert accepted(str(prefix), rules) is not inside


def test_communities_are_added_where_a_prefix_says_so() -> None:
    rules = RULES._replace(
        advertisements=(
            ("192.168.5.0/26", ("65000:100", "65000:7:8")),
            ("192.168.0.0/16", ("65000:1",)),
            ("fd00:1::/48", ("65000:6",)),
        )
    )
    path = fake_path()
    path.attributes = Attributes.build({AttributeCode.ORIGIN: 0, AttributeCode.COMMUNITIES: (5,)}, bytes(4))
    keys = [parse_prefix(text)[1] for text in ("192.168.5.0/26", "192.168.9.9/32")]
    groups = {
        tuple(format_prefix(IPV4_UNICAST, key) for key in kept): attributes
        for attributes, kept in CalicoExportPolicy(rules).apply(path, IPV4_UNICAST, keys, internal=True)
    }
    both = groups["192.168.5.0/26",]
    assert both.communities == (5, 65000 << 16 | 1, 65000 << 16 | 100)
    assert [str(community) for community in both.large_communities] == ["65000:7:8"]
    assert groups["192.168.9.9/32",].communities == (5, 65000 << 16 | 1)
    assert groups["192.168.9.9/32",].large_communities == ()
