"""A received block of path attributes: walked and judged once, then kept (RFC 4271 section 6.3, RFC 7606, spec section 14)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TYPE_CHECKING

from pybgp.errors import ErrorCode, MalformedAttributeError, RemoteError
from pybgp.wire.as_path import decode_as_path, encode_as_path, merge_as4_path
from pybgp.wire.attributes import (
    ATTRIBUTES,
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    OUTSIDE_THE_BLOCK,
    PARTIAL,
    AttributeCodec,
    AttributeFault,
    Attributes,
    Fault,
    ProhibitedSetError,
    attribute_octets,
)
from pybgp.wire.iana import AS_TRANS, AttributeCode, UpdateSubcode

if TYPE_CHECKING:
    from pybgp.wire.negotiated import DecodingContext

_FAMILY_BITS: Final = OPTIONAL_TRANSITIVE
_MULTIPROTOCOL: Final = (AttributeCode.MP_REACH_NLRI, AttributeCode.MP_UNREACH_NLRI)


class RawAttribute(NamedTuple):
    """One attribute as it stands in a message."""

    flags: int
    code: int
    value: bytes
    octets: bytes


class AttributeBlock:
    """What a block says: its canonical octets, its next hop, and what was wrong with it."""

    __slots__ = ("canonical", "faults", "missing", "multiprotocol", "next_hop", "next_hop_fault", "sets", "worst")

    def __init__(self) -> None:
        self.canonical = b""
        #: of the NEXT_HOP attribute; None if that is absent, empty if it is malformed.
        self.next_hop: bytes | None = None
        #: kept apart, because NEXT_HOP counts for the classic NLRI field only.
        self.next_hop_fault: AttributeFault | None = None
        self.faults: tuple[AttributeFault, ...] = ()
        self.worst = 0
        #: mandatory attributes that a message with reachable NLRI would lack, NEXT_HOP apart.
        self.missing: tuple[AttributeFault, ...] = ()
        #: MP_REACH and MP_UNREACH that did not stand in front; such a block is not kept.
        self.multiprotocol: tuple[RawAttribute, ...] = ()
        #: interned attributes by next hop, filled by the UPDATE decoder.
        self.sets: dict[bytes, Attributes] = {}


def missing_attribute(code: int) -> AttributeFault:
    """Return the fault of a missing mandatory attribute (RFC 7606 section 3.d); its data is the type octet."""
    name = ATTRIBUTES[code].name
    return AttributeFault(code, Fault.WITHDRAW, UpdateSubcode.MISSING_WELL_KNOWN, f"{name} is missing", bytes([code]))


_MISSING_ORIGIN: Final = missing_attribute(AttributeCode.ORIGIN)
_MISSING_AS_PATH: Final = missing_attribute(AttributeCode.AS_PATH)


def read_block(octets: bytes, context: DecodingContext) -> AttributeBlock:
    """Walk a block, check every attribute and put the good ones into canonical form."""
    return _BlockReader(octets, context).read()


class _BlockReader:
    """The state of one walk."""

    def __init__(self, octets: bytes, context: DecodingContext) -> None:
        self._octets = octets
        self._context = context
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
        ordered = sorted(pieces)
        block.canonical = b"".join([pieces[code] for code in ordered])
        block.faults = tuple(self._faults)
        block.worst = max((fault.fault for fault in self._faults), default=0)
        if AttributeCode.ORIGIN not in seen or AttributeCode.AS_PATH not in seen:
            wanted = (_MISSING_ORIGIN, _MISSING_AS_PATH)
            block.missing = tuple(fault for fault in wanted if fault.code not in seen)
        return block

    def _walk(self) -> None:
        octets, seen = self._octets, self._seen
        position, end = 0, len(self._octets)
        while position < end:
            if end - position < 3:
                return self._broken(position)
            flags, code = octets[position], octets[position + 1]
            if flags & EXTENDED_LENGTH:
                if end - position < 4:
                    return self._broken(position)
                start = position + 4
                stop = start + (octets[position + 2] << 8 | octets[position + 3])
            else:
                start = position + 3
                stop = start + octets[position + 2]
            if stop > end:
                return self._broken(position)
            if code not in seen:
                seen.add(code)
                self._take(flags, code, position, start, stop)
            elif code in _MULTIPROTOCOL:
                raise repeated_multiprotocol(code)
            position = stop
        return None

    def _broken(self, position: int) -> None:
        reason = f"attribute at octet {position} of {len(self._octets)} overruns the attributes"
        fault = AttributeFault(0, Fault.WITHDRAW, UpdateSubcode.MALFORMED_ATTRIBUTE_LIST, reason)
        self._faults.append(fault)

    def _take(self, flags: int, code: int, position: int, start: int, stop: int) -> None:
        row = ATTRIBUTES.get(code)
        value = self._octets[start:stop]
        if row is None:
            self._take_unknown(flags, code, value, self._octets[position:stop])
        elif row.internal_only and self._context.external:
            self._fault(row, Fault.DISCARD, 0, "from an external peer", self._octets[position:stop])
        elif (flags ^ row.flags) & _FAMILY_BITS:
            reason = f"flags {flags:#04x}"
            self._fault(row, row.on_flags, UpdateSubcode.ATTRIBUTE_FLAGS, reason, self._octets[position:stop])
        else:
            try:
                canonical = row.canonical(value, self._context)
            except MalformedAttributeError as error:
                cost = Fault.WITHDRAW if isinstance(error, ProhibitedSetError) else row.on_malformed
                self._fault(row, cost, error.subcode, str(error), self._octets[position:stop])
            else:
                self._keep(row, flags, canonical, position, stop)

    def _keep(self, row: AttributeCodec[object], flags: int, value: bytes, position: int, stop: int) -> None:
        code = row.code
        kept_flags = row.flags | (flags & PARTIAL if row.flags == OPTIONAL_TRANSITIVE else 0)
        options = self._context.options
        if code in options.withdraw_codes or code in options.discard_codes:
            cost = Fault.WITHDRAW if code in options.withdraw_codes else Fault.DISCARD
            self._fault(row, cost, UpdateSubcode.OPTIONAL_ATTRIBUTE, "unwanted here", self._octets[position:stop])
        elif code == AttributeCode.NEXT_HOP:
            self._block.next_hop = value
        elif code not in OUTSIDE_THE_BLOCK:
            piece = self._octets[position:stop]
            is_canonical = flags == kept_flags and stop - position == 3 + len(value) and piece.endswith(value)
            self._pieces[code] = piece if is_canonical else attribute_octets(kept_flags, code, value)
        elif self._context.asn4:
            self._fault(row, Fault.DISCARD, 0, "from a 4-octet peer", self._octets[position:stop])
        else:
            self._waiting[code] = value

    def _take_unknown(self, flags: int, code: int, value: bytes, octets: bytes) -> None:
        """Keep an unknown optional transitive attribute as partial, drop a non-transitive one (RFC 4271 section 5)."""
        options = self._context.options
        if code in _MULTIPROTOCOL:
            self._block.multiprotocol += (RawAttribute(flags, code, value, octets),)
        elif not flags & OPTIONAL:
            self._unknown_well_known(code, octets)
        elif code in options.withdraw_codes or code in options.discard_codes:
            cost = Fault.WITHDRAW if code in options.withdraw_codes else Fault.DISCARD
            self._faults.append(AttributeFault(code, cost, UpdateSubcode.OPTIONAL_ATTRIBUTE, "unwanted here", octets))
        elif flags & _FAMILY_BITS == OPTIONAL_TRANSITIVE:
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
