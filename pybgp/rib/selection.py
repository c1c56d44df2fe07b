"""The Loc-RIB follows what peers announce and withdraw (RFC 4271 section 9.1.2); the only loops over prefixes."""

from __future__ import annotations

from collections import deque
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from pybgp.rib.decision import compare, elect, equal_cost, is_as_good, stays
from pybgp.rib.path import Addition, Change, additions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pybgp.rib.adj_rib_in import AdjRibIn
    from pybgp.rib.decision import DecisionOptions
    from pybgp.rib.importer import ImportedRun
    from pybgp.rib.path import Path
    from pybgp.rib.table import Buckets, Table

#: What is true of a prefix that had no path before (see `Selection._settle`).
APPEARED: Final = 2


class Selection:
    """Chooses among the paths of prefixes that more than one peer wants, and enters the outcome."""

    __slots__ = ("_answer", "_asked", "_maximum_paths", "_options")

    def __init__(self, options: DecisionOptions, maximum_paths: int) -> None:
        """With ``maximum_paths`` above 1 a table remembers the paths of equal cost."""
        self._options = options
        self._maximum_paths = maximum_paths
        #: the candidates of the last choice of several paths, with the best path before; and what was chosen.
        self._asked: tuple[Path | None, ...] = ()
        self._answer: tuple[Path, ...] = ()

    def forget_choice(self) -> None:
        """Some paths have another rank now."""
        self._asked = ()

    def announce_run(self, table: Table, inbound: AdjRibIn, run: ImportedRun) -> list[Change] | None:
        """Enter what UPDATEs in a row announce; None, and nothing is entered, where each needs a transaction.

        That is where they name a prefix twice, or share traffic among paths that others have to their prefixes too.
        """
        paths, keys, refused, refused_paths = run
        best, had = table.best, len(inbound.routes)
        if not (best or refused or had or inbound.add_path):
            table.share(inbound)
        elif refused or inbound is not table.sole:
            table.unshare()
        if not self._enter_new(table, run):
            if self._maximum_paths > 1 or best.keys().isdisjoint(chain(chain.from_iterable(keys), refused)):
                return None
            table.diverge()
            return self._contest_run(table, inbound, run)
        routes, count = inbound.routes, sum(map(len, keys)) + len(refused)
        if routes is not best:
            for path, its_keys in zip(paths, keys, strict=True):
                for key in its_keys:
                    routes[key] = path
            routes.update(zip(refused, refused_paths, strict=True))
        again = had + count - len(routes)
        if again and not best.keys().isdisjoint(refused):
            for key in chain(chain.from_iterable(keys), refused):
                best.pop(key, None)
                routes.pop(key, None)
            return None
        inbound.replaced += again
        if table.touched is not None:
            table.touched.update(dict.fromkeys(chain(chain.from_iterable(keys), refused)))
        if len(best) >= table.growth.due_at:
            table.growth.grow(best)
        return additions_of(table.family, paths, keys)

    @staticmethod
    def _enter_new(table: Table, run: ImportedRun) -> bool:
        """Enter into the Loc-RIB what nobody has a path to, and say whether that is all, each prefix named once.

        Else nothing is entered.
        """
        paths, keys, refused, _ = run
        best = table.best
        if next(chain.from_iterable(keys), None) in best or not best.keys().isdisjoint(refused):
            return False
        there, counts = len(best), [*map(len, keys)]
        # A prefix that is there keeps its path, and takes no place at the end.
        each_path = chain.from_iterable(map(repeat, paths, counts))
        deque(map(best.setdefault, chain.from_iterable(keys), each_path), maxlen=0)
        if len(best) == there + sum(counts):
            return True
        for _ in range(len(best) - there):
            best.popitem()
        return False

    def announce(self, table: Table, inbound: AdjRibIn, path: Path, raw_keys: Sequence[bytes]) -> list[Change]:
        """Enter a path of a peer under these keys, and return what changed."""
        fresh = reached = dict.fromkeys(raw_keys, path)
        if inbound.add_path:
            inbound.remember_ids(fresh)
            reached = dict.fromkeys(inbound.prefixes(fresh), path)
        if table.touched is not None:
            table.touched.update(dict.fromkeys(reached))
        if not path.rejection and table.best.keys().isdisjoint(reached):
            if inbound is not table.sole:
                table.unshare()
                inbound.routes.update(fresh)
            table.best.update(reached)
            return [Addition(table.family, path, list(reached))]
        table.diverge()
        return self._contest(table, inbound, path, zip(fresh, inbound.prefixes(fresh), strict=True))

    def _contest(
        self, table: Table, inbound: AdjRibIn, path: Path, keys: Iterable[tuple[bytes, bytes]]
    ) -> list[Change]:
        """Announce prefixes that others announce too: the only loop over prefixes."""
        routes, best = inbound.routes, table.best
        new = None if path.rejection else path
        single = self._maximum_paths == 1
        buckets: Buckets = {}
        appeared: Buckets = {}
        for raw, prefix in keys:
            old = routes.get(raw)
            if old is path:
                continue
            if old is not None:
                inbound.replaced += 1
            routes[raw] = path
            if old is None and single and new is not None:
                current = best.get(prefix)
                if current is not None and path.rank > current.rank:
                    continue
            settled = self._settle(table, inbound, prefix, old, new)
            if settled:
                (appeared if settled == APPEARED else buckets).setdefault(best.get(prefix), []).append(prefix)
        if inbound.add_path:
            buckets = _as_it_ended(best, buckets)
        return table.changes(buckets) + table.additions(appeared)

    def _contest_run(self, table: Table, inbound: AdjRibIn, run: ImportedRun) -> list[Change] | None:
        """Announce prefixes that others announce too; where each UPDATE meets one path, one duel decides for all."""
        paths, keys, refused, refused_paths = run
        routes, best = inbound.routes, table.best
        there, count = len(routes), sum(map(len, keys)) + len(refused)
        if not routes.keys().isdisjoint(chain(chain.from_iterable(keys), refused)):
            return self._contest_again(table, inbound, run)
        for path, its_keys in zip(paths, keys, strict=True):
            for key in its_keys:
                routes[key] = path
        routes.update(zip(refused, refused_paths, strict=True))
        if len(routes) < there + count:
            for key in chain(chain.from_iterable(keys), refused):
                routes.pop(key, None)
            return None
        if table.touched is not None:
            table.touched.update(dict.fromkeys(chain(chain.from_iterable(keys), refused)))
        changes: list[Change] = []
        family = table.family
        for path, its_keys in zip(paths, keys, strict=True):
            for holder, contested in _by_holder(best, its_keys):
                verdict = -1 if holder is None else self._duel(path, holder)
                if verdict < 0:
                    for key in contested:
                        best[key] = path
                    kind = Addition if holder is None else Change
                    changes.append(kind(family, path, contested))
                elif verdict == 0:
                    changes += self.elect_again(table, contested)
        return changes

    def _contest_again(self, table: Table, inbound: AdjRibIn, run: ImportedRun) -> list[Change] | None:
        """Do the same where the peer itself has announced some of the prefixes before; None where one comes twice."""
        paths, keys, refused, refused_paths = run
        entered = {key: path for path, its_keys in zip(paths, keys, strict=True) for key in its_keys}
        entered.update(zip(refused, refused_paths, strict=True))
        if len(entered) < sum(map(len, keys)) + len(refused):
            return None
        routes, best = inbound.routes, table.best
        if table.touched is not None:
            table.touched.update(dict.fromkeys(entered))
        olds = [*map(routes.get, entered)]
        routes.update(entered)
        buckets: Buckets = {}
        appeared: Buckets = {}
        for (prefix, path), old in zip(entered.items(), olds, strict=True):
            if old is path:
                continue
            if old is not None:
                inbound.replaced += 1
            settled = self._settle(table, inbound, prefix, old, None if path.rejection else path)
            if settled:
                (appeared if settled == APPEARED else buckets).setdefault(best.get(prefix), []).append(prefix)
        return table.changes(buckets) + table.additions(appeared)

    def _duel(self, new: Path, current: Path) -> int:
        """Return -1 if a new path takes the place of the best one, 1 if not, 0 if only an election can tell."""
        if new.rejection or new.rank > current.rank:
            return 1
        verdict = compare(new, current)
        return 1 if verdict < 0 and self._options.prefer_oldest and is_as_good(current, new) else verdict

    def withdraw(self, table: Table, inbound: AdjRibIn, raw_keys: Sequence[bytes]) -> list[Change]:
        """Remove what a peer has under these keys, and return what changed."""
        table.diverge()
        routes, best = inbound.routes, table.best
        if table.touched is not None:
            table.touched.update(dict.fromkeys(inbound.prefixes(raw_keys)))
        if self._maximum_paths == 1 and not inbound.add_path:
            inbound.replaced += len(raw_keys)
            paths = [*map(routes.pop, raw_keys, repeat(None))]
            others = [one for one in table.inbound.values() if one is not inbound]
            changes = self._part(table, inbound, raw_keys, paths, others)
            if not routes:
                inbound.forget_all()
            return changes
        buckets: Buckets = {}
        for raw in raw_keys:
            old = routes.pop(raw, None)
            if old is None:
                continue
            inbound.replaced += 1
            prefix = raw
            if inbound.add_path:
                inbound.forget_id(raw)
                prefix = raw[4:]
            if not old.rejection and self._settle(table, inbound, prefix, old, None):
                buckets.setdefault(best.get(prefix), []).append(prefix)
        if not routes:
            inbound.forget_all()
        return table.changes(_as_it_ended(best, buckets) if inbound.add_path else buckets)

    def begin_drop(self, table: Table, inbound: AdjRibIn) -> None:
        """All that a peer has in a table is to go, which `part` and `withdraw` do in slices."""
        table.unshare()
        if self._maximum_paths == 1 and not inbound.add_path and table.touched is None:
            inbound.leave()
        else:
            inbound.mark_stale()

    def part(self, table: Table, inbound: AdjRibIn, limit: int | None = None) -> list[Change]:
        """Remove from the Loc-RIB what is left there of routes that a peer has no longer, at most ``limit``."""
        table.diverge()
        keys, paths = inbound.take_leaving(limit)
        if table.touched is not None:
            table.touched.update(dict.fromkeys(keys))
        # The peer may be back, and announce some of them again.
        changes = self._part(table, inbound, keys, paths, table.inbound.values())
        if not (inbound.leaving or inbound.routes):
            inbound.forget_all()
        return changes

    def _part(
        self,
        table: Table,
        inbound: AdjRibIn,
        keys: Sequence[bytes],
        paths: Sequence[Path | None],
        others: Iterable[AdjRibIn],
    ) -> list[Change]:
        """Choose again among what others say after a peer gave up these paths, where one path to a prefix is enough."""
        best = table.best
        several: set[bytes] = set()
        finders = []
        for one in others:
            if one.add_path:
                several.update(filter(one.path_ids.__contains__, keys))
            elif one.routes:
                finders.append(one.routes.get)
        rivals: Iterable[Path | None] = repeat(None)
        if len(finders) == 1:
            rivals = map(finders[0], keys)
        elif finders:
            rivals = map(_best_of, zip(*(map(find, keys) for find in finders), strict=True))
        buckets: Buckets = {}
        for prefix, old, current, rival in zip(keys, paths, map(best.get, keys), rivals, strict=False):
            if old is None or old.rejection:
                continue
            if current is not old or prefix in several:
                if self._settle(table, inbound, prefix, old, None):
                    buckets.setdefault(best.get(prefix), []).append(prefix)
                continue
            winner = None if rival is None or rival.rejection else rival
            if winner is None:
                del best[prefix]
            elif winner is old:
                continue
            else:
                best[prefix] = winner
            if winner in buckets:
                buckets[winner].append(prefix)
            else:
                buckets[winner] = [prefix]
        return table.changes(buckets)

    def elect_again(self, table: Table, prefixes: Iterable[bytes]) -> list[Change]:
        """Choose again for prefixes whose paths have got another rank."""
        table.diverge()
        buckets: Buckets = {}
        appeared: Buckets = {}
        for prefix in prefixes:
            if table.touched is not None:
                table.touched[prefix] = None
            there = prefix in table.best
            if self._choose(table, prefix):
                (buckets if there else appeared).setdefault(table.best.get(prefix), []).append(prefix)
        return table.changes(buckets) + table.additions(appeared)

    def _settle(self, table: Table, inbound: AdjRibIn, prefix: bytes, old: Path | None, new: Path | None) -> int:
        """Bring the Loc-RIB up to date after one peer went from ``old`` to ``new``; say whether it changed.

        The answer is APPEARED where there was no path before.
        """
        current = table.best.get(prefix)
        if current is None:
            self._seat(table, prefix, new)
            return APPEARED if new is not None else False
        if self._maximum_paths > 1:
            return self._choose(table, prefix)
        if old is current:
            if new is None or not keeps_seat(new, current, inbound.add_path):
                return self._choose(table, prefix)
            table.best[prefix] = new
            return True
        if old is not None and table.med_in_use and old.rank == current.rank:
            return self._choose(table, prefix)
        verdict = 1 if new is None else self._duel(new, current)
        if new is not None and verdict < 0:
            table.best[prefix] = new
        return verdict < 0 or (verdict == 0 and self._choose(table, prefix))

    def _choose(self, table: Table, prefix: bytes) -> bool:
        """Hold a full election for one prefix."""
        candidates = table.candidates(prefix)
        if self._maximum_paths > 1:
            return self._choose_several(table, prefix, candidates)
        winner = elect(candidates)
        selected = table.best.get(prefix)
        if winner is selected or (self._options.prefer_oldest and stays(selected, winner, candidates)):
            return False
        self._seat(table, prefix, winner)
        return True

    def _choose_several(self, table: Table, prefix: bytes, candidates: Sequence[Path]) -> bool:
        # Prefixes of one path have mostly the same others too.
        question = (*candidates, table.best.get(prefix))
        if question != self._asked:
            self._answer = equal_cost(candidates, self._maximum_paths, self._options, question[-1])
            self._asked = question
        equals = self._answer
        if equals == table.equal_paths(prefix):
            return False
        if len(equals) > 1:
            table.equals[prefix] = equals
        else:
            table.equals.pop(prefix, None)
        self._seat(table, prefix, equals[0] if equals else None)
        return True

    @staticmethod
    def _seat(table: Table, prefix: bytes, winner: Path | None) -> None:
        if winner is None:
            table.best.pop(prefix, None)
        else:
            table.best[prefix] = winner


