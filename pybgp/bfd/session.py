"""One BFD session without I/O: packets and the time go in, packets and changes of state come out (RFC 5880)."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.bfd.authentication import Authenticator
from pybgp.bfd.packet import ControlPacket, Diagnostic, Discard, DiscardError, SessionState, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pybgp.bfd.config import BfdConfig

_MICROSECOND: Final = 1e-6
#: RFC 5880 section 6.8.3: the fastest that we send while the session is not Up.
_SLOW: Final = 1_000_000
#: RFC 5880 section 6.8.1: what the remote system can take before it has said so.
_UNKNOWN_MIN_RX: Final = 1
_ADMIN_DOWN, _DOWN, _INIT, _UP = SessionState
_NEIGHBOR_DOWN: Final = Diagnostic.NEIGHBOR_SIGNALED_DOWN


class Transition(NamedTuple):
    """A state, and why it was entered."""

    state: SessionState
    diagnostic: Diagnostic = Diagnostic.NONE


#: RFC 5880 section 6.8.6: (our state, the state in the packet); what is absent changes nothing.
TRANSITIONS: Final[Mapping[tuple[SessionState, SessionState], Transition]] = {
    (_DOWN, _DOWN): Transition(_INIT),
    (_DOWN, _INIT): Transition(_UP),
    (_INIT, _ADMIN_DOWN): Transition(_DOWN, _NEIGHBOR_DOWN),
    (_INIT, _INIT): Transition(_UP),
    (_INIT, _UP): Transition(_UP),
    (_UP, _ADMIN_DOWN): Transition(_DOWN, _NEIGHBOR_DOWN),
    (_UP, _DOWN): Transition(_DOWN, _NEIGHBOR_DOWN),
}


class StateChanged(NamedTuple):
    """The session went from one state to another."""

    old: SessionState
    new: SessionState
    diagnostic: Diagnostic
    #: What the remote system said last.
    remote_state: SessionState

    @property
    def is_failure(self) -> bool:
        """Whether the path is lost, rather than the session ended by either operator (RFC 5882)."""
        return self.old is _UP and self.new is _DOWN and self.remote_state is not _ADMIN_DOWN


class Session:
    """The asynchronous mode of RFC 5880; we never ask for demand mode or echo.

    Times are seconds, intervals inside are microseconds as in the packets.  What is to be sent waits in
    ``packets_to_send``; the caller takes it after every call that can change something.
    """

    __slots__ = (
        "_authenticator",
        "_deadline",
        "_ends_at",
        "_in_force_rx",
        "_in_force_tx",
        "_is_polling",
        "_next_transmission",
        "_outgoing",
        "_polls_again",
        "_random",
        "_received_at",
        "_wanted_rx",
        "_wanted_tx",
        "config",
        "diagnostic",
        "discarded",
        "local_discriminator",
        "received",
        "remote_demand",
        "remote_desired_tx",
        "remote_diagnostic",
        "remote_discriminator",
        "remote_min_rx",
        "remote_multiplier",
        "remote_state",
        "sent",
        "state",
    )

    def __init__(self, config: BfdConfig, local_discriminator: int, *, random: Callable[[], float] = random) -> None:
        """Nothing is sent before ``start``; ``local_discriminator`` is unique here, not 0, and better random."""
        self.config = config
        self.local_discriminator = local_discriminator
        self.state = _DOWN
        self.diagnostic = Diagnostic.NONE
        self.remote_state = _DOWN
        self.remote_diagnostic = 0
        self.remote_discriminator = 0
        self.remote_min_rx = _UNKNOWN_MIN_RX
        self.remote_desired_tx = 0
        self.remote_multiplier = 0
        self.remote_demand = False
        self.sent = 0
        self.received = 0
        self.discarded: dict[Discard, int] = {}
        self._random = random
        first_sequence = int(random() * 0xFFFFFFFF)
        key = config.authentication
        self._authenticator = Authenticator(key, first_sequence) if key is not None else None
        self._wanted_tx = self._in_force_tx = max(_microseconds(config.transmit_interval), _SLOW)
        self._wanted_rx = self._in_force_rx = _microseconds(config.receive_interval)
        self._is_polling = False
        self._polls_again = False
        self._received_at: float | None = None
        self._deadline: float | None = None
        self._next_transmission: float | None = None
        self._ends_at: float | None = None
        self._outgoing: list[bytes] = []

    # What happens to a session.

    def start(self, now: float) -> None:
        """Begin to send, unless the role is passive."""
        if self._is_silent:
            return
        self._transmit()
        self._next_transmission = now + self._gap()

    def stop(self, now: float) -> list[StateChanged]:
        """Tell the remote system that this is meant, for at least one detection time (RFC 5880 section 6.8.16)."""
        events = self._enter(Transition(_ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN), now)
        if self._ends_at is None:
            self._ends_at = now + self.config.multiplier * self.transmit_interval
        return events

    def resume(self, now: float) -> list[StateChanged]:
        """Take ``stop`` back."""
        self._ends_at = None
        return self._enter(Transition(_DOWN), now) if self.state is _ADMIN_DOWN else []

    def configure(self, config: BfdConfig, now: float) -> None:
        """Change the intervals of a running session; the remote system is polled (RFC 5880 section 6.8.3)."""
        self.config = config
        self._want(now)
        if not self._is_silent:
            self._transmit()

    def receive(self, octets: bytes, packet: ControlPacket, now: float) -> list[StateChanged]:
        """Take a packet that was selected for this session (RFC 5880 section 6.8.6, from the authentication on)."""
        try:
            self._check_authentication(octets, packet, now)
        except DiscardError as error:
            self.discard(error)
            return []
        self.received += 1
        self._learn(packet, now)
        if packet.final:
            self._end_poll(now)
        self._schedule(now)
        if self.state is _ADMIN_DOWN:
            return []
        step = TRANSITIONS.get((self.state, packet.state))
        events = self._enter(step, now) if step is not None else []
        self._schedule(now)
        if packet.poll:
            self._transmit(final=True)
        return events

    def handle_timer(self, now: float) -> list[StateChanged]:
        """Act on every timer that is due."""
        events: list[StateChanged] = []
        if self._deadline is not None and now >= self._deadline:
            events = self._lose(now)
        if self._next_transmission is not None and now >= self._next_transmission:
            self._next_transmission = None
            if self._is_periodic:
                if not events:  # a change has just been told by a packet of its own
                    self._transmit()
                self._next_transmission = now + self._gap()
        return events

    def next_timer(self) -> float | None:
        """When ``handle_timer`` wants to be called; None: not before something else happens."""
        deadlines = [at for at in (self._deadline, self._next_transmission, self._ends_at) if at is not None]
        return min(deadlines, default=None)

    def packets_to_send(self) -> list[bytes]:
        """Return the packets that are to be sent now, and forget them."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def discard(self, error: DiscardError) -> None:
        """Count a packet that has no effect."""
        self.discarded[error.rule] = self.discarded.get(error.rule, 0) + 1

    # What may be asked of a session.

    @property
    def transmit_interval(self) -> float:
        """Seconds between two periodic packets, before jitter (RFC 5880 section 6.8.2)."""
        return max(self._in_force_tx, self.remote_min_rx) * _MICROSECOND

    @property
    def detection_time(self) -> float:
        """Seconds of silence after which the session is lost (RFC 5880 section 6.8.4); 0 before the first packet."""
        return self.remote_multiplier * max(self._in_force_rx, self.remote_desired_tx) * _MICROSECOND

    @property
    def is_stopping(self) -> bool:
        """Whether ``stop`` was called and not taken back."""
        return self._ends_at is not None

    def is_over(self, now: float) -> bool:
        """Whether a stopped session has said so for long enough."""
        return self._ends_at is not None and now >= self._ends_at

    # Receiving.

    def _check_authentication(self, octets: bytes, packet: ControlPacket, now: float) -> None:
        if self._authenticator is None:
            if packet.authentication is not None:
                raise DiscardError(Discard.AUTHENTICATION, "present, none configured")
            return
        if self._received_at is not None and now - self._received_at >= 2 * self.detection_time:
            self._authenticator.forget()
        self._authenticator.verify(octets, packet)

    def _learn(self, packet: ControlPacket, now: float) -> None:
        self.remote_discriminator = packet.my_discriminator
        self.remote_state = packet.state
        self.remote_diagnostic = packet.diagnostic
        self.remote_demand = packet.demand
        self.remote_min_rx = packet.required_min_rx
        self.remote_desired_tx = packet.desired_min_tx
        self.remote_multiplier = packet.multiplier
        self._received_at = now
        self._deadline = now + self.detection_time

    def _lose(self, now: float) -> list[StateChanged]:
        """A detection time of silence: forget the remote system, and leave Init or Up (RFC 5880 section 6.8.1)."""
        self._deadline = None
        self.remote_discriminator = 0
        self.remote_min_rx = _UNKNOWN_MIN_RX
        self.remote_demand = False
        self.remote_state = _DOWN
        events: list[StateChanged] = []
        if self.state in (_INIT, _UP):
            events = self._enter(Transition(_DOWN, Diagnostic.DETECTION_TIME_EXPIRED), now)
        self._schedule(now)
        return events

    def _enter(self, step: Transition, now: float) -> list[StateChanged]:
        if self.state is step.state:
            return []
        event = StateChanged(self.state, step.state, step.diagnostic, self.remote_state)
        self.state, self.diagnostic = step
        self._want(now)
        if not self._is_silent:
            self._transmit()
        return [event]

    # Intervals and polls.

    def _want(self, now: float) -> None:
        """Settle what we ask for; a change is polled for, and some changes wait for the poll's end."""
        wanted_tx = _microseconds(self.config.transmit_interval)
        if self.state is not _UP:
            wanted_tx = max(wanted_tx, _SLOW)
        wanted_rx = _microseconds(self.config.receive_interval)
        if (wanted_tx, wanted_rx) != (self._wanted_tx, self._wanted_rx):
            self._wanted_tx, self._wanted_rx = wanted_tx, wanted_rx
            self._polls_again = self._is_polling
            self._is_polling = True
        is_up = self.state is _UP
        if not is_up or wanted_tx < self._in_force_tx:
            self._in_force_tx = wanted_tx
        if not is_up or wanted_rx > self._in_force_rx:
            self._in_force_rx = wanted_rx
        self._extend()
        self._schedule(now)

    def _end_poll(self, now: float) -> None:
        """The remote system has heard what we ask for (RFC 5880 section 6.5)."""
        if not self._is_polling:
            return
        if self._polls_again:
            self._polls_again = False
            return
        self._is_polling = False
        self._in_force_tx, self._in_force_rx = self._wanted_tx, self._wanted_rx
        self._extend()
        self._schedule(now)

    def _extend(self) -> None:
        if self._received_at is not None and self._deadline is not None:
            self._deadline = self._received_at + self.detection_time

    # Sending.

    @property
    def _is_silent(self) -> bool:
        return self.config.passive and not self.remote_discriminator

    @property
    def _is_periodic(self) -> bool:
        """Whether packets go out by themselves (RFC 5880 section 6.8.7)."""
        if self._is_silent or not self.remote_min_rx:
            return False
        in_demand = self.remote_demand and self.state is _UP and self.remote_state is _UP
        return not in_demand or self._is_polling

    def _gap(self) -> float:
        """One interval less a random part, so that systems do not fall into step (RFC 5880 section 6.8.7)."""
        longest = 0.90 if self.config.multiplier == 1 else 1.00
        return self.transmit_interval * (0.75 + (longest - 0.75) * self._random())

    def _schedule(self, now: float) -> None:
        """See to it that the next periodic packet comes, and comes soon enough for the interval in force."""
        if not self._is_periodic:
            self._next_transmission = None
        elif self._next_transmission is None or self._next_transmission > now + self.transmit_interval:
            self._next_transmission = now + self._gap()

    def _transmit(self, *, final: bool = False) -> None:
        packet = ControlPacket(
            state=self.state,
            multiplier=self.config.multiplier,
            my_discriminator=self.local_discriminator,
            your_discriminator=self.remote_discriminator,
            desired_min_tx=self._wanted_tx,
            required_min_rx=self._wanted_rx,
            diagnostic=self.diagnostic,
            poll=self._is_polling and not final,
            final=final,
        )
        self._outgoing.append(encode(packet) if self._authenticator is None else self._authenticator.sign(packet))
        self.sent += 1


def _microseconds(seconds: float) -> int:
    return round(seconds / _MICROSECOND)
