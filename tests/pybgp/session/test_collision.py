"""Which connection lives: a pure function that both sides must answer alike (RFC 4271 section 6.8, RFC 6286)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.session.collision import new_connection_wins
from pybgp.wire.messages import Open

numbers = st.integers(1, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("ours", "theirs", "new_is_incoming", "expected"),
    [
        (Open(1, 90, 1), Open(1, 90, 2), True, True),
        (Open(1, 90, 1), Open(1, 90, 2), False, False),
        (Open(1, 90, 2), Open(1, 90, 1), True, False),
        (Open(1, 90, 2), Open(1, 90, 1), False, True),
        (Open(1, 90, 5), Open(2, 90, 5), True, True),
        (Open(2, 90, 5), Open(1, 90, 5), True, False),
        (Open(1, 90, 0x7FFFFFFF), Open(1, 90, 0x80000000), True, True),
    ],
)
def test_the_higher_identifier_keeps_what_it_opened(
    ours: Open, theirs: Open, new_is_incoming: bool, expected: bool
) -> None:
    assert new_connection_wins(ours, theirs, new_is_incoming=new_is_incoming) is expected


@given(st.tuples(numbers, numbers), st.tuples(numbers, numbers), st.booleans())
def test_both_sides_keep_the_same_connection(first: tuple[int, int], second: tuple[int, int], incoming: bool) -> None:
    """What is incoming here is outgoing there, whichever side asks, in whichever order."""
    if first == second:
        return
    ours, theirs = (Open(asn, 90, router_id) for asn, router_id in (first, second))
    here = new_connection_wins(ours, theirs, new_is_incoming=incoming)
    there = new_connection_wins(theirs, ours, new_is_incoming=not incoming)
    in_other_order = new_connection_wins(ours, theirs, new_is_incoming=not incoming)
    assert here == there
    assert here != in_other_order
