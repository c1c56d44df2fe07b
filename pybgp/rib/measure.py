"""What a path brings to the decision: its attributes and its peer turned into the values that the steps compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.rib.decision import MAXIMUM_MED, DecisionOptions, Measure
from pybgp.rib.path import Path, Source
from pybgp.wire.iana import AttributeCode, SegmentType

if TYPE_CHECKING:
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.as_path import AsPath

#: LOCAL_PREF of a route that carries none (spec section 7 step 3).
DEFAULT_LOCAL_PREF: Final = 100
_CONFEDERATION: Final = (SegmentType.CONFED_SEQUENCE, SegmentType.CONFED_SET)


def measure(path: Path, as_path: AsPath, peer: RibPeer, cost: int, options: DecisionOptions) -> Measure:
    """Take the values of every step from a path (RFC 4271 section 9.1.2.2, RFC 4456 section 9)."""
    attributes = path.attributes
    present = attributes.codes()
    local_pref = attributes.local_pref if AttributeCode.LOCAL_PREF in present else None
    med = attributes.med if AttributeCode.MED in present else None
    originator = attributes.originator_id if AttributeCode.ORIGINATOR_ID in present else None
    return Measure(
        preference=path.preference,
        local_pref=DEFAULT_LOCAL_PREF if local_pref is None else local_pref,
        local=path.source is Source.LOCAL,
        as_path_length=0 if options.ignore_as_path_length else as_path.length,
        origin=attributes.origin,
        med=(MAXIMUM_MED if options.missing_med_is_worst else 0) if med is None else med,
        external=path.source is Source.EBGP,
        cost=cost,
        router_id=peer.router_id if originator is None else originator,
        cluster_list_length=len(attributes.cluster_list) if AttributeCode.CLUSTER_LIST in present else 0,
        peer_address=address_rank(peer.address),
    )


def address_rank(address: bytes) -> int:
    """Order addresses, IPv4 before IPv6 (spec section 7 step 15)."""
    return (len(address) > 4) << 128 | int.from_bytes(address, "big")


def neighbor_as(as_path: AsPath, local_as: int) -> int:
    """Return the AS whose MEDs compare: the leftmost, or our own if no sequence leads (spec section 7 step 8)."""
    segment = next((segment for segment in as_path.segments if segment.kind not in _CONFEDERATION), None)
    if segment is None or segment.kind != SegmentType.SEQUENCE:
        return local_as
    return segment.asns[0]
