"""Whatever happens, a group that lets ordinary paths leave in one step says what a group that takes care says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pybgp.rib.export import ExportProfile
from pybgp.rib.member import Member
from pybgp.rib.path import Change, Path
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.plain_run import Run
from tests.properties.test_rib_model import INTERNAL, KEYS, NUMBERS, PROFILES, REMOTE_AS, NotTheFirst, said
from tests.pybgp.rib.rib_examples import peer, rib_with

#: to external peers, to internal ones, and to clients.
LANES = (PROFILES[2], PROFILES[3], PROFILES[4])
#: three of them tell routes too, the others only listen.
MEMBERS = st.sampled_from([1, 4, 6, 20, 21])

#: what the flush after a change has time for; 0: there is none.
LIMITS = st.sampled_from([0, 1, 25, 1000])


class Ear:
    """What a member was told: octets of attributes by prefix."""

    def __init__(self) -> None:
        self.framer = Framer()
        self.table: dict[bytes, bytes] = {}

    def read(self, octets: bytes) -> None:
        self.framer.feed(octets)
        while (message := self.framer.next_message()) is not None:
            attributes_at = 23 + int.from_bytes(message[19:21], "big")
            nlri_at = attributes_at + int.from_bytes(message[attributes_at - 2 : attributes_at], "big")
            for key in split(message[21 : attributes_at - 2]):
                del self.table[key]
            told = split(message[nlri_at:])
            assert told or attributes_at == nlri_at, "attributes of nothing"
            self.table.update(dict.fromkeys(told, message[attributes_at:nlri_at]))


def split(field: bytes) -> list[bytes]:
    """All prefixes here have three octets."""
    return [field[at : at + 4] for at in range(0, len(field), 4)]


class Lane:
    """A group and its members."""

    def __init__(self, profile: ExportProfile, best: Mapping[bytes, Path], *, careful: bool) -> None:
        self.careful = careful
        self.group = UpdateGroup(profile, best)
        self.ears: dict[int, Ear] = {}
        self.take_care()

    def take_care(self) -> None:
        if self.careful:
            self.group._plain = None

    def join(self, number: int) -> None:
        self.group.add(Member(number, bytes([10, 0, 0, number]), 10 - number if number < 10 else number))
        self.ears[number] = Ear()

    def leave(self, number: int) -> None:
        self.group.remove(number)
        del self.ears[number]

    def flush(self, limit: int) -> None:
        for number, octets in self.group.flush(limit):
            self.ears[number].read(octets)


class LaneMachine(RuleBasedStateMachine):
    """Peers talk and fall silent; members join, leave, stall and ask again, and are told under another policy."""

    @initialize(profile=st.sampled_from(LANES))
    def begin(self, profile: ExportProfile) -> None:
        facts = {number: peer(number, REMOTE_AS[number], router_id=10 - number) for number in REMOTE_AS}
        facts[4] = replace(facts[4], reflector_client=True)
        self.rib = rib_with(*facts.values(), cluster_id=profile.cluster_id)
        # It parts the prefixes of one UPDATE, of which some can be new and others not.
        self.rib.set_import_policy(2, NotTheFirst())
        best = self.rib.best(IPV4_UNICAST)
        self.lanes = [Lane(profile, best, careful=careful) for careful in (False, True)]
        for lane in self.lanes:
            lane.join(20)
            lane.join(21)

    def publish(self, changes: Iterable[Change], limit: int) -> None:
        changes = list(changes)
        for lane in self.lanes:
            group = lane.group
            if changes and group.may_follow(changes) and self.rib.follow(IPV4_UNICAST, group.settle):
                group.follow()
            group.enqueue_changes(changes)
            if limit:
                lane.flush(limit)

    @rule(data=st.data(), number=NUMBERS, keys=KEYS, gone=KEYS, limit=LIMITS)
    def update(self, data: st.DataObject, number: int, keys: list[bytes], gone: list[bytes], limit: int) -> None:
        self.publish(self.rib.apply(number, IPV4_UNICAST, gone, data.draw(said(number)), keys), limit)

    @rule(data=st.data(), number=NUMBERS, parts=st.lists(KEYS, min_size=1, max_size=4), limit=LIMITS)
    def updates_in_a_row(self, data: st.DataObject, number: int, parts: list[list[bytes]], limit: int) -> None:
        run = Run([data.draw(said(number)) for _ in parts], parts)
        self.publish(self.rib.apply_run(number, IPV4_UNICAST, run), limit)

    @rule(number=NUMBERS, limit=LIMITS)
    def lose(self, number: int, limit: int) -> None:
        self.publish(self.rib.drop(number, IPV4_UNICAST), limit)

    @rule()
    def look_at_all(self) -> None:
        for lane in self.lanes:
            lane.group.enqueue_all()

    @rule(number=MEMBERS)
    def join_or_leave(self, number: int) -> None:
        for lane in self.lanes:
            if number in lane.ears:
                lane.leave(number)
            elif (number in INTERNAL) == lane.group.profile.internal or number >= 20:
                lane.join(number)

    @rule(number=MEMBERS)
    def pause_or_resume(self, number: int) -> None:
        for lane in self.lanes:
            if (member := lane.group.members.get(number)) is not None:
                member.paused = not member.paused

    @rule(number=MEMBERS)
    def refresh(self, number: int) -> None:
        for lane in self.lanes:
            if number in lane.ears:
                lane.group.refresh(number)

    @rule()
    def change_policy(self) -> None:
        for lane in self.lanes:
            old = lane.group.profile
            lane.group.change_policy(replace(old, policy=NotTheFirst() if old.policy is ACCEPT_ALL else ACCEPT_ALL))
            lane.take_care()

    @rule(limit=st.sampled_from([1, 25, 1000]))
    def flush(self, limit: int) -> None:
        for lane in self.lanes:
            lane.flush(limit)

    @rule(number=MEMBERS)
    def catch_up(self, number: int) -> None:
        for lane in self.lanes:
            if number in lane.ears:
                lane.ears[number].read(lane.group.catch_up(number))

    @invariant()
    def both_lanes_hold_and_have_told_the_same(self) -> None:
        if hasattr(self, "lanes"):
            quick, careful = self.lanes
            assert quick.group.is_idle == careful.group.is_idle
            assert meanings(quick) == meanings(careful)


def meanings(lane: Lane) -> object:
    """Look at a copy, because a group that has been asked has an Adj-RIB-Out of its own from then on."""
    out = lane.group._out
    lane.group._out = copy(out)
    told = {key: lane.group.exported(one) for key, one in lane.group.sent.items()}
    sent = {key: (one.attributes, one.provenance) for key, one in told.items() if one is not None}
    members = {
        number: (ear.table, {key: held.attributes for key, held in lane.group.holds(number).items()})
        for number, ear in lane.ears.items()
    }
    lane.group._out = out
    return sent, members


TestLaneMachine = LaneMachine.TestCase
TestLaneMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
