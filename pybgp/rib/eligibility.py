"""Why a received route may not be selected, whatever policy thinks of it (spec section 7, import order)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Collection

    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes


def refusal(attributes: Attributes, peer: RibPeer, router_id: int, local_addresses: Collection[bytes]) -> str:
    """Return the reason, empty if the route may be considered (RFC 4271 section 9.1.2, RFC 4456 section 8)."""
    if is_looped(attributes, peer):
        return f"own AS {peer.local_as} in AS_PATH"
    # External peers cannot send these two: they were discarded on receipt (RFC 7606 sections 7.9 and 7.10).
    if peer.internal:
        if attributes.originator_id == router_id:
            return "ORIGINATOR_ID is our own"
        if router_id in attributes.cluster_list:
            return "own cluster in CLUSTER_LIST"
    next_hop = attributes.next_hop[:16]
    if next_hop == peer.local_address or next_hop in local_addresses:
        return "next hop is our own address"
    return ""


def is_looped(attributes: Attributes, peer: RibPeer) -> bool:
    """Whether our AS stands in the path more often than allowed; most paths show it without being taken apart."""
    octets = attributes.value_octets(AttributeCode.AS_PATH) or b""
    if peer.local_as.to_bytes(4, "big") not in octets:
        return False
    return sum(asn == peer.local_as for asn in attributes.as_path) > peer.allow_own_as
