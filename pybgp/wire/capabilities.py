"""Capabilities of the OPEN: one table row per code (RFC 5492, spec section 3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.families import Family
from pybgp.wire.iana import CapabilityCode, OpenSubcode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LONGEST_VALUE = 255
#: AFI, reserved, SAFI and the number of filters (RFC 5291 section 5).
_FILTER_HEADER = 5
_LONGEST_NAME = 64
_RESTART_STATE = 0x8
_RESTART_NOTIFICATION = 0x4
_FORWARDING = 0x80
_LONGEST_RESTART_TIME = 0xFFF
_LONGEST_STALE_TIME = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class MultiprotocolCapability:
    """The sender speaks this family (RFC 4760 section 8)."""

    family: Family
    code: ClassVar[int] = CapabilityCode.MULTIPROTOCOL


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """The sender takes ROUTE-REFRESH (RFC 2918); code 128 is its older number, accepted and never sent."""

    code: int = CapabilityCode.ROUTE_REFRESH


@dataclass(frozen=True, slots=True)
class OutboundRouteFilter:
    """Filters by family, as (family, ((filter type, send or receive), ...)) (RFC 5291 section 5)."""

    families: tuple[tuple[Family, tuple[tuple[int, int], ...]], ...]
    code: ClassVar[int] = CapabilityCode.OUTBOUND_ROUTE_FILTER


@dataclass(frozen=True, slots=True)
class MultipleLabels:
    """How many labels the sender takes per family, as (family, count); 255: any number (RFC 8277 section 2.1)."""

    families: tuple[tuple[Family, int], ...]
    code: ClassVar[int] = CapabilityCode.MULTIPLE_LABELS


@dataclass(frozen=True, slots=True)
class RoleCapability:
    """What the sender is to its peer, a Role or a number that is none (RFC 9234 section 4.1)."""

    role: int
    code: ClassVar[int] = CapabilityCode.ROLE


@dataclass(frozen=True, slots=True)
class ExtendedNextHop:
    """Families whose next hop may be of another AFI, as (family, next-hop AFI) (RFC 8950 section 4)."""

    families: tuple[tuple[Family, int], ...]
    code: ClassVar[int] = CapabilityCode.EXTENDED_NEXT_HOP


@dataclass(frozen=True, slots=True)
class ExtendedMessage:
    """The sender takes messages of up to 65535 octets (RFC 8654 section 3)."""

    code: ClassVar[int] = CapabilityCode.EXTENDED_MESSAGE


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """Restart state (R), notifications (N), seconds, and (family, forwarding kept) (RFC 4724, RFC 8538)."""

    restart_state: bool = False
    notification: bool = False
    restart_time: int = 0
    families: tuple[tuple[Family, bool], ...] = ()
    code: ClassVar[int] = CapabilityCode.GRACEFUL_RESTART


@dataclass(frozen=True, slots=True)
class FourOctetAs:
    """The sender's real AS number (RFC 6793 section 3)."""

    asn: int
    code: ClassVar[int] = CapabilityCode.FOUR_OCTET_AS


@dataclass(frozen=True, slots=True)
class AddPath:
    """What the sender does per family, as (family, AddPathMode) (RFC 7911 section 4)."""

    families: tuple[tuple[Family, int], ...]
    code: ClassVar[int] = CapabilityCode.ADD_PATH


@dataclass(frozen=True, slots=True)
class EnhancedRouteRefresh:
    """The sender marks the begin and the end of a refresh (RFC 7313 section 3.1)."""

    code: ClassVar[int] = CapabilityCode.ENHANCED_ROUTE_REFRESH


@dataclass(frozen=True, slots=True)
class LongLivedGracefulRestart:
    """Families as (family, forwarding kept, stale time in seconds) (RFC 9494 section 3)."""

    families: tuple[tuple[Family, bool, int], ...] = ()
    code: ClassVar[int] = CapabilityCode.LONG_LIVED_GRACEFUL_RESTART


@dataclass(frozen=True, slots=True)
class Hostname:
    """The sender's name, for people (draft-walton-bgp-hostname-capability)."""

    host: str
    domain: str = ""
    code: ClassVar[int] = CapabilityCode.HOSTNAME


@dataclass(frozen=True, slots=True)
class SoftwareVersion:
    """What the sender runs, for people (draft-abraitis-bgp-version-capability)."""

    text: str
    code: ClassVar[int] = CapabilityCode.SOFTWARE_VERSION


