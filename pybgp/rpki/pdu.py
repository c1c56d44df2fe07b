"""The PDUs of the RPKI-to-Router protocol, versions 0 to 2: octets to values and back (RFC 6810, RFC 8210).

Version 2 and its ASPA PDU are draft-ietf-sidrops-8210bis.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.errors import BgpError, LocalError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEADER_LENGTH: Final = 8
#: No PDU of ours or of a sane cache is longer; bounded before anything is kept.
LONGEST_PDU: Final = 65535
LATEST_VERSION: Final = 2
_HEADER: Final = struct.Struct("!BBHI")
_UINT32: Final = struct.Struct("!I")
_IPV4: Final = struct.Struct("!BBBx4sI")
_IPV6: Final = struct.Struct("!BBBx16sI")
_TIMES: Final = struct.Struct("!IIII")
_KEY_IDENTIFIER_LENGTH: Final = 20


class PduType(IntEnum):
    """RFC 8210 section 5; 11 is version 2."""

    SERIAL_NOTIFY = 0
    SERIAL_QUERY = 1
    RESET_QUERY = 2
    CACHE_RESPONSE = 3
    IPV4_PREFIX = 4
    IPV6_PREFIX = 6
    END_OF_DATA = 7
    CACHE_RESET = 8
    ROUTER_KEY = 9
    ERROR_REPORT = 10
    ASPA = 11


class RtrErrorCode(IntEnum):
    """RFC 8210 section 12; 9 is version 2."""

    CORRUPT_DATA = 0
    INTERNAL_ERROR = 1
    NO_DATA_AVAILABLE = 2
    INVALID_REQUEST = 3
    UNSUPPORTED_VERSION = 4
    UNSUPPORTED_PDU_TYPE = 5
    UNKNOWN_WITHDRAWAL = 6
    DUPLICATE_ANNOUNCEMENT = 7
    UNEXPECTED_VERSION = 8
    ASPA_PROVIDERS = 9


class RtrError(BgpError):
    """The cache broke the protocol; carries what the Error Report says (RFC 8210 section 5.11)."""

    def __init__(self, code: RtrErrorCode, pdu: bytes, reason: str) -> None:
        """``pdu`` is the erroneous one, as far as it is known."""
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.pdu = pdu
        self.reason = reason


class Vrp(NamedTuple):
    """A validated ROA payload: this AS may originate the prefix and what is inside, down to the maximum length."""

    family: Family
    #: As in an NLRI: length octet, then the significant octets.
    key: bytes
    max_length: int
    asn: int


class RouterKey(NamedTuple):
    """A BGPsec router key (RFC 8210 section 5.10)."""

    key_identifier: bytes
    asn: int
    public_key: bytes


class Aspa(NamedTuple):
    """Which ASes the customer names as its providers."""

    customer: int
    providers: tuple[int, ...]


Payload: TypeAlias = Vrp | RouterKey | Aspa


@dataclass(frozen=True, slots=True)
class SerialNotify:
    """There is something new (RFC 8210 section 5.2)."""

    session: int
    serial: int


@dataclass(frozen=True, slots=True)
class SerialQuery:
    """What is new since this serial? (RFC 8210 section 5.3)."""

    session: int
    serial: int


@dataclass(frozen=True, slots=True)
class ResetQuery:
    """What is there? (RFC 8210 section 5.4)."""


@dataclass(frozen=True, slots=True)
class CacheResponse:
    """Payload follows (RFC 8210 section 5.5)."""

    session: int


class Record(NamedTuple):
    """A payload PDU: something is announced or withdrawn (RFC 8210 sections 5.6, 5.7, 5.10)."""

    announce: bool
    payload: Payload


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often to ask, how soon to ask again, how long data are good, in seconds (RFC 8210 section 6)."""

    refresh: int = 3600
    retry: int = 600
    expire: int = 7200

    def bounded(self) -> Intervals:
        """Return the nearest values that are allowed."""
        return Intervals(
            min(max(self.refresh, 1), 86400), min(max(self.retry, 1), 7200), min(max(self.expire, 600), 172800)
        )


@dataclass(frozen=True, slots=True)
class EndOfData:
    """All payload was sent (RFC 8210 section 5.8); version 0 has no intervals."""

    session: int
    serial: int
    intervals: Intervals | None = None


@dataclass(frozen=True, slots=True)
class CacheReset:
    """The cache cannot say what is new since that serial (RFC 8210 section 5.9)."""


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """RFC 8210 section 5.11; never answered."""

    code: int
    pdu: bytes = b""
    text: str = ""


Pdu: TypeAlias = SerialNotify | SerialQuery | ResetQuery | CacheResponse | Record | EndOfData | CacheReset | ErrorReport


