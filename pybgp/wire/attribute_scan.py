"""One pass over the canonical octets of an attribute set, for whoever asks for several values (spec section 5.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pybgp.wire.as_path import LONGEST_SEGMENT, decode_as_path
from pybgp.wire.iana import AttributeCode, AttributeFlag, SegmentType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pybgp.wire.as_path import AsPath

_EXTENDED_LENGTH: Final = int(AttributeFlag.EXTENDED_LENGTH)
_ORIGIN: Final = int(AttributeCode.ORIGIN)
_AS_PATH: Final = int(AttributeCode.AS_PATH)
_AGGREGATOR: Final = int(AttributeCode.AGGREGATOR)
#: ORIGIN has four octets with its header; the length octet of AS_PATH stands before its value.
_PATH_AT: Final = 4
_PATH_VALUE_AT: Final = 7
#: What AS_PATH begins with where one octet tells its length.
_SHORT_PATH: Final = bytes((AttributeFlag.TRANSITIVE, AttributeCode.AS_PATH))
_GREATEST_OLD_AS: Final = 0xFFFF
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


def end_of_path(block: bytes) -> int:
    """Return where AS_PATH ends in a canonical block that begins with ORIGIN and AS_PATH, as a route's does; else 0."""
    if len(block) < _PATH_VALUE_AT or block[1] != _ORIGIN or block[_PATH_AT + 1] != _AS_PATH:
        return 0
    if not block[_PATH_AT] & _EXTENDED_LENGTH:
        return _PATH_VALUE_AT + block[_PATH_VALUE_AT - 1]
    return _PATH_VALUE_AT + 1 + (block[_PATH_VALUE_AT - 1] << 8 | block[_PATH_VALUE_AT])


def narrow_path(block: bytes) -> bytes | None:
    """Return AS_PATH with its header for a peer of 2-octet AS numbers; None if that takes more than cutting them.

    That is one sequence without a number that needs four octets (RFC 6793 section 4.2.2), in a block that has an
    `end_of_path`.
    """
    value = block[_PATH_VALUE_AT : end_of_path(block)]
    if block[_PATH_AT] & _EXTENDED_LENGTH or (value and not _is_one_sequence(value)):
        return None
    count = value[1] if value else 0
    asns = struct.unpack_from(f">{count}I", value, 2) if value else ()
    if count and max(asns) > _GREATEST_OLD_AS:
        return None
    short = struct.pack(f">BB{count}H", _SEQUENCE, count, *asns) if value else b""
    return block[_PATH_AT : _PATH_VALUE_AT - 1] + bytes((len(short),)) + short


def narrow_aggregator(rest: bytes) -> bytes | None:
    """Return what stands behind AS_PATH with AGGREGATOR cut for such a peer; None if its number needs four octets."""
    at = place_of(rest, _AGGREGATOR)
    if at == len(rest) or rest[at + 1] != _AGGREGATOR:
        return rest
    start = at + 3
    return None if rest[start] or rest[start + 1] else rest[: at + 2] + b"\x06" + rest[start + 2 :]


def _is_one_sequence(value: bytes) -> bool:
    return value[0] == _SEQUENCE and len(value) == 2 + 4 * value[1]


def place_of(block: bytes, code: int) -> int:
    """Return where an attribute of this code stands in a canonical block, or would stand."""
    position, end = 0, len(block)
    while position < end and block[position + 1] < code:
        if block[position] & _EXTENDED_LENGTH:
            position += 4 + (block[position + 2] << 8 | block[position + 3])
        else:
            position += 3 + block[position + 2]
    return position


def with_attribute(block: bytes, code: int, octets: bytes) -> bytes:
    """Return a canonical block in which an attribute is these octets, with their head; empty: it is absent."""
    start = place_of(block, code)
    rest = block[start:]
    if not rest or rest[1] != code:
        return block[:start] + octets + rest
    stop = 4 + (rest[2] << 8 | rest[3]) if rest[0] & _EXTENDED_LENGTH else 3 + rest[2]
    return block[:start] + octets + rest[stop:]


def with_attribute_in_all(blocks: Iterable[bytes], code: int, octets: bytes) -> list[bytes]:
    """Do the same to many blocks of routes, for an attribute that stands behind AS_PATH."""
    changed = []
    for block in blocks:
        # Nearly every block begins with ORIGIN and a short AS_PATH.
        if len(block) > _PATH_VALUE_AT and block[1] == _ORIGIN and block[_PATH_AT : _PATH_AT + 2] == _SHORT_PATH:
            start = _PATH_VALUE_AT + block[_PATH_VALUE_AT - 1]
            if start == len(block):
                changed.append(block + octets)
                continue
            if block[start + 1] > code:
                changed.append(block[:start] + octets + block[start:])
                continue
        changed.append(with_attribute(block, code, octets))
    return changed


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
