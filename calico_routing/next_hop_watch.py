"""Next hops of BGP routes followed through the kernel's table: who cannot be reached, and how far the others are."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from pybgp.transport.next_hop_tracker import NextHopTracker
from pybgp.transport.speaker_config import packed_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from calico_routing.kernel.interface import KernelRoute

#: Changes of the kernel's table are gathered for this long, in seconds.
DELAY: Final = 0.05
#: Routes of BGP that may lead to each other's next hops.
MOST_IN_A_ROW: Final = 8
UNICAST: Final = "unicast"
BLOCKING: Final = frozenset({"blackhole", "unreachable", "prohibit", "throw"})


class NextHopWatch:
    """A tracker that is told of the routes which BGP did not bring; their metric is the distance."""

    def __init__(
        self,
        *,
        by_default_route: bool,
        on_moved: Callable[[Sequence[bytes]], None] | None = None,
        delay: float = DELAY,
    ) -> None:
        """``by_default_route``: whether a default route reaches next hops.

        With ``on_moved`` (see `NextHopTracker`) the selected routes of BGP reach them too, up to eight in a row.
        """
        by_bgp = on_moved is not None
        self.tracker = NextHopTracker(
            delay=delay,
            depth=MOST_IN_A_ROW if by_bgp else 1,
            use_default=by_default_route,
            recursive=by_bgp,
            on_moved=on_moved,
        )

    def gateways(self, next_hop: str) -> tuple[str, ...]:
        """Return the addresses, found in the kernel's table, that packets to a next hop go by; none: it has no way."""
        found = self.tracker.table.resolve(packed_address(next_hop))
        return () if found is None else tuple(str(ip_address(gateway)) for gateway in found.gateways)

    def on_routes(self, routes: Mapping[str, Sequence[KernelRoute]]) -> None:
        """Take over what there is to each destination now; the kernel has looked for the gateways itself."""
        for destination, present in routes.items():
            best = best_route(present)
            if best is None:
                self.tracker.remove(destination)
            else:
                self.tracker.put(destination, cost=best.metric, is_blocked=best.kind != UNICAST)


def best_route(routes: Iterable[KernelRoute]) -> KernelRoute | None:
    """Return the route that ordinary packets to a destination take."""
    usable = (route for route in routes if not route.type_of_service and is_judged(route))
    return min(usable, key=lambda route: route.metric, default=None)


def is_judged(route: KernelRoute) -> bool:
    """Whether a route leads somewhere, or says that nothing does."""
    return route.kind in BLOCKING or (route.kind == UNICAST and bool(route.next_hops))
