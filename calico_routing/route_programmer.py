"""Turns what the speaker decides into kernel routes, in the turn of the decision and without waiting."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from calico_routing.route_plan import PlanContext, RoutePlanner
from pybgp.rib.path import Source
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix, parse_prefix

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
        self._restarting = True

    @property
    def context(self) -> PlanContext:
        """What decides besides the learnt routes."""
        return self._context

    def attach(self, rib: LocRib, *, restarting: bool) -> None:
        """Plan from this Loc-RIB; while it restarts, what it does not know yet is left in the kernel."""
        self._rib = rib
        self._restarting = restarting

    def detach(self) -> None:
        """Hear nothing more: what the speaker forgets while it ends stays in the kernel."""
        self._rib = None
        self._restarting = True

    def finish_restart(self) -> None:
        """The Loc-RIB is complete: what it does not know is deleted (RFC 4724 section 4.1)."""
        self._restarting = False
        self._plan_all()

    def on_changes(self, changes: Sequence[Change]) -> None:
        """Plan what changed; the kernel has it when this returns."""
        if self._rib is None:
            return
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
        """Plan anew if the context is another one; where only own blocks changed, only those."""
        before = self._context
        if context == before:
            return False
        self._context = context
        self._planner = RoutePlanner(context)
        if context._replace(own_blocks=()) == before._replace(own_blocks=()):
            self._plan_blocks(set(context.own_blocks) ^ set(before.own_blocks))
        else:
            self._plan_all()
        return True

    def _plan_blocks(self, blocks: set[str]) -> None:
        planned: dict[str, KernelRoute | None] = {}
        for block in blocks:
            family, key = parse_prefix(block)
            path = self._rib.best(family).get(key) if self._rib is not None else None
            planned[block] = self._planner.plan(block, self._next_hops(family, key, path))
        self._routes.update(planned)

    def _plan_all(self) -> None:
        planned = self._planner.plan_all(self._learnt())
        if self._restarting:
            self._routes.update(planned)
        else:
            self._routes.replace_all(planned)

    def _learnt(self) -> dict[str, Sequence[str]]:
        learnt: dict[str, Sequence[str]] = {}
        if self._rib is not None:
            for family in FAMILIES:
                for key, path in self._rib.best(family).items():
                    learnt[format_prefix(family, key)] = self._next_hops(family, key, path)
        return learnt

    def _next_hops(self, family: Family, key: bytes, path: Path | None) -> Sequence[str]:
        """Return the BGP next hops of equal cost; none for what is our own or nobody's."""
        if self._rib is None or path is None or path.source is Source.LOCAL:
            return ()
        paths = self._rib.paths(family, key) or (path,)
        return tuple({address_text(one.next_hop): None for one in paths if one.source is not Source.LOCAL})


@lru_cache(maxsize=4096)
def address_text(packed: bytes) -> str:
    """Return a packed next hop as text; of a global and a link-local one the global (RFC 2545 section 3)."""
    return str(ip_address(packed[:16] if len(packed) == 32 else packed))
