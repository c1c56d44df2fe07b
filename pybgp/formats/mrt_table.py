"""A table as TABLE_DUMP_V2 records, ready to write: the quick way for a million prefixes (RFC 6396 section 4.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.formats.mrt import HEADER, MrtType, PeerIndexTable, TableSubtype, encode, record_octets
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SUBTYPES: Final[Mapping[Family, int]] = {
    IPV4_UNICAST: TableSubtype.RIB_IPV4_UNICAST,
    Family(1, 2): TableSubtype.RIB_IPV4_MULTICAST,
    IPV6_UNICAST: TableSubtype.RIB_IPV6_UNICAST,
    Family(2, 2): TableSubtype.RIB_IPV6_MULTICAST,
}
#: From a subtype to that with path identifiers (RFC 8050 section 5.2).
_ADD_PATH_STEP: Final = 6
_TABLE_DUMP_V2: Final = int(MrtType.TABLE_DUMP_V2)
_FRONT: Final = struct.Struct(">HI")
_LENGTH: Final = struct.Struct(">H")
_SEQUENCE: Final = struct.Struct(">I")
_LONGEST_ATTRIBUTES: Final = 0xFFFF
_MOST_ENTRIES: Final = 0xFFFF


class Entry(NamedTuple):
    """A RIB entry in two halves: a path identifier stands between them where there is one (RFC 8050 section 4.1)."""

    front: bytes
    rest: bytes


def entry_of(peer_index: int, originated: int, attributes: bytes) -> Entry | None:
    """Return what a peer says in a record; None if its attributes are longer than a record can hold."""
    if len(attributes) > _LONGEST_ATTRIBUTES:
        return None
    return Entry(_FRONT.pack(peer_index, originated), _LENGTH.pack(len(attributes)) + attributes)


def check_families(families: Iterable[Family]) -> None:
    """Raise LocalError for a family that has no records of its own (RFC 6396 section 4.3.2)."""
    for family in families:
        if family not in _SUBTYPES:
            raise LocalError(f"family {family}: one of {', '.join(map(str, _SUBTYPES))} expected")


class TableRecords:
    """Makes the records of one dump, numbered in their order."""

    def __init__(self, seconds: int) -> None:
        """``seconds`` since 1970 stands in every record."""
        self._seconds = seconds
        self._sequence = 0

    def peers(self, table: PeerIndexTable) -> bytes:
        """Return the record that all others refer to."""
        return record_octets(encode(table, self._seconds))

    def prefix(self, family: Family, nlri: bytes, entries: Sequence[bytes], *, add_path: bool = False) -> bytes:
        """Return the record of a prefix of a `check_families` family, or several if one cannot hold the entries."""
        subtype = _SUBTYPES[family] + (_ADD_PATH_STEP if add_path else 0)
        if len(entries) <= _MOST_ENTRIES:
            return self._record(subtype, nlri, entries)
        starts = range(0, len(entries), _MOST_ENTRIES)
        return b"".join(self._record(subtype, nlri, entries[start : start + _MOST_ENTRIES]) for start in starts)

    def _record(self, subtype: int, nlri: bytes, entries: Sequence[bytes]) -> bytes:
        body = b"".join((_SEQUENCE.pack(self._sequence & 0xFFFFFFFF), nlri, _LENGTH.pack(len(entries)), *entries))
        self._sequence += 1
        return HEADER.pack(self._seconds, _TABLE_DUMP_V2, subtype, len(body)) + body
