from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from pybgp.rib import update_groups
from pybgp.rib.export import ExportProfile
from pybgp.rib.exported import Exported, Provenance
from pybgp.rib.member import Member
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL, Clause, RoutePolicy, SetMed, Verdict
from pybgp.rib.policy.action import Action
from pybgp.rib.tables import Rib
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_FLOWSPEC, IPV4_UNICAST, Family
from pybgp.wire.framing import Framer
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.nlri import parse_nlri
from pybgp.wire.updates import Update, decode_update
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIXES = [key(f"10.{number}.0.0/16") for number in range(6)]
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL)
EXTERNAL = replace(INTERNAL, internal=False)


class Listener:
    """A model of the far end: it reads octets and keeps a table."""

    def __init__(self, number: int, profile: ExportProfile, router_id: int = 0) -> None:
        self.member = Member(number, bytes([10, 0, 0, number]), router_id)
        remote_as = LOCAL_AS if profile.internal else 65000 + number
        add_path = frozenset({IPV4_UNICAST}) if profile.add_path else frozenset()
        self.negotiated = Negotiated(remote_as, LOCAL_AS, number, 1, add_path_receive=add_path, asn4=profile.asn4)
        self.framer = Framer()
        self.store = AttributeStore()
        self.table: dict[bytes, Attributes] = {}
        self.updates: list[Update] = []

    def read(self, octets: bytes) -> None:
        self.framer.feed(octets)
        while (message := self.framer.next_message()) is not None:
            update = decode_update(message, self.negotiated, self.store)
            assert not update.faults
            self.updates.append(update)
            for nlri in update.withdrawn:
                for one in nlri.keys:
                    del self.table[one]
            for nlri in update.announced:
                assert nlri.attributes is not None
                self.table.update(dict.fromkeys(nlri.keys, nlri.attributes))

    def prefixes(self) -> set[bytes]:
        return set(self.table)


class House:
    """A rib with one group, pumped to the end after each change."""

    def __init__(self, rib: Rib, profile: ExportProfile) -> None:
        self.rib = rib
        self.group = UpdateGroup(profile, rib.best(IPV4_UNICAST))
        self.group.enqueue_all()
        self.listeners: dict[int, Listener] = {}

    def join(self, number: int, router_id: int = 0) -> Listener:
        listener = self.listeners[number] = Listener(number, self.group.profile, router_id)
        self.group.add(listener.member)
        self.pump()
        return listener

    def say(self, number: int, attrs: Attributes | None, *keys: bytes) -> None:
        withdrawn = () if attrs else keys
        self.take(self.rib.apply(number, IPV4_UNICAST, withdrawn, attrs, keys if attrs else ()))

    def take(self, changes: Iterable[object]) -> None:
        for change in changes:
            self.group.enqueue(change.path, change.keys)  # type: ignore[attr-defined]  (a Change)
        self.pump()

    def pump(self, limit: int = 20_000) -> None:
        for _ in range(100):
            for number, octets in self.group.flush(limit):
                self.listeners[number].read(octets)
            for number, listener in self.listeners.items():
                listener.read(self.group.catch_up(number, limit))
            if self.group.is_idle and all(one.member.current for one in self.listeners.values()):
                return


def house(profile: ExportProfile = INTERNAL, **options: object) -> House:
    return House(rib_with(peer(1, 65001), peer(2, 65002), peer(3), **options), profile)


class Counted(dict[bytes, Path]):
    """A Loc-RIB that counts how often it is asked."""

    asked = 0

    def __contains__(self, prefix: object) -> bool:
        self.asked += 1
        return super().__contains__(prefix)


