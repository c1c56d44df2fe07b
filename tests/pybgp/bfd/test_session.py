"""One BFD session: the state table, timers and jitter, polls, demand, AdminDown (RFC 5880 sections 6.5 to 6.8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.bfd.config import BfdConfig
from pybgp.bfd.packet import Diagnostic, SessionState
from pybgp.bfd.session import Session
from tests.pybgp.bfd.bfd_examples import FAST, RIGHT, brought_up, packet, sent, started

ADMIN_DOWN, DOWN, INIT, UP = SessionState

#: spec section 6.4: local state, received state (None: detection time over), new state, diagnostic.
TABLE = [
    (DOWN, ADMIN_DOWN, DOWN, 0),
    (DOWN, DOWN, INIT, 0),
    (DOWN, INIT, UP, 0),
    (DOWN, UP, DOWN, 0),
    (DOWN, None, DOWN, 0),
    (INIT, ADMIN_DOWN, DOWN, 3),
    (INIT, DOWN, INIT, 0),
    (INIT, INIT, UP, 0),
    (INIT, UP, UP, 0),
    (INIT, None, DOWN, 1),
    (UP, ADMIN_DOWN, DOWN, 3),
    (UP, DOWN, DOWN, 3),
    (UP, INIT, UP, 0),
    (UP, UP, UP, 0),
    (UP, None, DOWN, 1),
    (ADMIN_DOWN, ADMIN_DOWN, ADMIN_DOWN, 7),
    (ADMIN_DOWN, DOWN, ADMIN_DOWN, 7),
    (ADMIN_DOWN, INIT, ADMIN_DOWN, 7),
    (ADMIN_DOWN, UP, ADMIN_DOWN, 7),
    (ADMIN_DOWN, None, ADMIN_DOWN, 7),
]


def in_state(state: SessionState) -> Session:
    session = started()
    if state is DOWN:
        session.receive(b"", packet(session, state=UP), 0.0)
    elif state is ADMIN_DOWN:
        session.receive(b"", packet(session, state=UP), 0.0)
        session.stop(0.0)
    else:
        session.receive(b"", packet(session, state=DOWN if state is INIT else INIT), 0.0)
    assert session.state is state
    session.packets_to_send()
    return session


@pytest.mark.parametrize(("local", "received", "new", "diagnostic"), TABLE)
def test_the_state_table(
    local: SessionState, received: SessionState | None, new: SessionState, diagnostic: int
) -> None:
    session = in_state(local)
    if received is None:
        events = session.handle_timer(session.detection_time)
    else:
        events = session.receive(b"", packet(session, state=received), 0.1)
    assert (session.state, session.diagnostic) == (new, diagnostic)
    assert [(event.old, event.new, event.diagnostic) for event in events] == (
        [] if new is local else [(local, new, diagnostic)]
    )
    if new is not local:
        assert next((each.state, each.diagnostic) for each in sent(session)) == (new, diagnostic)


def test_the_table_has_every_pair() -> None:
    assert {(local, received) for local, received, *_ in TABLE} == {
        (local, received) for local in SessionState for received in (*SessionState, None)}  # fmt: skip


@pytest.mark.parametrize(
    ("received", "is_failure"), [(DOWN, True), (ADMIN_DOWN, False), (None, True)], ids=["down", "admin", "silence"]
)
def test_what_counts_as_a_failure(received: SessionState | None, is_failure: bool) -> None:
    session = brought_up()
    if received is None:
        (event,) = session.handle_timer(5.0)
    else:
        (event,) = session.receive(b"", packet(session, state=received), 0.5)
    assert event.is_failure is is_failure


def test_our_own_stop_is_no_failure_nor_is_a_session_that_never_was_up() -> None:
    (event,) = brought_up().stop(1.0)
    assert not event.is_failure
    (event,) = in_state(INIT).handle_timer(9.0)
    assert event.new is DOWN
    assert not event.is_failure


def test_it_begins_slowly_whatever_is_configured() -> None:
    session = Session(FAST, 1, random=lambda: 1.0)
    assert session.next_timer() is None
    session.start(0.0)
    (first,) = sent(session)
    assert (first.state, first.your_discriminator, first.desired_min_tx) == (DOWN, 0, 1_000_000)
    assert (first.poll, first.required_min_echo_rx, first.independent, first.demand) == (False, 0, False, False)
    assert session.next_timer() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("random", "multiplier", "share"), [(0.0, 3, 0.75), (1.0, 3, 1.0), (1.0, 1, 0.9), (0.0, 1, 0.75)]
)
def test_jitter(random: float, multiplier: int, share: float) -> None:
    session = started(replace(FAST, multiplier=multiplier), random)
    now = session.next_timer()
    assert now == pytest.approx(share)
    session.handle_timer(now)
    assert session.next_timer() == pytest.approx(2 * share)


def test_up_sends_at_the_configured_pace_at_once() -> None:
    session = started()
    session.receive(b"", packet(session, state=INIT), 0.1)
    (news,) = sent(session)
    assert (news.state, news.poll, news.desired_min_tx) == (UP, True, 300_000)
    assert session.next_timer() == pytest.approx(0.4)
    assert session.transmit_interval == pytest.approx(0.3)


def test_the_slower_of_both_decides() -> None:
    session = brought_up(required_min_rx=700_000)
    assert session.transmit_interval == pytest.approx(0.7)
    session.receive(b"", packet(session, state=UP, required_min_rx=50_000), 0.1)
    assert session.transmit_interval == pytest.approx(0.3)


def test_detection_time_is_theirs_times_the_slower_pace() -> None:
    session = brought_up(now=10.0)
    assert session.detection_time == pytest.approx(0.9)
    session.receive(b"", packet(session, state=UP, multiplier=5, desired_min_tx=400_000), 11.0)
    assert session.detection_time == pytest.approx(2.0)
    session.receive(b"", packet(session, state=UP, multiplier=2, desired_min_tx=10_000), 12.0)
    assert session.detection_time == pytest.approx(0.6)
    assert session.handle_timer(12.59) == []
    (event,) = session.handle_timer(12.6)
    assert (event.new, event.diagnostic) == (DOWN, Diagnostic.DETECTION_TIME_EXPIRED)


def test_silence_forgets_the_neighbor() -> None:
    session = brought_up(required_min_rx=2_000_000)
    session.handle_timer(0.9)
    assert (session.remote_discriminator, session.remote_min_rx) == (0, 1)
    assert sent(session)[0].your_discriminator == 0
    assert session.transmit_interval == pytest.approx(1.0)


def test_a_zero_receive_interval_stops_periodic_packets_but_not_answers() -> None:
    session = brought_up(required_min_rx=0)
    assert session.next_timer() == pytest.approx(session.detection_time)
    session.receive(b"", packet(session, state=UP, required_min_rx=0, desired_min_tx=300_000, poll=True), 0.2)
    (answer,) = sent(session)
    assert (answer.final, answer.poll) == (True, False)
    session.receive(b"", packet(session, state=UP, desired_min_tx=300_000), 0.3)
    assert session.next_timer() == pytest.approx(0.6)


def test_a_poll_is_answered_even_while_we_poll() -> None:
    session = started()
    session.receive(b"", packet(session, state=INIT, poll=True), 0.0)
    news, answer = sent(session)
    assert (news.poll, news.final) == (True, False)
    assert (answer.poll, answer.final, answer.state) == (False, True, UP)


def test_every_periodic_packet_polls_until_the_answer() -> None:
    session = started()
    session.receive(b"", packet(session, state=INIT), 0.0)
    session.packets_to_send()
    for at in (0.3, 0.6):
        session.handle_timer(at)
        assert [each.poll for each in sent(session)] == [True]
    session.receive(b"", packet(session, state=UP, final=True), 0.7)
    session.handle_timer(0.9)
    assert [each.poll for each in sent(session)] == [False]


def test_a_longer_transmit_interval_counts_after_the_poll() -> None:
    session = brought_up()
    session.configure(replace(FAST, transmit_interval=2.0), 1.0)
    (news,) = sent(session)
    assert (news.poll, news.desired_min_tx) == (True, 2_000_000)
    assert session.transmit_interval == pytest.approx(0.3)
    session.receive(b"", packet(session, state=UP, final=True), 1.1)
    assert session.transmit_interval == pytest.approx(2.0)


def test_a_shorter_receive_interval_counts_after_the_poll() -> None:
    session = brought_up(desired_min_tx=50_000)
    session.configure(replace(FAST, receive_interval=0.1), 0.1)
    assert session.detection_time == pytest.approx(0.9)
    session.receive(b"", packet(session, state=UP, desired_min_tx=50_000, final=True), 0.2)
    assert session.detection_time == pytest.approx(0.3)
    assert session.handle_timer(0.499) == []
    assert session.handle_timer(0.5)


def test_a_shorter_transmit_and_a_longer_receive_interval_count_at_once() -> None:
    session = brought_up(required_min_rx=50_000)
    session.configure(replace(FAST, transmit_interval=0.1, receive_interval=1.0), 0.1)
    assert session.transmit_interval == pytest.approx(0.1)
    assert session.detection_time == pytest.approx(3.0)
    assert session.next_timer() == pytest.approx(0.2)
    assert [each.poll for each in sent(session)] == [True]


def test_one_poll_at_a_time() -> None:
    session = brought_up()
    session.configure(replace(FAST, transmit_interval=2.0), 1.0)
    session.configure(replace(FAST, transmit_interval=3.0), 1.1)
    session.receive(b"", packet(session, state=UP, final=True, desired_min_tx=300_000), 1.2)
    assert session.transmit_interval == pytest.approx(0.3)
    session.packets_to_send()
    session.handle_timer(1.5)
    assert [each.poll for each in sent(session)] == [True]
    session.receive(b"", packet(session, state=UP, final=True), 1.6)
    assert session.transmit_interval == pytest.approx(3.0)


def test_an_answer_to_no_poll_and_a_new_multiplier_mean_nothing_special() -> None:
    session = brought_up()
    session.receive(b"", packet(session, state=UP, final=True), 0.1)
    session.configure(replace(FAST, multiplier=7), 0.2)
    assert [(each.multiplier, each.poll) for each in sent(session)] == [(7, False)]


def test_a_neighbor_in_demand_mode_gets_answers_only() -> None:
    session = brought_up()
    session.receive(b"", packet(session, state=UP, demand=True), 0.1)
    assert session.next_timer() == pytest.approx(0.1 + session.detection_time)
    session.receive(b"", packet(session, state=UP, demand=True, poll=True), 0.2)
    assert [each.final for each in sent(session)] == [True]
    session.configure(replace(FAST, receive_interval=0.5), 0.3)
    session.packets_to_send()
    session.handle_timer(session.next_timer() or 0.0)
    assert [each.poll for each in sent(session)] == [True]
    session.receive(b"", packet(session, state=UP), 0.7)
    assert session.next_timer() is not None


def test_demand_mode_ends_when_the_neighbor_leaves_up() -> None:
    session = brought_up()
    session.receive(b"", packet(session, state=UP, demand=True), 0.1)
    session.receive(b"", packet(session, state=DOWN, demand=True), 0.2)
    assert session.state is DOWN
    assert session.next_timer() is not None
    session.packets_to_send()
    session.handle_timer(session.next_timer() or 0.0)
    assert sent(session)


def test_stop_is_said_for_a_detection_time() -> None:
    session = brought_up()
    session.stop(1.0)
    assert [(each.state, each.diagnostic) for each in sent(session)] == [(ADMIN_DOWN, 7)]
    now, said = 1.0, 0
    while not session.is_over(now):
        now = session.next_timer() or 0.0
        session.handle_timer(now)
        said += len(sent(session))
    assert now == pytest.approx(4.0)
    assert said >= 3


def test_in_admin_down_not_even_a_poll_is_answered() -> None:
    session = brought_up()
    session.stop(1.0)
    session.packets_to_send()
    assert session.receive(b"", packet(session, state=UP, poll=True), 1.1) == []
    assert sent(session) == []
    (event,) = session.resume(1.2)
    assert (event.old, event.new, session.is_stopping) == (ADMIN_DOWN, DOWN, False)
    assert [(each.state, each.diagnostic) for each in sent(session)] == [(DOWN, 0)]


def test_a_passive_session_waits_for_the_neighbor() -> None:
    session = Session(BfdConfig(multihop=True, passive=True), 1, random=lambda: 1.0)
    session.start(0.0)
    assert (session.next_timer(), sent(session)) == (None, [])
    session.receive(b"", packet(session), 5.0)
    assert next((each.state, each.your_discriminator) for each in sent(session)) == (INIT, RIGHT)
    assert session.next_timer() is not None
    session.handle_timer(5.0 + session.detection_time)
    session.packets_to_send()
    session.handle_timer(20.0)
    assert (session.next_timer(), sent(session)) == (None, [])
