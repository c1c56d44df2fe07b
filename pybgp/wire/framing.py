"""A stream of octets becomes whole messages (RFC 4271 sections 4.1 and 6.1, RFC 8654)."""

from __future__ import annotations

from typing import Final

from pybgp.errors import ErrorCode, RemoteError
from pybgp.wire.iana import EXTENDED_LIMIT, HEADER_LENGTH, MARKER, STANDARD_LIMIT, HeaderSubcode, MessageType

#: type -> (shortest, longest); ROUTE-REFRESH below 23 octets has rules of its own (RFC 7313 section 5).
_LENGTHS: Final = {
    MessageType.OPEN: (29, STANDARD_LIMIT),
    MessageType.UPDATE: (23, EXTENDED_LIMIT),
    MessageType.NOTIFICATION: (21, EXTENDED_LIMIT),
    MessageType.KEEPALIVE: (HEADER_LENGTH, HEADER_LENGTH),
    MessageType.ROUTE_REFRESH: (HEADER_LENGTH, EXTENDED_LIMIT),
}


class UnansweredError(RemoteError):
    """A NOTIFICATION whose length is wrong: close the connection, and send nothing (RFC 4271 section 6.4)."""


class Framer:
    """Collects what arrives and hands out whole messages; after an error it hands out nothing more."""

    __slots__ = ("_buffer", "_chunks", "_pending", "_position", "_wanted", "_wrong", "receive_limit")

    def __init__(self, receive_limit: int = STANDARD_LIMIT) -> None:
        """Begin with an empty buffer."""
        #: what we may be sent: raised by what *we* advertised, once the session is negotiated (RFC 8654 section 4).
        self.receive_limit = receive_limit
        self._buffer = b""
        self._position = 0
        self._chunks: list[bytes] = []
        #: octets in the chunks and behind the position, and how many the next step needs.
        self._pending = 0
        self._wanted = HEADER_LENGTH
        #: what begins the message that cannot be read; the error itself would keep all that it passed through.
        self._wrong = b""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what arrived."""
        if data:
            self._chunks.append(bytes(data))
            self._pending += len(data)

    def next_message(self) -> bytes | None:
        """Return the next whole message, None if more must arrive; RemoteError 1/x as soon as a header is wrong."""
        if self._wrong:
            raise _header_error(self._wrong, self.receive_limit)
        if self._pending < self._wanted:
            return None
        self._join()
        buffer, position = self._buffer, self._position
        length = self._checked_length(buffer, position)
        if self._pending < length:
            self._wanted = length
            return None
        self._wanted = HEADER_LENGTH
        self._pending -= length
        self._position = position + length
        return buffer[position : position + length]

    def waiting(self) -> tuple[bytes, int] | None:
        """Return what has not been handed out, and where it begins; None while the next message is known to lack some.

        For who takes messages off by itself; then `skip` them.
        """
        if self._wrong or self._pending < self._wanted:
            return None
        self._join()
        return self._buffer, self._position

    def skip(self, octets: int) -> None:
        """Step over whole messages that `waiting` showed."""
        if octets:
            self._wanted = HEADER_LENGTH
            self._pending -= octets
            self._position += octets

    def _join(self) -> None:
        if self._chunks:
            self._buffer = b"".join((self._buffer[self._position :], *self._chunks))
            self._chunks.clear()
            self._position = 0

    def _checked_length(self, buffer: bytes, position: int) -> int:
        length = buffer[position + 16] << 8 | buffer[position + 17]
        if buffer.startswith(MARKER, position):
            # An unknown type has an empty range, so that length 0 is not in it either.
            shortest, longest = _LENGTHS.get(buffer[position + 18], (1, 0))  # type: ignore[call-overload]  # IntEnum keys
            if shortest <= length <= min(longest, self.receive_limit):
                return length
        self._wrong = buffer[position : position + HEADER_LENGTH]
        raise _header_error(self._wrong, self.receive_limit)


def check_header(message: bytes) -> None:
    """Refuse what is not one whole message, for who got it elsewhere than from a `Framer` (RFC 4271 section 6.1)."""
    is_short = len(message) < HEADER_LENGTH
    if not is_short and not message.startswith(MARKER):
        raise _header_error(message[:HEADER_LENGTH], EXTENDED_LIMIT)
    length = int.from_bytes(message[16:18], "big")
    if is_short or length != len(message):
        kind = message[18:19].hex() or "?"
        error = UnansweredError if kind == "03" else RemoteError
        reason = f"message type {kind} of {len(message)} octets, whose header says {length}"
        raise error(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_LENGTH, message[16:18], reason=reason)


def _header_error(header: bytes, receive_limit: int) -> RemoteError:
    """Say what is wrong with a header, in the order of RFC 4271 section 6.1."""
    length, kind = header[16] << 8 | header[17], header[18]
    if header[:16] != MARKER:
        reason = f"marker {header[:16].hex()}"
        return RemoteError(ErrorCode.MESSAGE_HEADER, HeaderSubcode.NOT_SYNCHRONISED, reason=reason)
    if HEADER_LENGTH <= length <= receive_limit and kind not in _LENGTHS:
        reason = f"message type {kind}"
        return RemoteError(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_TYPE, header[18:], reason=reason)
    error = UnansweredError if kind == MessageType.NOTIFICATION else RemoteError
    reason = f"message type {kind} of {length} octets"
    return error(ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_LENGTH, header[16:18], reason=reason)
