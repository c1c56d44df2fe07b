"""What an operator decides about one BFD session; every value is checked where it enters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pybgp.bfd.packet import DIGEST_LENGTHS, AuthenticationType
from pybgp.errors import LocalError

#: One Python loop may stall longer than anything below this.
SHORTEST_INTERVAL: Final = 0.05
_LONGEST_INTERVAL: Final = 4294.0
_LONGEST_PASSWORD: Final = 16


@dataclass(frozen=True, slots=True)
class AuthenticationKey:
    """A key, and how packets are signed with it (RFC 5880 section 6.7)."""

    type: AuthenticationType
    key_id: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what fits into no packet."""
        longest = DIGEST_LENGTHS.get(self.type, _LONGEST_PASSWORD)
        if not 0 < len(self.secret) <= longest:
            raise LocalError(f"bfd.authentication.secret of {len(self.secret)} octets: 1 to {longest} expected")
        if not 0 <= self.key_id <= 255:
            raise LocalError(f"bfd.authentication.key_id {self.key_id}: 0 to 255 expected")


@dataclass(frozen=True, slots=True)
class BfdConfig:
    """One BFD session; intervals are seconds (spec section 6.4)."""

    #: How often we want to send, and how often we can take a packet.
    transmit_interval: float = 0.3
    receive_interval: float = 0.3
    #: So many packets in a row may be lost.
    multiplier: int = 3
    #: The neighbour may be several hops away (RFC 5883), with at least this TTL left on arrival.
    multihop: bool = False
    minimum_ttl: int = 254
    #: Multihop only: be silent until the neighbour has spoken.
    passive: bool = False
    authentication: AuthenticationKey | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        for name in ("transmit_interval", "receive_interval"):
            value = getattr(self, name)
            if not SHORTEST_INTERVAL <= value <= _LONGEST_INTERVAL:
                limits = f"{SHORTEST_INTERVAL} to {_LONGEST_INTERVAL}"
                raise LocalError(f"bfd.{name} {value}: {limits} seconds expected")
        if not 1 <= self.multiplier <= 255:
            raise LocalError(f"bfd.multiplier {self.multiplier}: 1 to 255 expected")
        if not 1 <= self.minimum_ttl <= 255:
            raise LocalError(f"bfd.minimum_ttl {self.minimum_ttl}: 1 to 255 expected")
        if self.passive and not self.multihop:
            raise LocalError("bfd.passive: only with bfd.multihop (RFC 5881 section 3)")
