"""The kernel as the agent sees it: one protocol class, its operations and its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from calico_routing.kernel.netlink.errors import KernelError, TunnelUnavailableError
from calico_routing.kernel.netlink.route_runs import FoundRoutes
from calico_routing.kernel.netlink.values import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    IPV6_METRIC,
    PROTOCOL_BIRD,
    TABLE_MAIN,
    InterfaceAddress,
    KernelRoute,
    Link,
    NextHop,
)

__all__ = [
    "ADD",
    "DELETE",
    "FAMILY_IPV4",
    "FAMILY_IPV6",
    "IPV6_METRIC",
    "PROTOCOL_BIRD",
    "REPLACE",
    "TABLE_MAIN",
    "AddressEvent",
    "FoundRoutes",
    "InterfaceAddress",
    "Kernel",
    "KernelError",
    "KernelEvent",
    "KernelRoute",
    "Link",
    "LinkEvent",
    "NextHop",
    "Operation",
    "Resync",
    "RouteEvent",
    "RouteRun",
    "Subscriber",
    "TunnelUnavailableError",
]

ADD: Final = "add"
REPLACE: Final = "replace"
DELETE: Final = "delete"


class Operation(NamedTuple):
    """One change of a route table.

    ``add`` fails with EEXIST where any route has that destination and metric, so it never overwrites a foreign one;
    ``replace`` is atomic; ``delete`` removes only a route of the same protocol.  ``displaced`` names the foreign
    route that a ``replace`` takes away, so that subscribers hear of it.
    """

    action: str
    route: KernelRoute
    displaced: KernelRoute | None = None


class RouteRun(NamedTuple):
    """One action for many routes of one family (AF_INET, AF_INET6) that differ in nothing but their destination.

    ``keys`` are the destinations as BGP writes them: the length octet and the significant octets; ``route`` is what
    they share, its own destination counts for nothing.
    """

    action: str
    family: int
    keys: Sequence[bytes]
    route: KernelRoute


class RouteEvent(NamedTuple):
    """Somebody else changed a route; ``replaces`` is set when it took the place of another in one step."""

    route: KernelRoute
    deleted: bool = False
    replaces: bool = False


class LinkEvent(NamedTuple):
    """A device appeared, changed or went away."""

    link: Link
    deleted: bool = False


class AddressEvent(NamedTuple):
    """An address came or went."""

    address: InterfaceAddress
    deleted: bool = False


class Resync(NamedTuple):
    """Events were lost: only a new dump tells the truth."""

    reason: str


KernelEvent = RouteEvent | LinkEvent | AddressEvent | Resync
Subscriber = Callable[[Sequence[KernelEvent]], None]


class Kernel(Protocol):
    """Routes, links and addresses of one network namespace."""

    async def open(self) -> None:
        """Open the sockets; events are delivered from now on."""

    async def close(self) -> None:
        """Close the sockets; routes stay."""

    async def routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> list[KernelRoute]:
        """Every route of one table, of one protocol where named (the kernel filters)."""

    async def found_routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> FoundRoutes:
        """The same by key (`RouteRun`), for tables of any size."""

    async def links(self) -> list[Link]:
        """Every device."""

    async def addresses(self) -> list[InterfaceAddress]:
        """Every address of every device."""

    def apply_now(self, operations: Sequence[Operation], report: Callable[[Sequence[KernelError]], None]) -> None:
        """Send at once, without waiting; ``report`` gets the failures of this batch once all of it is answered.

        A batch of up to 256 operations is answered within the call, unless this turn of the loop has sent much already;
        the rest follows in slices of the loop.
        """

    def apply_run(self, run: RouteRun, report: Callable[[Sequence[KernelError]], None]) -> None:
        """The same for a run; in which order its routes are written is left to the kernel."""

    async def apply(self, operations: Sequence[Operation]) -> dict[str, KernelError]:
        """Do all of it and return what failed, by destination."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` within the loop turn in which events arrive; the result ends the subscription.

        Changes made through this object are not reported back.
        """

    def events(self) -> AsyncIterator[KernelEvent]:
        """The same events, one by one."""

    async def make_tunnel(self, name: str) -> None:
        """Make the IPIP device exist, as the kernel makes it: down and without addresses.

        Raises TunnelUnavailableError where the kernel has no ipip module.
        """

    async def ensure_tunnel(self, name: str, mtu: int, address: str | None) -> None:
        """Make the IPIP device exist, up, with this mtu and exactly this one /32; None removes all its addresses.

        Raises TunnelUnavailableError where the kernel has no ipip module.
        """

    async def write_sysctl(self, path: str, value: str) -> None:
        """Set ``net/ipv4/ip_forward`` and the like; the path is below /proc/sys."""
