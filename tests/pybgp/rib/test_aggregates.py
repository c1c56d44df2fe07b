"""Aggregates follow the Loc-RIB (RFC 4271 section 9.2.2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.rib.aggregates import Aggregate, Aggregates, News
from pybgp.rib.conditions import Conditional, withheld
from pybgp.rib.path import Change, Path, Source
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import attributes, key

OUTER = "10.0.0.0/8"


def path(attrs: Attributes) -> Path:
    return Path(1, Source.EBGP, attrs, attrs)


def change(attrs: Attributes | None, *prefixes: str) -> Change:
    return Change(IPV4_UNICAST, attrs and path(attrs), [key(prefix) for prefix in prefixes])


def aggregates(*wanted: Aggregate) -> Aggregates:
    made = Aggregates(64512, 7)
    assert made.declare(wanted) == []
    return made


def said(news: list[News]) -> Attributes | None:
    (one,) = news
    assert (one.family, one.key) == (IPV4_UNICAST, key(OUTER))
    return one.attributes


def test_an_aggregate_is_there_while_something_is_inside() -> None:
    made = aggregates(Aggregate(OUTER, communities=(9, 7)))
    assert made.heed([change(attributes(65001), "11.0.0.0/16", "0.0.0.0/0", OUTER)]) == [], "not inside"
    first = said(made.heed([change(attributes(65001), "10.1.0.0/16")]))
    assert first is not None
    assert (first.origin, str(first.as_path), first.atomic_aggregate, first.communities) == (0, "", True, (7, 9))
    assert first.aggregator == (64512, 7)
    assert made.heed([change(attributes(65009), "10.2.0.0/16")]) == [], "it says the same"
    worse = said(made.heed([change(attributes(65009, origin=2), "10.3.0.0/16")]))
    assert worse is not None
    assert worse.origin == 2, "the worst of all"
    assert made.heed([change(None, "10.1.0.0/16", "10.2.0.0/16")]) == []
    assert said(made.heed([change(None, "10.3.0.0/16")])) is None
    assert made.heed([change(None, "10.3.0.0/16")]) == []


def test_nothing_is_left_out_where_all_is_our_own() -> None:
    made = aggregates(Aggregate(OUTER))
    own = said(made.heed([change(attributes(), "10.1.0.0/16")]))
    assert own is not None
    assert not own.atomic_aggregate
    mixed = said(made.heed([change(attributes(65001), "10.2.0.0/16")]))
    assert mixed is not None
    assert mixed.atomic_aggregate


def test_what_a_summary_hides() -> None:
    made = aggregates(Aggregate(OUTER, summary_only=True), Aggregate("192.0.0.0/8"))
    assert made.hidden is None
    made.heed([change(attributes(65001), "10.1.0.0/16", "192.0.2.0/24")])
    hidden = made.hidden
    assert hidden is not None
    inside = [key(text) for text in (OUTER, "10.0.0.0/9", "10.1.2.3/32", "192.0.2.0/24", "0.0.0.0/0")]
    assert list(hidden.inside(IPV4_UNICAST, inside)) == inside[1:3]


def test_what_is_no_longer_declared_is_withdrawn() -> None:
    made = aggregates(Aggregate(OUTER))
    made.heed([change(attributes(65001), "10.1.0.0/16")])
    assert made.declare([Aggregate(OUTER, summary_only=True)]) == [], "the same prefix, told of anew"
    assert said(made.heed([change(attributes(65001), "10.1.0.0/16")])) is not None
    assert said(made.declare([])) is None
    assert not made


def test_aggregates_that_cannot_be() -> None:
    with pytest.raises(LocalError, match="nothing inside a single address"):
        Aggregate("10.0.0.1/32")
    with pytest.raises(LocalError, match="declared twice"):
        aggregates(Aggregate(OUTER), Aggregate(OUTER, summary_only=True))


PREFIXES = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "11.0.0.0/16"]
PATHS = st.sampled_from([None, attributes(), attributes(65001), attributes(65001, origin=2)])


@given(st.lists(st.tuples(PATHS, st.lists(st.sampled_from(PREFIXES), unique=True))))
def test_the_order_of_changes_does_not_matter(steps: list[tuple[Attributes | None, list[str]]]) -> None:
    step_by_step = aggregates(Aggregate(OUTER), Aggregate("10.1.0.0/16"))
    table: dict[str, Attributes] = {}
    announced: dict[bytes, Attributes] = {}
    for attrs, prefixes in steps:
        for prefix in prefixes:
            table.pop(prefix, None)
        if attrs is not None:
            table.update(dict.fromkeys(prefixes, attrs))
        for one in step_by_step.heed([change(attrs, *prefixes)]):
            announced.pop(one.key, None)
            if one.attributes is not None:
                announced[one.key] = one.attributes
    at_once = aggregates(Aggregate(OUTER), Aggregate("10.1.0.0/16"))
    news = at_once.heed([change(attrs, prefix) for prefix, attrs in table.items()])
    assert announced == {one.key: one.attributes for one in news if one.attributes is not None}


@pytest.mark.parametrize("present", [True, False])
def test_a_condition_follows_what_is_there(present: bool) -> None:
    condition = Conditional(["10.0.0.0/8 le 24"], ["192.0.2.0/24", "198.51.100.0/24 ge 25"], present=present)
    assert condition.holds is not present
    assert not condition.heed([change(attributes(65001), "192.0.3.0/24", "198.51.100.0/24")])
    assert condition.heed([change(attributes(65001), "192.0.2.0/24")])
    assert condition.holds is present
    assert not condition.heed([change(attributes(65001), "198.51.100.0/25")])
    assert not condition.heed([change(None, "192.0.2.0/24")]), "another is there still"
    assert condition.heed([change(None, "198.51.100.0/25")])
    assert not condition.heed([change(attributes(), "192.0.2.0/24"), change(None, "192.0.2.0/24")])
    hidden = withheld([condition])
    assert (hidden is not None) is present
    assert hidden is None or hidden.has(IPV4_UNICAST, key("10.1.0.0/16"))
