"""Two sessions that talk in memory, one of them recorded."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from pybgp.formats.mrt import Ends
from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.events import Event
from pybgp.session.session import Session
from pybgp.tools.recorder import JsonRecorder, MrtRecorder
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AddPathMode, Origin
from pybgp.wire.messages import encode_updates, end_of_rib

START = 1_700_000_000.25
ENDS = Ends(65002, 65001, bytes([192, 0, 2, 2]), bytes([192, 0, 2, 1]))
BOTH_WAYS = ((IPV4_UNICAST, AddPathMode.BOTH),)
ROUTE = Attributes.build({1: Origin.IGP, 2: AsPath.sequence(65002)}, bytes([192, 0, 2, 2]))
OWN_ROUTE = Attributes.build({1: Origin.IGP, 2: AsPath.sequence(65001)}, bytes([192, 0, 2, 1]))


def configs(*, four_octet_as: bool = True, add_path: bool = False) -> tuple[PeerConfig, PeerConfig]:
    modes = BOTH_WAYS if add_path else ()
    ours = PeerConfig(
        "192.0.2.2", 65002, 65001, 1, graceful_restart=GracefulRestartConfig(families=()), add_path=modes, hostname="us"
    )
    theirs = PeerConfig("192.0.2.1", 65001, 65002, 2, four_octet_as=four_octet_as, add_path=modes)
    return ours, theirs


@dataclass
class Talk:
    """What happened, and both recordings of it."""

    ours: Session
    theirs: Session
    now: float = START
    events: list[Event] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    json_file: io.StringIO = field(default_factory=io.StringIO)
    mrt_file: io.BytesIO = field(default_factory=io.BytesIO)

    def __post_init__(self) -> None:
        clock = lambda: self.now  # noqa: E731  # a clock that the test sets
        self.recorders = (JsonRecorder(self.json_file, ENDS, clock), MrtRecorder(self.mrt_file, ENDS, clock))

    def connect(self) -> None:
        for session in (self.theirs, self.ours):
            session.start(self.now, automatic=True)
        self.theirs.connection_made(self.now)
        self.events += self.ours.connection_made(self.now)
        for _ in range(4):
            self.exchange()

    def exchange(self) -> None:
        self.now += 0.125
        if octets := self.ours.data_to_send():
            for recorder in self.recorders:
                recorder.sent(octets)
            self.sent.append(octets)
            self.theirs.receive_data(octets, self.now)
        if octets := self.theirs.data_to_send():
            self.receive(octets)

    def receive(self, octets: bytes) -> None:
        for recorder in self.recorders:
            recorder.received(octets)
        self.events += self.ours.receive_data(octets, self.now)

    def wait(self, seconds: float) -> None:
        """Let both sides' timers fire in their time."""
        end = self.now + seconds
        while (due := min(filter(None, (self.ours.next_timer(), self.theirs.next_timer())))) < end:
            self.now = due
            self.theirs.handle_timer(due)
            self.events += self.ours.handle_timer(due)
            self.exchange()
        self.now = end

    def end(self) -> None:
        self.now += 1.0
        if octets := self.ours.data_to_send():
            self.sent.append(octets)
            for recorder in self.recorders:
                recorder.sent(octets)
        for recorder in self.recorders:
            recorder.ended()
        self.events += self.ours.receive_eof(self.now)


def talk(*, four_octet_as: bool = True, add_path: bool = False) -> Talk:
    """A session that comes up, hears and tells of routes, and lives for more than a minute."""
    ours, theirs = configs(four_octet_as=four_octet_as, add_path=add_path)
    found = Talk(Session(ours, random=lambda: 1.0), Session(theirs, random=lambda: 1.0))
    found.connect()
    front = b"\0\0\0\x09" if add_path else b""
    for session, route, octet in ((found.theirs, ROUTE, 10), (found.ours, OWN_ROUTE, 11)):
        assert session.negotiated is not None
        for octets in encode_updates(IPV4_UNICAST, [front + bytes([8, octet])], route, session.negotiated):
            session.send(octets, found.now)
        session.send(end_of_rib(IPV4_UNICAST), found.now)
    found.exchange()
    found.wait(70.0)
    return found
