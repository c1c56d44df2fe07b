"""One connection: timers, NOTIFICATIONs, what is read and what is not any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.errors import ErrorCode, LocalError
from pybgp.session.config import LongLivedConfig, RestartState
from pybgp.session.events import (
    Close,
    Connect,
    DownReason,
    RefreshReceived,
    RunReceived,
    SessionDown,
    SessionEnded,
    SessionUp,
    UpdateReceived,
)
from pybgp.session.opening import build_open
from pybgp.session.route_options import RouteOptions
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.attributes import Fault
from pybgp.wire.capabilities import GracefulRestart, LongLivedGracefulRestart, encode_capabilities
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import MARKER, AttributeCode
from pybgp.wire.messages import Keepalive, Notification, Open, RouteRefresh, encode, end_of_rib
from tests.pybgp.session.session_examples import (
    GRACEFUL,
    KEEPALIVE,
    OURS,
    THEIRS,
    drive,
    established,
    exchange,
    messages,
    notifications,
    of_kind,
    only,
    open_of,
    ours,
    session,
    theirs,
)
from tests.pybgp.wire.samples import GOOD, OTHER_PREFIX, PREFIX, update_message

END_OF_RIB = end_of_rib(IPV4_UNICAST)
UPDATE_ERROR = MARKER + bytes.fromhex("0017 02 ffff 0000")


def test_two_sessions_without_sockets_become_established() -> None:
    first, second = session(OURS), session(THEIRS, incoming=True)
    assert only(first.start(0.0), Connect).session is first
    second.start(0.0)
    first.connection_made(0.1)
    second.connection_made(0.1)
    seen: list[object] = []
    exchange(first, second, 0.2, seen.append)
    assert first.state is second.state is State.ESTABLISHED
    up = [event for event in seen if isinstance(event, SessionUp)]
    assert {(event.negotiated.local_as, event.negotiated.peer_as) for event in up} == {(65001, 65002), (65002, 65001)}
    assert [event.open.asn == event.negotiated.peer_as for event in up] == [True, True]


def test_the_hold_timer_ends_a_silent_session() -> None:
    machine = established()
    assert machine.timers(0.0)["hold"] == 90
    assert of_kind(machine.handle_timer(89.9), SessionDown) == []
    down = only(machine.handle_timer(90.0), SessionDown)
    assert (down.reason, down.text) == (DownReason.HOLD_EXPIRED, "BGP Error: Hold timer expired")
    assert notifications(machine.data_to_send()) == [Notification(ErrorCode.HOLD_TIMER_EXPIRED, 0)]


@pytest.mark.parametrize("octets", [KEEPALIVE, END_OF_RIB])
def test_what_restarts_the_hold_timer(octets: bytes) -> None:
    machine = established()
    machine.receive_data(octets, 60.0)
    assert machine.timers(60.0)["hold"] == 90


def test_a_route_refresh_does_not_restart_the_hold_timer() -> None:
    machine = established()
    events = machine.receive_data(encode(RouteRefresh(IPV4_UNICAST)), 60.0)
    assert only(events, RefreshReceived).refresh == RouteRefresh(IPV4_UNICAST)
    assert machine.timers(60.0)["hold"] == 30


def test_a_refresh_of_a_family_that_is_not_negotiated_is_ignored() -> None:
    assert established().receive_data(encode(RouteRefresh(IPV6_UNICAST)), 1.0) == []


def test_the_smaller_hold_time_wins_and_keepalives_come_at_a_third_of_it() -> None:
    machine = established(ours(hold_time=90), theirs(hold_time=30))
    assert machine.timers(0.0)["hold"] == 30
    assert machine.timers(0.0)["keepalive"] == 10
    machine.handle_timer(10.0)
    assert messages(machine.data_to_send()) == [Keepalive()]
    assert machine.timers(10.0)["keepalive"] == 10


@pytest.mark.parametrize(("random", "expected"), [(0.0, 22.5), (1.0, 30.0)])
def test_keepalives_are_jittered(random: float, expected: float) -> None:
    machine = Session(OURS, random=lambda: random)
    assert drive(machine, State.ESTABLISHED).timers(0.0)["keepalive"] == expected


def test_sessions_whose_keepalives_are_due_at_nearly_the_same_time_send_them_together() -> None:
    machine = Session(OURS, random=lambda: 0.99)
    drive(machine, State.ESTABLISHED)
    assert machine.timers(0.0)["keepalive"] == 29.75
    machine.handle_timer(29.75)
    assert machine.timers(0.0)["keepalive"] == 59.5


def test_keepalives_can_come_more_often() -> None:
    machine = established(ours(keepalive_time=5))
    assert machine.timers(0.0)["keepalive"] == 5.0


def test_keepalives_are_never_faster_than_one_per_second() -> None:
    machine = Session(ours(hold_time=3), random=lambda: 0.0)
    assert drive(machine, State.ESTABLISHED).timers(0.0)["keepalive"] == 1.0


def test_without_a_hold_time_there_is_no_timer_at_all() -> None:
    machine = established(ours(hold_time=0))
    assert machine.timers(0.0) == {}
    assert machine.next_timer() is None


def test_sending_an_update_puts_the_next_keepalive_off_and_a_refresh_does_not() -> None:
    machine = established()
    machine.send(END_OF_RIB, 20.0)
    assert machine.timers(20.0)["keepalive"] == 30
    machine.send(encode(RouteRefresh(IPV4_UNICAST)), 25.0)
    assert machine.timers(25.0)["keepalive"] == 25
    assert machine.data_to_send() == END_OF_RIB + encode(RouteRefresh(IPV4_UNICAST))
    assert machine.data_to_send() == b""


@pytest.mark.parametrize(
    "octets", [b"x", END_OF_RIB[:-1], END_OF_RIB + b"\xff", MARKER + b"\0\0\2", MARKER + b"\0\x13\x09"]
)
def test_only_whole_messages_are_sent(octets: bytes) -> None:
    with pytest.raises(LocalError, match="octets to send"):
        established().send(octets, 0.0)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ESTABLISHED], ids=str)
def test_only_an_established_session_sends(state: State) -> None:
    with pytest.raises(LocalError, match=f"is in {state}: nothing can be sent"):
        drive(session(), state).send(END_OF_RIB, 0.0)


def test_messages_are_counted_by_type_and_direction() -> None:
    machine = established()
    machine.send(END_OF_RIB * 3, 1.0)
    machine.receive_data(END_OF_RIB, 1.0)
    counters = machine.counters
    assert counters.by_name(counters.sent) == {
        "OPEN": 1, "UPDATE": 3, "NOTIFICATION": 0, "KEEPALIVE": 1, "ROUTE_REFRESH": 0}  # fmt: skip
    assert counters.by_name(counters.received) == {
        "OPEN": 1, "UPDATE": 1, "NOTIFICATION": 0, "KEEPALIVE": 1, "ROUTE_REFRESH": 0}  # fmt: skip


def test_malformed_messages_are_kept_for_the_operator() -> None:
    machine = established()
    bad_origin = bytes.fromhex("400101ff 40020602010000fdea 400304c0000202 18c00002")
    body = b"\0\0" + (len(bad_origin) - 4).to_bytes(2, "big") + bad_origin
    update = MARKER + (19 + len(body)).to_bytes(2, "big") + b"\x02" + body
    assert only(machine.receive_data(update, 1.0), UpdateReceived).update.withdrawn
    assert machine.counters.faults == {(AttributeCode.ORIGIN, Fault.WITHDRAW): 1}
    assert machine.counters.last_malformed == update
    machine.receive_data(UPDATE_ERROR, 2.0)
    assert machine.counters.last_malformed == UPDATE_ERROR


# A peer that does not read (RFC 9687).


def test_send_hold_ends_a_session_whose_peer_takes_nothing() -> None:
    machine = established()
    assert machine.timers(0.0)["send_hold"] == 480
    for now in range(80, 480, 80):
        machine.receive_data(KEEPALIVE, float(now))
        machine.handle_timer(float(now))
    machine.receive_data(KEEPALIVE, 479.0)
    events = machine.handle_timer(480.0)
    assert only(events, SessionDown).text == "BGP Error: Send hold timer expired"
    assert only(events, Close).abort
    assert notifications(machine.data_to_send())[-1] == Notification(ErrorCode.SEND_HOLD_TIMER_EXPIRED)


def test_send_hold_is_restarted_whenever_the_socket_takes_octets() -> None:
    machine = established()
    machine.bytes_written(100.0)
    assert machine.timers(100.0)["send_hold"] == 480


def test_octets_written_before_the_session_is_up_start_no_send_hold() -> None:
    machine = drive(session(), State.OPEN_SENT)
    machine.bytes_written(1.0)
    assert "send_hold" not in machine.timers(1.0)


@pytest.mark.parametrize(("hold_time", "expected"), [(90, 480.0), (3600, 7200.0), (0, None)])
def test_send_hold_follows_the_hold_time(hold_time: int, expected: float | None) -> None:
    machine = established(ours(hold_time=hold_time), theirs(hold_time=hold_time))
    assert machine.timers(0.0).get("send_hold") == expected


def test_send_hold_can_be_switched_off() -> None:
    assert "send_hold" not in established(ours(send_hold_time=0.0)).timers(0.0)


# Errors.


@pytest.mark.parametrize(
    ("octets", "code", "subcode", "data"),
    [
        (b"\0" * 19, 1, 1, b""),
        (MARKER + b"\0\x12\x04", 1, 2, b"\0\x12"),
        (MARKER + b"\xff\xff\x04", 1, 2, b"\xff\xff"),
        (MARKER + b"\0\x13\x09", 1, 3, b"\x09"),
        (UPDATE_ERROR, 3, 1, b""),
        (encode(Open(65002, 90, 2)), 5, 3, b"\x01"),
        (encode(RouteRefresh(IPV4_UNICAST, 1)) [:16] + b"\0\x15\x05\0\x01\x01", 1, 2, b"\0\x15"),
    ],
)  # fmt: skip
def test_an_error_is_told_with_code_subcode_and_data(octets: bytes, code: int, subcode: int, data: bytes) -> None:
    machine = established(peer=theirs(enhanced_refresh=False))
    down = only(machine.receive_data(octets, 1.0), SessionDown)
    assert notifications(machine.data_to_send()) == [Notification(code, subcode, data)]
    assert down.reason is DownReason.PROTOCOL_ERROR
    assert down.text.startswith("BGP Error: ")
    assert machine.state is State.IDLE


def test_a_refresh_marker_of_wrong_length_is_returned_whole() -> None:
    machine = established()
    octets = MARKER + b"\0\x18\x05\0\x01\x01\x01\0"
    machine.receive_data(octets, 1.0)
    assert notifications(machine.data_to_send()) == [Notification(ErrorCode.ROUTE_REFRESH_MESSAGE, 1, octets)]


@pytest.mark.parametrize(
    ("peer", "code", "subcode"),
    [
        (theirs(local_as=64999), 2, 2),
        (theirs(router_id=OURS.router_id, local_as=65001), 2, 3),
        (theirs(families=(IPV6_UNICAST,)), 2, 7),
        (theirs(hold_time=10), 2, 6),
    ],
)
def test_an_open_that_does_not_fit_is_refused(peer: object, code: int, subcode: int) -> None:
    remote_as = 65001 if subcode == 3 else 65002
    machine = drive(session(ours(remote_as=remote_as, minimum_hold_time=20)), State.OPEN_SENT)
    machine.receive_data(open_of(peer), 1.0)  # type: ignore[arg-type]
    (sent,) = notifications(machine.data_to_send())
    assert (sent.code, sent.subcode) == (code, subcode)
    assert machine.state is State.IDLE


def test_equal_identifiers_are_fine_between_two_systems() -> None:
    machine = drive(session(), State.OPEN_CONFIRM, peer=theirs(router_id=OURS.router_id))
    assert machine.state is State.OPEN_CONFIRM


@pytest.mark.parametrize("octets", [b"\0" * 19, UPDATE_ERROR, encode(Notification(6, 4))])
def test_nothing_is_read_after_the_end(octets: bytes) -> None:
    machine = established()
    events = machine.receive_data(octets + END_OF_RIB + octets, 1.0)
    assert of_kind(events, UpdateReceived) == []
    assert len(of_kind(events, SessionEnded)) == 1
    assert sum(machine.counters.received) <= 3
    assert machine.receive_data(END_OF_RIB, 2.0) == []
    assert len(messages(machine.data_to_send())) <= 1


def test_what_came_before_the_error_is_delivered() -> None:
    events = established().receive_data(END_OF_RIB + END_OF_RIB + UPDATE_ERROR, 1.0)
    assert [type(event) for event in events[:3]] == [UpdateReceived, UpdateReceived, SessionDown]


@pytest.mark.parametrize(
    "octets",
    [
        encode(Notification(6, 2, b"\xff\xfe")),
        encode(Notification(99, 99, b"rubbish")),
        MARKER + b"\0\x14\x03\x06",
        MARKER + b"\0\x12\x03\x06\x02",
        MARKER + b"\0\x13\x03\0\0",
    ],
)
@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED], ids=str)
def test_no_notification_is_answered_however_broken(state: State, octets: bytes) -> None:
    machine = drive(session(), state)
    machine.receive_data(octets + b"\0\0", 1.0)
    assert machine.data_to_send() == b""
    assert machine.state is State.IDLE


def test_a_truncated_open_waits_for_the_rest() -> None:
    octets = open_of(THEIRS)
    for end in range(len(octets)):
        machine = drive(session(), State.OPEN_SENT)
        assert machine.receive_data(octets[:end], 1.0) == []
        assert machine.state is State.OPEN_SENT
        machine.receive_data(octets[end:], 1.0)
        assert machine.state is State.OPEN_CONFIRM


def test_an_update_before_the_open_is_an_fsm_error() -> None:
    machine = drive(session(), State.OPEN_SENT)
    machine.receive_data(END_OF_RIB, 1.0)
    assert notifications(machine.data_to_send()) == [Notification(ErrorCode.FINITE_STATE_MACHINE, 1, b"\x02")]


def test_long_messages_are_taken_only_after_the_open_and_only_if_we_offered() -> None:
    long_update = MARKER + b"\x10\x01\x02" + bytes(4097 - 19)
    early = drive(session(), State.OPEN_SENT)
    early.receive_data(long_update, 1.0)
    strict = established(ours(extended_message=False))
    strict.receive_data(long_update, 1.0)
    for machine in (early, strict):
        assert notifications(machine.data_to_send()) == [Notification(ErrorCode.MESSAGE_HEADER, 2, b"\x10\x01")]
    lenient = established()
    lenient.receive_data(long_update[:-1], 1.0)
    assert lenient.state is State.ESTABLISHED


def test_the_limit_rises_for_what_follows_the_open_in_the_same_read() -> None:
    big = MARKER + b"\x10\x01\x02" + bytes(4097 - 19)
    machine = drive(session(), State.OPEN_SENT)
    machine.receive_data(open_of(THEIRS) + KEEPALIVE + big[:100], 1.0)
    assert machine.state is State.ESTABLISHED


# Ends.


def test_stop_says_why() -> None:
    machine = established()
    down = only(machine.stop(1.0, "maintenance"), SessionDown)
    assert down.reason is DownReason.STOPPED
    (sent,) = notifications(machine.data_to_send())
    assert (sent.code, sent.subcode, sent.shutdown_text) == (6, 2, "maintenance")


def test_a_received_shutdown_shows_the_operators_words() -> None:
    octets = encode(Notification.with_text(2, "back\nsoon"))
    down = only(established().receive_data(octets, 1.0), SessionDown)
    assert down.text == "Received: Administrative shutdown: back?soon"
    assert down.received == Notification.with_text(2, "back\nsoon")


def test_an_end_without_words() -> None:
    assert only(established().receive_eof(1.0), SessionDown).text == "Socket: Connection closed"
    failed = established().connection_failed(1.0, "Socket: Connection reset by peer")
    assert only(failed, SessionDown).text == "Socket: Connection reset by peer"
    assert of_kind(failed, Close) == []


def test_reset_carries_its_data() -> None:
    machine = established()
    machine.reset(1.0, 1, b"\0\x01\x01\0\0\0\x05")
    assert notifications(machine.data_to_send()) == [Notification(6, 1, b"\0\x01\x01\0\0\0\x05")]


# The passive side, and the delayed OPEN.


def test_a_passive_session_never_dials() -> None:
    machine = session(ours(passive=True))
    assert of_kind(machine.start(0.0), Connect) == []
    assert machine.state is State.ACTIVE
    assert machine.next_timer() is None


def test_a_damped_start_begins_after_the_rest() -> None:
    machine = session()
    machine.start_damped(0.0, 8.0)
    assert machine.state is State.IDLE
    assert machine.next_timer() == 8.0
    assert only(machine.handle_timer(8.0), Connect).session is machine
    assert machine.state is State.CONNECT
    passive = session(ours(passive=True))
    passive.start_damped(0.0, 8.0)
    passive.handle_timer(8.0)
    assert passive.state is State.ACTIVE


def test_the_peer_has_240_seconds_for_its_open() -> None:
    machine = drive(session(), State.OPEN_SENT)
    assert machine.timers(0.0) == {"hold": 240.0}
    machine.handle_timer(240.0)
    assert notifications(machine.data_to_send()) == [Notification(ErrorCode.HOLD_TIMER_EXPIRED)]


def test_a_delayed_open_follows_the_peers() -> None:
    machine = drive(session(ours(delay_open_time=10.0)), State.CONNECT)
    machine.connection_made(1.0)
    assert machine.data_to_send() == b""
    machine.receive_data(open_of(THEIRS), 2.0)
    assert [type(message) for message in messages(machine.data_to_send())] == [Open, Keepalive]
    assert machine.state is State.OPEN_CONFIRM


def test_a_delayed_open_is_sent_when_its_time_is_over() -> None:
    machine = drive(session(ours(delay_open_time=10.0)), State.CONNECT)
    machine.connection_made(1.0)
    machine.handle_timer(11.0)
    assert [type(message) for message in messages(machine.data_to_send())] == [Open]
    assert machine.state is State.OPEN_SENT


# Graceful restart: what stays (RFC 4724 section 4.2, RFC 8538).

N_BIT = GRACEFUL
NO_N_BIT = replace(GRACEFUL, notification=False)
KEPT = frozenset({IPV4_UNICAST})
NONE: frozenset[object] = frozenset()


@pytest.mark.parametrize(
    ("end", "with_n_bit", "without_n_bit"),
    [
        ("eof", KEPT, KEPT),
        ("failed", KEPT, KEPT),
        ("hold", KEPT, NONE),
        ("send_hold", KEPT, NONE),
        ("cease", KEPT, NONE),
        ("hard_reset", NONE, NONE),
        ("update_error", KEPT, NONE),
        ("reset", KEPT, NONE),
        ("maximum_prefixes", NONE, NONE),
        ("stop", NONE, NONE),
    ],
)
@pytest.mark.parametrize("n_bit", [True, False])
def test_which_routes_outlive_a_session(
    end: str, with_n_bit: frozenset[object], without_n_bit: frozenset[object], n_bit: bool
) -> None:
    restart = N_BIT if n_bit else NO_N_BIT
    machine = established(ours(graceful_restart=N_BIT), theirs(graceful_restart=restart))
    events = {
        "eof": lambda: machine.receive_eof(1.0),
        "failed": lambda: machine.connection_failed(1.0, "Socket: Connection timed out"),
        "hold": lambda: machine.handle_timer(90.0),
        "send_hold": lambda: [*machine.receive_data(KEEPALIVE, 479.0), *machine.handle_timer(480.0)],
        "cease": lambda: machine.receive_data(encode(Notification(6, 4)), 1.0),
        "hard_reset": lambda: machine.receive_data(encode(Notification(6, 9, b"\x06\x02")), 1.0),
        "update_error": lambda: machine.receive_data(UPDATE_ERROR, 1.0),
        "reset": lambda: machine.reset(1.0, 6),
        "maximum_prefixes": lambda: machine.reset(1.0, 1),
        "stop": lambda: machine.stop(1.0),
    }[end]()
    down = only(events, SessionDown)
    assert down.retained == (with_n_bit if n_bit else without_n_bit)
    assert down.routes_retained == bool(down.retained)
    assert (down.restart_time, down.stale_time) == ((120.0, 180.0) if down.retained else (0.0, 0.0))


def test_routes_stay_only_for_families_of_the_last_capability() -> None:
    both = (IPV4_UNICAST, IPV6_UNICAST)
    one = replace(GRACEFUL, families=(IPV6_UNICAST,))
    machine = established(ours(families=both, graceful_restart=GRACEFUL), theirs(families=both, graceful_restart=one))
    assert only(machine.receive_eof(1.0), SessionDown).retained == {IPV6_UNICAST}


@pytest.mark.parametrize(
    ("mine", "peers"), [(None, GRACEFUL), (GRACEFUL, None), (GRACEFUL, replace(GRACEFUL, families=()))]
)
def test_without_graceful_restart_on_both_sides_nothing_stays(mine: object, peers: object) -> None:
    machine = established(ours(graceful_restart=mine), theirs(graceful_restart=peers))
    assert not only(machine.receive_eof(1.0), SessionDown).routes_retained


BOTH = (IPV4_UNICAST, IPV6_UNICAST)


def long_lived_end(mine: LongLivedConfig | None, peers: LongLivedConfig | None, restart: object) -> SessionDown:
    machine = established(
        ours(families=BOTH, graceful_restart=GRACEFUL, long_lived=mine),
        theirs(families=BOTH, graceful_restart=restart, long_lived=peers),
    )
    return only(machine.receive_eof(1.0), SessionDown)


def test_a_long_lived_stale_time_is_the_peers_but_no_longer_than_we_grant() -> None:
    asks = LongLivedConfig(stale_time=7200, families=(IPV4_UNICAST,))
    down = long_lived_end(LongLivedConfig(families=(), maximum_stale_time=10_000), asks, GRACEFUL)
    assert (down.retained, down.long_lived) == ({*BOTH}, ((IPV4_UNICAST, 7200.0),))
    down = long_lived_end(LongLivedConfig(maximum_stale_time=60), asks, GRACEFUL)
    assert down.long_lived == ((IPV4_UNICAST, 60.0),)


def test_long_lived_families_need_not_be_those_of_graceful_restart() -> None:
    down = long_lived_end(LongLivedConfig(), LongLivedConfig(), replace(GRACEFUL, families=()))
    assert (down.retained, dict(down.long_lived)) == (set(), dict.fromkeys(BOTH, 86400.0))
    assert down.routes_retained


def test_without_long_lived_graceful_restart_on_both_sides_nothing_lives_long() -> None:
    assert long_lived_end(None, LongLivedConfig(), GRACEFUL).long_lived == ()
    assert long_lived_end(LongLivedConfig(), None, GRACEFUL).long_lived == ()


def test_the_open_names_long_lived_families_with_their_bits() -> None:
    settings = ours(families=BOTH, graceful_restart=GRACEFUL, long_lived=LongLivedConfig(stale_time=0x010203))
    message = build_open(settings, RestartState(preserved=frozenset({IPV6_UNICAST})))
    (said,) = [item for item in message.capabilities if isinstance(item, LongLivedGracefulRestart)]
    assert encode_capabilities([said]).hex() == "470e" + "00010100010203" + "00020180010203"
    assert encode_capabilities([replace(said, families=())]).hex() == "4700", "helper only"


@pytest.mark.parametrize(
    ("remote_as", "option", "enabled"),
    [(65001, None, True), (65002, None, False), (65001, False, False), (65002, True, True)],
)
def test_distances_are_told_within_the_as_unless_configured(remote_as: int, option: bool | None, enabled: bool) -> None:
    mine = ours(local_as=65001, remote_as=remote_as, routes=RouteOptions(aigp=option))
    machine = established(mine, theirs(local_as=remote_as, remote_as=65001))
    assert machine.negotiated is not None
    assert machine.negotiated.options.aigp is enabled


def test_the_restart_time_of_the_peer_is_capped() -> None:
    cap = replace(GRACEFUL, maximum_restart_time=30)
    machine = established(ours(graceful_restart=cap), theirs(graceful_restart=GRACEFUL))
    assert only(machine.receive_eof(1.0), SessionDown).restart_time == 30


def test_an_end_that_lasts_is_a_hard_reset_where_the_n_bit_is_in_force() -> None:
    machine = established(ours(graceful_restart=GRACEFUL), theirs(graceful_restart=GRACEFUL))
    machine.stop(1.0, "bye")
    assert notifications(machine.data_to_send()) == [Notification(6, 9, b"\x06\x02\x03bye")]
    plain = established(ours(graceful_restart=GRACEFUL), theirs(graceful_restart=NO_N_BIT))
    plain.stop(1.0, "bye")
    assert notifications(plain.data_to_send()) == [Notification(6, 2, b"\x03bye")]


def test_to_abandon_a_session_sends_nothing() -> None:
    machine = established(ours(graceful_restart=GRACEFUL), theirs(graceful_restart=GRACEFUL))
    assert not only(machine.abandon(1.0), Close).abort
    assert machine.data_to_send() == b""


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RestartState(), GracefulRestart(False, True, 120, ((IPV4_UNICAST, False),))),
        (RestartState(True, frozenset({IPV4_UNICAST})), GracefulRestart(True, True, 120, ((IPV4_UNICAST, True),))),
    ],
)
def test_our_open_tells_of_our_restart(state: RestartState, expected: GracefulRestart) -> None:
    machine = session(ours(graceful_restart=GRACEFUL), restart_state=lambda: state)
    machine.start(0.0)
    machine.connection_made(0.0)
    (sent,) = messages(machine.data_to_send())
    assert isinstance(sent, Open)
    assert expected in sent.capabilities


def test_ordinary_updates_can_be_told_together() -> None:
    good = [update_message(GOOD.replace(b"\xfd\xe9", b"\xfd\xea"), prefix) for prefix in (PREFIX, OTHER_PREFIX)]
    stream = b"".join([*good, KEEPALIVE, END_OF_RIB, good[0], UPDATE_ERROR, good[1]])
    single, gathering = established(), drive(session(OURS, gathers=True), State.ESTABLISHED)
    events, gathered = single.receive_data(stream, 50.0), gathering.receive_data(stream, 50.0)
    assert [len(event.run.keys) for event in of_kind(gathered, RunReceived)] == [2, 1]
    told: list[object] = []
    for event in gathered:
        told += event.updates() if isinstance(event, RunReceived) else [event]
    assert of_kind(events, UpdateReceived) == [event for event in told if isinstance(event, UpdateReceived)]
    assert [type(event) for event in events] == [type(event) for event in told]
    assert single.counters.received == gathering.counters.received
    assert single.counters.received[2] == 5


def test_ordinary_updates_restart_the_hold_timer() -> None:
    machine = established(now=0.0)
    update = update_message(GOOD.replace(b"\xfd\xe9", b"\xfd\xea"), PREFIX)
    for now, count in ((50.0, 1), (60.0, 2)):
        machine.receive_data(update * count, now)
        assert machine.timers(now)["hold"] == 90.0


@pytest.mark.parametrize(("mine", "peers"), [((), ()), ((IPV4_UNICAST,), ()), ((), (IPV4_UNICAST,))])
def test_ipv6_next_hops_for_ipv4_need_both_sides(mine: tuple[Family, ...], peers: tuple[Family, ...]) -> None:
    machine = established(ours(extended_next_hop=mine), theirs(extended_next_hop=peers))
    assert machine.negotiated is not None
    assert machine.negotiated.extended_next_hop == frozenset()
    both = established(ours(extended_next_hop=(IPV4_UNICAST,)), theirs(extended_next_hop=(IPV4_UNICAST,)))
    assert both.negotiated is not None
    assert both.negotiated.extended_next_hop == {IPV4_UNICAST}
