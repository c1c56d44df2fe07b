from __future__ import annotations

import pytest

from pybgp.rib.decision import DecisionOptions
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import attributes, key, peer, rib_with

PREFIX = key("10.1.0.0/16")

#: (what decides, what the winner says, what the loser says); winners come from peer 1, losers from peer 2.
STEPS = [
    ("local preference", attributes(65001, local_pref=200), attributes(65002, local_pref=100)),
    ("AS path length", attributes(65001), attributes(65002, 65003)),
    ("origin", attributes(65001), attributes(65002, origin=2)),
    ("MED", attributes(65001, med=5), attributes(65001, med=6)),
    ("router id", attributes(65001, originator_id=7), attributes(65002, originator_id=8)),
    ("cluster list length", attributes(65001, originator_id=7), attributes(65002, originator_id=7, cluster_list=(5,))),
    ("peer address", attributes(65001, originator_id=7), attributes(65002, originator_id=7)),
]


@pytest.mark.parametrize(("step", "winner", "loser"), STEPS, ids=[row[0] for row in STEPS])
@pytest.mark.parametrize("winner_first", [True, False])
def test_each_step_decides_in_either_order_of_arrival(
    step: str, winner: Attributes, loser: Attributes, winner_first: bool
) -> None:
    rib = rib_with(peer(1), peer(2))
    arrivals = [(1, winner), (2, loser)]
    for number, attrs in arrivals if winner_first else reversed(arrivals):
        rib.apply(number, IPV4_UNICAST, (), attrs, [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1
    assert [(loss.path.peer, loss.step) for loss in rib.explain(IPV4_UNICAST, PREFIX)] == [(2, step)]


def test_external_beats_internal() -> None:
    rib = rib_with(peer(1, 65001, router_id=900), peer(2))
    rib.apply(2, IPV4_UNICAST, (), attributes(65002, hop=2), [PREFIX])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1
    assert [loss.step for loss in rib.explain(IPV4_UNICAST, PREFIX)] == ["external"]


def test_the_nearer_next_hop_wins_and_an_unreachable_one_never_does() -> None:
    costs: dict[bytes, int | None] = {bytes([10, 0, 0, 1]): 20, bytes([10, 0, 0, 2]): 10}
    rib = rib_with(peer(1), peer(2), next_hop_cost=costs.get)
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, hop=1), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, hop=2), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2
    costs[bytes([10, 0, 0, 2])] = None
    (change,) = rib.next_hops_changed([bytes([10, 0, 0, 2])])
    assert change.path is not None
    assert change.path.peer == 1
    assert rib.received(2, IPV4_UNICAST)[PREFIX].rejection == "next hop unreachable"
    costs[bytes([10, 0, 0, 2])] = 1
    assert [change.path.peer for change in rib.next_hops_changed([bytes([10, 0, 0, 2])]) if change.path] == [2]


def test_med_is_compared_within_one_neighbour_only_and_groups_come_first() -> None:
    """The classic triangle: without grouping the result would depend on the order of arrival."""
    said = {
        1: attributes(65001, med=10, originator_id=3),
        2: attributes(65002, med=1, originator_id=2),
        3: attributes(65001, med=5, originator_id=9),
    }
    for order in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)):
        rib = rib_with(peer(1), peer(2), peer(3))
        for number in order:
            rib.apply(number, IPV4_UNICAST, (), said[number], [PREFIX])
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2


def test_a_losing_path_that_goes_away_can_change_the_winner() -> None:
    rib = rib_with(peer(1), peer(2), peer(3))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, med=10, originator_id=1), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), attributes(65002, originator_id=2), [PREFIX])
    rib.apply(3, IPV4_UNICAST, (), attributes(65001, med=5, originator_id=3), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2
    (change,) = rib.apply(3, IPV4_UNICAST, [PREFIX], None, ())
    assert change.path is not None
    assert change.path.peer == 1


def test_always_compare_med_and_missing_is_worst() -> None:
    options = DecisionOptions(always_compare_med=True, missing_med_is_worst=True)
    rib = rib_with(peer(1), peer(2), options=options)
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), attributes(65002, med=4_000_000_000), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 2
    assert [loss.step for loss in rib.explain(IPV4_UNICAST, PREFIX)] == ["MED"]


