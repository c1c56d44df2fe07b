"""What an operator decides about one monitoring station; every value is checked where it enters."""

from __future__ import annotations

from dataclasses import dataclass

from pybgp.errors import LocalError

#: Room for the longest messages in either half.
_SMALLEST_QUEUE = 256 * 1024


@dataclass(frozen=True, slots=True)
class BmpConfig:
    """A station that we connect to (RFC 7854 section 3.2); times are seconds."""

    host: str
    port: int
    system_name: str = "pybgp"
    system_description: str = "pybgp"
    #: What every peer sent, before policy.
    adj_rib_in: bool = True
    #: What was selected (RFC 9069).
    loc_rib: bool = True
    #: Between two reports; 0: none.
    statistics_interval: float = 0.0
    #: A station that leaves more octets than this unread is disconnected, and told everything again.
    queue_limit: int = 8 * 1024 * 1024
    #: The gap between connection attempts doubles from the first value to the second.
    first_retry_time: float = 30.0
    longest_retry_time: float = 720.0
    connect_timeout: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        if not self.host:
            raise LocalError("bmp host '': an address or a name expected")
        if not 0 < self.port < 65536:
            raise LocalError(f"bmp port {self.port}: 1 to 65535 expected")
        if self.queue_limit < _SMALLEST_QUEUE:
            raise LocalError(f"bmp queue_limit {self.queue_limit}: at least {_SMALLEST_QUEUE} octets expected")
        if self.statistics_interval < 0:
            raise LocalError(f"bmp statistics_interval {self.statistics_interval}: 0 or more seconds expected")
        for name in ("first_retry_time", "longest_retry_time", "connect_timeout"):
            if getattr(self, name) <= 0:
                raise LocalError(f"bmp {name} {getattr(self, name)}: more than 0 seconds expected")