def pdu_length(data: bytes | bytearray, position: int = 0) -> int:
    """Return the length that a PDU header announces; RtrError if it cannot be that of its type."""
    header = bytes(data[position : position + HEADER_LENGTH])
    if len(header) < HEADER_LENGTH:
        raise RtrError(RtrErrorCode.CORRUPT_DATA, header, f"{len(header)} octets are no PDU header")
    version, number = header[:2]
    length = int.from_bytes(header[4:], "big")
    if not HEADER_LENGTH <= length <= LONGEST_PDU:
        raise RtrError(RtrErrorCode.CORRUPT_DATA, header, f"PDU type {number} of {length} octets")
    if version > LATEST_VERSION:
        raise RtrError(RtrErrorCode.UNSUPPORTED_VERSION, header, f"version {version}")
    if number not in _DECODERS or (number == PduType.ASPA and version < 2):
        raise RtrError(RtrErrorCode.UNSUPPORTED_PDU_TYPE, header, f"PDU type {number} in version {version}")
    if number == PduType.ROUTER_KEY and version < 1:
        raise RtrError(RtrErrorCode.UNSUPPORTED_PDU_TYPE, header, "router key in version 0")
    low, high = _LENGTHS.get(number, (HEADER_LENGTH, LONGEST_PDU))
    if number == PduType.END_OF_DATA:
        low = high = HEADER_LENGTH + (4 if version == 0 else 16)
    if not low <= length <= high:
        raise RtrError(RtrErrorCode.CORRUPT_DATA, header, f"{PduType(number).name} of {length} octets")
    return length


def decode(octets: bytes) -> Pdu:
    """Read one whole PDU; RtrError for what its header or its body breaks."""
    length = pdu_length(octets)
    _, number, field, _ = _HEADER.unpack_from(octets)
    if length != len(octets):
        raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"{length} octets announced, {len(octets)} there")
    return _DECODERS[number](octets, field)


def _decode_serial_notify(octets: bytes, field: int) -> Pdu:
    return SerialNotify(field, _UINT32.unpack_from(octets, HEADER_LENGTH)[0])


def _decode_serial_query(octets: bytes, field: int) -> Pdu:
    return SerialQuery(field, _UINT32.unpack_from(octets, HEADER_LENGTH)[0])


def _decode_prefix(octets: bytes, form: struct.Struct, family: Family, longest: int) -> Pdu:
    flags, length, max_length, address, asn = form.unpack_from(octets, HEADER_LENGTH)
    if not length <= max_length <= longest:
        raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"prefix length {length}, maximum length {max_length}")
    whole, bits = divmod(length, 8)
    significant = address[:whole]
    if bits:
        # A cache may leave host bits set; they mean nothing.
        significant += bytes((address[whole] & (0xFF00 >> bits) & 0xFF,))
    return Record(bool(flags & 1), Vrp(family, bytes((length,)) + significant, max_length, asn))


def _decode_ipv4(octets: bytes, _: int) -> Pdu:
    return _decode_prefix(octets, _IPV4, IPV4_UNICAST, 32)


def _decode_ipv6(octets: bytes, _: int) -> Pdu:
    return _decode_prefix(octets, _IPV6, IPV6_UNICAST, 128)


def _decode_end_of_data(octets: bytes, field: int) -> Pdu:
    if len(octets) == HEADER_LENGTH + _UINT32.size:
        return EndOfData(field, _UINT32.unpack_from(octets, HEADER_LENGTH)[0])
    serial, *times = _TIMES.unpack_from(octets, HEADER_LENGTH)
    return EndOfData(field, serial, Intervals(*times))


def _decode_router_key(octets: bytes, field: int) -> Pdu:
    end = HEADER_LENGTH + _KEY_IDENTIFIER_LENGTH
    (asn,) = _UINT32.unpack_from(octets, end)
    return Record(bool(field >> 8 & 1), RouterKey(octets[HEADER_LENGTH:end], asn, octets[end + 4 :]))


def _decode_aspa(octets: bytes, field: int) -> Pdu:
    if len(octets) % 4:
        raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"ASPA of {len(octets)} octets")
    customer, *providers = (number for (number,) in _UINT32.iter_unpack(octets[HEADER_LENGTH:]))
    announce = bool(field >> 8 & 1)
    is_list = bool(providers) and customer not in providers and len(set(providers)) == len(providers)
    if announce and not is_list:
        raise RtrError(RtrErrorCode.ASPA_PROVIDERS, octets, f"providers of AS {customer}: {providers}")
    return Record(announce, Aspa(customer, tuple(providers)))


def _decode_error_report(octets: bytes, field: int) -> Pdu:
    (pdu_size,) = _UINT32.unpack_from(octets, HEADER_LENGTH)
    text_at = HEADER_LENGTH + 4 + pdu_size
    if text_at + 4 > len(octets):
        raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"erroneous PDU of {pdu_size} octets in {len(octets)}")
    (text_size,) = _UINT32.unpack_from(octets, text_at)
    text = octets[text_at + 4 :]
    if text_size != len(text):
        raise RtrError(RtrErrorCode.CORRUPT_DATA, octets, f"error text of {text_size} octets, {len(text)} there")
    return ErrorReport(field, octets[HEADER_LENGTH + 4 : text_at], text.decode(errors="replace"))


