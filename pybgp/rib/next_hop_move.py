"""Next hops come nearer or go farther: paths are measured again and prefixes chosen for again, a slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pybgp.rib.adj_rib_in import AdjRibIn
    from pybgp.rib.path import Change, Path
    from pybgp.rib.ranking import Ranking
    from pybgp.rib.selection import Selection
    from pybgp.rib.table import Table

T = TypeVar("T")

#: So many routes or paths are looked at, or prefixes chosen for, between two looks at the budget.
BUNDLE: Final = 256
#: How much more it is to measure a path, or to choose for a prefix, than to look at a route.
MEASURE: Final = 20
CHOOSE: Final = 20
#: How much less it is to copy a reference.
COPIED: Final = 8


class _Found(NamedTuple):
    """What of a peer's routes has to do with the next hops."""

    inbound: AdjRibIn
    measured: set[Path]
    #: their attributes tell of the old distance.
    outdated: set[Path]


class NextHopMove:
    """What follows when the distances of some next hops have changed.

    Paths are shared by many prefixes, so that measuring one puts all of them in doubt.  First all paths of a family
    are measured, so that nobody is chosen for a way that is gone too; then the prefixes in doubt are found, and chosen
    for again.  What transactions in between touch is in doubt as well: they compared paths of which some had been
    measured and others not.
    """

    def __init__(
        self,
        ranking: Ranking,
        selection: Selection,
        import_again: Callable[[Table, AdjRibIn, Iterable[bytes]], list[Change]],
        tables: Iterable[Table],
        next_hops: Collection[bytes],
        budget: int | None,
    ) -> None:
        """``budget``: how many routes are looked at in one step, and less of all else; None: all in one step."""
        self.is_done = False
        self._ranking = ranking
        self._selection = selection
        self._import_again = import_again
        self._next_hops = next_hops
        self._budget = budget
        self._spent = 0
        self._changes: list[Change] = []
        self._steps = self._work(tables)

    def step(self) -> list[Change]:
        """Do some of the work, and return what changed; that is to be published before anything else changes."""
        return next(self._steps)

    def _work(self, tables: Iterable[Table]) -> Iterator[list[Change]]:
        for table in tables:
            with table.noting_touched() as touched:
                found: list[_Found] = []
                for inbound in list(table.inbound.values()):
                    yield from self._measure(table, inbound, found)
                doubtful: list[bytes] = []
                outdated: list[tuple[AdjRibIn, bytes]] = []
                for at, one in enumerate(found):
                    yield from self._find(one, found[:at], doubtful, outdated)
            if found:
                doubtful += touched
                yield from self._choose(table, outdated, doubtful)
        self.is_done = True
        yield self._changes

    def _measure(self, table: Table, inbound: AdjRibIn, found: list[_Found]) -> Iterator[list[Change]]:
        one = _Found(inbound, set(), set())
        everything = list(inbound.paths())
        yield from self._pause(len(everything) // COPIED)
        for paths in _bundles(everything):
            concerned = [path for path in paths if path.next_hop in self._next_hops]
            if concerned:
                self._selection.forget_choice()
                outdated = self._ranking.outdated(concerned)
                one.outdated.update(outdated)
                one.measured.update(
                    self._ranking.rank_again(table, [path for path in concerned if path not in outdated])
                )
            yield from self._pause(len(paths) + MEASURE * len(concerned))
        if one.outdated:
            inbound.forget(one.outdated)
        if one.outdated or one.measured:
            found.append(one)

    def _find(
        self,
        found: _Found,
        others: Sequence[_Found],
        doubtful: list[bytes],
        outdated: list[tuple[AdjRibIn, bytes]],
    ) -> Iterator[list[Change]]:
        """Find the prefixes in doubt that are not among those of others, and the outdated routes."""
        inbound = found.inbound
        before = [one for one in others if not one.inbound.add_path]
        everything = list(inbound.routes)
        yield from self._pause(len(everything) // COPIED)
        for raw_keys in _bundles(everything):
            # What the routes are kept in may be another dict after a pause.
            path_of = inbound.routes.get
            prefixes = inbound.prefixes([raw for raw in raw_keys if path_of(raw) in found.measured])
            for one in before:
                their_path, theirs = one.inbound.routes.get, one.measured
                prefixes = [prefix for prefix in prefixes if their_path(prefix) not in theirs]
            doubtful += prefixes
            if found.outdated:
                outdated += [(inbound, raw) for raw in raw_keys if path_of(raw) in found.outdated]
            yield from self._pause(len(raw_keys))

    def _choose(
        self,
        table: Table,
        outdated: list[tuple[AdjRibIn, bytes]],
        doubtful: list[bytes],
    ) -> Iterator[list[Change]]:
        for bundle in _bundles(outdated):
            by_peer: dict[AdjRibIn, list[bytes]] = {}
            for inbound, raw in bundle:
                if raw in inbound.routes:
                    by_peer.setdefault(inbound, []).append(raw)
            for inbound, raw_keys in by_peer.items():
                self._changes += self._import_again(table, inbound, raw_keys)
            yield from self._pause(CHOOSE * len(bundle))
        # One transaction, where there is one step: what becomes of a path is one change.
        for prefixes in _bundles(doubtful, BUNDLE if self._budget is not None else len(doubtful)):
            self._changes += self._selection.elect_again(table, prefixes)
            yield from self._pause(CHOOSE * len(prefixes))

    def _pause(self, spent: int) -> Iterator[list[Change]]:
        """End the step if that was enough."""
        self._spent += spent
        if self._budget is not None and self._spent >= self._budget:
            self._spent = 0
            changes, self._changes = self._changes, []
            yield changes


def _bundles(everything: list[T], size: int = 0) -> Iterator[list[T]]:
    """Cut something long into pieces, and give its memory back piece by piece."""
    everything.reverse()
    while everything:
        bundle = everything[-(size or BUNDLE) :]
        del everything[-len(bundle) :]
        bundle.reverse()
        yield bundle
