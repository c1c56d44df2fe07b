"""What happens to a session: an input of the state machine, with what came along (RFC 4271 section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.errors import ErrorCode
from pybgp.session.deadlines import Timer
from pybgp.session.error_texts import describe
from pybgp.session.events import DownReason
from pybgp.session.state_machine import Input
from pybgp.wire.messages import Notification

if TYPE_CHECKING:
    from pybgp.errors import RemoteError
    from pybgp.wire.messages import Message

TIMER_INPUTS: Final = {
    Timer.CONNECT_RETRY: Input.CONNECT_RETRY_EXPIRED,
    Timer.HOLD: Input.HOLD_EXPIRED,
    Timer.KEEPALIVE: Input.KEEPALIVE_EXPIRED,
    Timer.DELAY_OPEN: Input.DELAY_OPEN_EXPIRED,
    Timer.IDLE_HOLD: Input.IDLE_HOLD_EXPIRED,
    Timer.SEND_HOLD: Input.SEND_HOLD_EXPIRED,
}
#: A ROUTE-REFRESH error has no input of its own in any RFC; it ends the session as an UPDATE error does.
FAULT_INPUTS: Final = {
    ErrorCode.MESSAGE_HEADER: Input.HEADER_ERROR,
    ErrorCode.OPEN_MESSAGE: Input.OPEN_ERROR,
    ErrorCode.UPDATE_MESSAGE: Input.UPDATE_ERROR,
    ErrorCode.ROUTE_REFRESH_MESSAGE: Input.UPDATE_ERROR,
}
REASONS: Final = {
    Input.MANUAL_STOP: DownReason.STOPPED,
    Input.AUTOMATIC_STOP: DownReason.RESET,
    Input.HOLD_EXPIRED: DownReason.HOLD_EXPIRED,
    Input.SEND_HOLD_EXPIRED: DownReason.SEND_HOLD_EXPIRED,
    Input.TCP_CONFIRMED: DownReason.SUPERSEDED,
    Input.TCP_FAILS: DownReason.TCP_FAILED,
    Input.COLLISION_DUMP: DownReason.COLLISION,
    Input.NOTIFICATION_VERSION_ERROR: DownReason.NOTIFICATION_RECEIVED,
    Input.NOTIFICATION_RECEIVED: DownReason.NOTIFICATION_RECEIVED,
}
#: Indexed by message type.
MESSAGE_INPUTS: Final = (
    Input.HEADER_ERROR,
    Input.OPEN_RECEIVED,
    Input.UPDATE_RECEIVED,
    Input.NOTIFICATION_RECEIVED,
    Input.KEEPALIVE_RECEIVED,
    Input.REFRESH_RECEIVED,
)


class Occurrence:
    """One input with what came along: the message it is about, the NOTIFICATION it asks for, the error in words."""

    __slots__ = ("counted", "input", "message", "message_type", "notification", "now", "sent", "text")

    def __init__(self, happened: Input, now: float) -> None:
        """Nothing came along so far."""
        self.input = happened
        self.now = now
        self.message: Message | None = None
        self.message_type = 0
        self.notification: Notification | None = None
        self.sent: Notification | None = None
        self.text = ""
        self.counted = False

    @property
    def received(self) -> Notification | None:
        """The NOTIFICATION that the input is about."""
        return self.message if isinstance(self.message, Notification) else None


def complaint(happened: Input, error: RemoteError, now: float) -> Occurrence:
    """An input for an error of the peer, with what it is to be told."""
    occurrence = Occurrence(happened, now)
    occurrence.notification = Notification(error.code, error.subcode, error.data)
    occurrence.text = f"BGP Error: {describe(occurrence.notification)}"
    return occurrence


def cease(subcode: int, communication: str = "", data: bytes = b"") -> Notification:
    """Return a Cease, with the operator's words if there are any (RFC 9003)."""
    if communication:
        return Notification.with_text(subcode, communication)
    return Notification(ErrorCode.CEASE, subcode, data)