_DECODERS: Final[Mapping[int, Callable[[bytes, int], Pdu]]] = {
    PduType.SERIAL_NOTIFY: _decode_serial_notify,
    PduType.SERIAL_QUERY: _decode_serial_query,
    PduType.RESET_QUERY: lambda _, __: ResetQuery(),
    PduType.CACHE_RESPONSE: lambda _, session: CacheResponse(session),
    PduType.IPV4_PREFIX: _decode_ipv4,
    PduType.IPV6_PREFIX: _decode_ipv6,
    PduType.END_OF_DATA: _decode_end_of_data,
    PduType.CACHE_RESET: lambda _, __: CacheReset(),
    PduType.ROUTER_KEY: _decode_router_key,
    PduType.ERROR_REPORT: _decode_error_report,
    PduType.ASPA: _decode_aspa,
}
#: Shortest and longest PDU of a type; End of Data depends on the version.
_LENGTHS: Final[Mapping[int, tuple[int, int]]] = {
    PduType.SERIAL_NOTIFY: (12, 12),
    PduType.SERIAL_QUERY: (12, 12),
    PduType.RESET_QUERY: (8, 8),
    PduType.CACHE_RESPONSE: (8, 8),
    PduType.IPV4_PREFIX: (20, 20),
    PduType.IPV6_PREFIX: (32, 32),
    PduType.CACHE_RESET: (8, 8),
    PduType.ROUTER_KEY: (32, LONGEST_PDU),
    PduType.ERROR_REPORT: (16, LONGEST_PDU),
    PduType.ASPA: (12, LONGEST_PDU),
}


def encode(pdu: Pdu, version: int = 1) -> bytes:
    """Write a PDU; LocalError if the version does not have it or a field cannot hold its value."""
    try:
        number, field, body = _encode_body(pdu, version)
        octets = _HEADER.pack(version, number, field, HEADER_LENGTH + len(body)) + body
    except struct.error as error:
        raise LocalError(f"RTR PDU {pdu}: {error}") from error
    try:
        pdu_length(octets)
    except RtrError as error:
        raise LocalError(f"RTR PDU {pdu}: {error.reason}") from error
    return octets


def _encode_body(pdu: Pdu, version: int) -> tuple[PduType, int, bytes]:
    match pdu:
        case SerialNotify(session, serial):
            return PduType.SERIAL_NOTIFY, session, _UINT32.pack(serial)
        case SerialQuery(session, serial):
            return PduType.SERIAL_QUERY, session, _UINT32.pack(serial)
        case ResetQuery():
            return PduType.RESET_QUERY, 0, b""
        case CacheResponse(session):
            return PduType.CACHE_RESPONSE, session, b""
        case Record(announce, payload):
            return _encode_payload(announce, payload)
        case EndOfData(session, serial, intervals):
            if version == 0:
                return PduType.END_OF_DATA, session, _UINT32.pack(serial)
            times = intervals or Intervals()
            body = _TIMES.pack(serial, times.refresh, times.retry, times.expire)
            return PduType.END_OF_DATA, session, body
        case CacheReset():
            return PduType.CACHE_RESET, 0, b""
        case ErrorReport(code, erroneous, text):
            words = text.encode()
            body = _UINT32.pack(len(erroneous)) + erroneous + _UINT32.pack(len(words)) + words
            return PduType.ERROR_REPORT, code, body


def _encode_payload(announce: bool, payload: Payload) -> tuple[PduType, int, bytes]:
    match payload:
        case Vrp(family, key, max_length, asn):
            is_ipv4 = family == IPV4_UNICAST
            form, number = (_IPV4, PduType.IPV4_PREFIX) if is_ipv4 else (_IPV6, PduType.IPV6_PREFIX)
            address = key[1:].ljust(4 if is_ipv4 else 16, b"\0")
            return number, 0, form.pack(announce, key[0], max_length, address, asn)
        case RouterKey(identifier, asn, public_key):
            return PduType.ROUTER_KEY, announce << 8, identifier + _UINT32.pack(asn) + public_key
        case Aspa(customer, providers):
            body = b"".join(map(_UINT32.pack, (customer, *providers)))
            return PduType.ASPA, announce << 8, body


class PduReader:
    """Cuts a stream of octets into PDUs; a bad header is refused before its body is waited for."""

    __slots__ = ("_buffer", "_position")

    def __init__(self) -> None:
        """Begin with no octets."""
        self._buffer = bytearray()
        self._position = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add octets as they came."""
        del self._buffer[: self._position]
        self._position = 0
        self._buffer += data

    def next_pdu(self) -> tuple[int, bytes] | None:
        """Return the version and the octets of the next PDU, or None if more are needed; RtrError for its header."""
        start = self._position
        if len(self._buffer) - start < HEADER_LENGTH:
            return None
        end = start + pdu_length(self._buffer, start)
        if end > len(self._buffer):
            return None
        self._position = end
        return self._buffer[start], bytes(self._buffer[start:end])
