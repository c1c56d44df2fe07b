"""The selector language (spec/calico.md section 1.6, invariant 21)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.model.selectors import (
    All,
    Both,
    Compare,
    Either,
    Has,
    Membership,
    Not,
    Selector,
    SelectorError,
    parse_selector,
)

LABELS = {"role": "db", "zone": "north-1", "empty": ""}

LABEL_NAMES = st.from_regex(r"[A-Za-z0-9_./-]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(blacklist_characters="'", min_codepoint=32, max_codepoint=126), max_size=8)
LEAVES = st.one_of(
    st.builds(All, name=st.sampled_from(["all", "global"])),
    st.builds(Has, label=LABEL_NAMES),
    st.builds(
        Compare,
        label=LABEL_NAMES,
        operator=st.sampled_from(["==", "!=", "contains", "starts with", "ends with"]),
        value=VALUES,
    ),
    st.builds(Membership, label=LABEL_NAMES, values=st.lists(VALUES, max_size=3).map(tuple), negated=st.booleans()),
)
SELECTORS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, operand=inner),
        st.builds(Both, operands=st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Either, operands=st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("  ", True),
        ("all()", True),
        ("global()", True),
        ("has(role)", True),
        ("has(missing)", False),
        ("!has(missing)", True),
        ("!!has(role)", True),
        ('role == "db"', True),
        ("role == 'db'", True),
        ("role=='db'", True),
        ('role != "db"', False),
        ('missing != "x"', True),
        ('missing == ""', False),
        ('empty == ""', True),
        ('role in {"web", "db"}', True),
        ('role in {"web"}', False),
        ("role in {}", False),
        ('missing not in {"x"}', True),
        ('role not in {"db"}', False),
        ('zone contains "rth"', True),
        ('zone starts with "north"', True),
        ('zone ends with "-1"', True),
        ('missing contains ""', False),
        ('has(role) || has(missing) && role == "web"', True),
        ('(has(role) || has(missing)) && role == "web"', False),
        ("has(has)", False),
        ("has == 'x' || all == 'y'", False),
        ("in in {'a'} || not not in {'a'}", True),
    ],
)
def test_evaluation(text: str, expected: bool) -> None:
    assert parse_selector(text).matches(LABELS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "role",
        "role ==",
        "role == db",
        'role == "db',
        "has()",
        "has(role",
        "all",
        "(has(a)",
        "has(a))",
        "has(a) &&",
        "|| has(a)",
        "has(a) has(b)",
        'role in {"a" "b"}',
        'role in {"a",}',
        'role not "a"',
        'role starts "a"',
        "role ~ 'a'",
        "role = 'a'",
        "a\n== 'b'",
        "x" * 513 + " == 'a'",
        "(" * 200 + "all()" + ")" * 200,
        "!" * 5000 + "all()",
    ],
)
def test_bad_selectors_are_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)


@given(SELECTORS)
def test_invariant_21_print_and_parse_is_identity_of_meaning_and_text(selector: Selector) -> None:
    text = str(selector)
    parsed = parse_selector(text)
    assert str(parsed) == text
    assert parsed.matches(LABELS) is selector.matches(LABELS)


@given(SELECTORS, st.dictionaries(LABEL_NAMES, VALUES, max_size=4))
def test_invariant_21_evaluation_is_total(selector: Selector, labels: dict[str, str]) -> None:
    assert selector.matches(labels) in {True, False}


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    try:
        parse_selector(text)
    except SelectorError:
        return
