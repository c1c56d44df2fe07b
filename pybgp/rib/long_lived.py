"""Routes of a peer that is long gone: a last resort for those who know what that means (RFC 9494 section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.wire.iana import AttributeCode, WellKnownCommunity

if TYPE_CHECKING:
    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes

STALE: Final = WellKnownCommunity.LLGR_STALE
#: a block without these has no mark.
STALE_OCTETS: Final = STALE.to_bytes(4, "big")


def is_last_resort(path: Path) -> bool:
    """Say whether a path loses against every other: it is marked, by whom ever, even if a policy took the mark away."""
    received, attributes = path.received, path.attributes
    if STALE_OCTETS not in attributes.block and (attributes is received or STALE_OCTETS not in received.block):
        return False
    return STALE in attributes.communities or STALE in received.communities


def may_stay(path: Path) -> bool:
    """Say whether a route may be kept at all when the restart time is over (RFC 9494 section 4.2)."""
    unwanted = WellKnownCommunity.NO_LLGR
    return unwanted not in path.received.communities and unwanted not in path.attributes.communities


def marked(attributes: Attributes) -> Attributes:
    """Return the attributes with the community that nobody may remove (RFC 9494 section 4.3)."""
    communities = attributes.communities
    if STALE in communities:
        return attributes
    return attributes.replace({AttributeCode.COMMUNITIES: tuple(sorted((*communities, STALE)))})


def for_the_unknowing(attributes: Attributes) -> Attributes:
    """Return the attributes for an internal peer that does not know the mark (RFC 9494 section 4.6)."""
    communities = tuple(sorted({*attributes.communities, WellKnownCommunity.NO_EXPORT}))
    return attributes.replace({AttributeCode.COMMUNITIES: communities, AttributeCode.LOCAL_PREF: 0})