@dataclass(frozen=True, slots=True)
class PathsLimit:
    """How many paths the sender takes for one prefix, as (family, count) (draft-abraitis-idr-addpath-paths-limit)."""

    families: tuple[tuple[Family, int], ...]
    code: ClassVar[int] = CapabilityCode.PATHS_LIMIT


@dataclass(frozen=True, slots=True)
class OpaqueCapability:
    """A capability that we do not take apart, as received."""

    code: int
    value: bytes = b""


Capability: TypeAlias = (
    MultiprotocolCapability
    | RouteRefresh
    | OutboundRouteFilter
    | MultipleLabels
    | RoleCapability
    | ExtendedNextHop
    | ExtendedMessage
    | GracefulRestart
    | FourOctetAs
    | AddPath
    | EnhancedRouteRefresh
    | LongLivedGracefulRestart
    | Hostname
    | SoftwareVersion
    | PathsLimit
    | OpaqueCapability
)
T = TypeVar("T")


def _malformed(code: int, value: bytes) -> RemoteError:
    name = CapabilityCode(code).name.lower().replace("_", " ")
    reason = f"capability {name} of {len(value)} octets: {value.hex()}"
    return RemoteError(ErrorCode.OPEN_MESSAGE, OpenSubcode.UNSPECIFIC, reason=reason)


def _decode_multiprotocol(code: int, value: bytes) -> MultiprotocolCapability:
    if len(value) != 4:
        raise _malformed(code, value)
    afi, _, safi = struct.unpack(">HBB", value)
    return MultiprotocolCapability(Family(afi, safi))


def _encode_multiprotocol(capability: MultiprotocolCapability) -> bytes:
    return struct.pack(">HBB", capability.family.afi, 0, capability.family.safi)


def _decode_route_refresh(code: int, value: bytes) -> RouteRefresh:
    if value:
        raise _malformed(code, value)
    return RouteRefresh(code)


def _decode_filter(code: int, value: bytes) -> OutboundRouteFilter | OpaqueCapability:
    """Read the families one by one; octets behind the last that are no family are kept with all of it as they came."""
    families = []
    position = 0
    while len(value) - position >= _FILTER_HEADER:
        afi, reserved, safi, count = struct.unpack_from(">HBBB", value, position)
        stop = position + _FILTER_HEADER + 2 * count
        if stop > len(value):
            raise _malformed(code, value)
        pairs = value[position + _FILTER_HEADER : stop]
        families.append((Family(afi, safi), tuple(zip(pairs[::2], pairs[1::2], strict=True))))
        if reserved:
            return OpaqueCapability(code, value)
        position = stop
    if not families:
        raise _malformed(code, value)
    return OutboundRouteFilter(tuple(families)) if position == len(value) else OpaqueCapability(code, value)


def _encode_filter(capability: OutboundRouteFilter) -> bytes:
    return b"".join(
        struct.pack(">HBBB", family.afi, 0, family.safi, len(pairs)) + bytes(part for pair in pairs for part in pair)
        for family, pairs in capability.families
    )


def _decode_multiple_labels(code: int, value: bytes) -> MultipleLabels:
    if len(value) % 4:
        raise _malformed(code, value)
    return MultipleLabels(tuple((Family(afi, safi), count) for afi, safi, count in struct.iter_unpack(">HBB", value)))


def _encode_multiple_labels(capability: MultipleLabels) -> bytes:
    return b"".join(struct.pack(">HBB", *family, count) for family, count in capability.families)


def _decode_role(code: int, value: bytes) -> RoleCapability:
    if len(value) != 1:
        raise _malformed(code, value)
    return RoleCapability(value[0])


def _encode_role(capability: RoleCapability) -> bytes:
    return struct.pack(">B", capability.role)


def _decode_extended_next_hop(code: int, value: bytes) -> ExtendedNextHop:
    if len(value) % 6:
        raise _malformed(code, value)
    return ExtendedNextHop(tuple((Family(afi, safi), hop) for afi, safi, hop in struct.iter_unpack(">HHH", value)))


def _encode_extended_next_hop(capability: ExtendedNextHop) -> bytes:
    return b"".join(struct.pack(">HHH", *family, hop) for family, hop in capability.families)


def _decode_extended_message(code: int, value: bytes) -> ExtendedMessage:
    if value:
        raise _malformed(code, value)
    return ExtendedMessage()


