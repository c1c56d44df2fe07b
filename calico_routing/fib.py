"""Keeps the kernel's routes equal to the wanted ones: writes in the turn of the change, repairs by events."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from functools import partial
from itertools import chain
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
    RouteRun,
)
from calico_routing.kernel.netlink.route_runs import destination_of, key_of
from calico_routing.reconcile import plan, slot_of
from calico_routing.route_table import FAMILIES, RouteBooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set

    from calico_routing.kernel.interface import Kernel, KernelEvent

REPAIR_DELAY: Final = 0.05
RESYNC_INTERVAL: Final = 90.0
RETRY_DELAY: Final = 1.0
#: Destinations that one turn of the loop compares with the kernel's table.
COMPARED_AT_ONCE: Final = 5_000
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
        self._books = RouteBooks()
        self._problems: dict[str, KernelError] = {}
        self._devices: set[str] = set()
        self._dirty: set[str] = set()
        self._displaced: dict[str, KernelRoute] = {}
        self._taken_back: Counter[str] = Counter()
        #: What changes while the table is read: by address family and key.
        self._touched: dict[int, set[bytes]] | None = None
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
        return self._books.wanted

    @property
    def present(self) -> Mapping[str, KernelRoute]:
        """What of ours is in the kernel, as far as it has said, by destination."""
        return self._books.present

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

    def update_run(self, family: int, keys: Sequence[bytes], route: KernelRoute | None) -> None:
        """Set or remove (None) many routes of one address family that differ in nothing but their destination.

        The keys are destinations as BGP writes them; the destination of ``route`` counts for nothing.  The kernel has
        up to 1,024 changes of one turn of the loop when this returns.
        """
        keys = self._without_oddities(family, keys, route)
        if self._touched is not None:
            self._touched[family].update(keys)
        if route is None:
            self._remove_run(family, keys)
        else:
            self._set_run(family, keys, self._ours(route))

    def wanted_keys(self, family: int) -> Collection[bytes]:
        """The destinations in one address family that should have a route; a live view."""
        return self._books.by_family[family].wanted.keys()

    def _without_oddities(self, family: int, keys: Sequence[bytes], route: KernelRoute | None) -> Sequence[bytes]:
        """Change those one by one that have a problem or a foreign route in their place; return the others."""
        odd = _among(family, keys, self._problems) | _among(family, keys, self._displaced)
        if not odd:
            return keys
        self.update({name: route and route._replace(destination=name) for name in odd})
        odd_keys = set(odd.values())
        return [key for key in keys if key not in odd_keys]

    def _ours(self, route: KernelRoute) -> KernelRoute:
        """What the route shares with others, in our table and of our protocol; its devices are watched from now on."""
        self._devices.update(hop.device for hop in route.next_hops if hop.device)
        return self._books.shape_of(route._replace(table=self._table, protocol=self._protocol))

    def _set_run(self, family: int, keys: Sequence[bytes], shape: KernelRoute) -> None:
        book = self._books.by_family[family]
        if not self._started:
            for key in keys:
                book.want(key, shape)
            return
        new, found = book.set_run(keys, shape)
        in_place = [key for key, one in found.items() if _place(one) == _place(shape)]
        if len(in_place) < len(found):
            names = {key: destination_of(family, key) for key in found.keys() - in_place}
            moves = [(shape._replace(destination=n), found[key]._replace(destination=n)) for key, n in names.items()]
            self._send([operation for move in moves for operation in _moved(*move)])
        for action, concerned in ((ADD, new), (REPLACE, in_place)):
            self._send_run(RouteRun(action, family, concerned, shape))

    def _remove_run(self, family: int, keys: Sequence[bytes]) -> None:
        places: dict[KernelRoute, list[Sequence[bytes]]] = {}
        for shape, together in self._books.by_family[family].remove_run(keys).items():
            places.setdefault(_whatever_it_is(shape), []).append(together)
        for place, parts in places.items():
            together = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
            self._send_run(RouteRun(DELETE, family, together, place))

    def _send_run(self, run: RouteRun) -> None:
        if run.keys:
            self._kernel.apply_run(run, partial(self._answered_run, run))

    def _answered_run(self, run: RouteRun, errors: Sequence[KernelError]) -> None:
        self._clear_problems_of_run(run, errors)
        self._answered((), errors)

    def _clear_problems_of_run(self, run: RouteRun, errors: Iterable[KernelError]) -> None:
        if self._problems:
            failed = {error.destination for error in errors}
            for destination in _among(run.family, run.keys, self._problems).keys() - failed:
                del self._problems[destination]

    def replace_all(self, routes: Mapping[str, KernelRoute]) -> None:
        """Make these the wanted routes, all of them."""
        gone: dict[str, KernelRoute | None] = dict.fromkeys(self.wanted.keys() - routes.keys())
        self.update({**routes, **gone})

    def finish_restart(self) -> None:
        """What is left from an earlier life and still unwanted is now deleted."""
        if self._restarting:
            self._restarting = False
            self._request_recheck()

    def _change(self, destination: str, route: KernelRoute | None) -> list[Operation]:
        """The operations for one change; the books are kept as if they had succeeded."""
        self._touch(destination)
        if route is None:
            return self._forget(destination)
        if route.table != self._table or route.protocol != self._protocol:
            route = route._replace(table=self._table, protocol=self._protocol)
        self._books.want(route)
        self._devices.update(hop.device for hop in route.next_hops if hop.device)
        return self._install(route) if self._started else []

    def _touch(self, destination: str) -> None:
        if self._touched is not None:
            family, key = key_of(destination)
            self._touched[family].add(key)

    def _forget(self, destination: str) -> list[Operation]:
        self._problems.pop(destination, None)
        self._displaced.pop(destination, None)
        present = self._books.drop(destination)
        return [] if present is None else [Operation(DELETE, _whatever_it_is(present))]

    def _install(self, route: KernelRoute) -> list[Operation]:
        present = self.present.get(route.destination)
        if present == route:
            return []
        self._books.note(route)
        displaced = self._displaced.pop(route.destination, None)
        if displaced is not None:
            return [Operation(REPLACE, route, displaced)]
        if present is None:
            return [Operation(ADD, route)]
        return [Operation(REPLACE, route)] if slot_of(present) == slot_of(route) else _moved(route, present)

    def _send(self, operations: Sequence[Operation]) -> None:
        if operations:
            self._kernel.apply_now(operations, lambda errors: self._answered(operations, errors))

    def _answered(self, operations: Iterable[Operation], errors: Sequence[KernelError]) -> None:
        """Keep the books: a taken slot needs a look at the table, any other refusal is a problem."""
        self._clear_problems(operations, errors)
        for error in errors:
            self._books.note_gone(error.destination)
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
        wanted = self.wanted.get(route.destination)
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
        appended = not event.deleted and not event.replaces and route.destination in self.present
        if event.deleted:
            self._books.note_gone(route.destination)
        elif not appended:
            self._books.note(route)
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
            if destination not in self.present:
                self._request_repair(destination)
        elif event.replaces and destination in self.present:
            self._books.note_gone(destination)
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
        self._touch(destination)
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
        wanted = [self.wanted[destination] for destination in dirty if destination in self.wanted]
        operations = [operation for route in wanted for operation in self._install(route)]
        self.repairs += len(operations)
        self._send(operations)

    async def _reconcile(self) -> None:
        """Compare with the whole table; what changes while it is read is left to those who changed it.

        Slice by slice, so that a table of any size leaves time for the rest.
        """
        self.resyncs += 1
        self._touched = {family: set() for family in FAMILIES}
        try:
            await self._kernel.apply(())  # in its turn behind all that was sent: the dump shall show it
            found = await self._kernel.found_routes(protocol=self._protocol, table=self._table)
            surplus: dict[tuple[int, bytes], list[KernelRoute]] = {}
            for family, key, shape in found.more:
                surplus.setdefault((family, key), []).append(shape)
            for family in FAMILIES:
                await self._compare(family, found.first[family], surplus)
        finally:
            self._touched = None
        self._books.forget_shapes()

    async def _compare(
        self, family: int, found: dict[bytes, KernelRoute], surplus: Mapping[tuple[int, bytes], list[KernelRoute]]
    ) -> None:
        book = self._books.by_family[family]
        several = {key for one, key in surplus if one == family}
        tables: Sequence[Collection[bytes]] = (found, book.wanted, book.strays)
        for position, table in enumerate(tables):
            seen = tables[:position]
            keys = list(table)
            for start in range(0, len(keys), COMPARED_AT_ONCE):
                some = keys[start : start + COMPARED_AT_ONCE]
                for other in seen:
                    some = [key for key in some if key not in other]
                await self._compare_some(family, some, found, several, surplus)
                await asyncio.sleep(0)

    async def _compare_some(
        self,
        family: int,
        keys: Sequence[bytes],
        found: Mapping[bytes, KernelRoute],
        several: Set[bytes],
        surplus: Mapping[tuple[int, bytes], list[KernelRoute]],
    ) -> None:
        """Make the books of these destinations true, and write what differs from what is wanted."""
        book = self._books.by_family[family]
        touched = self._touched[family] if self._touched is not None else set()
        missing: dict[KernelRoute, list[bytes]] = {}
        actual: list[KernelRoute] = []
        desired: dict[str, KernelRoute] = {}
        for key in keys:
            if key in touched:
                continue
            shape, want = found.get(key), book.wanted.get(key)
            if shape is None:
                book.note(key, None)
                if want is not None:
                    missing.setdefault(want, []).append(key)
            elif shape == want and key not in several:
                book.note(key, want)
            else:
                destination = destination_of(family, key)
                several_here = (shape, *surplus.get((family, key), ()))
                actual += [one._replace(destination=destination) for one in several_here]
                if want is not None:
                    desired[destination] = want._replace(destination=destination)
        await self._write(family, missing, desired, actual)

    async def _write(
        self,
        family: int,
        missing: Mapping[KernelRoute, Sequence[bytes]],
        desired: Mapping[str, KernelRoute],
        actual: Sequence[KernelRoute],
    ) -> None:
        """Add what is not there at all, mend what is there and differs."""
        operations = plan(desired, actual, keep_stale=self._restarting, protocol=self._protocol)
        self._adopt(actual, operations)
        for shape, keys in missing.items():
            self._books.by_family[family].settle(keys)
            run = RouteRun(ADD, family, keys, shape)
            self._kernel.apply_run(run, partial(self._rewritten, run))
        if missing or operations:
            errors = await self._kernel.apply(operations)
            self._clear_problems(operations, list(errors.values()))
            self._missed(errors.values())

    def _rewritten(self, run: RouteRun, errors: Sequence[KernelError]) -> None:
        self._clear_problems_of_run(run, errors)
        self._missed(errors)

    def _missed(self, errors: Iterable[KernelError]) -> None:
        """What the kernel refuses although its table was just read is a problem, whatever the reason."""
        for error in errors:
            self._books.note_gone(error.destination)
        self._report(map(_explained, errors))

    def _adopt(self, actual: Iterable[KernelRoute], operations: Iterable[Operation]) -> None:
        """The books of destinations where something differs: what was found, and what is about to be done."""
        for route in actual:
            self._books.note_gone(route.destination)
        for route in actual:
            wanted = self.wanted.get(route.destination)
            is_ours = wanted is None or slot_of(wanted) == slot_of(route)
            if is_ours and route.destination not in self.present:
                self._books.note(route)
        for operation in operations:
            if operation.action != DELETE:
                self._books.note(operation.route)
            elif operation.route.destination not in self.wanted:
                self._books.note_gone(operation.route.destination)


def _among(family: int, keys: Sequence[bytes], destinations: Collection[str]) -> dict[str, bytes]:
    """Which of the destinations are among the keys, with their keys; the shorter list is gone through."""
    if not destinations:
        return {}
    if len(destinations) < len(keys):
        named = {
            key: destination for destination in destinations for one, key in [key_of(destination)] if one == family
        }
        return {named[key]: key for key in named.keys() & keys}
    names = {destination_of(family, key): key for key in keys}
    return {name: key for name, key in names.items() if name in destinations}


def _place(shape: KernelRoute) -> tuple[int, int]:
    """Where a route stands among those to the same destination."""
    return shape.metric, shape.type_of_service


def _moved(route: KernelRoute, former: KernelRoute) -> list[Operation]:
    """One metric for another: the new route is there before the old one goes."""
    return [Operation(ADD, route), Operation(DELETE, _whatever_it_is(former))]


def _whatever_it_is(route: KernelRoute) -> KernelRoute:
    """The route's slot alone, for deleting what is there even if it looks different by now."""
    return route._replace(kind="unspecified", next_hops=())


def _explained(error: KernelError) -> KernelError:
    """The table was just read and has no route of ours there, so the one in the way is foreign."""
    if error.error_number != errno.EEXIST:
        return error
    reason = "another program's route has this destination and metric; it is left alone"
    return KernelError(errno.EEXIST, error.attempted, reason, destination=error.destination)
