"""The five messages as values: OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH (RFC 4271 section 4, RFC 2918)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.capabilities import Capability, FourOctetAs, decode_capabilities, encode_capabilities
from pybgp.wire.cursor import Cursor, EndOfDataError
from pybgp.wire.families import Family
from pybgp.wire.framing import UnansweredError, check_header
from pybgp.wire.iana import (
    AS_TRANS,
    HEADER_LENGTH,
    STANDARD_LIMIT,
    VERSION,
    CeaseSubcode,
    HeaderSubcode,
    MessageType,
    OpenSubcode,
    ParameterType,
    RefreshSubcode,
    RefreshSubtype,
)
from pybgp.wire.update_encoding import encode_update, encode_updates, end_of_rib, message_octets
from pybgp.wire.updates import NlriSet, OpaqueNlri, Update, decode_update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pybgp.wire.attribute_store import AttributeStore
    from pybgp.wire.negotiated import Negotiated

__all__ = [
    "Keepalive",
    "Message",
    "NlriSet",
    "Notification",
    "OpaqueNlri",
    "Open",
    "RouteRefresh",
    "Update",
    "decode",
    "decode_notification",
    "decode_open",
    "decode_route_refresh",
    "decode_update",
    "encode",
    "encode_updates",
    "end_of_rib",
]

_SHORTEST_OPEN: Final = 29
_SHORTEST_NOTIFICATION: Final = 21
_SHORTEST_REFRESH: Final = 23
#: RFC 9003 section 2: what every receiver takes; RFC 8203 speakers know no more.
_SAFE_TEXT_LENGTH: Final = 128
_TEXT_SUBCODES: Final = (CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.ADMINISTRATIVE_RESET)


@dataclass(frozen=True, slots=True)
class Open:
    """RFC 4271 section 4.2; ``asn`` is the real one, whatever fits the 2-octet field."""

    asn: int
    hold_time: int
    router_id: int
    capabilities: tuple[Capability, ...] = ()
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Notification:
    """RFC 4271 section 4.5."""

    code: int
    subcode: int = 0
    data: bytes = b""

    @classmethod
    def with_text(cls, subcode: int, text: str, *, longest: int = _SAFE_TEXT_LENGTH) -> Notification:
        """Return a Cease that tells the operator why, the text cut between two characters (RFC 9003 section 2)."""
        octets = text.encode()[:longest].decode(errors="ignore").encode()
        return cls(ErrorCode.CEASE, subcode, bytes([len(octets)]) + octets if octets else b"")

    @classmethod
    def hard_reset(cls, inner: Notification) -> Notification:
        """Return the Cease that ends graceful restart too, around the real reason (RFC 8538 section 3)."""
        return cls(ErrorCode.CEASE, CeaseSubcode.HARD_RESET, bytes([inner.code, inner.subcode]) + inner.data)

    @property
    def inner(self) -> Notification | None:
        """What a hard reset wraps; None for anything else."""
        if (self.code, self.subcode) != (ErrorCode.CEASE, CeaseSubcode.HARD_RESET) or len(self.data) < 2:
            return None
        return Notification(self.data[0], self.data[1], self.data[2:])

    @property
    def shutdown_text(self) -> str | None:
        """The operator's words of a shutdown or reset; None where there are none or they are malformed (RFC 9003)."""
        if self.code == ErrorCode.CEASE and self.subcode == CeaseSubcode.HARD_RESET:
            return self.inner.shutdown_text if self.inner and self.inner.subcode in _TEXT_SUBCODES else None
        if self.code != ErrorCode.CEASE or self.subcode not in _TEXT_SUBCODES or not self.data:
            return None
        try:
            return self.data[1:].decode() if self.data[0] == len(self.data) - 1 else None
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Keepalive:
    """RFC 4271 section 4.4."""


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """RFC 2918 section 3; subtypes by RFC 7313, a filter behind it by RFC 5291."""

    family: Family
    subtype: int = RefreshSubtype.REQUEST
    orf: bytes = b""


Message: TypeAlias = Open | Update | Notification | Keepalive | RouteRefresh