def test_no_flush_looks_at_more_than_its_share_of_a_table() -> None:
    home = house()
    home.join(10)
    home.say(1, attributes(65001), *(key(f"10.{number}.0.0/16") for number in range(200)))
    counted = Counted(home.rib.best(IPV4_UNICAST))
    group = home.group
    group._best = counted
    group.change_policy(replace(INTERNAL, policy=RoutePolicy("p", [Clause("a", (), (SetMed(5),), Verdict.ACCEPT)])))
    while not group.is_idle:
        before = counted.asked
        for _, octets in group.flush(30):
            home.listeners[10].read(octets)
        assert counted.asked - before <= 30
    assert {one.med for one in home.listeners[10].table.values()} == {5}


def test_one_encoding_serves_all_members() -> None:
    home = house()
    home.join(10)
    home.join(11)
    changes = home.rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    for change in changes:
        home.group.enqueue(change.path, change.keys)
    (first, second) = home.group.flush()
    assert first[1] is second[1]


def test_what_a_member_asked_for_again_follows_it_into_another_group() -> None:
    home, other = house(), house(replace(INTERNAL, shutting_down=True))
    home.say(1, attributes(65001), *PREFIXES)
    for change in other.rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES):
        other.group.enqueue(change.path, change.keys)
    other.pump()
    listener = Listener(10, INTERNAL)
    home.group.add(listener.member)
    home.group.refresh(10)
    other.group.add(listener.member, home.group.hand_over(10))
    other.listeners[10] = listener
    other.pump()
    assert listener.prefixes() == set(PREFIXES)

    listener.table.clear()
    other.group.refresh(10)
    home.group.add(listener.member, other.group.hand_over(10))
    del other.listeners[10]
    home.listeners[10] = listener
    home.pump()
    assert listener.prefixes() == set(PREFIXES)


@pytest.mark.parametrize("room", range(-9, 10))
def test_a_flow_rule_that_fills_a_message_is_told_or_withdrawn(room: int) -> None:
    """It came with few attributes, and leaves with more (RFC 8654 section 4)."""
    group = UpdateGroup(replace(EXTERNAL, family=IPV4_FLOWSPEC), {})
    group.add(Member(9, bytes([10, 0, 0, 9])))
    said = attributes(65001).replace(next_hop=b"")
    path = Path(1, Source.EBGP, said, said)
    # One AS number more than it came with, header and lengths, MP_REACH without a next hop, and the length of the rule.
    left = 4096 - (len(said.block) + 4) - 23 - 9 - 2
    ports = "|".join(f"={port}" for port in range(1000, 1000 + (left + room - 1) // 3))
    short, rule = parse_nlri(IPV4_FLOWSPEC, "port==1"), parse_nlri(IPV4_FLOWSPEC, f"port={ports}")
    group.enqueue(path, [short])
    ((_, first),) = group.flush()
    group.enqueue(path, [rule, short])
    told = b"".join(octets for _, octets in group.flush())
    framer = Framer()
    framer.feed(first + told)
    while (message := framer.next_message()) is not None:
        assert len(message) <= 4096
    assert (rule in group.sent) == bool(told) == (len(rule) - 2 <= left)
    group.enqueue(None, [rule])
    assert bool(list(group.flush())) == bool(told)


def test_withdrawals_leave_first() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    listener.updates.clear()
    for change in [
        *home.rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65009), PREFIXES[:1]),
        *home.rib.apply(1, IPV4_UNICAST, PREFIXES[1:2], None, ()),
    ]:
        home.group.enqueue(change.path, change.keys)
    home.pump()
    assert [bool(update.withdrawn) for update in listener.updates] == [True, False]


def test_only_the_latest_state_is_sent_and_a_return_to_it_is_silent() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    listener.updates.clear()
    for attrs in (attributes(65001, 65002), attributes(65001, 65003), attributes(65001)):
        for change in home.rib.apply(1, IPV4_UNICAST, (), attrs, PREFIXES):
            home.group.enqueue(change.path, change.keys)
    home.pump()
    assert listener.updates == []


def test_a_change_that_only_touches_what_is_not_sent_is_silent() -> None:
    home = house(EXTERNAL)
    listener = home.join(10)
    home.say(1, attributes(65001, med=1), *PREFIXES)
    listener.updates.clear()
    home.say(1, attributes(65001, med=2), *PREFIXES)
    assert listener.updates == []


