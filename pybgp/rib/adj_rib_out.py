"""What a group of peers has been told (RFC 4271 section 3.2): key to the path, or to what was made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from pybgp.rib.growth import Growth, copied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Path

#: A path that left plainly, which says all there is to know of it, or what another one became.
Told: TypeAlias = "Path | Exported"


class AdjRibOut:
    """Follows the Loc-RIB as long as that only grows; from then on it has a dict of its own.

    A group that tells everything it hears has told what is in the Loc-RIB, but for what still waits and for exceptions.
    To enter a million routes once more costs more than to encode them; to copy them when they begin to differ, little.
    """

    __slots__ = ("_best", "_entries", "_exceptions", "_growth", "published")

    def __init__(self) -> None:
        """Nothing has been told."""
        self._entries: dict[bytes, Told] = {}
        self._growth = Growth(rounds=2)
        self._best: Mapping[bytes, Path] | None = None
        self._exceptions: dict[bytes, Exported | None] = {}
        #: while it follows: how many additions to the Loc-RIB, in its order, the group has heard of.
        self.published = 0

    @property
    def is_following(self) -> bool:
        """Whether the Loc-RIB stands for it."""
        return self._best is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been told, and it does not follow."""
        return self._best is None and not self._entries

    def follow(self, best: Mapping[bytes, Path]) -> None:
        """Begin to follow a Loc-RIB, while this is empty; what is there already is about to be told."""
        self._best, self.published = best, 0

    def except_for(self, keys: Iterable[bytes], told: Exported | None) -> None:
        """Note what did not leave plainly while this follows."""
        self._exceptions.update(dict.fromkeys(keys, told))

    def get(self, key: bytes) -> Told | None:
        """Return an entry; only when nothing waits to be told."""
        if self._best is None:
            return self._entries.get(key)
        return self._exceptions[key] if key in self._exceptions else self._best.get(key)

    def settle(self, waiting: Iterable[bytes]) -> None:
        """End to follow: take a copy, without what was not told yet."""
        if self._best is None:
            return
        entries = copied(cast("dict[bytes, Told]", self._best))
        for _ in range(len(entries) - self.published):
            entries.popitem()
        for key in waiting:
            entries.pop(key, None)
        for key, told in self._exceptions.items():
            if told is None:
                del entries[key]
            else:
                entries[key] = told
        self._best, self._entries, self._exceptions = None, entries, {}

    @property
    def entries(self) -> dict[bytes, Told]:
        """Everything that was told, to read and to write; only while this does not follow."""
        return self._entries

    def make_room(self) -> None:
        """Let a table grow that is nearly full, ahead of others."""
        if len(self._entries) >= self._growth.due_at:
            self._growth.grow(self._entries)
