"""Best-path selection (RFC 4271 section 9.1.2, spec section 7), pure.

Every step but MED is a total order, so a path carries them packed into one integer.  MED is compared only among
paths of one neighbour AS; `elect` therefore looks at all candidates whenever a MED can matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.path import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybgp.rib.path import Path


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """The switches that the standard leaves to the operator."""

    always_compare_med: bool = False
    missing_med_is_worst: bool = False
    ignore_as_path_length: bool = False
    #: Multipath asks for AS paths of equal length instead of equal AS paths.
    multipath_relax: bool = False
    #: An external path that is selected stays so against others that differ in who told them only (RFC 5004).
    prefer_oldest: bool = False
    ignore_aigp: bool = False


class Step(NamedTuple):
    """One comparison: its name in an explanation, its width, and which end wins."""

    name: str
    bits: int
    higher_wins: bool = False


class Measure(NamedTuple):
    """What a path brings to each step; one field per row of STEPS."""

    last_resort: int
    preference: int
    local_pref: int
    local: int
    aigp: int
    as_path_length: int
    origin: int
    med: int
    external: int
    cost: int
    router_id: int
    cluster_list_length: int
    peer_address: int


class Loss(NamedTuple):
    """Why a path is not the best: the step that decided and the value of each side."""

    path: Path
    step: str
    winner_value: int
    loser_value: int


MAXIMUM_MED: Final = 2**32 - 1
#: Steps 1 to 10, then 13, 14, 15 of spec section 7; the last, path-id, is the order of candidates.
STEPS: Final = (
    Step("long-lived stale", 1),
    Step("preference", 32, higher_wins=True),
    Step("local preference", 32, higher_wins=True),
    Step("locally originated", 1, higher_wins=True),
    Step("AIGP", 65),
    Step("AS path length", 16),
    Step("origin", 2),
    Step("MED", 32),
    Step("external", 1, higher_wins=True),
    Step("cost to next hop", 32),
    Step("router id", 32),
    Step("cluster list length", 16),
    Step("peer address", 130),
)
MED_STEP: Final = STEPS.index(next(step for step in STEPS if step.name == "MED"))
_MIDDLE_STEP: Final = STEPS.index(next(step for step in STEPS if step.name == "AS path length"))
_MIDDLE_BITS: Final = sum(step.bits for step in STEPS[_MIDDLE_STEP : MED_STEP + 1])
#: Below these bits two paths come from one router.
ROUTER_BITS: Final = sum(step.bits for step in STEPS[-2:])
#: Below these bits two paths tie up to and including MED ...
TAIL_BITS: Final = sum(step.bits for step in STEPS[MED_STEP + 1 :])
#: ... and below these they cost the same and may share traffic.
IDENTITY_BITS: Final = sum(step.bits for step in STEPS[-3:])


def _packing(*, med: bool) -> tuple[tuple[int, int, int], ...]:
    """Return of each step its bits, the most it can say, and what turns its value around where the higher one wins."""
    rows = []
    for step in STEPS:
        most = (1 << step.bits) - 1
        rows.append((step.bits, most if med or step.name != "MED" else 0, most if step.higher_wins else 0))
    return tuple(rows)


_PACKING: Final = {med: _packing(med=med) for med in (False, True)}


def pack(measure: Measure, options: DecisionOptions) -> int:
    """Pack the steps into one integer, smaller is better; MED takes part only if it compares among all.

    A value beyond its step counts as the largest: a path of 70000 ASes is as bad as one of 65535.
    """
    compares_med = options.always_compare_med
    head = _packed(measure[:_MIDDLE_STEP], 0, compares_med)
    middle = _packed(measure[_MIDDLE_STEP : MED_STEP + 1], _MIDDLE_STEP, compares_med)
    tail = _packed(measure[MED_STEP + 1 :], MED_STEP + 1, compares_med)
    return (head << _MIDDLE_BITS | middle) << TAIL_BITS | tail


@lru_cache(maxsize=4096)
def _packed(values: tuple[int, ...], first: int, compares_med: bool) -> int:
    """Pack the values of some steps in a row; paths differ in few of them, so that most are known."""
    order = 0
    for value, (bits, most, turn) in zip(values, _PACKING[compares_med][first:], strict=False):
        order = order << bits | min(most, value) ^ turn
    return order


def rank_by(path: Path, measure: Measure, neighbor_as: int, options: DecisionOptions) -> None:
    """Write the outcome of a measurement into the path."""
    path.order = pack(measure, options)
    path.rank = path.order >> TAIL_BITS
    path.med = 0 if options.always_compare_med else measure.med
    path.neighbor_as = neighbor_as
    path.cost = measure.cost


def compare(path: Path, other: Path) -> int:
    """Return -1 if ``path`` is better, 1 if ``other`` is, 0 if only an election among all candidates can tell."""
    if path.rank == other.rank and (path.med or other.med):
        return 0
    return (path.order > other.order) - (path.order < other.order)


def surviving_med(candidates: Sequence[Path]) -> list[Path]:
    """Keep the best up to ORIGIN, then of each neighbour AS those with its lowest MED (RFC 4271 section 9.1.2.2 c)."""
    rank = min(path.rank for path in candidates)
    tied = [path for path in candidates if path.rank == rank]
    if not any(path.med for path in tied):
        return tied
    lowest: dict[int, int] = {}
    for path in tied:
        lowest[path.neighbor_as] = min(path.med, lowest.get(path.neighbor_as, MAXIMUM_MED))
    return [path for path in tied if path.med == lowest[path.neighbor_as]]


def by_order(path: Path) -> int:
    """Sort key of the steps after MED."""
    return path.order


def elect(candidates: Sequence[Path]) -> Path | None:
    """Return the best of all candidates; the first listed (lowest path-id) wins a complete tie."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    if len(candidates) == 2:
        first, second = candidates
        if verdict := compare(first, second):
            return first if verdict < 0 else second
    return min(surviving_med(candidates), key=by_order)


