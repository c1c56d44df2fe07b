"""BMP messages as values, read and written (RFC 7854, RFC 8671, RFC 9069; version 4: draft-ietf-grow-bmp-tlv).

BGP messages inside stay octets until ``formats/bmp_station.py`` is asked what they mean on their session.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.errors import FormatError, LocalError
from pybgp.formats.octets import Octets, number_octets, sized_octets
from pybgp.wire.families import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

VERSION: Final = 3
#: Route Monitoring is made of TLVs there; everything else is as before.
TLV_VERSION: Final = 4
#: Far above what a message of any kind needs.
LONGEST_MESSAGE: Final = 1024 * 1024

_HEADER: Final = struct.Struct(">BIB")
_PEER: Final = struct.Struct(">BB8s16sIIII")
_BGP_HEADER_LENGTH: Final = 19
_OPEN: Final = 1
_NOTIFICATION: Final = 3


class BmpType(IntEnum):
    """Message types (RFC 7854 section 4.1)."""

    ROUTE_MONITORING = 0
    STATISTICS_REPORT = 1
    PEER_DOWN = 2
    PEER_UP = 3
    INITIATION = 4
    TERMINATION = 5
    ROUTE_MIRRORING = 6


class PeerType(IntEnum):
    """Whose routes (RFC 7854 section 4.2, RFC 9069 section 4.1)."""

    GLOBAL = 0
    DISTINGUISHED = 1
    LOCAL = 2
    LOC_RIB = 3


class PeerFlag(IntEnum):
    """Flags of the per-peer header (RFC 7854 section 4.2, RFC 8671 section 4, RFC 9069 section 4.2)."""

    IPV6 = 0x80
    POST_POLICY = 0x40
    TWO_OCTET_AS = 0x20
    ADJ_RIB_OUT = 0x10
    #: of a Loc-RIB, where the first flag has another meaning.
    FILTERED = 0x80


class InformationType(IntEnum):
    """TLVs of Initiation and Peer Up (RFC 7854 section 4.4, RFC 8671 section 6.3.1, RFC 9069 section 5.2.1)."""

    STRING = 0
    SYSTEM_DESCRIPTION = 1
    SYSTEM_NAME = 2
    TABLE_NAME = 3
    ADMIN_LABEL = 4


class TerminationReason(IntEnum):
    """Why the router closes (RFC 7854 section 4.5)."""

    ADMINISTRATIVE = 0
    UNSPECIFIED = 1
    OUT_OF_RESOURCES = 2
    REDUNDANT = 3
    PERMANENT = 4


class DownReason(IntEnum):
    """Why a peer is no longer monitored (RFC 7854 section 4.9, RFC 9069 section 5.3)."""

    LOCAL_NOTIFICATION = 1
    LOCAL_EVENT = 2
    REMOTE_NOTIFICATION = 3
    REMOTE_NO_DATA = 4
    DECONFIGURED = 5
    LOCAL_WITH_INFORMATION = 6


class StatisticType(IntEnum):
    """What is counted (RFC 7854 section 4.8, RFC 8671 section 6.2)."""

    REJECTED = 0
    DUPLICATE_PREFIXES = 1
    DUPLICATE_WITHDRAWALS = 2
    CLUSTER_LIST_LOOPS = 3
    AS_PATH_LOOPS = 4
    ORIGINATOR_ID_LOOPS = 5
    CONFEDERATION_LOOPS = 6
    ADJ_RIB_IN = 7
    LOC_RIB = 8
    FAMILY_ADJ_RIB_IN = 9
    FAMILY_LOC_RIB = 10
    TREATED_AS_WITHDRAWN_UPDATES = 11
    TREATED_AS_WITHDRAWN_PREFIXES = 12
    DUPLICATE_UPDATES = 13
    PRE_POLICY_ADJ_RIB_OUT = 14
    POST_POLICY_ADJ_RIB_OUT = 15
    FAMILY_PRE_POLICY_ADJ_RIB_OUT = 16
    FAMILY_POST_POLICY_ADJ_RIB_OUT = 17


class MonitoringTlv(IntEnum):
    """TLVs of Route Monitoring in version 4 (draft-ietf-grow-bmp-tlv section 4.2)."""

    STATELESS_PARSING = 1
    GROUP = 2
    TABLE_NAME = 3
    BGP_MESSAGE = 4


_GAUGES: Final = frozenset({7, 8, 14, 15})
_FAMILY_GAUGES: Final = frozenset({9, 10, 16, 17})
_NUMBER_LENGTHS: Final = {
    int(kind): 8 if kind in _GAUGES else 4 for kind in StatisticType if kind not in _FAMILY_GAUGES
}


class Tlv(NamedTuple):
    """A type and its octets (RFC 7854 section 4.4)."""

    kind: int
    value: bytes

    @property
    def text(self) -> str:
        """The value as text, whatever octets it is made of."""
        return self.value.decode(errors="backslashreplace")

    @property
    def number(self) -> int:
        """The value as a number."""
        return int.from_bytes(self.value, "big")


class IndexedTlv(NamedTuple):
    """A TLV about one of several NLRI (draft-ietf-grow-bmp-tlv section 4.2)."""

    kind: int
    nlri_index: int
    value: bytes


class PeerHeader(NamedTuple):
    """Whom a message is about, and when it happened (RFC 7854 section 4.2); addresses have 4 or 16 octets."""

    kind: int
    flags: int
    distinguisher: bytes
    address: bytes
    asn: int
    router_id: int
    seconds: int = 0
    microseconds: int = 0

    @property
    def is_loc_rib(self) -> bool:
        """Whether these are routes of the Loc-RIB (RFC 9069)."""
        return self.kind == PeerType.LOC_RIB

    @property
    def is_ipv6(self) -> bool:
        """Whether the session runs over IPv6; a Loc-RIB has no session."""
        return bool(self.flags & PeerFlag.IPV6) and not self.is_loc_rib

    @property
    def is_filtered(self) -> bool:
        """Whether this is a part of the Loc-RIB only."""
        return bool(self.flags & PeerFlag.FILTERED) and self.is_loc_rib

    @property
    def is_post_policy(self) -> bool:
        """Whether policy was applied already."""
        return bool(self.flags & PeerFlag.POST_POLICY) and not self.is_loc_rib

    @property
    def is_adj_rib_out(self) -> bool:
        """Whether the routes were sent to the peer (RFC 8671)."""
        return bool(self.flags & PeerFlag.ADJ_RIB_OUT) and not self.is_loc_rib

    @property
    def asn4(self) -> bool:
        """Whether AS numbers in the routes have four octets."""
        return not self.flags & PeerFlag.TWO_OCTET_AS or self.is_loc_rib

    @property
    def key(self) -> tuple[int, bytes, bytes]:
        """What tells one peer from another."""
        return self.kind, self.distinguisher, self.address


class RouteMonitoring(NamedTuple):
    """An UPDATE (RFC 7854 section 4.6); in version 4 it is one of the TLVs, all of which are kept."""

    peer: PeerHeader
    update: bytes
    tlvs: tuple[IndexedTlv, ...] = ()
    #: what stands behind the UPDATE in version 3; some routers put TLVs of their own there.
    trailing: bytes = b""


class StatisticsReport(NamedTuple):
    """Counters and gauges of a peer (RFC 7854 section 4.8)."""

    peer: PeerHeader
    statistics: tuple[Tlv, ...]

    def numbers(self) -> dict[tuple[int, Family | None], int]:
        """Return the statistics that are known and well-formed, by type and family."""
        found: dict[tuple[int, Family | None], int] = {}
        for kind, value in self.statistics:
            if kind in _FAMILY_GAUGES and len(value) == 11:
                found[kind, Family(value[0] << 8 | value[1], value[2])] = int.from_bytes(value[3:], "big")
            elif _NUMBER_LENGTHS.get(kind) == len(value):
                found[kind, None] = int.from_bytes(value, "big")
        return found


class PeerDown(NamedTuple):
    """A session is over (RFC 7854 section 4.9); ``data`` depends on the reason."""

    peer: PeerHeader
    reason: int
    data: bytes = b""

    @property
    def notification(self) -> bytes:
        """The whole NOTIFICATION; empty without one."""
        with_one = self.reason in (DownReason.LOCAL_NOTIFICATION, DownReason.REMOTE_NOTIFICATION)
        return self.data[: _bgp_length(self.data, 0)] if with_one else b""

    @property
    def fsm_event(self) -> int | None:
        """The event of RFC 4271 section 8.1 that ended the session; 0 is none of them."""
        return int.from_bytes(self.data[:2], "big") if self.reason == DownReason.LOCAL_EVENT else None

    @property
    def information(self) -> tuple[Tlv, ...]:
        """What is said about a Loc-RIB that is no longer monitored (RFC 9069 section 5.3)."""
        return _tlvs(Octets(self.data)) if self.reason == DownReason.LOCAL_WITH_INFORMATION else ()


class PeerUp(NamedTuple):
    """A session is Established (RFC 7854 section 4.10); the OPENs are whole messages."""

    peer: PeerHeader
    local_address: bytes
    local_port: int
    remote_port: int
    sent_open: bytes
    received_open: bytes
    information: tuple[Tlv, ...] = ()


class Initiation(NamedTuple):
    """Who the router is (RFC 7854 section 4.3)."""

    information: tuple[Tlv, ...]


class Termination(NamedTuple):
    """Why the router closes (RFC 7854 section 4.5)."""

    information: tuple[Tlv, ...]

    @property
    def reason(self) -> int | None:
        """A `TerminationReason`, or None where it is not said."""
        return next((item.number for item in self.information if item.kind == 1), None)


class RouteMirroring(NamedTuple):
    """Messages as they came (RFC 7854 section 4.7)."""

    peer: PeerHeader
    tlvs: tuple[Tlv, ...]

    @property
    def messages(self) -> tuple[bytes, ...]:
        """The mirrored BGP messages."""
        return tuple(item.value for item in self.tlvs if item.kind == 0)

    @property
    def codes(self) -> tuple[int, ...]:
        """What is said about them: 0 errored, 1 some were lost."""
        return tuple(item.number for item in self.tlvs if item.kind == 1)


BmpMessage: TypeAlias = (
    RouteMonitoring | StatisticsReport | PeerDown | PeerUp | Initiation | Termination | RouteMirroring
)


class BmpFramer:
    """Cuts a stream into whole messages (RFC 7854 section 4.1)."""

    __slots__ = ("_buffer", "_longest", "_position")

    def __init__(self, longest: int = LONGEST_MESSAGE) -> None:
        """``longest`` bounds what one message may make us hold."""
        self._buffer = bytearray()
        self._longest = longest
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        del self._buffer[: self._position]
        self._position = 0
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message; FormatError as soon as its header is wrong."""
        available = len(self._buffer) - self._position
        if available < _HEADER.size:
            return None
        version, length, _ = _HEADER.unpack_from(self._buffer, self._position)
        if version not in (VERSION, TLV_VERSION):
            raise FormatError(f"BMP version {version}: 3 or 4 expected", 0)
        if not _HEADER.size <= length <= self._longest:
            raise FormatError(f"BMP message of {length} octets: {_HEADER.size} to {self._longest} expected", 1)
        if available < length:
            return None
        start, self._position = self._position, self._position + length
        return bytes(self._buffer[start : self._position])


