"""Next hops that selected routes of BGP lead to: longest match, never through themselves, never in a circle."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib.next_hop_table import MOST_LOOKUPS, NextHopRoute, NextHopTable, Resolution, Step
from pybgp.rib.path import Change, Path, Source
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import Family
from pybgp.wire.nlri import parse_prefix

LINK = "10.0.0.0/24"
FAR = "192.0.2.1"


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def path(next_hop: str, source: Source = Source.IBGP) -> Path:
    attributes = Attributes.build({}, next_hop=packed(next_hop))
    return Path(1, source, attributes, attributes)


class LocRib:
    """Selected paths by prefix."""

    def __init__(self, routes: Mapping[str, Sequence[str]] | None = None) -> None:
        self.paths: dict[tuple[Family, bytes], list[Path]] = {}
        for prefix, next_hops in (routes or {}).items():
            self.select(prefix, *map(path, next_hops))

    def select(self, prefix: str, *paths: Path) -> Change:
        family, key = parse_prefix(prefix)
        self.paths[family, key] = list(paths)
        return Change(family, paths[0] if paths else None, (key,))

    def selected(self, family: Family, key: bytes) -> Sequence[Path]:
        return self.paths.get((family, key), ())


def table(rib: LocRib, links: Mapping[str, NextHopRoute] | None = None, *, depth: int = 8) -> NextHopTable:
    made = NextHopTable(depth=depth)
    for prefix, route in (links or {LINK: NextHopRoute(3)}).items():
        made.put(prefix, route)
    made.look_among(rib.selected)
    return made


def gateways(made: NextHopTable, address: str = FAR) -> list[str] | None:
    found = made.resolve(packed(address))
    return None if found is None else [str(ipaddress.ip_address(one)) for one in found.gateways]


def test_the_longest_selected_route_leads_to_a_next_hop() -> None:
    made = table(
        LocRib({"192.0.0.0/16": ["10.0.0.7"], "192.0.2.0/24": ["198.51.100.1"], "198.51.0.0/16": ["10.0.0.2"]})
    )
    assert made.resolve(packed(FAR)) == Resolution(3, (packed("10.0.0.2"),))
    assert made.way(packed(FAR)) == (
        Step(packed(FAR), "192.0.2.0/24", by_bgp=True),
        Step(packed("198.51.100.1"), "198.51.0.0/16", by_bgp=True),
        Step(packed("10.0.0.2"), LINK, by_bgp=False),
    )
    assert (gateways(made, "192.0.3.1"), gateways(made, "203.0.113.1")) == (["10.0.0.7"], None)
    assert made.way(packed("203.0.113.1")) is None


def test_equal_paths_lead_by_the_nearest_of_their_next_hops() -> None:
    links = {LINK: NextHopRoute(3), "10.0.1.0/24": NextHopRoute(3), "10.0.2.0/24": NextHopRoute(9)}
    made = table(LocRib({"192.0.2.0/24": ["10.0.2.1", "10.0.1.1", "10.0.0.1", "203.0.113.1"]}), links)
    assert gateways(made) == ["10.0.1.1", "10.0.0.1"]


def test_a_route_that_bgp_did_not_bring_counts_before_an_equally_long_one() -> None:
    made = table(LocRib({LINK: ["10.0.9.1"], "10.0.0.9/32": ["10.0.0.2"]}))
    assert gateways(made, "10.0.0.1") == ["10.0.0.1"]
    assert gateways(made, "10.0.0.9") == ["10.0.0.2"], "but not before a longer one"
    made.put("10.0.0.9/32", NextHopRoute(is_blocked=True))
    assert gateways(made, "10.0.0.9") is None


@pytest.mark.parametrize(
    "routes",
    [
        {"10.0.0.9/32": ["10.0.0.9"]},
        {"10.0.0.9/32": ["192.0.2.1"], "192.0.2.0/24": ["10.0.0.9"]},
        {"10.0.0.9/32": ["192.0.2.1"], "192.0.2.0/24": ["192.0.2.1"]},
        {"10.0.0.8/31": ["203.0.113.1"]},
        {"0.0.0.0/0": ["10.0.0.1"]},
    ],
)
def test_routes_through_themselves_in_a_circle_or_to_nowhere_are_passed_over(routes: dict[str, list[str]]) -> None:
    made = table(LocRib(routes))
    assert gateways(made, "10.0.0.9") == ["10.0.0.9"]
    assert gateways(made, "198.51.100.1") is None


def test_our_own_announcements_lead_nowhere() -> None:
    rib = LocRib({"192.0.0.0/16": ["10.0.0.7"]})
    rib.select("192.0.2.0/24", path("10.0.0.2", Source.LOCAL))
    assert gateways(table(rib)) == ["10.0.0.7"]


@pytest.mark.parametrize(("depth", "expected"), [(1, None), (2, ["10.0.0.2"])])
def test_how_many_may_follow_each_other(depth: int, expected: list[str] | None) -> None:
    rib = LocRib({"192.0.2.0/24": ["198.51.100.1"], "198.51.0.0/16": ["10.0.0.2"]})
    assert gateways(table(rib, depth=depth)) == expected


def test_both_widths_and_one_behind_the_other() -> None:
    rib = LocRib({"192.0.2.0/24": ["2001:db8:1::1"], "2001:db8::/32": ["2001:db9::1"]})
    made = table(rib, {"2001:db9::/64": NextHopRoute(1)})
    assert gateways(made) == gateways(made, "2001:db8::7") == ["2001:db9::1"]


def test_changes_of_what_is_selected_are_felt_by_those_that_they_concern() -> None:
    rib = LocRib()
    made = table(rib)
    assert (gateways(made), gateways(made, "10.0.0.5")) == (None, ["10.0.0.5"])
    made.changed()
    assert made.heed([rib.select("192.0.0.0/16", path("198.51.100.1"))])
    assert made.changed() == [], "its own next hop has no way"
    assert made.heed([rib.select("198.51.100.0/24", path("10.0.0.2"))])
    assert gateways(made) == ["10.0.0.2"], "also before anybody asks who is concerned"
    assert made.changed() == [packed(FAR)]
    assert not made.heed([rib.select("203.0.113.0/24", path("10.0.0.2"))])
    assert not made.heed([rib.select("192.1.0.0/16", path("10.0.0.2"))])
    assert made.heed([rib.select("198.51.100.0/24")])
    assert made.changed() == [packed(FAR)]
    assert gateways(made) is None
    made.forget_but([packed("10.0.0.5")])
    assert not made.heed([rib.select("198.51.100.0/24", path("10.0.0.2"))]), "nobody asks for it any more"


def test_routes_that_were_asked_for_before_there_was_anybody_to_ask() -> None:
    made = NextHopTable(depth=8)
    made.put(LINK, NextHopRoute(3))
    assert gateways(made) is None
    made.look_among(LocRib({"192.0.2.0/24": ["10.0.0.2"]}).selected)
    assert made.changed() == [packed(FAR)]


def test_a_knot_that_peers_make_is_given_up() -> None:
    """Every route leads by all others, so that there are more ways than could ever be tried."""
    hops = [f"192.0.2.{number}" for number in range(64)]
    rib = LocRib({f"{hop}/32": hops for hop in hops})
    asked = 0

    def selected(family: Family, key: bytes) -> Sequence[Path]:
        nonlocal asked
        asked += 1
        return rib.selected(family, key)

    made = table(rib, depth=50)
    made.look_among(selected)
    assert gateways(made) is None
    assert asked <= 33 * MOST_LOOKUPS


HOSTS = [f"10.0.{net}.1" for net in range(4)]
PREFIXES = [f"10.0.{net}.{'1/32' if long else '0/24'}" for net in range(4) for long in (False, True)]
ROUTES = st.dictionaries(st.sampled_from(PREFIXES), st.lists(st.sampled_from(HOSTS), max_size=2, unique=True))
LINKS = st.dictionaries(
    st.sampled_from(PREFIXES), st.builds(NextHopRoute, st.integers(0, 2), st.just(()), st.booleans())
)


def read_literally(
    address: str, routes: Mapping[str, list[str]], links: Mapping[str, NextHopRoute], way: tuple[str, ...]
) -> tuple[int, frozenset[str]] | None:
    """What the rules say, one candidate after the other."""
    network = address.rpartition(".")[0] + ".0/24"
    for prefix in (f"{address}/32", network):
        if prefix in links:
            link = links[prefix]
            return None if link.is_blocked else (link.cost, frozenset({address}))
        ways = [read_literally(via, routes, links, (*way, via)) for via in routes.get(prefix, ()) if via not in way]
        found = [one for one in ways if one is not None]
        if found:
            least = min(cost for cost, _ in found)
            return least, frozenset().union(*(hops for cost, hops in found if cost == least))
    return None


@given(
    ROUTES,
    LINKS,
    st.lists(st.tuples(st.sampled_from(PREFIXES), st.lists(st.sampled_from(HOSTS), max_size=2)), max_size=5),
)
def test_answers_are_what_the_rules_say_whatever_changes(
    routes: dict[str, list[str]], links: dict[str, NextHopRoute], changes: list[tuple[str, list[str]]]
) -> None:
    rib = LocRib(routes)
    made = NextHopTable(depth=8)
    for prefix, link in links.items():
        made.put(prefix, link)
    made.look_among(rib.selected)
    before: dict[str, Resolution | None] = {}
    for prefix, hops in [("", []), *changes]:
        if prefix:
            routes[prefix] = hops
            made.heed([rib.select(prefix, *map(path, hops))])
            told = set(made.changed())
        for host in HOSTS:
            found = made.resolve(packed(host))
            expected = read_literally(host, routes, links, (host,))
            assert (found and (found.cost, frozenset(found.gateways))) == (
                expected and (expected[0], frozenset(map(packed, expected[1])))
            )
            if prefix:
                assert (packed(host) in told) == (found != before[host])
            before[host] = found
