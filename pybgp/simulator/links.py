"""Connections that exist in memory only: they delay, lose segments, are cut and healed, and keep octets in order.

A connection behaves as TCP does: what is lost is sent again after a time-out that doubles, so that loss shows as
delay; across a link that is cut nothing arrives, nobody is told, and what was sent arrives when it is healed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

#: The first retransmission time-out of TCP, and the longest (RFC 6298 section 2).
_FIRST_TIMEOUT: Final = 0.2
_LONGEST_TIMEOUT: Final = 60.0
#: What a connection carries at once, as the send buffer of a kernel would.
_WINDOW: Final = 1 << 20
_BGP_PORT: Final = 179


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How a link treats segments; seconds."""

    latency: float = 0.001
    #: Up to so much more for each segment, at random.
    jitter: float = 0.0
    #: The share of segments that have to be sent again.
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be, by name and value."""
        for name in ("latency", "jitter"):
            if getattr(self, name) < 0:
                raise LocalError(f"{name} {getattr(self, name)}: 0 or more seconds expected")
        if not 0 <= self.loss < 1:
            raise LocalError(f"loss {self.loss}: 0 or more and less than 1 expected")


class Link:
    """Between two nodes: all their connections share its fate."""

    def __init__(self, quality: LinkQuality, loop: asyncio.AbstractEventLoop, random: Random) -> None:
        """Whole at first."""
        self.quality = quality
        self.is_cut = False
        self.loop = loop
        self._random = random
        self._stranded: deque[Callable[[], None]] = deque()

    def carry(self, deliver: Callable[[], None], not_before: float = 0.0) -> float:
        """Call back when a segment has reached the other side, which is then returned; not before another one has."""
        due = max(self.loop.time() + self.delay(), not_before)
        self.loop.call_at(due, self._arrive, deliver)
        return due

    def delay(self) -> float:
        """Return how long one segment needs, with all that happens to it."""
        quality = self.quality
        delay = quality.latency + (quality.jitter * self._random.random() if quality.jitter else 0.0)
        timeout = _FIRST_TIMEOUT
        while quality.loss and self._random.random() < quality.loss:
            delay += timeout
            timeout = min(2 * timeout, _LONGEST_TIMEOUT)
        return delay

    def cut(self) -> None:
        """Let nothing through any more, and tell nobody."""
        self.is_cut = True

    def heal(self) -> None:
        """Let everything through, beginning with what was sent meanwhile."""
        self.is_cut = False
        stranded, self._stranded = self._stranded, deque()
        for deliver in stranded:
            self.loop.call_soon(self._arrive, deliver)

    def _arrive(self, deliver: Callable[[], None]) -> None:
        if self.is_cut:
            self._stranded.append(deliver)
        else:
            deliver()


class End(asyncio.Transport):
    """One end of a connection, as asyncio hands it to a protocol that lends its buffer."""

    def __init__(self, link: Link, local: str, remote: str) -> None:
        """Not connected yet; see `join`."""
        super().__init__({"sockname": (local, _BGP_PORT), "peername": (remote, _BGP_PORT)})
        self.other: End | None = None
        self._link = link
        self._protocol: asyncio.BufferedProtocol | None = None
        self._is_closing = False
        self._is_gone = False
        self._has_sent_end = False
        self._in_flight = 0
        #: what is under way, oldest first: timers of one instant may ring in any order, octets may not arrive so.
        self._under_way: deque[Callable[[End], None]] = deque()
        self._last_arrival = 0.0
        self._paused = False
        #: what arrived while nobody reads; None: somebody does.
        self._unread: list[Callable[[], None]] | None = None

    def connect(self, protocol: asyncio.BufferedProtocol) -> None:
        """Give the end to who will use it."""
        self._protocol = protocol
        protocol.connection_made(self)

    # What a protocol does with its transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send octets; they arrive whole and in order, if at all."""
        if self._is_closing or self._has_sent_end or not data:
            return
        octets = bytes(data)
        self._in_flight += len(octets)
        if self._in_flight > _WINDOW and not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_writing()
        self.send(lambda other: self._delivered(other, octets))

    def write_eof(self) -> None:
        """Say that nothing more comes."""
        if not self._has_sent_end:
            self._has_sent_end = True
            self.send(End._end_arrived)

    def can_write_eof(self) -> bool:
        """Say that `write_eof` may be called."""
        return True

    def close(self) -> None:
        """Send what there is, and the end."""
        if not self._is_closing:
            self.write_eof()
        self._close(None)

    def abort(self) -> None:
        """Break the connection off."""
        if not self._is_closing:
            self.send(End.reset_arrived)
        self._close(None)

    def die(self) -> None:
        """Break the connection off without telling the protocol: its process has died, and writes and hears no more."""
        if not self._is_closing:
            self.send(End.reset_arrived)
        self._is_closing = True

    def is_closing(self) -> bool:
        """Say whether the end has been given up."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Return how many octets wait beyond the window: none count as long as the other side takes them."""
        return max(0, self._in_flight - _WINDOW)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep our own: a window."""

    def is_reading(self) -> bool:
        """Say whether what arrives is handed on at once."""
        return self._unread is None and not self._is_closing

    def pause_reading(self) -> None:
        """Let what arrives wait, so that the window of the other end fills."""
        if self._unread is None:
            self._unread = []

    def resume_reading(self) -> None:
        """Hand on what waited, and what arrives."""
        waiting, self._unread = self._unread or [], None
        for position, hand_on in enumerate(waiting):
            hand_on()
            if self._unread is not None:
                self._unread += waiting[position + 1 :]
                return

    # What arrives.

    def send(self, arrive: Callable[[End], None]) -> None:
        """Let something happen to the other end once all that was sent before has reached it."""
        self._under_way.append(arrive)
        self._last_arrival = self._link.carry(self._next_arrives, self._last_arrival)

    def _next_arrives(self) -> None:
        arrive = self._under_way.popleft()
        if self.other is not None:
            arrive(self.other)

    def _delivered(self, other: End, octets: bytes) -> None:
        if other._unread is not None and not other._is_closing:
            other._unread.append(lambda: self._delivered(other, octets))
            return
        self._in_flight -= len(octets)
        if self._paused and self._in_flight < _WINDOW // 2 and self._protocol is not None and not self._is_closing:
            self._paused = False
            self._protocol.resume_writing()
        other._octets_arrived(octets)

    def _octets_arrived(self, octets: bytes) -> None:
        protocol = self._protocol
        if self._is_closing or protocol is None:
            # Nobody is there any more: TCP answers what comes all the same with a reset.
            self.send(End.reset_arrived)
            return
        view = memoryview(octets)
        while view and not self._is_closing:
            buffer = memoryview(protocol.get_buffer(len(view)))
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            protocol.buffer_updated(count)
            view = view[count:]

    def _end_arrived(self) -> None:
        if self._unread is not None and not self._is_closing:
            self._unread.append(self._end_arrived)
            return
        if not self._is_closing and self._protocol is not None:
            self._protocol.eof_received()
            self.close()

    def reset_arrived(self) -> None:
        """The other end broke the connection off."""
        self._close(ConnectionResetError(104, "Connection reset by peer"))

    def _close(self, error: OSError | None) -> None:
        if not self._is_gone:
            self._is_closing = self._is_gone = True
            if self._protocol is not None:
                self._link.loop.call_soon(self._protocol.connection_lost, error)


def join(link: Link, caller: str, called: str) -> End:
    """Return the called end of a new connection between two addresses; the caller's is its other one."""
    here, there = End(link, caller, called), End(link, called, caller)
    here.other, there.other = there, here
    return there
