"""A session and a scripted peer in memory: every behaviour of the peer is felt by a real session, in virtual time."""

from __future__ import annotations

import pytest

from pybgp import (
    EVPN,
    IPV4_FLOWSPEC,
    IPV4_UNICAST,
    IPV6_UNICAST,
    IPV6_VPN,
    AsPath,
    Attributes,
    Family,
    LocalError,
    PeerConfig,
    Session,
    State,
)
from pybgp.errors import ErrorCode
from pybgp.session.events import DownReason, RefreshReceived, SessionDown, UpdateReceived
from pybgp.testing import ScriptedPeer, SessionPair, malformed_update
from pybgp.wire.attributes import Fault
from pybgp.wire.iana import AddPathMode, CeaseSubcode
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import parse_prefix
from pybgp.wire.update_encoding import encode_updates
from pybgp.wire.updates import decode_update

ATTRIBUTES = Attributes.build({1: 0, 2: AsPath.sequence(64512), 4: 9}, next_hop=bytes((192, 0, 2, 1)))
BOTH = (IPV4_UNICAST, IPV6_UNICAST)


def pair(*, peer_as: int = 64513, hold_time: int = 9, session_options: dict[str, object] | None = None) -> SessionPair:
    options: dict[str, object] = {"families": BOTH, "hold_time": hold_time, **(session_options or {})}
    config = PeerConfig("192.0.2.254", remote_as=peer_as, local_as=64512, router_id=1, **options)  # type: ignore[arg-type]
    return SessionPair(Session(config, random=lambda: 1.0), ScriptedPeer(peer_as, remote_as=64512))


def updates(pair: SessionPair) -> list[UpdateReceived]:
    return [event for _, event in pair.events if isinstance(event, UpdateReceived)]


def downs(pair: SessionPair) -> list[tuple[float, SessionDown]]:
    return [(time, event) for time, event in pair.events if isinstance(event, SessionDown)]


def test_a_session_comes_up_at_once_and_stays() -> None:
    both = pair()
    up = both.establish()
    assert up.negotiated.families == frozenset(BOTH)
    both.advance(3600)
    assert (both.session.state, both.peer.state, both.now) == (State.ESTABLISHED, State.ESTABLISHED, 3600)
    assert downs(both) == []


@pytest.mark.parametrize("peer_as", [64512, 64513])
@pytest.mark.parametrize("prefix", ["198.51.100.0/24", "2001:db8:1::/48"])
def test_what_the_peer_announces_and_withdraws_is_heard(peer_as: int, prefix: str) -> None:
    both = pair(peer_as=peer_as)
    both.establish()
    family, key = parse_prefix(prefix)
    both.peer.announce(prefix, med=7, communities=["65000:1"])
    both.exchange()
    ((found, keys, attributes),) = updates(both)[-1].update.announced
    assert (found, list(keys)) == (family, [key])
    assert attributes is not None
    assert (attributes.med, attributes.communities) == (7, (65000 << 16 | 1,))
    assert list(attributes.as_path) == ([] if peer_as == 64512 else [64513])
    assert attributes.local_pref == (100 if peer_as == 64512 else None)
    both.peer.withdraw(prefix)
    both.exchange()
    assert [(one[0], list(one[1])) for one in updates(both)[-1].update.withdrawn] == [(family, [key])]


def test_what_the_session_announces_is_remembered_until_it_is_withdrawn() -> None:
    both = pair()
    negotiated = both.establish().negotiated
    keys = [parse_prefix("10.0.0.0/8")[1]]
    both.session.send(b"".join(encode_updates(IPV4_UNICAST, keys, ATTRIBUTES, negotiated)), 0)
    both.exchange()
    found = both.peer.route("10.0.0.0/8")
    assert found is not None
    assert found.med == 9
    assert both.peer.announced() == ["10.0.0.0/8"]
    both.session.send(b"".join(encode_updates(IPV4_UNICAST, keys, None, negotiated)), 0)
    both.exchange()
    assert (both.peer.route("10.0.0.0/8"), len(both.peer.received)) == (None, 2)


