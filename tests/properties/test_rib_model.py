"""Any order of updates: the best path is the oracle's, and what peers heard is policy applied to the Loc-RIB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pybgp.rib.decision import DecisionOptions
from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.member import Member
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import ACCEPT_ALL, Clause, Policy, PrefixMatch, PrefixSet, RoutePolicy, SetLocalPref, Verdict
from pybgp.rib.tables import Rib
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.framing import Framer
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.nlri import with_path_id
from pybgp.wire.plain_run import Run
from pybgp.wire.updates import decode_update
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIXES = [key(f"10.0.{number}.0/24") for number in range(5)]
#: peer 3 sends path identifiers, 4 and 6 are internal, and 5 shares the AS of 1 so that MEDs meet.
REMOTE_AS = {1: 65001, 2: 65002, 3: 65003, 4: LOCAL_AS, 5: 65001, 6: LOCAL_AS}
INTERNAL, CLIENT, CLUSTER = (4, 6), 4, 0x01000001
NUMBERS = st.sampled_from(sorted(REMOTE_AS))
KEYS = st.lists(st.sampled_from(PREFIXES), unique=True, max_size=4)
IDENTIFIERS = st.integers(1, 3)


@st.composite
def said(draw: st.DrawFn, number: int) -> Attributes:
    """Attributes that differ in few ways, so that every step of the decision is reached."""
    first = REMOTE_AS[number] if number not in INTERNAL else draw(st.sampled_from([65001, 65002]))
    values: dict[str, object] = {"origin": draw(st.sampled_from([0, 2]))}
    if draw(st.booleans()):
        values["med"] = draw(st.integers(0, 3))
    if number in INTERNAL:
        values["local_pref"] = draw(st.sampled_from([100, 100, 200]))
        if draw(st.booleans()):
            values["originator_id"] = draw(st.sampled_from([4, 6, 77]))
            values["cluster_list"] = draw(st.sampled_from([(5,), (5, 6), (5, CLUSTER)]))
    if draw(st.integers(0, 5)) == 0:
        values["communities"] = (draw(st.sampled_from([7, 0xFFFFFF01, 0xFFFFFF02])),)
    tail = draw(st.lists(st.sampled_from([65010, LOCAL_AS]), max_size=1))
    return attributes(first, *tail, hop=number, **values)


def oracle(candidates: Sequence[Path], router_ids: dict[int, int]) -> Path | None:
    """Choose by the text of RFC 4271 section 9.1.2.2, slowly, from attributes alone."""
    left = [path for path in candidates if not path.rejection]

    def keep(value: object) -> None:
        nonlocal left
        if left:
            best = min(value(path) for path in left)  # type: ignore[operator]  (a function)
            left = [path for path in left if value(path) == best]  # type: ignore[operator]

    keep(is_marked)
    keep(lambda path: -path.preference)
    keep(lambda path: -(100 if path.attributes.local_pref is None else path.attributes.local_pref))
    keep(lambda path: path.source is not Source.LOCAL)
    keep(lambda path: len(list(path.attributes.as_path)))
    keep(lambda path: path.attributes.origin)
    left = [
        path
        for path in left
        if not any(
            other.attributes.as_path.first == path.attributes.as_path.first
            and (other.attributes.med or 0) < (path.attributes.med or 0)
            for other in left
        )
    ]
    keep(lambda path: path.source is Source.IBGP)
    keep(lambda path: path.attributes.originator_id or router_ids[path.peer])
    keep(lambda path: len(path.attributes.cluster_list))
    keep(lambda path: path.peer)
    return left[0] if left else None


def is_marked(path: Path) -> bool:
    """Nobody may take the mark of RFC 9494 away, so that one that came counts whatever a policy made of it."""
    return 0xFFFF0006 in {*path.attributes.communities, *path.received.communities}


class NotTheFirst:
    """An export policy that looks at prefixes and marks what it lets through."""

    looks_at_prefixes = True

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        yield path.attributes, [one for one in keys if one[3] in (1, 2)]
        yield path.attributes.replace({8: (99,)}), [one for one in keys if one[3] > 2]


#: import policies with a plan: one that only parts prefixes, and one that changes those of one part.
ONLY_SOME = RoutePolicy(
    "some", [Clause("in", (PrefixMatch(PrefixSet.of("10.0.0.0/23 le 24", "10.0.3.0/24")),), (), Verdict.ACCEPT)]
)
SOME_FIRST = RoutePolicy(
    "first",
    [Clause("in", (PrefixMatch(PrefixSet.of("10.0.0.0/23 le 24")),), (SetLocalPref(200),), Verdict.ACCEPT)],
    default=Verdict.ACCEPT,
)


class FarEnd:
    """A peer as a model: octets become a table."""

    def __init__(self, number: int, profile: ExportProfile) -> None:
        self.member = Member(number, bytes([10, 0, 0, number]), 10 - number if number < 10 else number)
        self.negotiated = Negotiated(
            LOCAL_AS if profile.internal else 64999,
            LOCAL_AS,
            number,
            1,
            add_path_receive=frozenset({IPV4_UNICAST} if profile.add_path else ()),
        )
        self.add_path = profile.add_path
        self.framer = Framer()
        self.framer.receive_limit = 65535
        self.store = AttributeStore()
        self.table: dict[bytes, Attributes] = {}

    def read(self, octets: bytes) -> None:
        self.framer.feed(octets)
        while (message := self.framer.next_message()) is not None:
            assert len(message) <= 4096
            update = decode_update(message, self.negotiated, self.store)
            assert not update.faults
            assert not (update.withdrawn and update.announced)
            for nlri in update.withdrawn:
                for raw in nlri.keys:
                    self.table.pop(self.plain(raw), None)
            for nlri in update.announced:
                assert nlri.attributes is not None
                for raw in nlri.keys:
                    self.table[self.plain(raw)] = nlri.attributes

    def plain(self, raw: bytes) -> bytes:
        assert not self.add_path or raw[:4] == b"\0\0\0\1"
        return raw[4:] if self.add_path else raw


PROFILES = [
    ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL, cluster_id=5),
    ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), NotTheFirst(), add_path=True),
    ExportProfile(IPV4_UNICAST, False, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL),
    ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL, cluster_id=CLUSTER),
    ExportProfile(
        IPV4_UNICAST,
        True,
        LOCAL_AS,
        bytes([10, 0, 0, 254]),
        ACCEPT_ALL,
        cluster_id=CLUSTER,
        reflector_client=True,
        long_lived=True,
    ),
]


class RibMachine(RuleBasedStateMachine):
    """Peers talk, restart and vanish; members join, stall, ask again and change their policy."""

    @initialize()
    def begin(self) -> None:
        facts = {n: peer(n, REMOTE_AS[n], add_path=n == 3, router_id=10 - n) for n in REMOTE_AS}
        facts[CLIENT] = replace(facts[CLIENT], reflector_client=True)
        self.rib = rib_with(*facts.values(), cluster_id=CLUSTER)
        self.router_ids = {0: 0, **{number: 10 - number for number in REMOTE_AS}}
        self.groups = [UpdateGroup(profile, self.rib.best(IPV4_UNICAST)) for profile in PROFILES]
        self.ends: dict[int, tuple[UpdateGroup, FarEnd]] = {}
        #: what each peer has said and not taken back, and which part of it is stale.
        self.told: dict[int, dict[bytes, Attributes]] = {number: {} for number in REMOTE_AS}
        self.stale: dict[int, set[bytes]] = {number: set() for number in REMOTE_AS}
        # Of the last groups the members are the peers themselves: split horizon is at work there.
        for number in REMOTE_AS:
            index = 2 if number not in INTERNAL else 4 if number == CLIENT else 3
            self.enter(self.groups[index], FarEnd(number, PROFILES[index]))

    def enter(self, group: UpdateGroup, end: FarEnd) -> None:
        group.add(end.member)
        self.ends[end.member.number] = group, end

    def publish(self, changes: Iterable[object]) -> None:
        for change in changes:
            for group in self.groups:
                group.enqueue(change.path, change.keys)  # type: ignore[attr-defined]  (a Change)

    @rule(data=st.data(), number=NUMBERS, keys=KEYS, gone=KEYS, identifier=IDENTIFIERS)
    def update(self, data: st.DataObject, number: int, keys: list[bytes], gone: list[bytes], identifier: int) -> None:
        if number == 3:
            keys = [with_path_id(one, identifier) for one in keys]
            gone = [with_path_id(one, identifier) for one in gone]
        self.say(number, data.draw(said(number)), keys, gone)

    def say(self, number: int, attrs: Attributes, keys: Sequence[bytes], gone: Sequence[bytes] = ()) -> None:
        self.publish(self.rib.apply(number, IPV4_UNICAST, gone, attrs, keys))
        for one in gone:
            self.told[number].pop(one, None)
        self.told[number].update(dict.fromkeys(keys, attrs))
        self.stale[number].difference_update(keys, gone)

    @rule(data=st.data(), number=NUMBERS, parts=st.lists(KEYS, max_size=3), identifier=IDENTIFIERS)
    def updates_in_a_row(self, data: st.DataObject, number: int, parts: list[list[bytes]], identifier: int) -> None:
        run = []
        for keys in parts:
            raw_keys = [with_path_id(one, identifier) for one in keys] if number == 3 else keys
            run.append((data.draw(said(number)), raw_keys))
        self.publish(self.rib.apply_run(number, IPV4_UNICAST, Run([one for one, _ in run], [keys for _, keys in run])))
        for attrs, raw_keys in run:
            self.told[number].update(dict.fromkeys(raw_keys, attrs))
            self.stale[number].difference_update(raw_keys)

    @rule(keys=KEYS, preference=st.sampled_from([10, 100, 200]), label=st.sampled_from(["static", "kernel"]))
    def announce(self, keys: list[bytes], preference: int, label: str) -> None:
        own = Attributes.build({1: 0, 2: attributes().as_path})
        self.publish(self.rib.announce_local(IPV4_UNICAST, keys, own, preference=preference, label=label))

    @rule(keys=KEYS, label=st.sampled_from(["static", "kernel"]))
    def retract(self, keys: list[bytes], label: str) -> None:
        self.publish(self.rib.withdraw_local(IPV4_UNICAST, keys, label=label))

    @rule(number=NUMBERS)
    def lose(self, number: int) -> None:
        self.publish(self.rib.drop(number, IPV4_UNICAST))
        self.told[number], self.stale[number] = {}, set()

    @rule(data=st.data(), number=NUMBERS, other=NUMBERS, keys=KEYS, times=st.integers(1, 2))
    def lose_by_and_by(self, data: st.DataObject, number: int, other: int, keys: list[bytes], times: int) -> None:
        """The peer may be back, and others may talk, while what it said is still being withdrawn."""
        for _ in range(times):
            self.rib.begin_drop(number, IPV4_UNICAST)
            self.told[number], self.stale[number] = {}, set()
            self.publish(self.rib.sweep_stale(number, IPV4_UNICAST, 1))
            for one in (other, number):
                raw_keys = [with_path_id(key, 1) for key in keys] if one == 3 else keys
                self.say(one, data.draw(said(one)), raw_keys)
        while self.rib.stale_count(number, IPV4_UNICAST):
            self.publish(self.rib.sweep_stale(number, IPV4_UNICAST, 1))

    @rule(number=NUMBERS)
    def go_stale(self, number: int) -> None:
        self.rib.mark_stale(number, IPV4_UNICAST)
        self.stale[number] = set(self.told[number])

    @rule(number=NUMBERS, limit=st.sampled_from([1, None]))
    def live_long(self, number: int, limit: int | None) -> None:
        self.rib.begin_long_lived(number, IPV4_UNICAST)
        while self.rib.unmarked_count(number, IPV4_UNICAST):
            self.publish(self.rib.mark_long_lived(number, IPV4_UNICAST, limit))
        for one in self.stale[number]:
            said = self.told[number][one]
            self.told[number][one] = said.replace({8: tuple(sorted({*said.communities, 0xFFFF0006}))})

    @rule(number=NUMBERS, limit=st.sampled_from([1, 2, None]))
    def sweep(self, number: int, limit: int | None) -> None:
        self.publish(self.rib.sweep_stale(number, IPV4_UNICAST, limit))
        left = set(self.rib.received(number, IPV4_UNICAST))
        swept = self.told[number].keys() - left
        assert swept <= self.stale[number]
        assert len(swept) == min(len(self.stale[number]), limit or 100)
        for one in swept:
            del self.told[number][one]
        self.stale[number] -= swept

    @rule(number=NUMBERS, policy=st.sampled_from([None, NotTheFirst(), ONLY_SOME, SOME_FIRST]))
    def judge_again(self, number: int, policy: Policy | None) -> None:
        self.publish(self.rib.set_import_policy(number, policy))

    @rule(index=st.sampled_from([0, 1, 3, 4]), number=st.integers(20, 24))
    def join(self, index: int, number: int) -> None:
        if number not in self.ends:
            self.enter(self.groups[index], FarEnd(number, PROFILES[index]))

    @rule(data=st.data())
    def pause_or_resume(self, data: st.DataObject) -> None:
        _, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        end.member.paused = not end.member.paused

    @rule(data=st.data())
    def refresh(self, data: st.DataObject) -> None:
        group, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        group.refresh(end.member.number)

    @precondition(lambda self: any(number >= 20 for number in self.ends))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([number for number in sorted(self.ends) if number >= 20]))
        group, _ = self.ends.pop(number)
        group.remove(number)

    @rule(limit=st.sampled_from([1, 3, 100]))
    def flush(self, limit: int) -> None:
        for group in self.groups:
            for number, octets in group.flush(limit):
                self.ends[number][1].read(octets)

    @rule(data=st.data(), limit=st.sampled_from([1, 100]))
    def catch_up(self, data: st.DataObject, limit: int) -> None:
        group, end = self.ends[data.draw(st.sampled_from(sorted(self.ends)))]
        end.read(group.catch_up(end.member.number, limit))

    @rule(only_one=st.booleans())
    def replace_policy(self, only_one: bool) -> None:
        """Move the members of the first group to a new group with another policy, and give the name to that one."""
        old = self.groups[0]
        policy = NotTheFirst() if old.profile.policy is ACCEPT_ALL else ACCEPT_ALL
        new = UpdateGroup(replace(old.profile, policy=policy), self.rib.best(IPV4_UNICAST))
        new.enqueue_all()
        for number, (group, end) in tuple(self.ends.items()):
            if group is old:
                new.add(end.member, old.hand_over(number))
                self.ends[number] = new, end
        self.groups[0] = new

    @invariant()
    def what_was_said_is_kept(self) -> None:
        for number, told in getattr(self, "told", {}).items():
            kept = self.rib.received(number, IPV4_UNICAST)
            assert {raw: path.received for raw, path in kept.items()} == told

    @invariant()
    def the_best_path_is_the_oracles(self) -> None:
        if not hasattr(self, "rib"):
            return
        best = self.rib.best(IPV4_UNICAST)
        for prefix in PREFIXES:
            chosen = oracle(self.rib._table(IPV4_UNICAST).candidates(prefix), self.router_ids)
            found = best.get(prefix)
            if chosen is None or found is None:
                assert chosen is found
            else:
                assert (chosen.peer, chosen.attributes) == (found.peer, found.attributes) or is_tie(chosen, found)

    def teardown(self) -> None:
        """After quiescence every far end holds policy(Loc-RIB) and nothing else."""
        if not hasattr(self, "rib"):
            return
        for _, end in self.ends.values():
            end.member.paused = False
        for _ in range(30):
            self.flush(100)
            for number, (group, end) in self.ends.items():
                end.read(group.catch_up(number))
        for number, (group, end) in self.ends.items():
            assert end.table == expected(self.rib, group.profile, end.member), f"member {number}"
            assert {one: held.attributes for one, held in group.holds(number).items()} == end.table


def is_tie(one: Path, other: Path) -> bool:
    """Paths of one peer that differ in nothing that counts: the path identifier decides, which the oracle knows not."""
    return one.peer == other.peer and (one.order, one.med) == (other.order, other.med)


def expected(rib: Rib, profile: ExportProfile, member: Member) -> dict[bytes, Attributes]:
    table = {}
    for prefix, path in rib.best(IPV4_UNICAST).items():
        answers = profile.policy.apply(path, IPV4_UNICAST, [prefix], internal=profile.internal)
        for made in [made for made, kept in answers if kept]:
            within = path.source is Source.IBGP and profile.internal
            exported = reflection(path, made, profile, member) if within else rewrite(path, made, profile)
            if exported is not None and path.peer != member.number and exported.next_hop != member.address:
                table[prefix] = exported
    return table


def reflection(path: Path, made: Attributes, profile: ExportProfile, member: Member) -> Attributes | None:
    """Reflect by the text of RFC 4456 sections 6 and 8, slowly."""
    if 0xFFFFFF02 in made.communities or (is_marked(path) and not profile.long_lived):
        return None
    if not (profile.reflector_client or path.peer == CLIENT):
        return None
    originator_id = made.originator_id or 10 - path.peer
    if originator_id == member.router_id:
        return None
    if is_marked(path):
        made = made.replace({8: tuple(sorted({*made.communities, 0xFFFF0006}))})
    return made.replace({9: originator_id, 10: (profile.cluster_id, *made.cluster_list)})


TestRibMachine = RibMachine.TestCase
TestRibMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_best_path_does_not_depend_on_the_order_of_arrival(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(NUMBERS, unique=True, min_size=2, max_size=4))
    told = {number: data.draw(said(number)) for number in numbers}
    compare_all = data.draw(st.booleans())
    results = set()
    for order in permutations(numbers):
        facts = [peer(number, REMOTE_AS[number], router_id=10 - number) for number in numbers]
        rib = rib_with(*facts, options=DecisionOptions(always_compare_med=compare_all))
        for number in order:
            rib.apply(number, IPV4_UNICAST, (), told[number], PREFIXES[:1])
        best = rib.best(IPV4_UNICAST).get(PREFIXES[0])
        results.add(best and best.peer)
        losers = [number for number in numbers if not best or number != best.peer]
        for number in losers:
            rib.apply(number, IPV4_UNICAST, PREFIXES[:1], None, ())
            rib.apply(number, IPV4_UNICAST, (), told[number], PREFIXES[:1])
        assert rib.best(IPV4_UNICAST).get(PREFIXES[0]) is best
    assert len(results) == 1
