"""Signing and checking BFD packets (RFC 5880 section 6.7)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pybgp.bfd.packet import (
    DIGEST_LENGTHS,
    HEADER_LENGTH,
    Authentication,
    AuthenticationType,
    ControlPacket,
    Discard,
    DiscardError,
    encode,
)

if TYPE_CHECKING:
    from pybgp.bfd.config import AuthenticationKey

_DIGEST_OFFSET: Final = HEADER_LENGTH + 8
_METICULOUS: Final = (AuthenticationType.METICULOUS_MD5, AuthenticationType.METICULOUS_SHA1)
_SEQUENCE_MASK: Final = 0xFFFFFFFF


def digest(kind: AuthenticationType, octets: bytes, secret: bytes) -> bytes:
    """Hash a packet whose digest field holds the padded key; what stands in that field now is ignored."""
    length = DIGEST_LENGTHS[kind]
    keyed = octets[:_DIGEST_OFFSET] + secret.ljust(length, b"\0") + octets[_DIGEST_OFFSET + length :]
    name = "md5" if length == 16 else "sha1"
    return hashlib.new(name, keyed, usedforsecurity=False).digest()


class Authenticator:
    """Signs what a session sends and judges what it receives; knows the sequence numbers of both directions."""

    __slots__ = ("_expected", "_last_content", "_sequence", "key")

    def __init__(self, key: AuthenticationKey, first_sequence: int) -> None:
        """``first_sequence`` should be random."""
        self.key = key
        self._sequence = first_sequence & _SEQUENCE_MASK
        self._last_content: ControlPacket | None = None
        self._expected: int | None = None

    def sign(self, packet: ControlPacket) -> bytes:
        """Encode a packet with its authentication section."""
        kind, key = self.key.type, self.key
        if kind is AuthenticationType.SIMPLE_PASSWORD:
            return encode(replace(packet, authentication=Authentication(kind, key.key_id, key.secret)))
        if kind in _METICULOUS or packet != self._last_content:
            self._sequence = (self._sequence + 1) & _SEQUENCE_MASK
            self._last_content = packet
        blank = Authentication(kind, key.key_id, bytes(DIGEST_LENGTHS[kind]), self._sequence)
        octets = encode(replace(packet, authentication=blank))
        return octets[:_DIGEST_OFFSET] + digest(kind, octets, key.secret)

    def verify(self, octets: bytes, packet: ControlPacket) -> None:
        """DiscardError unless the packet is signed with our key and is no old one; then learn its sequence number."""
        section, key = packet.authentication, self.key
        if section is None or section.type is not key.type or section.key_id != key.key_id:
            raise DiscardError(Discard.AUTHENTICATION, f"{key.type.name} with key {key.key_id} expected")
        if key.type is AuthenticationType.SIMPLE_PASSWORD:
            if not hmac.compare_digest(section.secret, key.secret):
                raise DiscardError(Discard.AUTHENTICATION, "wrong password")
            return
        if not self._is_fresh(section.sequence, packet.multiplier):
            raise DiscardError(Discard.AUTHENTICATION, f"sequence {section.sequence}, last was {self._expected}")
        signed = octets[: HEADER_LENGTH + section.length]
        if not hmac.compare_digest(section.secret, digest(key.type, signed, key.secret)):
            raise DiscardError(Discard.AUTHENTICATION, "wrong digest")
        self._expected = section.sequence

    def forget(self) -> None:
        """Let the next packet teach the sequence number again, after a long silence."""
        self._expected = None

    def _is_fresh(self, sequence: int, multiplier: int) -> bool:
        if self._expected is None:
            return True
        ahead = (sequence - self._expected) & _SEQUENCE_MASK
        return (1 if self.key.type in _METICULOUS else 0) <= ahead <= 3 * multiplier
