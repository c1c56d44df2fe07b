"""Two neighbours joined by TCP connections that exist only here: virtual time, latency, loss, clocks that disagree."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from random import Random

from pybgp.session.config import PeerConfig
from pybgp.session.events import Close, Connect, Event, SessionDown, SessionUp
from pybgp.session.neighbor import Neighbor
from pybgp.session.session import Session


class End:
    """One end of a connection."""

    def __init__(self, node: Node, session: Session) -> None:
        self.node = node
        self.session = session
        self.other: End | None = None
        self.is_open = True


class Node:
    """A neighbour with a clock of its own."""

    def __init__(self, network: Network, config: PeerConfig, rate: float, offset: float) -> None:
        self.network = network
        self.neighbor = Neighbor(config, random=network.random.random)
        self.rate = rate
        self.offset = offset
        self.ends: dict[Session, End] = {}
        self.events: list[Event] = []
        self.alarm = 0

    @property
    def now(self) -> float:
        return self.network.time * self.rate + self.offset

    def run(self, events: Iterable[Event]) -> None:
        """What a shell does: send, connect, close, set the alarm."""
        for end in list(self.ends.values()):
            self.flush(end)
        for event in events:
            if isinstance(event, Connect):
                self.network.connect(self, event.session)
            elif isinstance(event, Close):
                self.close(event.session)
            elif isinstance(event, SessionUp | SessionDown):
                self.events.append(event)
        self.set_alarm()

    def flush(self, end: End) -> None:
        octets = end.session.data_to_send()
        if octets:
            end.session.bytes_written(self.now)
        if octets and end.other is not None:
            self.network.carry(end.other, octets)

    def close(self, session: Session) -> None:
        end = self.ends.pop(session, None)
        if end is None:
            self.network.abandoned.add(session)
            return
        self.flush(end)
        end.is_open = False
        if end.other is not None:
            self.network.carry(end.other, None)

    def set_alarm(self) -> None:
        """Only the alarm that was set last rings."""
        self.alarm += 1
        alarm, due = self.alarm, self.neighbor.next_timer()
        if due is not None:
            self.network.later((due - self.offset) / self.rate - self.network.time, lambda: self.ring(alarm))

    def ring(self, alarm: int) -> None:
        if alarm == self.alarm:
            self.run(self.neighbor.handle_timer(self.now))


class Network:
    """A queue of what happens next; octets of one connection arrive in order, but in pieces."""

    def __init__(self, seed: int, left: PeerConfig, right: PeerConfig) -> None:
        self.random = Random(seed)
        self.time = 0.0
        self.abandoned: set[Session] = set()
        self._order = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._arrival: dict[End, float] = {}
        clock = self.random.uniform
        self.nodes = tuple(
            Node(self, config, clock(0.98, 1.02), clock(0.0, 1e6)) for config in (left, right)
        )  # fmt: skip

    def later(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.time + max(delay, 0.0), next(self._order), act))

    def run_until(self, end: float) -> None:
        while self._queue and self._queue[0][0] <= end:
            self.time, _, act = heapq.heappop(self._queue)
            act()
        self.time = end

    def latency(self) -> float:
        return self.random.choice((0.0, 0.001, 0.01, 0.3))

    def connect(self, node: Node, session: Session) -> None:
        self.abandoned.discard(session)
        self.later(self.latency(), lambda: self.arrive(node, session))

    def arrive(self, node: Node, session: Session) -> None:
        """The SYN is at the other side, which takes it or not; the answer needs time as well."""
        if session in self.abandoned:
            return
        other = self.nodes[1] if node is self.nodes[0] else self.nodes[0]
        accepted, events = other.neighbor.accept(other.now)
        if accepted is None:
            self.later(self.latency(), lambda: self.refuse(node, session))
            return
        here, there = End(node, session), End(other, accepted)
        here.other, there.other = there, here
        other.ends[accepted] = there
        self.deliver(here, lambda: self.made(here))
        other.run(events)

    def refuse(self, node: Node, session: Session) -> None:
        if session not in self.abandoned:
            text = "Socket: Connection refused"
            node.run(node.neighbor.connection_failed(session, node.now, text))

    def made(self, end: End) -> None:
        if end.session in self.abandoned:
            end.is_open = False
            if end.other is not None:
                self.carry(end.other, None)
            return
        end.node.ends[end.session] = end
        end.node.run(end.node.neighbor.connection_made(end.session, end.node.now))

    def deliver(self, end: End, act: Callable[[], None]) -> None:
        """Not before anything that was sent to the same end earlier."""
        at = max(self.time + self.latency(), self._arrival.get(end, 0.0))
        self._arrival[end] = at
        self.later(at - self.time, act)

    def carry(self, end: End, octets: bytes | None) -> None:
        """Octets in two pieces, or None for the end of the stream."""
        if octets is None:
            self.deliver(end, lambda: self.hang_up(end))
            return
        cut = self.random.randint(0, len(octets))
        for piece in (octets[:cut], octets[cut:]):
            self.deliver(end, lambda piece=piece: self.receive(end, piece))  # type: ignore[misc]

    def receive(self, end: End, octets: bytes) -> None:
        if end.is_open:
            node = end.node
            node.run(node.neighbor.receive_data(end.session, octets, node.now))

    def hang_up(self, end: End) -> None:
        if end.is_open:
            end.node.run(end.node.neighbor.receive_eof(end.session, end.node.now))

    def cut(self, node: Node) -> None:
        """One end fails; the other learns of it, or has to find out by its hold timer."""
        if not node.ends:
            return
        session, end = self.random.choice(list(node.ends.items()))
        del node.ends[session]
        end.is_open = False
        other = end.other
        node.run(node.neighbor.connection_failed(session, node.now, "Socket: Connection reset by peer"))
        if other is not None and self.random.random() < 0.7:
            self.carry(other, None)
        elif other is not None:
            other.other = None
