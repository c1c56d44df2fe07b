"""Flow rules are believed only from where the traffic goes, also after routes have changed (RFC 8955 section 6)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.rib.path import Path, Source
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_FLOWSPEC, IPV4_UNICAST, IPV4_VPN, IPV4_VPN_FLOWSPEC, IPV6_FLOWSPEC, Family
from pybgp.wire.nlri import format_prefix, parse_key, parse_nlri
from pybgp.wire.nlri.flowspec import destination
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.128/25", "10.1.2.3/32", "11.0.0.0/8"]
NUMBERS = {1: 65001, 2: 65002, 3: LOCAL_AS}


def strict(number: int) -> RibPeer:
    return replace(peer(number, NUMBERS[number]), validate_flow_rules=True)


def rule(prefix: str, more: str = "") -> bytes:
    return parse_nlri(IPV4_FLOWSPEC, f"destination={prefix} {more}".strip())


def flow(*asns: int, **values: object) -> Attributes:
    return attributes(*asns, **values).replace(next_hop=b"")


class House:
    """A rib whose changes of routes are followed by a look at the flow rules, as a speaker does it."""

    def __init__(self, *numbers: int) -> None:
        self.rib: Rib = rib_with(*map(strict, numbers))

    def say(self, number: int, attrs: Attributes | None, *keys: bytes, family: Family = IPV4_UNICAST) -> None:
        changes = self.rib.apply(number, family, () if attrs else keys, attrs, keys if attrs else ())
        while changes:
            changes = self.rib.believe_again(changes)

    def fault(self, number: int, one: bytes, family: Family = IPV4_FLOWSPEC) -> str:
        return self.rib.received(number, family)[one].rejection


def test_who_has_the_route_may_filter_it() -> None:
    home = House(1, 2)
    home.say(1, attributes(65001), key("10.0.0.0/8"))
    home.say(2, attributes(65002), key("11.0.0.0/8"))
    mine, other, nowhere = rule("10.1.0.0/16"), rule("11.0.0.0/8"), rule("12.0.0.0/8")
    home.say(1, flow(65001), mine, other, nowhere, family=IPV4_FLOWSPEC)
    assert home.fault(1, mine) == ""
    assert "another originator" in home.fault(1, other)
    assert "no route is known" in home.fault(1, nowhere)
    assert set(home.rib.best(IPV4_FLOWSPEC)) == {mine}


def test_a_rule_is_judged_again_when_the_best_route_moves() -> None:
    home = House(1, 2)
    one = rule("10.1.0.0/16")
    home.say(1, flow(65001), one, family=IPV4_FLOWSPEC)
    assert one not in home.rib.best(IPV4_FLOWSPEC)
    home.say(1, attributes(65001, 65009), key("10.0.0.0/8"))
    assert one in home.rib.best(IPV4_FLOWSPEC)
    home.say(2, attributes(65002), key("10.0.0.0/8"))
    assert one not in home.rib.best(IPV4_FLOWSPEC)
    home.say(2, None, key("10.0.0.0/8"))
    assert one in home.rib.best(IPV4_FLOWSPEC)
    home.say(2, attributes(65002), key("10.1.0.0/16"))
    assert one not in home.rib.best(IPV4_FLOWSPEC)


def test_no_part_of_the_destination_may_lead_to_another_as() -> None:
    home = House(1, 2)
    home.say(1, attributes(65001), key("10.0.0.0/8"))
    one, host = rule("10.0.0.0/8"), rule("10.0.0.1/32")
    home.say(1, flow(65001), one, host, family=IPV4_FLOWSPEC)
    assert set(home.rib.best(IPV4_FLOWSPEC)) == {one, host}
    home.say(2, attributes(65002), key("10.200.0.0/16"))
    assert "10.200.0.0/16 leads to another AS" in home.fault(1, one)
    assert home.fault(1, host) == ""
    home.say(2, None, key("10.200.0.0/16"))
    assert home.fault(1, one) == ""


def test_the_leftmost_as_must_be_that_of_the_route() -> None:
    home = House(1)
    home.say(1, attributes(65001), key("10.0.0.0/8"))
    one = rule("10.0.0.0/8")
    home.say(1, flow(65077), one, family=IPV4_FLOWSPEC)
    assert "from AS 65077, the best route is of AS 65001" in home.fault(1, one)


def test_our_own_as_may_filter_anything() -> None:
    home = House(3)
    one = rule("10.0.0.0/8")
    home.say(3, flow(), one, family=IPV4_FLOWSPEC)
    assert home.fault(3, one) == ""
    home.say(3, flow(65001), one, family=IPV4_FLOWSPEC)
    assert "no route is known" in home.fault(3, one)


def test_the_originator_counts_where_routes_are_reflected() -> None:
    home = House(3)
    one = rule("10.0.0.0/8")
    home.say(3, attributes(65001, originator_id=7), key("10.0.0.0/8"))
    home.say(3, flow(65001, originator_id=8), one, family=IPV4_FLOWSPEC)
    assert "another originator" in home.fault(3, one)
    home.say(3, flow(65001, originator_id=7), one, family=IPV4_FLOWSPEC)
    assert home.fault(3, one) == ""


def test_a_destination_is_needed_and_must_begin_at_the_first_bit() -> None:
    home = House(1)
    home.say(1, attributes(65001), key("0.0.0.0/0"))
    port = parse_nlri(IPV4_FLOWSPEC, "port==80")
    home.say(1, flow(65001), port, family=IPV4_FLOWSPEC)
    assert "without a destination" in home.fault(1, port)
    inner = parse_nlri(IPV6_FLOWSPEC, "destination=0:db8::/16-32")
    assert destination(inner, 16) is None
    assert destination(parse_nlri(IPV6_FLOWSPEC, "destination=2001:db8::/32"), 16) == key("2001:db8::/32")


def test_rules_of_a_vpn_are_held_against_routes_behind_its_distinguisher() -> None:
    home = House(1)
    one, other = (
        parse_nlri(IPV4_VPN_FLOWSPEC, f"destination=10.1.0.0/16 distinguisher=65001:{number}") for number in (1, 2)
    )
    route = parse_key(IPV4_VPN, "distinguisher=65001:1 prefix=10.0.0.0/8")
    home.say(1, attributes(65001), route, family=IPV4_VPN)
    home.say(1, flow(65001), one, other, family=IPV4_VPN_FLOWSPEC)
    assert home.fault(1, one, IPV4_VPN_FLOWSPEC) == ""
    assert "no route is known" in home.fault(1, other, IPV4_VPN_FLOWSPEC)


def test_who_is_not_validated_is_believed() -> None:
    rib = rib_with(peer(1, 65001))
    rib.apply(1, IPV4_FLOWSPEC, (), flow(65001), [rule("10.0.0.0/8")])
    assert rib.best(IPV4_FLOWSPEC)
    assert not rib.has_flow_rules


def verdict(rib: Rib, prefix: str, said: Path) -> bool:
    """RFC 8955 section 6 with RFC 9117, read literally, for one rule."""
    net = ip_network(prefix)
    table = {ip_network(format_prefix(IPV4_UNICAST, one)): path for one, path in rib.best(IPV4_UNICAST).items()}
    covering = [other for other in table if net.subnet_of(other)]  # type: ignore[arg-type]  (both are of IPv4)
    if not said.received.as_path.segments:
        return True
    if not covering:
        return False
    match = table[max(covering, key=lambda other: other.prefixlen)]
    inside = [path for other, path in table.items() if other != net and other.subnet_of(net)]  # type: ignore[arg-type]
    leads = match.received.as_path.first
    return (
        match.peer == said.peer
        and (said.source is Source.IBGP or said.received.as_path.first == leads)
        and all(path.received.as_path.first == leads for path in inside)
    )


SAID = st.tuples(st.sampled_from(sorted(NUMBERS)), st.sampled_from(NETWORKS), st.sampled_from([None, 0, 1, 2]))


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), SAID), max_size=25), sweep=st.booleans())
def test_at_any_time_the_rules_in_force_are_those_of_the_standard(
    steps: list[tuple[bool, tuple[int, str, int | None]]], sweep: bool
) -> None:
    home = House(*NUMBERS)
    names = {rule(network): network for network in NETWORKS}
    for is_rule, (number, network, length) in steps:
        asns = () if length is None else ((NUMBERS[number], 65001, 65002)[: length + 1])
        if number == 3 and asns:
            asns = asns[1:]
        if is_rule:
            home.say(number, None if length is None else flow(*asns), rule(network), family=IPV4_FLOWSPEC)
        else:
            home.say(number, None if length is None else attributes(*asns, hop=number), key(network))
        flows = home.rib._table(IPV4_FLOWSPEC).flows
        if sweep and flows is not None:
            flows.sweep({one for number in NUMBERS for one in home.rib.received(number, IPV4_FLOWSPEC)})
        for told in NUMBERS:
            for one, path in home.rib.received(told, IPV4_FLOWSPEC).items():
                assert (not path.rejection) == verdict(home.rib, names[one], path), path.rejection


@pytest.mark.parametrize("family", [IPV4_FLOWSPEC, IPV4_VPN_FLOWSPEC])
def test_a_rule_outlives_the_sweep_of_others(family: Family) -> None:
    home = House(1)
    front = "" if family == IPV4_FLOWSPEC else " distinguisher=1:1"
    rules = [parse_nlri(family, f"destination=10.{n >> 8}.{n & 255}.0/24{front}") for n in range(3000)]
    home.say(1, flow(65001), *rules, family=family)
    home.say(1, None, *rules[1:], family=family)
    routes = IPV4_UNICAST if family == IPV4_FLOWSPEC else IPV4_VPN
    text = "10.0.0.0/8" if family == IPV4_FLOWSPEC else "distinguisher=1:1 prefix=10.0.0.0/8"
    home.say(1, attributes(65001), parse_key(routes, "distinguisher=1:2 prefix=10.0.0.0/8" if front else "9.0.0.0/8"),
             family=routes)  # fmt: skip
    home.say(1, attributes(65001), parse_key(routes, text), family=routes)
    assert home.fault(1, rules[0], family) == ""
