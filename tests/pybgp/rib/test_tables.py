from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from pybgp.rib.path import Addition, Change, Path
from pybgp.rib.policy import REJECT_ALL
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.nlri import with_path_id
from pybgp.wire.plain_run import Run
from tests.pybgp.rib.rib_examples import LOCAL_AS, ROUTER_ID, attributes, key, peer, rib_with

PREFIXES = [key(f"10.{number}.0.0/16") for number in range(4)]


class OnlyEven:
    """Passes even second octets, and marks those below 10.2.0.0 with a MED."""

    looks_at_prefixes = True

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        even = [one for one in keys if one[2] % 2 == 0]
        yield path.attributes.replace({4: 77}), [one for one in even if one[2] < 2]
        yield path.attributes, [one for one in even if one[2] >= 2]


class Broken:
    looks_at_prefixes = False

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        raise ZeroDivisionError("of a user")


def test_an_update_is_one_change_and_a_repeated_one_is_none() -> None:
    rib = rib_with(peer(1))
    (change,) = rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    assert change.prefixes == ("10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16")
    assert rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES) == []
    (change,) = rib.apply(1, IPV4_UNICAST, PREFIXES[:2], None, ())
    assert (change.path, list(change.keys)) == (None, PREFIXES[:2])
    assert list(rib.best(IPV4_UNICAST)) == PREFIXES[2:]


def test_a_prefix_withdrawn_and_announced_in_one_update_stays() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    assert rib.apply(1, IPV4_UNICAST, PREFIXES[:1], attributes(65001), PREFIXES[:1]) == []


def test_withdrawing_what_is_unknown_does_nothing() -> None:
    assert rib_with(peer(1)).apply(1, IPV4_UNICAST, PREFIXES, None, ()) == []


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (attributes(65001, LOCAL_AS), "own AS 64512 in AS_PATH"),
        (attributes(65001, originator_id=ROUTER_ID), "ORIGINATOR_ID is our own"),
        (attributes(65001, cluster_list=(5, ROUTER_ID)), "own cluster in CLUSTER_LIST"),
        (attributes(65001, hop=254), "next hop is our own address"),
        (attributes(65001, hop=99), "next hop is our own address"),
    ],
)
def test_refused_routes_stay_visible_with_the_reason(refused: Attributes, reason: str) -> None:
    rib = rib_with(peer(1))
    rib.local_addresses.add(bytes([10, 0, 0, 99]))
    assert rib.apply(1, IPV4_UNICAST, (), refused, PREFIXES) == []
    assert {path.rejection for path in rib.received(1, IPV4_UNICAST).values()} == {reason}
    assert len(rib.received(1, IPV4_UNICAST)) == 4


def test_a_reflector_knows_its_cluster_by_its_own_name() -> None:
    rib = rib_with(peer(1), cluster_id=7)
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, originator_id=5, cluster_list=(ROUTER_ID,)), PREFIXES[:1])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, originator_id=5, cluster_list=(8, 7)), PREFIXES[1:2])
    assert [path.rejection for path in rib.received(1, IPV4_UNICAST).values()] == ["", "own cluster in CLUSTER_LIST"]


def test_a_route_that_becomes_looped_is_withdrawn() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:1])
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, 65002, hop=2), PREFIXES[:1])
    (change,) = rib.apply(1, IPV4_UNICAST, (), attributes(65001, LOCAL_AS), PREFIXES[:1])
    assert change.path is not None
    assert change.path.peer == 2


def test_an_external_peer_without_policy_brings_nothing() -> None:
    rib = rib_with(peer(1, 65001), peer(2), require_ebgp_policy=True)
    assert rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES) == []
    assert rib.received(1, IPV4_UNICAST)[PREFIXES[0]].rejection == "no import policy (RFC 8212)"
    assert rib.apply(2, IPV4_UNICAST, (), attributes(65001, hop=2), PREFIXES)


def test_a_policy_that_looks_at_prefixes_splits_an_update() -> None:
    rib = rib_with(peer(1))
    rib.set_import_policy(1, OnlyEven())
    changes = rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    assert [(change.path.attributes.med, list(change.keys)) for change in changes if change.path] == [
        (77, [PREFIXES[0]]),
        (None, [PREFIXES[2]]),
    ]
    assert rib.received(1, IPV4_UNICAST)[PREFIXES[1]].rejection == "rejected by import policy"