def test_a_peer_never_hears_its_own_route_and_loses_the_one_before() -> None:
    home = house(EXTERNAL)
    first, second = home.join(1), home.join(2)
    home.say(2, attributes(65002, 65009, hop=2), PREFIXES[0])
    assert first.prefixes() == {PREFIXES[0]}
    assert second.prefixes() == set()
    home.say(1, attributes(65001), PREFIXES[0])
    assert first.prefixes() == set()
    assert second.prefixes() == {PREFIXES[0]}
    home.say(1, None, PREFIXES[0])
    assert first.prefixes() == {PREFIXES[0]}
    assert second.prefixes() == set()


def test_a_route_is_not_sent_to_the_peer_that_is_its_next_hop() -> None:
    home = house(INTERNAL)
    hop, other = home.join(77), home.join(78)
    home.say(1, attributes(65001, hop=77), *PREFIXES)
    assert hop.prefixes() == set()
    assert other.prefixes() == set(PREFIXES)


def test_a_paused_member_gets_the_latest_state_when_it_resumes() -> None:
    home = house()
    slow, fast = home.join(10), home.join(11)
    home.say(1, attributes(65001), *PREFIXES)
    slow.member.paused = True
    slow.updates.clear()
    for count in range(5):
        home.say(1, attributes(65001, 65010 + count), *PREFIXES)
    home.say(1, None, PREFIXES[0])
    home.say(2, attributes(65002, hop=2), PREFIXES[1])
    assert slow.updates == []
    assert len(slow.member.behind) == len(PREFIXES)
    slow.member.paused = False
    home.pump()
    assert slow.table == fast.table
    assert len(slow.updates) == 3


def test_a_new_member_is_brought_up_in_slices_while_things_change() -> None:
    home = house()
    home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    late = Listener(11, INTERNAL)
    home.listeners[11] = late
    home.group.add(late.member)
    late.read(home.group.catch_up(11, limit=2))
    assert len(late.table) == 2
    home.say(1, None, next(iter(late.table)))
    home.pump(limit=2)
    assert late.table == home.listeners[10].table
    assert len(late.table) == len(PREFIXES) - 1


def test_a_refresh_sends_everything_again() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    listener.updates.clear()
    home.group.refresh(10)
    home.say(1, None, PREFIXES[0])
    assert listener.prefixes() == set(PREFIXES[1:])
    assert sum(len(nlri.keys) for update in listener.updates for nlri in update.announced) == len(PREFIXES) - 1


def test_what_changes_before_a_new_member_has_seen_it_is_told_as_it_is() -> None:
    home = house()
    first = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    late = Listener(11, INTERNAL)
    home.group.add(late.member)
    assert home.group.catch_up(11, limit=1) == b""
    assert home.group.holds(11) == {}
    assert home.group.held(11, PREFIXES[5]) is None
    assert home.group.backlog(11) >= len(PREFIXES)
    home.listeners[11] = late
    late.member.paused = True
    home.say(1, None, PREFIXES[5])
    home.say(1, attributes(65001, 7), PREFIXES[4])
    home.say(1, attributes(65001), PREFIXES[4])
    late.member.paused = False
    home.pump(limit=1)
    assert late.table == first.table
    assert late.prefixes() == set(PREFIXES[:5])


def test_a_refresh_does_not_repeat_what_was_not_told_before() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES[1:])
    listener.member.paused = True
    home.say(1, attributes(65001), PREFIXES[0])
    home.group.refresh(10)
    assert home.group.catch_up(10) == b""
    home.say(1, None, *PREFIXES[:2])
    listener.updates.clear()
    listener.member.paused = False
    home.pump(limit=1)
    assert listener.prefixes() == set(PREFIXES[2:])
    assert sum(len(nlri.keys) for update in listener.updates for nlri in update.announced) == len(PREFIXES) - 2


