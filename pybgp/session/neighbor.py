"""One neighbour without I/O: the sessions it may have at a time, and when the next one begins."""

from __future__ import annotations

from collections import deque
from random import random
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import ErrorCode
from pybgp.session.backoff import Damping
from pybgp.session.collision import new_connection_wins
from pybgp.session.config import RestartState
from pybgp.session.counters import Counters
from pybgp.session.error_texts import describe
from pybgp.session.events import (
    DownReason,
    Event,
    RunReceived,
    SessionEnded,
    SessionUp,
    StateChanged,
    UpdateReceived,
)
from pybgp.session.occurrence import cease
from pybgp.session.opening import build_open, kept_in_restart, restart_families
from pybgp.session.session import Session
from pybgp.session.state_machine import Input, State
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.iana import CeaseSubcode
from pybgp.wire.messages import Notification, Open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pybgp.session.config import PeerConfig
    from pybgp.wire.negotiated import Negotiated

_HISTORY_LENGTH: Final = 64
#: Two sides that connect at once may both see a late second connection; within this time it is no sign of a restart.
_START_UP_WINDOW: Final = 1.0


class Transition(NamedTuple):
    """One entry of the history: a session of the neighbour went from one state to another."""

    time: float
    incoming: bool
    old: State
    cause: Input
    new: State


