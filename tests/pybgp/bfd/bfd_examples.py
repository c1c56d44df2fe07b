"""Two BFD sessions in virtual time over a link that loses, delays and reorders packets."""

from __future__ import annotations

import heapq
from random import Random

from pybgp.bfd.config import BfdConfig
from pybgp.bfd.packet import ControlPacket, SessionState, decode
from pybgp.bfd.session import Session, StateChanged

FAST = BfdConfig()
LEFT, RIGHT = 0x11111111, 0x22222222


def packet(session: Session | None = None, **changes: object) -> ControlPacket:
    """A packet as a neighbour of a session would send it: Down, 1 s, mult 3."""
    fields: dict[str, object] = {
        "state": SessionState.DOWN,
        "multiplier": 3,
        "my_discriminator": RIGHT,
        "your_discriminator": 0 if session is None else session.local_discriminator,
        "desired_min_tx": 1_000_000,
        "required_min_rx": 300_000,
    }
    return ControlPacket(**fields | changes)  # type: ignore[arg-type]


def sent(session: Session) -> list[ControlPacket]:
    """What a session sends, decoded."""
    return [decode(octets) for octets in session.packets_to_send()]


def started(config: BfdConfig = FAST, random: float = 1.0) -> Session:
    session = Session(config, LEFT, random=lambda: random)
    session.start(0.0)
    session.packets_to_send()
    return session


def brought_up(config: BfdConfig = FAST, now: float = 0.0, **changes: object) -> Session:
    """A session that is Up at ``now``, its poll answered; the neighbour sends and takes a packet each 300 ms."""
    session = started(config)
    fast = {"desired_min_tx": 300_000, **changes}
    session.receive(b"", packet(session, state=SessionState.INIT, **fast), now)
    session.receive(b"", packet(session, state=SessionState.UP, final=True, **fast), now)
    session.packets_to_send()
    assert session.state is SessionState.UP
    return session


class Link:
    """Both ends of a link and its clock."""

    def __init__(self, left: BfdConfig, right: BfdConfig, seed: int = 0) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.loss = 0.0
        self.longest_delay = 0.0
        self.is_cut = [False, False]
        self.ends = [
            Session(config, number, random=self.random.random) for config, number in ((left, LEFT), (right, RIGHT))
        ]
        self.events: list[tuple[float, int, StateChanged]] = []
        self.transmissions: list[tuple[float, int, ControlPacket]] = []
        self._in_flight: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    @property
    def states(self) -> tuple[SessionState, SessionState]:
        return self.ends[0].state, self.ends[1].state

    def start(self) -> None:
        for end in self.ends:
            end.start(self.now)
        self.pump()

    def pump(self) -> None:
        """Carry what both want to send; losing it, or delivering it later."""
        for number, end in enumerate(self.ends):
            for octets in end.packets_to_send():
                self.transmissions.append((self.now, number, decode(octets)))
                if self.is_cut[number] or self.random.random() < self.loss:
                    continue
                self._count += 1
                at = self.now + self.random.random() * self.longest_delay
                heapq.heappush(self._in_flight, (at, self._count, 1 - number, octets))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            self._step()
        self.now = end

    def record(self, number: int, events: list[StateChanged]) -> None:
        self.events += [(self.now, number, event) for event in events]

    def _next(self) -> float | None:
        living = [end for end in self.ends if not end.is_over(self.now)]
        times = [at for end in living if (at := end.next_timer()) is not None]
        return min(times + [item[0] for item in self._in_flight[:1]], default=None)

    def _step(self) -> None:
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, number, octets = heapq.heappop(self._in_flight)
            self.record(number, self.ends[number].receive(octets, decode(octets), self.now))
        for number, end in enumerate(self.ends):
            self.record(number, end.handle_timer(self.now))
        self.pump()