def decode(message: bytes) -> BmpMessage:
    """Read one whole message; FormatError counts octets from its beginning."""
    if len(message) < _HEADER.size:
        raise FormatError(f"BMP message of {len(message)} octets", len(message))
    version, length, kind = _HEADER.unpack_from(message)
    if version not in (VERSION, TLV_VERSION):
        raise FormatError(f"BMP version {version}: 3 or 4 expected", 0)
    if length != len(message):
        raise FormatError(f"BMP message says {length} octets, {len(message)} are there", 1)
    octets = Octets(message, _HEADER.size)
    if kind == BmpType.INITIATION:
        return Initiation(_tlvs(octets))
    if kind == BmpType.TERMINATION:
        return Termination(_tlvs(octets))
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise FormatError(f"BMP message type {kind}", 5)
    return decoder(_decode_peer(octets), octets, version)


def _tlvs(octets: Octets) -> tuple[Tlv, ...]:
    found = []
    while octets.remaining:
        kind = octets.number(2, "TLV type")
        found.append(Tlv(kind, octets.take(octets.number(2, "TLV length"), f"TLV {kind}")))
    return tuple(found)


def _indexed_tlvs(octets: Octets) -> tuple[IndexedTlv, ...]:
    found = []
    while octets.remaining:
        kind, length = octets.number(2, "TLV type"), octets.number(2, "TLV length")
        found.append(IndexedTlv(kind, octets.number(2, "TLV index"), octets.take(length, f"TLV {kind}")))
    return tuple(found)