def test_a_new_policy_changes_only_what_differs() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    changes = rib.set_import_policy(1, OnlyEven())
    assert {one for change in changes for one in change.keys} == {PREFIXES[0], PREFIXES[1], PREFIXES[3]}
    assert rib.set_import_policy(1, OnlyEven()) == []
    rib.set_import_policy(1, REJECT_ALL)
    assert not rib.best(IPV4_UNICAST)
    assert sum(len(change.keys) for change in rib.set_import_policy(1, None)) == 4


def test_a_broken_policy_rejects_and_is_counted() -> None:
    rib = rib_with(peer(1))
    rib.set_import_policy(1, Broken())
    assert rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES) == []
    assert rib.policy_failures == 1
    assert "of a user" in rib.received(1, IPV4_UNICAST)[PREFIXES[0]].rejection


def test_stale_routes_stay_until_swept_and_refreshed_ones_cause_no_change() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    assert rib.mark_stale(1, IPV4_UNICAST) == 4
    assert rib.set_peer(peer(1), None) == []
    assert rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:2]) == []
    assert len(rib.best(IPV4_UNICAST)) == 4
    (change,) = rib.sweep_stale(1, IPV4_UNICAST, limit=1)
    assert len(change.keys) == 1
    rib.sweep_stale(1, IPV4_UNICAST)
    assert list(rib.best(IPV4_UNICAST)) == PREFIXES[:2]
    assert rib.sweep_stale(1, IPV4_UNICAST) == []


def test_a_new_policy_does_not_refresh_stale_routes() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    rib.mark_stale(1, IPV4_UNICAST)
    rib.set_import_policy(1, OnlyEven())
    assert rib.stale_count(1, IPV4_UNICAST) == 4


def test_a_lost_peer_leaves_the_second_best() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, 65002, hop=2), PREFIXES[:2])
    changes = rib.drop(1, IPV4_UNICAST)
    assert {change.path.peer if change.path else None: len(change.keys) for change in changes} == {2: 2, None: 2}


def test_paths_of_one_peer_for_one_prefix_compete() -> None:
    rib = rib_with(peer(1, add_path=True), peer(2))
    prefix = PREFIXES[0]
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002), [with_path_id(prefix, 1)])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), [with_path_id(prefix, 9)])
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, 65002, 65003, hop=2), [prefix])
    assert list(rib.best(IPV4_UNICAST)) == [prefix]
    assert rib.best(IPV4_UNICAST)[prefix].attributes == attributes(65001)
    rib.apply(1, IPV4_UNICAST, [with_path_id(prefix, 9)], None, ())
    assert rib.best(IPV4_UNICAST)[prefix].attributes == attributes(65001, 65002)
    rib.apply(1, IPV4_UNICAST, [with_path_id(prefix, 1), with_path_id(prefix, 5)], None, ())
    assert rib.best(IPV4_UNICAST)[prefix].peer == 2


def test_one_path_under_two_identifiers_stays_while_one_is_left() -> None:
    rib = rib_with(peer(1, add_path=True))
    raw_keys = [with_path_id(PREFIXES[0], 1), with_path_id(PREFIXES[0], 2)]
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), raw_keys)
    assert rib.apply(1, IPV4_UNICAST, raw_keys[:1], None, ()) == []
    (change,) = rib.apply(1, IPV4_UNICAST, raw_keys[1:], None, ())
    assert change.path is None


def latest(changes: Iterable[Change]) -> dict[bytes, Path | None]:
    """Return what is left for somebody who believes each change in turn."""
    return {one: change.path for change in changes for one in change.keys}


@pytest.mark.parametrize("maximum_paths", [1, 4])
def test_the_last_word_on_a_prefix_of_several_identifiers_is_how_it_ended(maximum_paths: int) -> None:
    """Whatever other prefixes of the same transaction come to before."""
    alone, shared = PREFIXES[:2]
    rib = rib_with(peer(1, add_path=True), maximum_paths=maximum_paths)
    better, worse, changed = attributes(), attributes(65001), attributes(65001, 65002)
    rib.apply(1, IPV4_UNICAST, (), better, [with_path_id(alone, 1), with_path_id(shared, 1)])
    rib.apply(1, IPV4_UNICAST, (), worse, [with_path_id(shared, 2)])
    again = [with_path_id(alone, 1), with_path_id(shared, 1), with_path_id(shared, 2)]
    changes = rib.apply(1, IPV4_UNICAST, (), changed, again)
    assert latest(changes) == rib.best(IPV4_UNICAST)
    rib.apply(1, IPV4_UNICAST, (), better, again[:2])
    assert latest(rib.drop(1, IPV4_UNICAST)) == {alone: None, shared: None}


