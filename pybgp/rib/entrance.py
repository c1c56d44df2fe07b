"""What is done to a route before import policy sees it (spec sections 5.4 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.rib.roles import mark_on_entry
from pybgp.wire.iana import AttributeCode, WellKnownCommunity

if TYPE_CHECKING:
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

SHUTDOWN_OCTETS: Final = WellKnownCommunity.GRACEFUL_SHUTDOWN.to_bytes(4, "big")


def enter(received: Attributes, peer: RibPeer, family: Family) -> Attributes:
    """Apply what the configuration of an external peer says about all of its routes."""
    if peer.interior:
        return received
    values: dict[int, object] = {}
    if peer.prepend_local_as:
        values[AttributeCode.AS_PATH] = received.as_path.prepend(peer.local_as)
    if peer.heed_graceful_shutdown and is_shutting_down(received):
        values[AttributeCode.LOCAL_PREF] = 0
    if (owner := mark_on_entry(received, peer, family)) is not None:
        values[AttributeCode.ONLY_TO_CUSTOMER] = owner
    return received.replace(values) if values else received


def is_shutting_down(attributes: Attributes) -> bool:
    """Say whether a route is about to go (RFC 8326); most routes show at a glance that they stay."""
    octets = attributes.value_octets(AttributeCode.COMMUNITIES)
    if octets is None or SHUTDOWN_OCTETS not in octets:
        return False
    return WellKnownCommunity.GRACEFUL_SHUTDOWN in attributes.communities
