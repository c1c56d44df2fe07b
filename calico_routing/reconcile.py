"""The difference between the routes that should be in the kernel and those that are: pure, and empty when repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calico_routing.kernel.interface import ADD, DELETE, PROTOCOL_BIRD, REPLACE, KernelRoute, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Slot(NamedTuple):
    """What makes two routes of a table the same route to the kernel."""

    destination: str
    metric: int
    type_of_service: int


def slot_of(route: KernelRoute) -> Slot:
    """The place that the route takes in its table."""
    return Slot(route.destination, route.metric, route.type_of_service)


def plan(
    desired: Mapping[str, KernelRoute],
    actual: Iterable[KernelRoute],
    *,
    keep_stale: bool = False,
    protocol: int = PROTOCOL_BIRD,
) -> list[Operation]:
    """What to do, stale routes last, so that traffic is never without a way.

    Foreign routes in ``actual`` are left alone, and so are the slots they take.  ``keep_stale`` leaves routes to
    destinations that nobody wants (yet) where they are: the restarting speaker's part (RFC 4724 section 4.1).
    Ours are those of the ``protocol``: ownership is that number, and nothing else.
    """
    ours: dict[Slot, KernelRoute] = {}
    stale: list[KernelRoute] = []
    foreign: set[Slot] = set()
    for route in actual:
        slot = slot_of(route)
        wanted = desired.get(route.destination)
        if route.protocol != protocol:
            foreign.add(slot)
        elif wanted is None or slot_of(wanted) != slot:
            stale.append(route)
        elif slot not in ours:
            ours[slot] = route
        else:
            stale.append(_surplus(ours, slot, route, wanted))
    operations = [
        Operation(REPLACE if slot_of(route) in ours else ADD, route)
        for route in desired.values()
        if ours.get(slot_of(route)) != route and (slot_of(route) in ours or slot_of(route) not in foreign)
    ]
    doomed = (route for route in stale if not keep_stale or route.destination in desired)
    return operations + [Operation(DELETE, route) for route in doomed]


def _surplus(ours: dict[Slot, KernelRoute], slot: Slot, route: KernelRoute, wanted: KernelRoute) -> KernelRoute:
    """Which of two routes in one slot (`ip route append`) has to go: not the wanted one, wherever it stands."""
    if route != wanted:
        return route
    surplus, ours[slot] = ours[slot], route
    return surplus