def _as_it_ended(best: Mapping[bytes, Path], buckets: Buckets) -> Buckets:
    """Name each prefix once, with the path that it has now: one with several identifiers may have had others between.

    Buckets are in the order in which their paths first came, so that the latest word need not be the last.
    """
    if len(buckets) < 2:
        return buckets
    latest: Buckets = {}
    for prefix in dict.fromkeys(chain.from_iterable(buckets.values())):
        latest.setdefault(best.get(prefix), []).append(prefix)
    return latest


def _by_holder(best: Mapping[bytes, Path], keys: Sequence[bytes]) -> Iterable[tuple[Path | None, Sequence[bytes]]]:
    """Group prefixes by their best path; those of one UPDATE have mostly had one path before."""
    holders = [*map(best.get, keys)]
    if holders and holders.count(holders[0]) == len(holders):
        return ((holders[0], keys),)
    groups: dict[Path | None, list[bytes]] = {}
    for key, holder in zip(keys, holders, strict=True):
        groups.setdefault(holder, []).append(key)
    return groups.items()


def _best_of(paths: Iterable[Path | None]) -> Path | None:
    return elect([path for path in paths if path is not None and not path.rejection])


def keeps_seat(new: Path, old: Path, add_path: bool) -> bool:
    """Whether the successor of a best path is the best without an election: all others lost to ``old`` already."""
    if new.rank < old.rank:
        return True
    same_role = new.med == old.med and new.neighbor_as == old.neighbor_as
    # Only another path of the same peer can tie completely, and only ADD-PATH brings one.
    return same_role and (new.order < old.order or (new.order == old.order and not add_path))