def test_a_member_moves_before_it_has_seen_all_there_is() -> None:
    home, other = house(), house(replace(INTERNAL, shutting_down=True))
    for one in (home, other):
        one.say(1, attributes(65001), *PREFIXES)
    listener = Listener(10, INTERNAL)
    home.group.add(listener.member)
    home.group.catch_up(10, limit=1)
    home.say(1, None, PREFIXES[5])
    other.group.add(listener.member, home.group.hand_over(10))
    other.group.catch_up(10, limit=1)
    other.say(1, None, PREFIXES[4], PREFIXES[5])
    other.listeners[10] = listener
    other.pump(limit=1)
    assert listener.prefixes() == set(PREFIXES[:4])


class RejectFirst:
    looks_at_prefixes = True

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        yield path.attributes, [one for one in keys if one != PREFIXES[0]]


def test_moving_to_another_policy_sends_the_differences_only() -> None:
    old = house()
    listener = old.join(10)
    old.say(1, attributes(65001), *PREFIXES)
    listener.updates.clear()
    new = House(old.rib, replace(INTERNAL, policy=RejectFirst()))
    holds = old.group.holds(10)
    old.group.remove(10)
    new.listeners[10] = listener
    new.group.add(listener.member, holds)
    new.pump()
    (update,) = listener.updates
    assert [list(nlri.keys) for nlri in update.withdrawn] == [[PREFIXES[0]]]
    assert set(new.group.holds(10)) == set(PREFIXES[1:])


def test_a_member_that_moves_is_not_told_lies_while_its_new_group_is_not_ready() -> None:
    old = house()
    listener = old.join(10)
    old.say(1, attributes(65001), *PREFIXES)
    new = UpdateGroup(replace(INTERNAL, policy=RejectFirst()), old.rib.best(IPV4_UNICAST))
    new.enqueue_all()
    new.add(listener.member, old.group.holds(10))
    assert new.catch_up(10) == b""
    new.flush()
    assert new.catch_up(10)


def test_our_own_path_identifier_is_sent_never_the_received_one() -> None:
    home = House(rib_with(peer(1, 65001, add_path=True)), replace(INTERNAL, add_path=True))
    listener = home.join(10)
    home.say(1, attributes(65001), b"\0\0\0\x2a" + PREFIXES[0])
    assert listener.prefixes() == {b"\0\0\0\1" + PREFIXES[0]}
    home.say(1, None, b"\0\0\0\x2a" + PREFIXES[0])
    assert listener.prefixes() == set()


def test_internal_routes_stay_away_from_internal_peers() -> None:
    home = house()
    listener = home.join(10)
    home.say(3, attributes(65001, hop=3), *PREFIXES)
    assert listener.prefixes() == set()


def test_attributes_toward_internal_peers() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001, med=7), PREFIXES[0])
    own = Attributes.build({1: 0, 2: attributes().as_path})
    home.take(home.rib.announce_local(IPV4_UNICAST, PREFIXES[1:2], own, preference=200))
    learned, local = listener.table[PREFIXES[0]], listener.table[PREFIXES[1]]
    assert (learned.local_pref, learned.med, str(learned.as_path)) == (100, 7, "65001")
    assert learned.next_hop == bytes([10, 0, 0, 1])
    assert (local.local_pref, str(local.as_path), local.next_hop) == (100, "", bytes([10, 0, 0, 254]))


def test_attributes_toward_external_peers() -> None:
    home = house(EXTERNAL)
    listener = home.join(10)
    said = attributes(65002, med=7, local_pref=500, originator_id=9, cluster_list=(8,), communities=(5,), hop=3)
    home.say(3, said, PREFIXES[0])
    (received,) = listener.table.values()
    assert str(received.as_path) == "64512 65002"
    assert received.next_hop == bytes([10, 0, 0, 254])
    assert received.communities == (5,)
    assert received.codes() == [1, 2, 8]


