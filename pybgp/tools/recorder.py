"""Recorders: told what happens on a connection, they write it down; each has the shape of a transport's `Tap`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pybgp.errors import BgpError
from pybgp.formats.mrt import BgpMessage, Record, StateChange, encode, record_octets
from pybgp.tools.recording import IDLE, OPEN_SENT, Moment, What, header_line, moment_line
from pybgp.wire.iana import AS_TRANS, HEADER_LENGTH, MessageType
from pybgp.wire.messages import Keepalive, decode_open
from pybgp.wire.messages import encode as encode_message
from pybgp.wire.negotiated import negotiate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.formats.mrt import Ends
    from pybgp.formats.mrt_file import Sink
    from pybgp.wire.messages import Open

#: States of RFC 6396 section 4.4.1.
_ACTIVE: Final = 3
_OPEN_CONFIRM: Final = 5
_ESTABLISHED: Final = 6
_KEEPALIVE: Final = encode_message(Keepalive())
_UPDATE: Final = bytes([MessageType.UPDATE])
_LARGEST_SHORT_AS: Final = 0xFFFF


class TextSink(Protocol):
    """What the writer of JSON lines needs of a file."""

    def write(self, text: str, /) -> object:
        """Take all of the text."""


class JsonRecorder:
    """Writes every chunk as it was read or written, malformed or not: what a crash needs to happen again."""

    def __init__(self, file: TextSink, ends: Ends, clock: Callable[[], float]) -> None:
        """Begin with a connection that is up now; ``clock`` gives seconds since 1970."""
        self._file = file
        self._clock = clock
        file.write(header_line(ends))
        self._note(What.CONNECTED)

    def received(self, octets: bytes) -> None:
        """The peer sent this."""
        self._note(What.RECEIVED, octets)

    def sent(self, octets: bytes) -> None:
        """We sent this."""
        self._note(What.SENT, octets)

    def ended(self) -> None:
        """TCP is over."""
        self._note(What.ENDED)

    def _note(self, what: What, octets: bytes = b"") -> None:
        self._file.write(moment_line(Moment(self._clock(), what, octets)))


class _Messages:
    """Cuts one direction into messages without judging them; what has no length any more stays as it came."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_lost = False

    def feed(self, octets: bytes) -> list[bytes]:
        buffer = self._buffer + octets
        found: list[bytes] = []
        position = 0
        while position < len(buffer):
            length = self._next_length(buffer, position)
            if length is None:
                break
            found.append(buffer[position : position + length])
            position += length
        self._buffer = buffer[position:]
        return found

    def rest(self) -> bytes:
        rest, self._buffer = self._buffer, b""
        return rest

    def _next_length(self, buffer: bytes, position: int) -> int | None:
        """Return how much to take; None: more is needed."""
        present = len(buffer) - position
        if not self._is_lost:
            if present < HEADER_LENGTH:
                return None
            length = buffer[position + 16] << 8 | buffer[position + 17]
            self._is_lost = length < HEADER_LENGTH
            if not self._is_lost:
                return length if length <= present else None
        return present


class MrtRecorder:
    """Writes whole messages as BGP4MP_ET, ours under the LOCAL subtypes (RFC 6396 sections 3 and 4.4)."""

    def __init__(self, file: Sink, ends: Ends, clock: Callable[[], float], *, both_ways: bool = True) -> None:
        """Begin with a connection that is up now; ``clock`` gives seconds since 1970.

        Without ``both_ways`` nothing is written of what we send but the OPEN, which tells how to read the peer.
        """
        self._file = file
        self._fronts: dict[tuple[bool, bool, bool], tuple[int, int, bytes]] = {}
        self._both_ways = both_ways
        self._ends = ends
        self._clock = clock
        self._directions = {False: _Messages(), True: _Messages()}
        self._opens: dict[bool, Open] = {}
        self._asn4 = True
        self._add_path = {False: False, True: False}
        self._state = _ACTIVE
        self._enter(OPEN_SENT)

    def received(self, octets: bytes) -> None:
        """The peer sent this."""
        self._take(octets, is_local=False)

    def sent(self, octets: bytes) -> None:
        """We sent this."""
        if self._both_ways or True not in self._opens:
            self._take(octets, is_local=True)

    def ended(self) -> None:
        """TCP is over; half a message is written as far as it came."""
        for is_local, direction in self._directions.items():
            if rest := direction.rest():
                self._write(rest, is_local=is_local)
        self._enter(IDLE)

    def _take(self, octets: bytes, *, is_local: bool) -> None:
        for message in self._directions[is_local].feed(octets):
            self._write(message, is_local=is_local)
            if message[HEADER_LENGTH - 1 : HEADER_LENGTH] == bytes([MessageType.OPEN]):
                self._learn(message, is_local=is_local)
            elif self._state == _OPEN_CONFIRM and not is_local and message == _KEEPALIVE:
                self._enter(_ESTABLISHED)

    def _learn(self, message: bytes, *, is_local: bool) -> None:
        """Both OPENs say under which subtypes the UPDATEs belong."""
        try:
            self._opens[is_local] = decode_open(message)
            if len(self._opens) == 1:
                return
            agreed = negotiate(self._opens[True], self._opens[False], require_common_family=False)
        except BgpError:
            # The peer's fault is recorded; no UPDATE can follow it.
            return
        self._asn4 = agreed.asn4
        self._add_path = {False: bool(agreed.add_path_receive), True: bool(agreed.add_path_send)}
        self._enter(_OPEN_CONFIRM)

    def _write(self, message: bytes, *, is_local: bool) -> None:
        is_update = message[HEADER_LENGTH - 1 : HEADER_LENGTH] == _UPDATE
        add_path = is_update and self._add_path[is_local]
        seconds, microseconds = self._now()
        kind, subtype, ends = self._front(self._asn4, is_local, add_path)
        self._file.write(record_octets(Record(seconds, kind, subtype, ends + message, microseconds)))

    def _front(self, asn4: bool, is_local: bool, add_path: bool) -> tuple[int, int, bytes]:
        """Return type and subtype of a message, and what stands before it: the same each time."""
        key = asn4, is_local, add_path
        found = self._fronts.get(key)
        if found is None:
            ends = self._ends if asn4 else _short(self._ends)
            record = encode(BgpMessage(ends, b"", asn4, is_local, add_path), 0, 0)
            found = self._fronts[key] = (record.kind, record.subtype, record.body)
        return found

    def _enter(self, state: int) -> None:
        """Note a step of the session, as far as messages show it."""
        old, self._state = self._state, state
        self._file.write(record_octets(encode(StateChange(self._ends, old, state), *self._now())))

    def _now(self) -> tuple[int, int]:
        return divmod(round(self._clock() * 1_000_000), 1_000_000)


def _short(ends: Ends) -> Ends:
    """Return the ends with AS numbers that fit two octets (RFC 6793 section 4.2.2)."""
    peer_as, local_as = (asn if asn <= _LARGEST_SHORT_AS else AS_TRANS for asn in (ends.peer_as, ends.local_as))
    return ends._replace(peer_as=peer_as, local_as=local_as)
