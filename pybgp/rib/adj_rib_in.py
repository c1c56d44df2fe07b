"""What one peer told us in one family, before the choice: raw key to path (RFC 4271 section 3.2)."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, islice
from typing import TYPE_CHECKING

from pybgp.rib.growth import copied
from pybgp.rib.path import BGP_PREFERENCE, POLICY_REJECTED
from pybgp.wire.nlri import PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pybgp.rib.glance import Glance
    from pybgp.rib.path import Path
    from pybgp.rib.policy.plan import Leaf, Plan
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes

#: Caches of paths are swept when they have doubled, but never below this size.
SMALLEST_SWEEP = 4096


class AdjRibIn:
    """Routes of one peer in one family; with ADD-PATH the raw key begins with the peer's path identifier."""

    __slots__ = (
        "_leaving_keys",
        "_leaving_paths",
        "_sweep",
        "add_path",
        "glance",
        "imported",
        "interned",
        "judged",
        "leaving",
        "path_ids",
        "peer",
        "plan",
        "refused",
        "replaced",
        "routes",
        "source",
        "stale",
        "sweep_at",
        "taken",
        "unmarked",
    )

    def __init__(self, peer: RibPeer, *, add_path: bool) -> None:
        """``add_path``: the peer's keys carry path identifiers."""
        self.peer = peer
        self.source = peer.source
        self.add_path = add_path
        #: there while import takes everything that may be considered at all, or does what a plan says.
        self.glance: Glance | None = None
        self.plan: Plan | None = None
        self.routes: dict[bytes, Path] = {}
        #: ADD-PATH only: prefix to the identifiers under which it is present, ascending, four octets each.
        self.path_ids: dict[bytes, bytes] = {}
        #: raw keys not refreshed since the session was lost or a refresh began (RFC 4724 section 4.2), in the order in
        #: which they were announced; a dict, because those of a big table are copied at once.
        self.stale: dict[bytes, Path] = {}
        #: those of them that are yet to be taken, while they are taken in slices.
        self._sweep: Iterator[bytes] | None = None
        #: raw keys of those that are still to be marked as a last resort (RFC 9494 section 4.2).
        self.unmarked: list[bytes] = []
        #: how many routes the peer has no longer, but the Loc-RIB may still have: see `leave`.
        self.leaving = 0
        self._leaving_keys: Iterator[bytes] = iter(())
        self._leaving_paths: Iterator[Path] = iter(())
        #: what import made of an attribute set, where that does not depend on the prefix.
        self.imported: dict[Attributes, Path] = {}
        #: the same for the prefixes that end at one leaf of the plan.
        self.judged: defaultdict[Leaf, dict[Attributes, Path]] = defaultdict(dict)
        #: one path object per meaning, so that an equal route after a restart is the same object ...
        self.interned: dict[tuple[object, ...], Path] = {}
        #: ... and those of routes that are taken as they came, which nearly all are.
        self.taken: dict[Attributes, Path] = {}
        #: those of routes that import policy did not accept.
        self.refused: dict[Attributes, Path] = {}
        #: routes replaced or withdrawn since unused paths were forgotten: no more paths than that can be unused.
        self.replaced = 0
        self.sweep_at = SMALLEST_SWEEP

    def intern(self, path: Path) -> Path:
        """Return the path that already means the same, or keep this one."""
        preference, label = path.preference, path.label
        if path.rejection == POLICY_REJECTED and path.attributes is path.received:
            return self.refused.setdefault(path.received, path)
        as_it_came = path.attributes is path.received and not path.rejection
        if as_it_came and preference == BGP_PREFERENCE and not label:
            return self.taken.setdefault(path.received, path)
        meaning = (path.received, path.attributes, path.rejection, preference, label)
        return self.interned.setdefault(meaning, path)

    def paths_at(self, leaf: Leaf) -> dict[Attributes, Path]:
        """Return where the paths are kept of prefixes that end at a leaf of the plan."""
        if leaf.takes_as_it_comes:
            return self.taken
        return self.refused if leaf.rejects else self.judged[leaf]

    def paths(self) -> Iterator[Path]:
        """Yield all that is known and not refused by policy, whether a route uses it or not."""
        yield from self.taken.values()
        yield from self.interned.values()

    def paths_in_use(self) -> set[Path]:
        """Return the paths of all routes; and those that the Loc-RIB may still have of routes that are gone."""
        used = set(self.routes.values())
        return used.union(self.paths()) if self.leaving else used

    def path_count(self) -> int:
        """Return how many paths are known."""
        return len(self.taken) + len(self.interned) + len(self.refused)

    def attribute_count(self) -> int:
        """Return how many attribute sets these paths need at most: two where import may have changed one."""
        return self.path_count() + len(self.interned)

    def set_peer(self, peer: RibPeer) -> None:
        """Other facts: what import made of attributes need not hold any more."""
        self.peer = peer
        self.source = peer.source
        self.forget_all()

    def forget_all(self) -> None:
        """Forget every cached path."""
        self.forget_judgement()
        self.interned.clear()
        self.taken.clear()
        self.refused.clear()

    def forget_judgement(self) -> None:
        """Forget what import made of attributes: it is asked by other rules from now on."""
        self.imported.clear()
        self.judged.clear()

    def forget(self, paths: Collection[Path]) -> None:
        """Forget these cached paths, so that import makes new ones."""
        self.interned = {meaning: path for meaning, path in self.interned.items() if path not in paths}
        self.imported = {received: path for received, path in self.imported.items() if path not in paths}
        self.taken = {received: path for received, path in self.taken.items() if path not in paths}
        self.judged.clear()

    def forget_unused(self) -> None:
        """Forget cached paths that no route uses; due once ``replaced`` routes are more than ``sweep_at``."""
        used = set(self.routes.values())
        self.interned = {meaning: path for meaning, path in self.interned.items() if path in used}
        self.imported = {received: path for received, path in self.imported.items() if path in used}
        self.taken = {received: path for received, path in self.taken.items() if path in used}
        self.refused = {received: path for received, path in self.refused.items() if path in used}
        self.judged.clear()
        self.replaced = 0
        self.sweep_at = max(SMALLEST_SWEEP, len(self.routes))

    def sweep_unused(self) -> bool:
        """Forget cached paths that no route uses if they can be a tenth of the cache, and say so."""
        is_worth_it = self.replaced * 10 > self.path_count()
        if is_worth_it:
            self.forget_unused()
        return is_worth_it

    def leave(self) -> None:
        """All routes are gone at once; `take_leaving` tells by and by which the Loc-RIB may still have.

        They are put aside whole: to take a big table apart from its front would look at the holes again and again.
        """
        if self.routes:
            self.leaving += len(self.routes)
            self._leaving_keys = chain(self._leaving_keys, self.routes)
            self._leaving_paths = chain(self._leaving_paths, self.routes.values())
        self.routes, self.stale, self.unmarked, self._sweep = {}, {}, [], None

    def take_leaving(self, limit: int | None = None) -> tuple[list[bytes], list[Path]]:
        """Return some of the routes that are gone, in order of announcement, with the paths that they had."""
        keys, paths = [*islice(self._leaving_keys, limit)], [*islice(self._leaving_paths, limit)]
        self.leaving -= len(keys)
        if not self.leaving:
            # They hold what they have come to the end of, and each time something leaves they are nested deeper.
            self._leaving_keys, self._leaving_paths = iter(()), iter(())
        return keys, paths

    def mark_stale(self) -> int:
        """Mark every route, and return how many there are."""
        if len(self.stale) < len(self.routes):
            self.stale = copied(self.routes)
        self.unmarked, self._sweep = [], None
        return len(self.stale)

    def refreshed(self, raw_keys: Iterable[bytes]) -> None:
        """These are not stale any more."""
        if self.stale:
            forget = self.stale.pop
            for raw in raw_keys:
                forget(raw, None)

    def take_stale(self, limit: int | None = None) -> list[bytes]:
        """Return some raw keys of what is stale and take the mark off: they are about to go."""
        if limit is None or limit >= len(self.stale):
            raw_keys, self.stale, self._sweep = list(self.stale), {}, None
            return raw_keys
        if self._sweep is None:
            self._sweep = iter(list(self.stale))
        raw_keys = list(islice(filter(self.stale.__contains__, self._sweep), limit))
        self.refreshed(raw_keys)
        return raw_keys

    def begin_long_lived(self) -> int:
        """Note that what is stale is to be marked as a last resort, and return how many routes that are."""
        self.unmarked = list(self.stale)
        return len(self.unmarked)

    def take_unmarked(self, limit: int | None = None) -> dict[Path, list[bytes]]:
        """Return some routes that are still stale and are to be marked now, by path."""
        unmarked = self.unmarked
        raw_keys = unmarked[-limit:] if limit else list(unmarked)
        del unmarked[len(unmarked) - len(raw_keys) :]
        by_path: dict[Path, list[bytes]] = {}
        for raw in raw_keys:
            if raw in self.stale:
                by_path.setdefault(self.routes[raw], []).append(raw)
        return by_path

    def eligible(self, prefix: bytes) -> list[Path]:
        """Return the paths of an ADD-PATH peer that may be selected for a prefix, lowest path-id first."""
        return [path for raw in self.raw_keys(prefix) if not (path := self.routes[raw]).rejection]

    def raw_keys(self, prefix: bytes) -> list[bytes]:
        """Return the raw keys under which a prefix is present, lowest path-id first (ADD-PATH)."""
        return [identifier + prefix for identifier in split_ids(self.path_ids.get(prefix, b""))]

    def prefixes(self, raw_keys: Iterable[bytes]) -> Sequence[bytes]:
        """Return what the raw keys are called in the Loc-RIB."""
        return [raw[PATH_ID_LENGTH:] for raw in raw_keys] if self.add_path else list(raw_keys)

    def remember_ids(self, raw_keys: Iterable[bytes]) -> None:
        """Note under which identifiers prefixes are present (ADD-PATH)."""
        path_ids = self.path_ids
        for raw in raw_keys:
            prefix, identifier = raw[PATH_ID_LENGTH:], raw[:PATH_ID_LENGTH]
            ids = path_ids.get(prefix)
            if ids is None:
                path_ids[prefix] = identifier
            elif raw not in self.routes:
                path_ids[prefix] = b"".join(sorted({identifier, *split_ids(ids)}))

    def forget_id(self, raw: bytes) -> None:
        """Note that a prefix is no longer present under an identifier (ADD-PATH)."""
        prefix, identifier = raw[PATH_ID_LENGTH:], raw[:PATH_ID_LENGTH]
        left = b"".join(one for one in split_ids(self.path_ids.get(prefix, b"")) if one != identifier)
        if left:
            self.path_ids[prefix] = left
        else:
            self.path_ids.pop(prefix, None)


def split_ids(ids: bytes) -> list[bytes]:
    """Cut joined path identifiers apart."""
    return [ids[at : at + PATH_ID_LENGTH] for at in range(0, len(ids), PATH_ID_LENGTH)]
