"""A group whose Adj-RIB-Out follows the Loc-RIB says what another one says, whatever comes then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from pybgp.rib.export import ExportProfile
from pybgp.rib.member import Member
from pybgp.rib.path import Change
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.tables import Rib
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import WellKnownCommunity
from pybgp.wire.plain_run import Run
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with
from tests.pybgp.rib.test_tables import OnlyEven

PREFIXES = [key(f"10.{number}.0.0/16") for number in range(6)]
EXTERNAL = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL)
FAR = bytes([10, 0, 0, 1])


class Pair:
    """One table, a group that follows it, and one that does not."""

    def __init__(self) -> None:
        self.costs: dict[bytes, int | None] = {}
        self.rib = rib_with(peer(1, 65001), peer(2, 65002), next_hop_cost=lambda hop: self.costs.get(hop, 1))
        self.following, self.other = (UpdateGroup(EXTERNAL, self.rib.best(IPV4_UNICAST)) for _ in range(2))
        for group in (self.following, self.other):
            group.add(Member(9, bytes([10, 0, 0, 9])))

    def publish(self, changes: Sequence[Change]) -> None:
        if self.following.may_follow(changes) and self.rib.follow(IPV4_UNICAST, self.following.settle):
            self.following.follow()
        self.following.enqueue_changes(changes)
        self.other.enqueue_changes(changes)

    def run(self, attrs: Attributes, *keys: bytes, number: int = 1) -> list[Change]:
        return self.rib.apply_run(number, IPV4_UNICAST, Run([attrs], [keys]))

    def check(self) -> None:
        octets, others = (dict(group.flush()) for group in (self.following, self.other))
        assert octets == others
        told, others_told = (
            {one: exported.attributes for one in group.sent if (exported := group.exported(group.sent[one]))}
            for group in (self.following, self.other)
        )
        assert told == others_told


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    pair.publish(pair.run(attributes(65001), *PREFIXES[:4]))
    assert pair.following._out.is_following
    assert not pair.other._out.is_following
    return pair


@pytest.mark.parametrize("was_told", [True, False])
@pytest.mark.parametrize(
    "event",
    [
        lambda pair: pair.rib.apply(2, IPV4_UNICAST, (), attributes(65002), PREFIXES[:2]),
        lambda pair: pair.run(attributes(65002, 7), *PREFIXES[:2], number=2),
        lambda pair: pair.rib.apply(1, IPV4_UNICAST, (), attributes(65001, 7), PREFIXES[:2]),
        lambda pair: pair.rib.apply(1, IPV4_UNICAST, PREFIXES[:2], None, ()),
        lambda pair: pair.rib.drop(1, IPV4_UNICAST),
        lambda pair: pair.rib.next_hops_changed([FAR]),
        lambda pair: pair.rib.set_import_policy(1, OnlyEven()),
    ],
)
def test_what_comes_after_additions_is_told_as_ever(
    pair: Pair, event: Callable[[Pair], list[Change]], was_told: bool
) -> None:
    if was_told:
        for group in (pair.following, pair.other):
            list(group.flush())
    pair.costs[FAR] = None
    pair.publish(event(pair))
    assert not pair.following._out.is_following
    pair.check()


def test_additions_of_a_second_peer_are_followed_too(pair: Pair) -> None:
    pair.publish(pair.run(attributes(65002), *PREFIXES[4:], number=2))
    assert dict(pair.following.flush()) == dict(pair.other.flush())
    assert pair.following._out.is_following
    pair.check()


def test_what_the_rib_has_and_has_not_yet_been_published_is_told_later(pair: Pair) -> None:
    list(pair.following.flush())
    first = pair.run(attributes(65001, 7), PREFIXES[4])
    then = pair.rib.apply(1, IPV4_UNICAST, PREFIXES[:1], None, ())
    assert PREFIXES[4] not in pair.following.sent
    list(pair.other.flush())
    pair.publish([*first, *then])
    pair.check()
    assert PREFIXES[4] in pair.following.sent


def test_exceptions_are_remembered(pair: Pair) -> None:
    hidden = attributes(65001, communities=(WellKnownCommunity.NO_EXPORT,))
    strange = attributes(65001, 23456, communities=(0xFFFF1234,))
    pair.publish([*pair.run(hidden, PREFIXES[4]), *pair.run(strange, PREFIXES[5])])
    assert dict(pair.following.flush()) == dict(pair.other.flush())
    assert pair.following._out.is_following
    assert [pair.following._out.get(one) is None for one in PREFIXES[3:]] == [False, True, False]
    pair.publish(pair.rib.apply(1, IPV4_UNICAST, PREFIXES, None, ()))
    pair.check()


def test_who_was_behind_is_brought_to_the_present_without_a_copy(pair: Pair) -> None:
    for group in (pair.following, pair.other):
        group.members[9].paused = True
        assert not dict(group.flush())
        group.members[9].paused = False
    assert pair.following.catch_up(9) == pair.other.catch_up(9) != b""
    assert pair.following._out.is_following


@pytest.mark.parametrize("limits", [{"prefix_limit": 9}, {"policy": OnlyEven()}])
def test_a_group_that_holds_things_back_does_not_follow(limits: dict[str, object]) -> None:
    rib = rib_with(peer(1, 65001))
    group = UpdateGroup(replace(EXTERNAL, **limits), rib.best(IPV4_UNICAST))  # type: ignore[arg-type]  (values differ)
    assert not group.may_follow(rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES))


def test_a_group_follows_from_the_first_route_on_or_not_at_all() -> None:
    rib = rib_with(peer(1, 65001))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:1])
    group = UpdateGroup(EXTERNAL, rib.best(IPV4_UNICAST))
    assert not group.may_follow(rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[1:]))


def test_one_group_at_a_time_follows_a_table() -> None:
    rib = Rib(LOCAL_AS, 1)
    groups = [UpdateGroup(EXTERNAL, rib.best(IPV4_UNICAST)) for _ in range(2)]
    assert rib.follow(IPV4_UNICAST, groups[0].settle)
    assert not rib.follow(IPV4_UNICAST, groups[1].settle)
    rib.unfollow(IPV4_UNICAST, groups[1].settle)
    assert not rib.follow(IPV4_UNICAST, groups[1].settle)
    rib.unfollow(IPV4_UNICAST, groups[0].settle)
    assert rib.follow(IPV4_UNICAST, groups[1].settle)
