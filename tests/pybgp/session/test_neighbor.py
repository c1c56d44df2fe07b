"""Several connections of one neighbour: collisions, damping, graceful return."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pybgp.session.config import RestartState
from pybgp.session.events import Close, Connect, DownReason, Event, SessionDown, SessionUp, StateChanged
from pybgp.session.neighbor import Neighbor
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import Notification, Open, encode
from tests.pybgp.session.session_examples import (
    GRACEFUL,
    KEEPALIVE,
    THEIRS,
    messages,
    neighbor,
    notifications,
    of_kind,
    only,
    open_of,
    ours,
    theirs,
)

LOW = theirs(router_id=0x01000000)
HIGH = theirs(router_id=0x7F000000)
COLLISION = Notification(6, 7)


def accept(machine: Neighbor, now: float) -> Session:
    session, _ = machine.accept(now)
    assert session is not None
    return session


def dial(machine: Neighbor, now: float = 0.0) -> Session:
    """Start, and let the connection that is asked for be made."""
    session = only(machine.start(now), Connect).session
    machine.connection_made(session, now)
    return session


def confirm(machine: Neighbor, session: Session, now: float, peer: Any = THEIRS) -> list[Event]:
    return machine.receive_data(session, open_of(peer) + KEEPALIVE, now)


def established(machine: Neighbor, now: float = 0.0, peer: Any = THEIRS) -> Session:
    session = dial(machine, now)
    assert of_kind(confirm(machine, session, now, peer), SessionUp)
    session.data_to_send()
    return session


def graceful() -> Neighbor:
    return neighbor(ours(graceful_restart=GRACEFUL))


GRACEFUL_PEER = theirs(graceful_restart=GRACEFUL)


def test_it_connects_at_once_and_reports_each_state() -> None:
    machine = neighbor()
    assert machine.state is State.IDLE
    events = machine.start(0.0)
    session = only(events, Connect).session
    states = of_kind(events, StateChanged)
    states += of_kind(machine.connection_made(session, 0.1), StateChanged)
    states += of_kind(machine.receive_data(session, open_of(THEIRS), 0.2), StateChanged)
    states += of_kind(machine.receive_data(session, KEEPALIVE, 0.3), StateChanged)
    assert [state.new for state in states] == [
        State.CONNECT, State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED]  # fmt: skip
    assert machine.established is session
    assert machine.negotiated is session.negotiated


def test_attempts_that_fail_come_soon_and_then_less_often() -> None:
    machine = neighbor(ours(first_retry_time=0.1, connect_retry_time=1.0))
    events = machine.start(0.0)
    now, gaps = 0.0, []
    for _ in range(6):
        session = only(events, Connect).session
        events = machine.connection_failed(session, now, "Socket: Connection refused")
        assert (machine.state, machine.last_error) == (State.ACTIVE, "Socket: Connection refused")
        due = machine.next_timer()
        assert due is not None
        gaps.append(round(due - now, 3))
        now = due
        events = machine.handle_timer(now)
        assert machine.state is State.CONNECT
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_first_attempt_can_be_delayed() -> None:
    machine = neighbor(ours(connect_delay=2.0))
    assert of_kind(machine.start(0.0), Connect) == []
    assert machine.next_timer() == 2.0
    assert of_kind(machine.handle_timer(2.0), Connect)


def test_a_passive_neighbour_waits_and_takes_what_comes() -> None:
    machine = neighbor(ours(passive=True))
    assert of_kind(machine.start(0.0), Connect) == []
    assert (machine.state, machine.next_timer()) == (State.ACTIVE, None)
    session = accept(machine, 5.0)
    assert isinstance(messages(session.data_to_send())[0], Open)
    confirm(machine, session, 5.1)
    assert machine.established is session


def test_a_passive_neighbour_may_call_once_when_it_starts() -> None:
    machine = neighbor(ours(passive=True, call_at_start=True))
    session = only(machine.start(0.0), Connect).session
    machine.connection_failed(session, 0.1, "Socket: Connection refused")
    assert (machine.state, machine.next_timer()) == (State.ACTIVE, None)
    confirm(machine, accept(machine, 5.0), 5.1)
    assert machine.state is State.ESTABLISHED
    machine.stop(6.0)
    assert of_kind(machine.start(7.0), Connect), "a new start, a new call"


def test_a_call_at_the_start_that_is_answered_is_the_session_and_no_other_follows() -> None:
    machine = neighbor(ours(passive=True, call_at_start=True))
    session = established(machine)
    events = machine.receive_eof(session, 1.0)
    assert of_kind(events, SessionDown)
    while (at := machine.next_timer()) is not None:
        events += machine.handle_timer(at)
    assert of_kind(events, Connect) == []
    assert machine.state is State.ACTIVE


def test_a_peer_that_closes_while_we_wait_for_its_open_is_tried_again_soon() -> None:
    machine = neighbor()
    session = dial(machine)
    events = machine.receive_eof(session, 0.1)
    assert only(events, Close).session is session
    assert (machine.state, machine.last_error) == (State.ACTIVE, "Socket: Connection closed")
    assert machine.next_timer() == pytest.approx(0.1 + 0.15)
    assert only(machine.handle_timer(0.3), Connect).session is session
    machine.connection_made(session, 0.4)
    confirm(machine, session, 0.5)
    assert machine.established is session


# Collisions (RFC 4271 section 6.8).


def both_open_sent() -> tuple[Neighbor, Session, Session]:
    machine = neighbor()
    own = dial(machine)
    incoming = accept(machine, 0.1)
    own.data_to_send()
    incoming.data_to_send()
    return machine, own, incoming


@pytest.mark.parametrize("first", ["own", "incoming"])
@pytest.mark.parametrize(("peer", "winner"), [(LOW, "own"), (HIGH, "incoming")])
def test_the_connection_of_the_higher_identifier_lives(first: str, peer: Any, winner: str) -> None:
    machine, own, incoming = both_open_sent()
    sessions = {"own": own, "incoming": incoming}
    events = machine.receive_data(sessions[first], open_of(peer), 0.2)
    loser = incoming if winner == "own" else own
    assert only(events, Close).session is loser
    assert notifications(loser.data_to_send()) == [COLLISION]
    assert notifications(sessions[winner].data_to_send()) == []
    if first != winner:
        machine.receive_data(sessions[winner], open_of(peer), 0.3)
    machine.receive_data(sessions[winner], KEEPALIVE, 0.4)
    assert machine.established is sessions[winner]
    assert machine.last_error == ""


@pytest.mark.parametrize(("remote_as", "winner"), [(64000, "own"), (66000, "incoming")])
def test_equal_identifiers_are_decided_by_the_larger_as(remote_as: int, winner: str) -> None:
    config = ours(remote_as=remote_as)
    machine = neighbor(config)
    own, incoming = dial(machine), accept(machine, 0.1)
    peer = theirs(local_as=remote_as, router_id=config.router_id)
    machine.receive_data(incoming, open_of(peer), 0.2)
    assert (own.state is State.IDLE) == (winner == "incoming")
    assert (incoming.state is State.IDLE) == (winner == "own")


#: (the peer's identifier and AS, who wins): ours are OURS.router_id and AS 65001.
RANKS = {
    "lower": ({"router_id": 1, "local_as": 65002}, "own"),
    "higher": ({"router_id": 0xFFFFFFFF, "local_as": 65002}, "incoming"),
    "equal, smaller AS": ({"router_id": 0x0A000001, "local_as": 65000}, "own"),
    "equal, larger AS": ({"router_id": 0x0A000001, "local_as": 65002}, "incoming"),
}
#: Every order of the four messages that keeps the two of one connection in theirs.
ORDERS = sorted(set(itertools.permutations(("own", "own", "incoming", "incoming"))))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("rank", RANKS)
def test_collisions_in_every_order(order: tuple[str, ...], rank: str) -> None:
    """The first OPEN on either connection decides: it tells who the peer is on both (spec section 6.1)."""
    facts, winner = RANKS[rank]
    machine = neighbor(ours(remote_as=facts["local_as"]))
    own, incoming = dial(machine), accept(machine, 0.1)
    for session in (own, incoming):
        session.data_to_send()
    sessions = {"own": own, "incoming": incoming}
    octets = {name: iter((open_of(theirs(**facts)), KEEPALIVE)) for name in sessions}
    for number, name in enumerate(order):
        machine.receive_data(sessions[name], next(octets[name]), 0.2 + number / 10)
    loser = "own" if winner == "incoming" else "incoming"
    assert machine.established is sessions[winner]
    assert notifications(sessions[loser].data_to_send()) == [COLLISION]
    assert notifications(sessions[winner].data_to_send()) == []
    assert machine.last_error == ""


def test_an_attempt_is_given_up_when_the_other_connection_has_a_valid_open() -> None:
    machine = neighbor()
    own = only(machine.start(0.0), Connect).session
    incoming = accept(machine, 0.1)
    incoming.data_to_send()
    events = machine.receive_data(incoming, open_of(LOW), 0.2)
    assert only(events, Close).session is own
    assert own.data_to_send() == b""
    assert machine.connection_made(own, 0.3) == []
    machine.receive_data(incoming, KEEPALIVE, 0.4)
    assert machine.established is incoming


@pytest.mark.parametrize("peer", [LOW, HIGH])
def test_a_second_connection_to_an_established_neighbour_loses(peer: Any) -> None:
    machine = neighbor()
    first = established(machine, peer=peer)
    second = accept(machine, 5.0)
    second.data_to_send()
    assert machine.established is first
    events = confirm(machine, second, 5.1, peer)
    assert only(events, Close).session is second
    assert notifications(second.data_to_send()) == [COLLISION]
    assert first.data_to_send() == b""
    assert (machine.established, machine.state) == (first, State.ESTABLISHED)


def test_collisions_with_an_established_session_can_be_resolved_too() -> None:
    machine = neighbor(ours(collision_in_established=True))
    first = established(machine, peer=HIGH)
    second = accept(machine, 5.0)
    events = confirm(machine, second, 5.1, HIGH)
    assert only(events, SessionDown).reason is DownReason.COLLISION
    assert notifications(first.data_to_send()) == [COLLISION]
    assert machine.established is second


def test_one_incoming_connection_is_enough() -> None:
    machine = neighbor()
    machine.start(0.0)
    accept(machine, 0.1)
    assert machine.accept(0.2) == (None, [])


def test_a_lost_second_connection_changes_nothing() -> None:
    machine = neighbor()
    first = established(machine)
    second = accept(machine, 5.0)
    assert of_kind(machine.receive_eof(second, 5.1), StateChanged) == []
    assert (machine.established, machine.last_error) == (first, "")
    assert accept(machine, 6.0)


def test_the_other_connection_goes_on_when_one_drops() -> None:
    machine, own, incoming = both_open_sent()
    machine.receive_data(own, b"\0" * 19, 0.2)
    assert own.state is State.IDLE
    confirm(machine, incoming, 0.3)
    assert machine.established is incoming


def test_losing_both_connections_to_a_collision_is_no_reason_to_rest() -> None:
    machine = neighbor()
    session = dial(machine)
    machine.receive_data(session, encode(COLLISION), 0.1)
    assert machine.state is State.ACTIVE
    assert machine.next_timer() == pytest.approx(0.1 + 0.15)


# Rest after failures.


def fail(machine: Neighbor, now: float) -> None:
    assert machine.established is not None
    machine.receive_data(machine.established, encode(Notification(6, 4)), now)


def connect_again(machine: Neighbor, now: float) -> None:
    session = only(machine.handle_timer(now), Connect).session
    machine.connection_made(session, now)
    confirm(machine, session, now)


def test_short_sessions_are_followed_by_longer_and_longer_rests() -> None:
    machine = neighbor()
    established(machine)
    now, rests = 0.0, []
    for _ in range(9):
        fail(machine, now + 1)
        due = machine.next_timer()
        assert due is not None
        assert machine.state is State.IDLE
        rests.append(due - now - 1)
        now = due
        connect_again(machine, now)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert machine.established_count == 10


@pytest.mark.parametrize(("lifetime", "rest"), [(10, 4.0), (100, 4.0), (301, 1.0)])
def test_a_long_session_ends_the_damping(lifetime: int, rest: float) -> None:
    machine = neighbor(ours(hold_time=0))
    established(machine, peer=THEIRS)
    fail(machine, 1.0)
    connect_again(machine, 2.0)
    fail(machine, 3.0)
    connect_again(machine, 5.0)
    fail(machine, 5.0 + lifetime)
    assert machine.next_timer() == 5.0 + lifetime + rest


def test_nobody_is_let_in_while_we_rest() -> None:
    machine = neighbor()
    established(machine)
    fail(machine, 1.0)
    assert machine.accept(1.5) == (None, [])
    machine.handle_timer(2.0)
    assert accept(machine, 2.1)


@pytest.mark.parametrize("passive", [True, False])
def test_a_peer_whose_connections_fail_is_damped_although_our_side_only_waits(passive: bool) -> None:
    machine = neighbor(ours(passive=passive))
    machine.start(0.0)
    if not passive:
        (own,) = machine._sessions()
        machine.connection_failed(own, 0.0, "Socket: Connection refused")
    for now, rest in ((0.1, 1.0), (1.2, 2.0), (3.3, 4.0)):
        session, _ = machine.accept(now)
        assert session is not None
        machine.receive_data(session, b"\0" * 19, now)
        assert machine.state is State.IDLE
        assert machine.timers(now) == pytest.approx({"idle_hold": rest})
        assert machine.accept(now) == (None, [])
        machine.handle_timer(now + rest)
        if not passive:
            (own,) = machine._sessions()
            machine.connection_failed(own, now + rest, "Socket: Connection refused")


def test_errors_are_kept_for_the_operator() -> None:
    machine = neighbor()
    established(machine)
    fail(machine, 1.0)
    assert machine.last_error == "Received: Administrative reset"
    assert machine.last_received == Notification(6, 4)
    connect_again(machine, 2.0)
    assert machine.last_error == ""
    assert machine.last_received == Notification(6, 4)
    machine.reset(3.0, 6)
    assert (machine.last_sent, machine.last_error) == (Notification(6, 6), "BGP Error: Other configuration change")


# Stop and start.


def test_after_stop_nothing_begins_on_its_own() -> None:
    machine = neighbor()
    session = established(machine)
    events = machine.stop(1.0, "bye")
    assert only(events, SessionDown).reason is DownReason.STOPPED
    assert notifications(session.data_to_send()) == [Notification(6, 2, b"\x03bye")]
    assert (machine.state, machine.next_timer()) == (State.IDLE, None)
    assert machine.accept(2.0) == (None, [])
    assert machine.handle_timer(1000.0) == []
    assert of_kind(machine.start(1001.0), Connect)


def test_a_neighbour_that_is_removed_is_told_so() -> None:
    machine = neighbor()
    session = established(machine)
    machine.stop(1.0, subcode=3)
    assert notifications(session.data_to_send()) == [Notification(6, 3)]


def test_a_graceful_stop_is_silent_only_where_the_peer_helps() -> None:
    helped, plain = graceful(), neighbor()
    with_help, without = established(helped, peer=GRACEFUL_PEER), established(plain)
    assert not only(helped.stop(1.0, "bye", graceful=True), Close).abort
    plain.stop(1.0, "bye", graceful=True)
    assert with_help.data_to_send() == b""
    assert notifications(without.data_to_send()) == [Notification(6, 2, b"\x03bye")]
    assert helped.next_timer() is None


def test_a_neighbour_can_be_held_down() -> None:
    machine = neighbor()
    machine.start(0.0)
    machine.hold_down(0.1, "Error: TCP MD5 password cannot be set")
    assert (machine.state, machine.is_enabled) == (State.IDLE, False)
    assert machine.last_error == "Error: TCP MD5 password cannot be set"


def test_what_comes_from_a_forgotten_session_is_ignored() -> None:
    machine = neighbor()
    session = established(machine)
    machine.stop(1.0)
    assert machine.receive_data(session, KEEPALIVE, 2.0) == []
    assert machine.receive_eof(session, 2.0) == []
    assert machine.connection_failed(session, 2.0, "Socket: Connection reset by peer") == []
    assert machine.last_error == "BGP Error: Administrative shutdown"
    machine.stop(3.0, "new fibre")
    assert machine.last_error == "BGP Error: Administrative shutdown: new fibre"
    machine.start(4.0)
    assert machine.last_error == ""


# Graceful restart of the peer (spec sections 6.3, 15.1).


def test_a_peer_that_restarts_is_called_back_without_rest() -> None:
    machine = graceful()
    session = established(machine, peer=GRACEFUL_PEER)
    events = machine.receive_eof(session, 60.0)
    assert only(events, SessionDown).retained == {IPV4_UNICAST}
    assert only(events, Connect).session is not session
    assert machine.state is State.CONNECT


def test_a_peer_that_restarts_over_and_over_is_called_back_less_often() -> None:
    machine = graceful()
    established(machine, peer=GRACEFUL_PEER)
    now, gaps = 0.0, []
    for _ in range(4):
        assert machine.established is not None
        machine.receive_eof(machine.established, now)
        assert machine.state is State.ACTIVE
        due = machine.next_timer()
        assert due is not None
        gaps.append(round(due - now, 3))
        now = due
        session = only(machine.handle_timer(now), Connect).session
        machine.connection_made(session, now)
        confirm(machine, session, now, GRACEFUL_PEER)
    assert gaps == [0.15, 0.3, 0.6, 1.2]


def test_a_restarting_peer_may_come_in_at_once() -> None:
    machine = graceful()
    session = established(machine, peer=GRACEFUL_PEER)
    machine.receive_eof(session, 1.0)
    again = accept(machine, 1.0)
    confirm(machine, again, 1.1, GRACEFUL_PEER)
    assert machine.established is again


def test_a_new_connection_of_a_peer_that_died_silently_replaces_the_old_one() -> None:
    machine = graceful()
    old = established(machine, peer=GRACEFUL_PEER)
    machine.retry_counter = 3
    new, events = machine.accept(50.0)
    assert new is not None
    down = only(events, SessionDown)
    assert (down.reason, down.retained) == (DownReason.SUPERSEDED, {IPV4_UNICAST})
    assert only(events, Close).session is old
    assert old.data_to_send() == b""
    assert machine.retry_counter == 0
    assert of_kind(events, Connect) == []
    confirm(machine, new, 50.1, GRACEFUL_PEER)
    assert machine.established is new


def test_a_second_connection_of_the_same_start_up_is_no_restart() -> None:
    machine = graceful()
    old = established(machine, peer=GRACEFUL_PEER)
    second, events = machine.accept(0.5)
    assert second is not None
    assert events == []
    confirm(machine, second, 0.6, GRACEFUL_PEER)
    assert notifications(second.data_to_send()) == [COLLISION]
    assert machine.established is old


def restart_bits(session: Session) -> tuple[bool, bool]:
    (sent,) = messages(session.data_to_send())
    assert isinstance(sent, Open)
    (capability,) = [item for item in sent.capabilities if item.code == 64]
    return capability.restart_state, capability.families[0][1]  # type: ignore[union-attr]


def test_the_r_bit_is_set_until_the_first_session_only_and_the_f_bit_ever_after() -> None:
    state = RestartState(restarting=True, preserved=frozenset({IPV4_UNICAST}))
    machine = neighbor(ours(graceful_restart=GRACEFUL), restart_state=state)
    session = dial(machine)
    assert restart_bits(session) == (True, True)
    machine.connection_failed(session, 1.0, "Socket: Connection reset by peer")
    session = only(machine.handle_timer(2.0), Connect).session
    machine.connection_made(session, 2.0)
    assert restart_bits(session) == (True, True)
    confirm(machine, session, 2.1, GRACEFUL_PEER)
    machine.receive_eof(session, 60.0)
    again = accept(machine, 60.0)
    assert restart_bits(again) == (False, True)


def test_a_first_start_without_kept_routes_says_so_and_later_sessions_do_not_flush() -> None:
    machine = graceful()
    session = dial(machine)
    assert restart_bits(session) == (False, False)
    confirm(machine, session, 0.1, GRACEFUL_PEER)
    machine.receive_eof(session, 60.0)
    assert restart_bits(accept(machine, 60.0)) == (False, True)


def test_the_history_tells_each_step() -> None:
    machine = neighbor()
    established(machine, now=4.0)
    assert [(entry.time, entry.old, entry.new) for entry in machine.history] == [
        (4.0, State.IDLE, State.CONNECT),
        (4.0, State.CONNECT, State.OPEN_SENT),
        (4.0, State.OPEN_SENT, State.OPEN_CONFIRM),
        (4.0, State.OPEN_CONFIRM, State.ESTABLISHED),
    ]
    assert set(machine.timers(4.0)) == {"hold", "keepalive", "send_hold"}