def test_a_local_med_is_told_to_external_peers_and_an_explicit_next_hop_is_kept() -> None:
    home = house(EXTERNAL)
    listener = home.join(10)
    own = Attributes.build({1: 0, 2: attributes().as_path, 4: 30}, bytes([10, 0, 0, 200]))
    home.take(home.rib.announce_local(IPV4_UNICAST, PREFIXES[:1], own, preference=200))
    (received,) = listener.table.values()
    assert (received.med, received.next_hop) == (30, bytes([10, 0, 0, 200]))


@pytest.mark.parametrize(
    ("imported", "exported", "told"), [((), (), None), ((), (SetMed(50),), 50), ((SetMed(60),), (), None)]
)
def test_external_peers_hear_a_med_only_if_export_policy_chose_it(
    imported: tuple[Action, ...], exported: tuple[Action, ...], told: int | None
) -> None:
    """Also one that is what the route came with (RFC 4271 section 5.1.4)."""
    home = house(replace(EXTERNAL, policy=RoutePolicy("out", [Clause("set", (), exported, Verdict.ACCEPT)])))
    home.rib.set_import_policy(1, RoutePolicy("in", [Clause("set", (), imported, Verdict.ACCEPT)]))
    listener = home.join(10)
    home.say(1, attributes(65001, med=50), PREFIXES[0])
    (received,) = listener.table.values()
    assert received.med == told


def test_well_known_communities_keep_routes_inside() -> None:
    for community, to_internal, to_external in ((0xFFFFFF01, 1, 0), (0xFFFFFF02, 0, 0), (0xFFFFFF03, 1, 0), (1, 1, 1)):
        for profile, expected in ((INTERNAL, to_internal), (EXTERNAL, to_external)):
            home = house(profile)
            listener = home.join(10)
            home.say(1, attributes(65001, communities=(community,)), PREFIXES[0])
            assert len(listener.table) == expected


def test_attributes_too_long_for_the_peer_mean_a_withdrawal() -> None:
    home = house()
    listener = home.join(10)
    home.say(1, attributes(65001), PREFIXES[0])
    home.say(1, attributes(65001, communities=tuple(range(1200))), PREFIXES[0])
    assert listener.prefixes() == set()


def test_rejecting_everything_sends_nothing_and_a_broken_policy_counts() -> None:
    home = house(replace(INTERNAL, policy=REJECT_ALL))
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    assert listener.updates == []

    class Broken:
        looks_at_prefixes = False

        def apply(self, *_: object, **__: object) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
            raise ZeroDivisionError

    home = house(replace(INTERNAL, policy=Broken()))
    listener = home.join(10)
    home.say(1, attributes(65001), *PREFIXES)
    assert listener.updates == []
    assert home.group.policy_failures == 1


def test_caches_do_not_pile_up() -> None:
    home = house()
    home.join(10)
    for number in range(6000):
        home.say(1, attributes(65001, number + 1), PREFIXES[0])
    assert len(home.group._exports) <= 4097
    assert len(home.group._interned) <= 4097


def test_what_rarely_happens_is_forgotten_with_what_happens_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_groups, "MOST_EXPORTS", 10)
    home, special = house(EXTERNAL), attributes(65001, communities=(0xFFFF0001,))
    before = sys.getrefcount(special)
    home.say(1, special, PREFIXES[0])
    for number in range(12):
        home.say(1, attributes(65001, number + 1), PREFIXES[0])
    for sweep in home.rib.sweeps():
        sweep()
    assert sys.getrefcount(special) == before


