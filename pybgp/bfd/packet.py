"""The BFD control packet and its authentication sections: octets to values and back (RFC 5880 section 4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from pybgp.errors import BgpError, LocalError

VERSION: Final = 1
HEADER_LENGTH: Final = 24
_HEADER: Final = struct.Struct("!BBBBIIIII")
_DIGEST_SECTION: Final = struct.Struct("!BBBBI")
_POLL, _FINAL, _INDEPENDENT, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x08, 0x04, 0x02, 0x01
_LONGEST_PASSWORD: Final = 16


class SessionState(IntEnum):
    """The state field (RFC 5880 section 4.1)."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """Why the sender last left the state before (RFC 5880 section 4.1); the other numbers are reserved."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_SIGNALED_DOWN = 3
    FORWARDING_PLANE_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMINISTRATIVELY_DOWN = 7
    REVERSE_CONCATENATED_PATH_DOWN = 8


class AuthenticationType(IntEnum):
    """RFC 5880 section 4.1."""

    SIMPLE_PASSWORD = 1
    KEYED_MD5 = 2
    METICULOUS_MD5 = 3
    KEYED_SHA1 = 4
    METICULOUS_SHA1 = 5


#: The octets of the digest of each type that has one.
DIGEST_LENGTHS: Final = {
    AuthenticationType.KEYED_MD5: 16,
    AuthenticationType.METICULOUS_MD5: 16,
    AuthenticationType.KEYED_SHA1: 20,
    AuthenticationType.METICULOUS_SHA1: 20,
}


class Discard(StrEnum):
    """The rule by which a received packet counts as not received (RFC 5880 section 6.8.6)."""

    VERSION = "version"
    LENGTH = "length"
    MULTIPLIER = "detect multiplier 0"
    MULTIPOINT = "multipoint bit"
    MY_DISCRIMINATOR = "my discriminator 0"
    NO_SESSION = "no session"
    STATE = "your discriminator 0 in this state"
    TTL = "TTL"
    AUTHENTICATION = "authentication"


class DiscardError(BgpError):
    """A packet that must have no effect, with the rule that says so."""

    def __init__(self, rule: Discard, reason: str) -> None:
        """``reason`` names the value that broke the rule."""
        super().__init__(f"{rule}: {reason}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Authentication:
    """An authentication section; a password has no sequence number (RFC 5880 sections 4.2 to 4.4)."""

    type: AuthenticationType
    key_id: int
    #: The password, or the digest.
    secret: bytes
    sequence: int = 0

    @property
    def length(self) -> int:
        """How many octets the section takes."""
        return (3 if self.type is AuthenticationType.SIMPLE_PASSWORD else _DIGEST_SECTION.size) + len(self.secret)


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """A control packet; intervals are microseconds (RFC 5880 section 4.1)."""

    state: SessionState
    multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx: int
    required_min_rx: int
    required_min_echo_rx: int = 0
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False
    #: The sender's BFD does not share fate with its control plane.
    independent: bool = False
    demand: bool = False
    authentication: Authentication | None = None


def decode(data: bytes) -> ControlPacket:
    """Read a UDP payload; DiscardError by the rules that need no session, in the order of RFC 5880 section 6.8.6."""
    if not data or data[0] >> 5 != VERSION:
        raise DiscardError(Discard.VERSION, f"{data[0] >> 5 if data else 'no octets'}, {VERSION} expected")
    if len(data) < HEADER_LENGTH:
        raise DiscardError(Discard.LENGTH, f"{len(data)} octets, at least {HEADER_LENGTH} expected")
    first, flags, multiplier, length, mine, yours, desired, required, echo = _HEADER.unpack_from(data)
    shortest = HEADER_LENGTH + 2 if flags & _AUTHENTICATED else HEADER_LENGTH
    if not shortest <= length <= len(data):
        raise DiscardError(Discard.LENGTH, f"{length} octets announced, {shortest} to {len(data)} expected")
    if not multiplier:
        raise DiscardError(Discard.MULTIPLIER, "1 to 255 expected")
    if flags & _MULTIPOINT:
        raise DiscardError(Discard.MULTIPOINT, "set")
    if not mine:
        raise DiscardError(Discard.MY_DISCRIMINATOR, "another number expected")
    state = SessionState(flags >> 6)
    if not yours and state > SessionState.DOWN:
        raise DiscardError(Discard.STATE, state.name)
    return ControlPacket(
        state=state,
        multiplier=multiplier,
        my_discriminator=mine,
        your_discriminator=yours,
        desired_min_tx=desired,
        required_min_rx=required,
        required_min_echo_rx=echo,
        diagnostic=first & 0x1F,
        poll=bool(flags & _POLL),
        final=bool(flags & _FINAL),
        independent=bool(flags & _INDEPENDENT),
        demand=bool(flags & _DEMAND),
        authentication=_decode_authentication(data[HEADER_LENGTH:length]) if flags & _AUTHENTICATED else None,
    )


def _decode_authentication(section: bytes) -> Authentication:
    """Read a whole section; a type that nobody assigned cannot be verified either (RFC 5880 section 6.7)."""
    number, length = section[0], section[1]
    if length != len(section):
        raise DiscardError(Discard.AUTHENTICATION, f"section of {len(section)} octets says {length}")
    try:
        kind = AuthenticationType(number)
    except ValueError as error:
        raise DiscardError(Discard.AUTHENTICATION, f"type {number} is not assigned") from error
    if kind is AuthenticationType.SIMPLE_PASSWORD:
        if not 3 < length <= 3 + _LONGEST_PASSWORD:
            raise DiscardError(Discard.AUTHENTICATION, f"password section of {length} octets")
        return Authentication(kind, section[2], section[3:])
    if length != _DIGEST_SECTION.size + DIGEST_LENGTHS[kind]:
        raise DiscardError(Discard.AUTHENTICATION, f"{kind.name} section of {length} octets")
    _, _, key_id, _, sequence = _DIGEST_SECTION.unpack_from(section)
    return Authentication(kind, key_id, section[_DIGEST_SECTION.size :], sequence)


def encode(packet: ControlPacket) -> bytes:
    """Write a packet; LocalError if a field cannot hold its value."""
    section = packet.authentication
    length = HEADER_LENGTH + (0 if section is None else section.length)
    flags = packet.state << 6 | (0 if section is None else _AUTHENTICATED)
    for is_set, bit in (
        (packet.poll, _POLL),
        (packet.final, _FINAL),
        (packet.independent, _INDEPENDENT),
        (packet.demand, _DEMAND),
    ):
        flags |= bit if is_set else 0
    try:
        header = _HEADER.pack(
            VERSION << 5 | packet.diagnostic,
            flags,
            packet.multiplier,
            length,
            packet.my_discriminator,
            packet.your_discriminator,
            packet.desired_min_tx,
            packet.required_min_rx,
            packet.required_min_echo_rx,
        )
    except struct.error as error:
        raise LocalError(f"BFD packet {packet}: {error}") from error
    return header if section is None else header + _encode_authentication(section)


def _encode_authentication(section: Authentication) -> bytes:
    if section.type is AuthenticationType.SIMPLE_PASSWORD:
        return bytes((section.type, section.length, section.key_id)) + section.secret
    head = _DIGEST_SECTION.pack(section.type, section.length, section.key_id, 0, section.sequence)
    return head + section.secret
