"""Turns what the speaker decides into kernel routes, in the turn of the decision and without waiting."""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain, filterfalse, islice
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.kernel.interface import FAMILY_IPV4, FAMILY_IPV6
from calico_routing.kernel.netlink.route_runs import scattered
from calico_routing.route_plan import PlanContext, RoutePlanner
from pybgp.rib.path import Source
from pybgp.rib.policy import ACCEPT_ALL, NO_HINTS, Passed, explain_policy
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
    from typing import Protocol

    from calico_routing.kernel.interface import KernelRoute
    from pybgp.rib.path import Change, Path
    from pybgp.rib.policy import Explanation, KernelHints, Policy
    from pybgp.wire.families import Family

    class Routes(Protocol):
        """Where planned routes go (FibSync)."""

        def update_run(self, family: int, keys: Sequence[bytes], route: KernelRoute | None) -> None:
            """Set or remove routes that differ in nothing but their destination."""

        def wanted_keys(self, family: int) -> Collection[bytes]:
            """Return the destinations that have a route."""

    class LocRib(Protocol):
        """What is known of BGP (Speaker)."""

        def best(self, family: Family) -> Mapping[bytes, Path]:
            """Return key to best path."""

        def equal_paths(self, family: Family) -> Mapping[bytes, Sequence[Path]]:
            """Return the prefixes that have several equal-cost paths."""


#: Families that have kernel routes, with the kernel's numbers for them.
FAMILIES = {IPV4_UNICAST: FAMILY_IPV4, IPV6_UNICAST: FAMILY_IPV6}
#: Routes planned in one turn of the loop.
AT_ONCE = 5_000


class _Waiting(NamedTuple):
    """Prefixes that are yet to be planned."""

    family: Family
    keys: Iterator[bytes]
    #: What reaches all of them, unless something came after it.
    path: Path | None = None
    is_known: bool = False