def _open_error(subcode: OpenSubcode, reason: str, data: bytes = b"") -> RemoteError:
    return RemoteError(ErrorCode.OPEN_MESSAGE, subcode, data, reason=reason)


def _bad_length(message: bytes) -> RemoteError:
    reason = f"message type {message[18:19].hex() or '?'} of {len(message)} octets"
    return RemoteError(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_LENGTH, message[16:18], reason=reason)


def decode_open(message: bytes) -> Open:
    """Read a whole OPEN and check what needs no knowledge of us (RFC 4271 section 6.2)."""
    if len(message) < _SHORTEST_OPEN:
        raise _bad_length(message)
    version, field_asn, hold_time, router_id = struct.unpack_from(">BHHI", message, HEADER_LENGTH)
    if version != VERSION:
        data = VERSION.to_bytes(2, "big")
        raise _open_error(OpenSubcode.UNSUPPORTED_VERSION, f"version {version}", data)
    capabilities: list[Capability] = []
    try:
        for value in _parameters(message):
            capabilities += decode_capabilities(value)
    except EndOfDataError as error:
        raise _open_error(OpenSubcode.UNSPECIFIC, f"optional parameters: {error}") from error
    asns = [capability.asn for capability in capabilities if isinstance(capability, FourOctetAs)]
    asn = asns[-1] if asns else field_asn
    _check_open(field_asn, asn, hold_time, router_id)
    return Open(asn, hold_time, router_id, tuple(capabilities), version)


def _check_open(field_asn: int, asn: int, hold_time: int, router_id: int) -> None:
    """RFC 4271 section 6.2, RFC 6286 section 2.2, RFC 7607 section 2."""
    if not field_asn or not asn:
        raise _open_error(OpenSubcode.BAD_PEER_AS, "AS number 0")
    if not router_id:
        raise _open_error(OpenSubcode.BAD_IDENTIFIER, "identifier 0")
    if hold_time in (1, 2):
        data = hold_time.to_bytes(2, "big")
        raise _open_error(OpenSubcode.UNACCEPTABLE_HOLD_TIME, f"hold time {hold_time}", data)


def _parameters(message: bytes) -> Iterator[bytes]:
    """Yield the value of each capabilities parameter, in either encoding (RFC 5492 section 4, RFC 9072 section 2)."""
    cursor = Cursor(message, _SHORTEST_OPEN - 1)
    total = cursor.number(1)
    length_size = 1
    if total and cursor.remaining and message[cursor.position] == ParameterType.EXTENDED_LENGTH:
        cursor.take(1)
        total, length_size = cursor.number(2), 2
    if total != cursor.remaining:
        raise EndOfDataError(f"{total} octets announced, {cursor.remaining} present")
    while cursor.remaining:
        kind = cursor.number(1)
        value = cursor.take(cursor.number(length_size))
        if kind != ParameterType.CAPABILITIES:
            raise _open_error(OpenSubcode.UNSUPPORTED_PARAMETER, f"optional parameter {kind}")
        yield value


def _encode_parameters(capabilities: tuple[Capability, ...], extended: bool) -> bytes:
    field = encode_capabilities(capabilities)
    if len(field) + 2 > 255 or extended:
        parameter = struct.pack(">BH", ParameterType.CAPABILITIES, len(field)) + field
        marker = ParameterType.EXTENDED_LENGTH
        return struct.pack(">BBH", marker, marker, len(parameter)) + parameter
    if not field:
        return b"\0"
    return bytes([len(field) + 2, ParameterType.CAPABILITIES, len(field)]) + field


def encode_open(message: Open, *, extended: bool = False) -> bytes:
    """Write an OPEN; ``extended`` forces the long parameter form (RFC 9072)."""
    asns = {capability.asn for capability in message.capabilities if isinstance(capability, FourOctetAs)}
    if (message.asn > 0xFFFF and not asns) or (asns and asns != {message.asn}):
        raise LocalError(f"AS {message.asn}: the 4-octet AS capability says {sorted(asns) or 'nothing'}")
    field_asn = message.asn if message.asn <= 0xFFFF else AS_TRANS
    try:
        fixed = struct.pack(">BHHI", message.version, field_asn, message.hold_time, message.router_id)
    except struct.error as error:
        raise LocalError(f"{message}: {error}") from error
    octets = message_octets(MessageType.OPEN, fixed + _encode_parameters(message.capabilities, extended))
    if len(octets) > STANDARD_LIMIT:
        raise LocalError(f"OPEN of {len(octets)} octets: at most {STANDARD_LIMIT} fit (RFC 8654 section 4)")
    return octets