def test_peers_are_sent_no_more_than_the_limit_and_the_rest_once_there_is_room() -> None:
    house = House(rib_with(peer(1, 65001)), replace(EXTERNAL, prefix_limit=3))
    far = house.join(9)
    house.say(1, attributes(65001), *PREFIXES[:5])
    house.pump()
    assert far.prefixes() == set(PREFIXES[:3])
    assert list(house.group.held_back) == PREFIXES[3:5]
    house.say(1, attributes(65001, med=7), PREFIXES[0])
    house.say(1, None, PREFIXES[4])
    house.pump()
    assert far.prefixes() == set(PREFIXES[:3])
    assert list(house.group.held_back) == [PREFIXES[3]]
    house.say(1, None, PREFIXES[1], PREFIXES[2])
    house.pump()
    assert far.prefixes() == {PREFIXES[0], PREFIXES[3]}
    assert not house.group.held_back


def test_a_group_that_may_say_nothing_keeps_nothing_but_takes_back_what_its_members_hold() -> None:
    rib = rib_with(peer(1, 65001))
    changes = rib.apply(1, IPV4_UNICAST, (), attributes(65001), [key("10.0.0.0/8")])
    profile = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), REJECT_ALL)
    group = UpdateGroup(profile, rib.best(IPV4_UNICAST))
    held = {key("10.0.0.0/8"): Exported(attributes(65001), Provenance(1, bytes([10, 0, 0, 1])))}
    group.add(Member(2, bytes([10, 0, 0, 2])), held)
    group.enqueue(changes[0].path, changes[0].keys)
    group.enqueue_all()
    assert group.is_idle
    assert list(group.flush()) == []
    assert decode_update(group.catch_up(2), Negotiated(65002, LOCAL_AS, 2, 1), AttributeStore()).withdrawn[0].keys == [
        key("10.0.0.0/8")
    ]


def test_a_reflected_route_is_not_told_to_its_originator() -> None:
    """By router id, on whatever session; one that comes back as another router hears it."""
    home = House(rib_with(replace(peer(3), reflector_client=True)), replace(INTERNAL, cluster_id=9))
    for number in (10, 11):
        home.join(number, router_id=77)
    home.say(3, attributes(65001, originator_id=77), *PREFIXES[:1])
    assert home.join(12, router_id=78).table
    assert not home.listeners[10].table
    home.group.remove(11)
    del home.listeners[11]
    assert home.join(11, router_id=79).table
    home.say(3, attributes(65001, originator_id=79), *PREFIXES[:1])
    assert home.listeners[10].table
    assert not home.listeners[11].table


class OnlyLong:
    """Prefixes of at least so many bits pass."""

    looks_at_prefixes = True

    def __init__(self, length: int) -> None:
        self.length = length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnlyLong) and self.length == other.length

    def __hash__(self) -> int:
        return self.length

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        del family, internal
        kept = [key for key in keys if key[0] >= self.length]
        return ((path.attributes, kept),) if kept else ()


def test_a_group_takes_another_policy_and_tells_the_differences_only() -> None:
    home = house(replace(EXTERNAL, policy=OnlyLong(10)))
    one, slow = home.join(10), home.join(11)
    slow.member.paused = True
    long, short = [key(f"10.{number}.0.0/16") for number in range(4)], [key("11.0.0.0/8"), key("12.0.0.0/12")]
    home.say(1, attributes(65001), *long, *short)
    assert one.prefixes() == {*long, short[1]}
    told = len(one.updates)

    fresh = replace(EXTERNAL, policy=OnlyLong(16))
    assert home.group.can_judge_by(fresh)
    home.group.change_policy(fresh)
    home.pump()
    assert one.prefixes() == set(long)
    (update,) = one.updates[told:]
    assert [list(nlri.keys) for nlri in update.withdrawn] == [[short[1]]]
    assert not update.announced

    home.group.change_policy(replace(EXTERNAL, policy=OnlyLong(8)))
    home.pump()
    assert one.prefixes() == {*long, *short}
    slow.member.paused = False
    home.pump()
    assert slow.prefixes() == {*long, *short}
    assert not home.group.can_judge_by(replace(EXTERNAL, policy=REJECT_ALL))
    assert not home.group.can_judge_by(replace(EXTERNAL, policy=OnlyLong(8), asn4=False))
