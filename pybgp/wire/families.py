"""Address families as AFI/SAFI pairs (RFC 4760 section 3)."""

from __future__ import annotations

from typing import Final, NamedTuple

from pybgp.errors import LocalError


class Family(NamedTuple):
    """An address family and its subsequent family (RFC 4760 section 3)."""

    afi: int
    safi: int

    def __str__(self) -> str:
        """Print the usual name, or AFI/SAFI."""
        return _NAMES.get(self) or f"{self.afi}/{self.safi}"


IPV4_UNICAST: Final = Family(1, 1)
IPV4_MULTICAST: Final = Family(1, 2)
IPV4_LABELLED: Final = Family(1, 4)
IPV4_MCAST_VPN: Final = Family(1, 5)
IPV4_SR_POLICY: Final = Family(1, 73)
IPV4_MUP: Final = Family(1, 85)
IPV4_VPN: Final = Family(1, 128)
IPV4_VPN_MULTICAST: Final = Family(1, 129)
ROUTE_TARGET: Final = Family(1, 132)
IPV4_FLOWSPEC: Final = Family(1, 133)
IPV4_VPN_FLOWSPEC: Final = Family(1, 134)
IPV6_UNICAST: Final = Family(2, 1)
IPV6_MULTICAST: Final = Family(2, 2)
IPV6_LABELLED: Final = Family(2, 4)
IPV6_MCAST_VPN: Final = Family(2, 5)
IPV6_SR_POLICY: Final = Family(2, 73)
IPV6_MUP: Final = Family(2, 85)
IPV6_VPN: Final = Family(2, 128)
IPV6_VPN_MULTICAST: Final = Family(2, 129)
IPV6_FLOWSPEC: Final = Family(2, 133)
IPV6_VPN_FLOWSPEC: Final = Family(2, 134)
VPLS: Final = Family(25, 65)
EVPN: Final = Family(25, 70)
LINK_STATE: Final = Family(16388, 71)
LINK_STATE_VPN: Final = Family(16388, 72)

#: Families with MPLS labels in front of each prefix (RFC 8277 section 2, RFC 4364 section 4.3.4).
LABELLED_FAMILIES: Final = frozenset({IPV4_LABELLED, IPV4_VPN, IPV6_LABELLED, IPV6_VPN})
#: IPv4 families whose next hop may be an IPv6 address (RFC 8950 section 4).
EXTENDED_NEXT_HOP_FAMILIES: Final = (IPV4_UNICAST, IPV4_MULTICAST, IPV4_LABELLED, IPV4_VPN, IPV4_VPN_MULTICAST)

_NAMES: Final = {
    IPV4_UNICAST: "ipv4-unicast",
    IPV4_MULTICAST: "ipv4-multicast",
    IPV4_LABELLED: "ipv4-labelled",
    IPV4_MCAST_VPN: "ipv4-mcast-vpn",
    IPV4_SR_POLICY: "ipv4-sr-policy",
    IPV4_MUP: "ipv4-mup",
    IPV4_VPN: "ipv4-vpn",
    IPV4_VPN_MULTICAST: "ipv4-vpn-multicast",
    ROUTE_TARGET: "route-target",
    IPV4_FLOWSPEC: "ipv4-flowspec",
    IPV4_VPN_FLOWSPEC: "ipv4-vpn-flowspec",
    IPV6_UNICAST: "ipv6-unicast",
    IPV6_MULTICAST: "ipv6-multicast",
    IPV6_LABELLED: "ipv6-labelled",
    IPV6_MCAST_VPN: "ipv6-mcast-vpn",
    IPV6_SR_POLICY: "ipv6-sr-policy",
    IPV6_MUP: "ipv6-mup",
    IPV6_VPN: "ipv6-vpn",
    IPV6_VPN_MULTICAST: "ipv6-vpn-multicast",
    IPV6_FLOWSPEC: "ipv6-flowspec",
    IPV6_VPN_FLOWSPEC: "ipv6-vpn-flowspec",
    VPLS: "vpls",
    EVPN: "evpn",
    LINK_STATE: "link-state",
    LINK_STATE_VPN: "link-state-vpn",
}
_BY_NAME: Final = {name: family for family, name in _NAMES.items()}


def parse_family(text: str) -> Family:
    """Read ``ipv4-unicast`` or ``25/70``; LocalError if it is neither."""
    if text in _BY_NAME:
        return _BY_NAME[text]
    afi, _, safi = text.partition("/")
    if not (afi.isdecimal() and safi.isdecimal() and int(afi) <= 0xFFFF and int(safi) <= 0xFF):
        raise LocalError(f"family {text!r}: a name such as ipv4-unicast, or AFI/SAFI is expected")
    return Family(int(afi), int(safi))