def _decode_peer(octets: Octets) -> PeerHeader:
    fields = _PEER.unpack(octets.take(_PEER.size, "per-peer header"))
    kind, flags, distinguisher, address, asn, router_id, seconds, microseconds = fields
    is_ipv6 = kind != PeerType.LOC_RIB and flags & PeerFlag.IPV6
    return PeerHeader(
        kind, flags, distinguisher, _short_address(address, is_ipv6), asn, router_id, seconds, microseconds
    )


def _short_address(address: bytes, is_ipv6: bool | int) -> bytes:
    """Return four octets of an IPv4 address, unless there is something in the other twelve."""
    return address if is_ipv6 or any(address[:12]) else address[12:]


def _bgp_length(octets: bytes, start: int) -> int:
    return octets[start + 16] << 8 | octets[start + 17] if start + _BGP_HEADER_LENGTH <= len(octets) else 0


def _take_bgp(octets: Octets, kind: int, what: str) -> bytes:
    """Take one BGP message of a type, as long as it says."""
    at = octets.position
    header = octets.take(_BGP_HEADER_LENGTH, what)
    length = _bgp_length(header, 0)
    if length < _BGP_HEADER_LENGTH or header[18] != kind:
        raise FormatError(f"{what}: message type {header[18]} of {length} octets", at)
    return header + octets.take(length - _BGP_HEADER_LENGTH, what)


