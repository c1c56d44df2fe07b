"""One BGP session without I/O: octets and the time go in, events and octets come out."""

from __future__ import annotations

from dataclasses import replace
from random import random
from typing import TYPE_CHECKING, ClassVar, Final

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.session.config import RestartState
from pybgp.session.counters import Counters
from pybgp.session.deadlines import Deadlines, Timer
from pybgp.session.error_texts import describe
from pybgp.session.events import (
    Close,
    Connect,
    DownReason,
    Event,
    RefreshReceived,
    RunReceived,
    SessionDown,
    SessionEnded,
    SessionUp,
    StateChanged,
    UpdateReceived,
)
from pybgp.session.occurrence import FAULT_INPUTS, MESSAGE_INPUTS, REASONS, TIMER_INPUTS, Occurrence, cease, complaint
from pybgp.session.opening import build_open
from pybgp.session.pace import Pace
from pybgp.session.retention import Kept, kept_families, retained_families, wrap
from pybgp.session.state_machine import STEPS, Do, Guard, Input, State, Step
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.framing import Framer, UnansweredError
from pybgp.wire.iana import HEADER_LENGTH, CeaseSubcode, FsmSubcode, MessageType, OpenSubcode
from pybgp.wire.messages import Keepalive, Notification, Open, RouteRefresh, Update, decode, encode
from pybgp.wire.negotiated import negotiate
from pybgp.wire.plain_run import RunReader, can_read_runs
from pybgp.wire.updates import decode_update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pybgp.session.config import PeerConfig
    from pybgp.wire.negotiated import Negotiated, UpdateOptions

_KEEPALIVE: Final = encode(Keepalive())
#: Where a message says what it is.
_TYPE: Final = HEADER_LENGTH - 1
_UPDATE: Final = int(MessageType.UPDATE)
_ESTABLISHED: Final = State.ESTABLISHED
#: The table again, indexed by numbers: an input is looked up for every message.
_TABLE: Final = [[Step(state), *(STEPS[state, happened] for happened in Input)] for state in State]


