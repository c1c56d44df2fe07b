"""Changes of the Loc-RIB as an asynchronous iterator that never grows beyond the table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pybgp.rib.path import Change, Path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from pybgp.wire.families import Family

    Filter = Callable[[Family, bytes], bool]


def inside(family: Family, outer: bytes) -> Filter:
    """Return a test for prefixes of a family that lie inside another, itself included."""
    length, octets = outer[0], outer[1:]
    whole, bits = divmod(length, 8)

    def is_inside(other_family: Family, key: bytes) -> bool:
        if other_family != family or key[0] < length or key[1 : 1 + whole] != octets[:whole]:
            return False
        return not bits or (key[1 + whole] ^ octets[whole]) >> (8 - bits) == 0

    return is_inside


class RouteWatch:
    """Holds the latest state of each prefix that its reader has not seen yet."""

    def __init__(self, wanted: Filter | None = None) -> None:
        """Everything is wanted without a filter."""
        self._wanted = wanted
        self._latest: dict[Family, dict[bytes, Path | None]] = {}
        self._filled = asyncio.Event()

    def put(self, changes: Iterable[Change]) -> None:
        """Note changes; an unread state of the same prefix is replaced."""
        for family, path, keys in changes:
            kept = keys if self._wanted is None else [key for key in keys if self._wanted(family, key)]
            if kept:
                self._latest.setdefault(family, {}).update(dict.fromkeys(kept, path))
                self._filled.set()

    def take(self) -> list[Change]:
        """Return what is unread, grouped by path, and start anew."""
        unread, self._latest = self._latest, {}
        self._filled.clear()
        changes: list[Change] = []
        for family, latest in unread.items():
            buckets: dict[Path | None, list[bytes]] = {}
            for key, path in latest.items():
                buckets.setdefault(path, []).append(key)
            changes += [Change(family, path, keys) for path, keys in buckets.items()]
        return changes

    async def read(self) -> AsyncIterator[Change]:
        """Yield changes for ever."""
        while True:
            await self._filled.wait()
            for change in self.take():
                yield change
