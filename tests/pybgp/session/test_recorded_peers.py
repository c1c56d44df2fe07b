"""Sessions recorded between different speakers, and of calico/node, replayed into ours from both ends."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.events import Event, SessionDown, SessionUp, UpdateReceived
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.capabilities import AddPath, GracefulRestart, MultiprotocolCapability
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import Open, decode_open
from pybgp.wire.negotiated import UpdateOptions
from tests.pybgp.session.session_examples import notifications, of_kind, only, session
from tests.pybgp.session.test_recorded_sessions import Line

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recordings are not beside the repository")


class Conversation(NamedTuple):
    """What one end of a TCP connection heard, and what it said."""

    file: str
    sender: str
    receiver: str
    heard: tuple[Line, ...]
    said: tuple[Line, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.sender}-{self.receiver}"


def conversations() -> list[Conversation]:
    """Every connection on which both ends sent an OPEN, from both ends."""
    found = []
    for path in sorted((*GOLDEN.glob("peers/*.bgp.tsv"), *GOLDEN.glob("calico/*.bgp.tsv"))):
        by_ends: dict[tuple[str, str], list[Line]] = {}
        for row in path.read_text().splitlines():
            time, sender, receiver, kind, octets = row.split("\t")
            line = Line(float(time), sender, receiver, kind, bytes.fromhex(octets))
            by_ends.setdefault((sender, receiver), []).append(line)
        for (sender, receiver), heard in by_ends.items():
            said = by_ends.get((receiver, sender), [])
            if said and heard[0].kind == said[0].kind == "OPEN":
                name = path.name.removesuffix(".bgp.tsv")
                found.append(Conversation(name, sender, receiver, tuple(heard), tuple(said)))
    return found


def receiver_of(mine: Open, peer: Open) -> Session:
    """A session configured as the speaker was that sent ``mine``."""
    families = tuple(one.family for one in mine.capabilities if isinstance(one, MultiprotocolCapability))
    add_path = next((one.families for one in mine.capabilities if isinstance(one, AddPath)), ())
    graceful = any(isinstance(one, GracefulRestart) for one in mine.capabilities)
    config = PeerConfig(
        address="10.0.0.99",
        remote_as=peer.asn,
        local_as=mine.asn,
        router_id=mine.router_id,
        hold_time=mine.hold_time,
        families=families or (IPV4_UNICAST,),
        graceful_restart=GracefulRestartConfig() if graceful else None,
        add_path=add_path,
        extended_message=any(one.code == 6 for one in mine.capabilities),
        route_refresh=any(one.code == 2 for one in mine.capabilities),
        enhanced_refresh=any(one.code == 70 for one in mine.capabilities),
        four_octet_as=any(one.code == 65 for one in mine.capabilities),
        # ExaBGP announces the path that it was told to, without its own AS in front.
        update_options=UpdateOptions(check_first_as=False),
    )
    machine = session(config)
    machine.start(0.0)
    machine.connection_made(0.0)
    return machine


def replay(talk: Conversation) -> tuple[Session, list[Event]]:
    machine = receiver_of(decode_open(talk.said[0].octets), decode_open(talk.heard[0].octets))
    events: list[Event] = []
    for line in talk.heard:
        events += machine.receive_data(line.octets, line.time)
    return machine, events


TALKS = conversations() if GOLDEN.is_dir() else []
#: GoBGP put a path identifier into the middle of a Flowspec prefix; ExaBGP could not read that, and nobody can.
UNREADABLE = [talk for talk in TALKS if talk.file == "exabgp-gobgp-flow-refused" and talk.sender == "10.77.0.2:179"]
READABLE = [talk for talk in TALKS if talk not in UNREADABLE]


def count_of(lines: tuple[Line, ...], kind: str) -> int:
    return sum(line.kind == kind for line in lines)


@pytest.mark.parametrize("talk", READABLE, ids=str)
def test_a_recorded_session_ends_as_it_did(talk: Conversation) -> None:
    """Established, every UPDATE read, and down only if the other side said so, with its words."""
    machine, events = replay(talk)
    up = only(events, SessionUp)
    assert up.open == decode_open(talk.heard[0].octets)
    updates = [event.update for event in of_kind(events, UpdateReceived)]
    assert [update.faults for update in updates] == [()] * count_of(talk.heard, "UPDATE")
    assert notifications(machine.data_to_send()) == []
    said = [line for line in talk.heard if line.kind == "NOTIFICATION"]
    if said:
        down = only(events, SessionDown)
        assert down.received is not None
        assert bytes([down.received.code, down.received.subcode]) + down.received.data == said[0].octets[19:]
        assert machine.state is State.IDLE
    else:
        assert machine.state is State.ESTABLISHED


@pytest.mark.parametrize("talk", UNREADABLE, ids=str)
def test_what_nobody_can_read_ends_the_session_or_the_family(talk: Conversation) -> None:
    """RFC 7606 section 5.3: ExaBGP answered with an UPDATE error."""
    machine, events = replay(talk)
    disabled = [family for event in of_kind(events, UpdateReceived) for family in event.update.disabled]
    errors = [notification.code for notification in notifications(machine.data_to_send())]
    assert disabled or errors == [3]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("bird-bird-md5", "Received: Administrative shutdown"),
        ("bird-frr", "Received: Administrative shutdown: maintenance window"),
        ("bird-openbgpd", "Received: Administrative shutdown: maintenance"),
        ("bird-frr-v6-rejected", "Received: Invalid network field"),
        ("exabgp-gobgp", "Received: Peer de-configured"),
        ("frr-gobgp", "Received: Hard reset: Administrative reset"),
    ],
)
def test_the_last_words_as_an_operator_reads_them(file: str, text: str) -> None:
    ends = [down.text for talk in TALKS if talk.file == file for down in of_kind(replay(talk)[1], SessionDown)]
    assert set(ends) == {text}


def test_every_recording_takes_part() -> None:
    files = {path.name.removesuffix(".bgp.tsv") for path in GOLDEN.glob("*/*.bgp.tsv")}
    assert {talk.file for talk in TALKS} == files
