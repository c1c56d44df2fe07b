"""Finds clauses that can never be reached, because an earlier one decides everything that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pybgp.rib.policy.clause import Clause, Verdict
from pybgp.rib.policy.match import (
    AsPathContains,
    AsPathLength,
    AsPathMatch,
    CommunityMatch,
    FamilyMatch,
    LocalPrefMatch,
    MedMatch,
    NeighborAsMatch,
    OriginAsMatch,
    OriginMatch,
    PeerMatch,
    PrefixMatch,
    SourceMatch,
    TagMatch,
    ValidationMatch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pybgp.rib.policy.match import NumberRange
    from pybgp.rib.policy.prefix_set import PrefixSet

#: Beyond so many comparisons sets are only compared entry by equal entry.
MOST_COMPARISONS: Final = 20_000


def shadowed(clauses: Sequence[Clause]) -> Iterator[tuple[int, int]]:
    """Yield the place of each clause that is never reached, and of the earlier one that is to blame."""
    for later, clause in enumerate(clauses):
        for earlier, other in enumerate(clauses[:later]):
            if other.then is not Verdict.NEXT and decides(other, clause, clauses[earlier + 1 : later]):
                yield later, earlier
                break


def decides(earlier: Clause, later: Clause, between: Sequence[Clause]) -> bool:
    """Say whether whatever the later clause matches was matched by the earlier one already."""
    changed = any(clause.actions for clause in between)
    return all(
        (not changed or isinstance(match, CONSTANT)) and any(implies(other, match) for other in later.matches)
        for match in earlier.matches
    )


def implies(narrow: object, wide: object) -> bool:
    """Say whether the one condition holds only where the other does; False if that is not plain to see."""
    if narrow == wide:
        return True
    compare = COMPARISONS.get(type(wide))
    return compare is not None and type(narrow) is type(wide) and compare(narrow, wide)


def _fits_into(narrow: PrefixSet, wide: PrefixSet) -> bool:
    if narrow.entries <= wide.entries:
        return True
    return len(narrow) * len(wide) <= MOST_COMPARISONS and all(map(wide.covers, narrow.entries))


def _within(narrow: Iterable[NumberRange], wide: Iterable[NumberRange]) -> bool:
    return all(any(other.low <= one.low and one.high <= other.high for other in wide) for one in narrow)


def _communities(narrow: CommunityMatch, wide: CommunityMatch) -> bool:
    if narrow.every != wide.every:
        return False
    few, many = (wide, narrow) if wide.every else (narrow, wide)
    return set(few.patterns) <= set(many.patterns)


def _subset(field: str) -> Callable[[Any, Any], bool]:
    return lambda narrow, wide: set(getattr(narrow, field)) <= set(getattr(wide, field))


def _ranges(narrow: Any, wide: Any) -> bool:  # any two conditions on numbers of one type
    return _within(narrow.ranges, wide.ranges)


COMPARISONS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    PrefixMatch: lambda narrow, wide: _fits_into(narrow.prefixes, wide.prefixes),
    ValidationMatch: _subset("states"),
    FamilyMatch: _subset("families"),
    AsPathMatch: _subset("expressions"),
    AsPathContains: _ranges,
    AsPathLength: _ranges,
    OriginAsMatch: _ranges,
    NeighborAsMatch: _ranges,
    MedMatch: _ranges,
    LocalPrefMatch: _ranges,
    CommunityMatch: _communities,
    OriginMatch: _subset("origins"),
    PeerMatch: _subset("names"),
    SourceMatch: _subset("sources"),
    TagMatch: _subset("tags"),
}
#: No action changes what these look at.
CONSTANT: Final = (PrefixMatch, FamilyMatch, PeerMatch, SourceMatch)
