"""The attributes of every route: origin, path, next hop, preferences, aggregation, reflection (RFC 4271, RFC 4456)."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import MalformedAttributeError
from pybgp.wire.as_path import AsPath, Segment, decode_as_path, encode_as_path, is_plain_sequence
from pybgp.wire.attributes.row import (
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    WELL_KNOWN,
    AttributeCodec,
    Fault,
    ProhibitedSetError,
    bad_length,
)
from pybgp.wire.forms import Form, address, enumerated, listed, number, record
from pybgp.wire.iana import AS_TRANS, AttributeCode, Origin, SegmentType, UpdateSubcode

if TYPE_CHECKING:
    from collections.abc import Collection

    from pybgp.wire.negotiated import DecodingContext, UpdateOptions

_LOOPBACK: Final = bytes(15) + b"\x01"


class Aggregator(NamedTuple):
    """Who formed an aggregate (RFC 4271 section 5.1.7)."""

    asn: int
    router_id: int


def _four_octets(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 4:
        raise bad_length(value, "4")
    return value


def _check_origin(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 1:
        raise bad_length(value, "1")
    if value[0] > Origin.INCOMPLETE:
        raise MalformedAttributeError(f"origin {value[0]}", subcode=UpdateSubcode.INVALID_ORIGIN)
    return value


def _path_error(reason: str) -> MalformedAttributeError:
    return MalformedAttributeError(reason, subcode=UpdateSubcode.MALFORMED_AS_PATH)


def _check_as_path(value: bytes, context: DecodingContext) -> bytes:
    """RFC 4271 section 6.3, RFC 5065 section 5, RFC 7606 section 7.2, RFC 9774 section 3."""
    if context.asn4 and not context.member and is_plain_sequence(value, context.first_as):
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
    if context.member:
        first = path.segments[0] if path.segments else None
        if first is None or first.kind != SegmentType.CONFED_SEQUENCE or first_as not in {0, first.asns[0]}:
            raise _path_error(f"path {path} does not begin with the peer's AS in a confederation sequence")
    elif first_as and path.first != first_as:
        raise _path_error(f"path {path} does not begin with the peer's AS {first_as}")
    return value if context.asn4 else encode_as_path(path)


def _check_next_hop(value: bytes, context: DecodingContext) -> bytes:
    if len(value) != 4:
        raise bad_length(value, "4")
    if not is_next_hop(value, context.options):
        raise MalformedAttributeError(
            f"next hop {ip_address(value)} is no host", subcode=UpdateSubcode.INVALID_NEXT_HOP
        )
    return value


def is_next_hop(octets: bytes, options: UpdateOptions) -> bool:
    """Say whether these addresses are taken as a next hop."""
    if is_host_address(octets) or (options.unspecified_next_hop and not any(octets)):
        return True
    return options.loopback_next_hop and (octets[0] == 127 if len(octets) == 4 else octets[:16] == _LOOPBACK)


def is_host_address(octets: bytes) -> bool:
    """Say whether an IPv4 address or the first of one or two IPv6 addresses can be a next hop."""
    if len(octets) == 4:
        return octets[0] not in (0, 127) and octets[0] < 224
    if octets[0] == 0xFF or octets[:16] == _LOOPBACK:
        return False
    return len(octets) == 32 or any(octets)


def _check_atomic_aggregate(value: bytes, _: DecodingContext) -> bytes:
    if value:
        raise bad_length(value, "0")
    return value


def _check_aggregator(value: bytes, context: DecodingContext) -> bytes:
    size = 8 if context.asn4 else 6
    if len(value) != size:
        raise bad_length(value, str(size))
    if not any(value[:-4]):
        raise MalformedAttributeError("aggregator AS 0 (RFC 7607)", subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)
    return value if context.asn4 else b"\0\0" + value


def _check_cluster_list(value: bytes, _: DecodingContext) -> bytes:
    if not value or len(value) % 4:
        raise bad_length(value, "a multiple of 4")
    return value


def _check_as4_path(value: bytes, context: DecodingContext) -> bytes:
    """RFC 6793 section 6, RFC 9774 section 3; confederation segments are left out."""
    if len(value) < 6:
        raise bad_length(value, "at least 6")
    path = decode_as_path(value).without_confederations()
    if path.has_sets and not context.options.allow_as_sets:
        raise ProhibitedSetError(f"an AS_SET in {path}", subcode=UpdateSubcode.MALFORMED_AS_PATH)
    return encode_as_path(path)


def _check_as4_aggregator(value: bytes, _: DecodingContext) -> bytes:
    if len(value) != 8:
        raise bad_length(value, "8")
    if not any(value[:4]):
        raise MalformedAttributeError("aggregator AS 0 (RFC 7607)", subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)
    return value


def _check_only_to_customer(value: bytes, _: DecodingContext) -> bytes:
    """RFC 9234 section 5: an AS number, and none is 0 (RFC 7607)."""
    if len(value) != 4:
        raise bad_length(value, "4")
    if not any(value):
        raise MalformedAttributeError("AS 0", subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)
    return value


def decode_origin(value: bytes) -> Origin:
    """Read ORIGIN (RFC 4271 section 5.1.1)."""
    return _ORIGINS[value[0]]


def _decode_number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _encode_number(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _encode_next_hop(value: bytes) -> bytes:
    return value


def decode_aggregator(value: bytes) -> Aggregator:
    """Read AGGREGATOR with a 4-octet AS number."""
    return Aggregator(*struct.unpack(">II", value))


def _encode_aggregator(value: tuple[int, int]) -> bytes:
    return struct.pack(">II", *value)


def decode_cluster_list(value: bytes) -> tuple[int, ...]:
    """Read CLUSTER_LIST (RFC 4456 section 8)."""
    return struct.unpack(f">{len(value) // 4}I", value)


def _encode_cluster_list(clusters: Collection[int]) -> bytes:
    return struct.pack(f">{len(clusters)}I", *clusters)


def _router_id_json(value: int) -> str:
    return str(ip_address(value))


def _router_id(data: Any) -> int:
    packed = ip_address(data).packed
    if len(packed) != 4 or not isinstance(data, str):
        raise ValueError(f"{data!r} is no IPv4 address")
    return int.from_bytes(packed, "big")


ROUTER_ID: Final[Form[int]] = Form(_router_id_json, _router_id)
_NUMBER: Final = number(32)
_SEGMENT: Final = record(Segment, kind=enumerated(SegmentType), asns=listed(_NUMBER))


def _as_path_json(path: AsPath) -> Any:
    """Return the numbers alone for the one sequence that nearly every path is."""
    if not path.segments:
        return []
    if len(path.segments) == 1 and path.segments[0].kind == SegmentType.SEQUENCE:
        return list(path.segments[0].asns)
    return [_SEGMENT.to_json(segment) for segment in path.segments]


def _as_path_value(data: Any) -> AsPath:
    if not isinstance(data, list):
        raise TypeError(f"{data!r} is no list of AS numbers or segments")
    if all(isinstance(item, int) for item in data):
        return AsPath.sequence(*(_NUMBER.from_json(item) for item in data))
    segments = [_SEGMENT.from_json(item) for item in data]
    return AsPath(tuple(Segment(SegmentType(segment.kind), segment.asns) for segment in segments))


AS_PATH_FORM: Final[Form[AsPath]] = Form(_as_path_json, _as_path_value)
_AGGREGATOR: Final = record(Aggregator, asn=_NUMBER, router_id=ROUTER_ID)
_ORIGIN: Final = enumerated(Origin)
_ORIGINS: Final = tuple(Origin)


def _flag(data: Any) -> bool:
    if data is not True:
        raise ValueError(f"{data!r}: the attribute has no value, it is there or not")
    return True


ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.ORIGIN,
        "ORIGIN",
        WELL_KNOWN,
        _check_origin,
        decode_origin,
        lambda origin: bytes([origin]),
        Form(_ORIGIN.to_json, lambda data: Origin(_ORIGIN.from_json(data))),
    ),
    AttributeCodec(
        AttributeCode.AS_PATH, "AS_PATH", WELL_KNOWN, _check_as_path, decode_as_path, encode_as_path, AS_PATH_FORM
    ),
    AttributeCodec(
        AttributeCode.NEXT_HOP, "NEXT_HOP", WELL_KNOWN, _check_next_hop, bytes, _encode_next_hop, address(4)
    ),
    AttributeCodec(
        AttributeCode.MED, "MULTI_EXIT_DISC", OPTIONAL, _four_octets, _decode_number, _encode_number, _NUMBER
    ),
    AttributeCodec(
        AttributeCode.LOCAL_PREF,
        "LOCAL_PREF",
        WELL_KNOWN,
        _four_octets,
        _decode_number,
        _encode_number,
        _NUMBER,
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.ATOMIC_AGGREGATE,
        "ATOMIC_AGGREGATE",
        WELL_KNOWN,
        _check_atomic_aggregate,
        lambda _: True,
        lambda _: b"",
        Form(bool, _flag),
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.AGGREGATOR,
        "AGGREGATOR",
        OPTIONAL_TRANSITIVE,
        _check_aggregator,
        decode_aggregator,
        _encode_aggregator,
        _AGGREGATOR,
        on_malformed=Fault.DISCARD,
        on_flags=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.ORIGINATOR_ID,
        "ORIGINATOR_ID",
        OPTIONAL,
        _four_octets,
        _decode_number,
        _encode_number,
        ROUTER_ID,
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.CLUSTER_LIST,
        "CLUSTER_LIST",
        OPTIONAL,
        _check_cluster_list,
        decode_cluster_list,
        _encode_cluster_list,
        listed(ROUTER_ID),
        internal_only=True,
    ),
    AttributeCodec(
        AttributeCode.AS4_PATH,
        "AS4_PATH",
        OPTIONAL_TRANSITIVE,
        _check_as4_path,
        decode_as_path,
        encode_as_path,
        AS_PATH_FORM,
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.AS4_AGGREGATOR,
        "AS4_AGGREGATOR",
        OPTIONAL_TRANSITIVE,
        _check_as4_aggregator,
        decode_aggregator,
        _encode_aggregator,
        _AGGREGATOR,
        on_malformed=Fault.DISCARD,
    ),
    AttributeCodec(
        AttributeCode.ONLY_TO_CUSTOMER,
        "ONLY_TO_CUSTOMER",
        OPTIONAL_TRANSITIVE,
        _check_only_to_customer,
        _decode_number,
        _encode_number,
        _NUMBER,
    ),
)
