"""Sessions and neighbours for tests, with nothing random and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.events import Event
from pybgp.session.neighbor import Neighbor
from pybgp.session.opening import build_open
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.framing import Framer
from pybgp.wire.messages import Keepalive, Message, Notification, decode, encode

T = TypeVar("T")
KEEPALIVE = encode(Keepalive())
GRACEFUL = GracefulRestartConfig(restart_time=120)
OURS = PeerConfig("192.0.2.2", remote_as=65002, local_as=65001, router_id=0x0A000001)
THEIRS = PeerConfig("192.0.2.1", remote_as=65001, local_as=65002, router_id=0x0A000002)


def ours(**changes: Any) -> PeerConfig:
    return replace(OURS, **changes)


def theirs(**changes: Any) -> PeerConfig:
    return replace(THEIRS, **changes)


def session(config: PeerConfig = OURS, **arguments: Any) -> Session:
    return Session(config, random=lambda: 1.0, **arguments)


def neighbor(config: PeerConfig = OURS, **arguments: Any) -> Neighbor:
    return Neighbor(config, random=lambda: 1.0, **arguments)


def open_of(config: PeerConfig, restart_state: Any = None) -> bytes:
    """The OPEN that a speaker configured like this sends."""
    return encode(build_open(config, restart_state or session(config)._restart_state()))


def drive(machine: Session, state: State, *, peer: PeerConfig = THEIRS, now: float = 0.0) -> Session:
    """Lead a new session to a state by the shortest way."""
    if state is State.ACTIVE:
        machine.start(now, wait=True)
    elif state is not State.IDLE:
        machine.start(now)
    if state >= State.OPEN_SENT:
        machine.connection_made(now)
    if state >= State.OPEN_CONFIRM:
        machine.receive_data(open_of(peer), now)
    if state >= State.ESTABLISHED:
        machine.receive_data(KEEPALIVE, now)
    machine.data_to_send()
    assert machine.state is state
    return machine


def established(config: PeerConfig = OURS, peer: PeerConfig = THEIRS, now: float = 0.0) -> Session:
    return drive(session(config), State.ESTABLISHED, peer=peer, now=now)


def messages(octets: bytes) -> list[Message]:
    """What a session has sent, taken apart; not for UPDATEs."""
    framer = Framer()
    framer.feed(octets)
    found = []
    while (message := framer.next_message()) is not None:
        found.append(decode(message))
    return found


def notifications(octets: bytes) -> list[Notification]:
    return [message for message in messages(octets) if isinstance(message, Notification)]


def of_kind(events: Iterable[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def only(events: Iterable[Event], kind: type[T]) -> T:
    (found,) = of_kind(events, kind)
    return found


def exchange(first: Session, second: Session, now: float, deliver: Callable[[Event], None] = lambda _: None) -> None:
    """Carry octets both ways until nobody has any."""
    while True:
        there, back = first.data_to_send(), second.data_to_send()
        if not there and not back:
            return
        for event in (*second.receive_data(there, now), *first.receive_data(back, now)):
            deliver(event)
