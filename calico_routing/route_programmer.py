"""Turns what the speaker decides into kernel routes, in the turn of the decision and without waiting."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from calico_routing.route_plan import PlanContext, RoutePlanner
from pybgp.rib.path import Source
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from calico_routing.kernel.interface import KernelRoute
    from pybgp.rib.path import Change, Path
    from pybgp.wire.families import Family

    class Routes(Protocol):
        """Where planned routes go (FibSync)."""

        def update(self, routes: Mapping[str, KernelRoute | None]) -> None:
            """Set and remove routes."""

        def replace_all(self, routes: Mapping[str, KernelRoute]) -> None:
            """Make these the routes, all of them."""

    class LocRib(Protocol):
        """What is known of BGP (Speaker)."""

        def best(self, family: Family) -> Mapping[bytes, Path]:
            """Return key to best path."""

        def paths(self, family: Family, key: bytes) -> tuple[Path, ...]:
            """Return the equal-cost paths of a prefix."""


FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)


class RouteProgrammer:
    """Plans each changed prefix; plans everything anew when pools, blocks or own addresses change."""

    def __init__(self, routes: Routes) -> None:
        """Without a context nothing is planned."""
        self._routes = routes
        self._context = PlanContext()
        self._planner = RoutePlanner(self._context)
        self._rib: LocRib | None = None

    @property
    def context(self) -> PlanContext:
        """What decides besides the learnt routes."""
        return self._context

    def attach(self, rib: LocRib) -> None:
        """Plan from this Loc-RIB from now on; the routes in the kernel stay until it says otherwise."""
        self._rib = rib

    def on_changes(self, changes: Sequence[Change]) -> None:
        """Plan what changed; the kernel has it when this returns."""
        planned: dict[str, KernelRoute | None] = {}
        for family, path, keys in changes:
            if family not in FAMILIES:
                continue
            for key in keys:
                destination = format_prefix(family, key)
                planned[destination] = self._planner.plan(destination, self._next_hops(family, key, path))
        if planned:
            self._routes.update(planned)

    def set_context(self, context: PlanContext) -> bool:
        """Plan everything anew if the context is another one; only differences reach the kernel."""
        if context == self._context:
            return False
        self._context = context
        self._planner = RoutePlanner(context)
        self._routes.replace_all(self._planner.plan_all(self._learnt()))
        return True

    def _learnt(self) -> dict[str, Sequence[str]]:
        learnt: dict[str, Sequence[str]] = {}
        if self._rib is not None:
            for family in FAMILIES:
                for key, path in self._rib.best(family).items():
                    learnt[format_prefix(family, key)] = self._next_hops(family, key, path)
        return learnt

    def _next_hops(self, family: Family, key: bytes, path: Path | None) -> Sequence[str]:
        """Return the BGP next hops of equal cost; none for what is our own or nobody's."""
        if path is None or path.source is Source.LOCAL or self._rib is None:
            return ()
        paths = self._rib.paths(family, key) or (path,)
        return tuple({address_text(one.next_hop): None for one in paths if one.source is not Source.LOCAL})


@lru_cache(maxsize=4096)
def address_text(packed: bytes) -> str:
    """Return a packed next hop as text; of a global and a link-local one the global (RFC 2545 section 3)."""
    return str(ip_address(packed[:16] if len(packed) == 32 else packed))
