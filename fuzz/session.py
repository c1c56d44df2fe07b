"""Any octets from a peer, in every state, however they are cut: the same events, and nothing raises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

from fuzz.messages import VALID
from fuzz.strategies import any_octets
from fuzz.target import Target
from pybgp.session.config import GracefulRestartConfig, PeerConfig, RestartState
from pybgp.session.events import Event, SessionEnded, UpdateReceived
from pybgp.session.opening import build_open
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Keepalive, encode, end_of_rib

FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)
OURS = PeerConfig("192.0.2.2", 65002, 65001, 1, families=FAMILIES, graceful_restart=GracefulRestartConfig())
THEIRS = PeerConfig("192.0.2.1", 65001, 65002, 2, families=FAMILIES, graceful_restart=GracefulRestartConfig())
THEIR_OPEN = encode(build_open(THEIRS, RestartState()))
KEEPALIVE = encode(Keepalive())
STATES = (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED)


def session_in(state: State) -> Session:
    """A session that waits for octets in this state."""
    session = Session(OURS, random=lambda: 1.0)
    session.start(0.0)
    session.connection_made(0.0)
    if state >= State.OPEN_CONFIRM:
        session.receive_data(THEIR_OPEN, 0.0)
    if state >= State.ESTABLISHED:
        session.receive_data(KEEPALIVE, 0.0)
    session.data_to_send()
    return session


def in_words(event: Event) -> str:
    """An event without the objects that differ between two sessions."""
    if isinstance(event, SessionEnded):
        return f"ended {event.reason} {event.counted} {event.retained} {event.sent} {event.received}"
    if isinstance(event, UpdateReceived):
        update = event.update
        attributes = update.attributes and (update.attributes.block, update.attributes.next_hop)
        return f"update {update.withdrawn} {update.announced} {attributes} {update.faults} {update.end_of_rib}"
    return type(event).__name__ if hasattr(event, "session") else repr(event)


def outcome(state: State, chunks: Iterable[bytes]) -> tuple[list[str], bytes, State, dict[str, float]]:
    """What a session makes of a stream."""
    session = session_in(state)
    events: list[Event] = []
    for chunk in chunks:
        events += session.receive_data(chunk, 1.0)
    return [in_words(event) for event in events], session.data_to_send(), session.state, session.timers(1.0)


def kinds(octets: bytes) -> Iterator[int]:
    """The message types of what a session sent."""
    framer = Framer()
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        yield message[18]


def check(octets: bytes) -> None:
    for state in STATES:
        whole = outcome(state, [octets])
        assert whole == outcome(state, (octets[place : place + 1] for place in range(len(octets))))
        assert whole == outcome(state, [octets[:31], octets[31:]])
        sent = list(kinds(whole[1]))
        assert sent.count(MessageType.NOTIFICATION) <= 1
        assert (whole[2] in (State.IDLE, State.ACTIVE)) or MessageType.NOTIFICATION not in sent
        if octets[18:19] == bytes([MessageType.NOTIFICATION]) and octets.startswith(b"\xff" * 16):
            assert sent == [] or whole[2] is state


_FRIENDLY = st.sampled_from([THEIR_OPEN, KEEPALIVE, end_of_rib(IPV4_UNICAST), end_of_rib(IPV6_UNICAST)])
TARGET = Target("session", any_octets(st.lists(st.one_of(VALID, _FRIENDLY), max_size=4).map(b"".join)), check)