def test_the_lower_identifier_wins_a_complete_tie() -> None:
    low, high = attributes(65001, communities=(1,)), attributes(65001, communities=(2,))
    for order in ((7, 3), (3, 7)):
        rib = rib_with(peer(1, add_path=True))
        for identifier in order:
            said = low if identifier == 3 else high
            rib.apply(1, IPV4_UNICAST, (), said, [with_path_id(PREFIXES[0], identifier)])
        assert rib.best(IPV4_UNICAST)[PREFIXES[0]].attributes == low


def test_identifiers_that_a_new_session_no_longer_uses_cost_the_routes() -> None:
    rib = rib_with(peer(1, add_path=True))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), [with_path_id(PREFIXES[0], 1)])
    (change,) = rib.set_peer(peer(1), None)
    assert change.path is None


def test_a_removed_peer_is_forgotten() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    (change,) = rib.remove_peer(1)
    assert len(change.keys) == 4
    assert rib.received(1, IPV4_UNICAST) == {}


def test_attributes_in_use_are_those_of_the_tables() -> None:
    rib = rib_with(peer(1))
    first, second = attributes(65001), attributes(65002)
    rib.apply(1, IPV4_UNICAST, (), first, PREFIXES[:1])
    rib.apply(1, IPV4_UNICAST, (), second, PREFIXES[:1])
    assert rib.attributes_in_use() == {second}


def test_a_path_may_need_two_attribute_sets_if_import_changes_them() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.set_import_policy(2, OnlyEven())
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:1])
    assert (rib.attribute_count(), len(rib.attributes_in_use())) == (1, 1)
    rib.apply(2, IPV4_UNICAST, (), attributes(65002), PREFIXES[:1])
    assert (rib.attribute_count(), len(rib.attributes_in_use())) == (3, 3)


def test_cached_paths_do_not_pile_up() -> None:
    rib = rib_with(peer(1))
    for number in range(10_000):
        rib.apply(1, IPV4_UNICAST, (), attributes(65001, number + 1), PREFIXES[:1])
    inbound = rib._tables[IPV4_UNICAST].inbound[1]
    assert inbound.path_count() <= 4097


def test_a_run_of_updates_that_nobody_contests_is_told_path_by_path() -> None:
    rib = rib_with(peer(1), peer(2))
    first, second = attributes(65001), attributes(65002)
    changes = rib.apply_run(1, IPV4_UNICAST, Run([first, second], [PREFIXES[:2], PREFIXES[2:]]))
    assert [(change.path and change.path.attributes, change.keys) for change in changes] == [
        (first, PREFIXES[:2]),
        (second, PREFIXES[2:]),
    ]
    assert {path.received for path in rib.received(1, IPV4_UNICAST).values()} == {first, second}


def test_in_a_run_the_last_word_on_a_prefix_counts() -> None:
    rib = rib_with(peer(1))
    run = [(attributes(65001), PREFIXES[:2]), (attributes(65002), PREFIXES[:1]), (attributes(LOCAL_AS), PREFIXES[1:2])]
    rib.apply_run(1, IPV4_UNICAST, Run(*zip(*run, strict=True)))
    best = rib.best(IPV4_UNICAST)
    assert {one: path.attributes for one, path in best.items()} == {PREFIXES[0]: attributes(65002)}
    assert "own AS" in rib.received(1, IPV4_UNICAST)[PREFIXES[1]].rejection


def test_a_refused_route_in_a_run_stays_visible_and_the_others_are_selected() -> None:
    rib = rib_with(peer(1))
    good, looped = attributes(65001), attributes(65001, LOCAL_AS)
    changes = rib.apply_run(1, IPV4_UNICAST, Run([good, looped, good], [PREFIXES[:2], PREFIXES[2:3], PREFIXES[3:]]))
    assert [change.keys for change in changes] == [PREFIXES[:2], PREFIXES[3:]]
    assert set(rib.best(IPV4_UNICAST)) == {*PREFIXES[:2], *PREFIXES[3:]}
    assert "own AS" in rib.received(1, IPV4_UNICAST)[PREFIXES[2]].rejection


