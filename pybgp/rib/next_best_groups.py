"""Groups that go on to the next path where the best one may not be told.

A policy toward one client of a route server may hide the path that is best for all, and a client that brought the best
path itself would hear of no other (RFC 7947 section 2.3).  A reflector whose best path to a membership is that of a
peer of its mesh still has to say there that its clients are members (RFC 4684 section 3.2 ii).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pybgp.rib.decision import elect
from pybgp.rib.path_choice import PathChoice
from pybgp.rib.path_groups import PathGroup
from pybgp.rib.update_groups import SLICE, UpdateGroup, everything
from pybgp.wire.nlri import PREFIX_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.outbox import Outbox
    from pybgp.rib.path import Path
    from pybgp.rib.path_choice import Offer
    from pybgp.rib.path_groups import PathIdentifiers


class NextBestGroup(PathGroup):
    """Sans-I/O: it hears of every path as a group does that sends several, and sends one to each prefix."""

    def __init__(
        self,
        profile: ExportProfile,
        best: Mapping[bytes, Path],
        offers: Callable[[bytes], Sequence[Offer]],
        identifiers: PathIdentifiers,
    ) -> None:
        """The arguments of `PathGroup`; nothing is chosen but by the order of the decision process."""
        super().__init__(profile, PathChoice(), best, offers, identifiers)
        #: what became of paths in this turn, where that is the same for all their prefixes; None: it is not.
        self._verdicts: dict[Path, Exported | None] | None = None

    def may_hold(self, raw: bytes) -> bool:
        """Say that no key here has an identifier that could not be used again."""
        del raw
        return False

    def held_best(self, number: int, key: bytes) -> Exported | None:
        """Return what a member holds of a prefix, as far as is known."""
        return self.held(number, key)

    def paths(self, prefix: bytes) -> list[tuple[Path, bytes | None]]:
        """Return the paths to a prefix in the order in which they are tried, the one that is sent with its key."""
        found: list[tuple[Path, bytes | None]] = []
        for path in self._in_order(prefix):
            if self._passing(path, prefix) is not None:
                return [*found, (path, prefix)]
            found.append((path, None))
        return found

    def wanted(self, prefix: bytes) -> Sequence[Offer]:
        """Return the path to a prefix that is sent."""
        sent = [path for path, key in self.paths(prefix) if key is not None]
        return [offer for offer in self._offers(prefix) if sent and offer.path is sent[0]][:1]

    def key_of(self, prefix: bytes, offer: Offer) -> bytes:
        """Return the prefix: its key whatever the path."""
        del offer
        return prefix

    def told(self) -> Iterable[bytes]:
        """Return the prefixes that members have been told of."""
        return self.sent

    def keys_under(self, prefix: bytes) -> list[bytes]:
        """Return the prefix: it has no other key."""
        return [prefix]

    def enqueue_all(self) -> None:
        """Look at every prefix again, slice by slice; what was sent already is not repeated."""
        if not self._is_silent:
            self._backlog = everything(self._best, self.sent)

    def flush(self, limit: int = SLICE) -> Iterator[tuple[int, bytes]]:
        """Turn at most ``limit`` waiting prefixes into octets for the members that keep up."""
        self._refill(limit)
        members, outbox = self._begin()
        profile = self.profile
        is_same = not profile.policy.looks_at_prefixes and profile.family in PREFIX_FAMILIES
        self._verdicts = {} if is_same else None
        by_path: dict[Path | None, list[bytes]] = {}
        for prefix in list(islice(self._dirty, limit)):
            del self._dirty[prefix]
            by_path.setdefault(self._first(prefix), []).append(prefix)
        for path, prefixes in by_path.items():
            for exported, keys in self._decided(path, prefixes):
                self._store(outbox, exported, self._within_limit(exported, keys))
        self._fill_up()
        self._verdicts = None
        return outbox.deliveries(members)

    def _decided(self, first: Path | None, prefixes: Sequence[bytes]) -> Iterator[tuple[Exported | None, list[bytes]]]:
        """Yield what becomes of prefixes whose best path is one; what it does for none of them is looked for singly."""
        by_export: dict[Exported | None, list[bytes]] = {}
        for exported, keys in self.decide(first, prefixes):
            if exported is not None and self._reaches(exported):
                by_export.setdefault(exported, []).extend(keys)
            else:
                for key in keys:
                    by_export.setdefault(self._next(key), []).append(key)
        yield from by_export.items()

    def _next(self, prefix: bytes) -> Exported | None:
        """Return what the first path behind the best one makes that passes."""
        for path in islice(self._in_order(prefix), 1, None):
            if (exported := self._passing(path, prefix)) is not None:
                return exported
        return None

    def _passing(self, path: Path, prefix: bytes) -> Exported | None:
        verdicts = self._verdicts
        if verdicts is not None and path in verdicts:
            return verdicts[path]
        found = None
        for exported, keys in self.decide(path, (prefix,)):
            if keys and exported is not None and self._reaches(exported):
                found = exported
        if verdicts is not None:
            verdicts[path] = found
        return found

    def _reaches(self, exported: Exported) -> bool:
        return not self.members or any(self.is_heard(exported, number) for number in self.members)

    def _first(self, prefix: bytes) -> Path | None:
        best = self._best.get(prefix)
        return best if best is None or self.only is None or self.only(best) else None

    def _in_order(self, prefix: bytes) -> Iterator[Path]:
        """Yield the paths to a prefix, the best one first, then whichever would be chosen without those before it."""
        first = self._first(prefix)
        if first is None:
            return
        yield first
        left = [offer.path for offer in self._offers(prefix) if offer.path is not first]
        if self.only is not None:
            left = list(filter(self.only, left))
        while (path := elect(left)) is not None:
            yield path
            left = [other for other in left if other is not path]

    def _outbox(self) -> Outbox:
        return UpdateGroup._outbox(self)  # noqa: SLF001 - keys are prefixes here, as in a group that sends one path

    def _fill_up(self) -> None:
        """Look again at what was held back, as far as there is room now."""
        room = self.profile.prefix_limit - len(self.sent)
        if self.held_back and room > 0 and not self._dirty:
            for prefix in list(islice(self.held_back, room)):
                del self.held_back[prefix]
                self.enqueue(None, (prefix,))