def _decode_graceful_restart(code: int, value: bytes) -> GracefulRestart:
    if len(value) % 4 != 2:
        raise _malformed(code, value)
    word = int.from_bytes(value[:2], "big")
    flags = word >> 12
    families = tuple(
        (Family(afi, safi), bool(kept & _FORWARDING)) for afi, safi, kept in struct.iter_unpack(">HBB", value[2:])
    )
    return GracefulRestart(
        bool(flags & _RESTART_STATE), bool(flags & _RESTART_NOTIFICATION), word & _LONGEST_RESTART_TIME, families
    )


def _encode_graceful_restart(capability: GracefulRestart) -> bytes:
    if not 0 <= capability.restart_time <= _LONGEST_RESTART_TIME:
        raise LocalError(f"restart_time {capability.restart_time}: 0 to {_LONGEST_RESTART_TIME} seconds fit")
    flags = _RESTART_STATE * capability.restart_state | _RESTART_NOTIFICATION * capability.notification
    tuples = (struct.pack(">HBB", *family, _FORWARDING * kept) for family, kept in capability.families)
    return struct.pack(">H", flags << 12 | capability.restart_time) + b"".join(tuples)


def _decode_four_octet_as(code: int, value: bytes) -> FourOctetAs:
    if len(value) != 4:
        raise _malformed(code, value)
    return FourOctetAs(int.from_bytes(value, "big"))


def _decode_add_path(code: int, value: bytes) -> AddPath:
    if len(value) % 4:
        raise _malformed(code, value)
    return AddPath(tuple((Family(afi, safi), mode) for afi, safi, mode in struct.iter_unpack(">HBB", value)))


def _encode_add_path(capability: AddPath) -> bytes:
    return b"".join(struct.pack(">HBB", *family, mode) for family, mode in capability.families)


def _decode_enhanced_route_refresh(code: int, value: bytes) -> EnhancedRouteRefresh:
    if value:
        raise _malformed(code, value)
    return EnhancedRouteRefresh()


def _decode_long_lived(code: int, value: bytes) -> LongLivedGracefulRestart:
    if len(value) % 7:
        raise _malformed(code, value)
    return LongLivedGracefulRestart(
        tuple(
            (Family(afi, safi), bool(flags & _FORWARDING), high << 16 | low)
            for afi, safi, flags, high, low in struct.iter_unpack(">HBBBH", value)
        )
    )


def _encode_long_lived(capability: LongLivedGracefulRestart) -> bytes:
    tuples = []
    for family, kept, stale_time in capability.families:
        if not 0 <= stale_time <= _LONGEST_STALE_TIME:
            raise LocalError(f"stale time {stale_time} of {family}: 0 to {_LONGEST_STALE_TIME} seconds fit")
        tuples.append(struct.pack(">HBB", *family, _FORWARDING * kept) + stale_time.to_bytes(3, "big"))
    return b"".join(tuples)


def _decode_hostname(code: int, value: bytes) -> Hostname | OpaqueCapability:
    """Take the two names apart; a value that overruns is kept unread, as it is only for people."""
    if not value or len(value) < 2 + value[0]:
        return OpaqueCapability(code, value)
    host, domain_length, domain = value[1 : 1 + value[0]], value[1 + value[0]], value[2 + value[0] :]
    if len(domain) != domain_length or max(len(host), len(domain)) > _LONGEST_NAME:
        return OpaqueCapability(code, value)
    try:
        return Hostname(host.decode(), domain.decode())
    except UnicodeDecodeError:
        return OpaqueCapability(code, value)


def _encode_hostname(capability: Hostname) -> bytes:
    names = [capability.host.encode(), capability.domain.encode()]
    for name in names:
        if len(name) > _LONGEST_NAME:
            raise LocalError(f"hostname {name.decode()!r}: at most {_LONGEST_NAME} octets fit")
    return b"".join(bytes([len(name)]) + name for name in names)


def _decode_software_version(code: int, value: bytes) -> SoftwareVersion | OpaqueCapability:
    """Read the text; a length that is not its own is kept unread, as it is only for people."""
    if not value or value[0] != len(value) - 1:
        return OpaqueCapability(code, value)
    try:
        return SoftwareVersion(value[1:].decode())
    except UnicodeDecodeError:
        return OpaqueCapability(code, value)


def _encode_software_version(capability: SoftwareVersion) -> bytes:
    text = capability.text.encode()
    return struct.pack(">B", len(text)) + text


def _decode_paths_limit(code: int, value: bytes) -> PathsLimit | OpaqueCapability:
    if len(value) % 5:
        return OpaqueCapability(code, value)
    return PathsLimit(tuple((Family(afi, safi), count) for afi, safi, count in struct.iter_unpack(">HBH", value)))


