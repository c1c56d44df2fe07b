"""Turns what the speaker decides into kernel routes, in the turn of the decision and without waiting."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from calico_routing.route_plan import PlanContext, RoutePlanner
from pybgp.rib.path import Source
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence, Set
    from typing import Protocol

    from calico_routing.kernel.interface import KernelRoute
    from pybgp.rib.path import Change, Path
    from pybgp.rib.policy import Policy
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
#: Routes planned in one turn of the loop.
AT_ONCE = 3_000


class _Everything:
    """Contains whatever is asked for."""

    def __contains__(self, _: object) -> bool:
        """Say so."""
        return True


EVERYTHING = _Everything()


class RouteProgrammer:
    """Plans each changed prefix; plans everything anew when pools, blocks or own addresses change."""

    def __init__(self, routes: Routes, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Without a context nothing is planned.

        ``soon`` calls back in a turn to come: many routes are planned in several turns then.  None: always at once.
        """
        self._routes = routes
        self._soon = soon
        #: Prefixes that are yet to be planned, as they are when their turn comes.
        self._waiting: deque[tuple[Family, Sequence[bytes]]] = deque()
        self._is_due = False
        self._context = PlanContext()
        self._planner = RoutePlanner(self._context)
        self._rib: LocRib | None = None
        self._policy: Policy = ACCEPT_ALL
        #: how often the policy of the kernel has failed, and how it did last.
        self.policy_failures = 0
        self.last_policy_failure = ""
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
        self._waiting.clear()

    def finish_restart(self) -> None:
        """The Loc-RIB is complete: what it does not know is deleted (RFC 4724 section 4.1)."""
        self._restarting = False
        self._plan_all()

    def on_changes(self, changes: Sequence[Change]) -> None:
        """Plan what changed; the kernel has it when this returns, unless it is very much."""
        if self._rib is None:
            return
        count = sum(len(change.keys) for change in changes)
        if self._soon is not None and (self._waiting or count > AT_ONCE):
            self._plan_later([(change.family, change.keys) for change in changes if change.family in FAMILIES])
            return
        planned: dict[str, KernelRoute | None] = {}
        for family, path, keys in changes:
            if family in FAMILIES:
                self._plan(planned, family, path, keys)
        if planned:
            self._routes.update(planned)

    def _plan(
        self, planned: dict[str, KernelRoute | None], family: Family, path: Path | None, keys: Sequence[bytes]
    ) -> None:
        passing = self._passing(family, path, keys)
        for key in keys:
            destination = format_prefix(family, key)
            hops = self._next_hops(family, key, path) if key in passing else ()
            planned[destination] = self._planner.plan(destination, hops)

    def _plan_later(self, prefixes: Sequence[tuple[Family, Sequence[bytes]]]) -> None:
        """Put prefixes behind those that wait; some of them are planned now if nothing is under way."""
        self._waiting.extend(prefixes)
        if not self._is_due and self._waiting:
            self._plan_slice()

    def _plan_slice(self) -> None:
        """Plan some of what waits, as it is now."""
        self._is_due = False
        rib, room = self._rib, AT_ONCE
        planned: dict[str, KernelRoute | None] = {}
        while self._waiting and room > 0 and rib is not None:
            family, keys = self._waiting.popleft()
            if len(keys) > room:
                self._waiting.appendleft((family, keys[room:]))
                keys = keys[:room]
            room -= len(keys)
            best = rib.best(family)
            by_path: dict[Path | None, list[bytes]] = {}
            for key in keys:
                by_path.setdefault(best.get(key), []).append(key)
            for path, together in by_path.items():
                self._plan(planned, family, path, together)
        if planned:
            self._routes.update(planned)
        if self._waiting and self._soon is not None:
            self._is_due = True
            self._soon(self._plan_slice)

    def _plan_anew(self, blocks: Set[str] = frozenset()) -> None:
        """Plan every route again: at once, or if there are many, in turns, own ``blocks`` that came or went first."""
        tables = [(family, list(self._rib.best(family))) for family in FAMILIES] if self._rib is not None else []
        if self._soon is None or self._restarting or sum(len(keys) for _, keys in tables) <= AT_ONCE:
            self._plan_all()
        else:
            self._waiting.clear()
            self._plan_blocks(blocks)
            self._plan_later(tables)

    def set_policy(self, policy: Policy) -> None:
        """Let only those routes into the kernel that an export policy accepts; what it sets counts for nothing."""
        if policy != self._policy:
            self._policy = policy
            self._plan_anew()

    def _passing(self, family: Family, path: Path | None, keys: Sequence[bytes]) -> Container[bytes]:
        """Return those of a path's prefixes that the policy lets through; a policy that fails lets none."""
        if self._policy is ACCEPT_ALL or path is None:
            return EVERYTHING
        try:
            return {key for passed in self._policy.apply(path, family, keys, internal=True) for key in passed[1]}
        except Exception as error:  # noqa: BLE001  (a policy is the user's code: its failure rejects, never accepts)
            self.policy_failures += 1
            self.last_policy_failure = repr(error)
            return ()

    def set_context(self, context: PlanContext) -> bool:
        """Plan anew if the context is another one; where only own blocks changed, only those."""
        before = self._context
        if context == before:
            return False
        self._context = context
        self._planner = RoutePlanner(context)
        blocks = set(context.own_blocks) ^ set(before.own_blocks)
        if context._replace(own_blocks=()) == before._replace(own_blocks=()):
            self._plan_blocks(blocks)
        else:
            self._plan_anew(blocks)
        return True

    def _plan_blocks(self, blocks: Set[str]) -> None:
        planned: dict[str, KernelRoute | None] = {}
        for block in blocks:
            family, key = parse_prefix(block)
            path = self._rib.best(family).get(key) if self._rib is not None else None
            hops = self._next_hops(family, key, path) if key in self._passing(family, path, (key,)) else ()
            planned[block] = self._planner.plan(block, hops)
        self._routes.update(planned)

    def _plan_all(self) -> None:
        self._waiting.clear()
        planned = self._planner.plan_all(self._learnt())
        if self._restarting:
            self._routes.update(planned)
        else:
            self._routes.replace_all(planned)

    def _learnt(self) -> dict[str, Sequence[str]]:
        learnt: dict[str, Sequence[str]] = {}
        if self._rib is not None:
            for family in FAMILIES:
                best = self._rib.best(family)
                passing = self._passing_of(family, best)
                for key, path in best.items():
                    if key in passing:
                        learnt[format_prefix(family, key)] = self._next_hops(family, key, path)
        return learnt

    def _passing_of(self, family: Family, best: Mapping[bytes, Path]) -> Container[bytes]:
        """Ask the policy about a whole table, once for each path."""
        if self._policy is ACCEPT_ALL:
            return EVERYTHING
        by_path: dict[Path, list[bytes]] = {}
        for key, path in best.items():
            by_path.setdefault(path, []).append(key)
        passing: set[bytes] = set()
        for path, keys in by_path.items():
            passed = self._passing(family, path, keys)
            passing.update(key for key in keys if key in passed)
        return passing

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
