"""Several paths to a prefix: what far ends hold is the policy applied to all paths, under identifiers that stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.member import Member
from pybgp.rib.path import Path, Source
from pybgp.rib.path_choice import Offer, PathChoice
from pybgp.rib.path_groups import PathGroup, PathIdentifiers
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import with_path_id
from pybgp.wire.updates import decode_update
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, peer, rib_with

from .test_rib_model import (
    CLIENT,
    CLUSTER,
    IDENTIFIERS,
    INTERNAL,
    KEYS,
    NUMBERS,
    PREFIXES,
    REMOTE_AS,
    FarEnd,
    NotTheFirst,
    oracle,
    reflection,
    said,
)

CHOICES = {"all": PathChoice(), "best two": PathChoice(2), "per AS": PathChoice(per_as=True)}
HOP = bytes([10, 0, 0, 254])
ALL = ExportProfile(
    IPV4_UNICAST, False, LOCAL_AS, HOP, ACCEPT_ALL, add_path=True, path_choice=CHOICES["all"], cluster_id=CLUSTER
)
PROFILES = [
    ALL,
    replace(ALL, path_choice=CHOICES["best two"], policy=NotTheFirst()),
    replace(ALL, path_choice=CHOICES["per AS"]),
    replace(ALL, internal=True),
    replace(ALL, internal=True, reflector_client=True, path_choice=CHOICES["best two"]),
]
MARK = 32


def mark(number: int, identifier: int, attrs: Attributes) -> Attributes:
    """Write into the attributes who told us and under which identifier, so that a far end can tell paths apart."""
    return attrs.replace({MARK: ((number, identifier, 0),)})


class PathEnd(FarEnd):
    """A far end that keeps several paths, and sees when an identifier passes from one to another."""

    def read(self, octets: bytes) -> None:
        self.framer.feed(octets)
        while (message := self.framer.next_message()) is not None:
            update = decode_update(message, self.negotiated, self.store)
            assert not update.faults
            for nlri in update.withdrawn:
                for raw in nlri.keys:
                    self.table.pop(raw, None)
            for nlri in update.announced:
                assert nlri.attributes is not None
                for raw in nlri.keys:
                    assert raw[:4] != bytes(4)
                    held = self.table.get(raw)
                    assert held is None or held.get(MARK) == nlri.attributes.get(MARK)
                    self.table[raw] = nlri.attributes

    def held(self) -> set[tuple[bytes, Attributes]]:
        found = {(raw[4:], attrs) for raw, attrs in self.table.items()}
        assert len(found) == len(self.table)
        return found


class PathMachine(RuleBasedStateMachine):
    """Peers talk and vanish; members join, stall, ask again and change their policy."""

    @initialize()
    def begin(self) -> None:
        facts = {n: peer(n, REMOTE_AS[n], add_path=n == 3, router_id=10 - n) for n in REMOTE_AS}
        facts[CLIENT] = replace(facts[CLIENT], reflector_client=True)
        self.rib = rib_with(*facts.values(), cluster_id=CLUSTER)
        self.rib.watch_paths(IPV4_UNICAST)
        self.router_ids = {0: 0, **{number: 10 - number for number in REMOTE_AS}}
        self.identifiers = PathIdentifiers()
        self.groups = [self.group(profile) for profile in PROFILES]
        self.ends: dict[int, tuple[PathGroup, PathEnd]] = {}
        self.seen: dict[tuple[bytes, int, bytes], bytes] = {}
        for number in REMOTE_AS:
            self.enter(self.groups[0 if number not in INTERNAL else 4 if number == CLIENT else 3], number)

    def group(self, profile: ExportProfile) -> PathGroup:
        assert profile.path_choice is not None
        offers = partial(self.rib.offers, IPV4_UNICAST)
        group = PathGroup(profile, profile.path_choice, self.rib.best(IPV4_UNICAST), offers, self.identifiers)
        group.enqueue_all()
        return group

    def enter(self, group: PathGroup, number: int) -> None:
        end = PathEnd(number, group.profile)
        group.add(end.member)
        self.ends[number] = group, end

    def publish(self) -> None:
        touched = self.rib.take_touched(IPV4_UNICAST)
        for group in self.groups:
            group.enqueue(None, touched)

    @rule(data=st.data(), number=NUMBERS, keys=KEYS, gone=KEYS, identifier=IDENTIFIERS)
    def update(self, data: st.DataObject, number: int, keys: list[bytes], gone: list[bytes], identifier: int) -> None:
        attrs = mark(number, identifier if number == 3 else 0, data.draw(said(number)))
        if number == 3:
            keys, gone = ([with_path_id(one, identifier) for one in part] for part in (keys, gone))
        self.rib.apply(number, IPV4_UNICAST, gone, attrs, keys)
        self.publish()

    @rule(keys=KEYS, preference=st.sampled_from([10, 100, 200]), label=st.integers(1, 2))
    def announce(self, keys: list[bytes], preference: int, label: int) -> None:
        own = mark(0, label, Attributes.build({1: 0, 2: attributes().as_path}))
        self.rib.announce_local(IPV4_UNICAST, keys, own, preference=preference, label=str(label))
        self.publish()

    @rule(keys=KEYS, label=st.integers(1, 2))
    def retract(self, keys: list[bytes], label: int) -> None:
        self.rib.withdraw_local(IPV4_UNICAST, keys, label=str(label))
        self.publish()

    @rule(number=NUMBERS)
    def lose(self, number: int) -> None:
        self.rib.drop(number, IPV4_UNICAST)
        self.publish()

    @rule(number=NUMBERS, policy=st.sampled_from([None, NotTheFirst()]))
    def judge_again(self, number: int, policy: NotTheFirst | None) -> None:
        self.rib.set_import_policy(number, policy)
        self.publish()

    @rule(index=st.sampled_from(range(len(PROFILES))), number=st.integers(20, 24))
    def join(self, index: int, number: int) -> None:
        if number not in self.ends:
            self.enter(self.groups[index], number)

    @rule(number=st.integers(20, 24))
    def leave(self, number: int) -> None:
        if number in self.ends:
            group, _ = self.ends.pop(number)
            group.remove(number)

    @rule(data=st.data())
    def pause_or_resume(self, data: st.DataObject) -> None:
        _, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        end.member.paused = not end.member.paused

    @rule(data=st.data())
    def refresh(self, data: st.DataObject) -> None:
        group, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        group.refresh(end.member.number)

    @rule(limit=st.sampled_from([1, 3, 100]))
    def flush(self, limit: int) -> None:
        for group in self.groups:
            for number, octets in group.flush(limit):
                self.ends[number][1].read(octets)

    @rule(data=st.data(), limit=st.sampled_from([1, 100]))
    def catch_up(self, data: st.DataObject, limit: int) -> None:
        group, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        end.read(group.catch_up(end.member.number, limit))

    @rule()
    def replace_policy(self) -> None:
        """Move the members of the first group to a new one with another policy, and give the name to that."""
        old = self.groups[0]
        policy = NotTheFirst() if old.profile.policy is ACCEPT_ALL else ACCEPT_ALL
        new = self.groups[0] = self.group(replace(old.profile, policy=policy))
        for number, (group, end) in tuple(self.ends.items()):
            if group is old:
                new.add(end.member, old.hand_over(number))
                self.ends[number] = new, end
        self.identifiers.groups.discard(old)

    @invariant()
    def identifiers_stay_and_are_used_once(self) -> None:
        if not hasattr(self, "rib"):
            return
        now = {}
        for prefix in PREFIXES:
            for offer in self.rib.offers(IPV4_UNICAST, prefix):
                identifier = self.identifiers.find(prefix, offer)
                before = self.seen.get((prefix, offer.peer, offer.identifier))
                assert before is None or before == identifier
                if identifier is not None:
                    now[prefix, offer.peer, offer.identifier] = identifier
        assert len({(name[0], identifier) for name, identifier in now.items()}) == len(now)
        self.seen = now

    def teardown(self) -> None:
        """After quiescence every far end holds policy(all paths) and nothing else."""
        if not hasattr(self, "rib"):
            return
        for _, end in self.ends.values():
            end.member.paused = False
        for _ in range(30):
            self.flush(100)
            for number, (group, end) in self.ends.items():
                end.read(group.catch_up(number))
        for number, (group, end) in self.ends.items():
            assert end.held() == set(expected(self.rib, group.profile, end.member, self.router_ids)), f"member {number}"
            assert {raw: held.attributes for raw, held in group.holds(number).items()} == end.table
            for prefix in PREFIXES:
                best = self.rib.best(IPV4_UNICAST).get(prefix)
                held = group.held_best(number, prefix)
                assert (held is not None) == bool(best and export(best, prefix, group.profile, end.member))


def choice(offers: Sequence[Path], profile: ExportProfile, router_ids: dict[int, int], best: Path) -> list[Path]:
    """Choose slowly: by repeated selection of the best of what is left."""
    chosen = profile.path_choice
    assert chosen is not None
    if chosen.per_as:
        groups: dict[int, list[Path]] = {}
        for path in offers:
            groups.setdefault(path.attributes.as_path.first or LOCAL_AS, []).append(path)
        found = [best if best in group else oracle(group, router_ids) for group in groups.values()]
        return [path for path in found if path is not None]
    left, taken = [path for path in offers if path is not best], [best]
    while left and not (chosen.count and len(taken) == chosen.count):
        following = oracle(left, router_ids)
        assert following is not None
        left.remove(following)
        taken.append(following)
    return taken


def export(path: Path, prefix: bytes, profile: ExportProfile, member: Member) -> list[Attributes]:
    found = []
    answers = profile.policy.apply(path, IPV4_UNICAST, [prefix], internal=profile.internal)
    for made in [made for made, kept in answers if kept]:
        within = path.source is Source.IBGP and profile.internal
        exported = reflection(path, made, profile, member) if within else rewrite(path, made, profile)
        if exported is not None and path.peer != member.number and exported.next_hop != member.address:
            found.append(exported)
    return found


def expected(
    rib: Rib, profile: ExportProfile, member: Member, router_ids: dict[int, int]
) -> Iterable[tuple[bytes, Attributes]]:
    for prefix, best in rib.best(IPV4_UNICAST).items():
        offers = [offer.path for offer in rib.offers(IPV4_UNICAST, prefix)]
        for path in choice(offers, profile, router_ids, best):
            for exported in export(path, prefix, profile, member):
                yield prefix, exported


TestPathMachine = PathMachine.TestCase
TestPathMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("name", CHOICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_best_path_is_always_among_the_chosen(name: str, data: st.DataObject) -> None:
    rib = rib_with(*(peer(n, REMOTE_AS[n], router_id=10 - n) for n in REMOTE_AS))
    for number in data.draw(st.lists(NUMBERS, unique=True, min_size=1)):
        rib.apply(number, IPV4_UNICAST, (), data.draw(said(number)), PREFIXES[:1])
    best = rib.best(IPV4_UNICAST).get(PREFIXES[0])
    offers = rib.offers(IPV4_UNICAST, PREFIXES[0])
    chosen = CHOICES[name].choose(offers, best) if offers else []
    assert [offer for offer in chosen if offer.path is best] or best is None
    assert len(chosen) == len(set(map(Offer.__hash__, chosen)))
    assert len(chosen) <= (CHOICES[name].count or len(offers))
