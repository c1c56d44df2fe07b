"""Which VPN routes a peer wants: those with a target that it is a member of (RFC 4684)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pybgp.wire.families import (
    EVPN,
    IPV4_MCAST_VPN,
    IPV4_MUP,
    IPV4_VPN,
    IPV4_VPN_FLOWSPEC,
    IPV4_VPN_MULTICAST,
    IPV6_MCAST_VPN,
    IPV6_MUP,
    IPV6_VPN,
    IPV6_VPN_FLOWSPEC,
    IPV6_VPN_MULTICAST,
    VPLS,
    Family,
)
from pybgp.wire.forms import prefix_octets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes

#: Families whose routes go where their targets are wanted.
TARGETED_FAMILIES: Final = frozenset(
    {
        EVPN,
        IPV4_MCAST_VPN,
        IPV4_MUP,
        IPV4_VPN,
        IPV4_VPN_FLOWSPEC,
        IPV4_VPN_MULTICAST,
        IPV6_MCAST_VPN,
        IPV6_MUP,
        IPV6_VPN,
        IPV6_VPN_FLOWSPEC,
        IPV6_VPN_MULTICAST,
        VPLS,
    }
)
#: How long VPN routes wait for the memberships of a peer to be complete (RFC 4684 section 6).
MEMBERSHIP_TIME: Final = 60.0
_ORIGIN_AS_BITS: Final = 32
#: types of extended communities that are targets where their subtype is 2 (RFC 4360 section 4, RFC 7432 section 7.6).
_TARGET_TYPES: Final = frozenset({0x00, 0x01, 0x02, 0x06})
_TARGET: Final = 0x02
#: the membership without an AS number, which wants routes without a target too.
_DEFAULT: Final = (-_ORIGIN_AS_BITS, b"")


@dataclass(frozen=True, slots=True)
class WantedTargets:
    """An export policy: only routes with a target inside one of these memberships pass."""

    #: how many bits of a target count, and those bits.
    memberships: frozenset[tuple[int, bytes]]
    looks_at_prefixes: bool = False

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> WantedTargets:
        """Return what these route-target NLRI want; which AS they are from makes no difference here."""
        return cls(frozenset((key[0] - _ORIGIN_AS_BITS, key[5:]) for key in keys))

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Let a path pass that somebody wants."""
        del family, internal
        return ((path.attributes, keys),) if self.wants(path.attributes) else ()

    def wants(self, attributes: Attributes) -> bool:
        """Say whether a route has a wanted target (RFC 4684 section 6); with the default membership, any."""
        if _DEFAULT in self.memberships:
            return True
        lengths = {bits for bits, _ in self.memberships}
        return any(
            (bits, prefix_octets(community, bits)) in self.memberships
            for community in attributes.extended_communities
            if community[0] in _TARGET_TYPES and community[1] == _TARGET
            for bits in lengths
        )
