"""What can be seen of a neighbour from outside (spec section 17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.session.neighbor import Transition
    from pybgp.wire.messages import Open
    from pybgp.wire.negotiated import Negotiated


class ErrorDetail(NamedTuple):
    """A NOTIFICATION in full."""

    code: int
    subcode: int
    data: bytes
    text: str


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
    #: Both OPENs of the Established session, with the capabilities that each side offered.
    open_sent: Open | None = None
    open_received: Open | None = None
    #: Messages by type ("OPEN", "UPDATE", ...) in each direction.
    received: Mapping[str, int] | None = None
    sent: Mapping[str, int] | None = None
    octets_received: int = 0
    octets_sent: int = 0
    #: Octets that wait until the peer takes them.
    queued_octets: int = 0
    #: What RFC 7606 did to malformed attributes: (attribute code, Fault) -> how often.
    faults: Mapping[tuple[int, int], int] | None = None
    #: The first octets of the last malformed message.
    last_malformed: bytes = b""
    #: The last error that we told the peer, and that the peer told us.
    last_error_sent: ErrorDetail | None = None
    last_error_received: ErrorDetail | None = None
    #: Seconds until each running timer fires, by name.
    timers: Mapping[str, float] | None = None
    history: tuple[Transition, ...] = ()
    #: How many sessions became Established, and ConnectRetryCounter.
    established_count: int = 0
    retry_counter: int = 0

    @property
    def info(self) -> str:
        """State and last error as one text, the INFO column of a status table."""
        return f"{self.state} {self.last_error}".rstrip()
