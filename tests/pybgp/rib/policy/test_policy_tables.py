"""Policies read from TOML: what each key means, and every error with its place and hint."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.rib.path import Source
from pybgp.rib.policy import (
    AddCommunities,
    AsPathContains,
    AsPathLength,
    AsPathMatch,
    Clause,
    CommunityMatch,
    DeleteCommunities,
    FamilyMatch,
    LocalPrefMatch,
    NeighborAsMatch,
    NextHopMatch,
    NumberRange,
    OriginAsMatch,
    OriginMatch,
    PeerMatch,
    PolicyError,
    PrefixMatch,
    PrefixSet,
    Prepend,
    PrependLastAs,
    PrependOwn,
    SetKernelMetric,
    SetKernelSource,
    SetLocalPref,
    SetMed,
    SetNextHop,
    SetOrigin,
    SetPreference,
    SetTag,
    SourceMatch,
    TagMatch,
    ValidationMatch,
    Verdict,
    parse_policies,
    parse_range,
    read_policies,
)
from pybgp.rib.policy.community_pattern import parse_pattern
from pybgp.rib.policy.policy_words import ACTIONS, MATCHES
from pybgp.wire.families import IPV6_UNICAST
from pybgp.wire.iana import Origin

WHOLE = """
[prefix_set.customers]
prefixes = ["10.0.0.0/8 le 24", "2001:db8::/32 ge 48"]

[policy.import]
default = "accept"

[[policy.import.clause]]
name = "bogons"
match = { prefix = ["192.168.0.0/16 le 32", "0.0.0.0/0"], source = "ebgp" }
then = "reject"

[[policy.import.clause]]
match = { prefix_set = "customers", community = ["65000:*", "no-export"], as_path_length = "-5" }
set = { local_pref = "+50", community_add = "65000:1", tag = "customer" }

[[policy.import.clause]]
name = "last"
match.as_path = "_65001$"
match.family = "ipv6-unicast"
set.med = "remove"
then = "accept"

