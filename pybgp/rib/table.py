"""One family of the tables: what each peer says, and what of it is believed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pybgp.rib.growth import Growth
from pybgp.rib.path import Addition, Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.rib.adj_rib_in import AdjRibIn
    from pybgp.rib.flow_validation import FlowValidation
    from pybgp.rib.path import Path
    from pybgp.wire.families import Family

#: Prefixes by the path that leads to them now; None: nobody any more.
Buckets: TypeAlias = "dict[Path | None, list[bytes]]"


class Table:
    """One family: who says what, and who is believed."""

    __slots__ = ("best", "equals", "family", "flows", "growth", "inbound", "med_in_use", "ranker", "touched")

    def __init__(self, family: Family, ranked: Callable[[Table, Path], None]) -> None:
        """``ranked`` gives a path of the table its rank."""
        self.family = family
        self.ranker: Callable[[Path], None] = partial(ranked, self)
        self.best: dict[bytes, Path] = {}
        self.growth = Growth()
        #: prefixes with several equal-cost paths, best first; only with maximum_paths above 1.
        self.equals: dict[bytes, tuple[Path, ...]] = {}
        self.inbound: dict[int, AdjRibIn] = {}
        #: some path has carried a MED, so that losing paths can influence the choice.
        self.med_in_use = False
        #: prefixes any path of which has changed; None: nobody wants to know, see `tables.Rib.watch_paths`.
        self.touched: dict[bytes, None] | None = None
        #: flow rules that must be believed, once there are any.
        self.flows: FlowValidation | None = None

    def candidates(self, prefix: bytes) -> list[Path]:
        """Return all paths that may be selected for a prefix."""
        found: list[Path] = []
        for inbound in self.inbound.values():
            if inbound.add_path:
                found += inbound.eligible(prefix)
            elif (path := inbound.routes.get(prefix)) is not None and not path.rejection:
                found.append(path)
        return found

    def equal_paths(self, prefix: bytes) -> tuple[Path, ...]:
        """Return the equal-cost paths of a prefix, best first."""
        best = self.best.get(prefix)
        return () if best is None else self.equals.get(prefix) or (best,)

    def changes(self, buckets: Buckets) -> list[Change]:
        """Turn what was collected in a transaction into changes."""
        return [Change(self.family, path, keys) for path, keys in buckets.items() if keys]

    def additions(self, buckets: Buckets) -> list[Change]:
        """Do the same for prefixes that nobody had a path to."""
        return [Addition(self.family, path, keys) for path, keys in buckets.items() if keys]
