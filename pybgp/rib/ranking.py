"""What a path is worth, and whether its next hop can be reached; found when it is first compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.rib.decision import rank_by
from pybgp.rib.measure import measure
from pybgp.rib.path import Source
from pybgp.rib.plain_rank import PlainRank
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pybgp.rib.decision import DecisionOptions, Measure
    from pybgp.rib.path import Path
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.rib.table import Table

UNREACHABLE: Final = "next hop unreachable"


def same_cost(next_hop: bytes) -> int | None:
    """Every next hop is reachable at no cost: right where one hop is all there is."""
    del next_hop
    return 0


class Ranking:
    """Measures paths for the decision process (RFC 4271 section 9.1.2)."""

    __slots__ = ("_local_as", "_options", "_peers", "_plain", "next_hop_cost", "ranks_late")

    def __init__(
        self,
        local_as: int,
        options: DecisionOptions,
        next_hop_cost: Callable[[bytes], int | None],
        peers: Mapping[int, RibPeer],
    ) -> None:
        """``peers`` may change later."""
        self._local_as = local_as
        self._options = options
        self._peers = peers
        self._plain = PlainRank(options)
        self.next_hop_cost = next_hop_cost
        #: every next hop can be reached, so that a rank may wait until somebody asks for it.
        self.ranks_late = next_hop_cost is same_cost

    def measure(self, path: Path) -> Measure:
        """Return what a path brings to each step of the decision."""
        peer = self._peers[path.peer]
        cost = self.next_hop_cost(path.next_hop) or 0
        return measure(path, peer, cost, self._options)[0]

    def qualify(self, table: Table, path: Path) -> None:
        """Let a path be selected, if its next hop can be reached; its rank is found when it is compared."""
        path.ranker = table.ranker
        if not self.ranks_late:
            self.rank(table, path)

    def rank(self, table: Table, path: Path) -> None:
        """Measure a path that may be selected, and note whether MEDs play a part from now on."""
        # Flow rules have no next hop.
        is_here = path.source is Source.LOCAL or not path.next_hop
        cost = 0 if is_here else self.next_hop_cost(path.next_hop)
        path.rejection = UNREACHABLE if cost is None else ""
        teller = path.teller or self._peers[path.peer]
        if self._plain.rank(path, teller, cost or 0):
            table.med_in_use = table.med_in_use or path.med > 0
            return
        measured, leading_as = measure(path, teller, cost or 0, self._options)
        rank_by(path, measured, self._local_as if leading_as is None else leading_as, self._options)
        table.med_in_use = table.med_in_use or path.med > 0

    def rank_again(self, table: Table, paths: Iterable[Path]) -> list[Path]:
        """Measure paths to whose next hops it is farther, or nearer, than it was; return those that may be selected."""
        eligible = [path for path in paths if path.rejection in {"", UNREACHABLE}]
        for path in eligible:
            self.rank(table, path)
        return eligible

    def outdated(self, paths: Iterable[Path]) -> set[Path]:
        """Return the paths that say how far a prefix is and are wrong by now; peers must hear of the new distance.

        RFC 7311 section 3.4.3: they are told the sum of what we heard and our own way.
        """
        return {
            path
            for path in paths
            if AttributeCode.AIGP in path.attributes.codes() and path.cost != (self.next_hop_cost(path.next_hop) or 0)
        }
