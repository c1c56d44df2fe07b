"""Next hops by longest match, recursion within bounds, and whose answer changed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.rib.next_hop_table import NextHopRoute, NextHopTable, Resolution


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def via(*texts: str, cost: int = 0) -> NextHopRoute:
    return NextHopRoute(cost, tuple(map(packed, texts)))


def table(routes: dict[str, NextHopRoute], **options: object) -> NextHopTable:
    made = NextHopTable(**options)  # type: ignore[arg-type]  (forwarded keyword arguments)
    for prefix, route in routes.items():
        made.put(prefix, route)
    return made


LINK = NextHopRoute()


def test_the_longest_match_decides() -> None:
    made = table({"10.0.0.0/8": NextHopRoute(7), "10.1.0.0/16": NextHopRoute(5), "10.1.2.0/24": NextHopRoute(3)})
    assert [made.cost(packed(text)) for text in ("10.1.2.3", "10.1.3.3", "10.2.0.1", "11.0.0.1")] == [3, 5, 7, None]
    made.remove("10.1.2.0/24")
    assert made.cost(packed("10.1.2.3")) == 5


def test_a_route_by_way_of_another_address() -> None:
    made = table({"10.9.0.0/24": LINK, "192.0.2.0/24": via("10.9.0.1", "10.9.0.2", cost=10)})
    assert made.resolve(packed("192.0.2.7")) == Resolution(10, (packed("10.9.0.1"), packed("10.9.0.2")))
    made.remove("10.9.0.0/24")
    assert made.resolve(packed("192.0.2.7")) is None


@pytest.mark.parametrize(("depth", "cost"), [(1, None), (2, 13), (9, 13)])
def test_how_deep_it_goes(depth: int, cost: int | None) -> None:
    routes = {
        "10.9.0.0/24": NextHopRoute(1),
        "10.8.0.0/24": via("10.9.0.1", cost=2),
        "192.0.2.0/24": via("10.8.0.1", cost=10),
    }
    assert table(routes, depth=depth).cost(packed("192.0.2.7")) == cost


def test_routes_in_a_circle_reach_nothing() -> None:
    routes = {"10.1.0.0/16": via("10.2.0.1"), "10.2.0.0/16": via("10.1.0.1"), "10.3.0.0/16": via("10.3.0.1")}
    made = table(routes, depth=50)
    assert [made.cost(packed(text)) for text in ("10.1.0.9", "10.2.0.9", "10.3.0.9", "10.3.0.1")] == [None] * 4


def test_only_the_nearest_of_several_ways_is_taken() -> None:
    routes = {
        "10.9.0.0/24": NextHopRoute(4),
        "10.8.0.0/24": NextHopRoute(9),
        "192.0.2.0/24": via("10.8.0.1", "10.9.0.1", "10.7.0.1"),
    }
    assert table(routes).resolve(packed("192.0.2.1")) == Resolution(4, (packed("10.9.0.1"),))


@pytest.mark.parametrize(("use_default", "cost"), [(False, None), (True, 3)])
def test_a_default_route_reaches_next_hops_on_request(use_default: bool, cost: int | None) -> None:
    made = table({"0.0.0.0/0": via("10.9.0.1", cost=3), "10.9.0.0/24": LINK}, use_default=use_default)
    assert made.cost(packed("192.0.2.1")) == cost


def test_ipv6_and_a_link_local_address_behind() -> None:
    made = table({"2001:db8::/32": NextHopRoute(2), "2001:db8:1::/48": via("2001:db8::1", cost=1)})
    assert made.cost(packed("2001:db8:1::7") + packed("fe80::7")) == 3
    assert made.cost(packed("192.0.2.1")) is None


def test_whose_answer_changed() -> None:
    made = table({"10.9.0.0/24": LINK, "10.8.0.0/24": LINK, "192.0.2.0/24": via("10.9.0.1", cost=10)})
    near, far, other = packed("10.8.0.5"), packed("192.0.2.5"), packed("203.0.113.5")
    assert [made.cost(one) for one in (near, far, other)] == [0, 10, None]
    made.changed()
    made.put("198.51.100.0/24", LINK)
    made.put("10.8.0.0/24", LINK)
    assert made.changed() == []
    made.put("10.9.0.0/24", NextHopRoute(1))
    assert made.changed() == [far], "by way of a route to its gateway"
    made.put("10.9.0.1/32", NextHopRoute(1))
    assert made.changed() == [], "another route, the same answer"
    made.put("203.0.113.0/24", via("10.8.0.1"))
    assert made.cost(other) == 0, "an answer is always that of now"
    assert made.changed() == [other]
    made.remove("10.8.0.0/24")
    assert sorted(made.changed()) == sorted([near, other])
    made.forget_but([far, other])
    assert len(made) == 2
    made.put("10.8.0.0/24", LINK)
    assert made.changed() == [other]
    with pytest.raises(LocalError):
        made.put("ten", LINK)


ADDRESSES = ["10.0.0.1", "10.0.1.1", "10.1.0.1", "10.1.1.1"]
PREFIXES = ["10.0.0.0/24", "10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8", "10.1.0.1/32"]
ROUTES = st.none() | st.builds(
    lambda cost, ways: via(*ways, cost=cost),
    st.integers(0, 2),
    st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True),
)


@given(st.lists(st.tuples(st.sampled_from(PREFIXES), ROUTES), max_size=8), st.integers(0, 3))
def test_what_is_told_of_changes_is_all_there_is(steps: list[tuple[str, NextHopRoute | None]], depth: int) -> None:
    """Whoever follows `changed` knows what a table that is asked anew says."""
    followed = NextHopTable(depth=depth)
    known = {text: followed.resolve(packed(text)) for text in ADDRESSES}
    state: dict[str, NextHopRoute] = {}
    for prefix, route in steps:
        if route is None:
            state.pop(prefix, None)
            followed.remove(prefix)
        else:
            state[prefix] = route
            followed.put(prefix, route)
        for address in followed.changed():
            known[str(ipaddress.ip_address(address))] = followed.resolve(address)
        fresh = table(state, depth=depth)
        assert known == {text: fresh.resolve(packed(text)) for text in ADDRESSES}