class Session:
    """The finite state machine of one TCP connection (RFC 4271 section 8); it never raises for what a peer sends."""

    __slots__ = (
        "_arbiter",
        "_deadlines",
        "_established_at",
        "_events",
        "_framer",
        "_gathers",
        "_idle_hold_time",
        "_is_connected",
        "_is_dialing",
        "_is_passive",
        "_outgoing_octets",
        "_pace",
        "_restart_state",
        "_run_reader",
        "config",
        "counters",
        "incoming",
        "negotiated",
        "open_received",
        "open_sent",
        "retry_counter",
        "state",
        "store",
    )

    def __init__(
        self,
        config: PeerConfig,
        *,
        incoming: bool = False,
        calls_once: bool = False,
        gathers: bool = False,
        store: AttributeStore | None = None,
        counters: Counters | None = None,
        random: Callable[[], float] = random,
        restart_state: Callable[[], RestartState] = RestartState,
        retry_delay: Callable[[], float] | None = None,
        arbiter: Callable[[Session, Open, float], bool] | None = None,
    ) -> None:
        """``calls_once``: a passive side connects all the same, but does not try again.

        ``gathers``: ordinary UPDATEs in a row are reported together, as RunReceived.

        ``arbiter`` says whether this connection lives when its valid OPEN arrives (RFC 4271 section 6.8).
        """
        self.config = config
        self.incoming = incoming
        self.store = store if store is not None else AttributeStore()
        self.counters = counters if counters is not None else Counters()
        self.state = State.IDLE
        self.negotiated: Negotiated | None = None
        self.open_sent: Open | None = None
        self.open_received: Open | None = None
        self.retry_counter = 0
        self._restart_state = restart_state
        self._pace = Pace(config, random, retry_delay)
        self._arbiter = arbiter
        self._deadlines = Deadlines()
        self._events: list[Event] = []
        self._framer = Framer()
        self._gathers = gathers
        #: there while the session is Established and nothing agreed makes ordinary UPDATEs special.
        self._run_reader: RunReader | None = None
        self._is_connected = False
        self._is_dialing = False
        self._is_passive = incoming or (config.passive and not calls_once)
        self._idle_hold_time = 0.0
        self._outgoing_octets: list[bytes] = []
        self._established_at: float | None = None

    # What happens to a session.

    def start(self, now: float, *, automatic: bool = False, wait: bool = False) -> list[Event]:
        """Begin; ``wait`` as a passive side does, until the connection retry timer fires."""
        if self._is_passive or wait:
            return self._feed(Input.AUTOMATIC_START_PASSIVE if automatic else Input.MANUAL_START_PASSIVE, now)
        return self._feed(Input.AUTOMATIC_START if automatic else Input.MANUAL_START, now)

    def start_damped(self, now: float, idle_hold_time: float) -> list[Event]:
        """Begin after a time of rest (RFC 4271 section 8.1.1, DampPeerOscillations)."""
        self._idle_hold_time = idle_hold_time
        damped = Input.AUTOMATIC_START_DAMPED_PASSIVE if self._is_passive else Input.AUTOMATIC_START_DAMPED
        return self._feed(damped, now)

    def stop(
        self,
        now: float,
        communication: str = "",
        subcode: int = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        data: bytes = b"",
    ) -> list[Event]:
        """End for good, with a Cease that carries the operator's words (RFC 9003)."""
        return self._feed(Input.MANUAL_STOP, now, notification=cease(subcode, communication, data))

    def reset(
        self, now: float, subcode: int = CeaseSubcode.ADMINISTRATIVE_RESET, data: bytes = b"", communication: str = ""
    ) -> list[Event]:
        """End with a Cease for a reason of our own, to begin anew later."""
        return self._feed(Input.AUTOMATIC_STOP, now, notification=cease(subcode, communication, data))

    def abandon(self, now: float) -> list[Event]:
        """Close without a NOTIFICATION, so that the peer keeps our routes while we restart (RFC 4724 section 4)."""
        return self._feed(Input.TCP_FAILS, now)

    def supersede(self, now: float) -> list[Event]:
        """The peer has opened a new connection while this one is Established (RFC 4724 section 5)."""
        return self._feed(Input.TCP_CONFIRMED, now, text="Error: Superseded by a new connection")

    def dump(self, now: float) -> list[Event]:
        """Lose a collision (RFC 4271 section 6.8)."""
        return self._feed(Input.COLLISION_DUMP, now, notification=cease(CeaseSubcode.COLLISION))

    def connection_made(self, now: float) -> list[Event]:
        """TCP is up."""
        self._forget_connection()
        self._is_connected = True
        return self._feed(Input.TCP_CONFIRMED if self.incoming else Input.TCP_REQUEST_ACKNOWLEDGED, now)

    def connection_failed(self, now: float, cause: str) -> list[Event]:
        """TCP is lost or was never there; ``cause`` in the words of a status table."""
        self._is_connected = self._is_dialing = False
        return self._feed(Input.TCP_FAILS, now, text=cause)

    def receive_eof(self, now: float) -> list[Event]:
        """The peer closed the connection; whatever it left half-sent is forgotten."""
        return self._feed(Input.TCP_FAILS, now, text="Socket: Connection closed")

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """Take what arrived; after a fatal error or a NOTIFICATION nothing more of it is read."""
        if self._is_connected:
            self.counters.octets_received += len(data)
            framer = self._framer
            framer.feed(data)
            try:
                while self._is_connected:
                    if self._run_reader is not None:
                        self._receive_runs(self._run_reader, now)
                    message = framer.next_message()
                    if message is None:
                        break
                    self._receive(message, now)
            except UnansweredError as error:
                self._step(complaint(Input.NOTIFICATION_RECEIVED, error, now))
            except RemoteError as error:
                self._step(complaint(Input.HEADER_ERROR, error, now))
        return self._take_events()

    def handle_timer(self, now: float) -> list[Event]:
        """Act on every timer that is due."""
        while (timer := self._deadlines.take_due(now)) is not None:
            self._step(Occurrence(TIMER_INPUTS[timer], now))
        return self._take_events()

    def next_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called; None: not before something else happens."""
        return self._deadlines.earliest()

    def send(self, octets: bytes, now: float) -> None:
        """Queue whole messages, already encoded; only an Established session takes any."""
        if self.state is not State.ESTABLISHED:
            raise LocalError(f"session with {self.config.address} is in {self.state}: nothing can be sent")
        if self.counters.count_sent(octets):
            self._restart_keepalive(now)
        self._outgoing_octets.append(octets)

    def data_to_send(self) -> bytes:
        """Return and forget the octets that shall leave now."""
        octets = b"".join(self._outgoing_octets)
        self._outgoing_octets.clear()
        return octets

    def bytes_written(self, now: float) -> None:
        """The socket took octets: the peer still reads (RFC 9687 section 4.2)."""
        if self._deadlines.is_running(Timer.SEND_HOLD):
            self._start_send_hold(now)

    def read_by(self, options: UpdateOptions) -> None:
        """Read UPDATEs by other options from now on; what has been read stays as it is."""
        if self.negotiated is not None:
            self.negotiated = replace(self.negotiated, options=options)
            if self._established_at is not None:
                self._read_runs(self.negotiated)

    # What may be asked of a session.

    @property
    def is_graceful(self) -> bool:
        """Whether the peer offered graceful restart for at least one family, and we help."""
        return self.negotiated is not None and bool(kept_families(self.config, self.negotiated))

    @property
    def is_connected(self) -> bool:
        """Whether a TCP connection is up."""
        return self._is_connected

    @property
    def established_at(self) -> float | None:
        """When the session became Established; None if it never was."""
        return self._established_at

    def timers(self, now: float) -> dict[str, float]:
        """Return the seconds left of each running timer."""
        return self._deadlines.remaining(now)

    # From messages to inputs.

    def _receive_update(self, octets: bytes, negotiated: Negotiated, now: float) -> None:
        """The busiest cell of the table, without the way through it: DELIVER, RESTART_HOLD."""
        self.counters.received[_UPDATE] += 1
        try:
            update = decode_update(octets, negotiated, self.store)
        except RemoteError as error:
            self.counters.note_malformed(octets)
            self._step(complaint(FAULT_INPUTS[error.code], error, now))
            return
        if update.faults:
            self.counters.note_faults(update.faults, octets)
        self._events.append(UpdateReceived(update))
        if negotiated.hold_time:
            self._deadlines.start(Timer.HOLD, now + negotiated.hold_time)

    def _receive_runs(self, reader: RunReader, now: float) -> None:
        """The same cell for ordinary UPDATEs in a row."""
        waiting = self._framer.waiting()
        if waiting is None:
            return
        octets, position = waiting
        if len(octets) - position == octets[position + 16] << 8 | octets[position + 17]:
            return  # a single message takes longer this way
        parts, end = reader.read(octets, position)
        self._framer.skip(end - position)
        for part in parts:
            if isinstance(part, bytes):
                self._receive(part, now)
                if self.state is not _ESTABLISHED:
                    return
            else:
                self._note_run(RunReceived(*part), now)

    def _note_run(self, run: RunReceived, now: float) -> None:
        self.counters.received[_UPDATE] += len(run.run.attributes)
        if self._gathers:
            self._events.append(run)
        else:
            self._events.extend(run.updates())
        if self.negotiated is not None and self.negotiated.hold_time:
            self._deadlines.start(Timer.HOLD, now + self.negotiated.hold_time)

    def _receive(self, octets: bytes, now: float) -> None:
        kind = octets[_TYPE]
        if kind == _UPDATE and self.state is _ESTABLISHED and self.negotiated is not None:
            self._receive_update(octets, self.negotiated, now)
            return
        self.counters.received[kind] += 1
        occurrence = Occurrence(MESSAGE_INPUTS[kind], now)
        occurrence.message_type = kind
        try:
            if kind != _UPDATE:
                occurrence.message = decode(octets, self.negotiated)
                self._judge(occurrence)
        except RemoteError as error:
            self.counters.note_malformed(octets)
            occurrence = complaint(FAULT_INPUTS[error.code], error, now)
            occurrence.message_type = kind
        self._step(occurrence)

    def _judge(self, occurrence: Occurrence) -> None:
        """Find the input that a message stands for, by what it says."""
        message = occurrence.message
        if isinstance(message, Open):
            self._judge_open(message, occurrence)
        elif isinstance(message, Notification):
            occurrence.text = f"Received: {describe(message)}"
            if (message.code, message.subcode) == (ErrorCode.OPEN_MESSAGE, OpenSubcode.UNSUPPORTED_VERSION):
                occurrence.input = Input.NOTIFICATION_VERSION_ERROR

    def _judge_open(self, theirs: Open, occurrence: Occurrence) -> None:
        """RFC 4271 section 6.2, then section 6.8; an OPEN that no state expects is left to the table."""
        is_delaying = self._deadlines.is_running(Timer.DELAY_OPEN)
        if self.state is not State.OPEN_SENT and not is_delaying:
            return
        ours = self.open_sent or build_open(self.config, self._restart_state())
        negotiated = negotiate(
            ours,
            theirs,
            peer_as=self.config.remote_as,
            minimum_hold_time=self.config.minimum_hold_time,
            required=self.config.required_capabilities,
            require_common_family=self.config.require_common_family,
            strict_role=self.config.strict_role,
            options=self.config.reading,
        )
        if self._arbiter is not None and not self._arbiter(self, theirs, occurrence.now):
            occurrence.input = Input.COLLISION_DUMP
            occurrence.notification = cease(CeaseSubcode.COLLISION)
            return
        self.negotiated = negotiated
        self.open_received = theirs
        self._framer.receive_limit = negotiated.receive_limit
        if is_delaying:
            occurrence.input = Input.OPEN_RECEIVED_DELAYING

    # From inputs to acts.

    def _feed(
        self, happened: Input, now: float, *, notification: Notification | None = None, text: str = ""
    ) -> list[Event]:
        occurrence = Occurrence(happened, now)
        occurrence.notification = notification
        occurrence.text = text
        self._step(occurrence)
        return self._take_events()

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _step(self, occurrence: Occurrence) -> None:
        """Take one step of the table."""
        before = self.state
        step = _TABLE[before][occurrence.input]
        if step.guard is not None and step.instead is not None and self._holds(step.guard, occurrence.input):
            step = step.instead
        for action in step.actions:
            self._ACTIONS[action](self, occurrence)
        if step.state is not before:
            self._enter(step.state, occurrence)

    def _holds(self, guard: Guard, happened: Input) -> bool:
        if guard is Guard.GRACEFUL:
            return self.is_graceful
        if happened in (Input.TCP_REQUEST_ACKNOWLEDGED, Input.TCP_CONFIRMED):
            return self.config.delay_open_time > 0
        return self._deadlines.is_running(Timer.DELAY_OPEN)

    def _enter(self, new: State, occurrence: Occurrence) -> None:
        old, self.state = self.state, new
        self._events.append(StateChanged(old, new, occurrence.input, occurrence.text))
        if new is State.IDLE:
            self._events.append(self._ended(occurrence))

    def _forget_connection(self) -> None:
        self._framer = Framer()
        self._run_reader = None
        self._outgoing_octets.clear()
        self._is_dialing = False
        self.negotiated = self.open_sent = self.open_received = None

    def _ended(self, occurrence: Occurrence) -> SessionEnded:
        return SessionEnded(
            self,
            REASONS.get(occurrence.input, DownReason.PROTOCOL_ERROR),
            self._established_at,
            occurrence.counted,
            bool(self._retained(occurrence)),
            occurrence.sent,
            occurrence.received,
        )

    def _retained(self, occurrence: Occurrence) -> Kept:
        if self.negotiated is None or self._established_at is None:
            return Kept()
        reason = REASONS.get(occurrence.input, DownReason.PROTOCOL_ERROR)
        return retained_families(self.config, self.negotiated, reason, occurrence.sent or occurrence.received)

    # The acts of the table, by name.

    def _reset_retry_counter(self, _: Occurrence) -> None:
        self.retry_counter = 0

    def _count_failure(self, occurrence: Occurrence) -> None:
        self.retry_counter += 1
        occurrence.counted = True

    def _connect(self, _: Occurrence) -> None:
        self._is_passive = self.config.passive
        self._is_dialing = True
        self._events.append(Connect(self))

    def _drop(self, _: Occurrence) -> None:
        self._close(abort=False)

    def _abort(self, _: Occurrence) -> None:
        self._close(abort=True)

    def _close(self, *, abort: bool) -> None:
        if self._is_connected or self._is_dialing:
            self._is_connected = self._is_dialing = False
            self._events.append(Close(self, abort))

    def _start_connect_retry(self, occurrence: Occurrence) -> None:
        self._deadlines.start(Timer.CONNECT_RETRY, occurrence.now + self._pace.connect_time())

    def _start_fast_connect_retry(self, occurrence: Occurrence) -> None:
        """A passive side never connects, so it has nothing to retry."""
        if not self._is_passive:
            self._deadlines.start(Timer.CONNECT_RETRY, occurrence.now + self._pace.retry_time())

    def _stop_connect_retry(self, _: Occurrence) -> None:
        self._deadlines.stop(Timer.CONNECT_RETRY)

    def _start_delay_open(self, occurrence: Occurrence) -> None:
        self._deadlines.start(Timer.DELAY_OPEN, occurrence.now + self.config.delay_open_time)

    def _stop_delay_open(self, _: Occurrence) -> None:
        self._deadlines.stop(Timer.DELAY_OPEN)

    def _start_idle_hold(self, occurrence: Occurrence) -> None:
        self._deadlines.start(Timer.IDLE_HOLD, occurrence.now + self._idle_hold_time)

    def _start_again(self, occurrence: Occurrence) -> None:
        """The rest is over: the start that was held back happens, before anything else can."""
        start = Input.AUTOMATIC_START_PASSIVE if self._is_passive else Input.AUTOMATIC_START
        self._step(Occurrence(start, occurrence.now))

    def _start_large_hold(self, occurrence: Occurrence) -> None:
        self._deadlines.start(Timer.HOLD, occurrence.now + self.config.open_time)

    def _start_negotiated_hold(self, occurrence: Occurrence) -> None:
        """Also end the large hold time where the negotiated one is zero (RFC 4271 section 4.2)."""
        self._deadlines.stop(Timer.HOLD)
        self._restart_hold(occurrence)

    def _restart_hold(self, occurrence: Occurrence) -> None:
        negotiated = self.negotiated
        if negotiated is not None and negotiated.hold_time:
            self._deadlines.start(Timer.HOLD, occurrence.now + negotiated.hold_time)

    def _begin_send_hold(self, occurrence: Occurrence) -> None:
        self._start_send_hold(occurrence.now)

    def _start_send_hold(self, now: float) -> None:
        send_hold_time = self.config.effective_send_hold_time(self.negotiated.hold_time if self.negotiated else 0)
        if send_hold_time:
            self._deadlines.start(Timer.SEND_HOLD, now + send_hold_time)

    def _stop_timers(self, _: Occurrence) -> None:
        self._deadlines.stop_all()

    def _send_open(self, _: Occurrence) -> None:
        self.open_sent = build_open(self.config, self._restart_state())
        self._queue(encode(self.open_sent))

    def _send_keepalive(self, occurrence: Occurrence) -> None:
        self._queue(_KEEPALIVE)
        self._restart_keepalive(occurrence.now)

    def _restart_keepalive(self, now: float) -> None:
        """RFC 4271 section 4.4: there are none without a hold time."""
        if self.negotiated is not None and self.negotiated.hold_time:
            self._deadlines.start(Timer.KEEPALIVE, self._pace.next_keepalive(now, self.negotiated.hold_time))

    def _queue(self, octets: bytes) -> None:
        self.counters.count_sent(octets)
        self._outgoing_octets.append(octets)

    def _notify(self, occurrence: Occurrence) -> None:
        """Queue the NOTIFICATION that came with the input."""
        if occurrence.notification is None:
            return
        occurrence.sent = wrap(occurrence.notification, self.negotiated if self._established_at is not None else None)
        if not occurrence.text and occurrence.input is not Input.MANUAL_STOP:
            occurrence.text = f"BGP Error: {describe(occurrence.sent)}"
        self._queue(encode(occurrence.sent, self.negotiated))

    def _notify_with(self, occurrence: Occurrence, code: ErrorCode, subcode: int = 0, data: bytes = b"") -> None:
        occurrence.notification = Notification(code, subcode, data)
        occurrence.text = ""
        self._notify(occurrence)

    def _notify_hold_expired(self, occurrence: Occurrence) -> None:
        self._notify_with(occurrence, ErrorCode.HOLD_TIMER_EXPIRED)

    def _notify_send_hold_expired(self, occurrence: Occurrence) -> None:
        self._notify_with(occurrence, ErrorCode.SEND_HOLD_TIMER_EXPIRED)

    def _notify_fsm_error(self, occurrence: Occurrence) -> None:
        self._notify_with(occurrence, ErrorCode.FINITE_STATE_MACHINE, FsmSubcode.UNSPECIFIED)

    def _notify_unexpected(self, occurrence: Occurrence, subcode: FsmSubcode) -> None:
        """RFC 6608 section 4: the data is the type of the message that nobody expected."""
        self._notify_with(occurrence, ErrorCode.FINITE_STATE_MACHINE, subcode, bytes([occurrence.message_type]))

    def _notify_unexpected_in_open_sent(self, occurrence: Occurrence) -> None:
        self._notify_unexpected(occurrence, FsmSubcode.OPEN_SENT)

    def _notify_unexpected_in_open_confirm(self, occurrence: Occurrence) -> None:
        self._notify_unexpected(occurrence, FsmSubcode.OPEN_CONFIRM)

    def _notify_unexpected_in_established(self, occurrence: Occurrence) -> None:
        self._notify_unexpected(occurrence, FsmSubcode.ESTABLISHED)

    def _announce_up(self, occurrence: Occurrence) -> None:
        self._established_at = occurrence.now
        if self.negotiated is not None:
            self._read_runs(self.negotiated)
        if self.negotiated and self.open_received and self.open_sent:
            self._events.append(SessionUp(self.negotiated, self.open_received, self.open_sent))

    def _read_runs(self, negotiated: Negotiated) -> None:
        self._run_reader = RunReader(negotiated, self.store) if can_read_runs(negotiated) else None

    def _announce_down(self, occurrence: Occurrence) -> None:
        retained = self._retained(occurrence)
        restart_time = stale_time = 0.0
        if retained and self.config.graceful_restart and self.negotiated and self.negotiated.graceful_restart:
            ours, theirs = self.config.graceful_restart, self.negotiated.graceful_restart
            restart_time, stale_time = min(theirs.restart_time, ours.maximum_restart_time), ours.stale_time
        reason = REASONS.get(occurrence.input, DownReason.PROTOCOL_ERROR)
        sent, received = occurrence.sent, occurrence.received
        self._events.append(
            SessionDown(
                reason,
                occurrence.text,
                sent,
                received,
                retained.families,
                float(restart_time),
                stale_time,
                retained.long_lived,
            )
        )

    def _deliver(self, occurrence: Occurrence) -> None:
        message = occurrence.message
        if isinstance(message, Update):
            self._events.append(UpdateReceived(message))
        elif isinstance(message, RouteRefresh) and self.negotiated and message.family in self.negotiated.families:
            self._events.append(RefreshReceived(message))

    _ACTIONS: ClassVar[Mapping[Do, Callable[[Session, Occurrence], None]]] = {
        Do.RESET_RETRY_COUNTER: _reset_retry_counter,
        Do.COUNT_FAILURE: _count_failure,
        Do.CONNECT: _connect,
        Do.DROP: _drop,
        Do.ABORT: _abort,
        Do.START_CONNECT_RETRY: _start_connect_retry,
        Do.START_FAST_CONNECT_RETRY: _start_fast_connect_retry,
        Do.STOP_CONNECT_RETRY: _stop_connect_retry,
        Do.START_DELAY_OPEN: _start_delay_open,
        Do.STOP_DELAY_OPEN: _stop_delay_open,
        Do.START_IDLE_HOLD: _start_idle_hold,
        Do.START_AGAIN: _start_again,
        Do.START_LARGE_HOLD: _start_large_hold,
        Do.START_NEGOTIATED_HOLD: _start_negotiated_hold,
        Do.RESTART_HOLD: _restart_hold,
        Do.START_SEND_HOLD: _begin_send_hold,
        Do.STOP_TIMERS: _stop_timers,
        Do.SEND_OPEN: _send_open,
        Do.SEND_KEEPALIVE: _send_keepalive,
        Do.NOTIFY: _notify,
        Do.NOTIFY_HOLD_EXPIRED: _notify_hold_expired,
        Do.NOTIFY_SEND_HOLD_EXPIRED: _notify_send_hold_expired,
        Do.NOTIFY_FSM_ERROR: _notify_fsm_error,
        Do.NOTIFY_UNEXPECTED_IN_OPEN_SENT: _notify_unexpected_in_open_sent,
        Do.NOTIFY_UNEXPECTED_IN_OPEN_CONFIRM: _notify_unexpected_in_open_confirm,
        Do.NOTIFY_UNEXPECTED_IN_ESTABLISHED: _notify_unexpected_in_established,
        Do.ANNOUNCE_UP: _announce_up,
        Do.ANNOUNCE_DOWN: _announce_down,
        Do.DELIVER: _deliver,
    }