def _decode_route_monitoring(peer: PeerHeader, octets: Octets, version: int) -> RouteMonitoring:
    if version == VERSION:
        rest = octets.rest()
        length = _bgp_length(rest, 0)
        end = length if _BGP_HEADER_LENGTH <= length < len(rest) else len(rest)
        return RouteMonitoring(peer, rest[:end], (), rest[end:])
    tlvs = _indexed_tlvs(octets)
    updates = [item.value for item in tlvs if item.kind == MonitoringTlv.BGP_MESSAGE]
    if len(updates) != 1:
        raise FormatError(f"{len(updates)} BGP messages in the TLVs: 1 expected", octets.position)
    return RouteMonitoring(peer, updates[0], tlvs)


def _decode_statistics(peer: PeerHeader, octets: Octets, _: int) -> StatisticsReport:
    count = octets.number(4, "statistics count")
    at = octets.position
    statistics = _tlvs(octets)
    if len(statistics) != count:
        raise FormatError(f"{count} statistics announced, {len(statistics)} present", at)
    return StatisticsReport(peer, statistics)


def _decode_peer_down(peer: PeerHeader, octets: Octets, _: int) -> PeerDown:
    reason = octets.number(1, "reason")
    at = octets.position
    data = octets.rest()
    inner = Octets(data)
    try:
        if reason in (DownReason.LOCAL_NOTIFICATION, DownReason.REMOTE_NOTIFICATION):
            _take_bgp(inner, _NOTIFICATION, "NOTIFICATION")
        elif reason == DownReason.LOCAL_EVENT:
            inner.take(2, "FSM event")
        elif reason == DownReason.LOCAL_WITH_INFORMATION:
            _tlvs(inner)
    except FormatError as error:
        raise FormatError(error.what, at + error.where) from error
    return PeerDown(peer, reason, data)


def _decode_peer_up(peer: PeerHeader, octets: Octets, _: int) -> PeerUp:
    address = _short_address(octets.take(16, "local address"), peer.is_ipv6)
    local_port, remote_port = octets.number(2, "local port"), octets.number(2, "remote port")
    sent, received = _take_bgp(octets, _OPEN, "sent OPEN"), _take_bgp(octets, _OPEN, "received OPEN")
    return PeerUp(peer, address, local_port, remote_port, sent, received, _tlvs(octets))


