"""RFC 4271 section 8.2.2, RFC 6608, RFC 9687: what a session does in every state for every input.

The table below was written from the text of the RFCs, not from ``state_machine.py``.  Each cell is what can be seen
from outside: the next state, then messages sent, then other effects.

    .        nothing at all
    OPEN KA  the message is sent; 6/2: this NOTIFICATION is sent, and nothing after it
    connect  a TCP connection is asked for      drop  the connection is closed, or the attempt to open it
    up down  the session is announced as up or as down
    +1 =0    ConnectRetryCounter grows, or is set to zero
    update refresh  the message is handed to the user
"""

from __future__ import annotations

import pytest

from pybgp.errors import ErrorCode
from pybgp.session.config import GracefulRestartConfig
from pybgp.session.events import (
    Close,
    Connect,
    Event,
    RefreshReceived,
    SessionDown,
    SessionEnded,
    SessionUp,
    UpdateReceived,
)
from pybgp.session.occurrence import Occurrence
from pybgp.session.session import Session
from pybgp.session.state_machine import STEPS, Input, State
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Notification, Open, RouteRefresh, Update, end_of_rib
from tests.pybgp.session.session_examples import drive, messages, ours, session, theirs

ERR = "Idle drop +1"
FSM = "Idle 5/0 drop +1"
FSM_DOWN = "Idle 5/0 down drop +1"

#: columns: Idle, Connect, Active, OpenSent, OpenConfirm, Established
TABLE: dict[Input, tuple[str, str, str, str, str, str]] = {
    Input.MANUAL_START: ("Connect =0 connect", ".", ".", ".", ".", "."),
    Input.MANUAL_STOP: (
        ".", "Idle =0 drop", "Idle =0", "Idle 6/2 =0 drop", "Idle 6/2 =0 drop", "Idle 6/2 down =0 drop"),
    Input.AUTOMATIC_START: ("Connect =0 connect", ".", ".", ".", ".", "."),
    Input.MANUAL_START_PASSIVE: ("Active =0", ".", ".", ".", ".", "."),
    Input.AUTOMATIC_START_PASSIVE: ("Active =0", ".", ".", ".", ".", "."),
    Input.AUTOMATIC_START_DAMPED: (".", ".", ".", ".", ".", "."),
    Input.AUTOMATIC_START_DAMPED_PASSIVE: (".", ".", ".", ".", ".", "."),
    Input.AUTOMATIC_STOP: (".", ERR, "Idle +1", "Idle 6/4 drop +1", "Idle 6/4 drop +1", "Idle 6/4 down drop +1"),
    Input.CONNECT_RETRY_EXPIRED: (".", "Connect drop connect", "Connect connect", FSM, FSM, FSM_DOWN),
    Input.HOLD_EXPIRED: (".", ERR, "Idle +1", "Idle 4/0 drop +1", "Idle 4/0 drop +1", "Idle 4/0 down drop +1"),
    Input.KEEPALIVE_EXPIRED: (".", ERR, "Idle +1", FSM, "OpenConfirm KA", "Established KA"),
    Input.DELAY_OPEN_EXPIRED: (".", "OpenSent OPEN", "OpenSent OPEN", FSM, FSM, FSM_DOWN),
    Input.IDLE_HOLD_EXPIRED: ("Connect =0 connect", ERR, "Idle +1", FSM, FSM, FSM_DOWN),
    Input.TCP_REQUEST_VALID: (".", ".", ".", ".", ".", "."),
    Input.TCP_REQUEST_INVALID: (".", ".", ".", ".", ".", "."),
    Input.TCP_REQUEST_ACKNOWLEDGED: (".", "OpenSent OPEN", "OpenSent OPEN", ".", ".", "."),
    Input.TCP_CONFIRMED: (".", "OpenSent OPEN", "OpenSent OPEN", ".", ".", "."),
    Input.TCP_FAILS: (".", "Idle drop", "Idle +1", "Active drop", "Idle drop +1", "Idle down drop +1"),
    Input.OPEN_RECEIVED: (
        ".", ERR, "Idle +1", "OpenConfirm KA", "Idle 5/2:01 drop +1", "Idle 5/3:01 down drop +1"),
    Input.OPEN_RECEIVED_DELAYING: (
        ".", "OpenConfirm OPEN KA", "OpenConfirm OPEN KA",
        "Idle 5/1:01 drop +1", "Idle 5/2:01 drop +1", "Idle 5/3:01 down drop +1"),
    Input.HEADER_ERROR: (".", ERR, "Idle +1", "Idle 1/1 drop +1", "Idle 1/1 drop +1", "Idle 1/1 down drop +1"),
    Input.OPEN_ERROR: (".", ERR, "Idle +1", "Idle 2/2 drop +1", "Idle 2/2 drop +1", "Idle 5/3:01 down drop +1"),
    Input.COLLISION_DUMP: (".", ERR, "Idle +1", "Idle 6/7 drop +1", "Idle 6/7 drop +1", "Idle 6/7 down drop +1"),
    Input.NOTIFICATION_VERSION_ERROR: (
        ".", ERR, "Idle +1", "Idle drop", "Idle drop", "Idle down drop +1"),
    Input.NOTIFICATION_RECEIVED: (".", ERR, "Idle +1", "Idle drop +1", "Idle drop +1", "Idle down drop +1"),
    Input.KEEPALIVE_RECEIVED: (".", ERR, "Idle +1", "Idle 5/1:04 drop +1", "Established up", "."),
    Input.UPDATE_RECEIVED: (
        ".", ERR, "Idle +1", "Idle 5/1:02 drop +1", "Idle 5/2:02 drop +1", "Established update"),
    Input.UPDATE_ERROR: (
        ".", ERR, "Idle +1", "Idle 5/1:02 drop +1", "Idle 5/2:02 drop +1", "Idle 3/1 down drop +1"),
    Input.SEND_HOLD_EXPIRED: (".", ".", ".", ".", ".", "Idle 8/0 down drop +1"),
    Input.REFRESH_RECEIVED: (
        ".", ERR, "Idle +1", "Idle 5/1:05 drop +1", "Idle 5/2:05 drop +1", "Established refresh"),
}  # fmt: skip