def decode_notification(message: bytes) -> Notification:
    """Read a whole NOTIFICATION; any code is taken, because none is ever answered (RFC 4271 section 6.4)."""
    if len(message) < _SHORTEST_NOTIFICATION:
        reason = f"NOTIFICATION of {len(message)} octets"
        raise UnansweredError(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_LENGTH, message[16:18], reason=reason)
    return Notification(message[19], message[20], message[21:])


def decode_route_refresh(message: bytes, negotiated: Negotiated | None = None) -> RouteRefresh:
    """Read a whole ROUTE-REFRESH (RFC 2918 section 3, RFC 7313 section 5)."""
    body = message[HEADER_LENGTH:]
    enhanced = negotiated is not None and negotiated.enhanced_refresh
    is_marker = len(body) >= 3 and body[2] in (RefreshSubtype.BEGIN, RefreshSubtype.END)
    is_request = len(body) >= 4 and body[2] == RefreshSubtype.REQUEST
    if len(body) != 4 and enhanced and (is_marker or is_request):
        reason = f"ROUTE-REFRESH subtype {body[2]} of {len(message)} octets"
        raise RemoteError(ErrorCode.ROUTE_REFRESH_MESSAGE, RefreshSubcode.INVALID_LENGTH, message, reason=reason)
    if len(message) < _SHORTEST_REFRESH or (is_request and len(body) != 4):
        raise _bad_length(message)
    return RouteRefresh(Family(body[0] << 8 | body[1], body[3]), body[2], body[4:])


def decode(message: bytes, negotiated: Negotiated | None = None, store: AttributeStore | None = None) -> Message:
    """Read one whole message, header included; any octets give a value or RemoteError.

    Before both OPENs are known there is nothing negotiated, and no UPDATE can be read.
    """
    check_header(message)
    kind = message[18]
    if kind == MessageType.UPDATE:
        if negotiated is None:
            raise LocalError("an UPDATE has no meaning before both OPENs are known")
        return decode_update(message, negotiated, store)
    if kind == MessageType.KEEPALIVE and len(message) == HEADER_LENGTH:
        return Keepalive()
    if kind == MessageType.OPEN:
        return decode_open(message)
    if kind == MessageType.NOTIFICATION:
        return decode_notification(message)
    if kind == MessageType.ROUTE_REFRESH:
        return decode_route_refresh(message, negotiated)
    if kind == MessageType.KEEPALIVE:
        raise _bad_length(message)
    raise RemoteError(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_TYPE, message[18:19], reason=f"message type {kind}")


def encode(message: Message, negotiated: Negotiated | None = None) -> bytes:
    """Write a message; an UPDATE becomes one message per kind and limit it carries."""
    limit = STANDARD_LIMIT if negotiated is None else negotiated.send_limit
    if isinstance(message, Update):
        if negotiated is None:
            raise LocalError("an UPDATE cannot be written before both OPENs are known")
        return encode_update(message, negotiated)
    if isinstance(message, Open):
        return encode_open(message)
    if isinstance(message, Keepalive):
        return message_octets(MessageType.KEEPALIVE, b"")
    if isinstance(message, Notification):
        body = bytes([message.code, message.subcode]) + message.data
        return message_octets(MessageType.NOTIFICATION, body[: limit - HEADER_LENGTH])
    front = struct.pack(">HBB", message.family.afi, message.subtype, message.family.safi)
    octets = message_octets(MessageType.ROUTE_REFRESH, front + message.orf)
    if len(octets) > limit:
        raise LocalError(f"ROUTE-REFRESH of {len(octets)} octets: at most {limit} fit")
    return octets