class Neighbor:
    """Owns the session we started, one that the peer opened, and the one that is Established.

    At most one of each; when a session reaches Established it takes the third place (RFC 4271 section 6.8).
    Every method returns events; ``Connect`` and ``Close`` are for the shell, the others for its user.
    """

    def __init__(
        self,
        config: PeerConfig,
        *,
        store: AttributeStore | None = None,
        random: Callable[[], float] = random,
        restart_state: RestartState | None = None,
        gathers: bool = False,
    ) -> None:
        """Nothing happens before ``start``; ``gathers`` is for its sessions."""
        self.config = config
        self.counters = Counters()
        self.history: deque[Transition] = deque(maxlen=_HISTORY_LENGTH)
        self.last_error = ""
        self.last_sent: Notification | None = None
        self.last_received: Notification | None = None
        #: RFC 4271 section 8: ConnectRetryCounter, over all sessions.
        self.retry_counter = 0
        self.established_count = 0
        #: What the next OPEN says about our restart; the first Established session ends it.
        self.restart_state = restart_state or RestartState()
        self._store = store if store is not None else AttributeStore()
        self._random = random
        self._gathers = gathers
        self._damping = Damping(config)
        self._own: Session | None = None
        self._incoming: Session | None = None
        self._established: Session | None = None
        self._is_enabled = False
        self._begins_at_once = False
        self._calls_once = False
        self._rest: float | None = None
        self._shown = State.IDLE
        self._cause = Input.MANUAL_START
        self._events: list[Event] = []

    # What happens to a neighbour.

    def start(self, now: float) -> list[Event]:
        """Begin to keep a session with this neighbour."""
        if not self._is_enabled:
            self._is_enabled = True
            self._begins_at_once = not self.config.connect_delay
            self._calls_once = self.config.call_at_start
            self._rest = None
            self.retry_counter = 0
            self.last_error = ""
            self._damping = Damping(self.config)
        return self._settle(now)

    def stop(
        self,
        now: float,
        communication: str = "",
        subcode: int = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        *,
        graceful: bool = False,
    ) -> list[Event]:
        """End all sessions and stay down; ``graceful`` closes without a NOTIFICATION where the peer then helps us."""
        self._is_enabled = False
        for session in self._sessions():
            if graceful and _peer_helps(session):
                self._absorb(session, session.abandon(now), now)
            else:
                self._absorb(session, session.stop(now, communication, subcode), now)
        self.retry_counter = 0
        if not graceful:
            self.last_error = f"BGP Error: {describe(cease(subcode, communication))}"
        return self._settle(now)

    def hold_down(
        self, now: float, text: str, subcode: int = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, data: bytes = b""
    ) -> list[Event]:
        """Stay down until the next start, for a reason which ``text`` names."""
        self._is_enabled = False
        for session in self._sessions():
            self._absorb(session, session.stop(now, subcode=subcode, data=data), now)
        self.retry_counter = 0
        self.last_error = text
        return self._settle(now)

    def reset(
        self, now: float, subcode: int = CeaseSubcode.ADMINISTRATIVE_RESET, data: bytes = b"", communication: str = ""
    ) -> list[Event]:
        """End all sessions with a Cease of this kind, then begin anew after IdleHoldTime."""
        for session in self._sessions():
            if session.state >= State.OPEN_SENT:
                self._absorb(session, session.reset(now, subcode, data, communication), now)
        return self._settle(now)

    def accept(self, now: float) -> tuple[Session | None, list[Event]]:
        """Return the session for a connection that the peer opened; None: close it (spec section 6.1)."""
        if not self._may_accept():
            return None, []
        if self._established is not None and self._is_superseded(self._established, now):
            self._absorb(self._established, self._established.supersede(now), now)
            self.retry_counter = 0
        session = self._incoming = self._new_session(incoming=True)
        self._absorb(session, session.start(now, automatic=True), now)
        self._absorb(session, session.connection_made(now), now)
        return session, self._settle(now)

    def connection_made(self, session: Session, now: float) -> list[Event]:
        """The connection that ``session`` asked for is there."""
        return self._run(session, session.connection_made, now)

    def connection_failed(self, session: Session, now: float, cause: str) -> list[Event]:
        """The connection of ``session`` is lost, or was never there."""
        if not self._is_current(session):
            return []
        self._absorb(session, session.connection_failed(now, cause), now)
        return self._settle(now)

    def receive_data(self, session: Session, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """Octets arrived on the connection of ``session``."""
        if not self._is_current(session):
            return []
        self._absorb(session, session.receive_data(data, now), now)
        return self._settle(now)

    def receive_eof(self, session: Session, now: float) -> list[Event]:
        """The peer closed the connection of ``session``."""
        return self._run(session, session.receive_eof, now)

    def handle_timer(self, now: float) -> list[Event]:
        """Act on every timer that is due."""
        for session in self._sessions():
            self._absorb(session, session.handle_timer(now), now)
        return self._settle(now)

    def next_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called; None: not before something else happens."""
        deadlines = [at for session in self._sessions() if (at := session.next_timer()) is not None]
        return min(deadlines, default=None)

    # What may be asked of a neighbour.

    @property
    def established(self) -> Session | None:
        """The session that carries routes."""
        return self._established

    @property
    def negotiated(self) -> Negotiated | None:
        """What is in force on the Established session."""
        return self._established.negotiated if self._established else None

    @property
    def is_enabled(self) -> bool:
        """Whether a session is wanted."""
        return self._is_enabled

    @property
    def state(self) -> State:
        """The furthest state of all sessions; waiting for the peer is Active."""
        return max((session.state for session in self._sessions()), default=State.IDLE)

    def timers(self, now: float) -> dict[str, float]:
        """Return the seconds left of each running timer, of the furthest session."""
        sessions = sorted(self._sessions(), key=lambda session: session.state)
        return sessions[-1].timers(now) if sessions else {}

    # Sessions come and go.

    def _sessions(self) -> list[Session]:
        places = (self._established, self._own, self._incoming)
        return [session for session in places if session is not None]

    def _is_current(self, session: Session) -> bool:
        return session is self._established or session is self._own or session is self._incoming

    def _run(self, session: Session, act: Callable[[float], list[Event]], now: float) -> list[Event]:
        if not self._is_current(session):
            return []
        self._absorb(session, act(now), now)
        return self._settle(now)

    def _new_session(self, *, incoming: bool, calls_once: bool = False) -> Session:
        return Session(
            self.config,
            incoming=incoming,
            calls_once=calls_once,
            gathers=self._gathers,
            store=self._store,
            counters=self.counters,
            random=self._random,
            restart_state=lambda: self.restart_state,
            retry_delay=self._damping.retry_delay,
            arbiter=self._arbitrate,
        )

    def _may_accept(self) -> bool:
        """Refuse while disabled, at rest after a failure, or already busy with one (as BIRD does)."""
        is_resting = self._own is not None and self._own.state is State.IDLE
        return self._is_enabled and not is_resting and self._incoming is None

    def _is_superseded(self, session: Session, now: float) -> bool:
        is_young = session.established_at is not None and now - session.established_at < _START_UP_WINDOW
        return session.is_graceful and not is_young

    def _arbitrate(self, session: Session, theirs: Open, now: float) -> bool:
        """Whether ``session``, whose OPEN has just been found valid, lives (RFC 4271 section 6.8)."""
        ours = session.open_sent or build_open(self.config, self.restart_state)
        for other in self._sessions():
            if other is session:
                continue
            if other.state is State.ESTABLISHED and not self.config.collision_in_established:
                return False
            if other.state >= State.OPEN_SENT and not new_connection_wins(
                ours, theirs, new_is_incoming=session.incoming
            ):
                return False
        for other in self._sessions():
            if other is not session:
                loses = other.dump if other.state >= State.OPEN_SENT else other.stop
                self._absorb(other, loses(now), now)
        return True

    def _absorb(self, session: Session, events: Iterable[Event], now: float) -> None:
        """Take the events of a session: some are ours, the others are for the shell and its user."""
        for event in events:
            if isinstance(event, UpdateReceived | RunReceived):
                self._events.append(event)
            elif isinstance(event, StateChanged):
                self._note(session, event, now)
            elif isinstance(event, SessionEnded):
                self._forget(event, now)
            else:
                if isinstance(event, SessionUp):
                    self._establish(session)
                self._events.append(event)

    def _note(self, session: Session, event: StateChanged, now: float) -> None:
        self.history.append(Transition(now, session.incoming, event.old, event.cause, event.new))
        self._cause = event.cause
        if event.text and event.cause is not Input.COLLISION_DUMP and self._established in (None, session):
            self.last_error = event.text

    def _establish(self, session: Session) -> None:
        """Give a session the third place; from now on we are no restarting speaker (RFC 8538 section 4)."""
        self._own = None if session is self._own else self._own
        self._incoming = None if session is self._incoming else self._incoming
        self._established = session
        self._rest = None
        self.last_error = ""
        self.established_count += 1
        self.restart_state = RestartState(preserved=kept_in_restart(self.config))

    def _forget(self, event: SessionEnded, now: float) -> None:
        """Clear the place of a session, and decide how soon the next one begins."""
        session = event.session
        self._own = None if session is self._own else self._own
        self._incoming = None if session is self._incoming else self._incoming
        self._established = None if session is self._established else self._established
        self.last_sent = event.sent or self.last_sent
        self.last_received = event.received or self.last_received
        self.retry_counter += event.counted
        lifetime = 0.0 if event.established_at is None else now - event.established_at
        is_long = lifetime >= self.config.short_session_time
        if is_long:
            self._damping.retry.reset()
        if event.retained:
            self._begins_at_once = is_long and event.reason is not DownReason.SUPERSEDED
        elif event.counted and not _is_collision(event):
            self._rest = self._damping.failure(lifetime)

    def _settle(self, now: float) -> list[Event]:
        """Begin what has to begin, and report the state if it is a new one."""
        incoming = self._incoming
        if incoming is not None and incoming.state <= State.ACTIVE and not incoming.is_connected:
            self._incoming = None
        if self._rest is not None:
            self._interrupt_waiting(now)
        if self._is_enabled and self._own is None and self.state < State.OPEN_CONFIRM:
            self._begin(now)
        state = self.state
        if state is not self._shown:
            self._events.append(StateChanged(self._shown, state, self._cause, self.last_error))
            self._shown = state
        events, self._events = self._events, []
        return events

    def _interrupt_waiting(self, now: float) -> None:
        """The peer's connection failed while our side only waits: damping is for the neighbour, so both sides rest."""
        own = self._own
        if own is not None and own.state is State.ACTIVE and not own.is_connected and self._incoming is None:
            self._absorb(own, own.stop(now), now)

    def _begin(self, now: float) -> None:
        session = self._own = self._new_session(incoming=False, calls_once=self._calls_once)
        self._calls_once = False
        rest, self._rest = self._rest, None
        wait = not self._begins_at_once or self._incoming is not None
        self._begins_at_once = False
        if rest is None:
            self._absorb(session, session.start(now, automatic=self.established_count > 0, wait=wait), now)
        else:
            self._absorb(session, session.start_damped(now, rest), now)


def _is_collision(event: SessionEnded) -> bool:
    """Whether the session lost to another one, by our word or the peer's: no reason to rest."""
    notification = event.sent or event.received
    is_collision = notification == Notification(ErrorCode.CEASE, CeaseSubcode.COLLISION)
    return is_collision or event.reason is DownReason.COLLISION


def _peer_helps(session: Session) -> bool:
    """Whether the peer keeps our routes if we just close (RFC 4724 section 4.2)."""
    if session.state is not State.ESTABLISHED or session.negotiated is None:
        return False
    return session.negotiated.graceful_restart is not None and bool(restart_families(session.config))
