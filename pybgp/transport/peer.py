"""One neighbour on real sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.session.state_machine import Input, State
    from pybgp.wire.negotiated import Negotiated


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of the state history; ``time`` is wall-clock."""

    time: float
    old: State
    cause: Input
    new: State


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A neighbour at one moment; every time is a wall-clock time in seconds."""

    address: str
    port: int
    remote_as: int
    #: "Idle", "Connect", "Active", "Passive" (waiting for the peer), "OpenSent", "OpenConfirm", "Established".
    state: str
    #: "up", "start" or "down", as BIRD shows a protocol.
    protocol_state: str
    #: When ``protocol_state`` began.
    since: float
    #: For example "Socket: Connection refused" or "Received: Administrative shutdown"; empty while all is well.
    last_error: str
    description: str = ""
    uptime: float = 0.0
    negotiated: Negotiated | None = None
    #: Messages by type ("OPEN", "UPDATE", ...) in each direction.
    received: Mapping[str, int] | None = None
    sent: Mapping[str, int] | None = None
    #: Errors found by us and told by the peer, as (code, subcode, data in hex, text); the last of each.
    last_error_sent: tuple[int, int, str, str] | None = None
    last_error_received: tuple[int, int, str, str] | None = None
    #: Seconds until each running timer fires, by name.
    timers: Mapping[str, float] | None = None
    history: tuple[Transition, ...] = ()
    restarts: int = 0

    @property
    def info(self) -> str:
        """State and last error as one text, the INFO column of a status table."""
        return f"{self.state} {self.last_error}".rstrip()
