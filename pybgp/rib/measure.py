"""What a path brings to the decision: its attributes and its peer turned into the values that the steps compare."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from pybgp.rib.aigp import WITHOUT, total
from pybgp.rib.decision import MAXIMUM_MED, DecisionOptions, Measure
from pybgp.rib.long_lived import is_last_resort
from pybgp.rib.path import Path, Source
from pybgp.wire.attribute_scan import length_and_leader, scan
from pybgp.wire.iana import AttributeCode, Origin

if TYPE_CHECKING:
    from pybgp.rib.rib_peer import RibPeer

#: LOCAL_PREF of a route that carries none (spec section 7 step 3).
DEFAULT_LOCAL_PREF: Final = 100
_INCOMPLETE: Final = bytes([Origin.INCOMPLETE])
_ORIGIN, _AS_PATH, _MED = int(AttributeCode.ORIGIN), int(AttributeCode.AS_PATH), int(AttributeCode.MED)
_LOCAL_PREF, _ORIGINATOR_ID = int(AttributeCode.LOCAL_PREF), int(AttributeCode.ORIGINATOR_ID)
_CLUSTER_LIST, _AIGP = int(AttributeCode.CLUSTER_LIST), int(AttributeCode.AIGP)


def measure(path: Path, peer: RibPeer, cost: int, options: DecisionOptions) -> tuple[Measure, int | None]:
    """Take the values of every step from a path, and the AS that leads it (RFC 4271 section 9.1.2.2).

    MEDs compare among paths that one AS leads; where no sequence leads, our own does (spec section 7 step 8).
    """
    values = scan(path.attributes.block)
    length, leading_as = length_and_leader(values.get(_AS_PATH, b""))
    measured = Measure(
        is_last_resort(path),
        path.preference,
        _number(values.get(_LOCAL_PREF), DEFAULT_LOCAL_PREF),
        path.source is Source.LOCAL,
        WITHOUT if options.ignore_aigp else total(values.get(_AIGP), cost),
        0 if options.ignore_as_path_length else length,
        values.get(_ORIGIN, _INCOMPLETE)[0],
        _number(values.get(_MED), MAXIMUM_MED if options.missing_med_is_worst else 0),
        path.source is Source.EBGP,
        cost,
        _number(values.get(_ORIGINATOR_ID), peer.router_id),
        len(values.get(_CLUSTER_LIST, b"")) // 4,
        address_rank(peer.address),
    )
    return measured, leading_as


def _number(octets: bytes | None, default: int) -> int:
    return default if octets is None else int.from_bytes(octets, "big")


def address_rank(address: bytes) -> int:
    """Order addresses, IPv4 before IPv6 (spec section 7 step 15)."""
    return (len(address) > 4) << 128 | int.from_bytes(address, "big")


def address_text(rank: int) -> str:
    """Return the address of a rank as text; that of our own announcements, which have none, as 0.0.0.0."""
    return str(IPv6Address(rank - (1 << 128)) if rank >> 128 else IPv4Address(rank))
