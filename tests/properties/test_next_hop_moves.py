"""Next hops move while everything else goes on: step by step the tables become what they would be from scratch."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib import next_hop_move
from pybgp.rib.path import Change, Path
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.plain_run import Run
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIXES = [key(f"10.0.{number}.0/24") for number in range(4)]
#: 1 and 2 share an AS, so that MEDs meet, and all share two next hops; 3 is internal, 4 sends path identifiers.
REMOTE_AS = {1: 65001, 2: 65001, 3: LOCAL_AS, 4: LOCAL_AS}
ADD_PATH = 4
HOPS = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
COSTS = st.sampled_from([None, 1, 2])


class Say(NamedTuple):
    """A peer announces, or without attributes withdraws."""

    number: int
    raw_keys: tuple[bytes, ...]
    said: Attributes | None


class Move(NamedTuple):
    """A next hop becomes nearer, farther, or cannot be reached."""

    next_hop: bytes
    cost: int | None


@st.composite
def says(draw: st.DrawFn) -> Say:
    number = draw(st.sampled_from(sorted(REMOTE_AS)))
    keys = draw(st.lists(st.sampled_from(PREFIXES), unique=True, min_size=1))
    if number == ADD_PATH:
        keys = [draw(st.sampled_from([b"\0\0\0\1", b"\0\0\0\2"])) + one for one in keys]
    if draw(st.integers(0, 2)) == 0:
        return Say(number, tuple(keys), None)
    values: dict[str, object] = {"med": draw(st.integers(0, 2))} if draw(st.booleans()) else {}
    if REMOTE_AS[number] == LOCAL_AS:
        values["local_pref"] = 100
        if draw(st.booleans()):
            values["aigp"] = Aigp.of(10)
    first = draw(st.sampled_from([65001, 65002])) if REMOTE_AS[number] == LOCAL_AS else REMOTE_AS[number]
    return Say(number, tuple(keys), attributes(first, hop=draw(st.integers(1, 2)), **values))


def tables(costs: dict[bytes, int | None], maximum_paths: int) -> Rib:
    peers = [peer(number, asn, add_path=number == ADD_PATH) for number, asn in REMOTE_AS.items()]
    return rib_with(*peers, next_hop_cost=costs.get, maximum_paths=maximum_paths)


def take(rib: Rib, one: Say) -> list[Change]:
    if one.said is None:
        return rib.apply(one.number, IPV4_UNICAST, one.raw_keys, None, ())
    return rib.apply_run(one.number, IPV4_UNICAST, Run([one.said], [one.raw_keys]))


def meaning(paths: tuple[Path, ...]) -> list[tuple[int, Attributes]]:
    return [(path.peer, path.attributes) for path in paths]


@given(
    st.lists(says(), max_size=12),
    st.lists(st.one_of(says(), st.builds(Move, st.sampled_from(HOPS), COSTS), st.none()), max_size=16),
    st.sampled_from([1, 4]),
)
def test_steps_with_transactions_in_between_end_where_a_fresh_table_does(
    first: list[Say], then: list[Say | Move | None], maximum_paths: int
) -> None:
    costs: dict[bytes, int | None] = dict.fromkeys(HOPS, 1)
    rib = tables(costs, maximum_paths)
    told: dict[bytes, Path | None] = {}
    waiting: list[bytes] = []
    move: next_hop_move.NextHopMove | None = None

    def publish(changes: list[Change]) -> None:
        told.update({prefix: change.path for change in changes for prefix in change.keys})

    def step() -> bool:
        nonlocal move
        if move is None and waiting:
            move = rib.move_next_hops(waiting, 1)
            waiting.clear()
        if move is None:
            return False
        publish(move.step())
        move = None if move.is_done else move
        return True

    for one in first:
        publish(take(rib, one))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_hop_move, "BUNDLE", 1)
        for one_more in then:
            if isinstance(one_more, Say):
                publish(take(rib, one_more))
            elif isinstance(one_more, Move):
                costs[one_more.next_hop] = one_more.cost
                waiting.append(one_more.next_hop)
            else:
                step()
        while step():
            pass
    fresh = tables(costs, maximum_paths)
    for number in REMOTE_AS:
        for raw, path in rib.received(number, IPV4_UNICAST).items():
            fresh.apply(number, IPV4_UNICAST, (), path.received, (raw,))
    for prefix in PREFIXES:
        assert meaning(rib.paths(IPV4_UNICAST, prefix)) == meaning(fresh.paths(IPV4_UNICAST, prefix))
        assert told.get(prefix) is rib.best(IPV4_UNICAST).get(prefix)


def small_steps(rib: Rib, next_hop: bytes, patch: pytest.MonkeyPatch) -> next_hop_move.NextHopMove:
    patch.setattr(next_hop_move, "BUNDLE", 1)
    return rib.move_next_hops([next_hop], 1)


def rest(move: next_hop_move.NextHopMove) -> list[Change]:
    changes: list[Change] = []
    while not move.is_done:
        changes += move.step()
    return changes


def test_who_was_held_down_by_a_path_that_left_while_it_was_measured_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The MED of the first kept the second out (RFC 4271 section 9.1.2.2 c), and the third won against the first."""
    hops = [bytes([10, 0, 0, number]) for number in (1, 2, 3)]
    costs: dict[bytes, int | None] = dict(zip(hops, (5, 1, 3), strict=True))
    rib = rib_with(peer(1), peer(2), peer(3), next_hop_cost=costs.get)
    for number, first, med in ((1, 65001, 0), (2, 65001, 1), (3, 65002, 0)):
        said = attributes(first, hop=number, med=med, local_pref=100)
        rib.apply(number, IPV4_UNICAST, (), said, PREFIXES[:1])
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].peer == 3
    costs[hops[0]] = None
    move = small_steps(rib, hops[0], monkeypatch)
    assert not move.step()
    rib.apply(1, IPV4_UNICAST, PREFIXES[:1], None, ())
    (change,) = rest(move)
    assert change.path is not None
    assert change.path.peer == 2


def test_nobody_is_chosen_for_a_way_that_is_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: dict[bytes, int | None] = {bytes([10, 0, 0, 1]): 1, bytes([10, 0, 0, 2]): 9}
    rib = rib_with(peer(1), peer(2), peer(3), next_hop_cost=costs.get)
    for number, hop in ((1, 1), (2, 1), (3, 2)):
        rib.apply(number, IPV4_UNICAST, (), attributes(65001, hop=hop, local_pref=100), PREFIXES)
    costs[bytes([10, 0, 0, 1])] = None
    changes = rest(small_steps(rib, bytes([10, 0, 0, 1]), monkeypatch))
    assert [(change.path and change.path.peer, *change.keys) for change in changes] == [(3, one) for one in PREFIXES]
