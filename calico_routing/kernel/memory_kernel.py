"""A kernel in memory that refuses, replaces and forgets like the real one; for tests."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.kernel.event_stream import event_stream
from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    TABLE_MAIN,
    InterfaceAddress,
    KernelError,
    KernelRoute,
    Link,
    LinkEvent,
    NextHop,
    Operation,
    Resync,
    RouteEvent,
    RouteRun,
    Subscriber,
    TunnelUnavailableError,
)
from calico_routing.kernel.netlink.route_runs import FoundRoutes, destination_of, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from calico_routing.kernel.interface import KernelEvent


class _Slot(NamedTuple):
    table: int
    destination: str
    metric: int
    type_of_service: int


def _slot(route: KernelRoute) -> _Slot:
    return _Slot(route.table, route.destination, route.metric, route.type_of_service)


class MemoryKernel:
    """Kernel (kernel/interface.py) as a dict; the ``foreign_`` methods are what other programs do."""

    def __init__(self, *, has_ipip: bool = True) -> None:
        """Without ipip, ensure_tunnel fails as it does where the module is absent."""
        self._has_ipip = has_ipip
        self._routes: dict[_Slot, KernelRoute] = {}
        self._links: dict[str, Link] = {"lo": Link(1, "lo", up=True, carrier=True, mtu=65536)}
        self._addresses: list[InterfaceAddress] = []
        self._subscribers: list[Subscriber] = []
        self._next_index = 2
        self._changed = asyncio.Event()
        self.sysctls: dict[str, str] = {}
        #: Every operation that was asked for, in order.
        self.operations: list[Operation] = []

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> list[KernelRoute]:
        """Every route of one table, of one protocol where named."""
        await asyncio.sleep(0)
        return [
            route
            for route in self._routes.values()
            if route.table == table and (protocol is None or route.protocol == protocol)
        ]

    async def found_routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> FoundRoutes:
        """The same by key."""
        found = FoundRoutes()
        for route in await self.routes(protocol=protocol, table=table):
            found.add(*key_of(route.destination), route._replace(destination=""))
        return found

    async def links(self) -> list[Link]:
        """Every device."""
        return list(self._links.values())

    async def addresses(self) -> list[InterfaceAddress]:
        """Every address of every device."""
        return list(self._addresses)

    def apply_now(self, operations: Sequence[Operation], report: Callable[[Sequence[KernelError]], None]) -> None:
        """Do all of it within this call."""
        errors: list[KernelError] = []
        displaced: list[KernelEvent] = []
        for operation in operations:
            self.operations.append(operation)
            try:
                self._apply(operation)
            except KernelError as error:
                errors.append(error)
                continue
            if operation.displaced is not None:
                displaced.append(RouteEvent(operation.displaced, deleted=True))
        self._publish(displaced)
        report(errors)

    def apply_run(self, run: RouteRun, report: Callable[[Sequence[KernelError]], None]) -> None:
        """Do all of it within this call."""
        routes = (run.route._replace(destination=destination_of(run.family, key)) for key in run.keys)
        self.apply_now([Operation(run.action, route) for route in routes], report)

    async def apply(self, operations: Sequence[Operation]) -> dict[str, KernelError]:
        """Do all of it and return what failed, by destination."""
        failed: list[KernelError] = []
        self.apply_now(operations, failed.extend)
        await asyncio.sleep(0)
        return {error.destination: error for error in failed}

    def _apply(self, operation: Operation) -> None:
        self._changed.set()
        slot = _slot(operation.route)
        present = self._routes.get(slot)
        named = operation.route.next_hops if operation.action != DELETE else operation.route.next_hops[:1]
        if any(hop.device not in self._links for hop in named):
            if operation.action == DELETE:
                return
            raise _refusal(operation, errno.ENODEV)
        self._check_destination(operation)
        if operation.action == DELETE:
            if present is not None and _is_meant(operation.route, present):
                del self._routes[slot]
            return
        self._check_next_hops(operation)
        if operation.action == ADD and present is not None:
            raise _refusal(operation, errno.EEXIST)
        self._routes[slot] = operation.route

    def _check_destination(self, operation: Operation) -> None:
        try:
            ipaddress.ip_network(operation.route.destination)
        except ValueError as error:
            raise _refusal(operation, errno.EINVAL) from error

    def _check_next_hops(self, operation: Operation) -> None:
        for hop in operation.route.next_hops:
            link = self._links[hop.device or ""]
            if not link.up:
                raise _refusal(operation, errno.ENETDOWN)
            if not hop.onlink and hop.gateway and not self._is_on_link(hop, link):
                raise _refusal(operation, errno.ENETUNREACH)

    def _is_on_link(self, hop: NextHop, link: Link) -> bool:
        gateway = ipaddress.ip_address(hop.gateway or "")
        networks = [
            ipaddress.ip_interface(one.address).network for one in self._addresses if one.ifindex == link.ifindex
        ]
        return any(gateway in network for network in networks)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` at once when a foreign change happens."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    def events(self) -> AsyncIterator[KernelEvent]:
        """The same events, one by one."""
        return event_stream(self.subscribe)

    def _publish(self, events: Sequence[KernelEvent]) -> None:
        if events:
            for subscriber in tuple(self._subscribers):
                subscriber(events)

    async def make_tunnel(self, name: str) -> None:
        """The device without addresses, unless it is there."""
        if name not in self._links:
            self._refuse_without_ipip(name)
            self.add_link(name)

    def _refuse_without_ipip(self, name: str) -> None:
        if not self._has_ipip:
            attempted = f"create tunnel device {name}"
            raise TunnelUnavailableError(errno.EOPNOTSUPP, attempted, "this kernel has no ipip module")

    async def ensure_tunnel(self, name: str, mtu: int, address: str | None) -> None:
        """The device with this mtu and one /32, or without addresses."""
        link = self._links.get(name)
        if link is None and address is None:
            return
        if link is None:
            self._refuse_without_ipip(name)
            link = self.add_link(name)
        self._addresses = [one for one in self._addresses if one.ifindex != link.ifindex]
        if address is not None:
            self._addresses.append(InterfaceAddress(f"{address}/32", link.ifindex, label=name, broadcast=address))
            self._links[name] = link._replace(mtu=mtu, up=True, carrier=True)

    async def write_sysctl(self, path: str, value: str) -> None:
        """Remember it."""
        self.sysctls[path] = value

    def table(self, table: int = TABLE_MAIN) -> dict[str, KernelRoute]:
        """The routes of one table by destination, the lowest metric first."""
        ranked = sorted((route for route in self._routes.values() if route.table == table), key=lambda one: -one.metric)
        return {route.destination: route for route in ranked}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for operations that make the condition true."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def add_link(self, name: str, *, up: bool = True, address: str | None = None) -> Link:
        """A device appears, with an address where one is given."""
        link = Link(self._next_index, name, up=up, carrier=up, mtu=1500)
        self._next_index += 1
        self._links[name] = link
        if address is not None:
            self._addresses.append(InterfaceAddress(address, link.ifindex, label=name))
        self._publish([LinkEvent(link)])
        return link

    def set_link(self, name: str, *, up: bool) -> None:
        """A device goes up or down; down takes its IPv4 routes along, without an event for them."""
        link = self._links[name] = self._links[name]._replace(up=up, carrier=up)
        if not up:
            lost = [slot for slot, route in self._routes.items() if _leads_only_through(name, route)]
            for slot in lost:
                del self._routes[slot]
        self._publish([LinkEvent(link)])

    def foreign_add(self, route: KernelRoute) -> None:
        """``ip route add``: fails where the slot is taken."""
        self._apply(Operation(ADD, route))
        self._publish([RouteEvent(route)])

    def foreign_replace(self, route: KernelRoute) -> None:
        """``ip route replace``: takes the slot from whoever has it."""
        slot = _slot(route)
        present = self._routes.get(slot)
        self._routes[slot] = route
        if present != route:
            self._publish([RouteEvent(route, replaces=present is not None)])

    def foreign_delete(self, destination: str, metric: int = 0) -> None:
        """``ip route del``: whoever made it."""
        route = self._routes.pop(_Slot(TABLE_MAIN, destination, metric, 0), None)
        if route is not None:
            self._publish([RouteEvent(route, deleted=True)])

    def lose_events(self) -> None:
        """The event socket overflowed."""
        self._publish([Resync("events were lost")])


def _refusal(operation: Operation, error_number: int) -> KernelError:
    destination = operation.route.destination
    return KernelError(error_number, f"{operation.action} route {destination}", destination=destination)


def _is_meant(named: KernelRoute, present: KernelRoute) -> bool:
    """Whether a deletion that names this much deletes that: protocol, kind and only next hop, as far as named."""
    if named.protocol != present.protocol:
        return False
    if named.kind not in ("unicast", "unspecified", present.kind):
        return False
    if len(named.next_hops) != 1:
        return True
    return bool(present.next_hops) and named.next_hops[0][:2] == present.next_hops[0][:2]


def _leads_only_through(device: str, route: KernelRoute) -> bool:
    return bool(route.next_hops) and all(hop.device == device for hop in route.next_hops)
