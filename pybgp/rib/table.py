"""One family of the tables: what each peer says, and what of it is believed."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pybgp.rib.growth import Growth, copied
from pybgp.rib.path import Addition, Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pybgp.rib.adj_rib_in import AdjRibIn
    from pybgp.rib.flow_validation import FlowValidation
    from pybgp.rib.path import Path
    from pybgp.wire.families import Family

#: Prefixes by the path that leads to them now; None: nobody any more.
Buckets: TypeAlias = "dict[Path | None, list[bytes]]"


class Table:
    """One family: who says what, and who is believed."""

    __slots__ = (
        "best",
        "equals",
        "family",
        "flows",
        "follower",
        "growth",
        "inbound",
        "is_watched",
        "med_in_use",
        "noted",
        "ranker",
        "sole",
        "touched",
    )

    def __init__(self, family: Family, ranked: Callable[[Table, Path], None]) -> None:
        """``ranked`` gives a path of the table its rank."""
        self.family = family
        self.ranker: Callable[[Path], None] = partial(ranked, self)
        self.best: dict[bytes, Path] = {}
        self.growth = Growth()
        #: prefixes with several equal-cost paths, best first; only with maximum_paths above 1.
        self.equals: dict[bytes, tuple[Path, ...]] = {}
        self.inbound: dict[int, AdjRibIn] = {}
        #: the peer that alone has said anything, all of it believed: its routes *are* ``best``; see `share`.
        self.sole: AdjRibIn | None = None
        #: called once before anything but an addition is entered into ``best``.
        self.follower: Callable[[], None] | None = None
        #: some path has carried a MED, so that losing paths can influence the choice.
        self.med_in_use = False
        #: prefixes any path of which has changed; None: nobody wants to know, see `watch` and `noting_touched`.
        self.touched: dict[bytes, None] | None = None
        self.is_watched = False
        #: while they are noted: those of them that have been taken already.
        self.noted: dict[bytes, None] | None = None
        #: flow rules that must be believed, once there are any.
        self.flows: FlowValidation | None = None

    def share(self, inbound: AdjRibIn) -> None:
        """Let one dict be the Loc-RIB and the routes of the only peer that has any, as long as they are the same.

        Both must be empty.  Entering a million routes twice takes a quarter of the time that all of import takes.
        """
        self.unshare()
        inbound.routes = self.best
        self.sole = inbound

    def unshare(self) -> None:
        """Give that peer a dict of its own, before the two begin to differ."""
        if self.sole is not None:
            self.sole.routes = copied(self.best)
            self.sole = None

    def diverge(self) -> None:
        """Prepare for other changes of ``best`` than additions: warn who takes it that there are none."""
        self.unshare()
        if self.follower is not None:
            follower, self.follower = self.follower, None
            follower()

    def watch(self, *, active: bool) -> None:
        """Begin to note which prefixes have other paths, or end it; see `take_touched`."""
        self.take_touched()
        self.is_watched = active
        self.touched = {} if active or self.noted is not None else None

    def take_touched(self) -> list[bytes]:
        """Return the prefixes any path of which has changed since the last call."""
        if not self.touched:
            return []
        touched, self.touched = self.touched, {}
        if self.noted is not None:
            self.noted.update(touched)
        return list(touched)

    @contextmanager
    def noting_touched(self) -> Iterator[Mapping[bytes, None]]:
        """Note, whoever else watches, what has other paths; it is all there at the end."""
        noted: dict[bytes, None] = {}
        self.noted = noted
        if self.touched is None:
            self.touched = {}
        try:
            yield noted
        finally:
            noted.update(self.touched)
            self.noted = None
            if not self.is_watched:
                self.touched = None

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