def test_what_was_announced_is_gone_with_the_session() -> None:
    both = pair()
    negotiated = both.establish().negotiated
    octets = encode_updates(IPV4_UNICAST, [parse_prefix("10.0.0.0/8")[1]], ATTRIBUTES, negotiated)
    both.session.send(b"".join(octets), 0)
    both.exchange()
    assert both.peer.announced() == ["10.0.0.0/8"]
    both.session.stop(both.now)
    both.exchange()
    assert (both.peer.announced(), len(both.peer.received)) == ([], 1)


def test_path_identifiers_where_they_are_agreed() -> None:
    modes = {"add_path": ((IPV4_UNICAST, AddPathMode.BOTH),)}
    both = pair(session_options=modes)
    both.peer = ScriptedPeer(64513, remote_as=64512, **modes)
    both.establish()
    both.peer.announce("10.0.0.0/8", path_id=5)
    both.exchange()
    assert list(updates(both)[-1].update.announced[0].keys) == [b"\0\0\0\x05\x08\x0a"]
    key = b"\0\0\0\x07\x08\x0a"
    octets = encode_updates(IPV4_UNICAST, [key], ATTRIBUTES, both.peer.negotiated, add_path=True)
    both.session.send(b"".join(octets), 0)
    both.exchange()
    assert both.peer.route("10.0.0.0/8") is not None
    assert both.peer.announced() == ["10.0.0.0/8"]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("peer_as", [64512, 64513])
def test_a_malformed_update_costs_what_it_says(fault: Fault, peer_as: int) -> None:
    both = pair(peer_as=peer_as, session_options={"update_options": UpdateOptions(disable_family=True)})
    both.establish()
    both.peer.send_malformed(fault, "198.51.100.0/24")
    both.exchange()
    if fault is Fault.RESET:
        ((_, down),) = downs(both)
        assert down.reason is DownReason.PROTOCOL_ERROR
        assert both.peer.notification is not None
        assert both.peer.notification.code == ErrorCode.UPDATE_MESSAGE
        return
    assert downs(both) == []
    update = updates(both)[-1].update
    assert max(one.fault for one in update.faults) is fault
    assert bool(update.announced) is (fault is not Fault.WITHDRAW)


def test_a_malformed_update_is_of_ipv4() -> None:
    with pytest.raises(LocalError, match="an IPv4 prefix expected"):
        malformed_update(Fault.RESET, "2001:db8::/32", Negotiated(1, 2))


def test_a_silent_peer_lets_the_hold_timer_expire() -> None:
    both = pair(hold_time=9)
    both.establish()
    both.advance(100)
    both.peer.fall_silent()
    fell_at = both.now
    both.run_until(lambda: bool(downs(both)))
    ((when, down),) = downs(both)
    assert down.reason is DownReason.HOLD_EXPIRED
    assert 6 <= when - fell_at <= 9
    assert both.peer.notification is not None
    assert both.peer.notification.code == ErrorCode.HOLD_TIMER_EXPIRED


def test_a_peer_that_does_not_read_makes_the_send_hold_timer_expire() -> None:
    both = pair(session_options={"send_hold_time": 30.0})
    both.establish()
    both.peer.stop_reading()
    stopped_at = both.now
    both.run_until(lambda: bool(downs(both)))
    ((when, down),) = downs(both)
    assert (down.reason, when - stopped_at) == (DownReason.SEND_HOLD_EXPIRED, 30.0)
    assert len(both.unread) > 19 * 9


def test_a_peer_that_reads_again_hears_what_waited() -> None:
    both = pair()
    both.establish()
    both.peer.stop_reading()
    both.advance(100)
    heard = len(both.peer.messages)
    assert both.unread
    both.peer.read_again()
    both.exchange()
    assert len(both.peer.messages) >= heard + 30
    assert (both.unread, both.session.state) == (b"", State.ESTABLISHED)


def test_a_notification_ends_the_session() -> None:
    both = pair()
    both.establish()
    both.peer.notify(text="maintenance")
    both.exchange()
    ((_, down),) = downs(both)
    assert down.received is not None
    assert (down.received.subcode, down.received.shutdown_text) == (CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, "maintenance")


