"""The evaluator against a simple interpreter that takes one prefix at a time, and inside the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib.export import ExportProfile
from pybgp.rib.member import Member
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import (
    AddCommunities,
    Clause,
    CommunityMatch,
    DeleteCommunities,
    InOrder,
    LocalPrefMatch,
    NumberRange,
    Passed,
    PeerMatch,
    PrefixMatch,
    PrefixSet,
    PrependOwn,
    PythonClause,
    Route,
    RoutePolicy,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetPreference,
    SetTag,
    TagMatch,
    ValidationMatch,
    Verdict,
    explain_policy,
    parse_pattern,
)
from pybgp.rib.policy.action import Action
from pybgp.rib.policy.community_pattern import parse_exact
from pybgp.rib.policy.match import KeyMatch, Match
from pybgp.rib.policy.overlays import Without
from pybgp.rib.update_groups import UpdateGroup
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.iana import AttributeCode
from pybgp.wire.nlri import format_prefix
from tests.pybgp.rib.rib_examples import attributes, key, peer, rib_with

KEYS = tuple(key(f"10.{number}.0.0/16") for number in range(4)) + tuple(key(f"10.{n}.{n}.0/24") for n in range(4))
SETS = tuple(PrefixSet.of(*texts) for texts in (("10.0.0.0/8 le 16",), ("10.1.0.0/16 le 24", "10.2.2.0/24"), ()))
ACCEPT, REJECT, NEXT = Verdict.ACCEPT, Verdict.REJECT, Verdict.NEXT


@dataclass
class State:
    """What the interpreter knows of one prefix."""

    local_pref: int = 100
    med: int | None = None
    communities: frozenset[str] = frozenset()
    own_prepends: int = 0
    tag: str = ""


@dataclass(frozen=True)
class Condition:
    kind: str
    value: object

    def build(self) -> Match | KeyMatch:
        match self.kind, self.value:
            case "prefix", int(index):
                return PrefixMatch(SETS[index])
            case "local_pref", int(low):
                return LocalPrefMatch((NumberRange(low, low + 10),))
            case "community", str(text):
                return CommunityMatch((parse_pattern(text),))
            case _:
                return TagMatch(frozenset({str(self.value)}))

    def holds(self, state: State, prefix: bytes) -> bool:
        match self.kind, self.value:
            case "prefix", int(index):
                return any(entry.contains(IPV4_UNICAST, prefix) for entry in SETS[index].entries)
            case "local_pref", int(low):
                return low <= state.local_pref <= low + 10
            case "community", str(text):
                return text in state.communities or (text == "1:*" and bool(state.communities))
            case _:
                return state.tag == self.value


@dataclass(frozen=True)
class Change:
    kind: str
    value: object

    def build(self) -> Action:
        match self.kind, self.value:
            case "local_pref", int(value):
                return SetLocalPref(value, relative=True)
            case "med", int(value):
                return SetMed(value)
            case "add", str(text):
                return AddCommunities((parse_exact(text),))
            case "delete", str(text):
                return DeleteCommunities((parse_pattern(text),))
            case "prepend", int(count):
                return PrependOwn(count)
            case _:
                return SetTag(str(self.value))

    def perform(self, state: State) -> State:
        match self.kind, self.value:
            case "local_pref", int(value):
                return replace(state, local_pref=max(state.local_pref + value, 0))
            case "med", int(value):
                return replace(state, med=value)
            case "add", str(text):
                return replace(state, communities=state.communities | {text})
            case "delete", str(text):
                gone = state.communities if text == "1:*" else frozenset({text})
                return replace(state, communities=state.communities - gone)
            case "prepend", int(count):
                return replace(state, own_prepends=state.own_prepends + count)
            case _:
                return replace(state, tag=str(self.value))


@dataclass(frozen=True)
class Rule:
    conditions: tuple[Condition, ...] = ()
    changes: tuple[Change, ...] = ()
    verdict: Verdict = NEXT
    name: str = field(default="rule")

    def build(self) -> Clause:
        matches = tuple(condition.build() for condition in self.conditions)
        return Clause(self.name, matches, tuple(change.build() for change in self.changes), self.verdict)


def interpret(rules: Sequence[Rule], default: Verdict, state: State, prefix: bytes) -> State | None:
    for rule in rules:
        if all(condition.holds(state, prefix) for condition in rule.conditions):
            if rule.verdict is REJECT:
                return None
            for change in rule.changes:
                state = change.perform(state)
            if rule.verdict is ACCEPT:
                return state
    return state if default is ACCEPT else None


TEXTS = st.sampled_from(["1:1", "1:2"])
CONDITIONS = (
    st.builds(Condition, st.just("prefix"), st.integers(0, 2))
    | st.builds(Condition, st.just("local_pref"), st.sampled_from([90, 100, 105]))
    | st.builds(Condition, st.just("community"), TEXTS | st.just("1:*"))
    | st.builds(Condition, st.just("tag"), st.sampled_from(["", "a"]))
)
CHANGES = (
    st.builds(Change, st.just("local_pref"), st.sampled_from([-10, 5]))
    | st.builds(Change, st.just("med"), st.integers(0, 2))
    | st.builds(Change, st.just("add"), TEXTS)
    | st.builds(Change, st.just("delete"), TEXTS | st.just("1:*"))
    | st.builds(Change, st.just("prepend"), st.integers(1, 2))
    | st.builds(Change, st.just("tag"), st.sampled_from(["a", "b"]))
)
RULES = st.builds(
    Rule,
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.lists(CHANGES, max_size=3).map(tuple),
    st.sampled_from(list(Verdict)),
)


def state_of(passed: Passed) -> State:
    made = passed.attributes
    return State(
        made.local_pref or 0,
        made.med,
        frozenset(f"{number >> 16}:{number & 0xFFFF}" for number in made.communities),
        sum(asn == 64512 for asn in made.as_path),
        passed.tag,
    )


def path_with(communities: Sequence[str] = (), source: Source = Source.IBGP) -> Path:
    numbers = [int(text[0]) << 16 | int(text[2]) for text in communities]
    given = attributes(65001, local_pref=100, **({"communities": numbers} if numbers else {}))
    return Path(1, source, given, given, teller=peer(1))


@given(
    st.lists(RULES, max_size=6),
    st.sampled_from([ACCEPT, REJECT]),
    st.sets(TEXTS),
    st.lists(st.sampled_from(KEYS), min_size=1, unique=True),
)
def test_the_evaluator_equals_the_interpreter(
    rules: list[Rule], default: Verdict, communities: set[str], keys: list[bytes]
) -> None:
    policy = RoutePolicy("p", [rule.build() for rule in rules], default=default)
    path = path_with(sorted(communities))
    answers = policy.apply(path, IPV4_UNICAST, keys, internal=True)
    expected = {prefix: interpret(rules, default, State(communities=frozenset(communities)), prefix) for prefix in keys}
    passed = [prefix for answer in answers for prefix in answer.keys]
    assert sorted(passed) == sorted(prefix for prefix, state in expected.items() if state is not None)
    for answer in answers:
        for prefix in answer.keys:
            assert state_of(answer) == expected[prefix]
    if not policy.looks_at_prefixes:
        assert all(answer.keys is keys for answer in answers)


@given(st.lists(RULES, max_size=6), st.sampled_from([ACCEPT, REJECT]), st.sampled_from(KEYS))
def test_an_explanation_comes_to_the_same(rules: list[Rule], default: Verdict, prefix: bytes) -> None:
    policy = RoutePolicy("p", [replace(r, name=str(n)).build() for n, r in enumerate(rules)], default=default)
    answers = list(policy.apply(path_with(), IPV4_UNICAST, (prefix,), internal=True))
    explained = policy.explain(path_with(), IPV4_UNICAST, prefix, internal=True)
    assert explained.accepted is bool(answers)
    assert explained.outcome == (answers[0] if answers else None)
    last = explained.hits[-1]
    assert (last.verdict is ACCEPT) is explained.accepted
    assert all(hit.verdict is NEXT for hit in explained.hits[:-1])


def test_an_explanation_tells_what_changed() -> None:
    clauses = [
        Clause("mark", (PrefixMatch(SETS[0]),), (SetLocalPref(200), AddCommunities((parse_exact("no-export"),)))),
        Clause("other", (TagMatch(frozenset({"z"})),), (), REJECT),
        Clause("hop", (), (SetNextHop("192.0.2.1"), SetTag("a"), SetPreference(7)), ACCEPT),
    ]
    explained = RoutePolicy("p", clauses).explain(path_with(), IPV4_UNICAST, KEYS[0], internal=False)
    assert [(hit.clause, hit.verdict) for hit in explained.hits] == [("mark", NEXT), ("hop", ACCEPT)]
    assert [tuple(change) for change in explained.hits[0].changes] == [
        ("local-pref", "100", "200"),
        ("communities", "", "no-export"),
    ]
    assert [tuple(change) for change in explained.hits[1].changes] == [
        ("next-hop", "10.0.0.1", "192.0.2.1"),
        ("preference", "100", "7"),
        ("tag", "", "a"),
    ]
    assert explained.hits[0].condition == "prefix 10.0.0.0/8 le 16: next"


def test_equal_clauses_make_equal_policies() -> None:
    def made(value: int) -> RoutePolicy:
        return RoutePolicy("p", [Clause("c", (PrefixMatch(PrefixSet.of("10.0.0.0/8")),), (SetMed(value),), ACCEPT)])

    assert made(1) == made(1)
    assert hash(made(1)) == hash(made(1))
    assert made(1) != made(2)
    assert made(1) != made(1).validated_by(lambda family, prefix, origin: "valid")


class TestPythonClauses:
    def test_they_change_and_decide(self) -> None:
        def judge(route: Route) -> Verdict | None:
            route.set(AttributeCode.MED, 9)
            return ACCEPT if 65001 in route.as_path else None

        policy = RoutePolicy("p", [PythonClause("mine", judge)])
        ((made, keys, *_),) = policy.apply(path_with(), IPV4_UNICAST, KEYS, internal=True)
        assert (made.med, keys) == (9, KEYS)
        assert not policy.looks_at_prefixes

    def test_one_that_reads_the_prefix_is_asked_for_each(self) -> None:
        def judge(route: Route) -> Verdict | None:
            route.set(AttributeCode.MED, len(route.prefix))
            return REJECT if route.prefix == "10.1.0.0/16" else ACCEPT

        policy = RoutePolicy("p", [PythonClause("mine", judge, looks_at_prefixes=True)])
        answers = policy.apply(path_with(), IPV4_UNICAST, KEYS[:3], internal=True)
        assert [list(answer.keys) for answer in answers] == [[KEYS[0], KEYS[2]]]

    @pytest.mark.parametrize("value", [ValueError("x"), -1])
    def test_an_exception_rejects_and_is_counted(self, value: object) -> None:
        def judge(route: Route) -> Verdict | None:
            if isinstance(value, ValueError):
                raise value
            route.set(AttributeCode.MED, value)
            return ACCEPT

        policy = RoutePolicy("p", [PythonClause("mine", judge)], default=ACCEPT)
        assert not policy.apply(path_with(), IPV4_UNICAST, KEYS, internal=True)
        explained = policy.explain(path_with(), IPV4_UNICAST, KEYS[0], internal=True)
        assert not explained.accepted
        assert explained.hits[0].failure.startswith("mine: ")
        assert policy.failures == 2
        assert policy.last_failure.startswith("mine: ")


class TestInTheTables:
    """What the Rib and the update groups make of a policy's answers."""

    def test_preference_and_tag_reach_the_path(self) -> None:
        one, other = peer(1, 65001), peer(2, 65002)
        rib = rib_with(one, other)
        clauses = [Clause("prefer", (), (SetPreference(150), SetTag("best")), ACCEPT)]
        rib.set_import_policy(2, RoutePolicy("p", clauses))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001), KEYS)
        rib.apply(2, IPV4_UNICAST, (), attributes(65002, 65003, 65004), KEYS)
        best = rib.best(IPV4_UNICAST)[KEYS[0]]
        assert (best.peer, best.preference, best.label) == (2, 150, "best")
        assert best.teller == other

    def test_a_policy_by_peer_matches_the_teller(self) -> None:
        rib = rib_with(peer(1, 65001), peer(2, 65002))
        policy = RoutePolicy("p", [Clause("only", (PeerMatch(frozenset({"10.0.0.2"})),), (), ACCEPT)])
        for number in (1, 2):
            rib.set_import_policy(number, policy)
            rib.apply(number, IPV4_UNICAST, (), attributes(65000 + number), KEYS)
        assert {path.peer for path in rib.best(IPV4_UNICAST).values()} == {2}
        assert rib.received(1, IPV4_UNICAST)[KEYS[0]].rejection == "rejected by import policy"

    def test_a_prefix_rule_parts_one_update(self) -> None:
        rib = rib_with(peer(1, 65001))
        clauses = [
            Clause("some", (PrefixMatch(SETS[1]),), (SetLocalPref(300),), ACCEPT),
            Clause("few", (PrefixMatch(PrefixSet.of("10.3.0.0/16")),), (), REJECT),
        ]
        rib.set_import_policy(1, RoutePolicy("p", clauses, default=ACCEPT))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001), KEYS)
        found = {format_prefix(IPV4_UNICAST, k): p.attributes.local_pref for k, p in rib.best(IPV4_UNICAST).items()}
        assert found == {
            "10.0.0.0/16": None,
            "10.1.0.0/16": 300,
            "10.2.0.0/16": None,
            "10.0.0.0/24": None,
            "10.1.1.0/24": 300,
            "10.2.2.0/24": 300,
            "10.3.3.0/24": None,
        }

    def test_a_policy_that_takes_the_next_hop_away_rejects(self) -> None:
        rib = rib_with(peer(1, 65001))
        rib.set_import_policy(1, RoutePolicy("p", [Clause("self", (), (SetNextHop("self"),), ACCEPT)]))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001), KEYS)
        assert not rib.best(IPV4_UNICAST)
        assert rib.received(1, IPV4_UNICAST)[KEYS[0]].rejection == "import policy took the next hop away"

    def test_only_what_differs_is_a_change(self) -> None:
        def made(state: str) -> RoutePolicy:
            def validate(family: Family, prefix: bytes, origin: int | None) -> str:
                return state if prefix == KEYS[1] else "valid"

            return RoutePolicy(
                "p", [Clause("rpki", (ValidationMatch(frozenset({"valid"})),), (), ACCEPT)], validator=validate
            )

        rib = rib_with(peer(1, 65001))
        rib.set_import_policy(1, made("valid"))
        rib.apply(1, IPV4_UNICAST, (), attributes(65001), KEYS)
        (change,) = rib.set_import_policy(1, made("invalid"))
        assert (change.path, change.keys) == (None, [KEYS[1]])
        (change,) = rib.set_import_policy(1, made("valid"))
        assert list(change.keys) == [KEYS[1]]
        assert not rib.set_import_policy(1, made("valid"))

    @pytest.mark.parametrize(
        ("to", "internal", "hop"),
        [
            ("unchanged", False, "10.0.0.1"),
            ("192.0.2.7", False, "192.0.2.7"),
            ("self", False, "10.0.0.254"),
            ("self", True, "10.0.0.254"),
            ("peer", True, "10.0.0.1"),
        ],
    )
    def test_the_next_hop_that_export_chose_leaves(self, to: str, internal: bool, hop: str) -> None:
        policy = RoutePolicy("p", [Clause("hop", (), (SetNextHop(to),), ACCEPT)])
        group = UpdateGroup(profile(policy, internal=internal), {})
        group.add(Member(9, bytes([10, 0, 0, 9])))
        group.enqueue(path_with(source=Source.EBGP), KEYS)
        group.flush()
        assert {".".join(map(str, sent.attributes.next_hop)) for sent in group.holds(9).values()} == {hop}


