"""The routes that others put into the main table: what we learn from the kernel, and how next hops are reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from calico_routing.kernel.interface import (
    PROTOCOL_BIRD,
    TABLE_MAIN,
    AddressEvent,
    KernelError,
    KernelRoute,
    LinkEvent,
    RouteEvent,
)
from calico_routing.reconcile import slot_of
from calico_routing.route_plan import NextHopResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from calico_routing.kernel.interface import Kernel, KernelEvent

RECHECK_DELAY: Final = 0.05
RESYNC_INTERVAL: Final = 90.0
RETRY_DELAY: Final = 1.0
UNSPECIFIED_PROTOCOL: Final = 0
LEARNT_KINDS: Final = frozenset({"unicast", "blackhole", "unreachable", "prohibit"})


def is_learnt(route: KernelRoute) -> bool:
    """Whether a speaker takes a route of others as a source of its own (BIRD's ``learn`` and ``direct``)."""
    return route.protocol != UNSPECIFIED_PROTOCOL and route.kind in LEARNT_KINDS and not route.type_of_service


class KernelRoutes:
    """Everything in one table but our own routes, kept up to date by events.

    ``on_change`` runs in the turn in which the kernel told us, with the best learnt route or None by destination;
    ``on_reachability`` likewise, when a resolver made earlier may have become wrong; ``on_routes`` with all routes to
    each destination that changed.
    """

    def __init__(
        self,
        kernel: Kernel,
        on_change: Callable[[Mapping[str, KernelRoute | None]], None],
        *,
        on_reachability: Callable[[], None] | None = None,
        on_routes: Callable[[Mapping[str, Sequence[KernelRoute]]], None] | None = None,
        recheck_delay: float = RECHECK_DELAY,
        resync_interval: float = RESYNC_INTERVAL,
        table: int = TABLE_MAIN,
        own_protocol: int = PROTOCOL_BIRD,
        protocols: frozenset[int] = frozenset(),
    ) -> None:
        """Nothing is read before start(); ``protocols`` are those that are learnt, none stands for all but our own."""
        self._table = table
        self._own_protocol = own_protocol
        self._protocols = protocols
        self._kernel = kernel
        self._on_change = on_change
        self._on_reachability = on_reachability
        self._on_routes = on_routes
        self._recheck_delay = recheck_delay
        self._resync_interval = resync_interval
        self._routes: dict[str, list[KernelRoute]] = {}
        self._learnt: dict[str, KernelRoute] = {}
        self._resolver: NextHopResolver | None = None
        self._touched: set[str] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def learnt(self) -> Mapping[str, KernelRoute]:
        """The best learnt route of each destination."""
        return self._learnt

    @property
    def resolver(self) -> NextHopResolver:
        """How next hops are reached now; a snapshot."""
        if self._resolver is None:
            self._resolver = NextHopResolver(route for routes in self._routes.values() for route in routes)
        return self._resolver

    async def start(self) -> None:
        """Read the table, then follow it; what is found at once is reported by ``on_change`` too."""
        self._unsubscribe = self._kernel.subscribe(self._on_events)
        await self._reread()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Follow no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_events(self, events: Sequence[KernelEvent]) -> None:
        changed: set[str] = set()
        for event in events:
            if isinstance(event, RouteEvent):
                if event.route.table == self._table:
                    changed.update(self._on_route(event))
            elif isinstance(event, LinkEvent):
                changed.update(self._on_link(event))
            elif not isinstance(event, AddressEvent) or event.deleted:
                self._wake.set()
        if self._touched is not None:
            self._touched |= changed
        self._publish(changed)

    def _on_route(self, event: RouteEvent) -> tuple[str, ...]:
        """Replacing concerns the first route of the slot only; the others of it are shadows."""
        route = event.route
        present = self._routes.get(route.destination, [])
        if event.deleted:
            kept = [other for other in present if other != route]
        else:
            gone = slot_of(route) if event.replaces else None
            kept = [other for other in present if slot_of(other) != gone and other != route]
            kept += [] if self._is_ours(route) else [route]
        if kept == present:
            return ()
        self._set(route.destination, kept)
        return (route.destination,)

    def _on_link(self, event: LinkEvent) -> tuple[str, ...]:
        """A device that goes down takes its IPv4 routes along, without one event for them (fib_flush)."""
        if event.link.up and not event.deleted:
            return ()
        name = event.link.name
        lost = [key for key, routes in self._routes.items() if any(_is_only_through(name, route) for route in routes)]
        for destination in lost:
            kept = [route for route in self._routes[destination] if not _is_only_through(name, route)]
            self._set(destination, kept)
        if lost:
            self._wake.set()
        return tuple(lost)

    def _is_ours(self, route: KernelRoute) -> bool:
        return route.protocol == self._own_protocol

    def _is_learnt(self, route: KernelRoute) -> bool:
        return is_learnt(route) and (not self._protocols or route.protocol in self._protocols)

    def _set(self, destination: str, routes: list[KernelRoute]) -> None:
        if routes:
            self._routes[destination] = routes
        else:
            self._routes.pop(destination, None)

    def _publish(self, changed: Collection[str]) -> None:
        """Tell what is different now from what was told before."""
        differences: dict[str, KernelRoute | None] = {}
        reachability = False
        for destination in changed:
            reachability = True
            candidates = [route for route in self._routes.get(destination, ()) if self._is_learnt(route)]
            best = min(candidates, key=_metric) if candidates else None
            if best != self._learnt.get(destination):
                differences[destination] = best
                self._remember(destination, best)
        if reachability:
            self._resolver = None
            if self._on_routes is not None:
                self._on_routes({destination: self._routes.get(destination, ()) for destination in changed})
        if differences:
            self._on_change(differences)
        if reachability and self._on_reachability is not None:
            self._on_reachability()

    def _remember(self, destination: str, best: KernelRoute | None) -> None:
        if best is None:
            del self._learnt[destination]
        else:
            self._learnt[destination] = best

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._resync_interval):
                    await self._wake.wait()
                await asyncio.sleep(self._recheck_delay)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._reread()
            except KernelError:
                self._wake.set()
                await asyncio.sleep(RETRY_DELAY)

    async def _reread(self) -> None:
        """The whole table anew; destinations that change while it is read are left to their events."""
        self._touched = touched = set[str]()
        try:
            dumped = await self._kernel.routes(table=self._table)
        finally:
            self._touched = None
        found: dict[str, list[KernelRoute]] = {}
        for route in dumped:
            if not self._is_ours(route) and route.destination not in touched:
                found.setdefault(route.destination, []).append(route)
        known = {key: routes for key, routes in self._routes.items() if key not in touched}
        changed = [key for key in found.keys() | known.keys() if found.get(key) != known.get(key)]
        for destination in changed:
            self._set(destination, found.get(destination, []))
        self._publish(changed)


def _is_only_through(device: str, route: KernelRoute) -> bool:
    return bool(route.next_hops) and all(hop.device == device for hop in route.next_hops)


def _metric(route: KernelRoute) -> int:
    return route.metric