[policy.nothing]
"""


def clauses_of(match: str = "", set_: str = "", *, sets: str = "") -> tuple[Any, ...]:
    text = f"{sets}\n[[policy.p.clause]]\nmatch = {{ {match} }}\nset = {{ {set_} }}\nthen = 'accept'\n"
    return parse_policies(text)["p"].clauses


def test_a_whole_document() -> None:
    policies = parse_policies(WHOLE)
    assert set(policies) == {"import", "nothing"}
    assert policies["nothing"].default is Verdict.REJECT
    policy = policies["import"]
    assert policy.default is Verdict.ACCEPT
    bogons, customers, last = policy.clauses
    assert bogons == Clause(
        "bogons",
        (PrefixMatch(PrefixSet.of("192.168.0.0/16 le 32", "0.0.0.0/0")), SourceMatch(frozenset({Source.EBGP}))),
        (),
        Verdict.REJECT,
    )
    assert customers == Clause(
        "clause-2",
        (
            PrefixMatch(PrefixSet.of("10.0.0.0/8 le 24", "2001:db8::/32 ge 48")),
            AsPathLength((NumberRange(0, 5),)),
            CommunityMatch((parse_pattern("65000:*"), parse_pattern("no-export"))),
        ),
        (SetLocalPref(50, relative=True), AddCommunities((parse_pattern("65000:1"),)), SetTag("customer")),
        Verdict.NEXT,
    )
    assert last.matches == (FamilyMatch(frozenset({IPV6_UNICAST})), AsPathMatch(("_65001$",)))  # type: ignore[union-attr]
    assert last.actions == (SetMed(None),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("next_hop = ['192.0.2.1', '10.0.0.0/8', '::1']", None),
        ("med = [5, '7-', '-2', '3 - 4']", None),
        ("origin = ['igp', 'egp']", OriginMatch(frozenset({Origin.IGP, Origin.EGP}))),
        ("validation = 'invalid'", ValidationMatch(frozenset({"invalid"}))),
        (
            "as_path_contains = [64512, '65000-65009']",
            AsPathContains((NumberRange(64512, 64512), NumberRange(65000, 65009))),
        ),
        ("origin_as = 65001", OriginAsMatch((NumberRange(65001, 65001),))),
        ("neighbor_as = 65001", NeighborAsMatch((NumberRange(65001, 65001),))),
        ("peer = 'a'", PeerMatch(frozenset({"a"}))),
        ("local_pref = '-9'", LocalPrefMatch((NumberRange(0, 9),))),
        ("tag = ''", TagMatch(frozenset({""}))),
        ("community_all = ['1:1', 'rt:1:2']", CommunityMatch((parse_pattern("1:1"), parse_pattern("rt:1:2")), True)),
    ],
)
def test_conditions(match: str, expected: object) -> None:
    ((condition,),) = (clause.matches for clause in clauses_of(match))
    if expected is not None:
        assert condition == expected
    elif match.startswith("med"):
        low, high = 0, 2**32 - 1
        assert condition.ranges == tuple(NumberRange(*pair) for pair in ((5, 5), (7, high), (low, 2), (3, 4)))
    else:
        texts = ("192.0.2.1/32", "10.0.0.0/8 ge 32", "::1/128")
        assert condition == NextHopMatch(PrefixSet(map(parse_range, texts)))


@pytest.mark.parametrize(
    ("set_", "expected"),
    [
        ("local_pref = 5", SetLocalPref(5)),
        ("med = '-10'", SetMed(-10, relative=True)),
        ("preference = 150", SetPreference(150)),
        ("next_hop = 'self'", SetNextHop("self")),
        ("next_hop = '2001:DB8::1'", SetNextHop("2001:db8::1")),
        ("prepend = 3", PrependOwn(3)),
        ("prepend = [65001, 65002]", Prepend((65001, 65002))),
        ("prepend_last_as = 2", PrependLastAs(2)),
        ("community_delete = '*:666'", DeleteCommunities((parse_pattern("*:666"),))),
        ("origin = 'igp'", SetOrigin(Origin.IGP)),
        ("kernel_metric = 5", SetKernelMetric(5)),
        ("kernel_source = '192.0.2.1'", SetKernelSource(("192.0.2.1",))),
        ("kernel_source = ['2001:DB8::1', '192.0.2.1']", SetKernelSource(("2001:db8::1", "192.0.2.1"))),
    ],
)
def test_actions(set_: str, expected: object) -> None:
    ((action,),) = (clause.actions for clause in clauses_of(set_=set_))
    assert action == expected


def test_actions_are_done_in_the_order_of_the_vocabulary() -> None:
    (clause,) = clauses_of(set_="tag = 'a', community_add = '1:1', community_set = [], local_pref = 1")
    assert [type(action).__name__ for action in clause.actions] == [
        "SetLocalPref",
        "SetCommunities",
        "AddCommunities",
        "SetTag",
    ]


def problems_of(text: str, files: dict[str, str] | None = None) -> Sequence[str]:
    def read(name: str) -> str:
        try:
            return (files or {})[name]
        except KeyError as error:
            raise FileNotFoundError("no such file") from error

    return [str(problem) for problem in read_policies(tomllib.loads(text), read_file=read, clock=thread_time).problems]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("comunity = 'no-export'", "no such key; did you mean 'community'?"),
        ("community = 'no-exprot'", "no such community; did you mean 'no-export'?"),
        ("community = ['1:1', 'x']", "match.community[1]: policy.p.clause.match.community: community 'x'"),
        ("community = []", "not an empty list"),
        ("community = 5", "expected a text, not 5"),
        ("community = true", "expected a community, not True"),
        ("prefix = '10.0.0.0/8 le 4'", "no prefix fits; 8 <= ge <= le <= 32"),
        ("prefix = '10.0.0.1/8'", "host bits"),
        ("prefix_set = 'custmers'", "no such prefix set 'custmers'; did you mean 'customers'?"),
        ("prefix_set = 'x'", "a [prefix_set.x] table is expected"),
        ("as_path = '('", "no regular expression"),
        ("as_path = 'a{99999999999}'", "no regular expression: the repetition number is too large"),
        (f"as_path = '{'(' * 2000}{')' * 2000}'", "no regular expression: maximum recursion depth exceeded"),
        ("as_path = ['65001', '^(([0-9]+)+ ?)+$']", "takes too long on long paths; avoid * or +"),
        ("as_path = '_[0-9]*[0-9]*[0-9]*[0-9]*x'", "takes too long"),
        ("next_hop = '10.0.0.0/8 ge 9'", "leave ge and le out"),
        ("next_hop = 'fe80::1%eth0'", "expected an address or a prefix"),
        ("prefix = '10.0.0.0/33'", "a length from 0 to 32 is expected, not '33'"),
        ("prefix = '10.0.0/8'", "'10.0.0' is no IPv4 or IPv6 address"),
        ("prefix = '2001:db8::1/64'", "did you mean 2001:db8::/64?"),
        ("prefix = 'fe80::%eth0/64'", "leave the % out"),
        ("prefix = '10.0.0.0/8 le \uff12\uff14'", "only ge LENGTH and le LENGTH"),
        ("as_path_length = '9-5'", "'9-5' is an impossible range"),
        ("as_path_length = 'few'", "expected a number, or a range"),
        ("med = 4294967296", "impossible range"),
        ("med = -1", "impossible range"),
        ("origin = 'ibgp'", "expected one of 'igp', 'egp', 'incomplete', not 'ibgp'; did you mean 'igp'?"),
        ("validation = 'unknown'", "expected one of 'valid', 'invalid', 'not-found'"),
        ("next_hop = 'here'", "expected an address or a prefix, not 'here'"),
        ("source = 'static'", "expected one of 'local', 'ebgp', 'ibgp'"),
        ("peer = ''", "expected a text"),
    ],
)
def test_errors_of_conditions(match: str, words: str) -> None:
    text = f"[prefix_set.customers]\nprefixes=['10.0.0.0/8']\n[[policy.p.clause]]\nthen='accept'\nmatch={{ {match} }}\n"
    (problem,) = problems_of(text)
    assert words in problem
    assert problem.startswith(f"policy.p.clause[0].match.{match.split(maxsplit=1)[0]}")


@pytest.mark.parametrize(
    ("set_", "words"),
    [
        ("local_perf = 5", "did you mean 'local_pref'?"),
        ("local_pref = -5", "expected a whole number from 0 to 4294967295"),
        ("local_pref = '5'", '"+N" or "-N" to add, not \'5\''),
        ("local_pref = '+9999999999'", "expected a whole number"),
        ("next_hop = 'me'", 'expected "self", "peer", "unchanged" or an address'),
        ("prepend = 0", "from 1 to 255, not 0"),
        ("prepend = [0]", "set.prepend[0]"),
        ("prepend = 1000", "from 1 to 255, not 1000"),
        ("community_add = '65000:*'", "without * is expected"),
        ("community_add = 'blackhol'", "did you mean 'blackhole'?"),
        ("origin = 'x'", "expected one of 'igp'"),
        ("tag = 1", "expected a text"),
        ("next_hop = '0.0.0.0'", "or an address of a host"),
        ("next_hop = '224.0.0.1'", "or an address of a host"),
        ("next_hop = 'fe80::1%eth0'", "or an address of a host"),
        ("kernel_metric = 0", "expected a whole number from 1 to 4294967295, not 0"),
        ("kernel_source = 'lo'", "expected an address of a host, not 'lo'"),
        ("kernel_source = '224.0.0.1'", "expected an address of a host"),
        ("kernel_source = ['192.0.2.1', '192.0.2.2']", "expected an address, or one of each family"),
        (f"prepend = {[65001] * 256}", "256 AS numbers; at most 255 are expected"),
    ],
)
def test_errors_of_actions(set_: str, words: str) -> None:
    (problem,) = problems_of(f"[[policy.p.clause]]\nset = {{ {set_} }}\n")
    assert words in problem
    assert problem.startswith(f"policy.p.clause[0].set.{set_.split(maxsplit=1)[0]}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy = 5", "expected [policy.NAME] tables"),
        ("[policy]\np = 5", "expected a table, not 5"),
        ("[policy.p]\nclause = 5", "expected [[policy.p.clause]] tables, not 5"),
        ("[policy.p]\nclause = [5]", "expected a table, not 5"),
        ("[policy.p]\ndefault = 'next'", "expected one of 'accept', 'reject', not 'next'"),
        ("[policy.p]\nclauses = []", "no such key; did you mean 'clause'?"),
        ("[[policy.p.clause]]\nthen = 'drop'", "expected one of 'accept', 'reject', 'next', not 'drop'"),
        ("[[policy.p.clause]]\nname = 5", "expected a text, not 5"),
        ("[[policy.p.clause]]\nmatch = 5", "expected a table, not 5"),
        ("[prefix_set.s]\nprefixes = '10.0.0.0/8'", "expected a list of prefixes"),
        ("[prefix_set.s]\nprefixes = ['10.0.0.0/8', 7]", "prefix_set.s.prefixes[1]"),
        ("[prefix_set.s]\nprefixes = ['10.0.0.0/8', '10/8']", "prefix_set.s.prefixes[1]"),
        ("[prefix_set.s]\nfiles = []", "did you mean 'file'?"),
        ("[prefix_set.s]\nfile = 5", "expected the name of a file"),
        ("[prefix_set.s]\nfile = 'gone'", "gone: cannot be read: no such file"),
        ('[prefix_set.s]\nfile = "a\\nb"', "'a\\nb': cannot be read"),
        ("[policy.'']\ndefault = 'accept'", 'policy."": expected a name'),
        ('[policy."a\\nb"]\ndefault = 5', 'policy."a\\nb".default: expected one of'),
        ("[policy.p]\ndefault = true", "not true"),
        (f"[prefix_set.s]\nprefixes = ['{'9' * 5000}']", "99..."),
        (f"[prefix_set.s]\nprefixes = '{'9' * 5000}'", "99..."),
    ],
)
def test_errors_of_tables(text: str, words: str) -> None:
    (problem,) = problems_of(text)
    assert words in problem


def test_a_file_of_prefixes_has_lines() -> None:
    files = {"list": "# ours\n10.0.0.0/8 le 24  # all\n\n10.0.0.0/33\n"}
    (problem,) = problems_of("[prefix_set.s]\nfile = 'list'", files)
    assert problem.startswith("list:4: prefix '10.0.0.0/33'")
    document = (
        "[prefix_set.s]\nfile = 'list'\nprefixes = ['::/0']\n[[policy.p.clause]]\nmatch.prefix_set = 's'\nthen='accept'"
    )
    policies = parse_policies(document, read_file=lambda name: files[name].replace("33", "9"))
    (clause,) = policies["p"].clauses
    assert clause.matches == (PrefixMatch(PrefixSet.of("10.0.0.0/8 le 24", "10.0.0.0/9", "::/0")),)  # type: ignore[union-attr]


def test_every_problem_is_found_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policies("[policy.p]\ndefault = 'x'\nfoo = 1\n[other]\n")
    assert len(caught.value.problems) == 3
    with pytest.raises(PolicyError, match="table declaration"):
        parse_policies("[policy")


def warnings_of(*clauses: str) -> list[str]:
    text = "".join(f"[[policy.p.clause]]\n{clause}\n" for clause in clauses)
    book = read_policies(tomllib.loads(text))
    assert not book.problems
    return [str(warning) for warning in book.warnings]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("", "match.med = 5"),
        ("match.prefix = '10.0.0.0/8 le 24'", "match.prefix = ['10.1.0.0/16', '10.2.0.0/16 ge 20 le 24']"),
        ("match.med = '5-9'", "match = { med = [6, '7-8'], origin = 'igp' }"),
        ("match.origin = ['igp', 'egp']", "match.origin = 'egp'"),
        ("match.community = ['1:1', '1:2']", "match.community = '1:2'"),
        ("match.community_all = ['1:1']", "match.community_all = ['1:1', '1:2']"),
        ("match.peer = ['a', 'b']", "match.peer = 'a'"),
    ],
)
def test_shadowed_clauses_are_told(earlier: str, later: str) -> None:
    (warning,) = warnings_of(f"{earlier}\nname = 'first'\nthen = 'reject'", f"{later}\nthen = 'accept'")
    assert warning == "policy.p.clause[1]: policy.p.clause: never reached: clause first decides all that it matches"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("match.prefix = '10.0.0.0/8 le 24'", "match.prefix = '10.1.0.0/16 le 25'"),
        ("match = { med = 5, origin = 'igp' }", "match.med = 5"),
        ("match.community_all = ['1:1', '1:2']", "match.community_all = ['1:1']"),
        ("match.community_all = ['1:1']", "match.community = ['1:1']"),
        ("match.community = '1:1'", ""),
    ],
)
def test_what_is_reached_is_not_called_shadowed(earlier: str, later: str) -> None:
    assert not warnings_of(f"{earlier}\nthen = 'reject'", f"{later}\nthen = 'accept'")


def test_a_change_between_can_let_routes_fall_through() -> None:
    first, change = "match.med = 5\nthen = 'reject'", "set.med = 5"
    assert not warnings_of(first, change, "match.med = 5\nthen = 'accept'")
    assert warnings_of("match.source = 'ebgp'\nthen = 'reject'", change, "match.source = 'ebgp'\nthen = 'accept'")


def test_what_does_nothing_is_told() -> None:
    assert "does nothing" in warnings_of("match.med = 5")[0]
    assert "nothing is set beside" in warnings_of("set.med = 5\nthen = 'reject'")[0]
    (warning,) = read_policies({"prefix_set": {"s": {"prefixes": []}}}).warnings
    assert "empty" in warning.text


def test_what_is_strange_is_told() -> None:
    (same_name,) = warnings_of("name = 'a'\nset.med = 5", "name = 'a'\nthen = 'accept'")
    assert same_name == "policy.p.clause[1]: policy.p.clause: another clause is called a too"
    (other_family,) = warnings_of("match = { family = 'ipv4-unicast', prefix = '::/0 le 48' }\nthen = 'accept'")
    assert "never matches: prefix ::/0 le 48 has nothing of family ipv4-unicast" in other_family
    assert not warnings_of("match = { family = 'ipv4-unicast', prefix = ['::/0', '10.0.0.0/8'] }\nthen = 'accept'")


def test_expressions_stand_alone() -> None:
    match = AsPathMatch((r"(1) \1", r"(2) \1", "(?i)x"))
    assert [bool(pattern.search("3 2 2")) for pattern in match.patterns] == [False, True, False]


WORDS = st.sampled_from(
    ["prefix", "prefixes", "file", "clause", "match", "set", "then", "name", "default", *MATCHES, *ACTIONS, "x"]
)
TEXTS = st.sampled_from(
    [
        "10.0.0.0/8",
        "::/0 le 48",
        "1:1",
        "rt:1:*",
        "9" * 5000,
        "-" + "9" * 5000,
        "9" * 5000 + ":1",
        "10.0.0.0/8 le " + "9" * 5000,
        "",
        "self",
        "igp",
        "accept",
        "5-",
        "+5",
        "no-export",
        "(",
        "rt:" + "9" * 5000 + ":1",
        "1.2.3." + "9" * 5000 + "/8",
        "٣:٣",
    ]
) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
CLAUSES = st.fixed_dictionaries(
    {},
    optional={"match": st.dictionaries(WORDS, VALUES, max_size=4), "set": st.dictionaries(WORDS, VALUES, max_size=4)},
)
POLICY_TABLES = st.fixed_dictionaries({"clause": st.lists(CLAUSES, max_size=3)}) | VALUES


@given(st.dictionaries(WORDS, POLICY_TABLES, max_size=2) | VALUES, st.dictionaries(WORDS, VALUES, max_size=2) | VALUES)
def test_any_tables_are_read_or_refused(policies: object, sets: object) -> None:
    book = read_policies({"policy": policies, "prefix_set": sets}, read_file=lambda name: name)
    for policy in book.policies.values():
        hash(policy)
        assert str(policy.clauses)
    for problem in (*book.problems, *book.warnings):
        assert problem.where.startswith(("policy", "prefix_set")) or problem.text.startswith("prefix ")


MANY = "9" * 5000


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("community", f"{MANY}:1"),
        ("community", f"rt:{MANY}:1"),
        ("community", f"color:{MANY}"),
        ("community", "٣:٣"),
        ("med", MANY),
        ("med", f"5-{MANY}"),
        ("med", "٣"),
        ("prefix", f"10.0.0.0/8 le {MANY}"),
        ("prefix", f"1.2.3.{MANY}/8"),
        ("prefix", "1.2.3.٣/32"),
    ],
)
def test_numbers_beyond_all_bounds_are_refused(word: str, value: str) -> None:
    tables = {"policy": {"p": {"clause": [{"match": {word: value}, "then": "accept"}]}}}
    assert len(read_policies(tables).problems) == 1


@pytest.mark.parametrize("word", ["local_pref", "med", "preference"])
def test_steps_beyond_all_bounds_are_refused(word: str) -> None:
    tables = {"policy": {"p": {"clause": [{"set": {word: f"+{MANY}"}}]}}}
    assert len(read_policies(tables).problems) == 1


@pytest.mark.parametrize("value", ["[", "[" * 3000 + "]" * 3000, "9" * 5000])
def test_a_text_that_cannot_be_parsed_is_one_problem(value: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policies(f"x = {value}")
    assert [problem.where for problem in caught.value.problems] == ["policies"]