def profile(policy: RoutePolicy, *, internal: bool) -> ExportProfile:
    return ExportProfile(IPV4_UNICAST, internal, 64512, bytes([10, 0, 0, 254]), policy)


def test_attributes_are_not_rebuilt_where_nothing_changes() -> None:
    path = path_with()
    ((made, *_),) = RoutePolicy("p", [], default=ACCEPT).apply(path, IPV4_UNICAST, KEYS, internal=True)
    assert isinstance(made, Attributes)
    assert made is path.attributes


def test_a_later_change_does_not_reach_what_was_accepted_before() -> None:
    clauses = [
        Clause("few", (PrefixMatch(SETS[0]),), (), ACCEPT),
        Clause("rest", (), (SetLocalPref(90),), ACCEPT),
    ]
    answers = RoutePolicy("p", clauses).apply(path_with(), IPV4_UNICAST, [KEYS[0], KEYS[4]], internal=True)
    assert {tuple(answer.keys): answer.attributes.local_pref for answer in answers} == {(KEYS[0],): 100, (KEYS[4],): 90}


class TestInOrder:
    def test_what_stands_above_a_policy_is_told_only_where_it_decides(self) -> None:
        policy = InOrder(Without(PrefixSet.of("10.1.0.0/16")), RoutePolicy("b", [Clause("b", (), (), ACCEPT)]))
        passed, hidden = (
            explain_policy(policy, path_with(), IPV4_UNICAST, key(prefix), internal=False)
            for prefix in ("10.0.0.0/16", "10.1.0.0/16")
        )
        assert (passed.policy, passed.accepted, [hit.clause for hit in passed.hits]) == ("b", True, ["b"])
        assert (hidden.policy, hidden.accepted, hidden.outcome) == ("aggregates and conditions", False, None)

    def test_both_must_let_it_pass(self) -> None:
        first = RoutePolicy("a", [Clause("a", (PrefixMatch(SETS[0]),), (SetLocalPref(200), SetTag("a")), ACCEPT)])
        second = RoutePolicy(
            "b",
            [
                Clause("not", (PrefixMatch(PrefixSet.of("10.1.0.0/16")),), (), REJECT),
                Clause("b", (TagMatch(frozenset({"a"})),), (SetMed(5),), ACCEPT),
            ],
        )
        both = InOrder(first, second)
        assert both.looks_at_prefixes
        assert both == InOrder(first, second)
        ((made, keys, *_),) = both.apply(path_with(), IPV4_UNICAST, KEYS, internal=True)
        assert [format_prefix(IPV4_UNICAST, one) for one in keys] == ["10.0.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]
        assert (made.local_pref, made.med) == (200, 5)

    @pytest.mark.parametrize(
        ("then", "kept"),
        [((), (True, True)), ((SetMed(6),), (True, True)), ((SetMed(None), SetNextHop("self")), (False, False))],
    )
    def test_what_the_first_chose_is_kept_unless_the_second_chooses_otherwise(
        self, then: tuple[Action, ...], kept: tuple[bool, bool]
    ) -> None:
        first = RoutePolicy("a", [Clause("a", (), (SetNextHop("unchanged"), SetMed(5)), ACCEPT)])
        second = RoutePolicy("b", [Clause("b", (), then, ACCEPT)])
        (passed,) = InOrder(first, second).apply(path_with(), IPV4_UNICAST, KEYS, internal=False)
        assert (passed.keep_next_hop, passed.keep_med) == kept
        explained = explain_policy(InOrder(first, second), path_with(), IPV4_UNICAST, KEYS[0], internal=False).outcome
        assert explained is not None
        assert (explained.keep_next_hop, explained.keep_med) == kept
