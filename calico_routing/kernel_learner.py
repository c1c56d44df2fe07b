"""Learns the kernel routes of others: those inside pools are announced, the rest shows the way to next hops."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from calico_routing.export_policy import OTHER_TUNNEL, PrefixSet
from calico_routing.kernel.interface import TABLE_MAIN, KernelRoute, RouteEvent
from calico_routing.reconcile import Slot, is_ours, slot_of
from calico_routing.route_plan import NextHopResolver
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from calico_routing.kernel.interface import KernelEvent

#: A learned route yields to BGP (100) and to our own blocks (200), as BIRD's kernel protocol does (spec section 4.6).
KERNEL_PREFERENCE: Final = 10
KERNEL_LABEL: Final = "kernel"
#: Devices of other tunnels, whose routes iBGP peers must not hear, and those that nobody must hear (spec section 4.6).
OTHER_TUNNEL_DEVICES: Final = ("*.cali", "*.calico")
SILENT_DEVICES: Final = ("bpf*.cali",)


def label_of(route: KernelRoute, ignored: Sequence[str] = ()) -> str:
    """Return the label under which a route is announced; empty for one that is not."""
    devices = [hop.device for hop in route.next_hops if hop.device]
    for labels, patterns in (("", (*SILENT_DEVICES, *ignored)), (OTHER_TUNNEL, OTHER_TUNNEL_DEVICES)):
        if any(fnmatchcase(device, pattern) for device in devices for pattern in patterns):
            return labels
    return KERNEL_LABEL


class KernelLearner:
    """The routes of the main table that other programs made, and what follows from them."""

    def __init__(
        self,
        announce: Callable[[str, str], None],
        withdraw: Callable[[str, str], None],
        on_way_changed: Callable[[], None],
    ) -> None:
        """`announce` and `withdraw` take prefix and label; `on_way_changed` hears of routes outside the pools."""
        self._announce = announce
        self._withdraw = withdraw
        self._on_way_changed = on_way_changed
        self._slots: dict[str, dict[Slot, KernelRoute]] = {}
        self._announced: dict[str, str] = {}
        self._pools: frozenset[str] = frozenset()
        self._ignored: tuple[str, ...] = ()
        self._inside = {family: PrefixSet(family, ()) for family in (IPV4_UNICAST, IPV6_UNICAST)}

    @property
    def announced(self) -> Mapping[str, str]:
        """What is announced now: prefix to label."""
        return self._announced

    def load(self, routes: Iterable[KernelRoute]) -> None:
        """Start over from a whole table."""
        before = set(self._slots)
        self._slots = {}
        for route in routes:
            if not is_ours(route):
                self._slots.setdefault(route.destination, {})[slot_of(route)] = route
        for destination in before | set(self._slots):
            self._settle(destination)
        self._on_way_changed()

    def on_events(self, events: Sequence[KernelEvent]) -> None:
        """Follow the kernel; an announcement leaves before this returns."""
        for event in events:
            if isinstance(event, RouteEvent) and event.route.table == TABLE_MAIN:
                self._on_route(event)

    def set_rules(self, cidrs: frozenset[str], ignored: tuple[str, ...] = ()) -> None:
        """Announce what is inside these prefixes, unless it leads to an ignored device."""
        if (cidrs, ignored) != (self._pools, self._ignored):
            self._pools, self._ignored = cidrs, ignored
            self._inside = {family: PrefixSet(family, cidrs) for family in self._inside}
            for destination in self._slots:
                self._settle(destination)
            self._on_way_changed()

    def resolver(self) -> NextHopResolver:
        """Return how the kernel reaches addresses outside the pools."""
        ways = [slots for destination, slots in self._slots.items() if not self._in_pools(destination)]
        return NextHopResolver(route for slots in ways for route in slots.values())

    def _on_route(self, event: RouteEvent) -> None:
        """A route of protocol bird may have taken a foreign one's place; that one is gone then."""
        route = event.route
        slots = self._slots.get(route.destination, {})
        if is_ours(route):
            if event.deleted or not event.replaces or slots.pop(slot_of(route), None) is None:
                return
        elif event.deleted:
            slots.pop(slot_of(route), None)
        else:
            slots = self._slots.setdefault(route.destination, {})
            slots[slot_of(route)] = route
        if not slots:
            self._slots.pop(route.destination, None)
        self._settle(route.destination)
        if not self._in_pools(route.destination):
            self._on_way_changed()

    def _settle(self, destination: str) -> None:
        """Make the announcement of one prefix right."""
        slots = self._slots.get(destination)
        label = ""
        if slots and self._in_pools(destination):
            label = label_of(min(slots.values(), key=lambda route: route.metric), self._ignored)
        before = self._announced.get(destination, "")
        if label == before:
            return
        if label:
            self._announced[destination] = label
            self._announce(destination, label)
        else:
            del self._announced[destination]
        if before:
            self._withdraw(destination, before)

    def _in_pools(self, destination: str) -> bool:
        family, key = parse_prefix(destination)
        return self._inside[family].covers(key)
