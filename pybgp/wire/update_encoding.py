"""UPDATEs written, packed to the peer's limit (RFC 4271 section 4.3)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

from pybgp.errors import LocalError
from pybgp.wire.attribute_scan import end_of_path, scan
from pybgp.wire.attributes import OPTIONAL, attribute_octets
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import HEADER_LENGTH, MARKER, AttributeCode, MessageType
from pybgp.wire.nlri import FAMILIES, PREFIX_FAMILIES
from pybgp.wire.nlri.row import PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated
    from pybgp.wire.updates import OpaqueNlri, Update

#: header and the two length fields.
_EMPTY_LENGTH: Final = HEADER_LENGTH + 4
#: The whole of an UPDATE in front of its attributes, with nothing withdrawn.
_UPDATE_HEAD: Final = struct.Struct(">16sHBHH")
_REACH: Final = int(AttributeCode.MP_REACH_NLRI)
_UNREACH: Final = int(AttributeCode.MP_UNREACH_NLRI)
_MANDATORY: Final = {AttributeCode.ORIGIN, AttributeCode.AS_PATH}


class AttributesTooLongError(LocalError):
    """The attributes leave no room for a prefix: such a route is withdrawn from that peer (RFC 8654 section 4)."""


class SendContext(Protocol):
    """What of a session the encoder needs."""

    @property
    def asn4(self) -> bool:
        """Whether AS numbers have four octets."""

    @property
    def send_limit(self) -> int:
        """How long a message to the peer may be."""


def message_octets(kind: MessageType, body: bytes) -> bytes:
    """Put the header in front of a body (RFC 4271 section 4.1)."""
    return MARKER + struct.pack(">HB", HEADER_LENGTH + len(body), kind) + body


def _update_octets(withdrawn: bytes, attributes: bytes, nlri: bytes = b"") -> bytes:
    body = (struct.pack(">H", len(withdrawn)), withdrawn, struct.pack(">H", len(attributes)), attributes, nlri)
    return message_octets(MessageType.UPDATE, b"".join(body))


def end_of_rib(family: Family) -> bytes:
    """Return the End-of-RIB marker of a family (RFC 4724 section 2)."""
    if family == IPV4_UNICAST:
        return _update_octets(b"", b"")
    return _update_octets(b"", attribute_octets(OPTIONAL, _UNREACH, struct.pack(">HB", *family)))


def _fields(keys: Sequence[bytes], room: int) -> Iterator[bytes]:
    """Join keys into as few fields of at most ``room`` octets as their order allows."""
    ends = list(accumulate(map(len, keys)))
    start, used = 0, 0
    while start < len(keys):
        stop = bisect_right(ends, used + room)
        if stop <= start:
            raise AttributesTooLongError(f"attributes leave {max(room, 0)} octets, {len(keys[start])} are needed")
        yield b"".join(keys[start:stop])
        start, used = stop, ends[stop - 1]


def encode_updates(
    family: Family,
    keys: Sequence[bytes],
    attributes: Attributes | None,
    negotiated: SendContext,
    *,
    add_path: bool = False,
) -> list[bytes]:
    """Pack keys into as few UPDATEs as the peer takes; ``attributes`` None withdraws them (spec section 7.2).

    ``add_path`` says whether the keys carry path identifiers; only withdrawals of labelled families need to know.
    """
    limit = negotiated.send_limit
    if attributes is None:
        return _encode_withdrawals(family, keys, limit, add_path)
    if not end_of_path(attributes.block) and not _MANDATORY.issubset(scan(attributes.block)):
        raise LocalError(f"{attributes}: ORIGIN and AS_PATH are mandatory")
    if family == IPV4_UNICAST and len(attributes.next_hop) == 4:
        octets = attributes.encoded(asn4=negotiated.asn4, classic_next_hop=True)
        return _announce(octets, keys, limit)
    next_hop = _next_hop_octets(family, attributes.next_hop)
    rest = attributes.encoded(asn4=negotiated.asn4)
    front = struct.pack(">HBB", *family, len(next_hop)) + next_hop + b"\0"
    return _encode_multiprotocol(_REACH, front, keys, rest, limit)


def announcements(routes: Iterable[tuple[bytes, Sequence[bytes]]], limit: int) -> bytes:
    """Pack IPv4 prefixes, each sequence behind a whole attribute field of its own, into UPDATEs in a row."""
    pieces: list[bytes] = []
    pack, join = _UPDATE_HEAD.pack, b"".join
    for octets, keys in routes:
        field, attributes_length = join(keys), len(octets)
        length = _EMPTY_LENGTH + attributes_length + len(field)
        if length > limit:
            pieces += _announce(octets, keys, limit)
        else:
            pieces += (pack(MARKER, length, MessageType.UPDATE, 0, attributes_length), octets, field)
    return join(pieces)


def reaching(front: bytes, routes: Iterable[tuple[bytes, Sequence[bytes]]], limit: int) -> bytes:
    """Do the same where prefixes stand in MP_REACH_NLRI, behind ``front`` (RFC 4760 section 3)."""
    pieces: list[bytes] = []
    for octets, keys in routes:
        reach = attribute_octets(OPTIONAL, _REACH, front + b"".join(keys))
        attributes_length = len(reach) + len(octets)
        length = _EMPTY_LENGTH + attributes_length
        if length > limit:
            pieces += _encode_multiprotocol(_REACH, front, keys, octets, limit)
        else:
            pieces += (_UPDATE_HEAD.pack(MARKER, length, MessageType.UPDATE, 0, attributes_length), reach, octets)
    return b"".join(pieces)


def _announce(octets: bytes, keys: Sequence[bytes], limit: int) -> list[bytes]:
    return [_update_octets(b"", octets, part) for part in _fields(keys, limit - _EMPTY_LENGTH - len(octets))]


def _next_hop_octets(family: Family, next_hop: bytes) -> bytes:
    """Write the next hop as the family has it (spec section 5.2)."""
    row = FAMILIES.get(family)
    if row is None:
        return next_hop
    if row.next_hop_ignored:
        return b""
    size = min(len(next_hop), 16)
    if row.distinguished_next_hop and next_hop:
        written = b"".join(bytes(8) + next_hop[start : start + size] for start in range(0, len(next_hop), size))
    else:
        written = next_hop
    allowed = row.next_hops + row.extended_next_hops
    if len(written) not in allowed:
        raise LocalError(f"next hop {next_hop.hex()!r} of {family}: {allowed} octets are expected on the wire")
    return written


def _encode_withdrawals(family: Family, keys: Sequence[bytes], limit: int, add_path: bool) -> list[bytes]:
    if family == IPV4_UNICAST:
        return [_update_octets(field, b"") for field in _fields(keys, limit - _EMPTY_LENGTH)]
    row = FAMILIES.get(family)
    if row is not None and family not in PREFIX_FAMILIES:
        front = PATH_ID_LENGTH if add_path else 0
        keys = [key[:front] + row.withdrawal(key[front:]) for key in keys]
    return _encode_multiprotocol(_UNREACH, struct.pack(">HB", *family), keys, b"", limit)


def _encode_multiprotocol(code: int, front: bytes, keys: Sequence[bytes], rest: bytes, limit: int) -> list[bytes]:
    """One MP attribute per message, in front of the others (RFC 7606 section 5.1)."""
    room = limit - _EMPTY_LENGTH - 4 - len(front) - len(rest)
    if len(front) + room < 255:
        # The short header leaves one octet more.
        room += 1
    return [
        _update_octets(b"", attribute_octets(OPTIONAL, code, front + field) + rest) for field in _fields(keys, room)
    ]


def _encode_opaque(item: OpaqueNlri, attributes: Attributes | None, negotiated: SendContext) -> list[bytes]:
    if item.is_withdrawn:
        front, rest = struct.pack(">HB", *item.family), b""
    else:
        front = struct.pack(">HBB", *item.family, len(item.next_hop)) + item.next_hop + b"\0"
        rest = attributes.encoded(asn4=negotiated.asn4) if attributes else b""
    code = _UNREACH if item.is_withdrawn else _REACH
    return _encode_multiprotocol(code, front, [item.field], rest, negotiated.send_limit)


def encode_update(update: Update, negotiated: Negotiated) -> bytes:
    """Write an UPDATE as one message per kind it carries, withdrawals first."""
    add_path = negotiated.add_path_send
    messages = [
        message
        for family, keys, _ in update.withdrawn
        for message in encode_updates(family, keys, None, negotiated, add_path=family in add_path)
    ]
    for family, keys, attributes in update.announced:
        chosen = attributes or update.attributes
        if chosen is None:
            raise LocalError(f"{len(keys)} {family} prefixes are announced without attributes")
        messages += encode_updates(family, keys, chosen, negotiated)
    for item in update.opaque:
        messages += _encode_opaque(item, update.attributes, negotiated)
    if update.end_of_rib is not None:
        messages.append(end_of_rib(update.end_of_rib))
    return b"".join(messages)