def _encode_paths_limit(capability: PathsLimit) -> bytes:
    return b"".join(struct.pack(">HBH", *family, count) for family, count in capability.families)


@dataclass(frozen=True, slots=True)
class CapabilityCodec(Generic[T]):
    """One row: how a capability is read and written."""

    code: int
    decode: Callable[[int, bytes], Capability]
    encode: Callable[[T], bytes]


def _empty(_: object) -> bytes:
    return b""


_ROWS: Final[tuple[CapabilityCodec[Any], ...]] = (
    CapabilityCodec(CapabilityCode.MULTIPROTOCOL, _decode_multiprotocol, _encode_multiprotocol),
    CapabilityCodec(CapabilityCode.ROUTE_REFRESH, _decode_route_refresh, _empty),
    CapabilityCodec(CapabilityCode.OUTBOUND_ROUTE_FILTER, _decode_filter, _encode_filter),
    CapabilityCodec(CapabilityCode.MULTIPLE_LABELS, _decode_multiple_labels, _encode_multiple_labels),
    CapabilityCodec(CapabilityCode.ROLE, _decode_role, _encode_role),
    CapabilityCodec(CapabilityCode.EXTENDED_NEXT_HOP, _decode_extended_next_hop, _encode_extended_next_hop),
    CapabilityCodec(CapabilityCode.EXTENDED_MESSAGE, _decode_extended_message, _empty),
    CapabilityCodec(CapabilityCode.GRACEFUL_RESTART, _decode_graceful_restart, _encode_graceful_restart),
    CapabilityCodec(CapabilityCode.FOUR_OCTET_AS, _decode_four_octet_as, lambda value: value.asn.to_bytes(4, "big")),
    CapabilityCodec(CapabilityCode.ADD_PATH, _decode_add_path, _encode_add_path),
    CapabilityCodec(CapabilityCode.ENHANCED_ROUTE_REFRESH, _decode_enhanced_route_refresh, _empty),
    CapabilityCodec(CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, _decode_long_lived, _encode_long_lived),
    CapabilityCodec(CapabilityCode.HOSTNAME, _decode_hostname, _encode_hostname),
    CapabilityCodec(CapabilityCode.SOFTWARE_VERSION, _decode_software_version, _encode_software_version),
    CapabilityCodec(CapabilityCode.PATHS_LIMIT, _decode_paths_limit, _encode_paths_limit),
    CapabilityCodec(CapabilityCode.CISCO_ROUTE_REFRESH, _decode_route_refresh, _empty),
)
CAPABILITIES: Final[Mapping[int, CapabilityCodec[Any]]] = {row.code: row for row in _ROWS}


def decode_capability(code: int, value: bytes) -> Capability:
    """Read one capability; a code without a row stays opaque (RFC 5492 section 3)."""
    row = CAPABILITIES.get(code)
    return row.decode(code, value) if row else OpaqueCapability(code, value)


def encode_capability(capability: Capability) -> bytes:
    """Write one capability with its code and length (RFC 5492 section 4)."""
    value = capability.value if isinstance(capability, OpaqueCapability) else _encode_typed(capability)
    if len(value) > _LONGEST_VALUE:
        raise LocalError(f"capability {capability.code} of {len(value)} octets: at most {_LONGEST_VALUE} fit")
    return bytes([capability.code, len(value)]) + value


def _encode_typed(capability: Capability) -> bytes:
    try:
        return CAPABILITIES[capability.code].encode(capability)
    except (struct.error, OverflowError) as error:
        raise LocalError(f"{capability}: a number does not fit its field") from error


def encode_capabilities(capabilities: Iterable[Capability]) -> bytes:
    """Write a list of capabilities, as one capabilities parameter holds it."""
    return b"".join(map(encode_capability, capabilities))


def decode_capabilities(field: bytes) -> list[Capability]:
    """Read the value of one capabilities parameter (RFC 5492 section 4)."""
    capabilities: list[Capability] = []
    position = 0
    while position < len(field):
        start = position + 2
        stop = start + field[position + 1] if start <= len(field) else start
        if stop > len(field):
            raise RemoteError(
                ErrorCode.OPEN_MESSAGE,
                OpenSubcode.UNSPECIFIC,
                reason=f"capability at octet {position} of {len(field)} overruns its parameter",
            )
        capabilities.append(decode_capability(field[position], field[start:stop]))
        position = stop
    return capabilities
