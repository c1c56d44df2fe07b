"""Prefixes that a peer is told of only while others are there, or are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.rib.policy.prefix_set import PrefixSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Change
    from pybgp.wire.families import Family


class Conditional:
    """One condition, which follows the Loc-RIB by its changes."""

    def __init__(self, advertise: Sequence[str], of: Sequence[str], *, present: bool) -> None:
        """``advertise`` is told while the Loc-RIB has something of ``of``, or with ``present`` False nothing of it."""
        self.advertise = PrefixSet.of(*advertise)
        self._watched = PrefixSet.of(*of)
        self.families = {entry.family for entry in self._watched.entries}
        self._present = present
        self._found: set[tuple[Family, bytes]] = set()

    @property
    def holds(self) -> bool:
        """Whether the peer is told."""
        return bool(self._found) is self._present

    def heed(self, changes: Iterable[Change]) -> bool:
        """Take changes of the Loc-RIB in and say whether the answer is another now."""
        before = self.holds
        for family, path, keys in changes:
            if family in self.families:
                found = [(family, key) for key in self._watched.inside(family, keys)]
                if path is None:
                    self._found.difference_update(found)
                else:
                    self._found.update(found)
        return self.holds is not before


def withheld(conditions: Iterable[Conditional]) -> PrefixSet | None:
    """Return what a peer is not told because its conditions do not hold; None: nothing."""
    entries = frozenset().union(*(one.advertise.entries for one in conditions if not one.holds))
    return PrefixSet(entries) if entries else None
