"""The routes that others put into the main table: what we learn from the kernel, and how next hops are reached."""

from __future__ import annotations

import asyncio
from itertools import chain
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
from calico_routing.time_slices import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence, Set

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
    each destination that changed.  What is found by reading the whole table comes in many turns, and
    ``on_reachability`` at their end.
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
            if event.deleted and self._touched is not None and not self._is_ours(route):
                # What is being read may have it still; what else there is to the destination the next reading tells.
                self._touched.add(route.destination)
                self._wake.set()
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
        """Tell what is different now from what was told before, and that next hops may be."""
        self._tell(changed)
        if changed and self._on_reachability is not None:
            self._on_reachability()

    def _tell(self, changed: Collection[str]) -> None:
        differences: dict[str, KernelRoute | None] = {}
        for destination in changed:
            candidates = [route for route in self._routes.get(destination, ()) if self._is_learnt(route)]
            best = min(candidates, key=_metric) if candidates else None
            if best != self._learnt.get(destination):
                differences[destination] = best
                self._remember(destination, best)
        if changed:
            self._resolver = None
            if self._on_routes is not None:
                self._on_routes({destination: self._routes.get(destination, ()) for destination in changed})
        if differences:
            self._on_change(differences)

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
            await self._compare(await self._read(), touched)
        finally:
            self._touched = None

    async def _read(self) -> dict[str, list[KernelRoute]]:
        """Return the routes of others by destination."""
        dumped = await self._kernel.found_routes(table=self._table)
        found: dict[str, list[KernelRoute]] = {}
        async for routes in in_turns(dumped.by_destination()):
            for route in routes:
                if not self._is_ours(route):
                    found.setdefault(route.destination, []).append(route)
        return found

    async def _compare(self, found: dict[str, list[KernelRoute]], touched: Set[str]) -> None:
        """Take over and tell what was found; it is given back piece by piece, which at once would take long."""
        is_any_changed = False
        gone = (key for key in list(self._routes) if key not in found)
        async for keys in in_turns(chain(found, gone)):
            changed = [key for key in keys if key not in touched and found.get(key) != self._routes.get(key)]
            for destination in changed:
                self._set(destination, found.get(destination, []))
            found.update((key, []) for key in keys if key in found)
            self._tell(changed)
            is_any_changed = is_any_changed or bool(changed)
        if is_any_changed and self._on_reachability is not None:
            self._on_reachability()


def _is_only_through(device: str, route: KernelRoute) -> bool:
    return bool(route.next_hops) and all(hop.device == device for hop in route.next_hops)


def _metric(route: KernelRoute) -> int:
    return route.metric
