"""MRT records as values, read and written (RFC 6396, RFC 8050).

A `Record` is what stands in a file; `decode` says what it means and `encode` writes it again.  No length is believed
that goes beyond its record.  Attributes and BGP messages stay octets until ``formats/mrt_routes.py`` is asked for them.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.errors import FormatError, LocalError
from pybgp.formats.nlri_length import nlri_end
from pybgp.formats.octets import ADDRESS_LENGTHS, Octets, number_octets, sized_octets
from pybgp.wire.families import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class MrtType(IntEnum):
    """Record types (RFC 6396 sections 4 and 5.3); those of other protocols are kept as octets."""

    BGP = 5
    TABLE_DUMP = 12
    TABLE_DUMP_V2 = 13
    BGP4MP = 16
    BGP4MP_ET = 17
    ISIS_ET = 33
    OSPFV3_ET = 49


class TableSubtype(IntEnum):
    """TABLE_DUMP_V2 (RFC 6396 section 4.3, RFC 8050 section 4)."""

    PEER_INDEX_TABLE = 1
    RIB_IPV4_UNICAST = 2
    RIB_IPV4_MULTICAST = 3
    RIB_IPV6_UNICAST = 4
    RIB_IPV6_MULTICAST = 5
    RIB_GENERIC = 6
    RIB_GENERIC_ADDPATH = 12


class Bgp4mpSubtype(IntEnum):
    """BGP4MP (RFC 6396 section 4.4, RFC 8050 section 3)."""

    STATE_CHANGE = 0
    MESSAGE = 1
    ENTRY = 2
    MESSAGE_AS4 = 4
    STATE_CHANGE_AS4 = 5
    MESSAGE_LOCAL = 6
    MESSAGE_AS4_LOCAL = 7
    MESSAGE_ADDPATH = 8
    MESSAGE_AS4_ADDPATH = 9
    MESSAGE_LOCAL_ADDPATH = 10
    MESSAGE_AS4_LOCAL_ADDPATH = 11


#: types whose message begins with microseconds (RFC 6396 section 3).
EXTENDED_TIME: Final = frozenset({MrtType.BGP4MP_ET, MrtType.ISIS_ET, MrtType.OSPFV3_ET})
HEADER: Final = struct.Struct(">IHHI")

_MARKER: Final = b"\xff" * 16
#: subtypes 2 to 5 by family; 8 to 11 are the same with path identifiers.
_SPECIFIC: Final = {2: Family(1, 1), 3: Family(1, 2), 4: Family(2, 1), 5: Family(2, 2)}
_SPECIFIC_SUBTYPES: Final = {family: subtype for subtype, family in _SPECIFIC.items()}
_ADD_PATH_STEP: Final = 6
_ENTRY: Final = struct.Struct(">HIH")
_ENTRY_ADD_PATH: Final = struct.Struct(">HIIH")
_HEAD: Final = struct.Struct(">HHHH")
_HEAD_AS4: Final = struct.Struct(">IIHH")
#: subtype -> (4-octet AS numbers, sent by the collector, with path identifiers).
_MESSAGES: Final = {
    1: (False, False, False),
    4: (True, False, False),
    6: (False, True, False),
    7: (True, True, False),
    8: (False, False, True),
    9: (True, False, True),
    10: (False, True, True),
    11: (True, True, True),
}
_MESSAGE_SUBTYPES: Final = {flags: subtype for subtype, flags in _MESSAGES.items()}
#: RFC 6396 appendix B.2.1: subtype of the old BGP type -> message type.
_OLD_MESSAGES: Final = {1: 2, 5: 1, 6: 3, 7: 4}


class Record(NamedTuple):
    """One record as it stands in a file (RFC 6396 sections 2 and 3); microseconds only where its type has them."""

    seconds: int
    kind: int
    subtype: int
    body: bytes
    microseconds: int | None = None

    @property
    def time(self) -> float:
        """Seconds since 1970, with the fraction if there is one."""
        return self.seconds + (self.microseconds or 0) / 1_000_000


class IndexedPeer(NamedTuple):
    """A peer in a PEER_INDEX_TABLE."""

    router_id: int
    address: bytes
    asn: int
    #: how the AS number was written.
    asn4: bool = True


class PeerIndexTable(NamedTuple):
    """Whom the RIB records that follow speak of, by position (RFC 6396 section 4.3.1)."""

    collector_id: int
    view_name: bytes
    peers: tuple[IndexedPeer, ...]


class RibEntry(NamedTuple):
    """What one peer says about a prefix (RFC 6396 section 4.3.4); a path identifier by RFC 8050 section 4.1."""

    peer_index: int
    originated: int
    attributes: bytes
    path_id: int | None = None


class Rib(NamedTuple):
    """One prefix and every peer's route to it (RFC 6396 sections 4.3.2 and 4.3.3).

    ``nlri`` are the NLRI's own octets.  In a generic record of a family that nobody here can measure, what follows the
    family stays in ``unread`` (RFC 6396 section 4.3.3).
    """

    sequence: int
    family: Family
    nlri: bytes
    entries: tuple[RibEntry, ...]
    is_generic: bool = False
    #: a generic record whose NLRI begins with a path identifier; elsewhere the entries have theirs.
    has_path_id: bool = False
    unread: bytes = b""


class TableEntry(NamedTuple):
    """One route of the old table format (RFC 6396 section 4.2); AS numbers have two octets."""

    view: int
    sequence: int
    family: Family
    nlri: bytes
    status: int
    originated: int
    peer_address: bytes
    peer_as: int
    attributes: bytes


class Ends(NamedTuple):
    """The two sides of a session as a BGP4MP record names them."""

    peer_as: int
    local_as: int
    peer_address: bytes
    local_address: bytes
    interface: int = 0


class BgpMessage(NamedTuple):
    """A BGP message, header included (RFC 6396 sections 4.4.2 to 4.4.6)."""

    ends: Ends
    message: bytes
    asn4: bool = True
    #: the collector sent it.
    is_local: bool = False
    add_path: bool = False


class StateChange(NamedTuple):
    """A session went from one state to another (RFC 6396 section 4.4.1); 1 is Idle, 6 Established."""

    ends: Ends
    old_state: int
    new_state: int
    asn4: bool = True


class Bgp4mpEntry(NamedTuple):
    """One route of the deprecated BGP4MP_ENTRY subtype (RFC 6396 appendix B.2.6.1)."""

    ends: Ends
    view: int
    status: int
    originated: int
    family: Family
    next_hop: bytes
    nlri: bytes
    attributes: bytes


class OpaqueRecord(NamedTuple):
    """A record of a type or subtype that is not about BGP routes, or of none that we know."""

    kind: int
    subtype: int
    body: bytes


Value: TypeAlias = PeerIndexTable | Rib | TableEntry | BgpMessage | StateChange | Bgp4mpEntry | OpaqueRecord


def decode(record: Record) -> Value:
    """Say what a record means; FormatError counts octets from the beginning of its body."""
    decoder = _DECODERS.get((record.kind, record.subtype))
    if decoder is None:
        return OpaqueRecord(record.kind, record.subtype, record.body)
    return decoder(record.body, record.subtype)


# Tables


def _decode_peer_index_table(body: bytes, _: int) -> PeerIndexTable:
    octets = Octets(body)
    collector_id = octets.number(4, "collector identifier")
    view_name = octets.take(octets.number(2, "view name length"), "view name")
    count = octets.number(2, "peer count")
    peers = tuple(_decode_indexed_peer(octets) for _ in range(count))
    octets.finish("PEER_INDEX_TABLE")
    return PeerIndexTable(collector_id, view_name, peers)


def _decode_indexed_peer(octets: Octets) -> IndexedPeer:
    kind = octets.number(1, "peer type")
    router_id = octets.number(4, "peer identifier")
    address = octets.take(16 if kind & 1 else 4, "peer address")
    asn4 = bool(kind & 2)
    return IndexedPeer(router_id, address, octets.number(4 if asn4 else 2, "peer AS"), asn4)


def _prefix(family: Family, body: bytes, position: int) -> tuple[bytes, int]:
    """Return the key of a prefix, stray bits cleared, and where it ends (RFC 6396 section 4.3.2)."""
    length = body[position] if position < len(body) else 0
    end = position + 1 + (length + 7) // 8
    if end > len(body) or length > (32 if family.afi == 1 else 128):
        raise FormatError(f"{family} prefix of {length} bits", position)
    stray = -length % 8
    if stray and body[end - 1] & ((1 << stray) - 1):
        return body[position : end - 1] + bytes([body[end - 1] >> stray << stray]), end
    return body[position:end], end


def _entries(body: bytes, position: int, *, add_path: bool) -> tuple[RibEntry, ...]:
    """Read the count and that many entries, which end where the record ends."""
    end = len(body)
    if position + 2 > end:
        raise FormatError("entry count is missing", position)
    count = body[position] << 8 | body[position + 1]
    position += 2
    fixed = _ENTRY_ADD_PATH if add_path else _ENTRY
    path_id = None
    entries: list[RibEntry] = []
    for _ in range(count):
        start = position + fixed.size
        if start > end:
            raise FormatError(f"RIB entry {len(entries)} of {count} is cut off", position)
        if add_path:
            peer_index, originated, path_id, length = fixed.unpack_from(body, position)
        else:
            peer_index, originated, length = fixed.unpack_from(body, position)
        position = start + length
        if position > end:
            raise FormatError(f"attributes of RIB entry {len(entries)}: {length} octets, {end - start} present", start)
        entries.append(RibEntry(peer_index, originated, body[start:position], path_id))
    if position != end:
        raise FormatError(f"{end - position} octets behind the last RIB entry", position)
    return tuple(entries)


def _decode_rib(body: bytes, subtype: int) -> Rib:
    add_path = subtype not in _SPECIFIC
    family = _SPECIFIC[subtype - _ADD_PATH_STEP if add_path else subtype]
    if len(body) < 5:
        raise FormatError(f"RIB record of {len(body)} octets", len(body))
    nlri, end = _prefix(family, body, 4)
    return Rib(int.from_bytes(body[:4], "big"), family, nlri, _entries(body, end, add_path=add_path))


def _decode_generic_rib(body: bytes, subtype: int) -> Rib:
    octets = Octets(body)
    sequence = octets.number(4, "sequence number")
    family = Family(octets.number(2, "AFI"), octets.number(1, "SAFI"))
    has_path_id = subtype == TableSubtype.RIB_GENERIC_ADDPATH
    start = octets.position
    end = nlri_end(family, body, start + 4 if has_path_id else start)
    if end is None:
        return Rib(sequence, family, b"", (), is_generic=True, has_path_id=has_path_id, unread=octets.rest())
    nlri = octets.take(end - start, f"{family} NLRI")
    return Rib(sequence, family, nlri, _entries(body, end, add_path=False), is_generic=True, has_path_id=has_path_id)


def _decode_table_entry(body: bytes, subtype: int) -> TableEntry:
    octets = Octets(body)
    family, address_length = Family(subtype, 1), ADDRESS_LENGTHS[subtype - 1]
    view, sequence = octets.number(2, "view number"), octets.number(2, "sequence number")
    at = octets.position
    address = octets.take(address_length, "prefix")
    length = octets.number(1, "prefix length")
    if length > 8 * address_length:
        raise FormatError(f"{family} prefix of {length} bits", at)
    nlri, _ = _prefix(family, bytes([length]) + address[: (length + 7) // 8], 0)
    status, originated = octets.number(1, "status"), octets.number(4, "originated time")
    peer_address, peer_as = octets.take(address_length, "peer address"), octets.number(2, "peer AS")
    attributes = octets.take(octets.number(2, "attribute length"), "attributes")
    octets.finish("TABLE_DUMP")
    return TableEntry(view, sequence, family, nlri, status, originated, peer_address, peer_as, attributes)


# Sessions


def _ends(body: bytes, asn4: bool) -> tuple[Ends, int]:
    """Read who talks to whom; return where the rest begins."""
    fixed = _HEAD_AS4 if asn4 else _HEAD
    if len(body) < fixed.size:
        raise FormatError(f"BGP4MP record of {len(body)} octets", len(body))
    peer_as, local_as, interface, afi = fixed.unpack_from(body)
    if afi not in (1, 2):
        raise FormatError(f"address family {afi} of the session: 1 or 2 expected", fixed.size - 2)
    middle = fixed.size + ADDRESS_LENGTHS[afi - 1]
    end = 2 * middle - fixed.size
    if end > len(body):
        raise FormatError("addresses of the session are cut off", fixed.size)
    return Ends(peer_as, local_as, body[fixed.size : middle], body[middle:end], interface), end


def _decode_message(body: bytes, subtype: int) -> BgpMessage:
    asn4, is_local, add_path = _MESSAGES[subtype]
    ends, start = _ends(body, asn4)
    return BgpMessage(ends, body[start:], asn4, is_local, add_path)


def _decode_state_change(body: bytes, subtype: int) -> StateChange:
    asn4 = subtype == Bgp4mpSubtype.STATE_CHANGE_AS4
    ends, start = _ends(body, asn4)
    octets = Octets(body, start)
    old_state, new_state = octets.number(2, "old state"), octets.number(2, "new state")
    octets.finish("state change")
    return StateChange(ends, old_state, new_state, asn4)


def _decode_bgp4mp_entry(body: bytes, _: int) -> Bgp4mpEntry:
    ends, start = _ends(body, asn4=False)
    octets = Octets(body, start)
    view, status = octets.number(2, "view number"), octets.number(2, "status")
    originated = octets.number(4, "time of last change")
    family = Family(octets.number(2, "AFI"), octets.number(1, "SAFI"))
    next_hop = octets.take(octets.number(1, "next hop length"), "next hop")
    if family not in _SPECIFIC_SUBTYPES:
        raise FormatError(f"{family}: the prefix of a BGP4MP_ENTRY is IPv4 or IPv6", octets.position)
    nlri, octets.position = _prefix(family, body, octets.position)
    attributes = octets.take(octets.number(2, "attribute length"), "attributes")
    octets.finish("BGP4MP_ENTRY")
    return Bgp4mpEntry(ends, view, status, originated, family, next_hop, nlri, attributes)


def _decode_old_message(body: bytes, subtype: int) -> BgpMessage:
    """RFC 6396 appendix B.2.1: IPv4 only, AS numbers of two octets, and no message header."""
    octets = Octets(body)
    peer_as, peer_address = octets.number(2, "peer AS"), octets.take(4, "peer address")
    local_as, local_address = octets.number(2, "local AS"), octets.take(4, "local address")
    content = octets.rest()
    length = len(content) + 19
    if length > 0xFFFF:
        raise FormatError(f"message of {length} octets", octets.position)
    message = _MARKER + struct.pack(">HB", length, _OLD_MESSAGES[subtype]) + content
    return BgpMessage(Ends(peer_as, local_as, peer_address, local_address), message, asn4=False)


def _decode_old_state_change(body: bytes, _: int) -> StateChange:
    """RFC 6396 appendix B.2.1.4: nothing is said about the collector."""
    octets = Octets(body)
    ends = Ends(octets.number(2, "peer AS"), 0, octets.take(4, "peer address"), bytes(4))
    old_state, new_state = octets.number(2, "old state"), octets.number(2, "new state")
    octets.finish("state change")
    return StateChange(ends, old_state, new_state, asn4=False)


_DECODERS: Final[Mapping[tuple[int, int], Callable[[bytes, int], Value]]] = {
    **{(MrtType.BGP, subtype): _decode_old_message for subtype in _OLD_MESSAGES},
    (MrtType.BGP, 3): _decode_old_state_change,
    (MrtType.TABLE_DUMP, 1): _decode_table_entry,
    (MrtType.TABLE_DUMP, 2): _decode_table_entry,
    (MrtType.TABLE_DUMP_V2, TableSubtype.PEER_INDEX_TABLE): _decode_peer_index_table,
    **{(MrtType.TABLE_DUMP_V2, subtype): _decode_rib for subtype in _SPECIFIC},
    **{(MrtType.TABLE_DUMP_V2, subtype + _ADD_PATH_STEP): _decode_rib for subtype in _SPECIFIC},
    (MrtType.TABLE_DUMP_V2, TableSubtype.RIB_GENERIC): _decode_generic_rib,
    (MrtType.TABLE_DUMP_V2, TableSubtype.RIB_GENERIC_ADDPATH): _decode_generic_rib,
    **{(kind, subtype): _decode_message for kind in (MrtType.BGP4MP, MrtType.BGP4MP_ET) for subtype in _MESSAGES},
    **{
        (kind, subtype): _decode_state_change
        for kind in (MrtType.BGP4MP, MrtType.BGP4MP_ET)
        for subtype in (Bgp4mpSubtype.STATE_CHANGE, Bgp4mpSubtype.STATE_CHANGE_AS4)
    },
    (MrtType.BGP4MP, Bgp4mpSubtype.ENTRY): _decode_bgp4mp_entry,
}


# Writing


def encode(value: Value, seconds: int, microseconds: int | None = None) -> Record:
    """Return the record of a value; with microseconds a BGP4MP one becomes BGP4MP_ET.

    LocalError names what does not fit its field: a route whose attributes are longer than 65535 octets for example.
    """
    kind, subtype, body = _encode(value)
    if microseconds is not None and kind == MrtType.BGP4MP:
        kind = MrtType.BGP4MP_ET
    if (microseconds is not None) != (kind in EXTENDED_TIME):
        expected = "none" if microseconds is not None else "a number"
        raise LocalError(f"microseconds {microseconds} of MRT type {kind}: {expected} expected")
    return Record(seconds, kind, subtype, body, microseconds)


def record_octets(record: Record) -> bytes:
    """Write a record with its header (RFC 6396 sections 2 and 3)."""
    body = record.body
    if record.microseconds is not None:
        body = number_octets(record.microseconds, 4, "microseconds") + body
    try:
        return HEADER.pack(record.seconds, record.kind, record.subtype, len(body)) + body
    except struct.error as error:
        raise LocalError(f"MRT header of {record.seconds} {record.kind}/{record.subtype}: {error}") from error


def _encode(value: Value) -> tuple[int, int, bytes]:
    """Return type, subtype and body."""
    match value:
        case BgpMessage():
            subtype = _MESSAGE_SUBTYPES[value.asn4, value.is_local, value.add_path]
            return MrtType.BGP4MP, subtype, _ends_octets(value.ends, value.asn4) + value.message
        case StateChange():
            states = number_octets(value.old_state, 2, "old state") + number_octets(value.new_state, 2, "new state")
            changed = Bgp4mpSubtype.STATE_CHANGE_AS4 if value.asn4 else Bgp4mpSubtype.STATE_CHANGE
            return MrtType.BGP4MP, changed, _ends_octets(value.ends, value.asn4) + states
        case Rib():
            return MrtType.TABLE_DUMP_V2, *_rib_octets(value)
        case PeerIndexTable():
            return MrtType.TABLE_DUMP_V2, TableSubtype.PEER_INDEX_TABLE, _peer_index_octets(value)
        case TableEntry():
            return MrtType.TABLE_DUMP, value.family.afi, _table_entry_octets(value)
        case Bgp4mpEntry():
            return MrtType.BGP4MP, Bgp4mpSubtype.ENTRY, _bgp4mp_entry_octets(value)
        case OpaqueRecord():
            return value


def _ends_octets(ends: Ends, asn4: bool) -> bytes:
    lengths = (len(ends.peer_address), len(ends.local_address))
    if lengths not in ((4, 4), (16, 16)):
        raise LocalError(f"addresses of {lengths[0]} and {lengths[1]} octets: both 4 or both 16 expected")
    size = 4 if asn4 else 2
    return b"".join(
        (
            number_octets(ends.peer_as, size, "peer AS"),
            number_octets(ends.local_as, size, "local AS"),
            number_octets(ends.interface, 2, "interface"),
            number_octets(1 if lengths[0] == 4 else 2, 2, "AFI"),
            ends.peer_address,
            ends.local_address,
        )
    )


def _peer_index_octets(table: PeerIndexTable) -> bytes:
    pieces = [
        number_octets(table.collector_id, 4, "collector identifier"),
        sized_octets(table.view_name, "view name"),
        number_octets(len(table.peers), 2, "peer count"),
    ]
    for peer in table.peers:
        if len(peer.address) not in ADDRESS_LENGTHS:
            raise LocalError(f"peer address {peer.address.hex()!r}: 4 or 16 octets expected")
        kind = (len(peer.address) == 16) | peer.asn4 << 1
        pieces += (bytes([kind]), number_octets(peer.router_id, 4, "peer identifier"), peer.address)
        pieces.append(number_octets(peer.asn, 4 if peer.asn4 else 2, "peer AS"))
    return b"".join(pieces)


def _rib_octets(rib: Rib) -> tuple[int, bytes]:
    sequence = number_octets(rib.sequence, 4, "sequence number")
    with_ids = {entry.path_id is not None for entry in rib.entries}
    if len(with_ids) > 1 or (rib.is_generic and True in with_ids):
        raise LocalError(f"{rib.family} entries: path identifiers in all entries of a specific record, or in none")
    if rib.is_generic:
        front = sequence + struct.pack(">HB", *rib.family) + rib.nlri
        subtype = TableSubtype.RIB_GENERIC_ADDPATH if rib.has_path_id else TableSubtype.RIB_GENERIC
        return subtype, front + (rib.unread or _entries_octets(rib.entries))
    if rib.family not in _SPECIFIC_SUBTYPES:
        raise LocalError(f"{rib.family}: a generic record is needed (RFC 6396 section 4.3.3)")
    subtype_number = _SPECIFIC_SUBTYPES[rib.family] + (_ADD_PATH_STEP if True in with_ids else 0)
    return subtype_number, sequence + rib.nlri + _entries_octets(rib.entries)


def _entries_octets(entries: tuple[RibEntry, ...]) -> bytes:
    pieces = [number_octets(len(entries), 2, "entry count")]
    for entry in entries:
        pieces.append(number_octets(entry.peer_index, 2, "peer index"))
        pieces.append(number_octets(entry.originated, 4, "originated time"))
        if entry.path_id is not None:
            pieces.append(number_octets(entry.path_id, 4, "path identifier"))
        pieces.append(sized_octets(entry.attributes, "attribute"))
    return b"".join(pieces)


def _table_entry_octets(entry: TableEntry) -> bytes:
    if entry.family not in (Family(1, 1), Family(2, 1)):
        raise LocalError(f"{entry.family}: TABLE_DUMP holds IPv4 and IPv6 unicast (RFC 6396 section 4.2)")
    length = ADDRESS_LENGTHS[entry.family.afi - 1]
    if len(entry.peer_address) != length:
        raise LocalError(f"peer address {entry.peer_address.hex()!r}: {length} octets expected")
    return b"".join(
        (
            number_octets(entry.view, 2, "view number"),
            number_octets(entry.sequence, 2, "sequence number"),
            entry.nlri[1:].ljust(length, b"\0"),
            entry.nlri[:1],
            number_octets(entry.status, 1, "status"),
            number_octets(entry.originated, 4, "originated time"),
            entry.peer_address,
            number_octets(entry.peer_as, 2, "peer AS"),
            sized_octets(entry.attributes, "attribute"),
        )
    )


def _bgp4mp_entry_octets(entry: Bgp4mpEntry) -> bytes:
    return b"".join(
        (
            _ends_octets(entry.ends, asn4=False),
            number_octets(entry.view, 2, "view number"),
            number_octets(entry.status, 2, "status"),
            number_octets(entry.originated, 4, "time of last change"),
            struct.pack(">HB", *entry.family),
            number_octets(len(entry.next_hop), 1, "next hop length"),
            entry.next_hop,
            entry.nlri,
            sized_octets(entry.attributes, "attribute"),
        )
    )
