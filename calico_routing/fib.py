"""Keeps the kernel's routes equal to the wanted ones: writes in the turn of the change, repairs by events."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from typing import TYPE_CHECKING, Final

from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    PROTOCOL_BIRD,
    REPLACE,
    TABLE_MAIN,
    KernelError,
    KernelRoute,
    LinkEvent,
    Operation,
    RouteEvent,
)
from calico_routing.reconcile import plan, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from calico_routing.kernel.interface import Kernel, KernelEvent

REPAIR_DELAY: Final = 0.05
RESYNC_INTERVAL: Final = 90.0
RETRY_DELAY: Final = 1.0
#: How often within one resync interval a route that another program took is taken back.
TAKE_BACKS: Final = 5


class FibSync:
    """The one writer of routes of one protocol number in one table.

    ``update`` may be called before ``start``.  Routes of ours that nobody wants are left from an earlier life of the
    agent: they stay until ``finish_restart`` (RFC 4724 section 4.1), so that a restart moves no packet.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        on_problems: Callable[[Sequence[KernelError]], None] | None = None,
        repair_delay: float = REPAIR_DELAY,
        resync_interval: float = RESYNC_INTERVAL,
        table: int = TABLE_MAIN,
        protocol: int = PROTOCOL_BIRD,
    ) -> None:
        """``on_problems`` hears of the routes that the kernel refuses, once per reason, many at a time.

        Whatever table and protocol wanted routes name, they are written to ours.
        """
        self._table = table
        self._protocol = protocol
        self._kernel = kernel
        self._on_problems = on_problems
        self._repair_delay = repair_delay
        self._resync_interval = resync_interval
        self._wanted: dict[str, KernelRoute] = {}
        self._present: dict[str, KernelRoute] = {}
        self._problems: dict[str, KernelError] = {}
        self._devices: set[str] = set()
        self._dirty: set[str] = set()
        self._displaced: dict[str, KernelRoute] = {}
        self._taken_back: Counter[str] = Counter()
        self._touched: set[str] | None = None
        self._recheck = False
        self._restarting = True
        self._started = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self.repairs = 0
        self.resyncs = 0

    @property
    def wanted(self) -> Mapping[str, KernelRoute]:
        """What should be in the kernel, by destination."""
        return self._wanted

    @property
    def present(self) -> Mapping[str, KernelRoute]:
        """What of ours is in the kernel, as far as it has said, by destination."""
        return self._present

    @property
    def problems(self) -> Mapping[str, KernelError]:
        """The routes that the kernel refuses, and why."""
        return self._problems

    async def start(self) -> None:
        """Adopt what an earlier life left, write what is wanted and missing, then watch."""
        self._unsubscribe = self._kernel.subscribe(self._on_events)
        self._started = True
        await self._reconcile()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop watching; the routes stay in the kernel."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def settled(self) -> None:
        """Wait until every repair that is known to be needed has been tried."""
        await self._idle.wait()

    def update(self, routes: Mapping[str, KernelRoute | None]) -> None:
        """Set and remove (None) wanted routes; the kernel has the first 256 changes when this returns."""
        self._send([operation for entry in routes.items() for operation in self._change(*entry)])

    def replace_all(self, routes: Mapping[str, KernelRoute]) -> None:
        """Make these the wanted routes, all of them."""
        gone: dict[str, KernelRoute | None] = dict.fromkeys(self._wanted.keys() - routes.keys())
        self.update({**routes, **gone})

    def finish_restart(self) -> None:
        """What is left from an earlier life and still unwanted is now deleted."""
        if self._restarting:
            self._restarting = False
            self._request_recheck()

    def _change(self, destination: str, route: KernelRoute | None) -> list[Operation]:
        """The operations for one change; the books are kept as if they had succeeded."""
        if self._touched is not None:
            self._touched.add(destination)
        if route is None:
            return self._forget(destination)
        if route.table != self._table or route.protocol != self._protocol:
            route = route._replace(table=self._table, protocol=self._protocol)
        self._wanted[destination] = route
        self._devices.update(hop.device for hop in route.next_hops if hop.device)
        return self._install(route) if self._started else []

    def _forget(self, destination: str) -> list[Operation]:
        self._problems.pop(destination, None)
        self._displaced.pop(destination, None)
        if self._wanted.pop(destination, None) is None:
            return []
        present = self._present.pop(destination, None)
        return [] if present is None else [Operation(DELETE, _whatever_it_is(present))]

    def _install(self, route: KernelRoute) -> list[Operation]:
        present = self._present.get(route.destination)
        if present == route:
            return []
        self._present[route.destination] = route
        displaced = self._displaced.pop(route.destination, None)
        if displaced is not None:
            return [Operation(REPLACE, route, displaced)]
        if present is None:
            return [Operation(ADD, route)]
        if slot_of(present) == slot_of(route):
            return [Operation(REPLACE, route)]
        return [Operation(ADD, route), Operation(DELETE, _whatever_it_is(present))]

    def _send(self, operations: Sequence[Operation]) -> None:
        if operations:
            self._kernel.apply_now(operations, lambda errors: self._answered(operations, errors))

    def _answered(self, operations: Iterable[Operation], errors: Sequence[KernelError]) -> None:
        """Keep the books: a taken slot needs a look at the table, any other refusal is a problem."""
        self._clear_problems(operations, errors)
        for error in errors:
            self._present.pop(error.destination, None)
        clear = [error for error in errors if error.error_number not in (errno.EEXIST, errno.ENOBUFS)]
        if len(clear) < len(errors):
            self._request_recheck()
        self._report(clear)

    def _clear_problems(self, operations: Iterable[Operation], errors: Sequence[KernelError]) -> None:
        if self._problems:
            failed = {error.destination for error in errors}
            for operation in operations:
                if operation.route.destination not in failed:
                    self._problems.pop(operation.route.destination, None)

    def _report(self, errors: Iterable[KernelError]) -> None:
        new = [error for error in errors if str(self._problems.get(error.destination)) != str(error)]
        self._problems.update((error.destination, error) for error in new)
        if new and self._on_problems is not None:
            self._on_problems(new)

    def _on_events(self, events: Sequence[KernelEvent]) -> None:
        """What others did; runs in the turn in which the kernel told us."""
        for event in events:
            if isinstance(event, RouteEvent):
                if event.route.table == self._table:
                    self._on_route(event)
            elif isinstance(event, LinkEvent):
                if event.link.name in self._devices:
                    self._request_recheck()
            else:
                self._request_recheck()

    def _on_route(self, event: RouteEvent) -> None:
        route = event.route
        wanted = self._wanted.get(route.destination)
        if route.protocol == self._protocol:
            self._on_own_route(event, wanted)
        elif wanted is not None and slot_of(wanted) == slot_of(route):
            self._on_foreign_route(event)

    def _on_own_route(self, event: RouteEvent, wanted: KernelRoute | None) -> None:
        """Somebody used our protocol number: deleted or changed one of ours, or made one of their own."""
        route = event.route
        if wanted is not None and slot_of(wanted) != slot_of(route):
            self._request_recheck()
            return
        appended = not event.deleted and not event.replaces and route.destination in self._present
        if event.deleted:
            self._present.pop(route.destination, None)
        elif not appended:
            self._present[route.destination] = route
        if wanted is None or appended:
            self._request_recheck()
        else:
            self._request_repair(route.destination)

    def _on_foreign_route(self, event: RouteEvent) -> None:
        """A route of somebody else in a slot that we want: taken from us in place, or given up."""
        destination = event.route.destination
        if event.deleted:
            if self._displaced.get(destination) == event.route:
                del self._displaced[destination]
            if destination not in self._present:
                self._request_repair(destination)
        elif event.replaces and destination in self._present:
            del self._present[destination]
            self._take_back(event.route)

    def _take_back(self, foreign: KernelRoute) -> None:
        destination = foreign.destination
        self._taken_back[destination] += 1
        if self._taken_back[destination] > TAKE_BACKS:
            reason = "another program keeps replacing it"
            self._report([KernelError(errno.EEXIST, f"keep route {destination}", reason, destination=destination)])
            return
        self._displaced[destination] = foreign
        self._request_repair(destination)

    def _request_repair(self, destination: str) -> None:
        if self._touched is not None:
            self._touched.add(destination)
        self._dirty.add(destination)
        self._rouse()

    def _request_recheck(self) -> None:
        self._recheck = True
        self._rouse()

    def _rouse(self) -> None:
        self._wake.set()
        self._idle.clear()

    async def _run(self) -> None:
        """Repair what events spoiled, soon and together; look at the whole table now and then."""
        while True:
            await self._woken_or_due()
            self._wake.clear()
            try:
                if self._recheck:
                    self._recheck = False
                    await self._reconcile()
                self._repair()
            except KernelError as error:
                self._report([error])
                self._request_recheck()
                await asyncio.sleep(RETRY_DELAY)
            if not self._wake.is_set():
                self._idle.set()

    async def _woken_or_due(self) -> None:
        try:
            async with asyncio.timeout(self._resync_interval):
                await self._wake.wait()
        except TimeoutError:
            self._recheck = True
            self._taken_back.clear()
            return
        await asyncio.sleep(self._repair_delay)

    def _repair(self) -> None:
        dirty, self._dirty = self._dirty, set()
        wanted = [self._wanted[destination] for destination in dirty if destination in self._wanted]
        operations = [operation for route in wanted for operation in self._install(route)]
        self.repairs += len(operations)
        self._send(operations)

    async def _reconcile(self) -> None:
        """Compare with the whole table; what changes while it is read is left to those who changed it."""
        self.resyncs += 1
        self._touched = touched = set[str]()
        try:
            await self._kernel.apply(())  # in its turn behind all that was sent: the dump shall show it
            dumped = await self._kernel.routes(protocol=self._protocol, table=self._table)
        finally:
            self._touched = None
        actual = [route for route in dumped if route.destination not in touched]
        desired = {key: route for key, route in self._wanted.items() if key not in touched}
        operations = plan(desired, actual, keep_stale=self._restarting, protocol=self._protocol)
        self._adopt(actual, touched, operations)
        errors = await self._kernel.apply(operations)
        self._clear_problems(operations, list(errors.values()))
        for destination in errors:
            self._present.pop(destination, None)
        self._report(_explained(error) for error in errors.values())

    def _adopt(self, actual: Iterable[KernelRoute], touched: set[str], operations: Iterable[Operation]) -> None:
        """The books after a dump: what was found, and what is about to be done."""
        kept = {key: route for key, route in self._present.items() if key in touched}
        found: dict[str, KernelRoute] = {}
        for route in actual:
            wanted = self._wanted.get(route.destination)
            if wanted is None or slot_of(wanted) == slot_of(route):
                found.setdefault(route.destination, route)
        self._present = {**found, **kept}
        for operation in operations:
            if operation.action != DELETE:
                self._present[operation.route.destination] = operation.route
            elif operation.route.destination not in self._wanted:
                self._present.pop(operation.route.destination, None)


def _whatever_it_is(route: KernelRoute) -> KernelRoute:
    """The route's slot alone, for deleting what is there even if it looks different by now."""
    return route._replace(kind="unspecified", next_hops=())


def _explained(error: KernelError) -> KernelError:
    """The table was just read and has no route of ours there, so the one in the way is foreign."""
    if error.error_number != errno.EEXIST:
        return error
    reason = "another program's route has this destination and metric; it is left alone"
    return KernelError(errno.EEXIST, error.attempted, reason, destination=error.destination)
