"""Which sessions a daemon has with us, and what each of them is to show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.wire.families import Family

THEIR_ADDRESS: Final = "10.77.0.2"
THEIR_V6: Final = "fd77::2"
THEIR_AS: Final = 64513
PASSWORD: Final = "interop-key"
HOLD_TIME: Final = 9
RESTART_TIME: Final = 60
SHORT_RESTART_TIME: Final = 3
LONG_LIVED_TIME: Final = 600
#: What each daemon announces by itself, as far as it can: plain, and with attributes.
THEIR_PREFIX: Final = "198.51.100.0/26"
THEIR_MARKED: Final = "198.51.100.64/26"
THEIR_V6_PREFIX: Final = "2001:db8:5::/64"


@dataclass(frozen=True)
class SessionPlan:
    """One session with the daemon, as both configurations need it."""

    name: str
    #: Makes our addresses and our AS number.
    index: int
    families: tuple[Family, ...] = (IPV4_UNICAST, IPV6_UNICAST)
    over_v6: bool = False
    our_as: int = 0
    password: str | None = None
    ttl_security: bool = False
    add_path: bool = False
    extended_next_hop: bool = False
    #: What they are to us, as the daemons spell it.
    their_role: str | None = None
    graceful_restart: bool = False
    long_lived: bool = False
    bfd: bool = False
    #: Another speaker of ours stands behind this one, and watches what it passes on.
    watched: bool = False
    #: Whom to speak to in place of the daemon.
    remote: tuple[str, int] | None = None
    #: More of our `PeerConfig`.
    ours: Mapping[str, Any] = field(default_factory=dict)

    @property
    def our_address(self) -> str:
        """The address that we connect from and listen on."""
        return f"fd77::{self.index:x}" if self.over_v6 else f"10.77.0.{self.index}"

    @property
    def their_address(self) -> str:
        """The address of the daemon on this session."""
        if self.remote is not None:
            return self.remote[0]
        return THEIR_V6 if self.over_v6 else THEIR_ADDRESS

    @property
    def their_as(self) -> int:
        """The AS number of the other side."""
        return THEIR_AS if self.remote is None else self.remote[1]

    @property
    def behind(self) -> SessionPlan:
        """The session between this station and the one that watches it from behind."""
        remote = self.our_address, self.asn
        return replace(
            self,
            name=f"{self.name}_behind",
            index=self.index + 100,
            remote=remote,
            watched=False,
            long_lived=True,
            graceful_restart=True,
        )

    @property
    def asn(self) -> int:
        """Our AS number, another one on each session, so that one station takes the routes of another."""
        return self.our_as or 64600 + self.index

    @property
    def prefix(self) -> str:
        """The IPv4 prefix that only this station announces."""
        return f"10.{self.index}.0.0/24"

    @property
    def v6_prefix(self) -> str:
        """The IPv6 prefix that only this station announces."""
        return f"2001:db8:{self.index:x}00::/64"
