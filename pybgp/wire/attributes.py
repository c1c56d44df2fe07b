"""Path attributes: one table row per code, and the immutable set of them that a route carries (spec section 5.1).

A set is kept as its canonical octets: ascending codes, AS numbers of 4 octets, communities sorted, without MP_REACH,
MP_UNREACH and NEXT_HOP.  The next hop stands beside it, because each family writes it in its own place.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.as_path import AsPath, decode_as_path, encode_as_path, is_plain_sequence
from pybgp.wire.communities import (
    LargeCommunity,
    decode_communities,
    decode_extended_communities,
    decode_large_communities,
    encode_communities,
    encode_extended_communities,
    encode_large_communities,
    sorted_values,
)
from pybgp.wire.iana import AS_TRANS, AttributeCode, AttributeFlag, Origin, UpdateSubcode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pybgp.wire.negotiated import DecodingContext

T = TypeVar("T")
WELL_KNOWN: Final = int(AttributeFlag.TRANSITIVE)
OPTIONAL: Final = int(AttributeFlag.OPTIONAL)
OPTIONAL_TRANSITIVE: Final = OPTIONAL | WELL_KNOWN
PARTIAL: Final = int(AttributeFlag.PARTIAL)
EXTENDED_LENGTH: Final = int(AttributeFlag.EXTENDED_LENGTH)


class Fault(IntEnum):
    """What a malformed attribute costs, mildest first, so that max() picks the winner (RFC 7606 section 2)."""

    DISCARD = 1
    WITHDRAW = 2
    DISABLE_FAMILY = 3
    RESET = 4


class AttributeFault(NamedTuple):
    """One thing that was wrong in an UPDATE; ``attribute`` is its octets with header, as a NOTIFICATION quotes them."""

    code: int
    fault: Fault
    subcode: int
    reason: str
    attribute: bytes = b""


class Aggregator(NamedTuple):
    """Who formed an aggregate (RFC 4271 section 5.1.7)."""

    asn: int
    router_id: int


class ProhibitedSetError(MalformedAttributeError):
    """An AS_SET, which costs the routes in whichever attribute it stands (RFC 9774 section 3)."""


@dataclass(frozen=True, slots=True)
class AttributeCodec(Generic[T]):
    """One row: ``canonical`` checks what a peer sent and returns what we keep; the other two read and write that.

    It returns the very object it was given where nothing has to change.
    """

    code: int
    name: str
    flags: int
    canonical: Callable[[bytes, DecodingContext], bytes]
    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]
    on_malformed: Fault = Fault.WITHDRAW
    on_flags: Fault = Fault.WITHDRAW
    #: from an external peer it is discarded, whatever it says (RFC 7606 sections 7.5, 7.9, 7.10).
    internal_only: bool = False


def _bad_length(value: bytes, expected: str) -> MalformedAttributeError:
    reason = f"{len(value)} octets, {expected} expected"
    return MalformedAttributeError(reason, subcode=UpdateSubcode.ATTRIBUTE_LENGTH)


def _four_octets(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 4:
        raise _bad_length(value, "4")
    return value


def _check_origin(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 1:
        raise _bad_length(value, "1")
    if value[0] > Origin.INCOMPLETE:
        raise MalformedAttributeError(f"origin {value[0]}", subcode=UpdateSubcode.INVALID_ORIGIN)
    return value


def _path_error(reason: str) -> MalformedAttributeError:
    return MalformedAttributeError(reason, subcode=UpdateSubcode.MALFORMED_AS_PATH)


def _check_as_path(value: bytes, context: DecodingContext) -> bytes:
    """RFC 4271 section 6.3, RFC 5065 section 5, RFC 7606 section 7.2, RFC 9774 section 3."""
    if context.asn4 and is_plain_sequence(value, context.first_as):
        return value
    path = decode_as_path(value, 4 if context.asn4 else 2)
    options = context.options
    if path.has_confederations and not options.confederation:
        raise _path_error("a confederation segment from outside a confederation")
    if path.has_sets and not options.allow_as_sets:
        raise ProhibitedSetError(f"an AS_SET in {path}", subcode=UpdateSubcode.MALFORMED_AS_PATH)
    if context.external and not path.segments:
        raise _path_error("empty path from an external peer")
    first_as = context.first_as if context.asn4 or context.first_as <= 0xFFFF else AS_TRANS
    if first_as and path.first != first_as:
        raise _path_error(f"path {path} does not begin with the peer's AS {first_as}")
    return value if context.asn4 else encode_as_path(path)


def _check_next_hop(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 4:
        raise _bad_length(value, "4")
    if not is_host_address(value):
        raise MalformedAttributeError(f"next hop {value.hex()} is no host", subcode=UpdateSubcode.INVALID_NEXT_HOP)
    return value


def is_host_address(octets: bytes) -> bool:
    """Say whether an IPv4 address or the first of one or two IPv6 addresses can be a next hop."""
    if len(octets) == 4:
        return octets[0] not in (0, 127) and octets[0] < 224
    if octets[0] == 0xFF or octets[:16] == b"\0" * 15 + b"\x01":
        return False
    return len(octets) == 32 or any(octets)


def _check_atomic_aggregate(value: bytes, _: DecodingContext) -> bytes:
    if value:
        raise _bad_length(value, "0")
    return value


def _check_aggregator(value: bytes, context: DecodingContext) -> bytes:
    size = 8 if context.asn4 else 6
    if len(value) != size:
        raise _bad_length(value, str(size))
    if not any(value[:-4]):
        raise MalformedAttributeError("aggregator AS 0 (RFC 7607)", subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)
    return value if context.asn4 else b"\0\0" + value


def _check_cluster_list(value: bytes, _: DecodingContext) -> bytes:
    if not value or len(value) % 4:
        raise _bad_length(value, "a multiple of 4")
    return value


def _check_as4_path(value: bytes, context: DecodingContext) -> bytes:
    """RFC 6793 section 6, RFC 9774 section 3; confederation segments are left out."""
    if len(value) < 6:
        raise _bad_length(value, "at least 6")
    path = decode_as_path(value).without_confederations()
    if path.has_sets and not context.options.allow_as_sets:
        raise ProhibitedSetError(f"an AS_SET in {path}", subcode=UpdateSubcode.MALFORMED_AS_PATH)
    return encode_as_path(path)


def _check_as4_aggregator(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 8:
        raise _bad_length(value, "8")
    if not any(value[:4]):
        raise MalformedAttributeError("aggregator AS 0 (RFC 7607)", subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)
    return value


def _decode_number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _encode_number(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _encode_next_hop(value: bytes) -> bytes:
    return value


def _decode_aggregator(value: bytes) -> Aggregator:
    return Aggregator(*struct.unpack(">II", value))


def _encode_aggregator(value: tuple[int, int]) -> bytes:
    return struct.pack(">II", *value)


def _decode_cluster_list(value: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(value) // 4}I", value)


def _encode_cluster_list(clusters: Collection[int]) -> bytes:
    return struct.pack(f">{len(clusters)}I", *clusters)


_ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.ORIGIN,
        "ORIGIN",
        WELL_KNOWN,
        _check_origin,
        lambda value: Origin(value[0]),
        lambda origin: bytes([origin]),
    ),
    AttributeCodec(AttributeCode.AS_PATH, "AS_PATH", WELL_KNOWN, _check_as_path, decode_as_path, encode_as_path),
    AttributeCodec(AttributeCode.NEXT_HOP, "NEXT_HOP", WELL_KNOWN, _check_next_hop, bytes, _encode_next_hop),
    AttributeCodec(AttributeCode.MED, "MULTI_EXIT_DISC", OPTIONAL, _four_octets, _decode_number, _encode_number),
    AttributeCodec(
        AttributeCode.LOCAL_PREF,
        "LOCAL_PREF",
        WELL_KNOWN,
        _four_octets,
        _decode_number,
        _encode_number,
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.ATOMIC_AGGREGATE,
        "ATOMIC_AGGREGATE",
        WELL_KNOWN,
        _check_atomic_aggregate,
        lambda _: True,
        lambda _: b"",
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.AGGREGATOR,
        "AGGREGATOR",
        OPTIONAL_TRANSITIVE,
        _check_aggregator,
        _decode_aggregator,
        _encode_aggregator,
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.COMMUNITIES,
        "COMMUNITIES",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 4),
        decode_communities,
        encode_communities,
    ),
    AttributeCodec(
        AttributeCode.ORIGINATOR_ID,
        "ORIGINATOR_ID",
        OPTIONAL,
        _four_octets,
        _decode_number,
        _encode_number,
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.CLUSTER_LIST,
        "CLUSTER_LIST",
        OPTIONAL,
        _check_cluster_list,
        _decode_cluster_list,
        _encode_cluster_list,
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.EXTENDED_COMMUNITIES,
        "EXTENDED_COMMUNITIES",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 8),
        decode_extended_communities,
        encode_extended_communities,
    ),
    AttributeCodec(
        AttributeCode.AS4_PATH,
        "AS4_PATH",
        OPTIONAL_TRANSITIVE,
        _check_as4_path,
        decode_as_path,
        encode_as_path,
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.AS4_AGGREGATOR,
        "AS4_AGGREGATOR",
        OPTIONAL_TRANSITIVE,
        _check_as4_aggregator,
        _decode_aggregator,
        _encode_aggregator,
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.LARGE_COMMUNITIES,
        "LARGE_COMMUNITY",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 12),
        decode_large_communities,
        encode_large_communities,
    ),
)
ATTRIBUTES: Final[Mapping[int, AttributeCodec[Any]]] = {row.code: row for row in _ROWS}
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


def attribute_octets(flags: int, code: int, value: bytes) -> bytes:
    """Write one attribute, with the extended length only where it is needed (RFC 4271 section 4.3)."""
    flags &= ~EXTENDED_LENGTH
    if len(value) < 256:
        return bytes((flags, code, len(value))) + value
    if len(value) > 0xFFFF:
        raise LocalError(f"attribute {code} of {len(value)} octets: at most 65535 fit")
    return struct.pack(">BBH", flags | EXTENDED_LENGTH, code, len(value)) + value


def encode_attribute(code: int, value: Any) -> bytes:  # the type of a value depends on its code
    """Write one attribute from its typed value; octets for a code without a row."""
    row = ATTRIBUTES.get(code)
    if row is None:
        if not isinstance(value, bytes):
            raise LocalError(f"attribute {code}: {value!r} is not bytes, and we know no encoding")
        return attribute_octets(OPTIONAL_TRANSITIVE, code, value)
    try:
        return attribute_octets(row.flags, code, row.encode(value))
    except (struct.error, OverflowError, TypeError, ValueError) as error:
        raise LocalError(f"{row.name} {value!r}: {error}") from error


class Attributes:
    """The attributes of a route: an immutable value, one object per content within a store.

    Values decode on access; whoever asks often keeps what it got.
    """

    __slots__ = ("_hash", "block", "next_hop")

    def __init__(self, block: bytes, next_hop: bytes = b"") -> None:
        """Take canonical octets; :meth:`build` and the decoder make them."""
        #: canonical octets, see the top of the module.
        self.block = block
        #: 4 octets, 16, or 32 with a link-local address behind; empty if unknown.
        self.next_hop = next_hop
        self._hash = hash((block, next_hop))

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
            return Attributes(self.block, hop)
        pieces = dict(self.pieces())
        for code in drop:
            pieces.pop(code, None)
        for code, value in (values or {}).items():
            if code in OUTSIDE_THE_BLOCK:
                raise LocalError(f"attribute {code} is written by the encoder, it cannot be set")
            pieces[code] = encode_attribute(code, value)
        return Attributes(b"".join(pieces[code] for code in sorted(pieces)), hop)

    def __eq__(self, other: object) -> bool:
        """Compare contents; within one store, equal sets are one object."""
        if self is other:
            return True
        if not isinstance(other, Attributes):
            return NotImplemented
        return self.block == other.block and self.next_hop == other.next_hop

    def __hash__(self) -> int:
        """Return the hash of the contents, computed once."""
        return self._hash

    def __repr__(self) -> str:
        """Show every value by name."""
        shown = ", ".join(f"{_name(code)}={self.get(code)}" for code in self.codes())
        return f"Attributes({shown}, next_hop={self.next_hop.hex()})"

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
        for found, _, start, stop in self._walk():
            if found == code:
                return self.block[start:stop]
            if found > code:
                break
        return None

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
        return Origin(value[0]) if value else Origin.INCOMPLETE

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
        return AttributeCode.ATOMIC_AGGREGATE in self

    @property
    def aggregator(self) -> Aggregator | None:
        """AGGREGATOR, AS4_AGGREGATOR merged into it."""
        value = self.value_octets(AttributeCode.AGGREGATOR)
        return _decode_aggregator(value) if value else None

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
        return _decode_cluster_list(self.value_octets(AttributeCode.CLUSTER_LIST) or b"")

    def _number(self, code: int) -> int | None:
        value = self.value_octets(code)
        return None if value is None else int.from_bytes(value, "big")

    def encoded(self, *, asn4: bool = True, classic_next_hop: bool = False) -> bytes:
        """Return the octets to send: NEXT_HOP put in where IPv4 needs it, AS numbers cut for a 2-octet peer."""
        if asn4 and not classic_next_hop:
            return self.block
        pieces = dict(self.pieces())
        if classic_next_hop:
            pieces[AttributeCode.NEXT_HOP] = attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, self.next_hop)
        if not asn4:
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
