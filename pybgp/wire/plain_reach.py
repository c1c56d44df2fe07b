"""Nearly every UPDATE of IPv6: one MP_REACH_NLRI with unicast prefixes and a global next hop (RFC 4760, RFC 2545)."""

from __future__ import annotations

from typing import Final, NamedTuple

from pybgp.wire.attributes import EXTENDED_LENGTH, OPTIONAL, is_host_address
from pybgp.wire.iana import AttributeCode

_REACH: Final = int(AttributeCode.MP_REACH_NLRI)
_IPV6_UNICAST_OCTETS: Final = b"\0\x02\x01"
_LINK_LOCAL: Final = 0xFE80


class Reach(NamedTuple):
    """What MP_REACH_NLRI says, and the attributes around it, joined."""

    next_hop: bytes
    nlri: bytes
    others: bytes


def plain_reach(octets: bytes) -> Reach | None:
    """Take the attributes of an ordinary UPDATE of IPv6 apart; None for anything else."""
    position = 0 if octets[1:2] == b"\x0e" else _place_of_reach(octets)
    if position < 0:
        return None
    flags = octets[position]
    left = len(octets) - position
    if flags == OPTIONAL and left > 7:
        start = position + 3
        stop = start + octets[position + 2]
    elif flags == OPTIONAL | EXTENDED_LENGTH and left > 8:
        start = position + 4
        stop = start + (octets[position + 2] << 8 | octets[position + 3])
    else:
        return None
    hop_length = octets[start + 3]
    nlri_at = start + 5 + hop_length
    if octets[start : start + 3] != _IPV6_UNICAST_OCTETS or not nlri_at < stop <= len(octets):
        return None
    next_hop = octets[start + 4 : nlri_at - 1]
    is_known_hop = hop_length == 16 or (hop_length == 32 and has_link_local(next_hop))
    if not is_known_hop or not is_host_address(next_hop):
        return None
    return Reach(next_hop, octets[nlri_at:stop], octets[:position] + octets[stop:])


def has_link_local(next_hop: bytes) -> bool:
    """Say whether the second of two addresses is a link-local one (RFC 2545 section 3)."""
    return (next_hop[16] << 8 | next_hop[17]) & 0xFFC0 == _LINK_LOCAL


def _place_of_reach(octets: bytes) -> int:
    """Return where MP_REACH_NLRI stands among attributes that follow each other without a gap, or -1."""
    position, end = 0, len(octets) - 4
    while position < end:
        if octets[position + 1] == _REACH:
            return position
        if octets[position] & EXTENDED_LENGTH:
            position += 4 + (octets[position + 2] << 8 | octets[position + 3])
        else:
            position += 3 + octets[position + 2]
    return -1
