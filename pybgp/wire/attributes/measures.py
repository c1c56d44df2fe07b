"""Facts about links and paths: TRAFFIC_ENGINEERING, AIGP, BGP-LS, BFD discriminator, next-hop capabilities."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.wire.attributes.row import (
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    AttributeCodec,
    Fault,
    bad_length,
    malformed,
    split_tlvs,
    write_tlv,
)
from pybgp.wire.families import Family, parse_family
from pybgp.wire.forms import OPAQUE, Form, listed, number, octets, record
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from pybgp.wire.negotiated import DecodingContext

_AIGP_METRIC: Final = 1
_AIGP_LENGTH: Final = 11
_AIGP_HEADER: Final = 3
_NO_METRIC: Final = b"\xff" * 8


class Tlv(NamedTuple):
    """A type and its octets."""

    kind: int
    value: bytes


class Aigp(NamedTuple):
    """RFC 7311 section 3: every TLV; the first of type 1 holds the metric."""

    tlvs: tuple[Tlv, ...]

    @classmethod
    def of(cls, metric: int) -> Aigp:
        """Return the attribute of one metric."""
        return cls((Tlv(_AIGP_METRIC, metric.to_bytes(8, "big")),))

    @property
    def metric(self) -> int | None:
        """The accumulated metric; None if only other TLVs are there."""
        return next((int.from_bytes(tlv.value, "big") for tlv in self.tlvs if tlv.kind == _AIGP_METRIC), None)


class BfdDiscriminator(NamedTuple):
    """RFC 9026 section 3.1.6."""

    mode: int
    discriminator: int
    tlvs: tuple[Tlv, ...] = ()


class NextHopCapability(NamedTuple):
    """Capabilities of the next hop (draft-ietf-idr-next-hop-capability)."""

    family: Family
    next_hop: bytes
    capabilities: tuple[Tlv, ...] = ()


def _not_empty(value: bytes, _: DecodingContext) -> bytes:
    if not value:
        raise bad_length(value, "at least 1")
    return value


def _decode_aigp(value: bytes) -> Aigp:
    found = []
    position = 0
    while position < len(value):
        length = int.from_bytes(value[position + 1 : position + _AIGP_HEADER], "big")
        stop = position + length
        if length < _AIGP_HEADER or stop > len(value):
            raise malformed(f"a TLV of {length} octets at octet {position} of {len(value)}")
        found.append(Tlv(value[position], value[position + _AIGP_HEADER : stop]))
        position = stop
    return Aigp(tuple(found))


def _check_metrics(aigp: Aigp) -> None:
    if not aigp.tlvs:
        raise malformed("no TLV")
    metrics = [value for kind, value in aigp.tlvs if kind == _AIGP_METRIC]
    if any(len(value) != _AIGP_LENGTH - _AIGP_HEADER for value in metrics):
        raise malformed("a metric that has not 8 octets")
    if metrics and metrics[0] == _NO_METRIC:
        raise malformed("a metric of all ones")


def _check_aigp(value: bytes, context: DecodingContext) -> bytes:
    """RFC 7311 sections 3.1 and 3.2."""
    if not context.options.aigp:
        raise malformed("AIGP is not enabled for the session")
    _check_metrics(_decode_aigp(value))
    return value


def _encode_aigp(aigp: Aigp) -> bytes:
    _check_metrics(aigp)
    return b"".join(struct.pack(">BH", kind, _AIGP_HEADER + len(value)) + value for kind, value in aigp.tlvs)


def _decode_link_state(value: bytes) -> tuple[Tlv, ...]:
    return tuple(Tlv(*tlv) for tlv in split_tlvs(value, 2, 2))


def _check_link_state(value: bytes, _: DecodingContext) -> bytes:
    """RFC 9552 section 8.2.2: the TLVs sum; their order is no matter."""
    if not _decode_link_state(value):
        raise bad_length(value, "at least one TLV")
    return value


def _encode_link_state(tlvs: tuple[Tlv, ...]) -> bytes:
    return b"".join(write_tlv(kind, value, 2, 2) for kind, value in tlvs)


def _check_bfd(value: bytes, _: DecodingContext) -> bytes:
    """RFC 9026 section 3.1.6."""
    if len(value) < 11:
        raise bad_length(value, "at least 11")
    split_tlvs(value[5:], 1, 1)
    return value


def _decode_bfd(value: bytes) -> BfdDiscriminator:
    tlvs = tuple(Tlv(*tlv) for tlv in split_tlvs(value[5:], 1, 1))
    return BfdDiscriminator(value[0], int.from_bytes(value[1:5], "big"), tlvs)


def _encode_bfd(value: BfdDiscriminator) -> bytes:
    tlvs = b"".join(write_tlv(kind, content, 1, 1) for kind, content in value.tlvs)
    if len(tlvs) < 6:
        raise malformed(f"{len(tlvs)} octets of TLVs, at least 6 are expected")
    return struct.pack(">BI", value.mode, value.discriminator) + tlvs


def _decode_next_hop_capability(value: bytes) -> NextHopCapability:
    if len(value) < 4 or 4 + value[3] > len(value):
        raise malformed(f"a next hop that overruns {len(value)} octets")
    tlvs_at = 4 + value[3]
    tlvs = tuple(Tlv(*tlv) for tlv in split_tlvs(value[tlvs_at:], 2, 2))
    return NextHopCapability(Family(value[0] << 8 | value[1], value[2]), value[4:tlvs_at], tlvs)


def _check_next_hop_capability(value: bytes, _: DecodingContext) -> bytes:
    _decode_next_hop_capability(value)
    return value


def _encode_next_hop_capability(value: NextHopCapability) -> bytes:
    front = struct.pack(">HBB", *value.family, len(value.next_hop)) + value.next_hop
    return front + b"".join(write_tlv(kind, content, 2, 2) for kind, content in value.capabilities)


def _tlvs(bits: int) -> Form[tuple[Any, ...]]:
    return listed(record(Tlv, kind=number(bits), value=octets()))


ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.TRAFFIC_ENGINEERING,
        "TRAFFIC_ENGINEERING",
        OPTIONAL,
        _not_empty,
        bytes,
        bytes,
        OPAQUE,
    ),
    AttributeCodec(
        AttributeCode.AIGP,
        "AIGP",
        OPTIONAL,
        _check_aigp,
        _decode_aigp,
        _encode_aigp,
        record(Aigp, tlvs=_tlvs(8)),
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.LINK_STATE,
        "LINK_STATE",
        OPTIONAL,
        _check_link_state,
        _decode_link_state,
        _encode_link_state,
        _tlvs(16),
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.BFD_DISCRIMINATOR,
        "BFD_DISCRIMINATOR",
        OPTIONAL_TRANSITIVE,
        _check_bfd,
        _decode_bfd,
        _encode_bfd,
        record(BfdDiscriminator, mode=number(8), discriminator=number(32), tlvs=_tlvs(8)),
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.NEXT_HOP_CAPABILITY,
        "NEXT_HOP_CAPABILITY",
        OPTIONAL_TRANSITIVE,
        _check_next_hop_capability,
        _decode_next_hop_capability,
        _encode_next_hop_capability,
        record(
            NextHopCapability,
            family=Form(str, parse_family),
            next_hop=octets(),
            capabilities=_tlvs(16),
        ),
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
)
