"""Which kind of update group a profile needs, and what it looks at: the best paths, or all of them."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Final, cast

from pybgp.rib.next_best_groups import NextBestGroup
from pybgp.rib.path import LOCAL_PEER
from pybgp.rib.path_choice import Offer
from pybgp.rib.path_groups import PathGroup
from pybgp.rib.update_groups import UpdateGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.path import Path
    from pybgp.rib.path_groups import PathIdentifiers

    Offers = Callable[[bytes], Sequence[Offer]]

#: 0.0.0.0/0, and ::/0.
DEFAULT_KEY: Final = b"\0"
#: Names a default route among what we announce, whose identifiers have four octets.
_DEFAULT_ROUTE: Final = b"default-originate"


def looks_at_every_path(profile: ExportProfile) -> bool:
    """Say whether it takes more than the best path to know what these peers are sent."""
    return profile.path_choice is not None or profile.next_best


def make_group(
    profile: ExportProfile, best: Mapping[bytes, Path], offers: Offers, identifiers: PathIdentifiers
) -> UpdateGroup:
    """Return a group that has looked at nothing yet; ``best`` is the live Loc-RIB."""
    best = best_with(best, profile.default_route)
    if profile.path_choice is not None:
        return PathGroup(profile, profile.path_choice, best, offers_with(offers, profile.default_route), identifiers)
    if profile.next_best:
        return NextBestGroup(profile, best, offers_with(offers, profile.default_route), identifiers)
    return UpdateGroup(profile, best)


def best_with(best: Mapping[bytes, Path], default: Path | None) -> Mapping[bytes, Path]:
    """Return a live view of a Loc-RIB whose default route is this path, whatever the tables have as such."""
    if default is None:
        return best
    # Never written, so that any mapping will do.
    return ChainMap({DEFAULT_KEY: default}, cast("dict[bytes, Path]", best))


def offers_with(offers: Offers, default: Path | None) -> Offers:
    """Return what finds the paths to a prefix, of which the default route has this one alone."""
    if default is None:
        return offers
    own = (Offer(LOCAL_PEER, _DEFAULT_ROUTE, default),)
    return lambda prefix: own if prefix == DEFAULT_KEY else offers(prefix)
