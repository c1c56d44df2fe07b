"""Changes that wait to be sent to a group of peers: of each prefix only the latest counts.

Most changes leave in the turn after they came, no two of them of the same prefix.  So they are kept as they came, and
looked at together when they leave, or when there are too many for one turn.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.rib.path import Addition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.rib.path import Change, Path

#: A path, or None for no more, and prefixes that it is the latest of.
Bucket: TypeAlias = "tuple[Path | None, Sequence[bytes]]"
#: What a path costs beside its prefixes, in prefixes.
BUCKET_COST: Final = 10
#: Of a change: its path, its prefixes, and both.
_path: Final = itemgetter(1)
_keys: Final = itemgetter(2)
_bucket: Final = itemgetter(1, 2)


class Batch(NamedTuple):
    """What is taken out at a time."""

    buckets: Sequence[Bucket]
    #: nobody had a path to any of these prefixes before these changes.
    are_new: bool


class Waiting:
    """A queue that can be sorted into buckets, one per path."""

    __slots__ = ("_added", "_buckets", "_has_stale_entries", "_latest", "_most", "_size")

    def __init__(self, most: int) -> None:
        """Sort at once what is more than so many prefixes, so that no turn has to sort everything."""
        self._most = most
        self._added: list[Change] = []
        #: prefixes in what was added, each as often as it comes.
        self._size = 0
        self._latest: dict[bytes, Path | None] = {}
        self._buckets: dict[Path | None, list[bytes]] = {}
        self._has_stale_entries = False

    def __len__(self) -> int:
        """Return how many prefixes wait, at most."""
        return len(self._latest) + self._size

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._added or self._buckets)

    def keys(self) -> Iterator[bytes]:
        """Yield the prefixes that wait, some of them more than once."""
        return chain(self._latest, *(keys for _, _, keys in self._added))

    def add(self, changes: Sequence[Change]) -> int:
        """Add changes of one family, and return how many prefixes they name."""
        self._added += changes
        added = sum(map(len, map(_keys, changes)))
        self._size += added
        if self._size > self._most:
            self._sort()
        return added

    def take(self, limit: int) -> Batch:
        """Take about ``limit`` prefixes out, each in one bucket, those of no path first; no bucket is empty."""
        size = self._size
        added = self._take_oldest(limit) if not self._buckets else []
        if not added:
            self._sort()
            return Batch(self._slice(limit), are_new=False)
        size -= self._size
        # What nobody had a path to can become so again only after a change that is no addition.
        are_new = set(map(type, added)) == {Addition}
        if are_new and len(set(map(_path, added))) == len(added) and all(map(_keys, added)):
            return Batch([*map(_bucket, added)], are_new)
        buckets = _merged(added)
        if not are_new and len(set().union(*buckets.values())) != size:
            buckets = _latest_only(added)
        gone = buckets.pop(None, ())
        taken: list[Bucket] = [(None, gone)] if gone else []
        taken += [bucket for bucket in buckets.items() if bucket[1]]
        return Batch(taken, are_new)

    def _take_oldest(self, limit: int) -> list[Change]:
        """Take the changes that came first, as many as cost no more than the limit; what came later is sent later."""
        if self._size + BUCKET_COST * len(self._added) <= limit + BUCKET_COST:
            oldest, self._added, self._size = self._added, [], 0
            return oldest
        costs = [*accumulate([len(keys) + BUCKET_COST for _, _, keys in self._added])]
        count = bisect_right(costs, limit + BUCKET_COST)
        oldest = self._added[:count]
        del self._added[:count]
        if count:
            self._size -= costs[count - 1] - BUCKET_COST * count
        return oldest

    def _sort(self) -> None:
        latest, buckets = self._latest, self._buckets
        for _, path, keys in self._added:
            expected = len(latest) + len(keys)
            latest.update(dict.fromkeys(keys, path))
            self._has_stale_entries = self._has_stale_entries or len(latest) < expected
            bucket = buckets.get(path)
            if bucket is None:
                buckets[path] = list(keys)
            else:
                bucket += keys
        self._added, self._size = [], 0

    def _slice(self, limit: int) -> list[Bucket]:
        """Take withdrawals first, and of a big bucket no more than the limit."""
        taken: list[Bucket] = []
        buckets, latest = self._buckets, self._latest
        while buckets and limit > 0:
            path: Path | None = None
            keys = buckets.pop(None, None)
            if keys is None:
                path, keys = buckets.popitem()
            if len(keys) > limit:
                buckets[path] = keys
                keys = keys[-limit:]
                del buckets[path][-limit:]
            limit -= len(keys) + BUCKET_COST
            if self._has_stale_entries:
                keys = [key for key in dict.fromkeys(keys) if key in latest and latest[key] is path]
            if keys:
                taken.append((path, keys))
        self._forget(taken)
        return taken

    def _forget(self, taken: Iterable[Bucket]) -> None:
        """These prefixes do not wait any more."""
        latest = self._latest
        if not self._buckets:
            latest.clear()
            self._has_stale_entries = False
            return
        for _, keys in taken:
            for key in keys:
                latest.pop(key, None)


def _merged(changes: Iterable[Change]) -> dict[Path | None, Sequence[bytes]]:
    """Return the prefixes of each path; those of a single change are shared with it."""
    buckets: dict[Path | None, Sequence[bytes]] = {}
    own: dict[Path | None, list[bytes]] = {}
    for _, path, keys in changes:
        known = buckets.setdefault(path, keys)
        if known is keys:
            continue
        if path not in own:
            buckets[path] = own[path] = list(known)
        own[path] += keys
    return buckets


def _latest_only(changes: Iterable[Change]) -> dict[Path | None, Sequence[bytes]]:
    """Return the prefixes of each path that is the latest of them."""
    latest: dict[bytes, Path | None] = {}
    for _, path, keys in changes:
        latest.update(dict.fromkeys(keys, path))
    buckets: dict[Path | None, list[bytes]] = {}
    for key, path in latest.items():
        buckets.setdefault(path, []).append(key)
    return dict(buckets)
