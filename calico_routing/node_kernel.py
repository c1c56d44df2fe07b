"""The node's side of its kernel: routes written and learned, ways to next hops, the tunnel device."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from calico_routing.autodetection import Device, Surroundings
from calico_routing.fib import FibSync
from calico_routing.kernel.interface import (
    DELETE,
    TABLE_MAIN,
    AddressEvent,
    KernelRoute,
    Operation,
    Resync,
)
from calico_routing.kernel.netlink.errors import CapabilityMissingError
from calico_routing.kernel_learner import KernelLearner
from calico_routing.kernel_routes import KernelRoutes
from calico_routing.next_hop_watch import NextHopWatch
from calico_routing.route_plan import NextHopResolver, PlanContext, by_itself, unresolved
from calico_routing.route_programmer import RouteProgrammer
from calico_routing.startup import source_address
from calico_routing.tunnel_keeper import DEVICE, TunnelKeeper
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.rib.ranking import same_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AsyncExitStack

    from calico_routing.configuration import KernelSettings
    from calico_routing.kernel.interface import Kernel, KernelError, KernelEvent
    from calico_routing.node_plan import NodePlan
    from pybgp.rib.next_hop_table import Step
    from pybgp.transport.speaker import Speaker

#: Changes of the ways to next hops are gathered for this long before routes are planned anew.
WAY_CHANGE_SECONDS: Final = 0.02
#: Nothing has this metric, so asking the kernel to delete it changes nothing but tells whether we may.
PERMISSION_PROBE: Final = KernelRoute("192.0.2.255/32", "blackhole", metric=0xFFFFFFFE)

log = structlog.get_logger(__name__)


class NodeKernel:
    """Everything that the node has to do with its kernel."""

    def __init__(
        self,
        kernel: Kernel,
        settings: KernelSettings,
        *,
        announce: Callable[[str, str], None],
        withdraw: Callable[[str, str], None],
    ) -> None:
        """Nothing is read before `follow`; what is learned is announced and withdrawn by prefix and label."""
        self.fib = FibSync(
            kernel,
            on_problems=_log_route_problems,
            resync_interval=settings.resync_interval,
            table=settings.table,
            protocol=settings.protocol,
        )
        self.programmer = RouteProgrammer(self.fib, _call_soon)
        self.learner = KernelLearner(announce, withdraw, _call_soon)
        self.tunnel = TunnelKeeper(kernel, settings.mtu_interface_pattern, self._on_tunnel)
        self.tunnel_device: str | None = None
        #: Set when an address came or went.
        self.addresses_changed = asyncio.Event()
        self._kernel = kernel
        self._settings = settings
        self._next_hops = (
            NextHopWatch(
                by_default_route=settings.track_by_default_route,
                on_moved=self._on_next_hops_moved if settings.track_by_bgp_routes else None,
            )
            if settings.track_next_hops
            else None
        )
        self._follow = self._follower()
        learns_main = settings.learn_table == TABLE_MAIN
        self._routes = KernelRoutes(
            kernel,
            self._on_kernel_routes if learns_main else _ignore_routes,
            on_reachability=self._on_way_changed,
            on_routes=self._next_hops.on_routes if self._next_hops is not None else None,
            resync_interval=settings.resync_interval,
            own_protocol=own_protocol(settings, TABLE_MAIN),
            protocols=frozenset(settings.learn_protocols),
        )
        #: The table that routes are learned from, if it is another one than that which next hops are found in.
        self._other_routes = None if learns_main else self._learned_elsewhere()
        self._resolver: NextHopResolver | None = None
        self._way_timer: asyncio.TimerHandle | None = None
        self._plan: NodePlan | None = None

    async def open(self, exits: AsyncExitStack) -> None:
        """Open it, and see that we may change routes; CapabilityMissingError if not."""
        await self._kernel.open()
        exits.push_async_callback(self._kernel.close)
        refused = await self._kernel.apply([Operation(DELETE, PERMISSION_PROBE)])
        for error in refused.values():
            if isinstance(error, CapabilityMissingError):
                raise CapabilityMissingError(error.error_number, "change routes", error.reason) from error

    async def surroundings(self) -> Surroundings:
        """Return what the node's addresses are detected from."""
        links, addresses = await self._kernel.links(), await self._kernel.addresses()
        by_index: dict[int, list[str]] = {link.ifindex: [] for link in links}
        for address in addresses:
            by_index.setdefault(address.ifindex, []).append(address.address)
        devices = [Device(link.name, link.ifindex, tuple(by_index[link.ifindex])) for link in links]
        return Surroundings(devices, source_address)

    async def make_tunnel(self) -> None:
        """See that the tunnel device is there; KernelError where it cannot be had."""
        await self._kernel.make_tunnel(DEVICE)

    async def forward(self) -> None:
        """Let the host forward packets."""
        await self._kernel.write_sysctl("net/ipv4/ip_forward", "1")

    async def follow(self, exits: AsyncExitStack) -> bool:
        """Adopt the kernel's tables and follow them; say whether an earlier life of ours has left routes."""
        exits.callback(self._kernel.subscribe(self._on_events))
        settings = self._settings
        inherited = await self._kernel.found_routes(protocol=settings.protocol, table=settings.table)
        exits.push_async_callback(self._routes.stop)
        await self._routes.start()
        if self._other_routes is not None:
            exits.push_async_callback(self._other_routes.stop)
            await self._other_routes.start()
        if settings.export:
            exits.push_async_callback(self.fib.stop)
            await self.fib.start()
        return any(inherited.first.values())

    def close(self) -> None:
        """Plan no more; what was opened closes with its exits."""
        if self._way_timer is not None:
            self._way_timer.cancel()

    # The speaker.

    @property
    def next_hop_cost(self) -> Callable[[bytes], int | None]:
        """How far a next hop is; all are equally far unless they are followed."""
        return self._next_hops.tracker.cost if self._next_hops is not None else same_cost

    def track_next_hops(self, speaker: Speaker) -> None:
        """Tell a speaker whenever a next hop has become nearer or farther."""
        if self._next_hops is not None:
            self._next_hops.tracker.attach(speaker)

    def detach(self) -> None:
        """The speaker ends: nothing that it still says is written, and what is written stays."""
        self.programmer.detach()
        if self._next_hops is not None:
            self._next_hops.tracker.close()

    def finish_restart(self) -> None:
        """Delete what is left from an earlier life and is not wanted any more."""
        self.programmer.finish_restart(self.fib.finish_restart)

    # What is wanted.

    def apply(self, plan: NodePlan) -> None:
        """Learn and write as a plan says."""
        self._plan = plan
        self.learner.set_rules(frozenset(pool.cidr for pool in plan.pools), plan.ignored_interfaces)
        self.learner.set_policy(plan.policies.kernel_import)
        self.programmer.set_policy(plan.policies.kernel_export or ACCEPT_ALL)
        self._replan()

    def _replan(self) -> None:
        if (plan := self._plan) is not None:
            self.programmer.set_context(
                PlanContext(
                    pools=plan.pools,
                    own_networks=plan.own_networks,
                    own_addresses=plan.own_addresses,
                    own_blocks=plan.own_blocks,
                    accept_default_route=self._settings.accept_default_route,
                    tunnel_device=self.tunnel_device,
                    resolve=self._resolver or unresolved,
                    follow=self._follow,
                )
            )

    # What the kernel says.

    def _on_events(self, events: Sequence[KernelEvent]) -> None:
        self.tunnel.on_events(events)
        for event in events:
            if isinstance(event, AddressEvent):
                self.addresses_changed.set()
            elif isinstance(event, Resync):
                log.warning("kernel_events_lost", reason=event.reason)

    def _on_tunnel(self, available: bool) -> None:
        self.tunnel_device = DEVICE if available else None
        self._replan()

    def _learned_elsewhere(self) -> KernelRoutes:
        settings = self._settings
        return KernelRoutes(
            self._kernel,
            self._on_kernel_routes,
            resync_interval=settings.resync_interval,
            table=settings.learn_table,
            own_protocol=own_protocol(settings, settings.learn_table),
            protocols=frozenset(settings.learn_protocols),
        )

    def _on_kernel_routes(self, best: Mapping[str, KernelRoute | None]) -> None:
        if self._settings.learn:
            self.learner.on_change(best)

    def _on_way_changed(self) -> None:
        if self._resolver is None:
            self._resolver = self._routes.resolver
        elif self._way_timer is None:
            loop = asyncio.get_running_loop()
            self._way_timer = loop.call_later(WAY_CHANGE_SECONDS, self._renew_ways)

    def _follower(self) -> Callable[[str], Sequence[str]]:
        """Return what follows next hops through routes of BGP; another one each time, so that all is planned anew."""
        watch = self._next_hops
        return by_itself if watch is None or not self._settings.track_by_bgp_routes else partial(watch.gateways)

    def _on_next_hops_moved(self, next_hops: Sequence[bytes]) -> None:
        del next_hops
        self._follow = self._follower()
        self._replan()

    def way_to(self, next_hop: bytes) -> Sequence[Step] | None:
        """Return the routes that lead to a next hop; None where next hops are not followed, or there is no way."""
        return self._next_hops.tracker.table.way(next_hop) if self._next_hops is not None and next_hop else None

    def _renew_ways(self) -> None:
        self._way_timer = None
        resolver = self._routes.resolver
        if self._resolver is None or self._resolver.differs_from(resolver):
            self._resolver = resolver
            self._replan()


def own_protocol(settings: KernelSettings, table: int) -> int:
    """Return the protocol number that our routes have in a table; one that no route has where we write none."""
    return settings.protocol if table == settings.table else -1


def _ignore_routes(best: Mapping[str, KernelRoute | None]) -> None:
    """These are for finding next hops only."""
    del best


def _call_soon(action: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(action)


def _log_route_problems(problems: Sequence[KernelError]) -> None:
    log.error("routes_refused", count=len(problems), first=str(problems[0]))
