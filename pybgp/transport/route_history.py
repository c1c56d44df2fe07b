"""What changed lately in the Loc-RIB, when, and because of whom; bounded, and written per batch, never per prefix."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pybgp.rib.path import Change
    from pybgp.transport.cause import Cause
    from pybgp.wire.families import Family


class Entry(NamedTuple):
    """Changes of one moment and cause, as a wall-clock time in seconds."""

    time: float
    cause: Cause
    changes: Sequence[Change]


class RouteHistory:
    """The latest changes, no more than so many prefixes of them; the latest batch is there whatever its size.

    It keeps what tables share anyway: octets of prefixes, and paths.  A path that no table uses any more lives on while
    an entry names it.
    """

    __slots__ = ("_count", "_entries", "limit")

    def __init__(self, limit: int) -> None:
        """``limit`` counts prefixes, each as often as it changed."""
        if limit < 1:
            raise LocalError(f"history {limit}: at least 1 change expected")
        self.limit = limit
        self._entries: deque[tuple[int, Entry]] = deque()
        self._count = 0

    def __len__(self) -> int:
        """Return how many changes of prefixes are kept."""
        return self._count

    def note(self, now: float, cause: Cause, changes: Sequence[Change]) -> None:
        """Remember a batch, and forget the oldest ones beyond the limit."""
        count = 0
        for _, _, keys in changes:
            count += len(keys)
        entries = self._entries
        entries.append((count, Entry(now, cause, changes)))
        self._count += count
        while self._count > self.limit and len(entries) > 1:
            self._count -= entries.popleft()[0]

    def entries(self) -> Iterator[Entry]:
        """Yield what is kept, the oldest first; what comes meanwhile is not among it."""
        for _, entry in tuple(self._entries):
            yield entry

    def of_prefix(self, family: Family, key: bytes) -> Iterator[tuple[Entry, Change] | None]:
        """Yield each change of one prefix with its moment and cause, and None for every batch without one."""
        for entry in self.entries():
            found = [change for change in entry.changes if change.family == family and key in change.keys]
            if not found:
                yield None
            for change in found:
                yield entry, change

    def of_peer(self, name: str, names: Mapping[int, str]) -> Iterator[tuple[Entry, Change] | None]:
        """Yield what a peer caused, or what now leads to it; ``names`` are the peers by number."""
        for entry in self.entries():
            found = [
                change
                for change in entry.changes
                if entry.cause.peer == name or (change.path is not None and names.get(change.path.peer) == name)
            ]
            if not found:
                yield None
            for change in found:
                yield entry, change
