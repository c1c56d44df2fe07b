"""What a session and a neighbour report; values only, the shell decides what to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pybgp.wire.updates import NlriSet, Update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pybgp.session.session import Session
    from pybgp.session.state_machine import Input, State
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Notification, Open, RouteRefresh
    from pybgp.wire.negotiated import Negotiated
    from pybgp.wire.plain_run import Run


class DownReason(Enum):
    """Why a session ended."""

    STOPPED = "stopped"
    RESET = "reset"
    TCP_FAILED = "TCP failed"
    SUPERSEDED = "superseded by a new connection"
    HOLD_EXPIRED = "hold timer expired"
    SEND_HOLD_EXPIRED = "send hold timer expired"
    NOTIFICATION_RECEIVED = "NOTIFICATION received"
    PROTOCOL_ERROR = "protocol error"
    COLLISION = "connection collision"


@dataclass(frozen=True, slots=True)
class SessionUp:
    """Both sides agreed; UPDATEs may flow (RFC 4271 section 8.2.2, Established)."""

    negotiated: Negotiated
    #: The peer's OPEN, and ours.
    open: Open
    sent_open: Open


class UpdateReceived(NamedTuple):
    """An UPDATE, already judged by RFC 7606."""

    update: Update


class RunReceived(NamedTuple):
    """Ordinary UPDATEs in a row, from a session that gathers them: what each of them announces."""

    family: Family
    run: Run

    def updates(self) -> Iterator[UpdateReceived]:
        """Yield them one by one."""
        for attributes, keys in zip(*self.run, strict=True):
            yield UpdateReceived(Update((), (NlriSet(self.family, keys, attributes),), attributes))


class RefreshReceived(NamedTuple):
    """A ROUTE-REFRESH: a request, or a mark of its begin or end (RFC 7313)."""

    refresh: RouteRefresh


@dataclass(frozen=True, slots=True)
class SessionDown:
    """An Established session is over; at most one of ``sent`` and ``received`` is there."""

    reason: DownReason
    #: In the words of a status table, for example "Received: Administrative shutdown".
    text: str
    sent: Notification | None = None
    received: Notification | None = None
    #: Families whose routes are to be kept as stale; all others are to be deleted now (RFC 4724, RFC 8538).
    retained: frozenset[Family] = frozenset()
    #: Seconds that the peer may take to return, and that routes may stay stale; both count from now.
    restart_time: float = 0.0
    stale_time: float = 0.0
    #: Families that are kept as a last resort when the restart time is over, or at once if they are not retained, and
    #: for how many seconds more (RFC 9494).
    long_lived: tuple[tuple[Family, float], ...] = ()

    @property
    def routes_retained(self) -> bool:
        """Whether any family is kept."""
        return bool(self.retained or self.long_lived)


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is in Idle for good; from a session to its neighbour, which decides what comes next."""

    session: Session
    reason: DownReason
    #: When it became Established; None if it never was.
    established_at: float | None
    #: Whether it counts as a failure that damps the next start.
    counted: bool
    #: Whether the peer is expected back at once (graceful restart).
    retained: bool
    sent: Notification | None = None
    received: Notification | None = None


class StateChanged(NamedTuple):
    """A session changed its state; from a neighbour: the furthest of its sessions did."""

    old: State
    new: State
    cause: Input
    #: The last error, in the words of a status table; empty if none.
    text: str


class Connect(NamedTuple):
    """The shell shall open a TCP connection for this session."""

    session: Session


class Close(NamedTuple):
    """The shell shall close this session's connection, or the attempt to open it, after what there is to send."""

    session: Session
    #: Drop what cannot be sent at once, and reset.
    abort: bool = False


class WritingResumed(NamedTuple):
    """The peer takes octets again after ``can_write`` was false (from the transport)."""


Event: TypeAlias = (
    SessionUp
    | UpdateReceived
    | RunReceived
    | RefreshReceived
    | SessionDown
    | SessionEnded
    | StateChanged
    | Connect
    | Close
    | WritingResumed
)