def test_path_length_can_be_switched_off() -> None:
    rib = rib_with(peer(1), peer(2), options=DecisionOptions(ignore_as_path_length=True))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002, 65003), [PREFIX])
    rib.apply(2, IPV4_UNICAST, (), attributes(65001), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1


def test_preference_comes_before_everything() -> None:
    """Own static blocks (200) before BGP (100) before what the kernel has (10)."""
    rib = rib_with(peer(1))
    own = Attributes.build({1: 0, 2: attributes().as_path})
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, local_pref=1000), [PREFIX])
    rib.announce_local(IPV4_UNICAST, [PREFIX], own, preference=10, label="kernel")
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1
    rib.announce_local(IPV4_UNICAST, [PREFIX], own, preference=200, label="static")
    assert rib.best(IPV4_UNICAST)[PREFIX].label == "static"
    rib.withdraw_local(IPV4_UNICAST, [PREFIX], label="static")
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1
    rib.apply(1, IPV4_UNICAST, [PREFIX], None, ())
    assert rib.best(IPV4_UNICAST)[PREFIX].label == "kernel"


def test_equal_cost_paths_are_given_best_first_and_their_change_is_told() -> None:
    rib = rib_with(peer(1), peer(2), peer(3), maximum_paths=2)
    for number in (3, 2):
        rib.apply(number, IPV4_UNICAST, (), attributes(65001, hop=number), [PREFIX])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == [2, 3]
    (change,) = rib.apply(1, IPV4_UNICAST, (), attributes(65001, hop=1), [PREFIX])
    assert change.path is rib.paths(IPV4_UNICAST, PREFIX)[0]
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == [1, 2]
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002, hop=1), [PREFIX])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == [2, 3]


def test_paths_through_other_ases_share_traffic_only_when_relaxed() -> None:
    for relax, expected in ((False, [1]), (True, [1, 2])):
        rib = rib_with(peer(1), peer(2), maximum_paths=8, options=DecisionOptions(multipath_relax=relax))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001), [PREFIX])
        rib.apply(2, IPV4_UNICAST, (), attributes(65002, hop=2), [PREFIX])
        assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == expected


OLDEST = DecisionOptions(prefer_oldest=True)


def test_an_external_path_that_is_selected_stays_where_only_the_router_id_speaks() -> None:
    """RFC 5004, in either order of arrival."""
    for first, second in ((1, 2), (2, 1)):
        rib = rib_with(peer(1, 65001), peer(2, 65002), options=OLDEST)
        for number in (first, second):
            rib.apply(number, IPV4_UNICAST, (), attributes(65000 + number, hop=number), [PREFIX])
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == first
        (loss,) = rib.explain(IPV4_UNICAST, PREFIX)
        assert loss.step == ("router id" if first == 1 else "older external path")
        rib.apply(first, IPV4_UNICAST, [PREFIX], None, ())
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == second
        rib.apply(first, IPV4_UNICAST, (), attributes(65000 + first, hop=first), [PREFIX])
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == second, "who comes back is new"


@pytest.mark.parametrize("maximum_paths", [1, 4])
def test_age_counts_among_equals_only(maximum_paths: int) -> None:
    rib = rib_with(peer(1, 65001), peer(2, 65002), peer(3), peer(4), options=OLDEST, maximum_paths=maximum_paths)
    rib.apply(2, IPV4_UNICAST, (), attributes(65002, 65009, hop=2), [PREFIX])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, hop=1), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1, "a shorter path"
    other = key("10.2.0.0/16")
    rib.apply(4, IPV4_UNICAST, (), attributes(65001, hop=4), [other])
    rib.apply(3, IPV4_UNICAST, (), attributes(65001, hop=3), [other])
    assert rib.best(IPV4_UNICAST)[other].peer == 3, "internal paths have no age"


def test_two_paths_of_one_router_have_no_age() -> None:
    rib = rib_with(peer(1, 65001, router_id=7), peer(2, 65001, router_id=7), options=OLDEST)
    for number in (2, 1):
        rib.apply(number, IPV4_UNICAST, (), attributes(65001, hop=number), [PREFIX])
    assert rib.best(IPV4_UNICAST)[PREFIX].peer == 1


def test_the_oldest_of_equal_cost_paths_is_the_best_of_them() -> None:
    rib = rib_with(peer(1, 65001), peer(2, 65001), options=OLDEST, maximum_paths=2)
    for number in (2, 1):
        rib.apply(number, IPV4_UNICAST, (), attributes(65001, hop=number), [PREFIX])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == [2, 1]
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, 65002, hop=2), [PREFIX])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIX)] == [1]


def test_distances_can_be_left_out() -> None:
    for ignore, best in ((False, 1), (True, 2)):
        rib = rib_with(peer(1), peer(2), options=DecisionOptions(ignore_aigp=ignore))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002, aigp=Aigp.of(9)), [PREFIX])
        rib.apply(2, IPV4_UNICAST, (), attributes(65001, hop=2), [PREFIX])
        assert rib.best(IPV4_UNICAST)[PREFIX].peer == best