@pytest.mark.parametrize(
    "event",
    [
        lambda rib: rib.apply(2, IPV4_UNICAST, (), attributes(65002), PREFIXES[:2]),
        lambda rib: rib.apply(2, IPV4_UNICAST, (), attributes(65002, 65002), [key("10.9.0.0/16")]),
        lambda rib: rib.apply_run(
            2, IPV4_UNICAST, Run([attributes(65002, 65003)], [[PREFIXES[0], key("10.9.0.0/16")]])
        ),
        lambda rib: rib.apply(1, IPV4_UNICAST, (), attributes(65001, LOCAL_AS), PREFIXES[:1]),
        lambda rib: rib.apply_run(1, IPV4_UNICAST, Run([attributes(65001, LOCAL_AS)], [[key("10.9.0.0/16")]])),
        lambda rib: rib.apply_run(1, IPV4_UNICAST, Run([attributes(65001, 65002)], [PREFIXES[1:2]])),
        lambda rib: rib.apply(1, IPV4_UNICAST, PREFIXES[:1], None, ()),
        lambda rib: rib.set_import_policy(1, OnlyEven()),
        lambda rib: rib.drop(1, IPV4_UNICAST),
        lambda rib: rib.next_hops_changed([bytes([10, 0, 0, 1])]),
        lambda rib: (rib.mark_stale(1, IPV4_UNICAST), rib.sweep_stale(1, IPV4_UNICAST, 1)),
        lambda rib: rib.announce_local(IPV4_UNICAST, PREFIXES[:1], attributes(), preference=200),
    ],
)
def test_what_the_only_peer_has_said_and_what_is_believed_may_differ_later(event: Callable[[Rib], object]) -> None:
    costs: dict[bytes, int | None] = {}
    ribs = [rib_with(peer(1), peer(2), next_hop_cost=lambda hop: costs.get(hop, 1)) for _ in range(2)]
    ribs[0].apply_run(1, IPV4_UNICAST, Run([attributes(65001)], [PREFIXES]))
    ribs[1].apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    assert ribs[0].received(1, IPV4_UNICAST) is ribs[0].best(IPV4_UNICAST)
    costs[bytes([10, 0, 0, 1])] = None
    for rib in ribs:
        event(rib)
    shared, apart = (
        [
            {one: (path.peer, path.attributes, path.rejection) for one, path in table.items()}
            for table in (rib.best(IPV4_UNICAST), rib.received(1, IPV4_UNICAST), rib.received(2, IPV4_UNICAST))
        ]
        for rib in ribs
    )
    assert shared == apart
    assert ribs[0].received(1, IPV4_UNICAST) is not ribs[0].best(IPV4_UNICAST)


def test_tables_are_told_apart_when_another_peer_comes_up() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply_run(1, IPV4_UNICAST, Run([attributes(65001)], [PREFIXES]))
    rib.set_peer(peer(1), None)
    assert rib.received(1, IPV4_UNICAST) is rib.best(IPV4_UNICAST)
    rib.set_peer(peer(2), None)
    assert rib.received(1, IPV4_UNICAST) is not rib.best(IPV4_UNICAST)
    assert rib.received(1, IPV4_UNICAST) == rib.best(IPV4_UNICAST)


def test_a_path_is_ranked_when_it_is_first_compared() -> None:
    rib = rib_with(peer(1), peer(2))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, med=9), PREFIXES[:1])
    path = rib.best(IPV4_UNICAST)[PREFIXES[0]]
    assert not rib._table(IPV4_UNICAST).med_in_use
    assert (path.med, path.neighbor_as) == (9, 65001)
    assert rib._table(IPV4_UNICAST).med_in_use
    with pytest.raises(AttributeError, match="a path has no 'colour'"):
        path.colour  # type: ignore[attr-defined]  # noqa: B018


def test_what_is_new_is_told_apart_from_what_changes() -> None:
    rib = rib_with(peer(1, 65001), peer(2, 65002))
    one, two, three = (key(f"10.{number}.0.0/16") for number in range(3))
    (first,) = rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65009), [one])
    assert isinstance(first, Addition)
    changes = rib.apply(2, IPV4_UNICAST, (), attributes(65002), [one, two, three])
    assert {(type(change), tuple(change.keys)) for change in changes} == {(Change, (one,)), (Addition, (two, three))}
    gone = rib.apply(2, IPV4_UNICAST, [one, two], None, ())
    assert {type(change) for change in gone} == {Change}
    (back,) = rib.apply(2, IPV4_UNICAST, (), attributes(65002), [two])
    assert isinstance(back, Addition)


def test_equal_paths_are_chosen_anew_when_a_next_hop_has_moved() -> None:
    costs = {bytes([10, 0, 0, number]): 5 for number in (1, 2)}
    rib = rib_with(peer(1), peer(2), maximum_paths=2, next_hop_cost=costs.get)
    for number in (1, 2):
        rib.apply(number, IPV4_UNICAST, (), attributes(7, hop=number), PREFIXES[:1])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIXES[0])] == [1, 2]
    costs[bytes([10, 0, 0, 2])] = 9
    rib.next_hops_changed([bytes([10, 0, 0, 2])])
    assert [path.peer for path in rib.paths(IPV4_UNICAST, PREFIXES[0])] == [1]
