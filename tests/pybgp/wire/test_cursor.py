"""The bounded reader never passes its end."""

from __future__ import annotations

import pytest

from pybgp.wire.cursor import Cursor, EndOfDataError


def test_fields_in_order() -> None:
    cursor = Cursor(b"\x01\x02\x03\x04\x05")
    assert (cursor.number(1), cursor.number(2), cursor.remaining, cursor.rest()) == (1, 0x0203, 2, b"\x04\x05")
    assert cursor.remaining == 0


def test_a_reader_of_a_part_ends_where_the_part_ends() -> None:
    cursor = Cursor(b"\x01\x02\x03\x04", 1)
    inner = cursor.within(2)
    assert cursor.rest() == b"\x04"
    assert inner.take(2) == b"\x02\x03"
    with pytest.raises(EndOfDataError):
        inner.take(1)


@pytest.mark.parametrize("count", [4, 5, 100])
def test_a_read_past_the_end(count: int) -> None:
    cursor = Cursor(b"\x01\x02\x03")
    with pytest.raises(EndOfDataError):
        cursor.take(count)
    assert cursor.position == 0
    with pytest.raises(EndOfDataError):
        cursor.within(count)