#: Connect and Active while DelayOpenTimer runs: TCP is up, our OPEN is not sent yet.
DELAYING: dict[Input, tuple[str, str]] = {
    Input.TCP_FAILS: ("Active drop", ERR),
    Input.NOTIFICATION_VERSION_ERROR: ("Idle drop", "Idle drop"),
    Input.OPEN_RECEIVED_DELAYING: ("OpenConfirm OPEN KA", "OpenConfirm OPEN KA"),
    Input.DELAY_OPEN_EXPIRED: ("OpenSent OPEN", "OpenSent OPEN"),
    Input.NOTIFICATION_RECEIVED: (ERR, ERR),
    Input.HEADER_ERROR: (ERR, ERR),
    Input.OPEN_ERROR: (ERR, ERR),
    Input.KEEPALIVE_RECEIVED: (ERR, ERR),
    Input.MANUAL_STOP: ("Idle =0 drop", "Idle =0 drop"),
}
MESSAGES = {
    Input.OPEN_RECEIVED: (MessageType.OPEN, Open(65002, 90, 1)),
    Input.OPEN_RECEIVED_DELAYING: (MessageType.OPEN, Open(65002, 90, 1)),
    Input.OPEN_ERROR: (MessageType.OPEN, None),
    Input.NOTIFICATION_RECEIVED: (MessageType.NOTIFICATION, Notification(6, 4)),
    Input.NOTIFICATION_VERSION_ERROR: (MessageType.NOTIFICATION, Notification(2, 1)),
    Input.KEEPALIVE_RECEIVED: (MessageType.KEEPALIVE, None),
    Input.UPDATE_RECEIVED: (MessageType.UPDATE, Update()),
    Input.UPDATE_ERROR: (MessageType.UPDATE, None),
    Input.REFRESH_RECEIVED: (MessageType.ROUTE_REFRESH, RouteRefresh(IPV4_UNICAST)),
}
CEASE = ErrorCode.CEASE
COMPLAINTS = {
    Input.MANUAL_STOP: Notification(CEASE, 2),
    Input.AUTOMATIC_STOP: Notification(CEASE, 4),
    Input.COLLISION_DUMP: Notification(CEASE, 7),
    Input.HEADER_ERROR: Notification(ErrorCode.MESSAGE_HEADER, 1),
    Input.OPEN_ERROR: Notification(ErrorCode.OPEN_MESSAGE, 2),
    Input.UPDATE_ERROR: Notification(ErrorCode.UPDATE_MESSAGE, 1),
}
#: A fresh counter would not show that it was set to zero.
COUNTED_BEFORE = 7


def feed(machine: Session, happened: Input) -> list[Event]:
    occurrence = Occurrence(happened, 1.0)
    kind, occurrence.message = MESSAGES.get(happened, (0, None))
    occurrence.message_type = kind
    occurrence.notification = COMPLAINTS.get(happened)
    machine._step(occurrence)
    return machine._take_events()


