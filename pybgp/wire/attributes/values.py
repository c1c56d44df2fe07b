"""The immutable set of attributes that a route carries (spec section 5.1).

A set is kept as its canonical octets: ascending codes, AS numbers of 4 octets, communities sorted, without MP_REACH,
MP_UNREACH and NEXT_HOP.  The next hop stands beside it, because each family writes it in its own place.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.as_path import AsPath, decode_as_path, encode_as_path
from pybgp.wire.attribute_scan import end_of_path, narrow_aggregator, narrow_path, place_of
from pybgp.wire.attributes.basic import Aggregator, decode_aggregator, decode_cluster_list, decode_origin
from pybgp.wire.attributes.row import EXTENDED_LENGTH, OPTIONAL, OPTIONAL_TRANSITIVE, WELL_KNOWN, attribute_octets
from pybgp.wire.attributes.table import ATTRIBUTES
from pybgp.wire.communities import (
    LargeCommunity,
    decode_communities,
    decode_extended_communities,
    decode_large_communities,
)
from pybgp.wire.iana import AS_TRANS, AttributeCode, Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_NEXT_HOP: Final = int(AttributeCode.NEXT_HOP)
_ORIGINATOR_ID: Final = int(AttributeCode.ORIGINATOR_ID)
_CLUSTER_LIST: Final = int(AttributeCode.CLUSTER_LIST)
_decoder: Final = {code: row.decode for code, row in ATTRIBUTES.items()}.get
#: ORIGIN with its header, which every route's block begins with.
_ORIGIN_LENGTH: Final = 4
#: these never stand in a canonical block: they are per message, per family, or only for 2-octet speakers.
OUTSIDE_THE_BLOCK: Final = frozenset(
    {
        AttributeCode.NEXT_HOP,
        AttributeCode.MP_REACH_NLRI,
        AttributeCode.MP_UNREACH_NLRI,
        AttributeCode.AS4_PATH,
        AttributeCode.AS4_AGGREGATOR,
    }
)


def encode_attribute(code: int, value: Any) -> bytes:  # the type of a value depends on its code
    """Write one attribute from its typed value; octets for a code without a row."""
    row = ATTRIBUTES.get(code)
    if row is None:
        if not isinstance(value, bytes):
            raise LocalError(f"attribute {code}: {value!r} is not bytes, and we know no encoding")
        return attribute_octets(OPTIONAL_TRANSITIVE, code, value)
    try:
        return attribute_octets(row.flags, code, row.encode(value))
    except (struct.error, OverflowError, TypeError, ValueError, AttributeError, MalformedAttributeError) as error:
        raise LocalError(f"{row.name} {value!r}: {error}") from error


class Attributes(NamedTuple):
    """The attributes of a route: an immutable value, one object per content within a store.

    Values decode on access; whoever asks often keeps what it got.  It is a tuple of octets because nothing else is as
    quickly made, hashed and compared.
    """

    #: canonical octets, see the top of the module; :meth:`build` and the decoder make them.
    block: bytes
    #: 4 octets, 16, or 32 with a link-local address behind; empty if unknown.
    next_hop: bytes = b""
    #: what the NLRI says of the path beside its key: labels, a segment; empty in most families.
    details: bytes = b""

    @classmethod
    def build(cls, values: Mapping[int, Any], next_hop: bytes = b"") -> Attributes:
        """Return the set of these typed values by code."""
        return cls(b"").replace(values, next_hop=next_hop)

    def replace(
        self, values: Mapping[int, Any] | None = None, *, drop: Collection[int] = (), next_hop: bytes | None = None
    ) -> Attributes:
        """Return a set with some values changed, some dropped, or another next hop."""
        hop = self.next_hop if next_hop is None else next_hop
        if not values and not drop:
            return self if hop == self.next_hop else Attributes(self.block, hop, self.details)
        pieces = dict(self.pieces())
        for code in drop:
            pieces.pop(code, None)
        for code, value in (values or {}).items():
            if code in OUTSIDE_THE_BLOCK:
                raise LocalError(f"attribute {code} is written by the encoder, it cannot be set")
            pieces[code] = encode_attribute(code, value)
        return Attributes(b"".join(pieces[code] for code in sorted(pieces)), hop, self.details)

    def with_details(self, details: bytes) -> Attributes:
        """Return a set that stands beside NLRI with these details."""
        return self if details == self.details else Attributes(self.block, self.next_hop, details)

    def with_value(self, code: int, octets: bytes, next_hop: bytes) -> Attributes:
        """Return a set in which the value of an attribute that is present is these octets, and with this next hop."""
        block = self.block
        start, stop = place_of(block, code), place_of(block, code + 1)
        written = block[:start] + attribute_octets(block[start], code, octets) + block[stop:]
        return Attributes(written, next_hop, self.details)

    def reflected(self, originator_id: int, cluster_id: int, next_hop: bytes) -> Attributes:
        """Return the set as a reflector passes it on: its cluster in front, and the originator (RFC 4456 section 8)."""
        front = place_of(self.block, _ORIGINATOR_ID)
        rest = self.block[front:]
        middle, back = place_of(rest, _CLUSTER_LIST), place_of(rest, _CLUSTER_LIST + 1)
        originator = rest[:middle] or attribute_octets(OPTIONAL, _ORIGINATOR_ID, originator_id.to_bytes(4, "big"))
        start = middle + 4 if middle < back and rest[middle] & EXTENDED_LENGTH else middle + 3
        cluster_list = attribute_octets(OPTIONAL, _CLUSTER_LIST, cluster_id.to_bytes(4, "big") + rest[start:back])
        return Attributes(self.block[:front] + originator + cluster_list + rest[back:], next_hop, self.details)

    def __repr__(self) -> str:
        """Show every value by name."""
        shown = ", ".join(f"{_name(code)}={self.get(code)}" for code in self.codes())
        details = f", details={self.details.hex()}" if self.details else ""
        return f"Attributes({shown}, next_hop={self.next_hop.hex()}{details})"

    def _walk(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield code, where the attribute starts, where its value starts, and where it ends."""
        block = self.block
        position = 0
        while position < len(block):
            if block[position] & EXTENDED_LENGTH:
                start = position + 4
                stop = start + (block[position + 2] << 8 | block[position + 3])
            else:
                start = position + 3
                stop = start + block[position + 2]
            yield block[position + 1], position, start, stop
            position = stop

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Yield each code with its whole octets, ascending."""
        for code, position, _, stop in self._walk():
            yield code, self.block[position:stop]

    def codes(self) -> list[int]:
        """Return the codes that are present, ascending."""
        return [code for code, _, _, _ in self._walk()]

    def value_octets(self, code: int) -> bytes | None:
        """Return the octets of a value, or None."""
        block = self.block
        position, end = 0, len(block)
        while position < end and block[position + 1] <= code:
            if block[position] & EXTENDED_LENGTH:
                start = position + 4
                stop = start + (block[position + 2] << 8 | block[position + 3])
            else:
                start = position + 3
                stop = start + block[position + 2]
            if block[position + 1] == code:
                return block[start:stop]
            position = stop
        return None

    def values(self) -> dict[int, Any]:  # the type of a value depends on its code
        """Return every typed value by its code, ascending: what :meth:`get` says of each, in one walk."""
        found = {}
        block = self.block
        position, end = 0, len(block)
        while position < end:
            if block[position] & EXTENDED_LENGTH:
                start = position + 4
                stop = start + (block[position + 2] << 8 | block[position + 3])
            else:
                start = position + 3
                stop = start + block[position + 2]
            code = block[position + 1]
            found[code] = _decoder(code, bytes)(block[start:stop])
            position = stop
        return found

    def flags(self, code: int) -> int:
        """Return the flags of an attribute that is present, 0 for one that is not."""
        return next((self.block[position] for found, position, _, _ in self._walk() if found == code), 0)

    def __contains__(self, code: object) -> bool:
        """Say whether an attribute is present."""
        return any(found == code for found, _, _, _ in self._walk())

    def get(self, code: int) -> Any:  # the type of a value depends on its code
        """Return the typed value of an attribute, its octets if the code has no row, None if it is absent."""
        value = self.value_octets(code)
        row = ATTRIBUTES.get(code)
        return value if value is None or row is None else row.decode(value)

    @property
    def origin(self) -> Origin:
        """ORIGIN; incomplete if it is absent."""
        value = self.value_octets(AttributeCode.ORIGIN)
        return decode_origin(value) if value else Origin.INCOMPLETE

    @property
    def as_path(self) -> AsPath:
        """AS_PATH, AS4_PATH merged into it."""
        return decode_as_path(self.value_octets(AttributeCode.AS_PATH) or b"")

    @property
    def med(self) -> int | None:
        """MULTI_EXIT_DISC."""
        return self._number(AttributeCode.MED)

    @property
    def local_pref(self) -> int | None:
        """LOCAL_PREF."""
        return self._number(AttributeCode.LOCAL_PREF)

    @property
    def atomic_aggregate(self) -> bool:
        """Whether ATOMIC_AGGREGATE is present."""
        return AttributeCode.ATOMIC_AGGREGATE in self.codes()

    @property
    def aggregator(self) -> Aggregator | None:
        """AGGREGATOR, AS4_AGGREGATOR merged into it."""
        value = self.value_octets(AttributeCode.AGGREGATOR)
        return decode_aggregator(value) if value else None

    @property
    def communities(self) -> tuple[int, ...]:
        """COMMUNITIES, ascending."""
        return decode_communities(self.value_octets(AttributeCode.COMMUNITIES) or b"")

    @property
    def extended_communities(self) -> tuple[bytes, ...]:
        """EXTENDED COMMUNITIES, ascending."""
        return decode_extended_communities(self.value_octets(AttributeCode.EXTENDED_COMMUNITIES) or b"")

    @property
    def large_communities(self) -> tuple[LargeCommunity, ...]:
        """LARGE_COMMUNITY, ascending."""
        return decode_large_communities(self.value_octets(AttributeCode.LARGE_COMMUNITIES) or b"")

    @property
    def originator_id(self) -> int | None:
        """ORIGINATOR_ID."""
        return self._number(AttributeCode.ORIGINATOR_ID)

    @property
    def cluster_list(self) -> tuple[int, ...]:
        """CLUSTER_LIST, the latest first."""
        return decode_cluster_list(self.value_octets(AttributeCode.CLUSTER_LIST) or b"")

    def _number(self, code: int) -> int | None:
        value = self.value_octets(code)
        return None if value is None else int.from_bytes(value, "big")

    def encoded(self, *, asn4: bool = True, classic_next_hop: bool = False) -> bytes:
        """Return the octets to send: NEXT_HOP put in where IPv4 needs it, AS numbers cut for a 2-octet peer."""
        hop = attribute_octets(WELL_KNOWN, _NEXT_HOP, self.next_hop) if classic_next_hop else b""
        block = self.block
        at = end_of_path(block)
        if asn4:
            at = (at or place_of(block, _NEXT_HOP)) if hop else 0
            return block[:at] + hop + block[at:]
        path = narrow_path(block) if at else None
        rest = None if path is None else narrow_aggregator(block[at:])
        if path is not None and rest is not None:
            return block[:_ORIGIN_LENGTH] + path + hop + rest
        pieces = dict(self.pieces())
        if hop:
            pieces[AttributeCode.NEXT_HOP] = hop
        self._narrow(pieces)
        return b"".join(pieces[code] for code in sorted(pieces))

    def _narrow(self, pieces: dict[int, bytes]) -> None:
        """Put AS_TRANS where an AS number needs four octets, and the truth into AS4_* (RFC 6793 section 4.2.2)."""
        if AttributeCode.AS_PATH in pieces:
            path = self.as_path
            short = encode_as_path(path, 2)
            pieces[AttributeCode.AS_PATH] = attribute_octets(WELL_KNOWN, AttributeCode.AS_PATH, short)
            outside = path.without_confederations()
            if any(asn > 0xFFFF for asn in outside):
                pieces[AttributeCode.AS4_PATH] = encode_attribute(AttributeCode.AS4_PATH, outside)
        if aggregator := self.aggregator:
            large = aggregator.asn > 0xFFFF
            flags = self.flags(AttributeCode.AGGREGATOR)
            value = struct.pack(">HI", AS_TRANS if large else aggregator.asn, aggregator.router_id)
            pieces[AttributeCode.AGGREGATOR] = attribute_octets(flags, AttributeCode.AGGREGATOR, value)
            if large:
                pieces[AttributeCode.AS4_AGGREGATOR] = encode_attribute(AttributeCode.AS4_AGGREGATOR, aggregator)


def _name(code: int) -> str:
    row = ATTRIBUTES.get(code)
    return row.name.lower() if row else str(code)
