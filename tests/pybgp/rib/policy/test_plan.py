"""What is compiled must decide and write what the clauses do: octets against values, plans against plain evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pybgp.rib.path import Path, Source
from pybgp.rib.policy import (
    AddCommunities,
    AsPathContains,
    AsPathLength,
    Clause,
    CommunityMatch,
    DeleteCommunities,
    FamilyMatch,
    LocalPrefMatch,
    NumberRange,
    Passed,
    Policy,
    PrefixMatch,
    PrefixSet,
    Prepend,
    PrependLastAs,
    PrependOwn,
    PythonClause,
    Route,
    RoutePolicy,
    SetCommunities,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetOrigin,
    SetPreference,
    SetTag,
    TagMatch,
    ValidationMatch,
    Verdict,
    parse_pattern,
)
from pybgp.rib.policy.action import Action
from pybgp.rib.policy.community_pattern import parse_exact
from pybgp.rib.policy.interface import plan_of
from pybgp.rib.policy.match import KeyMatch, Match
from pybgp.rib.policy.splices import edit_of
from pybgp.rib.tables import Rib
from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attributes import Attributes
from pybgp.wire.communities import LargeCommunity
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AttributeCode, Origin, SegmentType
from pybgp.wire.plain_run import Run
from tests.pybgp.rib.rib_examples import attributes, key, peer, rib_with

KEYS = tuple(key(f"10.{number}.0.0/16") for number in range(4)) + tuple(key(f"10.{n}.{n}.0/24") for n in range(4))
SETS = tuple(
    PrefixSet.of(*texts)
    for texts in (("10.0.0.0/8 le 16",), ("10.1.0.0/16 le 24", "10.2.2.0/24"), ("10.3.0.0/16", "10.0.0.0/24"), ())
)
EXACT = [(parse_exact(text),) for text in ("65000:1", "no-export", "rt:65000:1", "65000:1:1")]
TWO = (parse_exact("65000:1"), parse_exact("65000:2"))
PATTERNS = [(parse_pattern(text),) for text in ("65000:*", "no-export", "rt:65000:*", "65000:*:*")]

ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(SetLocalPref, st.sampled_from([0, 5, 100, 2**32 - 1]), st.booleans()),
    st.builds(SetLocalPref, st.just(-50), st.just(True)),
    st.builds(SetMed, st.none()),
    st.builds(SetMed, st.sampled_from([0, 7, 2**32 - 1]), st.booleans()),
    st.builds(SetOrigin, st.sampled_from(Origin)),
    st.builds(SetNextHop, st.sampled_from(["self", "peer", "unchanged", "192.0.2.7"])),
    st.builds(Prepend, st.sampled_from([(), (65009,), (4200000000,) * 3, (65009,) * 255])),
    st.builds(PrependOwn, st.integers(0, 3)),
    st.builds(PrependLastAs, st.integers(0, 3)),
    st.builds(AddCommunities, st.sampled_from([*EXACT, TWO])),
    st.builds(DeleteCommunities, st.sampled_from([*PATTERNS, *EXACT])),
    st.builds(SetCommunities, st.sampled_from([*EXACT, TWO])),
    st.builds(SetPreference, st.sampled_from([0, 100, 300]), st.booleans()),
    st.builds(SetTag, st.sampled_from(["", "a", "b"])),
)
PATHS = st.sampled_from(
    [
        AsPath(),
        AsPath.sequence(65001),
        # Our own number: never considered.
        AsPath.sequence(65001, 64512),
        AsPath.sequence(65001, *range(1, 70)),
        AsPath.sequence(65001, *range(1, 254)),
        AsPath((Segment(SegmentType.SET, (1, 2)),)),
        AsPath((Segment(SegmentType.SEQUENCE, (65001,)), Segment(SegmentType.SET, (1, 2)))),
    ]
)


@st.composite
def received(draw: st.DrawFn) -> Attributes:
    values: dict[int, object] = {
        AttributeCode.ORIGIN: draw(st.sampled_from(Origin)),
        AttributeCode.AS_PATH: draw(PATHS),
    }
    some: dict[AttributeCode, list[object]] = {
        AttributeCode.LOCAL_PREF: [100, 5],
        AttributeCode.MED: [0, 7],
        AttributeCode.ATOMIC_AGGREGATE: [True],
        AttributeCode.COMMUNITIES: [(0xFDE80001,), (5, 0xFDE80001, 0xFFFFFF01)],
        AttributeCode.EXTENDED_COMMUNITIES: [(bytes.fromhex("0002fde800000001"),)],
        AttributeCode.LARGE_COMMUNITIES: [(LargeCommunity(65000, 1, 1), LargeCommunity(65001, 1, 1))],
    }
    for code, choices in some.items():
        if (value := draw(st.none() | st.sampled_from(choices))) is not None:
            values[code] = value
    made = Attributes.build(values, bytes([10, 0, 0, 1]))
    if made.communities and draw(st.booleans()):
        # As it is kept after a router that did not know the attribute (RFC 4271 section 5).
        at = made.block.index(b"\xc0\x08")
        made = Attributes(made.block[:at] + b"\xe0" + made.block[at + 1 :], made.next_hop)
    return made


@given(st.lists(received(), min_size=1, max_size=3), st.lists(ACTIONS, max_size=4))
def test_octets_are_changed_as_values_are(several: list[Attributes], actions: list[Action]) -> None:
    teller = peer(1)
    edit = edit_of(actions)
    assert edit is not None
    for before, changed in zip(several, edit.changed(several, teller), strict=True):
        route = Route(Path(1, Source.IBGP, before, before, teller=teller), IPV4_UNICAST, internal=True)
        for action in actions:
            action.perform(route)
        assert changed == route.attributes
        assert (edit.preference(100), edit.tag or "") == (route.preference, route.tag)


def test_what_changes_nothing_makes_no_attribute_set() -> None:
    given = attributes(65001, local_pref=200)
    rib = rib_with(peer(1))
    rib.set_import_policy(1, RoutePolicy("p", [Clause("c", (), (SetLocalPref(200),), Verdict.ACCEPT)]))
    ((_, path, _),) = rib.apply_run(1, IPV4_UNICAST, Run([given], [KEYS]))
    assert path is not None
    assert path.attributes is given


CONDITIONS: st.SearchStrategy[Match | KeyMatch] = st.one_of(
    st.builds(PrefixMatch, st.sampled_from(SETS)),
    st.builds(PrefixMatch, st.sampled_from(SETS)),
    st.sampled_from(
        [
            CommunityMatch((parse_pattern("65000:*"),)),
            LocalPrefMatch((NumberRange(5, 150),)),
            AsPathLength((NumberRange(0, 1),)),
            TagMatch(frozenset({"a"})),
            FamilyMatch(frozenset({IPV6_UNICAST})),
        ]
    ),
)
CLAUSES = st.builds(
    Clause,
    st.just("clause"),
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.lists(ACTIONS, max_size=2).map(tuple),
    st.sampled_from(Verdict),
)
PYTHON = PythonClause("python", lambda route: Verdict.REJECT if len(route.as_path.segments) > 1 else None)


UNDECIDED = (Verdict.ACCEPT, [(attributes(65001, local_pref=100), [KEYS[0]])], False)


@dataclass(frozen=True)
class Plain:
    """A policy that hides its plan, so that its clauses are asked about all prefixes of each path."""

    policy: Policy
    looks_at_prefixes: bool = True

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]] | Passed]:
        return self.policy.apply(path, family, keys, internal=internal)


def seen(rib: Rib) -> dict[bytes, tuple[object, ...]]:
    return {
        raw: (path.received, path.attributes, path.rejection, path.preference, path.label)
        for raw, path in rib.received(1, IPV4_UNICAST).items()
    }


BETTER = Clause("better", (LocalPrefMatch((NumberRange(5, 150),)),), (SetLocalPref(200), SetTag("a")))


@example([BETTER, Clause("no", (LocalPrefMatch((NumberRange(200, 200),)),), (), Verdict.REJECT)], *UNDECIDED)
@example([BETTER, Clause("no", (TagMatch(frozenset({"a"})),), (), Verdict.REJECT)], *UNDECIDED)
@given(
    st.lists(CLAUSES | st.just(PYTHON), max_size=4),
    st.sampled_from([Verdict.ACCEPT, Verdict.REJECT]),
    st.lists(st.tuples(received(), st.lists(st.sampled_from(KEYS), unique=True)), max_size=4),
    st.booleans(),
)
def test_import_by_plan_is_import_by_clauses(
    clauses: list[Clause | PythonClause],
    default: Verdict,
    updates: list[tuple[Attributes, list[bytes]]],
    add_path: bool,
) -> None:
    policy = RoutePolicy("p", clauses, default=default)
    assert plan_of(policy) is not None
    ribs = [rib_with(peer(1, add_path=add_path)) for _ in range(3)]
    ribs[0].set_import_policy(1, Plain(policy))
    ribs[1].set_import_policy(1, policy)
    ribs[2].set_import_policy(1, policy)
    told: list[set[tuple[object, ...]]] = []
    prefix = b"\0\0\0\7" if add_path else b""
    run = [(given, [prefix + one for one in keys]) for given, keys in updates]
    for rib in ribs[:2]:
        changes = [change for given, keys in run for change in rib.apply(1, IPV4_UNICAST, (), given, keys)]
        told.append({(change.path and change.path.attributes, *sorted(change.keys)) for change in changes})
    ribs[2].apply_run(1, IPV4_UNICAST, Run([given for given, _ in run], [keys for _, keys in run]))
    assert seen(ribs[0]) == seen(ribs[1]) == seen(ribs[2])
    best = [{key: path.attributes for key, path in rib.best(IPV4_UNICAST).items()} for rib in ribs]
    assert best[0] == best[1] == best[2]
    # Judged by the other policy everything stays as it is, and nobody hears anything.
    assert ribs[0].set_import_policy(1, policy) == []
    assert ribs[2].set_import_policy(1, Plain(policy)) == []


NOT_LOW = Clause("not-low", (LocalPrefMatch((NumberRange(0, 50),)),), (), Verdict.REJECT)
SOME = RoutePolicy("some", [NOT_LOW, Clause("in", (PrefixMatch(SETS[0]),), (), Verdict.ACCEPT)])


def runs_and_updates(updates: list[tuple[Attributes, list[bytes]]], policy: RoutePolicy) -> list[Rib]:
    """Return what becomes of UPDATEs in a row, and of the same taken one by one, beside another peer."""
    ribs = []
    for _ in range(2):
        rib = rib_with(peer(1), peer(2))
        rib.apply(2, IPV4_UNICAST, (), attributes(65002, 65003, 65004), KEYS[:1])
        rib.set_import_policy(1, policy)
        ribs.append(rib)
    ribs[0].apply_run(1, IPV4_UNICAST, Run([told for told, _ in updates], [keys for _, keys in updates]))
    for told, keys in updates:
        ribs[1].apply(1, IPV4_UNICAST, (), told, keys)
    return ribs


HIGH, LOW = attributes(65001, local_pref=100), attributes(65001, local_pref=5)


@pytest.mark.parametrize(
    "updates",
    [
        [(HIGH, [*KEYS[1:]]), (LOW, [*KEYS[1:3]])],
        [(LOW, [*KEYS[1:3]]), (HIGH, [*KEYS[1:]])],
        [(HIGH, [KEYS[1], KEYS[1]]), (LOW, [KEYS[2], KEYS[2]])],
        [(HIGH, [*KEYS]), (LOW, [KEYS[1]])],
        [(LOW, [KEYS[0]]), (HIGH, [*KEYS[5:]])],
    ],
    ids=["taken-then-refused", "refused-then-taken", "twice", "contested", "contested-and-refused"],
)
def test_refused_beside_taken_is_as_one_by_one(updates: list[tuple[Attributes, list[bytes]]]) -> None:
    in_a_row, one_by_one = runs_and_updates(updates, SOME)
    assert seen(in_a_row) == seen(one_by_one)
    best = [
        {key: (path.peer, path.attributes) for key, path in rib.best(IPV4_UNICAST).items()}
        for rib in (in_a_row, one_by_one)
    ]
    assert best[0] == best[1]
    assert best[0][KEYS[0]][0] == (1 if (HIGH, [*KEYS]) in updates else 2)


@pytest.mark.parametrize(
    "clause",
    [
        Clause("c", (PrefixMatch(SETS[0]), ValidationMatch(frozenset({"valid"}))), (), Verdict.ACCEPT),
        PythonClause("c", lambda route: Verdict.ACCEPT, looks_at_prefixes=True),
    ],
)
def test_what_looks_closer_at_prefixes_has_no_plan(clause: Clause | PythonClause) -> None:
    assert plan_of(RoutePolicy("p", [clause])) is None


def test_an_action_of_the_user_is_asked_about_each_path() -> None:
    class Shout:
        def perform(self, route: Route) -> None:
            route.tag = route.tag.upper()

    rib = rib_with(peer(1))
    clauses = [Clause("c", (PrefixMatch(SETS[0]),), (SetTag("a"), Shout()), Verdict.ACCEPT)]
    rib.set_import_policy(1, RoutePolicy("p", clauses))
    rib.apply_run(1, IPV4_UNICAST, Run([attributes(65001)], [KEYS]))
    assert {path.label for path in rib.best(IPV4_UNICAST).values()} == {"A"}


def test_what_cannot_be_written_rejects_one_path_and_is_counted() -> None:
    rib = rib_with(peer(1))
    rib.set_import_policy(1, RoutePolicy("p", [Clause("c", (), (SetNextHop("nowhere"),), Verdict.ACCEPT)]))
    rib.apply_run(1, IPV4_UNICAST, Run([attributes(65001)], [KEYS]))
    assert not rib.best(IPV4_UNICAST)
    assert rib.policy_failures == 1
    assert {path.rejection for path in rib.received(1, IPV4_UNICAST).values()} == {
        "import policy failed: ValueError(\"'nowhere' does not appear to be an IPv4 or IPv6 address\")"
    }


def test_sets_are_asked_only_where_they_matter() -> None:
    asked: list[str] = []

    class Asked(PrefixSet):
        def marker(self, family: Family) -> Callable[[Sequence[bytes]], bytes]:
            asked.append(self.name)
            return super().marker(family)

    first, second = (Asked(SETS[0].entries | {one}, name) for one, name in zip(SETS[1].entries, "ab", strict=True))
    clauses = [
        Clause("a", (PrefixMatch(first),), (), Verdict.REJECT),
        Clause("b", (PrefixMatch(second), AsPathContains((NumberRange(1, 2),))), (), Verdict.ACCEPT),
    ]
    plan = plan_of(RoutePolicy("p", clauses))
    assert plan is not None
    ((leaf, keys),) = plan.of(IPV4_UNICAST).parts(KEYS[:2])
    assert (leaf.rejects, keys, asked) == (True, KEYS[:2], ["a"])
