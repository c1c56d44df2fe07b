"""Distances that add up over borders (RFC 7311)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.errors import LocalError
from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp, Tlv
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIX = key("10.1.0.0/16")
MOST = 2**64 - 1
OTHER = Tlv(9, b"abc")
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL, aigp=True)
EXTERNAL = replace(INTERNAL, internal=False)


def far(metric: int, *asns: int, hop: int = 1, **values: object) -> Attributes:
    return attributes(*asns, hop=hop, aigp=Aigp.of(metric), **values)


def hop(number: int) -> bytes:
    return bytes([10, 0, 0, number])


def said(rib: Rib, profile: ExportProfile) -> int | None:
    path = rib.best(IPV4_UNICAST)[PREFIX]
    leaving = rewrite(path, path.attributes, profile)
    assert leaving is not None
    value = leaving.get(26)
    assert value is None or isinstance(value, Aigp)
    return value and value.metric


@pytest.mark.parametrize(
    ("one", "two", "winner", "values"),
    [
        (far(10, 65001), far(20, 65001, hop=2), 1, (15, 27)),
        (far(12, 65001), far(9, 65001, 65002, hop=2), 2, (16, 17)),
        (far(10**12, 65001, 65002, 65003), attributes(65001, hop=2), 1, (10**12 + 5, 2**64)),
        (far(MOST - 5, 65001), far(MOST - 1, 65001, 65002, hop=2), 1, None),
        (far(MOST - 6, 65001), far(MOST - 8, 65001, hop=2), 2, (MOST - 1, MOST - 1)),
    ],
)
def test_the_nearest_by_metric_and_own_way_wins(
    one: Attributes, two: Attributes, winner: int, values: tuple[int, int] | None
) -> None:
    """Next hop 1 is 5 away, next hop 2 is 7; a route without a metric loses; sums end at 2^64-1."""
    rib = rib_with(peer(1), peer(2), next_hop_cost={hop(1): 5, hop(2): 7}.get)
    rib.apply(1, IPV4_UNICAST, (), one, [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), two, [PREFIX])
    (loss,) = rib.explain(IPV4_UNICAST, PREFIX)
    if values is None:
        assert (rib.best(IPV4_UNICAST)[PREFIX].peer, loss.step) == (1, "AS path length"), "both are as far as can be"
    elif values[0] == values[1]:
        assert loss.step != "AIGP"
    else:
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == winner
        assert (loss.step, loss.winner_value, loss.loser_value) == ("AIGP", *values)


def test_local_preference_comes_before_the_metric() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply(1, IPV4_UNICAST, (), far(10, 65001), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, hop=2, local_pref=101), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2


def test_an_attribute_without_a_metric_counts_for_nothing() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, aigp=Aigp((OTHER,))), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), far(99, 65001, hop=2), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2


@pytest.mark.parametrize(
    ("profile", "cost", "metric"),
    [
        (INTERNAL, 5, 100),
        (replace(INTERNAL, next_hop_mode="self"), 5, 105),
        (replace(INTERNAL, next_hop_mode="self"), 0, 101),
        (EXTERNAL, 5, 105),
        (replace(EXTERNAL, next_hop_mode="keep"), 5, 100),
        (replace(EXTERNAL, aigp=False), 5, None),
        (replace(INTERNAL, aigp=False), 5, None),
    ],
)
def test_the_own_way_is_added_where_the_next_hop_becomes_ours(
    profile: ExportProfile, cost: int, metric: int | None
) -> None:
    rib = rib_with(peer(1, 65001), next_hop_cost=lambda _: cost)
    rib.apply(1, IPV4_UNICAST, (), far(100, 65001), [PREFIX])
    assert said(rib, profile) == metric


def test_a_sum_ends_at_the_most_and_other_values_stay() -> None:
    value = Aigp((OTHER, Tlv(1, (MOST - 1).to_bytes(8, "big")), Tlv(1, bytes(8))))
    given = attributes(65001, aigp=value)
    rib = rib_with(peer(1, 65001), next_hop_cost=lambda _: 9)
    rib.apply(1, IPV4_UNICAST, (), given, [PREFIX])
    path = rib.best(IPV4_UNICAST)[PREFIX]
    leaving = rewrite(path, path.attributes, EXTERNAL)
    assert leaving is not None
    assert leaving.get(26) == Aigp((OTHER, Tlv(1, b"\xff" * 8), Tlv(1, bytes(8))))


def test_our_own_announcement_says_what_it_was_given() -> None:
    own = Attributes.build({1: 0, 2: attributes().as_path, 26: Aigp.of(30)})
    leaving = rewrite(Path(0, Source.LOCAL, own, own), own, INTERNAL)
    assert leaving is not None
    assert leaving.get(26) == Aigp.of(30)


def test_peers_hear_of_a_new_way() -> None:
    costs = {hop(1): 5, hop(2): 1}
    rib = rib_with(peer(1, 65001), peer(2, 65002), next_hop_cost=costs.get)
    rib.apply(1, IPV4_UNICAST, (), far(100, 65001), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), far(200, 65002, hop=2), [PREFIX])
    before = rib.best(IPV4_UNICAST)[PREFIX]
    assert said(rib, EXTERNAL) == 105
    assert rib.next_hops_changed([hop(1)]) == [], "no news"
    costs[hop(1)] = 8
    (change,) = rib.next_hops_changed([hop(1)])
    assert change.path is rib.best(IPV4_UNICAST)[PREFIX]
    assert change.path is not before, "another path, so that what was made of the old one is made again"
    assert said(rib, EXTERNAL) == 108
    costs[hop(1)] = 500
    rib.next_hops_changed([hop(1)])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2


def test_a_metric_of_all_ones_cannot_be_announced() -> None:
    with pytest.raises(LocalError):
        attributes(aigp=Aigp.of(MOST))
