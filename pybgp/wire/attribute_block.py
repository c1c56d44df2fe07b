"""A received block of path attributes, walked and judged once, then kept (RFC 7606, spec section 14)."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import ErrorCode, MalformedAttributeError, RemoteError
from pybgp.wire.as_path import decode_as_path, encode_as_path, is_plain_sequence, merge_as4_path
from pybgp.wire.attributes import (
    ATTRIBUTES,
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    OUTSIDE_THE_BLOCK,
    PARTIAL,
    WELL_KNOWN,
    AttributeCodec,
    AttributeFault,
    Attributes,
    Fault,
    ProhibitedSetError,
    attribute_octets,
)
from pybgp.wire.communities import is_sorted
from pybgp.wire.iana import AS_TRANS, AttributeCode, SegmentType, UpdateSubcode

if TYPE_CHECKING:
    from pybgp.wire.negotiated import DecodingContext

_ORIGIN: Final = int(AttributeCode.ORIGIN)
_AS_PATH: Final = int(AttributeCode.AS_PATH)
_NEXT_HOP: Final = int(AttributeCode.NEXT_HOP)
_LOCAL_PREF: Final = int(AttributeCode.LOCAL_PREF)
_SEQUENCE: Final = int(SegmentType.SEQUENCE)
_MULTIPROTOCOL: Final = (int(AttributeCode.MP_REACH_NLRI), int(AttributeCode.MP_UNREACH_NLRI))


class RawAttribute(NamedTuple):
    """One attribute as it stands in a message."""

    flags: int
    code: int
    value: bytes
    octets: bytes


class AttributeBlock:
    """What a block says: its canonical octets, its next hop, and what was wrong with it."""

    __slots__ = ("attributes", "canonical", "faults", "missing", "multiprotocol", "next_hop", "next_hop_fault", "worst")

    def __init__(self, canonical: bytes = b"", next_hop: bytes | None = None) -> None:
        """Begin with a block in which nothing is wrong."""
        self.canonical = canonical
        #: of the NEXT_HOP attribute; None if that is absent, empty if it is malformed.
        self.next_hop = next_hop
        #: kept apart, because NEXT_HOP counts for the classic NLRI field only.
        self.next_hop_fault: AttributeFault | None = None
        self.faults: tuple[AttributeFault, ...] = ()
        self.worst = 0
        #: mandatory attributes that a message with reachable NLRI would lack, NEXT_HOP apart.
        self.missing: tuple[AttributeFault, ...] = ()
        #: MP_REACH and MP_UNREACH that did not stand in front; such a block is not kept.
        self.multiprotocol: tuple[RawAttribute, ...] = ()
        #: the interned attributes with the last next hop that came with them, filled by the UPDATE decoder.
        self.attributes: Attributes | None = None

    @property
    def is_clean(self) -> bool:
        """Whether a message with prefixes in the classic field may use the block without a second look."""
        return bool(self.next_hop) and self.worst <= Fault.DISCARD and not self.missing


def missing_attribute(code: int) -> AttributeFault:
    """Return the fault of a missing mandatory attribute (RFC 7606 section 3.d); its data is the type octet."""
    name = ATTRIBUTES[code].name
    return AttributeFault(code, Fault.WITHDRAW, UpdateSubcode.MISSING_WELL_KNOWN, f"{name} is missing", bytes([code]))


_MISSING_ORIGIN: Final = missing_attribute(AttributeCode.ORIGIN)
_MISSING_AS_PATH: Final = missing_attribute(AttributeCode.AS_PATH)


def read_block(octets: bytes, context: DecodingContext) -> AttributeBlock:
    """Check every attribute of a block and put the good ones into canonical form."""
    plain = read_plain(octets, context)
    return walk_block(octets, context) if plain is None else AttributeBlock(plain[0], plain[1] or None)


def walk_block(octets: bytes, context: DecodingContext) -> AttributeBlock:
    """Do the same attribute by attribute, whatever the block looks like."""
    return _BlockReader(octets, context).read()


def plain_lengths(size: int, front: bytes = b"") -> bytes:
    """Return an expression for a length octet and that many octets, in steps of ``size``."""
    counts = range(1, 255 // size + 1)
    parts = (b"\\x%02x%s.{%d}" % (count * size, front, count * size) for count in counts)
    return b"|".join(parts)


def plain_shape(*, external: bool, asn4: bool = True) -> tuple[bytes, bytes, bytes]:
    """Return the shape of an ordinary block, before, at and behind NEXT_HOP.

    Right flags, ascending codes, one AS sequence, lengths that fit; the groups are the next hop and the three kinds of
    communities, these with their length octets.  With AS numbers of two octets AGGREGATOR is a group between them.
    """
    size = 4 if asn4 else 2
    sequences = [b"\\x%02x\\x02\\x%02x.{%d}" % (2 + size * n, n, size * n) for n in range(1, 64)]
    paths = sequences if external else [b"\\x00", *sequences]
    internal = b"" if external else b"(?:\\x40\\x05\\x04.{4})?"
    reflected = b"" if external else b"(?:\\x80\\x09\\x04.{4})?(?:\\x80\\x0a(?:" + plain_lengths(4) + b"))?"
    aggregator = rb"(?:[\xc0\xe0]\x07\x08(?!\x00{4}).{8})?" if asn4 else rb"([\xc0\xe0]\x07\x06(?!\x00{2}).{6})?"
    before = rb"\x40\x01\x01[\x00-\x02]\x40\x02(?:" + b"|".join(paths) + rb")"
    behind = (
        rb"(?:\x80\x04\x04.{4})?",
        internal,
        rb"(?:\x40\x06\x00)?",
        aggregator,
        rb"(?:[\xc0\xe0]\x08(" + plain_lengths(4) + rb"))?",
        reflected,
        rb"(?:[\xc0\xe0]\x10(" + plain_lengths(8) + rb"))?",
        rb"(?:[\xc0\xe0]\x20(" + plain_lengths(12) + rb"))?",
    )
    return before, rb"\x40\x03\x04([\x01-\x7e\x80-\xdf].{3})", b"".join(behind)


@lru_cache(maxsize=4)
def _plain_expression(*, external: bool, asn4: bool) -> re.Pattern[bytes]:
    before, hop, behind = plain_shape(external=external, asn4=asn4)
    return re.compile(before + b"(?:" + hop + b")?" + behind, re.DOTALL)


_PLAIN: Final = {external: _plain_expression(external=external, asn4=True).fullmatch for external in (False, True)}
#: where AS_PATH's value begins in a plain block, and its first AS number; the value's length octet stands before it.
_PATH_AT: Final = 7
_FIRST_AS_AT: Final = 9
_ZERO_AS: Final = bytes(4)
#: NEXT_HOP with its head; it stands behind AS_PATH.
_HOP_LENGTH: Final = 7
#: What stands behind ORIGIN where AS_PATH has the long header, of which it does not need the first length octet.
LONG_PATH: Final = bytes((WELL_KNOWN | EXTENDED_LENGTH, _AS_PATH, 0))
LONG_PATH_AT: Final = 4
_SHORT_PATH: Final = bytes((WELL_KNOWN, _AS_PATH))


def read_plain(octets: bytes, context: DecodingContext) -> tuple[bytes, bytes, bytes] | None:
    """Judge an ordinary block by its shape alone; None if the walk must look at it.

    What it says are its canonical octets, its next hop, empty if there is none, and no details: the content of
    `Attributes`.
    """
    if not context.is_plain:
        return None
    if octets.startswith(LONG_PATH, LONG_PATH_AT):
        octets = with_short_path(octets)
    if not context.asn4:
        return _read_plain_old(octets, context)
    match = _PLAIN[context.external](octets)
    if match is None:
        return None
    path_end = _PATH_AT + octets[_PATH_AT - 1]
    if path_end > _PATH_AT:
        if not octets.startswith(context.first_octets, _FIRST_AS_AT):
            return None
        if octets.find(_ZERO_AS, _FIRST_AS_AT, path_end) >= 0 and not is_plain_sequence(octets[_PATH_AT:path_end], 0):
            return None
    elif context.first_octets:
        return None
    last_group = match.lastindex
    if last_group is None:
        return octets, b"", b""
    hop, communities, extended, large = match.groups()
    if last_group > 1 and not _in_order(communities, extended, large):
        return None
    if hop is None:
        return octets, b"", b""
    return octets[:path_end] + octets[path_end + _HOP_LENGTH :], hop, b""


def with_short_path(octets: bytes) -> bytes:
    """Return a block that begins with ORIGIN and `LONG_PATH` as the canonical form has it; FRR writes all like that."""
    return octets[:LONG_PATH_AT] + _SHORT_PATH + octets[LONG_PATH_AT + len(LONG_PATH) :]


def _read_plain_old(octets: bytes, context: DecodingContext) -> tuple[bytes, bytes, bytes] | None:
    """Do the same with AS numbers of two octets, which the canonical form has in four (RFC 6793 section 4.2.3).

    A block with AS4_PATH or AS4_AGGREGATOR is not ordinary.
    """
    match = _plain_expression(external=context.external, asn4=False).fullmatch(octets)
    if match is None:
        return None
    hop, aggregator, communities, extended, large = match.groups()
    path_end = _PATH_AT + octets[_PATH_AT - 1]
    path = b""
    if path_end > _PATH_AT:
        count = octets[_PATH_AT + 1]
        asns = struct.unpack_from(f">{count}H", octets, _FIRST_AS_AT)
        if 0 in asns or not octets.startswith(context.first_octets, _FIRST_AS_AT):
            return None
        path = struct.pack(f">BB{count}I", _SEQUENCE, count, *asns)
    elif context.first_octets:
        return None
    if not _in_order(communities, extended, large):
        return None
    parts = [octets[: _PATH_AT - 1], bytes((len(path),)), path]
    start = path_end if hop is None else path_end + _HOP_LENGTH
    if aggregator is not None:
        at = match.start(2)
        parts += (octets[start:at], aggregator[:2], b"\x08\0\0", aggregator[3:])
        start = at + len(aggregator)
    parts.append(octets[start:])
    return b"".join(parts), hop or b"", b""


def _in_order(communities: bytes | None, extended: bytes | None, large: bytes | None) -> bool:
    return (
        (communities is None or is_sorted(communities, 4))
        and (extended is None or is_sorted(extended, 8))
        and (large is None or is_sorted(large, 12))
    )


class _BlockReader:
    """The state of one walk."""

    __slots__ = (
        "_block",
        "_context",
        "_external",
        "_faults",
        "_judged_codes",
        "_octets",
        "_pieces",
        "_seen",
        "_waiting",
    )

    def __init__(self, octets: bytes, context: DecodingContext) -> None:
        """Prepare to read ``octets`` as a peer of this context means them."""
        self._octets = octets
        self._context = context
        self._external = context.external
        self._judged_codes = context.options.discard_codes | context.options.withdraw_codes
        self._block = AttributeBlock()
        self._pieces: dict[int, bytes] = {}
        #: AS4_PATH and AS4_AGGREGATOR values, waiting for the merge.
        self._waiting: dict[int, bytes] = {}
        self._faults: list[AttributeFault] = []
        self._seen: set[int] = set()

    def read(self) -> AttributeBlock:
        block, seen, pieces = self._block, self._seen, self._pieces
        self._walk()
        if self._waiting:
            self._merge_four_octet()
        block.canonical = b"".join([pieces[code] for code in sorted(pieces)])
        if self._faults:
            block.faults = tuple(self._faults)
            block.worst = max(fault.fault for fault in self._faults)
        if _ORIGIN not in seen or _AS_PATH not in seen:
            block.missing = tuple(fault for fault in (_MISSING_ORIGIN, _MISSING_AS_PATH) if fault.code not in seen)
        return block

    def _walk(self) -> None:
        octets, seen = self._octets, self._seen
        position, end = 0, len(octets)
        while position < end:
            start = position + 3
            if start > end:
                return self._broken(position)
            flags, code, stop = octets[position], octets[position + 1], start + octets[position + 2]
            if flags & EXTENDED_LENGTH:
                start += 1
                if start > end:
                    return self._broken(position)
                stop = start + (octets[position + 2] << 8 | octets[position + 3])
            if stop > end:
                return self._broken(position)
            if code not in seen:
                seen.add(code)
                self._take(flags, code, octets[start:stop], octets[position:stop])
            elif code in _MULTIPROTOCOL:
                raise repeated_multiprotocol(code)
            position = stop
        return None

    def _broken(self, position: int) -> None:
        reason = f"attribute at octet {position} of {len(self._octets)} overruns the attributes"
        fault = AttributeFault(0, Fault.WITHDRAW, UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, reason)
        self._faults.append(fault)

    def _take(self, flags: int, code: int, value: bytes, octets: bytes) -> None:
        row = ATTRIBUTES.get(code)
        if row is None:
            self._take_unknown(flags, code, value, octets)
        elif row.internal_only and (self._external or (self._context.member and code != _LOCAL_PREF)):
            self._fault(row, Fault.DISCARD, 0, "from an external peer", octets)
        elif (flags ^ row.flags) & OPTIONAL_TRANSITIVE:
            self._fault(row, row.on_flags, UpdateSubcode.ATTRIBUTE_FLAGS, f"flags {flags:#04x}", octets)
        else:
            try:
                canonical = row.canonical(value, self._context)
            except MalformedAttributeError as error:
                cost = Fault.WITHDRAW if isinstance(error, ProhibitedSetError) else row.on_malformed
                self._fault(row, cost, error.subcode, str(error), octets)
            else:
                if code in self._judged_codes:
                    self._fault(row, self._unwanted(code), UpdateSubcode.OPTIONAL_ATTRIBUTE, "unwanted here", octets)
                elif flags == row.flags and canonical is value and code not in OUTSIDE_THE_BLOCK:
                    self._pieces[code] = octets
                else:
                    self._keep(row, flags, canonical, octets)

    def _keep(self, row: AttributeCodec[object], flags: int, value: bytes, octets: bytes) -> None:
        """Keep an attribute that does not stand in the block, or not with these octets."""
        code = row.code
        if code == _NEXT_HOP:
            self._block.next_hop = value
        elif code not in OUTSIDE_THE_BLOCK:
            partial = flags & PARTIAL if row.flags == OPTIONAL_TRANSITIVE else 0
            self._pieces[code] = attribute_octets(row.flags | partial, code, value)
        elif self._context.asn4:
            self._fault(row, Fault.DISCARD, 0, "from a 4-octet peer", octets)
        else:
            self._waiting[code] = value

    def _unwanted(self, code: int) -> Fault:
        return Fault.WITHDRAW if code in self._context.options.withdraw_codes else Fault.DISCARD

    def _take_unknown(self, flags: int, code: int, value: bytes, octets: bytes) -> None:
        """Keep an unknown optional transitive attribute as partial, drop a non-transitive one (RFC 4271 section 5)."""
        if code in _MULTIPROTOCOL:
            self._block.multiprotocol += (RawAttribute(flags, code, value, octets),)
        elif not flags & OPTIONAL:
            self._unknown_well_known(code, octets)
        elif code in self._judged_codes:
            subcode = UpdateSubcode.OPTIONAL_ATTRIBUTE
            self._faults.append(AttributeFault(code, self._unwanted(code), subcode, "unwanted here", octets))
        elif flags & OPTIONAL_TRANSITIVE == OPTIONAL_TRANSITIVE:
            self._pieces[code] = attribute_octets(OPTIONAL_TRANSITIVE | PARTIAL, code, value)

    def _unknown_well_known(self, code: int, octets: bytes) -> None:
        reason = f"well-known attribute {code} is unknown"
        subcode = UpdateSubcode.UNRECOGNISED_WELL_KNOWN
        if self._context.options.reset_on_unknown_well_known:
            raise RemoteError(ErrorCode.UPDATE_MESSAGE, subcode, octets, reason=reason)
        self._faults.append(AttributeFault(code, Fault.WITHDRAW, subcode, reason, octets))

    def _fault(self, row: AttributeCodec[object], cost: Fault, subcode: int, reason: str, octets: bytes) -> None:
        fault = AttributeFault(row.code, cost, subcode, f"{row.name}: {reason}", octets)
        if row.code == AttributeCode.NEXT_HOP:
            self._block.next_hop_fault = fault
            self._block.next_hop = b""
        else:
            self._faults.append(fault)

    def _merge_four_octet(self) -> None:
        """Put AS4_PATH and AS4_AGGREGATOR where they belong (RFC 6793 section 4.2.3)."""
        pieces, waiting = self._pieces, self._waiting
        aggregator = pieces.get(AttributeCode.AGGREGATOR)
        as4_aggregator = waiting.get(AttributeCode.AS4_AGGREGATOR)
        if aggregator and as4_aggregator:
            if struct.unpack(">I", aggregator[3:7])[0] != AS_TRANS:
                return
            pieces[AttributeCode.AGGREGATOR] = aggregator[:3] + as4_aggregator
        path = pieces.get(AttributeCode.AS_PATH)
        if path and AttributeCode.AS4_PATH in waiting:
            value = path[4:] if path[0] & EXTENDED_LENGTH else path[3:]
            merged = merge_as4_path(decode_as_path(value), decode_as_path(waiting[AttributeCode.AS4_PATH]))
            pieces[AttributeCode.AS_PATH] = attribute_octets(path[0], AttributeCode.AS_PATH, encode_as_path(merged))


def repeated_multiprotocol(code: int) -> RemoteError:
    """Return the error of a second MP_REACH or MP_UNREACH (RFC 7606 section 3.g)."""
    reason = f"attribute {code} stands twice"
    return RemoteError(ErrorCode.UPDATE_MESSAGE, UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, reason=reason)
