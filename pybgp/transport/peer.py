"""One neighbour on real sockets: asyncio around a ``Neighbor``, which decides everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from ipaddress import ip_address
from random import random
from typing import TYPE_CHECKING, Final

import structlog

from pybgp.errors import ErrorCode, LocalError
from pybgp.formats.mrt import Ends
from pybgp.session.error_texts import describe
from pybgp.session.events import Close, Connect, Event, SessionDown, SessionUp, UpdateReceived, WritingResumed
from pybgp.session.neighbor import Neighbor
from pybgp.session.state_machine import State
from pybgp.transport.dialer import DialError, open_connection, socket_error_text
from pybgp.transport.peer_connection import PeerConnection
from pybgp.transport.peer_status import ErrorDetail, PeerStatus
from pybgp.transport.tcp_options import prepare, resolve
from pybgp.wire.iana import CeaseSubcode
from pybgp.wire.messages import Notification, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import TypeAlias

    from pybgp.session.config import PeerConfig, RestartState
    from pybgp.session.session import Session
    from pybgp.transport.listener import Listener
    from pybgp.transport.tap import Tap
    from pybgp.wire.attribute_store import AttributeStore
    from pybgp.wire.attributes import AttributeFault, Fault
    from pybgp.wire.negotiated import Negotiated

    #: Connects as configured and gives the connection to the protocol; DialError if nobody answers.
    Opener: TypeAlias = Callable[[PeerConfig, Callable[[], PeerConnection]], Awaitable[None]]

__all__ = ["ErrorDetail", "Peer", "PeerStatus"]

#: Accepted connections that wait for the loop to take them over; a neighbour needs one.
_ACCEPTED_AT_ONCE: Final = 4

#: Refused connections that are told why; beyond that they are cut off.
_REJECTED_AT_ONCE: Final = 4
_REJECTED: Final = encode(Notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED))

log = structlog.get_logger()


class Peer:
    """Keeps a neighbour's connections, its timer, and the order of its events.

    ``sink`` is called with SessionUp, UpdateReceived, RefreshReceived, SessionDown, StateChanged and WritingResumed, in
    the turn of the loop that made them.  It may call any method of the peer.
    """

    def __init__(
        self,
        config: PeerConfig,
        sink: Callable[[Peer, Event], None],
        *,
        listeners: Sequence[Listener] = (),
        store: AttributeStore | None = None,
        restart_state: RestartState | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random,
        opener: Opener = open_connection,
        gathers: bool = False,
    ) -> None:
        """Nothing happens before ``start``; ``opener`` connects, over something else than TCP if need be.

        ``gathers``: the sink is called with RunReceived too.
        """
        self.config = config
        self.neighbor = Neighbor(config, store=store, random=random, restart_state=restart_state, gathers=gathers)
        self._sink = sink
        self._clock = clock
        self._opener = opener
        family, _ = resolve(config.address, config.port)
        self._listeners = [listener for listener in listeners if listener.family == family]
        self._connections: dict[Session, PeerConnection] = {}
        self._closing: set[PeerConnection] = set()
        #: the connection whose octets are the source of what is told now.
        self._heard_from: PeerConnection | None = None
        self._dials: dict[Session, asyncio.Task[None]] = {}
        self._accepting: set[asyncio.Task[None]] = set()
        self._pending: deque[Event] = deque()
        self._faults_told: set[tuple[int, Fault]] = set()
        self._is_delivering = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()
        self._protocol_state = "down"
        self._since = clock()
        #: Asked, for every new connection, who listens in on it.
        self.open_tap: Callable[[Ends], Tap | None] | None = None
        #: hears of all that `send` has taken.
        self.on_sent: Callable[[bytes], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # What a speaker does with a peer.

    def start(self) -> None:
        """Admit connections from the neighbour and open one, unless it is passive; returns at once."""
        self._loop = asyncio.get_running_loop()
        if self.neighbor.is_enabled:
            return
        try:
            for listener in self._listeners:
                listener.admit(self.config.address, self.accept, self.config.password, self.config.tcp_ao)
        except LocalError as error:
            self._fail(error)
            return
        self._pump(self.neighbor.start(self._now()))

    def stop(
        self,
        communication: str = "",
        *,
        subcode: int = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        graceful: bool = False,
    ) -> None:
        """End the session with a Cease, or silently for a neighbour that keeps our routes while we restart."""
        self._dismiss()
        self._pump(self.neighbor.stop(self._now(), communication, subcode, graceful=graceful))

    def reset(
        self, subcode: int = CeaseSubcode.ADMINISTRATIVE_RESET, data: bytes = b"", communication: str = ""
    ) -> None:
        """End the session with a Cease of this kind; it comes back after IdleHoldTime."""
        self._pump(self.neighbor.reset(self._now(), subcode, data, communication))

    def hold_down(self, reason: str, subcode: int, data: bytes = b"") -> None:
        """End the session with a Cease of this kind and stay down until ``start``; the status shows the reason."""
        self._dismiss()
        self._pump(self.neighbor.hold_down(self._now(), f"Error: {reason}", subcode, data))

    def call_later(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Do something later, in the loop that the peer runs in."""
        return self._running_loop().call_later(seconds, action)

    def reconfigure(self, config: PeerConfig) -> None:
        """Take a configuration that `PeerConfig.keeps_session`; UPDATEs are read by it from now on.

        With another TCP MD5 key the neighbour must follow before its hold time ends.
        """
        old, address, password = self.config.password, config.address, config.password
        if config.reading != self.config.reading:
            for session in self._connections:
                session.read_by(config.reading)
        self.config = self.neighbor.config = config
        if password == old:
            return
        try:
            if self.neighbor.is_enabled:
                for listener in self._listeners:
                    listener.change_password(address, old, password)
            for connection in self._connections.values():
                connection.set_password(address, password)
        except LocalError as error:
            self._fail(error)

    @property
    def is_closed(self) -> bool:
        """Whether no connection is left."""
        return not (self._closing or self._connections or self._dials or self._accepting)

    async def wait_closed(self) -> None:
        """Return when the last connection is closed; each is cut off after a short time."""
        await asyncio.gather(*self._accepting, return_exceptions=True)
        while self._closing or self._connections or self._dials:
            self._closed.clear()
            await self._closed.wait()

    def send(self, octets: bytes) -> None:
        """Send whole messages, already encoded; LocalError if there is no Established session.

        Never blocks.  What the neighbour does not take is kept; while ``can_write`` is false nothing should be added.
        """
        session = self.neighbor.established
        if session is None:
            raise LocalError(f"neighbour {self.config.address} is in {self.neighbor.state}: nothing can be sent")
        now = self._now()
        session.send(octets, now)
        self._flush(session, now)
        if self.on_sent is not None:
            self.on_sent(octets)

    @property
    def can_write(self) -> bool:
        """Whether the session is Established and the neighbour takes what it is sent; then see WritingResumed."""
        session = self.neighbor.established
        connection = self._connections.get(session) if session is not None else None
        return connection is not None and connection.can_write

    @property
    def local_address(self) -> str:
        """Our address on the Established session; empty without one."""
        connection = self._carrier
        return connection.local_address if connection is not None else ""

    @property
    def ports(self) -> tuple[int, int]:
        """Our port and the peer's on the Established session; zeros without one."""
        connection = self._carrier
        return connection.ports if connection is not None else (0, 0)

    @property
    def _carrier(self) -> PeerConnection | None:
        """The connection of the Established session, or of the one whose SessionUp is being told.

        What followed the last KEEPALIVE in one read may have ended that session already.
        """
        session = self.neighbor.established
        return self._heard_from if session is None else self._connections.get(session)

    @property
    def negotiated(self) -> Negotiated | None:
        """What is in force on the Established session."""
        return self.neighbor.negotiated

    def set_restart_state(self, restart_state: RestartState) -> None:
        """Change what the next OPEN says about our own restart."""
        self.neighbor.restart_state = restart_state

    def status(self) -> PeerStatus:
        """Return everything that can be seen of the neighbour now."""
        neighbor, now = self.neighbor, self._now()
        wall_clock = self._clock() - now
        session = neighbor.established
        up_since = session.established_at if session is not None else None
        is_waiting = self.config.passive and neighbor.state is State.ACTIVE
        return PeerStatus(
            address=self.config.address,
            port=self.config.port,
            remote_as=self.config.remote_as,
            state="Passive" if is_waiting else str(neighbor.state),
            protocol_state=self._protocol_state,
            since=self._since,
            last_error=neighbor.last_error,
            description=self.config.description,
            uptime=0.0 if up_since is None else now - up_since,
            negotiated=neighbor.negotiated,
            open_sent=session.open_sent if session is not None else None,
            open_received=session.open_received if session is not None else None,
            received=neighbor.counters.by_name(neighbor.counters.received),
            sent=neighbor.counters.by_name(neighbor.counters.sent),
            octets_received=neighbor.counters.octets_received,
            octets_sent=neighbor.counters.octets_sent,
            queued_octets=self._queued_octets(session),
            faults=dict(neighbor.counters.faults),
            last_malformed=neighbor.counters.last_malformed,
            last_error_sent=_detail(neighbor.last_sent),
            last_error_received=_detail(neighbor.last_received),
            timers=neighbor.timers(now),
            history=tuple(entry._replace(time=entry.time + wall_clock) for entry in neighbor.history),
            established_count=neighbor.established_count,
            retry_counter=neighbor.retry_counter,
        )

    def _queued_octets(self, session: Session | None) -> int:
        connection = self._connections.get(session) if session is not None else None
        return connection.queued_octets if connection is not None else 0

    # What connections report (peer_connection.Owner).

    def connection_made(self, connection: PeerConnection) -> None:
        """TCP is up: for a session that asked for it, or for one that the neighbour wants."""
        now = self._now()
        if self.open_tap is not None:
            connection.tap = self.open_tap(self._ends(connection))
        if connection.session is None:
            session, events = self.neighbor.accept(now)
            connection.session = session
        elif self._dials.pop(connection.session, None) is not None:
            session = connection.session
            self._connections[session] = connection
            events = self.neighbor.connection_made(session, now)
        else:
            session, events = None, []
        if session is None:
            self._reject(connection)
        else:
            self._connections[session] = connection
        self._pump(events)

    def _ends(self, connection: PeerConnection) -> Ends:
        """Who talks to whom on a connection, as recordings name them."""
        config = self.config
        remote, local = (ip_address(text.partition("%")[0]) for text in (config.address, connection.local_address))
        return Ends(config.remote_as, config.local_as, remote.packed, local.packed)

    def _reject(self, connection: PeerConnection) -> None:
        """Refuse a connection that is not wanted now, with a word if that is configured (spec section 6.1)."""
        if self.config.notify_rejected and connection.session is None and len(self._closing) < _REJECTED_AT_ONCE:
            connection.write(_REJECTED)
            self._closing.add(connection)
            connection.close()
        else:
            connection.abort()

    def octets_received(self, connection: PeerConnection, octets: memoryview) -> None:
        """Hand what arrived to the session; its events leave in this turn."""
        if connection.session is not None:
            self._heard_from = connection
            try:
                self._pump(self.neighbor.receive_data(connection.session, octets, self._now()))
            finally:
                self._heard_from = None

    def end_received(self, connection: PeerConnection) -> None:
        """The neighbour closed its side."""
        if connection.session is not None:
            self._pump(self.neighbor.receive_eof(connection.session, self._now()))

    def connection_lost(self, connection: PeerConnection, error: OSError | None) -> None:
        """TCP is down; news only if we did not close it."""
        self._closing.discard(connection)
        session = connection.session
        if session is not None and self._connections.get(session) is connection:
            del self._connections[session]
            self._pump(self.neighbor.connection_failed(session, self._now(), socket_error_text(error)))
        self._closed.set()

    def writing_resumed(self, connection: PeerConnection) -> None:
        """Tell the speaker, if the connection is the one that carries routes."""
        if connection.session is not None and connection.session is self.neighbor.established:
            self._pump([WritingResumed()])

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise LocalError(f"neighbour {self.config.address}: not started")
        return self._loop

    def _now(self) -> float:
        return time.monotonic() if self._loop is None else self._loop.time()

    # The pump.

    def _pump(self, events: Iterable[Event]) -> None:
        """Send what the sessions want to send, then deliver events in order, then see to the timer."""
        now = self._now()
        for session in tuple(self._connections):
            self._flush(session, now)
        self._pending.extend(events)
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._pending:
                self._deliver(self._pending.popleft())
        finally:
            self._is_delivering = False
        self._see_protocol_state()
        self._rearm()

    def _flush(self, session: Session, now: float) -> None:
        connection = self._connections.get(session)
        if connection is not None and (octets := session.data_to_send()):
            connection.write(octets)
            if connection.made_progress():
                session.bytes_written(now)

    def _deliver(self, event: Event) -> None:
        if isinstance(event, UpdateReceived):
            if event.update.faults:
                self._log_faults(event.update.faults)
            self._sink(self, event)
        elif isinstance(event, Connect):
            self._dials[event.session] = self._running_loop().create_task(self._dial(event.session))
        elif isinstance(event, Close):
            self._close(event)
        else:
            if isinstance(event, SessionUp | SessionDown):
                self._log(event)
            self._sink(self, event)

    def _close(self, event: Close) -> None:
        if (attempt := self._dials.pop(event.session, None)) is not None:
            attempt.cancel()
        if (connection := self._connections.pop(event.session, None)) is not None:
            if octets := event.session.data_to_send():
                connection.write(octets)
            self._closing.add(connection)
            connection.abort() if event.abort else connection.close()

    def _log_faults(self, faults: Iterable[AttributeFault]) -> None:
        """Say once per session and kind what a peer's UPDATEs suffer from; the counters go on (RFC 7606 section 6)."""
        for fault in faults:
            kind = (fault.code, fault.fault)
            if kind not in self._faults_told:
                self._faults_told.add(kind)
                treatment = fault.fault.name.lower()
                log.warning("update_faulty", peer=self.config.address, treatment=treatment, reason=fault.reason)

    def _log(self, event: SessionUp | SessionDown) -> None:
        address = self.config.address
        if isinstance(event, SessionUp):
            self._faults_told.clear()
            log.info("session_up", peer=address, hold_time=event.negotiated.hold_time)
        else:
            log.info("session_down", peer=address, reason=event.reason.value, error=event.text)

    def _see_protocol_state(self) -> None:
        """What a status table shows: down, start or up, and since when."""
        waiting = "start" if self.neighbor.is_enabled else "down"
        protocol_state = waiting if self.neighbor.established is None else "up"
        if protocol_state != self._protocol_state:
            self._protocol_state, self._since = protocol_state, self._clock()

    # The timer: one handle, moved only when something is due earlier than it.

    def _rearm(self) -> None:
        at = self.neighbor.next_timer()
        if self._timer is not None:
            if at is not None and self._timer.when() <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._running_loop().call_at(at, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        now = self._now()
        session = self.neighbor.established
        connection = self._connections.get(session) if session is not None else None
        if session is not None and connection is not None and connection.made_progress():
            session.bytes_written(now)
        self._pump(self.neighbor.handle_timer(now))

    # Opening and accepting.

    async def _dial(self, session: Session) -> None:
        """Connect for a session; the connection reports itself."""
        try:
            await self._opener(self.config, lambda: PeerConnection(self, session))
        except DialError as error:
            if self._dials.pop(session, None) is not None:
                self._pump(self.neighbor.connection_failed(session, self._now(), str(error)))
        except LocalError as error:
            self._dials.pop(session, None)
            self._fail(error)
        finally:
            self._closed.set()

    def accept(self, connection: socket.socket) -> None:
        """Take over a connection that the neighbour opened."""
        if len(self._accepting) >= _ACCEPTED_AT_ONCE or not self.neighbor.is_enabled:
            connection.close()
            return
        try:
            prepare(connection, self.config)
        except LocalError as error:
            connection.close()
            self._fail(error)
            return
        task = self._running_loop().create_task(self._take_over(connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _take_over(self, connection: socket.socket) -> None:
        await self._running_loop().connect_accepted_socket(lambda: PeerConnection(self), connection)

    def _fail(self, error: LocalError) -> None:
        """Stay down rather than talk without what was asked for, a password for example (spec section 6.2)."""
        log.error("neighbour_held_down", peer=self.config.address, error=str(error))
        self._dismiss()
        self._pump(self.neighbor.hold_down(self._now(), f"Error: {error}"))

    def _dismiss(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(LocalError):
                listener.dismiss(self.config.address, self.config.password, self.config.tcp_ao)


def _detail(notification: Notification | None) -> ErrorDetail | None:
    if notification is None:
        return None
    return ErrorDetail(notification.code, notification.subcode, notification.data, describe(notification))
