"""What the kernel holds, as values: links, addresses, routes, neighbours (rtnetlink(7))."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Address families as the kernel numbers them (AF_INET, AF_INET6).
FAMILY_IPV4: Final = 2
FAMILY_IPV6: Final = 10

PROTOCOL_UNSPECIFIED: Final = 0
PROTOCOL_REDIRECT: Final = 1
PROTOCOL_KERNEL: Final = 2
PROTOCOL_BOOT: Final = 3
PROTOCOL_STATIC: Final = 4
PROTOCOL_BIRD: Final = 12

TABLE_MAIN: Final = 254
TABLE_LOCAL: Final = 255

SCOPE_UNIVERSE: Final = 0
SCOPE_LINK: Final = 253
SCOPE_HOST: Final = 254

#: The metric that the kernel gives to an IPv6 route which names none.
IPV6_METRIC: Final = 1024

#: RTN_* in numerical order: the index is the number on the wire.
ROUTE_KINDS: Final = (
    "unspecified",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
)
#: Kinds that name no device: what the kernel shows as one (lo in IPv6) is an accident.
DEVICELESS_KINDS: Final = frozenset({"blackhole", "unreachable", "prohibit", "throw"})


class NextHop(NamedTuple):
    """One way out; ``onlink`` tells the kernel not to ask whether the gateway is reachable on the device."""

    gateway: str | None = None
    device: str | None = None
    onlink: bool = False
    weight: int = 1


class KernelRoute(NamedTuple):
    """One route; ``destination`` always has its prefix length, next hops are in ascending order."""

    destination: str
    kind: str = "unicast"
    next_hops: tuple[NextHop, ...] = ()
    protocol: int = PROTOCOL_BIRD
    table: int = TABLE_MAIN
    metric: int = 0
    scope: int = SCOPE_UNIVERSE
    preferred_source: str | None = None
    type_of_service: int = 0


class Link(NamedTuple):
    """One network device."""

    ifindex: int
    name: str
    kind: str = ""
    up: bool = False
    carrier: bool = False
    mtu: int = 0
    address: str = ""
    master: int = 0
    peer_index: int = 0
    peer_namespace: int | None = None


class InterfaceAddress(NamedTuple):
    """One address of a device, with its prefix length ("10.0.0.11/24"); ``peer`` only where it differs."""

    address: str
    ifindex: int
    scope: int = SCOPE_UNIVERSE
    label: str = ""
    flags: int = 0
    peer: str | None = None
    broadcast: str | None = None


class Neighbour(NamedTuple):
    """One entry of the neighbour table; a permanent one is a static ARP entry."""

    address: str
    ifindex: int
    link_address: str = ""
    state: int = 0x80
    flags: int = 0
