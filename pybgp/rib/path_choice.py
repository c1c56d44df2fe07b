"""Which of several paths to a prefix a peer is sent that takes more than one (RFC 7911 section 2, spec section 7.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pybgp.rib.decision import elect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybgp.rib.path import Path


class Offer(NamedTuple):
    """One path, by whom it is offered and under which path identifier of theirs: that names it, not its attributes."""

    peer: int
    identifier: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class PathChoice:
    """Every path, or the best of each neighbour AS, or the best ``count``; the best one is always among them."""

    #: 0: any number.
    count: int = 0
    per_as: bool = False

    def choose(self, offers: Sequence[Offer], best: Path | None) -> Sequence[Offer]:
        """Return the offers to send, of those that may be selected; ``best`` is the one that was."""
        if self.per_as:
            by_as: dict[int, list[Offer]] = {}
            for offer in offers:
                by_as.setdefault(offer.path.neighbor_as, []).append(offer)
            return [take_best(group, best) for group in by_as.values()]
        if not self.count or len(offers) <= self.count:
            return offers
        left = list(offers)
        chosen: list[Offer] = []
        while len(chosen) < self.count:
            found = take_best(left, best)
            left.remove(found)
            chosen.append(found)
        return chosen


def take_best(offers: Sequence[Offer], best: Path | None) -> Offer:
    """Return the offer of the selected path if it is there, else of the one that would be selected."""
    if not any(offer.path is best for offer in offers):
        best = elect([offer.path for offer in offers])
    return next(offer for offer in offers if offer.path is best)
