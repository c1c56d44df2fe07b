"""A session of yours and a scripted peer, joined in memory: no sockets, and time passes when you say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.errors import LocalError
from pybgp.session.events import Close, SessionUp
from pybgp.session.state_machine import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.session.events import Event
    from pybgp.session.session import Session
    from pybgp.testing.scripted_peer import ScriptedPeer

#: Rounds without time in which two sides may answer each other; more is a quarrel without end.
_MOST_ROUNDS = 1000


class SessionPair:
    """Carries octets both ways at once, and runs the timers of both sides in virtual time.

    ``now`` is the time in seconds; ``events`` is all that your session reported, with the time of each.
    """

    def __init__(self, session: Session, peer: ScriptedPeer) -> None:
        """Nothing happens before `connect`."""
        self.session = session
        self.peer = peer
        self.now = 0.0
        self.events: list[tuple[float, Event]] = []
        #: What the session has sent and a peer that does not read has not taken.
        self.unread = bytearray()

    def connect(self) -> None:
        """Start your session, let both see the connection, and carry what they say at once."""
        if self.session.state is State.IDLE:
            self._note(self.session.start(self.now))
        self.peer.connection_made(self.now)
        self._note(self.session.connection_made(self.now))
        self.exchange()

    def establish(self) -> SessionUp:
        """Connect, and return what your session reports as agreed; LocalError if it does not come up."""
        self.connect()
        for _, event in reversed(self.events):
            if isinstance(event, SessionUp) and self.session.state is State.ESTABLISHED:
                return event
        raise LocalError(f"the session is in {self.session.state}, the peer in {self.peer.state}")

    def exchange(self) -> None:
        """Carry octets until neither side has any."""
        for _ in range(_MOST_ROUNDS):
            if not (self._carry_to_peer() | self._carry_to_session()):
                return
        raise LocalError(f"the two sides still talk after {_MOST_ROUNDS} rounds at {self.now} s")

    def advance(self, seconds: float) -> None:
        """Let time pass: every timer of both sides rings when it is due, and is answered before the next."""
        end = self.now + seconds
        self.exchange()
        while (due := self._next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self._note(self.session.handle_timer(self.now))
            self.peer.handle_timer(self.now)
            self.exchange()
        self.now = end

    def run_until(self, condition: Callable[[], bool], longest: float = 600.0) -> float:
        """Let time pass from timer to timer until something holds, and return when; LocalError if it never does."""
        end = self.now + longest
        self.exchange()
        while not condition():
            due = self._next_timer()
            if due is None or due > end:
                raise LocalError(f"not within {longest} s: the session is in {self.session.state} at {self.now} s")
            self.advance(max(0.0, due - self.now))
        return self.now

    def _next_timer(self) -> float | None:
        return min(
            (due for due in (self.session.next_timer(), self.peer.next_timer()) if due is not None), default=None
        )

    def _carry_to_peer(self) -> bool:
        octets = self.session.data_to_send()
        self.unread += octets
        if not self.unread or not self.peer.is_reading or not self.peer.is_connected:
            return False
        carried, self.unread = bytes(self.unread), bytearray()
        self.session.bytes_written(self.now)
        self.peer.receive_data(carried, self.now)
        return True

    def _carry_to_session(self) -> bool:
        octets = self.peer.data_to_send()
        if octets:
            self._note(self.session.receive_data(octets, self.now))
        if self.peer.wants_close and self.session.is_connected:
            aborted = self.peer.aborts
            cause = "Socket: Connection reset by peer"
            now = self.now
            self._note(self.session.connection_failed(now, cause) if aborted else self.session.receive_eof(now))
            return True
        return bool(octets)

    def _note(self, events: list[Event]) -> None:
        self.events += ((self.now, event) for event in events)
        for event in events:
            if isinstance(event, Close):
                self._carry_to_peer()
                if self.peer.is_connected:
                    self.peer.receive_eof(self.now)