def written(message: object) -> str:
    if isinstance(message, Notification):
        data = f":{message.data.hex()}" if message.code == ErrorCode.FINITE_STATE_MACHINE and message.data else ""
        return f"{message.code}/{message.subcode}{data}"
    return "OPEN" if isinstance(message, Open) else "KA"


def seen(machine: Session, happened: Input) -> str:
    """Feed an input and put everything that can be seen into the words of the table."""
    before, machine.retry_counter = machine.state, COUNTED_BEFORE
    events = feed(machine, happened)
    words = [written(message) for message in messages(machine.data_to_send())]
    names = {SessionUp: "up", SessionDown: "down", UpdateReceived: "update", RefreshReceived: "refresh"}
    words += [names[type(event)] for event in events if type(event) in names]
    words += ["=0"] if machine.retry_counter == 0 else []
    words += ["drop" for event in events if isinstance(event, Close)]
    words += ["connect" for event in events if isinstance(event, Connect)]
    words += ["+1"] if machine.retry_counter == COUNTED_BEFORE + 1 else []
    ended = [event for event in events if isinstance(event, SessionEnded)]
    assert len(ended) == (machine.state is State.IDLE and before is not State.IDLE)
    assert all(event.counted == ("+1" in words) for event in ended)
    if machine.state is before and not words:
        return "."
    return " ".join([str(machine.state), *words])


CELLS = [
    (state, happened, cell)
    for happened, row in TABLE.items()
    for state, cell in zip(State, row, strict=True)
]  # fmt: skip


def test_the_table_of_the_standard_and_ours_have_the_same_pairs() -> None:
    assert {(state, happened) for state, happened, _ in CELLS} == set(STEPS)
    assert len(STEPS) == len(State) * len(Input) == 180


@pytest.mark.parametrize(("state", "happened", "expected"), CELLS, ids=lambda value: getattr(value, "name", None))
def test_every_pair_of_state_and_input(state: State, happened: Input, expected: str) -> None:
    assert seen(drive(session(), state), happened) == expected


@pytest.mark.parametrize("happened", DELAYING, ids=lambda happened: happened.name)
@pytest.mark.parametrize("state", [State.CONNECT, State.ACTIVE], ids=str)
def test_while_the_open_is_delayed(state: State, happened: Input) -> None:
    machine = drive(session(ours(delay_open_time=5.0)), state)
    assert machine.connection_made(1.0) == []
    assert "delay_open" in machine.timers(1.0)
    assert seen(machine, happened) == DELAYING[happened][state - State.CONNECT]


def test_a_new_connection_replaces_an_established_one_of_a_restarting_peer() -> None:
    restart = GracefulRestartConfig()
    machine = drive(session(ours(graceful_restart=restart)), State.ESTABLISHED, peer=theirs(graceful_restart=restart))
    assert seen(machine, Input.TCP_CONFIRMED) == "Idle down =0 drop"


@pytest.mark.parametrize(("state", "happened", "_"), CELLS, ids=lambda value: getattr(value, "name", None))
def test_no_timer_runs_in_idle_but_idle_hold(state: State, happened: Input, _: str) -> None:
    machine = drive(session(), state)
    feed(machine, happened)
    if machine.state is State.IDLE:
        assert set(machine.timers(1.0)) <= {"idle_hold"}


@pytest.mark.parametrize("happened", [Input.NOTIFICATION_RECEIVED, Input.NOTIFICATION_VERSION_ERROR])
@pytest.mark.parametrize("state", State, ids=str)
def test_a_notification_is_never_answered(state: State, happened: Input) -> None:
    machine = drive(session(), state)
    feed(machine, happened)
    assert machine.data_to_send() == b""


def test_the_timers_of_each_state() -> None:
    running = {state: set(drive(session(), state).timers(0.0)) for state in State}
    assert running == {
        State.IDLE: set(),
        State.CONNECT: {"connect_retry"},
        State.ACTIVE: {"connect_retry"},
        State.OPEN_SENT: {"hold"},
        State.OPEN_CONFIRM: {"hold", "keepalive"},
        State.ESTABLISHED: {"hold", "keepalive", "send_hold"},
    }


def test_the_short_way_of_an_update_does_what_the_table_says() -> None:
    by_table, by_octets = drive(session(), State.ESTABLISHED), drive(session(), State.ESTABLISHED)
    events = feed(by_table, Input.UPDATE_RECEIVED)
    (event,) = by_octets.receive_data(end_of_rib(IPV4_UNICAST), 1.0)
    assert [type(found) for found in events] == [type(event)]
    assert (by_octets.state, by_octets.timers(1.0)) == (by_table.state, by_table.timers(1.0))
