"""Clients of a route server: what each holds is the best of the paths that may reach it, after any history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pybgp.rib.export import ExportProfile
from pybgp.rib.next_best_groups import NextBestGroup
from pybgp.rib.path import Path
from pybgp.rib.path_choice import PathChoice
from pybgp.rib.path_groups import PathIdentifiers
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.nlri import with_path_id
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, peer, rib_with

from .test_add_path_model import choice, export
from .test_rib_model import IDENTIFIERS, KEYS, NUMBERS, REMOTE_AS, FarEnd, said


class NotBy:
    """An export policy that hides what some peers say, of one prefix from everybody; the rest it may mark."""

    def __init__(self, *numbers: int, looks_at_prefixes: bool = False) -> None:
        self.numbers = numbers
        self.looks_at_prefixes = looks_at_prefixes

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        if path.peer in self.numbers:
            return
        if not self.looks_at_prefixes:
            yield path.attributes, keys
            return
        yield path.attributes, [one for one in keys if one[3] in (1, 2)]
        yield path.attributes.replace({8: (99,)}), [one for one in keys if one[3] > 2]


POLICIES = [ACCEPT_ALL, NotBy(1), NotBy(2, 5), NotBy(3, looks_at_prefixes=True), NotBy(0, 1, 2, 3, 4, 5)]
BASE = ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL, next_best=True)
#: 1 to 3 are clients and tell us routes too, 20 and 21 only listen.
CLIENTS = {number: replace(BASE, client=number) for number in (1, 2, 3, 20)}
CLIENTS[21] = replace(BASE, client=21, add_path=True)


class ClientMachine(RuleBasedStateMachine):
    """Peers talk and vanish; clients stall, ask again and get other policies."""

    @initialize(policies=st.lists(st.sampled_from(POLICIES), min_size=len(CLIENTS), max_size=len(CLIENTS)))
    def begin(self, policies: list[NotBy]) -> None:
        facts = (peer(n, REMOTE_AS[n], add_path=n == 3, router_id=10 - n) for n in REMOTE_AS)
        self.rib = rib_with(*facts)
        self.rib.watch_paths(IPV4_UNICAST)
        self.router_ids = {0: 0, **{number: 10 - number for number in REMOTE_AS}}
        self.identifiers = PathIdentifiers()
        self.ends = {number: FarEnd(number, profile) for number, profile in CLIENTS.items()}
        self.groups: dict[int, NextBestGroup] = {}
        for number, policy in zip(CLIENTS, policies, strict=True):
            self.groups[number] = self.group(replace(CLIENTS[number], policy=policy))
            self.groups[number].add(self.ends[number].member)

    def group(self, profile: ExportProfile) -> NextBestGroup:
        offers = partial(self.rib.offers, IPV4_UNICAST)
        group = NextBestGroup(profile, self.rib.best(IPV4_UNICAST), offers, self.identifiers)
        group.enqueue_all()
        return group

    def publish(self) -> None:
        touched = self.rib.take_touched(IPV4_UNICAST)
        for group in self.groups.values():
            group.enqueue(None, touched)

    @rule(data=st.data(), number=NUMBERS, keys=KEYS, gone=KEYS, identifier=IDENTIFIERS)
    def update(self, data: st.DataObject, number: int, keys: list[bytes], gone: list[bytes], identifier: int) -> None:
        if number == 3:
            keys, gone = ([with_path_id(one, identifier) for one in part] for part in (keys, gone))
        self.rib.apply(number, IPV4_UNICAST, gone, data.draw(said(number)), keys)
        self.publish()

    @rule(keys=KEYS, preference=st.sampled_from([10, 100, 200]))
    def announce(self, keys: list[bytes], preference: int) -> None:
        own = Attributes.build({1: 0, 2: attributes().as_path})
        self.rib.announce_local(IPV4_UNICAST, keys, own, preference=preference)
        self.publish()

    @rule(keys=KEYS)
    def retract(self, keys: list[bytes]) -> None:
        self.rib.withdraw_local(IPV4_UNICAST, keys)
        self.publish()

    @rule(number=NUMBERS)
    def lose(self, number: int) -> None:
        self.rib.drop(number, IPV4_UNICAST)
        self.publish()

    @rule(number=st.sampled_from(sorted(CLIENTS)))
    def pause_or_resume(self, number: int) -> None:
        self.ends[number].member.paused = not self.ends[number].member.paused

    @rule(number=st.sampled_from(sorted(CLIENTS)))
    def refresh(self, number: int) -> None:
        self.groups[number].refresh(number)

    @rule(limit=st.sampled_from([1, 3, 100]))
    def flush(self, limit: int) -> None:
        for number, group in self.groups.items():
            for member, octets in group.flush(limit):
                assert member == number
                self.ends[number].read(octets)

    @rule(number=st.sampled_from(sorted(CLIENTS)), policy=st.sampled_from(POLICIES), in_place=st.booleans())
    def change_policy(self, number: int, policy: NotBy, in_place: bool) -> None:
        old = self.groups[number]
        profile = replace(CLIENTS[number], policy=policy)
        if in_place:
            old.change_policy(profile)
            return
        new = self.groups[number] = self.group(profile)
        new.add(self.ends[number].member, old.hand_over(number))
        self.identifiers.groups.discard(old)

    def teardown(self) -> None:
        """After quiescence each client holds the first path in the order of the decision that may reach it."""
        if not hasattr(self, "rib"):
            return
        for end in self.ends.values():
            end.member.paused = False
        for _ in range(10):
            self.flush(100)
            for number, group in self.groups.items():
                self.ends[number].read(group.catch_up(number))
        for number, group in self.groups.items():
            wanted = self.expected(group.profile, number)
            assert self.ends[number].table == wanted, f"client {number}"
            assert {key: held.attributes for key, held in group.holds(number).items()} == wanted
            for prefix in self.rib.best(IPV4_UNICAST):
                sent = [path for path, key in group.paths(prefix) if key is not None]
                assert len(sent) == (prefix in wanted)

    def expected(self, profile: ExportProfile, number: int) -> dict[bytes, Attributes]:
        found: dict[bytes, Attributes] = {}
        member = self.ends[number].member
        in_order = replace(profile, path_choice=PathChoice())
        for prefix, best in self.rib.best(IPV4_UNICAST).items():
            offers = [offer.path for offer in self.rib.offers(IPV4_UNICAST, prefix)]
            for path in choice(offers, in_order, self.router_ids, best):
                if passing := export(path, prefix, profile, member):
                    found[prefix] = passing[0]
                    break
        return found


TestClientMachine = ClientMachine.TestCase
TestClientMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
