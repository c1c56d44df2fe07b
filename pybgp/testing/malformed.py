"""UPDATEs that are wrong in a known way, for tests of what a speaker does about them (RFC 7606)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.errors import LocalError
from pybgp.wire.as_path import AsPath, encode_as_path
from pybgp.wire.attributes import OPTIONAL, WELL_KNOWN, Fault, attribute_octets
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AttributeCode, MessageType
from pybgp.wire.nlri import parse_prefix
from pybgp.wire.update_encoding import message_octets

if TYPE_CHECKING:
    from pybgp.wire.negotiated import Negotiated

_NO_ORIGIN = b"\x09"
_TOO_LONG_A_PREFIX = b"\x21\xc0\x00\x02\x00\x00"


def malformed_update(fault: Fault, prefix: str, negotiated: Negotiated) -> bytes:
    """Return one UPDATE for an IPv4 prefix that must cost exactly this much, as the sender's side of a session.

    DISCARD: ATOMIC_AGGREGATE with an octet in it; WITHDRAW: an ORIGIN that is none; DISABLE_FAMILY: an MP_REACH_NLRI
    of IPv6 unicast with a prefix of 129 bits; RESET: an NLRI of 33 bits (RFC 7606 sections 7.6, 7.1, 5.3 and 3).
    """
    family, key = parse_prefix(prefix)
    if family != IPV4_UNICAST:
        raise LocalError(f"prefix {prefix!r}: an IPv4 prefix expected")
    internal = negotiated.internal
    path = AsPath() if internal else AsPath.sequence(negotiated.local_as)
    origin = _NO_ORIGIN if fault is Fault.WITHDRAW else b"\0"
    attributes = attribute_octets(WELL_KNOWN, AttributeCode.ORIGIN, origin)
    attributes += attribute_octets(WELL_KNOWN, AttributeCode.AS_PATH, encode_as_path(path, 4 if negotiated.asn4 else 2))
    attributes += attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, bytes((192, 0, 2, 254)))
    if internal:
        attributes += attribute_octets(WELL_KNOWN, AttributeCode.LOCAL_PREF, bytes((0, 0, 0, 100)))
    if fault is Fault.DISCARD:
        attributes += attribute_octets(WELL_KNOWN, AttributeCode.ATOMIC_AGGREGATE, b"\0")
    elif fault is Fault.DISABLE_FAMILY:
        attributes = _unreadable_reach() + attributes
    identifier = bytes((0, 0, 0, 1)) if IPV4_UNICAST in negotiated.add_path_send else b""
    nlri = identifier + (_TOO_LONG_A_PREFIX if fault is Fault.RESET else key)
    body = bytes(2) + len(attributes).to_bytes(2, "big") + attributes + nlri
    return message_octets(MessageType.UPDATE, body)


def _unreadable_reach() -> bytes:
    next_hop = bytes.fromhex("20010db8000000000000000000000254")
    value = IPV6_UNICAST.afi.to_bytes(2, "big") + bytes((IPV6_UNICAST.safi, len(next_hop))) + next_hop
    return attribute_octets(OPTIONAL, AttributeCode.MP_REACH_NLRI, value + b"\0" + b"\x81" + bytes(17))
