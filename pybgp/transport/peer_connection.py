"""One TCP connection: octets in, octets out, and nothing of BGP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast
from weakref import WeakKeyDictionary

import structlog

from pybgp.transport.tcp_options import set_password, set_reset_on_close

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.session.session import Session
    from pybgp.transport.tap import Tap

#: All connections together read no more than this in a turn of the loop, so that it stays short ...
_READ_SIZE: Final = 64 * 1024
#: ... but each of them so much at least.
_SMALLEST_READ: Final = 2 * 1024
#: Above the first value the owner is asked to pause, below the second to go on.
_HIGH_WATER: Final = 256 * 1024
_LOW_WATER: Final = 64 * 1024
#: A peer that does not take our last octets, and close its side, within this time is cut off.
_CLOSE_SECONDS: Final = 2.0

log = structlog.get_logger("pybgp")


class Owner(Protocol):
    """Who decides what the octets mean."""

    def connection_made(self, connection: PeerConnection) -> None:
        """TCP is up."""

    def octets_received(self, connection: PeerConnection, octets: memoryview) -> None:
        """Octets arrived; the memory is used again afterwards."""

    def end_received(self, connection: PeerConnection) -> None:
        """The peer sends no more."""

    def connection_lost(self, connection: PeerConnection, error: OSError | None) -> None:
        """TCP is down."""

    def writing_resumed(self, connection: PeerConnection) -> None:
        """The peer takes octets again."""


class ReadPace:
    """Shares a turn's reading among the connections that have something to read: as many as in the turn before.

    The memory is shared too: what is read is taken over before anybody reads again.
    """

    __slots__ = ("_is_counting", "_left", "_readers", "_share", "view")

    def __init__(self) -> None:
        """One per loop."""
        self.view = memoryview(bytearray(_READ_SIZE))
        self._readers = 0
        self._share = self._left = _READ_SIZE
        self._is_counting = False

    def share(self) -> int:
        """Return how much a connection may read now."""
        self._readers += 1
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        granted = max(_SMALLEST_READ, min(self._share, self._left))
        self._left -= granted
        return granted

    def _end_turn(self) -> None:
        self._share = max(_SMALLEST_READ, _READ_SIZE // self._readers)
        self._left = _READ_SIZE
        self._readers = 0
        self._is_counting = False


_PACES: WeakKeyDictionary[asyncio.AbstractEventLoop, ReadPace] = WeakKeyDictionary()


def read_pace() -> ReadPace:
    """Return the pace of the running loop."""
    loop = asyncio.get_running_loop()
    pace = _PACES.get(loop)
    if pace is None:
        pace = _PACES[loop] = ReadPace()
    return pace


def release(transport: asyncio.Transport) -> None:
    """Let a transport whose connection is lost go at once, not with the next garbage collection.

    It refers to methods of itself.  Since Python 3.12 ``close`` ends that; before, they must be taken from it.
    """
    transport.close()
    getattr(transport, "__dict__", {}).pop("_read_ready_cb", None)


class PeerConnection(asyncio.BufferedProtocol):
    """The asyncio side of a connection; everything it learns it tells its owner."""

    def __init__(self, owner: Owner, session: Session | None = None) -> None:
        """An incoming connection has no session yet: its owner decides whether it gets one."""
        self.session = session
        #: Told of every octet while it is there; one that fails is dropped.
        self.tap: Tap | None = None
        self.can_write = True
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._pace = read_pace()
        self._is_closing = False
        self._has_ended = False
        self._written = 0
        self._taken = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER, _LOW_WATER)
        self._owner.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # the pace decides
        """Lend the memory to read into."""
        return self._pace.view[: self._pace.share()]

    def buffer_updated(self, nbytes: int) -> None:
        """Octets are in the memory."""
        if not self._is_closing:
            if self.tap is not None:
                self._tell(self.tap.received, bytes(self._pace.view[:nbytes]))
            self._owner.octets_received(self, self._pace.view[:nbytes])

    def eof_received(self) -> None:
        """The peer sends no more; asyncio closes the connection after this."""
        self._has_ended = True
        if not self._is_closing:
            self._owner.end_received(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is down."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self.tap is not None:
            self._tell(self.tap.ended)
        if self._transport is not None:
            release(self._transport)
        self._owner.connection_lost(self, exc if isinstance(exc, OSError) else None)

    def pause_writing(self) -> None:
        """Too much waits for the peer."""
        self.can_write = False

    def resume_writing(self) -> None:
        """The peer took most of what waited."""
        self.can_write = True
        self._owner.writing_resumed(self)

    @property
    def local_address(self) -> str:
        """Our end of the connection; empty before TCP is up."""
        name = self._transport.get_extra_info("sockname") if self._transport is not None else None
        return str(name[0]) if name else ""

    @property
    def ports(self) -> tuple[int, int]:
        """Our port and the peer's; zeros before TCP is up."""
        names = [self._transport.get_extra_info(key) for key in ("sockname", "peername")] if self._transport else []
        return (names[0][1], names[1][1]) if len(names) == 2 and all(names) else (0, 0)

    def write(self, octets: bytes) -> None:
        """Send, now or as soon as the peer takes it."""
        if self._transport is not None and not self._is_closing:
            self._written += len(octets)
            if self.tap is not None:
                self._tell(self.tap.sent, octets)
            self._transport.write(octets)

    @property
    def queued_octets(self) -> int:
        """How many octets wait until the peer takes them."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def made_progress(self) -> bool:
        """Whether the socket took octets since the last call (RFC 9687 section 4.2)."""
        taken, self._taken = self._taken, self._written - self.queued_octets
        return self._taken > taken

    def set_password(self, address: str, password: str | None) -> None:
        """Sign what is sent from now on with another key; SocketOptionError if the kernel cannot."""
        connection = self._transport.get_extra_info("socket") if self._transport is not None else None
        if connection is not None and connection.fileno() >= 0:
            set_password(connection, address, password)

    def close(self) -> None:
        """Send what is queued and our end, then read on until the peer's.

        A socket that is closed with octets unread sends a reset, and the reset overtakes our NOTIFICATION.
        """
        if self._transport is None or self._is_closing:
            return
        self._is_closing = True
        if self._has_ended or self._transport.is_closing():
            self._transport.close()
        else:
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset the connection, and the loop is yet to hear of it
                self.abort()
                return
        self._deadline = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Reset the connection; what is queued is lost."""
        self._is_closing = True
        if self._transport is None:
            return
        connection = self._transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            set_reset_on_close(connection)
        self._transport.abort()

    def _tell(self, tell: Callable[..., None], *octets: bytes) -> None:
        """A full disk is no reason to lose a session."""
        try:
            tell(*octets)
        except (OSError, ValueError):
            log.exception("tap_failed")
            self.tap = None
