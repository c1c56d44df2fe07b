"""Why a received route may not be selected, whatever policy thinks of it (spec section 7, import order)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.wire.as_path import decode_as_path
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Collection

    from pybgp.rib.rib_peer import Identity, RibPeer
    from pybgp.wire.attributes import Attributes


def refusal(attributes: Attributes, peer: RibPeer, own: Identity, local_addresses: Collection[bytes]) -> str:
    """Return the reason, empty if the route may be considered (RFC 4271 section 9.1.2, RFC 4456 section 8)."""
    if is_looped(attributes.value_octets(AttributeCode.AS_PATH) or b"", peer):
        numbers = " or ".join(map(str, sorted(peer.own_numbers)))
        return f"own AS {numbers} in AS_PATH"
    # External peers cannot send these two: they were discarded on receipt (RFC 7606 sections 7.9 and 7.10).
    if peer.internal:
        if attributes.originator_id == own.router_id:
            return "ORIGINATOR_ID is our own"
        if own.cluster_id in attributes.cluster_list:
            return "own cluster in CLUSTER_LIST"
    next_hop = attributes.next_hop[:16]
    if next_hop == peer.local_address or next_hop in local_addresses:
        return "next hop is our own address"
    return ""


def is_looped(octets: bytes, peer: RibPeer) -> bool:
    """Whether our AS, or the one that the peer knows us by, stands in an AS_PATH more often than allowed.

    Most paths show that they are fine without being taken apart.
    """
    suspects = [asn for asn in peer.own_numbers if asn.to_bytes(4, "big") in octets]
    return any(sum(asn == suspect for asn in decode_as_path(octets)) > peer.allow_own_as for suspect in suspects)
