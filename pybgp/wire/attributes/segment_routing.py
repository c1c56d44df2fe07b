"""PREFIX_SID: label index, SRGB, and services over SRv6 (RFC 8669 section 3, RFC 9252 section 2)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.wire.attributes.row import (
    OPTIONAL_TRANSITIVE,
    AttributeCodec,
    Fault,
    bad_length,
    malformed,
    split_tlvs,
    write_tlv,
)
from pybgp.wire.forms import enumerated, listed, octets, record
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from pybgp.wire.negotiated import DecodingContext

_SID_INFORMATION: Final = 1
_SID_STRUCTURE: Final = 1
#: reserved, SID, flags, behaviour, reserved (RFC 9252 section 3.1).
_SID_INFORMATION_LENGTH: Final = 21
_SID_STRUCTURE_LENGTH: Final = 6


class PrefixSidType(IntEnum):
    """TLVs that stand once (RFC 8669 section 3, RFC 9252 section 2)."""

    LABEL_INDEX = 1
    ORIGINATOR_SRGB = 3
    SRV6_L3_SERVICE = 5
    SRV6_L2_SERVICE = 6


_SERVICES: Final = (PrefixSidType.SRV6_L3_SERVICE, PrefixSidType.SRV6_L2_SERVICE)
_ONCE: Final = frozenset(PrefixSidType)


class PrefixSidTlv(NamedTuple):
    """One TLV."""

    kind: int
    value: bytes

    @property
    def label_index(self) -> int | None:
        """The index of a label-index TLV."""
        return int.from_bytes(self.value[3:7], "big") if self.kind == PrefixSidType.LABEL_INDEX else None

    @property
    def sids(self) -> tuple[bytes, ...]:
        """The SIDs of a service over SRv6."""
        if self.kind not in _SERVICES:
            return ()
        return tuple(value[1:17] for kind, value in split_tlvs(self.value[1:], 1, 2) if kind == _SID_INFORMATION)


def _check_sid_information(value: bytes) -> None:
    if len(value) < _SID_INFORMATION_LENGTH:
        raise malformed(f"SID information of {len(value)} octets")
    for kind, structure in split_tlvs(value[_SID_INFORMATION_LENGTH:], 1, 2):
        if kind == _SID_STRUCTURE and len(structure) != _SID_STRUCTURE_LENGTH:
            raise malformed(f"SID structure of {len(structure)} octets")


def _check_tlv(kind: int, value: bytes) -> None:
    if kind == 0:
        raise malformed("a TLV of type 0")
    if kind == PrefixSidType.LABEL_INDEX and len(value) != 7:
        raise malformed(f"label index of {len(value)} octets")
    if kind == PrefixSidType.ORIGINATOR_SRGB and (len(value) < 8 or len(value) % 6 != 2):
        raise malformed(f"SRGB of {len(value)} octets")
    if kind in _SERVICES:
        if not value:
            raise malformed("an SRv6 service without its reserved octet")
        for inner, information in split_tlvs(value[1:], 1, 2):
            if inner == _SID_INFORMATION:
                _check_sid_information(information)


def _check_prefix_sid(value: bytes, context: DecodingContext) -> bytes:
    """Keep the first of each TLV that stands once; from outside the domain nothing (RFC 8669 sections 4 and 6)."""
    if context.external and not context.options.external_prefix_sid:
        raise malformed("from an external peer")
    if not value:
        raise bad_length(value, "at least one TLV")
    seen: set[int] = set()
    parts = []
    for kind, content in split_tlvs(value, 1, 2):
        _check_tlv(kind, content)
        if kind not in seen or kind not in _ONCE:
            parts.append(write_tlv(kind, content, 1, 2))
        seen.add(kind)
    kept = b"".join(parts)
    return value if kept == value else kept


def _decode_prefix_sid(value: bytes) -> tuple[PrefixSidTlv, ...]:
    return tuple(PrefixSidTlv(*tlv) for tlv in split_tlvs(value, 1, 2))


def _encode_prefix_sid(tlvs: tuple[PrefixSidTlv, ...]) -> bytes:
    for kind, value in tlvs:
        _check_tlv(kind, value)
    return b"".join(write_tlv(kind, value, 1, 2) for kind, value in tlvs)


ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.PREFIX_SID,
        "PREFIX_SID",
        OPTIONAL_TRANSITIVE,
        _check_prefix_sid,
        _decode_prefix_sid,
        _encode_prefix_sid,
        listed(record(PrefixSidTlv, kind=enumerated(PrefixSidType), value=octets())),
        on_malformed=Fault.DISCARD,
    ),
)
