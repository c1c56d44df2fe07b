"""A scripted peer on asyncio: on a socket of this machine, or in memory; tests wait for what it shall hear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pybgp.errors import LocalError
from pybgp.testing.scripted_peer import ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.testing.memory_network import MemoryNetwork
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Notification, Update
    from pybgp.wire.negotiated import Negotiated

T = TypeVar("T")
_BUFFER: Final = 64 * 1024
#: Seconds that a wait lasts at most unless it is said otherwise.
_PATIENCE: Final = 10.0
_CLOSING: Final = 2.0


class NotSeenError(LocalError, AssertionError):
    """A test waited for something that did not come; the text says what there was instead."""


class FakeConnection(asyncio.BufferedProtocol):
    """One connection of a fake peer, which decides everything."""

    def __init__(self, peer: FakePeer) -> None:
        """Not connected yet."""
        self._peer = peer
        self._memory = memoryview(bytearray(_BUFFER))
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up."""
        self.transport = cast("asyncio.Transport", transport)
        self._peer.connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # there is one size
        """Lend the memory to read into."""
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        """Octets are in the memory."""
        self._peer.heard(self, bytes(self._memory[:nbytes]))

    def eof_received(self) -> None:
        """The other side sends no more; asyncio closes the connection after this."""
        self._peer.heard_end(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # an end is an end
        """The connection is gone."""
        self._peer.heard_end(self)


class FakePeer(ScriptedPeer):
    """A BGP peer for tests of your own speaker: ``async with FakePeer(64513, remote_as=64512) as peer: ...``.

    It listens on ``address`` and ``port`` until the block ends, takes one connection at a time, and says and remembers
    what `ScriptedPeer` does.  With a ``network`` there are no sockets: see `MemoryNetwork`.

    The address is another one than 127.0.0.1, from which a speaker on this machine connects: a route whose next hop is
    the peer itself would not be sent to it (RFC 4271 section 5.1.3).
    """

    def __init__(
        self,
        local_as: int,
        remote_as: int,
        *,
        address: str = "127.0.0.2",
        port: int = 0,
        network: MemoryNetwork | None = None,
        patience: float = _PATIENCE,
        router_id: str = "192.0.2.254",
        answers: bool = True,
        **options: Any,  # the fields of PeerConfig
    ) -> None:
        """``port`` 0: any that is free; ``patience``: how many seconds each wait lasts at most."""
        self._connection: FakeConnection | None = None
        super().__init__(local_as, remote_as, router_id=router_id, answers=answers, **options)
        self.address = address
        self.port = port
        self.patience = patience
        #: False: new connections are closed at once.
        self.is_accepting = True
        self._network = network
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    # Life

    async def start(self) -> None:
        """Listen; LocalError if the address cannot be listened on."""
        if self._network is not None:
            self._network.add(self)
            return
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self.accepted, self.address, self.port)
        except OSError as error:
            raise LocalError(f"fake peer at {self.address} port {self.port}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End a session with a Cease, close everything, and listen no more."""
        if self._network is not None:
            self._network.remove(self)
        if self.is_established and self.is_connected:
            self.notify(text="end of test")
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for transport in tuple(self._transports):
            # What waits for a reader that is not there would keep the connection.
            if not self.is_reading or transport.get_write_buffer_size():
                transport.abort()
            else:
                transport.close()
        await self._until_gone()

    async def _until_gone(self) -> None:
        try:
            async with asyncio.timeout(_CLOSING):
                while self._transports:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for transport in self._transports:
                transport.abort()

    async def __aenter__(self) -> FakePeer:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def connect(self, host: str = "", port: int = 179) -> None:
        """Open the connection from this side; in memory to the speaker that was told of this peer."""
        connection = FakeConnection(self)
        if self._network is not None:
            self._network.call(self.address, connection)
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection, host, port, local_addr=(self.address, 0))
        except OSError as error:
            raise LocalError(f"connection to {host} port {port}: {error.strerror or error}") from error

    # What a test waits for

    async def wait(self, condition: Callable[[], T | None], what: str = "what was waited for") -> T:
        """Return what ``condition`` returns as soon as it is true; NotSeenError after ``patience``."""
        try:
            async with asyncio.timeout(self.patience):
                while not (found := condition()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise NotSeenError(f"{what}: not within {self.patience} s; {self._summary()}") from error
        return found

    async def established(self) -> Negotiated:
        """Return what was agreed as soon as the session is up."""
        await self.wait(lambda: self.is_established, "a session")
        return self.negotiated

    async def wait_announced(self, nlri: str, family: Family | str | None = None) -> Attributes:
        """Return the attributes of a prefix, or NLRI of a family, as soon as the other side announces it."""
        return await self.wait(lambda: self.route(nlri, family), f"an announcement of {nlri}")

    async def wait_withdrawn(self, nlri: str, family: Family | str | None = None) -> None:
        """Return as soon as the session is up, and the other side does not announce a prefix or NLRI."""
        await self.wait(lambda: self.is_established and self.route(nlri, family) is None, f"a withdrawal of {nlri}")

    async def wait_update(self, condition: Callable[[Update], bool]) -> Update:
        """Return the first UPDATE of this connection for which ``condition`` holds."""
        return await self.wait(lambda: next(filter(condition, self.received), None), "an UPDATE")

    async def wait_end_of_rib(self, family: Family) -> None:
        """Return as soon as the other side has said all that it has in a family (RFC 4724 section 2)."""
        await self.wait(lambda: family in self.ended_ribs, f"an End-of-RIB of {family}")

    async def wait_notification(self) -> Notification:
        """Return the NOTIFICATION that the other side ends the connection with."""
        return await self.wait(lambda: self.notification, "a NOTIFICATION")

    async def wait_connections(self, count: int) -> None:
        """Return as soon as there were so many connections, for tests of coming back."""
        await self.wait(lambda: self.connections >= count, f"connection {count}")

    async def wait_closed(self) -> None:
        """Return as soon as no connection is up."""
        await self.wait(lambda: not self.is_connected, "the end of the connection")

    def _summary(self) -> str:
        """What there is instead, on one line."""
        heard = f"{len(self.received)} UPDATEs heard, announced: {', '.join(self.announced()[:10]) or 'nothing'}"
        ended = self.notification
        said = f"; NOTIFICATION {ended.code}/{ended.subcode} {ended.data.hex()}" if ended is not None else ""
        return f"connections {self.connections}, state {self.state}, {heard}{said}"

    # The connection

    def accepted(self) -> FakeConnection:
        """Return the connection that somebody opened to us."""
        return FakeConnection(self)

    def connected(self, connection: FakeConnection) -> None:
        """A connection is up; a second one beside it is closed at once."""
        transport = connection.transport
        if transport is None:
            return
        self._transports.add(transport)
        if self._connection is not None or not self.is_accepting:
            transport.close()
            return
        self._connection = connection
        self.connection_made(self._now())
        self._acted()

    def heard(self, connection: FakeConnection, octets: bytes) -> None:
        """Octets arrived."""
        if connection is self._connection:
            self.receive_data(octets, self._now())
            self._acted()

    def heard_end(self, connection: FakeConnection) -> None:
        """The other side ended a connection."""
        if connection is self._connection:
            self._connection = None
            self.receive_eof(self._now())
        if connection.transport is not None and connection.transport.is_closing():
            self._transports.discard(connection.transport)
        self._acted()

    def _acted(self) -> None:
        """Send, read, close and wait as the script has it now, and let every test look again."""
        connection = self._connection
        transport = connection.transport if connection is not None else None
        if transport is not None:
            if octets := self.data_to_send():
                transport.write(octets)
            if transport.is_reading() and not self.is_reading:
                transport.pause_reading()
            elif self.is_reading and not transport.is_reading() and not transport.is_closing():
                transport.resume_reading()
            if self.wants_close:
                self._connection = None
                self._close(transport)
        self._set_timer()
        self._changed.set()

    def _close(self, transport: asyncio.Transport) -> None:
        """A socket closed with octets unread sends a reset, which overtakes what was said; so read on to the end."""
        if self.aborts:
            transport.abort()
        elif self.is_reading and not transport.is_closing():
            transport.write_eof()
        else:
            transport.close()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.next_timer() if self._connection is not None else None
        self._timer = asyncio.get_running_loop().call_at(due, self._ring) if due is not None else None

    def _ring(self) -> None:
        self.handle_timer(self._now())
        self._acted()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
