"""Which session a packet is for, and every rule by which it is for none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.bfd.config import AuthenticationKey, BfdConfig
from pybgp.bfd.packet import (
    Authentication,
    AuthenticationType,
    Discard,
    SessionState,
    encode,
)
from pybgp.bfd.session import Session
from pybgp.bfd.session_table import Place, Remote, SessionTable
from pybgp.errors import LocalError
from tests.pybgp.bfd.bfd_examples import FAST, packet

HERE, THERE, ELSEWHERE = Place("192.0.2.1"), Remote("192.0.2.2"), Remote("192.0.2.3")
KEY = AuthenticationKey(AuthenticationType.KEYED_SHA1, 1, b"secret")
SECTION = Authentication(AuthenticationType.KEYED_SHA1, 1, bytes(20))


def table_with(config: BfdConfig = FAST, place: Place = HERE) -> tuple[SessionTable, Session]:
    table = SessionTable(random=lambda: 1.0, new_number=lambda _: 77)
    return table, table.add(config, place, THERE)


def unaffected(session: Session) -> bool:
    facts = (session.received, session.remote_discriminator, session.state, session.packets_to_send())
    return facts == (0, 0, SessionState.DOWN, [])


def test_the_first_packet_is_selected_by_addresses() -> None:
    table, session = table_with()
    assert table.receive(encode(packet()), HERE, ELSEWHERE, 255, 0.0) == (None, [])
    assert table.receive(encode(packet()), Place("192.0.2.9"), THERE, 255, 0.0) == (None, [])
    assert unaffected(session)
    assert table.discarded == {Discard.NO_SESSION: 2}
    found, events = table.receive(encode(packet()), HERE, THERE, 255, 0.0)
    assert found is session
    assert [event.new for event in events] == [SessionState.INIT]


def test_later_packets_are_selected_by_discriminator() -> None:
    """A neighbour may change its address, but not the session's port, address and interface of ours."""
    table, session = table_with()
    octets = encode(packet(session))
    for place in (Place("192.0.2.1", interface="eth1"), Place("192.0.2.1", multihop=True)):
        assert table.receive(octets, place, THERE, 255, 0.0)[0] is None
    assert unaffected(session)
    assert table.receive(octets, HERE, ELSEWHERE, 255, 0.0)[0] is session


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (b"", Discard.VERSION),
        (b"\0" + encode(packet())[1:], Discard.VERSION),
        (encode(packet())[:23], Discard.LENGTH),
        (encode(packet(multiplier=0)), Discard.MULTIPLIER),
        (encode(packet())[:1] + b"\x41" + encode(packet())[2:], Discard.MULTIPOINT),
        (encode(packet(my_discriminator=0)), Discard.MY_DISCRIMINATOR),
        (encode(packet(state=SessionState.INIT)), Discard.STATE),
        (encode(packet(state=SessionState.UP)), Discard.STATE),
        (encode(packet(your_discriminator=78)), Discard.NO_SESSION),
    ],
)
def test_what_is_discarded_without_a_session(octets: bytes, rule: Discard) -> None:
    table, session = table_with()
    assert table.receive(octets, HERE, THERE, 255, 0.0) == (None, [])
    assert unaffected(session)
    assert table.discarded == {rule: 1}


@pytest.mark.parametrize(
    ("multihop", "ttl", "passes"), [(False, 255, True), (False, 254, False), (True, 254, True), (True, 253, False)]
)
def test_the_way_was_short_enough(multihop: bool, ttl: int, passes: bool) -> None:
    place = replace_place(multihop=multihop)
    table, session = table_with(BfdConfig(multihop=multihop), place)
    table.receive(encode(packet()), place, THERE, ttl, 0.0)
    assert session.received == passes
    assert session.discarded == ({} if passes else {Discard.TTL: 1})
    assert passes or unaffected(session)


def replace_place(**changes: bool) -> Place:
    return HERE._replace(**changes)


@pytest.mark.parametrize(
    ("key", "section"),
    [(None, SECTION), (KEY, None), (KEY, SECTION), (KEY, replace(SECTION, key_id=2))],
    ids=["not configured", "clear", "wrong digest", "wrong key id"],
)
def test_authentication_must_be_as_configured(key: AuthenticationKey | None, section: Authentication | None) -> None:
    table, session = table_with(BfdConfig(authentication=key))
    table.receive(encode(packet(authentication=section)), HERE, THERE, 255, 0.0)
    assert unaffected(session)
    assert session.discarded == {Discard.AUTHENTICATION: 1}


def test_a_discarded_packet_does_not_count_for_detection() -> None:
    table, session = table_with()
    table.receive(encode(packet(desired_min_tx=300_000, state=SessionState.DOWN)), HERE, THERE, 255, 0.0)
    table.receive(encode(packet(session, desired_min_tx=300_000)), HERE, THERE, 254, 0.8)
    assert session.next_timer() is not None
    (event,) = session.handle_timer(0.9)
    assert event.new is SessionState.DOWN


def test_one_session_between_two_addresses_and_each_with_a_number_of_its_own() -> None:
    numbers = iter([0, 5, 5, 6])
    table = SessionTable(new_number=lambda _: next(numbers))
    first = table.add(BfdConfig(), HERE, THERE)
    with pytest.raises(LocalError, match=r"BFD session 192\.0\.2\.1 to 192\.0\.2\.2: exists already"):
        table.add(BfdConfig(), HERE, THERE)
    second = table.add(BfdConfig(), HERE, ELSEWHERE)
    assert (first.local_discriminator, second.local_discriminator) == (5, 6)
    table.remove(first)
    assert (len(table), table.find(HERE, THERE), table.find(HERE, ELSEWHERE)) == (1, None, second)
