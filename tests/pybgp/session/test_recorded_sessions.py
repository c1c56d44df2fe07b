"""Sessions recorded between BIRD routers of a Calico mesh, replayed into ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.events import DownReason, Event, RefreshReceived, SessionDown, SessionUp, UpdateReceived
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AddPathMode
from pybgp.wire.messages import Notification, Open, decode_open
from pybgp.wire.nlri import format_prefix
from tests.pybgp.session.session_examples import KEEPALIVE, messages, of_kind, only, open_of, session

RECORDS = Path(__file__).parents[3].parent / "shared" / "golden" / "mesh" / "pcap"
pytestmark = pytest.mark.skipif(not RECORDS.is_dir(), reason="the recorded mesh is not beside the repository")


class Line(NamedTuple):
    time: float
    sender: str
    receiver: str
    kind: str
    octets: bytes


def lines(name: str) -> Iterator[Line]:
    for row in (RECORDS / f"{name}.bgp.tsv").read_text().splitlines():
        time, sender, receiver, kind, octets = row.split("\t")
        yield Line(float(time), sender, receiver, kind, bytes.fromhex(octets))


def conversations(name: str) -> dict[tuple[str, str], list[Line]]:
    """What each side heard, by (sender, receiver), of connections whose opening was recorded."""
    heard: dict[tuple[str, str], list[Line]] = {}
    for line in lines(name):
        heard.setdefault((line.sender, line.receiver), []).append(line)
    return {ends: found for ends, found in heard.items() if found[0].kind == "OPEN"}


def receiver_of(mine: Open, peer: Open) -> Session:
    """A session configured as the router was that received this."""
    config = PeerConfig(
        address="10.0.0.99",
        remote_as=peer.asn,
        local_as=mine.asn,
        router_id=mine.router_id,
        hold_time=mine.hold_time,
        graceful_restart=GracefulRestartConfig(),
        add_path=((IPV4_UNICAST, AddPathMode.RECEIVE),) if any(item.code == 69 for item in mine.capabilities) else (),
    )
    machine = session(config)
    machine.start(0.0)
    machine.connection_made(0.0)
    return machine


def replay(name: str, ends: tuple[str, str]) -> tuple[Session, list[Event]]:
    talks = conversations(name)
    heard, said = talks[ends], talks[ends[1], ends[0]]
    machine = receiver_of(decode_open(said[0].octets), decode_open(heard[0].octets))
    events: list[Event] = []
    for line in heard:
        events += machine.receive_data(line.octets, line.time)
    return machine, events


def openings() -> list[tuple[str, tuple[str, str]]]:
    names = sorted(path.name.removesuffix(".bgp.tsv") for path in RECORDS.glob("*.bgp.tsv"))
    return [(name, ends) for name in names for ends in conversations(name) if ends[::-1] in conversations(name)]


@pytest.mark.parametrize(("name", "ends"), openings() if RECORDS.is_dir() else [])
def test_a_recorded_opening_becomes_established_and_every_update_is_read(name: str, ends: tuple[str, str]) -> None:
    machine, events = replay(name, ends)
    assert machine.state is State.ESTABLISHED
    assert only(events, SessionUp).open == decode_open(conversations(name)[ends][0].octets)
    updates = [event.update for event in of_kind(events, UpdateReceived)]
    assert len(updates) == sum(line.kind == "UPDATE" for line in conversations(name)[ends])
    assert [update.faults for update in updates] == [()] * len(updates)
    assert IPV4_UNICAST in [update.end_of_rib for update in updates]
    refreshes = sum(line.kind == "ROUTE-REFRESH" for line in conversations(name)[ends])
    assert len(of_kind(events, RefreshReceived)) == refreshes
    assert [type(message).__name__ for message in messages(machine.data_to_send())][:2] == ["Open", "Keepalive"]


def begun_before() -> list[tuple[str, tuple[str, str]]]:
    """Conversations that were under way when the recording began."""
    names = sorted(path.name.removesuffix(".bgp.tsv") for path in RECORDS.glob("*.bgp.tsv"))
    found: dict[tuple[str, tuple[str, str]], None] = {}
    for name in names:
        opened = conversations(name).keys()
        found |= {(name, line[1:3]): None for line in lines(name) if line[1:3] not in opened}
    return list(found)


def opens() -> dict[str, bytes]:
    """The OPEN of each router, by its address."""
    found = {}
    for path in sorted(RECORDS.glob("*.bgp.tsv")):
        for line in lines(path.name.removesuffix(".bgp.tsv")):
            if line.kind == "OPEN":
                found.setdefault(line.sender.rpartition(":")[0], line.octets)
    return found


@pytest.mark.parametrize(("name", "ends"), begun_before() if RECORDS.is_dir() else [])
def test_a_session_that_was_recorded_from_its_middle_goes_on_as_it_did(name: str, ends: tuple[str, str]) -> None:
    sender, receiver = (end.rpartition(":")[0] for end in ends)
    said = opens()
    machine = receiver_of(decode_open(said[receiver]), decode_open(said[sender]))
    machine.receive_data(said[sender] + KEEPALIVE, 0.0)
    assert machine.state is State.ESTABLISHED
    machine.data_to_send()
    heard = [line for line in lines(name) if (line.sender, line.receiver) == ends]
    events: list[Event] = []
    for line in heard:
        events += machine.receive_data(line.octets, 1.0)
    updates = [event.update for event in of_kind(events, UpdateReceived)]
    assert [update.faults for update in updates] == [()] * sum(line.kind == "UPDATE" for line in heard)
    assert len(of_kind(events, RefreshReceived)) == sum(line.kind == "ROUTE-REFRESH" for line in heard)
    assert machine.data_to_send() == b""
    last_words = [line for line in heard if line.kind == "NOTIFICATION"]
    assert machine.state is (State.IDLE if last_words else State.ESTABLISHED)
    assert len(of_kind(events, SessionDown)) == len(last_words)


def test_the_blocks_of_the_first_phase() -> None:
    """10.0.0.11 hears of one block from each of the others."""
    ends = [found for found in conversations("1-initial.master-01") if found[1].startswith("10.0.0.11:")]
    heard: dict[str, set[str]] = {}
    for pair in ends:
        _, events = replay("1-initial.master-01", pair)
        for event in of_kind(events, UpdateReceived):
            for found in event.update.announced:
                prefixes = {format_prefix(found.family, key[4:]) for key in found.keys}  # behind the path id
                heard.setdefault(pair[0].split(":")[0], set()).update(prefixes)
    assert set(heard) == {"10.0.0.12", "10.0.0.13"}
    assert all(prefix.endswith("/26") for prefixes in heard.values() for prefix in prefixes)


def test_a_bird_that_restarts_says_so() -> None:
    for ends in conversations("5-graceful-restart.worker-01"):
        if ends[0].startswith("10.0.0.11:"):
            machine, _ = replay("5-graceful-restart.worker-01", ends)
            assert machine.is_graceful


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("8-shutdown.worker-01", "Received: Administrative shutdown"),
        ("6-node-death.master-01", "Received: Hold timer expired"),
    ],
)
def test_recorded_ends(name: str, text: str) -> None:
    (octets,) = {line.octets for line in lines(name) if line.kind == "NOTIFICATION"}
    mine = PeerConfig("10.0.0.99", 64512, 64512, 1)
    machine = session(mine)
    machine.start(0.0)
    machine.connection_made(0.0)
    machine.receive_data(open_of(PeerConfig("10.0.0.98", 64512, 64512, 2)), 0.0)
    machine.receive_data(KEEPALIVE, 0.0)
    down = only(machine.receive_data(octets, 1.0), SessionDown)
    assert (down.reason, down.text) == (DownReason.NOTIFICATION_RECEIVED, text)
    assert isinstance(down.received, Notification)