class RouteProgrammer:
    """Plans each changed prefix; plans everything anew when pools, blocks or own addresses change."""

    def __init__(self, routes: Routes, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Without a context nothing is planned.

        ``soon`` calls back in a turn to come: many routes are planned in several turns then.  None: always at once.
        """
        self._routes = routes
        self._soon = soon
        #: Prefixes that are yet to be planned, as they are when their turn comes.
        self._waiting: deque[_Waiting] = deque()
        self._is_due = False
        self._context = PlanContext()
        self._planner = RoutePlanner(self._context)
        self._rib: LocRib | None = None
        self._policy: Policy = ACCEPT_ALL
        #: how often the policy of the kernel has failed, and how it did last.
        self.policy_failures = 0
        self.last_policy_failure = ""
        self._restarting = True
        self._when_planned: Callable[[], None] | None = None

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
        self._when_planned = None
        self._waiting.clear()

    def finish_restart(self, then: Callable[[], None] | None = None) -> None:
        """The Loc-RIB is complete: what it does not know is deleted (RFC 4724 section 4.1); then call back."""
        self._restarting = False
        self._plan_anew()
        if then is not None:
            self.when_planned(then)

    def when_planned(self, then: Callable[[], None]) -> None:
        """Call back once nothing waits any more for its turn: now, or after one; never if detached meanwhile."""
        self._when_planned = then
        self._tell_when_planned()

    def on_changes(self, changes: Sequence[Change]) -> None:
        """Plan what changed; the kernel has it when this returns, unless it is very much."""
        changes = [one for one in changes if not self._planner.has_only_own_blocks(one.family, one.keys)]
        if self._rib is None or not changes:
            return
        count = sum(len(change.keys) for change in changes)
        if self._soon is not None and (self._waiting or count > AT_ONCE):
            self._wait(changes)
            self._begin()
            return
        for family in FAMILIES:
            mine = [change for change in changes if change.family == family]
            if len(mine) == 1:
                self._plan(family, {mine[0].path: mine[0].keys})
            elif mine:
                latest: dict[bytes, Path | None] = {}
                for _, path, keys in mine:
                    latest.update(dict.fromkeys(keys, path))
                self._plan(family, _by_path(list(latest), list(latest.values())))

    def _wait(self, changes: Sequence[Change]) -> None:
        """Let changes wait for their turn."""
        for family in FAMILIES:
            mine = [change for change in changes if change.family == family]
            if len(mine) == 1:
                self._waiting.append(_Waiting(family, scattered(mine[0].keys), mine[0].path, is_known=True))
            elif mine:
                keys = list(chain.from_iterable(change.keys for change in mine))
                self._waiting.append(_Waiting(family, scattered(keys)))

    def _plan(self, family: Family, by_path: Mapping[Path | None, Sequence[bytes]]) -> None:
        """Plan prefixes, each of which is reached by one of these paths, and hand on what is to be in the kernel."""
        by_hops: dict[tuple[tuple[str, ...], KernelHints], list[bytes]] = {}
        several = self._rib.equal_paths(family) if self._rib is not None else {}
        for path, concerned in by_path.items():
            may_be_several = bool(several) and path is not None and path.source is not Source.LOCAL
            for hints, passed in self._judged(family, path, concerned):
                keys = passed
                if may_be_several and not several.keys().isdisjoint(keys):
                    for key in keys:
                        if key in several:
                            by_hops.setdefault((_next_hops(several[key]), hints or NO_HINTS), []).append(key)
                    keys = [key for key in keys if key not in several]
                hops = () if path is None or hints is None else _next_hops((path,))
                by_hops.setdefault((hops, hints or NO_HINTS), []).extend(keys)
        runs: dict[KernelRoute | None, list[Sequence[bytes]]] = {}
        for (hops, hints), together in by_hops.items():
            for some, route in self._planner.plan_run(family, together, hops):
                runs.setdefault(route and heeding(hints, route, family), []).append(some)
        for route, parts in runs.items():
            keys = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
            self._routes.update_run(FAMILIES[family], keys, route)

    def _begin(self) -> None:
        """Plan some of what waits now, unless a turn for it is due."""
        if not self._is_due:
            self._plan_slice()

    def _plan_slice(self) -> None:
        """Plan some of what waits, as it is now."""
        self._is_due = False
        rib, room = self._rib, sys.maxsize if self._soon is None else AT_ONCE
        together: dict[Family, list[bytes]] = {}
        newest = self._waiting[0] if len(self._waiting) == 1 else None
        while self._waiting and room > 0 and rib is not None:
            first = self._waiting[0]
            some = list(islice(first.keys, room))
            if len(some) < room:
                self._waiting.popleft()
            together.setdefault(first.family, []).extend(some)
            room -= len(some)
        for family, concerned in together.items():
            if newest is not None and newest.is_known:
                self._plan(family, {newest.path: concerned})
            elif rib is not None:
                self._plan(family, _by_path(concerned, list(map(rib.best(family).get, concerned))))
        if self._waiting and self._soon is not None:
            self._is_due = True
            self._soon(self._plan_slice)
        else:
            self._tell_when_planned()

    def _tell_when_planned(self) -> None:
        if self._when_planned is not None and not self._waiting:
            then, self._when_planned = self._when_planned, None
            then()

    def _plan_anew(self, blocks: Set[str] = frozenset()) -> None:
        """Plan every route again, in turns if there are many; own blocks, and ``blocks`` that were, come first.

        While the Loc-RIB restarts, what it does not know yet stays as it is.
        """
        self._waiting.clear()
        self._plan_blocks(blocks | set(self._context.own_blocks))
        if self._rib is None:
            return
        for family, number in FAMILIES.items():
            best = self._rib.best(family)
            self._waiting.append(_Waiting(family, scattered(list(best))))
            if not self._restarting:
                unknown = filterfalse(best.__contains__, list(self._routes.wanted_keys(number)))
                self._waiting.append(_Waiting(family, unknown))
        self._begin()

    def set_policy(self, policy: Policy) -> None:
        """Let only those routes into the kernel that an export policy accepts, as it says (KernelHints)."""
        if policy != self._policy:
            self._policy = policy
            self._plan_anew()

    def explain(self, family: Family, key: bytes) -> Explanation | None:
        """Say how the policy judges what is selected for a prefix; None: everything passes, or nothing is selected."""
        path = self._rib.best(family).get(key) if self._rib is not None and family in FAMILIES else None
        if self._policy is ACCEPT_ALL or path is None:
            return None
        return explain_policy(self._policy, path, family, key, internal=True)

    def _judged(
        self, family: Family, path: Path | None, keys: Sequence[bytes]
    ) -> Sequence[tuple[KernelHints | None, Sequence[bytes]]]:
        """Part a path's prefixes by what the policy says of their routes; None: not let through.

        A policy that fails lets nothing through.
        """
        if self._policy is ACCEPT_ALL or path is None:
            return ((NO_HINTS, keys),)
        try:
            passed = [Passed(*one) for one in self._policy.apply(path, family, keys, internal=True)]
        except Exception as error:  # noqa: BLE001  (a policy is the user's code: its failure rejects, never accepts)
            self.policy_failures += 1
            self.last_policy_failure = repr(error)
            return ((None, keys),)
        inside = {key for one in passed for key in one.keys}
        refused = [key for key in keys if key not in inside]
        return ((None, refused), *((one.kernel, one.keys) for one in passed))

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
        latest: dict[Family, dict[bytes, Path | None]] = {}
        for block in blocks:
            family, key = parse_prefix(block)
            path = self._rib.best(family).get(key) if self._rib is not None else None
            latest.setdefault(family, {})[key] = path
        for family, paths in latest.items():
            self._plan(family, _by_path(list(paths), list(paths.values())))


def heeding(hints: KernelHints, route: KernelRoute, family: Family) -> KernelRoute:
    """Return a route with what a policy says of it; what drops packets has no source, and its metric stays."""
    if hints is NO_HINTS or route.kind != "unicast":
        return route
    source = next((address for address in hints.sources if (":" in address) is (family == IPV6_UNICAST)), None)
    return route._replace(metric=hints.metric or route.metric, preferred_source=source)


def _by_path(keys: Sequence[bytes], paths: Sequence[Path | None]) -> Mapping[Path | None, Sequence[bytes]]:
    """Prefixes, of each of which the path is given, in groups of those that one path reaches."""
    if paths and paths.count(paths[0]) == len(paths):
        return {paths[0]: keys}
    groups: defaultdict[Path | None, list[bytes]] = defaultdict(list)
    for key, path in zip(keys, paths, strict=True):
        groups[path].append(key)
    return groups


def _next_hops(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the BGP next hops of paths; none of what is our own."""
    return tuple({address_text(path.next_hop): None for path in paths if path.source is not Source.LOCAL})


@lru_cache(maxsize=4096)
def address_text(packed: bytes) -> str:
    """Return a packed next hop as text; of a global and a link-local one the global (RFC 2545 section 3)."""
    return str(ip_address(packed[:16] if len(packed) == 32 else packed))
