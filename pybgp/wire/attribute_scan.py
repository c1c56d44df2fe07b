"""One pass over the canonical octets of an attribute set, for whoever asks for several values (spec section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.wire.as_path import LONGEST_SEGMENT, decode_as_path
from pybgp.wire.iana import AttributeFlag, SegmentType

if TYPE_CHECKING:
    from pybgp.wire.as_path import AsPath

_EXTENDED_LENGTH: Final = int(AttributeFlag.EXTENDED_LENGTH)
_SEQUENCE: Final = int(SegmentType.SEQUENCE)
_CONFEDERATION: Final = (SegmentType.CONFED_SEQUENCE, SegmentType.CONFED_SET)


def scan(block: bytes) -> dict[int, bytes]:
    """Return the octets of every value by code; the block is canonical, so nothing is checked."""
    values = {}
    position, end = 0, len(block)
    while position < end:
        if block[position] & _EXTENDED_LENGTH:
            start = position + 4
            stop = start + (block[position + 2] << 8 | block[position + 3])
        else:
            start = position + 3
            stop = start + block[position + 2]
        values[block[position + 1]] = block[start:stop]
        position = stop
    return values


def place_of(block: bytes, code: int) -> int:
    """Return where an attribute of this code stands in a canonical block, or would stand."""
    position, end = 0, len(block)
    while position < end and block[position + 1] < code:
        if block[position] & _EXTENDED_LENGTH:
            position += 4 + (block[position + 2] << 8 | block[position + 3])
        else:
            position += 3 + block[position + 2]
    return position


def prepended(octets: bytes, asn: int) -> bytes | None:
    """Return an AS_PATH that is one sequence with an AS in front; None if it is not, or has no room."""
    if not octets or octets[0] != _SEQUENCE or octets[1] == LONGEST_SEGMENT or len(octets) != 2 + 4 * octets[1]:
        return None
    return bytes((_SEQUENCE, octets[1] + 1)) + asn.to_bytes(4, "big") + octets[2:]


def length_and_leader(octets: bytes) -> tuple[int, int | None]:
    """Return what path selection counts, and the AS that a leading sequence begins with (RFC 4271 section 9.1.2.2).

    Nearly every path is one sequence, which shows both without being taken apart.
    """
    if not octets:
        return 0, None
    if octets[0] == _SEQUENCE and len(octets) == 2 + 4 * octets[1]:
        return octets[1], int.from_bytes(octets[2:6], "big")
    path = decode_as_path(octets)
    return path.length, _leading(path)


def _leading(path: AsPath) -> int | None:
    segment = next((segment for segment in path.segments if segment.kind not in _CONFEDERATION), None)
    return segment.asns[0] if segment is not None and segment.kind == SegmentType.SEQUENCE else None
