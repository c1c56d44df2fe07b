"""Big tables grow one at a time, so that no turn of a program has to wait for two of them.

A dict that is full copies itself, which takes tens of milliseconds for a million entries.  Tables of the same routes
are full at the same time; whoever is told to grow ahead of the others does so in an earlier turn.  How full is full is
a fact of CPython; elsewhere nothing is gained or lost.
"""

from __future__ import annotations

import gc
import sys
from typing import Any, Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: A dict of 2**bits places is full when two thirds of them are taken.
_FULL: Final = tuple((2 << bits) // 3 for bits in range(17, 26))
#: More entries than one read of a connection usually adds.
_ROOM: Final = 8192


class Growth:
    """When one dict that only grows has to be told."""

    __slots__ = ("_ahead", "due_at")

    def __init__(self, rounds: int = 1) -> None:
        """``rounds`` of reads ahead of being full; tables with different numbers do not grow together."""
        self._ahead = rounds * _ROOM
        self.due_at = _FULL[0] - self._ahead

    def grow(self, entries: dict[Any, Any]) -> None:
        """Let a dict grow that has reached `due_at`."""
        size, added = sys.getsizeof(entries), 0
        full = next((full for full in _FULL if full > len(entries)), sys.maxsize)
        while len(entries) <= full and added <= self._ahead and sys.getsizeof(entries) == size:
            # No key of a table is a number.
            entries[added] = None
            added += 1
        for number in range(added):
            del entries[number]
        self.due_at = next((full for full in _FULL if full - self._ahead > len(entries)), sys.maxsize) - self._ahead


def copied(entries: dict[K, V]) -> dict[K, V]:
    """Return a copy, made as one block even where some entries were deleted.

    To the garbage collector a big one is as old as everything else from the beginning: a young one it would look at
    whole in its next two passes, each of which takes longer than the copy.
    """
    copy = entries.copy()
    if len(copy) >= _FULL[0]:
        # What is frozen and thawed belongs to the oldest generation; nothing is looked at for that.
        gc.freeze()
        gc.unfreeze()
    return copy
