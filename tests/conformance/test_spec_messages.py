"""Headers, NOTIFICATION and ROUTE-REFRESH: each rule of the specification's sections 1 and 4, kept and broken.

Written from the text, not from the code: octets go into a session, whole and octet by octet, and what it sends is read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from pybgp.session.config import PeerConfig
from pybgp.session.events import Event, RefreshReceived, SessionDown, SessionEnded, UpdateReceived
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Notification, end_of_rib
from tests.pybgp.session.session_examples import OURS, THEIRS, drive, messages, of_kind, session

PLAIN = replace(OURS, extended_message=False, enhanced_refresh=False)
ENHANCED = OURS
MARKER = b"\xff" * 16


def header(length: int, kind: int, *, marker: bytes = MARKER) -> bytes:
    return marker + length.to_bytes(2, "big") + bytes([kind])


def whole(kind: int, body: str = "") -> bytes:
    octets = bytes.fromhex(body)
    return header(19 + len(octets), kind) + octets


class Case(NamedTuple):
    """Octets in Established, and the NOTIFICATION they get; "" for none and up, "closed" for none and down."""

    about: str
    octets: bytes
    answer: tuple[int, int, bytes] | str
    on: PeerConfig = PLAIN


def marker_with(place: int, value: int) -> bytes:
    return MARKER[:place] + bytes([value]) + MARKER[place + 1 :]


BODY = "00" * 100
CASES = [
    *(Case(f"marker {place}", header(19, 4, marker=marker_with(place, 0)), (1, 1, b"")) for place in range(16)),
    Case("marker of a TCP probe", b"GET / HTTP/1.1\r\nHost: x\r\n", (1, 1, b"")),
    *(Case(f"type {kind}", whole(kind), (1, 3, bytes([kind]))) for kind in (0, 6, 7, 127, 128, 255)),
    *(Case(f"length {size}", header(size, 2), (1, 2, size.to_bytes(2, "big"))) for size in (0, 1, 18, 19, 22)),
    *(Case(f"length {size}", header(size, 4), (1, 2, size.to_bytes(2, "big"))) for size in (0, 18, 20, 23, 4096)),
    *(Case(f"length {size}", header(size, 2), (1, 2, size.to_bytes(2, "big"))) for size in (4097, 8192, 65535)),
    *(Case(f"length {size}", header(size, 1), (1, 2, size.to_bytes(2, "big")), OURS) for size in (28, 4097, 65535)),
    Case("KEEPALIVE", whole(4), ""),
    Case("many in one read", whole(4) * 50, ""),
    Case("empty UPDATE", whole(2, "00000000"), ""),
    # NOTIFICATION is never answered, whatever is wrong with it
    *(Case(f"NOTIFICATION of {size}", header(size, 3), "closed") for size in (0, 18, 19, 20, 4097, 65535)),
    *(Case(f"code {code}", whole(3, f"{code:02x}{sub:02x}"), "closed") for code in range(10) for sub in (0, 1, 9, 255)),
    *(Case(f"code {code}", whole(3, f"{code:02x}00" + BODY), "closed") for code in (0, 6, 255)),
    Case("a NOTIFICATION and what nobody reads any more", whole(3, "0602") + whole(0), "closed"),
    # ROUTE-REFRESH without the enhanced form
    Case("request", whole(5, "0001 00 01"), ""),
    Case("request of another family", whole(5, "0002 00 01"), ""),
    *(Case("short", whole(5, "00" * size), (1, 2, bytes([0, 19 + size]))) for size in range(4)),
    Case("long", whole(5, "0001 00 01 00"), (1, 2, b"\0\x18")),
    Case("a filter that was not agreed on", whole(5, "0001 00 01 01 80 0003 000000"), (1, 2, b"\0\x1e")),
    *(Case("markers that were not agreed on", whole(5, f"0001 {kind:02x} 01"), "") for kind in (1, 2, 3, 255)),
    # ROUTE-REFRESH with it
    *(Case("marker", whole(5, f"0001 {kind:02x} 01"), "", ENHANCED) for kind in (1, 2)),
    *(Case("unknown subtype", whole(5, f"0001 {kind:02x} 01"), "", ENHANCED) for kind in (3, 100, 255)),
    *(
        Case("marker of a wrong length", whole(5, octets), (7, 1, whole(5, octets)), ENHANCED)
        for octets in ("0001 01", "0001 02", "0001 01 01 00", "0001 02 01" + BODY)
    ),
    Case("long request", whole(5, "0001 00 01 00"), (7, 1, whole(5, "0001 00 01 00")), ENHANCED),
    *(Case("short", whole(5, "00" * size), (1, 2, bytes([0, 19 + size])), ENHANCED) for size in range(3)),
    # what is not expected in Established
    Case("a second OPEN", whole(1, "04 fde9 005a 0a000002 00"), (5, 3, b"\1")),
]  # fmt: skip


def established(config: PeerConfig) -> Session:
    peer = replace(THEIRS, enhanced_refresh=config.enhanced_refresh, extended_message=config.extended_message)
    return drive(session(config), State.ESTABLISHED, peer=peer)


def events_of(machine: Session, octets: bytes, *, singly: bool) -> list[Event]:
    if not singly:
        return machine.receive_data(octets, 1.0)
    return [event for place in range(len(octets)) for event in machine.receive_data(octets[place : place + 1], 1.0)]


@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.about} {case.octets[16:].hex()[:40]}")
def test_in_established(case: Case, singly: bool) -> None:
    machine = established(case.on)
    events = events_of(machine, case.octets + end_of_rib(IPV4_UNICAST), singly=singly)
    sent = messages(machine.data_to_send())
    behind = [event for event in of_kind(events, UpdateReceived) if event.update.end_of_rib]
    if case.answer == "":
        assert sent == []
        assert machine.state is State.ESTABLISHED
        assert behind
        return
    assert machine.state is State.IDLE
    assert behind == []
    assert len(of_kind(events, SessionDown)) == 1
    expected = [] if isinstance(case.answer, str) else [Notification(*case.answer)]
    assert sent == expected


@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM])
@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.about.startswith("a ")], ids=lambda case: case.about
)
def test_before_established(state: State, case: Case) -> None:
    """Headers are judged alike; good messages out of place cost 5/1 and 5/2 with their type (RFC 6608)."""
    machine = drive(session(PLAIN), state, peer=replace(THEIRS, extended_message=False))
    events = machine.receive_data(case.octets, 1.0)
    sent = [item for item in messages(machine.data_to_send()) if isinstance(item, Notification)]
    kind, length = case.octets[18], int.from_bytes(case.octets[16:18], "big")
    if kind == MessageType.KEEPALIVE and case.answer == "" and state is State.OPEN_CONFIRM:
        assert machine.state is State.ESTABLISHED
        return
    assert machine.state is State.IDLE
    assert len(of_kind(events, SessionEnded)) == 1
    if case.answer == "closed":
        assert sent == []
    elif kind == MessageType.ROUTE_REFRESH and length >= 19:
        assert [(item.code, item.subcode) for item in sent] in ([(5, state - 2)], [(1, 2)], [(7, 1)])
    elif case.answer == "":
        assert sent == [Notification(5, state - 2, bytes([kind]))]
    else:
        assert isinstance(case.answer, tuple)
        assert sent == [Notification(*case.answer)]


def test_a_long_update_is_taken_where_we_said_so_alone() -> None:
    octets = whole(2, "0000 0000" + "18c00002" * 1100)
    machine = established(PLAIN)
    machine.receive_data(octets, 1.0)
    assert messages(machine.data_to_send()) == [Notification(1, 2, len(octets).to_bytes(2, "big"))]
    machine = drive(session(OURS), State.ESTABLISHED, peer=replace(THEIRS, extended_message=False))
    events = machine.receive_data(octets, 1.0)
    assert of_kind(events, UpdateReceived)
    assert machine.state is State.ESTABLISHED


def test_before_the_open_of_the_peer_the_limit_is_4096() -> None:
    machine = drive(session(OURS), State.OPEN_SENT)
    machine.receive_data(header(4097, 2), 1.0)
    assert messages(machine.data_to_send()) == [Notification(1, 2, (4097).to_bytes(2, "big"))]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x05hello", "hello"),
        ("é".encode().join([b"\x04", b"\xc3\xa9"]), "éé"),
        (b"\xff" + b"a" * 255, "a" * 255),
        (b"\xff" + b"a" * 254, None),
        (b"\x04hello", None),
        (b"\x06hello", None),
        (b"\x02\xc3\x28", None),
        (b"\x02\xc0\xaf", None),
        (b"\x03\xed\xa0\x80", None),
        (b"\x01", None),
        (b"\x00", ""),
        (b"", None),
    ],
)
def test_the_words_of_a_shutdown(data: bytes, text: str | None) -> None:
    """RFC 9003 section 2: a counted text in the shortest form of UTF-8; anything else is kept as octets."""
    for subcode in (2, 4):
        for said in (Notification(6, subcode, data), Notification.hard_reset(Notification(6, subcode, data))):
            machine = established(PLAIN)
            octets = whole(3, bytes([said.code, said.subcode, *said.data]).hex())
            (down,) = of_kind(machine.receive_data(octets, 1.0), SessionDown)
            assert down.received == said
            assert (said.shutdown_text or "") == (text or "")
            assert down.text.isprintable()


def test_words_are_cut_between_two_characters() -> None:
    for longest in range(1, 12):
        said = Notification.with_text(2, "äöü€𝄞", longest=longest)
        assert len(said.data) <= longest + 1
        assert "äöü€𝄞".startswith(said.shutdown_text or "")


def test_a_refresh_reaches_the_user_with_its_family_and_kind() -> None:
    machine = established(ENHANCED)
    for kind in (0, 1, 2):
        (event,) = of_kind(machine.receive_data(whole(5, f"0001 {kind:02x} 01"), 1.0), RefreshReceived)
        assert (event.refresh.family, event.refresh.subtype) == (Family(1, 1), kind)
