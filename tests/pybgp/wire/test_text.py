"""One line for any plain data, and what is no such line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.wire.text import from_text, to_text

_KEYS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
_PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(_PLAIN)
def test_any_plain_data_is_read_back(data: Any) -> None:
    assert from_text(to_text(data)) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("12", '"12"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ({"a": 1, "b": ["x y", None]}, 'a=1 b=["x y" null]'),
        ({"port": "=80"}, "port==80"),
        ({}, "{}"),
        ({"a": {"b": True}}, "a={b=true}"),
    ],
)
def test_what_it_looks_like(data: Any, text: str) -> None:
    assert to_text(data) == text
    assert from_text(text) == data


@pytest.mark.parametrize(
    "text", ["", "a b", "a=1 a=2", "[1", "{a=1", "{1", '"x', 'a="\\q"', "a=", "]", "[" * 40, "a=1 }", "9" * 6000]
)
def test_bad_text(text: str) -> None:
    with pytest.raises(LocalError, match="text"):
        from_text(text)


@settings(max_examples=300)
@given(st.text(alphabet='ab=1 {}[]"\\:.-', max_size=30))
def test_any_text_is_data_or_an_error(text: str) -> None:
    try:
        data = from_text(text)
    except LocalError:
        return
    assert from_text(to_text(data)) == data