def _decode_route_mirroring(peer: PeerHeader, octets: Octets, _: int) -> RouteMirroring:
    return RouteMirroring(peer, _tlvs(octets))


_DECODERS: Final[Mapping[int, Callable[[PeerHeader, Octets, int], BmpMessage]]] = {
    BmpType.ROUTE_MONITORING: _decode_route_monitoring,
    BmpType.STATISTICS_REPORT: _decode_statistics,
    BmpType.PEER_DOWN: _decode_peer_down,
    BmpType.PEER_UP: _decode_peer_up,
    BmpType.ROUTE_MIRRORING: _decode_route_mirroring,
}


def encode(message: BmpMessage, version: int = VERSION) -> bytes:
    """Write a message; LocalError names what does not fit its field."""
    kind, body = _encode(message, version)
    length = _HEADER.size + len(body)
    if length > LONGEST_MESSAGE:
        raise LocalError(f"BMP message of {length} octets: at most {LONGEST_MESSAGE} expected")
    return _HEADER.pack(version, length, kind) + body


def _encode(message: BmpMessage, version: int) -> tuple[int, bytes]:
    match message:
        case RouteMonitoring():
            return BmpType.ROUTE_MONITORING, _peer_octets(message.peer) + _monitored_octets(message, version)
        case StatisticsReport():
            count = number_octets(len(message.statistics), 4, "statistics count")
            return BmpType.STATISTICS_REPORT, _peer_octets(message.peer) + count + _tlv_octets(message.statistics)
        case PeerDown():
            reason = number_octets(message.reason, 1, "reason")
            return BmpType.PEER_DOWN, _peer_octets(message.peer) + reason + message.data
        case PeerUp():
            return BmpType.PEER_UP, _peer_up_octets(message)
        case RouteMirroring():
            return BmpType.ROUTE_MIRRORING, _peer_octets(message.peer) + _tlv_octets(message.tlvs)
        case Initiation():
            return BmpType.INITIATION, _tlv_octets(message.information)
        case Termination():
            return BmpType.TERMINATION, _tlv_octets(message.information)


def _tlv_octets(tlvs: Iterable[Tlv]) -> bytes:
    return b"".join(number_octets(kind, 2, "TLV type") + sized_octets(value, "TLV") for kind, value in tlvs)


def _monitored_octets(message: RouteMonitoring, version: int) -> bytes:
    if version == VERSION:
        return message.update + message.trailing
    tlvs = message.tlvs or (IndexedTlv(MonitoringTlv.BGP_MESSAGE, 0, message.update),)
    return b"".join(
        number_octets(kind, 2, "TLV type")
        + number_octets(len(value), 2, "TLV length")
        + number_octets(nlri_index, 2, "TLV index")
        + value
        for kind, nlri_index, value in tlvs
    )


def _long_address(address: bytes, what: str) -> bytes:
    if len(address) not in (4, 16):
        raise LocalError(f"{what} {address.hex()!r}: 4 or 16 octets expected")
    return address.rjust(16, b"\0")


def _peer_octets(peer: PeerHeader) -> bytes:
    if len(peer.distinguisher) != 8:
        raise LocalError(f"distinguisher {peer.distinguisher.hex()!r}: 8 octets expected")
    try:
        return _PEER.pack(*peer._replace(address=_long_address(peer.address, "peer address")))
    except struct.error as error:
        raise LocalError(f"{peer}: {error}") from error


def _peer_up_octets(message: PeerUp) -> bytes:
    for octets in (message.sent_open, message.received_open):
        if len(octets) < _BGP_HEADER_LENGTH or _bgp_length(octets, 0) != len(octets) or octets[18] != _OPEN:
            raise LocalError(f"{octets.hex()}: a whole OPEN expected")
    return b"".join(
        (
            _peer_octets(message.peer),
            _long_address(message.local_address, "local address"),
            number_octets(message.local_port, 2, "local port"),
            number_octets(message.remote_port, 2, "remote port"),
            message.sent_open,
            message.received_open,
            _tlv_octets(message.information),
        )
    )