def is_as_good(selected: Path, other: Path) -> bool:
    """Say whether an external path that is selected need not yield to another one (RFC 5004 section 3).

    Two paths of one router are left to the steps after its identifier.
    """
    return (
        selected.source is Source.EBGP
        and selected.order >> IDENTITY_BITS == other.order >> IDENTITY_BITS
        and selected.order >> ROUTER_BITS != other.order >> ROUTER_BITS
    )


def stays(selected: Path | None, winner: Path | None, candidates: Sequence[Path]) -> bool:
    """Say whether the selected path holds its place against who would win without it (RFC 5004)."""
    if selected is None or winner is None or not any(path is selected for path in candidates):
        return False
    return is_as_good(selected, winner) and any(path is selected for path in surviving_med(candidates))


def equal_cost(
    candidates: Sequence[Path], limit: int, options: DecisionOptions, selected: Path | None = None
) -> tuple[Path, ...]:
    """Return the best path and those that tie with it through step 10, best first, at most ``limit``.

    ``selected`` is the best path so far, for `DecisionOptions.prefer_oldest`.
    """
    if not candidates:
        return ()
    ranked = sorted(surviving_med(candidates), key=by_order)
    if options.prefer_oldest and selected is not None and stays(selected, ranked[0], candidates):
        ranked = [selected, *(path for path in ranked if path is not selected)]
    best = ranked[0]
    equals = [
        path
        for path in ranked
        if path.order >> IDENTITY_BITS == best.order >> IDENTITY_BITS
        and (options.multipath_relax or path.attributes.as_path == best.attributes.as_path)
    ]
    return tuple(dict.fromkeys(equals))[:limit]


def explain(
    measured: Sequence[tuple[Path, Measure]], options: DecisionOptions, selected: Path | None = None
) -> list[Loss]:
    """Say for each losing path which step decided against it, and both values (spec section 7)."""
    candidates = [path for path, _ in measured]
    best = elect(candidates)
    if options.prefer_oldest and stays(selected, best, candidates):
        best = selected
    if best is None:
        return []
    winner = next(measure for path, measure in measured if path is best)
    survivors = set(map(id, surviving_med(candidates)))
    return [
        Loss(path, "MED", lowest_med(candidates, path), path.med)
        if path.rank == best.rank and id(path) not in survivors
        else Loss(path, "older external path", 0, 1)
        if options.prefer_oldest and path.order < best.order and is_as_good(best, path)
        else why_lost(path, measure, winner, options)
        for path, measure in measured
        if path is not best
    ]


def lowest_med(candidates: Sequence[Path], path: Path) -> int:
    """Return the MED that beat this path within its neighbour AS."""
    return min(other.med for other in candidates if (other.rank, other.neighbor_as) == (path.rank, path.neighbor_as))


def why_lost(path: Path, measure: Measure, winner: Measure, options: DecisionOptions) -> Loss:
    """Find the first step in which the two differ; the last resort is the path-id."""
    for step, mine, theirs in zip(STEPS, measure, winner, strict=True):
        if mine != theirs and (step.name != "MED" or options.always_compare_med):
            return Loss(path, step.name, theirs, mine)
    return Loss(path, "path-id", 0, 0)