@pytest.mark.parametrize("abort", [False, True])
def test_a_peer_that_just_goes(abort: bool) -> None:
    both = pair()
    both.establish()
    both.peer.announce("10.0.0.0/8")
    both.peer.abort() if abort else both.peer.close()
    both.exchange()
    ((_, down),) = downs(both)
    assert (down.reason, down.received) == (DownReason.TCP_FAILED, None)
    assert both.session.is_connected is False
    with pytest.raises(LocalError, match="no connection"):
        both.peer.send(b"x")


def test_raw_octets_are_sent_as_they_are() -> None:
    both = pair()
    both.establish()
    both.peer.send(b"\0" * 19)
    both.exchange()
    ((_, down),) = downs(both)
    assert down.sent is not None
    assert down.sent.code == ErrorCode.MESSAGE_HEADER


def test_a_peer_without_a_session_says_what_it_is_told() -> None:
    both = pair()
    both.peer = ScriptedPeer(64513, remote_as=64512, answers=False)
    both.connect()
    assert (both.session.state, len(both.peer.messages)) == (State.OPEN_SENT, 1)
    both.peer.send(b"\xff" * 16 + b"\0\x13\x04")
    both.exchange()
    assert both.peer.notification is not None
    assert both.peer.notification.code == ErrorCode.FINITE_STATE_MACHINE


def test_refresh_and_end_of_rib() -> None:
    both = pair()
    both.establish()
    both.peer.refresh(IPV6_UNICAST)
    both.peer.end_of_rib()
    both.exchange()
    assert [event.refresh.family for _, event in both.events if isinstance(event, RefreshReceived)] == [IPV6_UNICAST]
    assert [event.update.end_of_rib for event in updates(both)] == list(BOTH)


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (EVPN, "type=inclusive-multicast distinguisher=65000:1 tag=0 address=192.0.2.1"),
        (IPV4_FLOWSPEC, "destination=198.51.100.1/32"),
        (IPV6_VPN, "prefix=2001:db8::/32 distinguisher=65000:1 labels=[100]"),
    ],
)
def test_other_families_by_their_text(family: Family, text: str) -> None:
    both = pair(session_options={"families": (family,)})
    both.establish()
    both.peer.announce_nlri(family, text)
    both.exchange()
    ((found, keys, attributes),) = updates(both)[-1].update.announced
    assert found == family
    assert attributes is not None
    ours = attributes.replace({2: AsPath.sequence(64512)})
    both.session.send(b"".join(encode_updates(family, keys, ours, both.peer.negotiated)), 0)
    both.exchange()
    assert len(both.peer.announced()) == 1
    assert both.peer.route(both.peer.announced()[0], family) is not None
    both.peer.withdraw_nlri(family, text)
    both.exchange()
    assert updates(both)[-1].update.withdrawn[0].family == family


def test_a_new_connection_begins_anew() -> None:
    both = pair()
    both.establish()
    both.peer.close()
    both.exchange()
    both.session.stop(both.now)
    both.establish()
    assert (both.peer.connections, both.peer.received, both.peer.is_established) == (2, [], True)


def test_a_quarrel_without_end_and_a_vain_wait_are_errors() -> None:
    both = pair()
    with pytest.raises(LocalError, match="not within"):
        both.run_until(lambda: False, longest=5)
    wrong = pair(peer_as=64513)
    wrong.peer = ScriptedPeer(64999, remote_as=64512)
    with pytest.raises(LocalError, match="the session is in Idle"):
        wrong.establish()


def test_update_octets_of_the_peer_can_be_read_without_a_store() -> None:
    negotiated = Negotiated(local_as=64513, peer_as=64512)
    octets = malformed_update(Fault.DISCARD, "10.0.0.0/8", negotiated)
    update = decode_update(octets, Negotiated(local_as=64512, peer_as=64513))
    assert [list(one.keys) for one in update.announced] == [[b"\x08\x0a"]]
