"""How many messages of each type went each way; plain numbers, so that counting costs nothing."""

from __future__ import annotations

from functools import lru_cache
from operator import add
from struct import Struct
from typing import TYPE_CHECKING, Final

from pybgp.errors import LocalError
from pybgp.wire.iana import HEADER_LENGTH, MessageType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pybgp.wire.attributes import AttributeFault

_TYPES: Final = max(MessageType) + 1
_LONGEST_KEPT: Final = 4096
_HEADER: Final = Struct(">16xHB")


@lru_cache(maxsize=1)
def _tally(octets: bytes) -> tuple[int, ...]:
    """Count the messages of each type; many peers in turn are sent the same octets."""
    numbers, position, end = [0] * _TYPES, 0, len(octets)
    read, last = _HEADER.unpack_from, end - HEADER_LENGTH
    while position < end:
        length, kind = read(octets, position) if position <= last else (0, 0)
        if length < HEADER_LENGTH or kind >= _TYPES:
            raise LocalError(f"octets to send: no whole BGP message at octet {position} of {end}")
        numbers[kind] += 1
        position += length
    if position != end:
        raise LocalError(f"octets to send: the last message overruns the {end} octets given")
    return tuple(numbers)


class Counters:
    """Messages by type and direction, over all sessions of a neighbour."""

    __slots__ = ("faults", "last_malformed", "octets_received", "octets_sent", "received", "sent")

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.received = [0] * _TYPES
        self.sent = [0] * _TYPES
        self.octets_received = 0
        self.octets_sent = 0
        #: What RFC 7606 did to malformed attributes: (attribute code, Fault) -> how often.
        self.faults: dict[tuple[int, int], int] = {}
        #: The first octets of the last malformed message.
        self.last_malformed = b""

    def count_sent(self, octets: bytes) -> bool:
        """Count each message in ``octets``; return whether an UPDATE or KEEPALIVE is among them."""
        numbers = _tally(octets)
        self.sent = list(map(add, self.sent, numbers))
        self.octets_sent += len(octets)
        return bool(numbers[MessageType.UPDATE] or numbers[MessageType.KEEPALIVE])

    def note_faults(self, faults: Iterable[AttributeFault], message: bytes) -> None:
        """Remember what was wrong in an UPDATE that did not end the session."""
        for fault in faults:
            key = (fault.code, int(fault.fault))
            self.faults[key] = self.faults.get(key, 0) + 1
        self.note_malformed(message)

    def note_malformed(self, message: bytes) -> None:
        """Remember a malformed message, in part if it is long."""
        self.last_malformed = message[:_LONGEST_KEPT]

    def by_name(self, numbers: list[int]) -> dict[str, int]:
        """Return one direction with the names of the types."""
        return {kind.name: numbers[kind] for kind in MessageType}
