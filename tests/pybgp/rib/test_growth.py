"""A dict that is told to grow has done so before it had to, and holds what it held."""

from __future__ import annotations

import gc
import sys

import pytest

from pybgp.rib.growth import _FULL, _ROOM, Growth, copied


def grown_at(growth: Growth | None, count: int) -> list[int]:
    """The lengths of a dict at which it grew, above those that `Growth` looks at."""
    entries: dict[bytes, None] = {}
    found: list[int] = []
    for number in range(count):
        before = sys.getsizeof(entries)
        entries[number.to_bytes(4, "big")] = None
        if growth is not None and len(entries) >= growth.due_at:
            growth.grow(entries)
        if sys.getsizeof(entries) != before and number > _FULL[0] // 2 + _ROOM:
            found.append(len(entries))
    assert list(entries) == [number.to_bytes(4, "big") for number in range(count)]
    return found


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="other dicts grow in other ways")
@pytest.mark.parametrize("rounds", [1, 2])
def test_a_table_grows_ahead_of_one_that_is_not_told(rounds: int) -> None:
    alone = grown_at(None, 400_000)
    assert len(alone) == 3
    told = grown_at(Growth(rounds), 400_000)
    assert told == [length - rounds * _ROOM - 1 for length in alone]


def test_a_dict_that_has_lost_entries_keeps_the_others() -> None:
    growth, entries = Growth(), {number.to_bytes(4, "big"): number for number in range(_FULL[0] - 10)}
    for number in range(0, 50_000, 2):
        del entries[number.to_bytes(4, "big")]
    left = dict(entries)
    growth.grow(entries)
    assert entries == left
    assert growth.due_at > len(entries)


def test_a_big_copy_is_old_from_the_beginning() -> None:
    entries: dict[int, object] = {number: [] for number in range(180_000)}
    for number in range(0, 180_000, 1000):
        del entries[number]
    copy = copied(entries)
    assert copy == entries
    assert all(one is not copy for generation in (0, 1) for one in gc.get_objects(generation))
    assert gc.is_tracked(copy)
