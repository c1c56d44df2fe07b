"""The finite state machine of RFC 4271 section 8 as data: states, inputs, and one step for every pair of them.

A session lives for one TCP connection; what concerns several connections of one neighbour (inputs 14 to 17 while a
session is further on, collisions, the next start) is decided in ``neighbor.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(IntEnum):
    """RFC 4271 section 8.2.2; further on is larger."""

    IDLE = 0
    CONNECT = 1
    ACTIVE = 2
    OPEN_SENT = 3
    OPEN_CONFIRM = 4
    ESTABLISHED = 5

    def __str__(self) -> str:
        """Return the name as RFC 4271 writes it."""
        return _STATE_NAMES[self]


_STATE_NAMES: Final = {
    State.IDLE: "Idle",
    State.CONNECT: "Connect",
    State.ACTIVE: "Active",
    State.OPEN_SENT: "OpenSent",
    State.OPEN_CONFIRM: "OpenConfirm",
    State.ESTABLISHED: "Established",
}


class Input(IntEnum):
    """RFC 4271 section 8.1, with its event numbers; 29 is RFC 9687, and ROUTE-REFRESH has no number anywhere."""

    MANUAL_START = 1
    MANUAL_STOP = 2
    AUTOMATIC_START = 3
    MANUAL_START_PASSIVE = 4
    AUTOMATIC_START_PASSIVE = 5
    AUTOMATIC_START_DAMPED = 6
    AUTOMATIC_START_DAMPED_PASSIVE = 7
    AUTOMATIC_STOP = 8
    CONNECT_RETRY_EXPIRED = 9
    HOLD_EXPIRED = 10
    KEEPALIVE_EXPIRED = 11
    DELAY_OPEN_EXPIRED = 12
    IDLE_HOLD_EXPIRED = 13
    TCP_REQUEST_VALID = 14
    TCP_REQUEST_INVALID = 15
    TCP_REQUEST_ACKNOWLEDGED = 16
    TCP_CONFIRMED = 17
    TCP_FAILS = 18
    OPEN_RECEIVED = 19
    OPEN_RECEIVED_DELAYING = 20
    HEADER_ERROR = 21
    OPEN_ERROR = 22
    COLLISION_DUMP = 23
    NOTIFICATION_VERSION_ERROR = 24
    NOTIFICATION_RECEIVED = 25
    KEEPALIVE_RECEIVED = 26
    UPDATE_RECEIVED = 27
    UPDATE_ERROR = 28
    SEND_HOLD_EXPIRED = 29
    REFRESH_RECEIVED = 30


class Guard(Enum):
    """What a step may depend on besides state and input."""

    #: DelayOpenTimer runs, or at TCP-up is about to (the DelayOpen attribute).
    DELAYING_OPEN = auto()
    #: The peer offered graceful restart for at least one family (RFC 4724 section 5).
    GRACEFUL = auto()


class Do(IntEnum):
    """One act of a step; ``Session`` has a method for each."""

    RESET_RETRY_COUNTER = auto()
    COUNT_FAILURE = auto()
    CONNECT = auto()
    DROP = auto()
    ABORT = auto()
    START_CONNECT_RETRY = auto()
    START_FAST_CONNECT_RETRY = auto()
    STOP_CONNECT_RETRY = auto()
    START_DELAY_OPEN = auto()
    STOP_DELAY_OPEN = auto()
    START_IDLE_HOLD = auto()
    START_AGAIN = auto()
    START_LARGE_HOLD = auto()
    START_NEGOTIATED_HOLD = auto()
    RESTART_HOLD = auto()
    START_SEND_HOLD = auto()
    STOP_TIMERS = auto()
    SEND_OPEN = auto()
    SEND_KEEPALIVE = auto()
    NOTIFY = auto()
    NOTIFY_HOLD_EXPIRED = auto()
    NOTIFY_SEND_HOLD_EXPIRED = auto()
    NOTIFY_FSM_ERROR = auto()
    NOTIFY_UNEXPECTED_IN_OPEN_SENT = auto()
    NOTIFY_UNEXPECTED_IN_OPEN_CONFIRM = auto()
    NOTIFY_UNEXPECTED_IN_ESTABLISHED = auto()
    ANNOUNCE_UP = auto()
    ANNOUNCE_DOWN = auto()
    DELIVER = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """The next state and what is done on the way; if ``guard`` holds, ``instead`` is taken."""

    state: State
    actions: tuple[Do, ...] = ()
    guard: Guard | None = None
    instead: Step | None = None


def _fall(*actions: Do) -> Step:
    """To Idle as a failure that counts: the retry counter grows and the next start is damped."""
    return Step(State.IDLE, (*actions, Do.STOP_TIMERS, Do.DROP, Do.COUNT_FAILURE))


def _leave(*actions: Do) -> Step:
    """To Idle without blame."""
    return Step(State.IDLE, (*actions, Do.STOP_TIMERS, Do.DROP))


_STAY: Final = tuple(Step(state) for state in State)
_IDLE, _CONNECT, _ACTIVE, _OPEN_SENT, _OPEN_CONFIRM, _ESTABLISHED = _STAY

_START: Final = Step(State.CONNECT, (Do.RESET_RETRY_COUNTER, Do.START_CONNECT_RETRY, Do.CONNECT))
_START_PASSIVE: Final = Step(State.ACTIVE, (Do.RESET_RETRY_COUNTER, Do.START_FAST_CONNECT_RETRY))
_START_DAMPED: Final = Step(State.IDLE, (Do.START_IDLE_HOLD,))
_START_AGAIN: Final = Step(State.IDLE, (Do.START_AGAIN,))
_REFUSE: Final = Step(State.IDLE, (Do.DROP,))

_STOP: Final = _leave(Do.RESET_RETRY_COUNTER)
_CEASE: Final = _leave(Do.NOTIFY, Do.RESET_RETRY_COUNTER)
_CEASE_DOWN: Final = _leave(Do.NOTIFY, Do.ANNOUNCE_DOWN, Do.RESET_RETRY_COUNTER)
_NO_BLAME: Final = _leave()

_DIAL_AGAIN: Final = Step(State.CONNECT, (Do.DROP, Do.START_CONNECT_RETRY, Do.STOP_DELAY_OPEN, Do.CONNECT))
_DIAL: Final = Step(State.CONNECT, (Do.START_CONNECT_RETRY, Do.CONNECT))
_TO_ACTIVE: Final = Step(State.ACTIVE, (Do.STOP_TIMERS, Do.DROP, Do.START_FAST_CONNECT_RETRY))
_NO_CONNECTION: Final = Step(State.IDLE, _NO_BLAME.actions, Guard.DELAYING_OPEN, _TO_ACTIVE)

_OPEN_NOW: Final = (Do.STOP_CONNECT_RETRY, Do.SEND_OPEN, Do.START_LARGE_HOLD)
_OPEN_LATER: Final = (Do.STOP_CONNECT_RETRY, Do.START_DELAY_OPEN)
_OPEN: Final = Step(State.OPEN_SENT, (Do.SEND_OPEN, Do.START_LARGE_HOLD))
_OPEN_ACTIVE: Final = Step(State.OPEN_SENT, _OPEN_NOW)
_UP_CONNECT: Final = Step(State.OPEN_SENT, _OPEN_NOW, Guard.DELAYING_OPEN, Step(State.CONNECT, _OPEN_LATER))
_UP_ACTIVE: Final = Step(State.OPEN_SENT, _OPEN_NOW, Guard.DELAYING_OPEN, Step(State.ACTIVE, _OPEN_LATER))
#: RFC 4724 section 5: a new connection says that the old one is dead; nothing is sent on it.
_SUPERSEDED: Final = Step(State.ESTABLISHED, (), Guard.GRACEFUL, _leave(Do.ANNOUNCE_DOWN, Do.RESET_RETRY_COUNTER))

_ANSWER: Final = (Do.SEND_KEEPALIVE, Do.START_NEGOTIATED_HOLD)
_CONFIRM: Final = Step(State.OPEN_CONFIRM, (Do.STOP_CONNECT_RETRY, Do.STOP_DELAY_OPEN, *_ANSWER))
_CONFIRM_LATE: Final = Step(State.OPEN_CONFIRM, (Do.STOP_CONNECT_RETRY, Do.STOP_DELAY_OPEN, Do.SEND_OPEN, *_ANSWER))
_ALIVE_CONFIRM: Final = Step(State.OPEN_CONFIRM, (Do.SEND_KEEPALIVE,))
_UP: Final = Step(State.ESTABLISHED, (Do.RESTART_HOLD, Do.START_SEND_HOLD, Do.ANNOUNCE_UP))
_ALIVE: Final = Step(State.ESTABLISHED, (Do.SEND_KEEPALIVE,))
_HEARD: Final = Step(State.ESTABLISHED, (Do.RESTART_HOLD,))
_UPDATE: Final = Step(State.ESTABLISHED, (Do.DELIVER, Do.RESTART_HOLD))
_REFRESH: Final = Step(State.ESTABLISHED, (Do.DELIVER,))

#: "err" in the specification: no NOTIFICATION, as none may stand before an OPEN (RFC 4271 section 8.2.1.5).
_ERROR: Final = _fall()
_DOWN: Final = _fall(Do.ANNOUNCE_DOWN)
_NOTIFY: Final = _fall(Do.NOTIFY)
_NOTIFY_DOWN: Final = _fall(Do.NOTIFY, Do.ANNOUNCE_DOWN)
_FSM: Final = _fall(Do.NOTIFY_FSM_ERROR)
_FSM_DOWN: Final = _fall(Do.NOTIFY_FSM_ERROR, Do.ANNOUNCE_DOWN)
_FSM_1: Final = _fall(Do.NOTIFY_UNEXPECTED_IN_OPEN_SENT)
_FSM_2: Final = _fall(Do.NOTIFY_UNEXPECTED_IN_OPEN_CONFIRM)
_FSM_3: Final = _fall(Do.NOTIFY_UNEXPECTED_IN_ESTABLISHED, Do.ANNOUNCE_DOWN)
_HOLD: Final = _fall(Do.NOTIFY_HOLD_EXPIRED)
_HOLD_DOWN: Final = _fall(Do.NOTIFY_HOLD_EXPIRED, Do.ANNOUNCE_DOWN)
_SEND_HOLD_DOWN: Final = Step(
    State.IDLE,
    (Do.NOTIFY_SEND_HOLD_EXPIRED, Do.ANNOUNCE_DOWN, Do.STOP_TIMERS, Do.ABORT, Do.COUNT_FAILURE),
)
_OTHER_VERSION: Final = Step(State.IDLE, _ERROR.actions, Guard.DELAYING_OPEN, _NO_BLAME)

# One row per line of RFC 4271 section 8.2.2: Idle, Connect, Active, OpenSent, OpenConfirm, Established.
# fmt: off
_ROWS: Final[Mapping[Input, tuple[Step, ...]]] = {
    Input.MANUAL_START:                   (_START, *_STAY[1:]),
    Input.MANUAL_STOP:                    (_IDLE, _STOP, _STOP, _CEASE, _CEASE, _CEASE_DOWN),
    Input.AUTOMATIC_START:                (_START, *_STAY[1:]),
    Input.MANUAL_START_PASSIVE:           (_START_PASSIVE, *_STAY[1:]),
    Input.AUTOMATIC_START_PASSIVE:        (_START_PASSIVE, *_STAY[1:]),
    Input.AUTOMATIC_START_DAMPED:         (_START_DAMPED, *_STAY[1:]),
    Input.AUTOMATIC_START_DAMPED_PASSIVE: (_START_DAMPED, *_STAY[1:]),
    Input.AUTOMATIC_STOP:                 (_IDLE, _ERROR, _ERROR, _NOTIFY, _NOTIFY, _NOTIFY_DOWN),
    Input.CONNECT_RETRY_EXPIRED:          (_IDLE, _DIAL_AGAIN, _DIAL, _FSM, _FSM, _FSM_DOWN),
    Input.HOLD_EXPIRED:                   (_IDLE, _ERROR, _ERROR, _HOLD, _HOLD, _HOLD_DOWN),
    Input.KEEPALIVE_EXPIRED:              (_IDLE, _ERROR, _ERROR, _FSM, _ALIVE_CONFIRM, _ALIVE),
    Input.DELAY_OPEN_EXPIRED:             (_IDLE, _OPEN, _OPEN_ACTIVE, _FSM, _FSM, _FSM_DOWN),
    Input.IDLE_HOLD_EXPIRED:              (_START_AGAIN, _ERROR, _ERROR, _FSM, _FSM, _FSM_DOWN),
    Input.TCP_REQUEST_VALID:              _STAY,
    Input.TCP_REQUEST_INVALID:            _STAY,
    Input.TCP_REQUEST_ACKNOWLEDGED:       (_REFUSE, _UP_CONNECT, _UP_ACTIVE, *_STAY[3:]),
    Input.TCP_CONFIRMED:                  (_REFUSE, _UP_CONNECT, _UP_ACTIVE, _OPEN_SENT, _OPEN_CONFIRM, _SUPERSEDED),
    Input.TCP_FAILS:                      (_IDLE, _NO_CONNECTION, _ERROR, _TO_ACTIVE, _ERROR, _DOWN),
    Input.OPEN_RECEIVED:                  (_IDLE, _ERROR, _ERROR, _CONFIRM, _FSM_2, _FSM_3),
    Input.OPEN_RECEIVED_DELAYING:         (_IDLE, _CONFIRM_LATE, _CONFIRM_LATE, _FSM_1, _FSM_2, _FSM_3),
    Input.HEADER_ERROR:                   (_IDLE, _ERROR, _ERROR, _NOTIFY, _NOTIFY, _NOTIFY_DOWN),
    Input.OPEN_ERROR:                     (_IDLE, _ERROR, _ERROR, _NOTIFY, _NOTIFY, _FSM_3),
    Input.COLLISION_DUMP:                 (_IDLE, _ERROR, _ERROR, _NOTIFY, _NOTIFY, _NOTIFY_DOWN),
    Input.NOTIFICATION_VERSION_ERROR:     (_IDLE, _OTHER_VERSION, _OTHER_VERSION, _NO_BLAME, _NO_BLAME, _DOWN),
    Input.NOTIFICATION_RECEIVED:          (_IDLE, _ERROR, _ERROR, _ERROR, _ERROR, _DOWN),
    Input.KEEPALIVE_RECEIVED:             (_IDLE, _ERROR, _ERROR, _FSM_1, _UP, _HEARD),
    Input.UPDATE_RECEIVED:                (_IDLE, _ERROR, _ERROR, _FSM_1, _FSM_2, _UPDATE),
    Input.UPDATE_ERROR:                   (_IDLE, _ERROR, _ERROR, _FSM_1, _FSM_2, _NOTIFY_DOWN),
    Input.SEND_HOLD_EXPIRED:              (*_STAY[:5], _SEND_HOLD_DOWN),
    Input.REFRESH_RECEIVED:               (_IDLE, _ERROR, _ERROR, _FSM_1, _FSM_2, _REFRESH),
}
# fmt: on

#: Every pair of state and input stands here; an ignored one stays in its state and does nothing.
STEPS: Final[Mapping[tuple[State, Input], Step]] = {
    (state, happened): step for happened, row in _ROWS.items() for state, step in zip(State, row, strict=True)
}
