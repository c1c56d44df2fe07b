"""The node agent: wires kernel, datastore, speaker and control socket together, and decides nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from calico_routing.autodetection import Device, Surroundings, detect, parse_method
from calico_routing.cluster_view import ClusterView
from calico_routing.configuration import ConfigurationError, load_configuration
from calico_routing.control_socket import ControlServer
from calico_routing.daemon_commands import DaemonCommands
from calico_routing.daemon_status import status_document
from calico_routing.datastore.interface import Datastore, DatastoreError, NotFoundError
from calico_routing.datastore.open import MEMORY, open_datastore
from calico_routing.explain_document import explain_document
from calico_routing.export_policy import CalicoExportPolicy
from calico_routing.fib import FibSync
from calico_routing.ipam.allocator import Allocator
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.tunnel_address import ensure_ipip_tunnel_address
from calico_routing.kernel.interface import (
    DELETE,
    TABLE_MAIN,
    AddressEvent,
    KernelError,
    KernelRoute,
    Operation,
    Resync,
)
from calico_routing.kernel.netlink.errors import CapabilityMissingError
from calico_routing.kernel.netlink_kernel import NetlinkKernel
from calico_routing.kernel_learner import KERNEL_PREFERENCE, KernelLearner
from calico_routing.kernel_routes import KernelRoutes
from calico_routing.listen_check import check_listen
from calico_routing.model.bgp import DEFAULT, NODE_PREFIX, BGPConfiguration
from calico_routing.mrt_files import MrtFiles
from calico_routing.next_hop_watch import NextHopWatch
from calico_routing.node_plan import ANY_IPV4, BIND_NODE_IP, PREFERENCES, NodePlan, PlanError, plan_node, plan_router
from calico_routing.peering import BGP_PORT
from calico_routing.preview_lines import plan_changes, preview_lines
from calico_routing.reload import needs_restart, reloaded, with_policies
from calico_routing.route_listing import covering
from calico_routing.route_plan import NextHopResolver, PlanContext, unresolved
from calico_routing.route_programmer import RouteProgrammer
from calico_routing.router_policy import RouterExportPolicy
from calico_routing.rpki_watch import RpkiWatch
from calico_routing.startup import StartupError, node_name, save_node, source_address, start_up, wants_tunnel
from calico_routing.tunnel_keeper import DEVICE, TunnelKeeper
from pybgp.errors import LocalError
from pybgp.rib.policy import ACCEPT_ALL, InOrder
from pybgp.rib.ranking import same_cost
from pybgp.transport.bmp_config import BmpConfig
from pybgp.transport.speaker import Speaker
from pybgp.transport.speaker_config import SpeakerConfig
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from calico_routing.cluster_snapshot import ClusterSnapshot
    from calico_routing.configuration import BmpSettings, Configuration, KernelSettings
    from calico_routing.kernel.interface import Kernel, KernelEvent
    from calico_routing.model.nodes import Node
    from pybgp.rib.policy import Policy
    from pybgp.transport.peering import PeerPolicies
    from pybgp.wire.families import Family

    T = TypeVar("T")

FAMILIES: Final = (IPV4_UNICAST, IPV6_UNICAST)
MAXIMUM_PATHS: Final = 64
DATASTORE_RETRY_SECONDS: Final = 1.0
SPEAKER_RETRY_SECONDS: Final = 1.0
TUNNEL_ADDRESS_RETRY_SECONDS: Final = 5.0
#: Changes of the ways to next hops are gathered for this long before routes are planned anew.
WAY_CHANGE_SECONDS: Final = 0.02
#: Nothing has this metric, so asking the kernel to delete it changes nothing but tells whether we may.
PERMISSION_PROBE: Final = KernelRoute("192.0.2.255/32", "blackhole", metric=0xFFFFFFFE)

log = structlog.get_logger(__name__)


class NodeDaemon:
    """One node of a Calico cluster, or without a datastore one BGP router."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        kernel: Kernel | None = None,
        open_store: Callable[[], AbstractContextManager[Datastore]] | None = None,
        load: Callable[[], Configuration] | None = None,
    ) -> None:
        """Nothing is opened before `start`; tests bring their own kernel and store.  ``load`` reads it all again."""
        self._validation = RpkiWatch(configuration.rpki, self._on_validation)
        self._configuration = self._validation.applied(configuration)
        self._load = load
        self._kernel: Kernel = kernel if kernel is not None else NetlinkKernel()
        self._url = configuration.datastore_url
        self._open_store = open_store or self._open_configured_store
        self._memory_store: Datastore | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="datastore")
        self._exits = contextlib.AsyncExitStack()
        self._stopping = asyncio.Event()
        kernel_settings = configuration.kernel
        self._fib = FibSync(
            self._kernel,
            on_problems=_log_route_problems,
            resync_interval=kernel_settings.resync_interval,
            table=kernel_settings.table,
            protocol=kernel_settings.protocol,
        )
        self._programmer = RouteProgrammer(self._fib, _call_soon)
        self._learner = KernelLearner(self._announce_learned, self._withdraw_learned)
        self._next_hops = (
            NextHopWatch(by_default_route=kernel_settings.track_by_default_route)
            if kernel_settings.track_next_hops
            else None
        )
        learns_main = kernel_settings.learn_table == TABLE_MAIN
        self._kernel_routes = KernelRoutes(
            self._kernel,
            self._on_kernel_routes if learns_main else _ignore_routes,
            on_reachability=self._on_way_changed,
            on_routes=self._next_hops.on_routes if self._next_hops is not None else None,
            resync_interval=kernel_settings.resync_interval,
            own_protocol=own_protocol(kernel_settings, TABLE_MAIN),
            protocols=frozenset(kernel_settings.learn_protocols),
        )
        #: The table that routes are learned from, if it is another one than that which next hops are found in.
        self._other_routes = None if learns_main else self._learned_elsewhere(kernel_settings)
        self._mrt = MrtFiles(configuration.mrt, lambda: self._speaker)
        self._tunnel = TunnelKeeper(self._kernel, configuration.kernel.mtu_interface_pattern, self._on_tunnel)
        self._tunnel_device: str | None = None
        self._resolver: NextHopResolver | None = None
        self._way_timer: asyncio.TimerHandle | None = None
        self._speaker: Speaker | None = None
        #: The plan that is in force, and the latest one.
        self._plan: NodePlan | None = None
        self._wanted: NodePlan | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._name = configuration.node.name
        self._started = time.time()
        self._restarting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_snapshot: asyncio.Future[ClusterSnapshot] | None = None
        self._snapshot: ClusterSnapshot | None = None
        self._router_address = ""
        self._addresses_changed = asyncio.Event()
        #: Peers that an operator shut down, and the message for them; they stay down until they are enabled again.
        self.disabled: dict[str, str] = {}

    async def run(self) -> None:
        """Start, work until a signal or `stop`, and end as configured."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        try:
            if await self._start_unless_stopped():
                tune_garbage_collection()
                await self._stopping.wait()
                log.info("node_stopping", node=self._name)
        finally:
            await self.close()

    async def _start_unless_stopped(self) -> bool:
        """Start; a signal that comes meanwhile ends even the wait for a datastore."""
        starting, stopped = asyncio.create_task(self.start()), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
        if starting.cancelled():
            return False
        starting.result()
        return True

    @property
    def speaker(self) -> Speaker | None:
        """The speaker that runs."""
        return self._speaker

    @property
    def plan(self) -> NodePlan | None:
        """The plan in force."""
        return self._plan

    @property
    def mrt(self) -> MrtFiles:
        """What writes tables and messages into files."""
        return self._mrt

    def stop(self) -> None:
        """Ask `run` to end; routes stay in the kernel."""
        self._stopping.set()

    def _reload_soon(self) -> None:
        self._spawn(self._reload_logged())

    async def _reload_logged(self) -> None:
        """Reload for a signal, to which only the log can answer."""
        with contextlib.suppress(ConfigurationError, PlanError, LocalError, ValueError):
            await self.reload()

    async def reload(self) -> dict[str, Any]:
        """Take over what the configuration now says of policies, peers and networks; a bad one changes nothing.

        Returns what was taken over and what waits for a new start; raises what is wrong with the configuration.
        """
        if self._load is None or self._wanted is None:
            raise LocalError("the daemon has not started yet, or has nothing to read again")
        try:
            fresh = self._validation.applied(await asyncio.to_thread(self._load))
            configuration = reloaded(self._configuration, fresh)
            plan = self._planned(configuration)
        except ConfigurationError as error:
            log.error("reload_refused", problems=list(map(str, error.problems)))  # noqa: TRY400 - the file's fault
            raise
        except (PlanError, LocalError, ValueError) as error:
            log.error("reload_refused", problems=[str(error)])  # noqa: TRY400 - as above
            raise
        if waiting := list(needs_restart(self._configuration, fresh)):
            log.warning("reload_incomplete", needs_restart=waiting)
        self._configuration = configuration
        _log_warnings(configuration)
        self._follow(plan)
        log.info("reloaded", policies=sorted(configuration.policies), peers=len(plan.peers))
        return {
            "policies": sorted(configuration.policies),
            "peers": sorted(plan.peers),
            "needs_restart": waiting,
            "warnings": list(map(str, configuration.warnings)),
        }

    async def preview(self, file: str) -> Iterator[str]:
        """Return lines that tell what a reload would change, or the policies of a file in our configuration."""
        if self._load is None or self._plan is None or self._speaker is None:
            raise LocalError("the daemon has not started yet, or has nothing to read again")
        load = self._load if not file else partial(load_configuration, file, {})
        fresh = self._validation.applied(await asyncio.to_thread(load))
        take_over = with_policies if file else reloaded
        plan = self._planned(take_over(self._configuration, fresh))
        return preview_lines(
            self._speaker.preview_policies(*declared(plan)),
            plan_changes(self._plan, plan),
            [] if file else list(needs_restart(self._configuration, fresh)),
            list(map(str, fresh.warnings)),
        )

    def _planned(self, configuration: Configuration) -> NodePlan:
        if self._snapshot is None:
            return plan_router(configuration, self._router_address)
        return plan_node(self._snapshot, configuration)

    async def start(self) -> None:
        """Come up in calico/node's order; what cannot work is found before anything is changed."""
        _log_warnings(self._configuration)
        await self._kernel.open()
        self._exits.push_async_callback(self._kernel.close)
        await self._check_permission()
        control = ControlServer(
            self._configuration.control.socket,
            {"status": self.status},
            {"explain": self.explain},
            DaemonCommands(self).table(),
        )
        await control.start()
        self._exits.push_async_callback(control.stop)
        self._exits.push_async_callback(self._mrt.stop)
        self._mrt.start()
        if self._url is None:
            await self._start_router()
        else:
            await self._start_node()
        self._validation.start()
        self._exits.callback(self._validation.stop)
        log.info("node_started", node=self._name, seconds=round(time.time() - self._started, 3))

    async def close(self) -> None:
        """End the sessions as configured, leave the routes, close everything."""
        for task in self._tasks:
            task.cancel()
        if self._way_timer is not None:
            self._way_timer.cancel()
        await self._exits.aclose()
        self._worker.shutdown(wait=False)

    async def _check_permission(self) -> None:
        refused = await self._kernel.apply([Operation(DELETE, PERMISSION_PROBE)])
        for error in refused.values():
            if isinstance(error, CapabilityMissingError):
                raise CapabilityMissingError(error.error_number, "change routes", error.reason) from error

    # Starting a Calico node.

    async def _start_node(self) -> None:
        configuration = self._configuration
        self._name = node_name(configuration.node)
        around = await self._surroundings()
        await self._prepare(around)
        await self._open_routes()
        snapshot = await self._follow_cluster()
        plan = plan_node(snapshot, configuration)
        await self._kernel.write_sysctl("net/ipv4/ip_forward", "1")
        self._exits.push_async_callback(self._tunnel.stop)
        await self._tunnel.start(plan.tunnel)
        self._exits.push_async_callback(self._end_sessions)
        await self._start_speaker(plan, restarting=self._restarting)
        self._follow(self._wanted or plan)
        if "autodetect" in {configuration.node.ip, configuration.node.ip6}:
            self._spawn(self._watch_addresses())

    async def _prepare(self, around: Surroundings) -> None:
        """Register in the store; with WAIT_FOR_DATASTORE again and again until it answers."""
        while True:
            try:
                await self._prepare_once(around)
            except DatastoreError as error:
                if not self._configuration.datastore.wait:
                    raise
                log.warning("datastore_unavailable", error=str(error), retry_seconds=DATASTORE_RETRY_SECONDS)
                await asyncio.sleep(DATASTORE_RETRY_SECONDS)
            else:
                return

    async def _prepare_once(self, around: Surroundings) -> None:
        """Look whether everything can be had before anything is written, then write."""
        if await self._in_worker(self._check_store):
            await self._kernel.make_tunnel(DEVICE)
        await self._in_worker(self._register, around)

    def _check_store(self) -> bool:
        """Refuse a port that is taken; tell whether a pool wants the tunnel."""
        with self._open_store() as store:
            check_listen(self._listen_places(store))
            return wants_tunnel(store, self._configuration)

    def _register(self, around: Surroundings) -> None:
        with self._open_store() as store:
            start_up(store, self._configuration, self._name, around)
            ensure_ipip_tunnel_address(store, Allocator(store), self._name)

    def _listen_places(self, store: Datastore) -> list[tuple[str, int]]:
        """Where the speaker will listen, as far as is known before the node has registered itself."""
        bgp = self._configuration.bgp
        port, addresses = bgp.listen_port or BGP_PORT, bgp.listen_addresses or (ANY_IPV4,)
        for name in (DEFAULT, NODE_PREFIX + self._name):
            with contextlib.suppress(NotFoundError):
                settings = store.get(BGPConfiguration, name)
                port = settings.listen_port or port
                addresses = () if settings.bind_mode == BIND_NODE_IP else addresses
        return [(address, port) for address in addresses]

    async def _surroundings(self) -> Surroundings:
        links, addresses = await self._kernel.links(), await self._kernel.addresses()
        by_index: dict[int, list[str]] = {link.ifindex: [] for link in links}
        for address in addresses:
            by_index.setdefault(address.ifindex, []).append(address.address)
        devices = [Device(link.name, link.ifindex, tuple(by_index[link.ifindex])) for link in links]
        return Surroundings(devices, source_address)

    async def _open_routes(self) -> None:
        """Adopt the kernel's table: what an earlier life left tells that this is a restart (RFC 4724 section 4.1)."""
        unsubscribe = self._kernel.subscribe(self._on_kernel_events)
        self._exits.callback(unsubscribe)
        kernel = self._configuration.kernel
        inherited = await self._kernel.routes(protocol=kernel.protocol, table=kernel.table)
        self._restarting = self._configuration.bgp.graceful_restart and bool(inherited)
        self._exits.push_async_callback(self._kernel_routes.stop)
        await self._kernel_routes.start()
        if self._other_routes is not None:
            self._exits.push_async_callback(self._other_routes.stop)
            await self._other_routes.start()
        if self._configuration.kernel.export:
            self._exits.push_async_callback(self._fib.stop)
            await self._fib.start()

    async def _follow_cluster(self) -> ClusterSnapshot:
        loop = asyncio.get_running_loop()
        self._first_snapshot = loop.create_future()
        view = ClusterView(self._name, self._open_store, loop, self._on_snapshot)
        view.start()
        self._exits.push_async_callback(asyncio.to_thread, view.stop)
        return await self._first_snapshot

    async def _start_router(self) -> None:
        around = await self._surroundings()
        found = detect(parse_method("first-found"), 4, around)
        self._router_address = found.address if found is not None else ""
        plan = plan_router(self._configuration, self._router_address)
        check_listen(plan.speaker.listen)
        self._name = self._name or os.uname().nodename
        await self._open_routes()
        self._exits.push_async_callback(self._end_sessions)
        await self._start_speaker(plan, restarting=self._restarting)
        self._follow(plan)

    # The speaker.

    async def _start_speaker(self, plan: NodePlan, *, restarting: bool) -> None:
        bgp = self._configuration.bgp
        speaker = Speaker(
            SpeakerConfig(
                local_as=plan.speaker.local_as,
                router_id=plan.speaker.router_id,
                cluster_id=plan.speaker.cluster_id,
                decision=plan.speaker.decision,
                confederation=plan.speaker.confederation,
                confederation_members=plan.speaker.confederation_members,
                listen=plan.speaker.listen,
                local_addresses=plan.speaker.addresses,
                maximum_paths=MAXIMUM_PATHS,
                restarting=restarting,
                preserved_families=FAMILIES if bgp.graceful_restart and self._configuration.kernel.export else (),
                selection_deferral_time=float(bgp.restart_time),
                history=bgp.history,
                next_hop_cost=self._next_hops.tracker.cost if self._next_hops is not None else same_cost,
                bmp_stations=tuple(bmp_station(station, self._name) for station in self._configuration.bmp),
            ),
            make_peer=self._mrt.make_peer,
        )
        self._speaker = speaker
        if self._next_hops is not None:
            self._next_hops.tracker.attach(speaker)
        self._set_policies(speaker, plan)
        self._programmer.attach(speaker, restarting=True)
        speaker.on_change(self._programmer.on_changes)
        self._plan = None
        for prefix, label in self._learner.announced.items():
            self._announce_learned(prefix, label)
        self._apply(plan)
        if not restarting:
            self._on_restart_complete()
        speaker.on_restart_complete(self._on_restart_complete)
        await speaker.start()
        self._keep_down(speaker)

    async def _stop_speaker(self, *, communication: str = "", graceful: bool) -> None:
        speaker, self._speaker = self._speaker, None
        self._programmer.detach()
        if self._next_hops is not None:
            self._next_hops.tracker.close()
        if speaker is not None:
            await speaker.stop(communication=communication, graceful=graceful)

    async def _end_sessions(self) -> None:
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        await self._stop_speaker(graceful=self._configuration.bgp.shutdown == "graceful")

    def _set_policies(self, speaker: Speaker, plan: NodePlan) -> None:
        """Declare all policies; what means the same as before is not asked again."""
        speaker.set_policies(*declared(plan))

    def _on_restart_complete(self) -> None:
        self._restarting = False
        self._programmer.finish_restart(self._fib.finish_restart)

    # What is wanted changes.

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        self._snapshot = snapshot
        if self._first_snapshot is not None and not self._first_snapshot.done():
            self._first_snapshot.set_result(snapshot)
            return
        try:
            plan = plan_node(snapshot, self._configuration)
        except (PlanError, LocalError, ValueError) as error:
            log.error("cluster_state_refused", error=str(error))  # noqa: TRY400 - a fault of the data, not of ours
            return
        self._follow(plan)

    def _follow(self, plan: NodePlan) -> None:
        """Apply a plan now, or as soon as the speaker that it needs runs; the latest plan wins."""
        self._wanted = plan
        if self._replacing is not None or self._plan is None:
            return
        if self._plan.speaker == plan.speaker:
            self._apply(plan)
        else:
            self._replacing = asyncio.create_task(self._replace_speaker())

    async def _replace_speaker(self) -> None:
        """AS number, router id or port changed: a new speaker takes over, and the routes stay meanwhile."""
        failure = ""
        while self._wanted is not None and (self._plan is None or self._plan.speaker != self._wanted.speaker):
            key = self._wanted.speaker
            if not failure:
                log.info("speaker_replaced", local_as=key.local_as, router_id=key.router_id, listen=key.listen)
            await self._stop_speaker(communication="configuration changed", graceful=True)
            try:
                await self._start_speaker(self._wanted, restarting=self._configuration.bgp.graceful_restart)
            except (OSError, LocalError) as error:
                if str(error) != failure:
                    log.error("speaker_failed", error=str(error), retry_seconds=SPEAKER_RETRY_SECONDS)  # noqa: TRY400
                failure = str(error)
                self._plan = None
                await asyncio.sleep(SPEAKER_RETRY_SECONDS)
        self._replacing = None
        if self._wanted is not None:
            self._apply(self._wanted)

    def _apply(self, plan: NodePlan) -> None:
        """Bring everything to a plan, new announcements before the withdrawal of old ones; waits for nothing."""
        before, self._plan = self._plan, plan
        if before == plan or self._speaker is None:
            return
        old = before.announcements if before is not None else frozenset()
        self._learner.set_rules(frozenset(pool.cidr for pool in plan.pools), plan.ignored_interfaces)
        self._learner.set_policy(plan.policies.kernel_import)
        self._programmer.set_policy(plan.policies.kernel_export or ACCEPT_ALL)
        self._programmer.set_context(self._context(plan))
        if before is None or before.aggregates != plan.aggregates:
            self._speaker.set_aggregates(plan.aggregates)
        for prefix, label in sorted(plan.announcements - old):
            self._speaker.announce(prefix, preference=PREFERENCES[label], label=label)
        if before is not None and (before.export, before.policies) != (plan.export, plan.policies):
            self._set_policies(self._speaker, plan)
        for prefix, label in sorted(old - plan.announcements):
            self._speaker.withdraw(prefix, label=label)
        if before is None or before.neighbors != plan.neighbors:
            self._configure_peers(self._speaker, plan)
        self._tunnel.set_wish(plan.tunnel)
        if before is not None and before.tunnel_address_key != plan.tunnel_address_key:
            if self._renewing is not None:
                self._renewing.cancel()
            self._renewing = self._spawn(self._renew_tunnel_address())

    def _configure_peers(self, speaker: Speaker, plan: NodePlan) -> None:
        """Declare the peers; what an operator shut down stays so, also as a new object."""
        speaker.configure(plan.peers)
        speaker.configure_dynamic(plan.dynamic)
        speaker.configure_links(plan.links)
        for name in self.disabled.keys() - speaker.peers().keys():
            del self.disabled[name]
        self._keep_down(speaker)

    def _keep_down(self, speaker: Speaker) -> None:
        for name, message in self.disabled.items():
            speaker.shut_down_peer(name, message)

    def _context(self, plan: NodePlan) -> PlanContext:
        return PlanContext(
            pools=plan.pools,
            own_networks=plan.own_networks,
            own_addresses=plan.own_addresses,
            own_blocks=plan.own_blocks,
            accept_default_route=self._configuration.kernel.accept_default_route,
            tunnel_device=self._tunnel_device,
            resolve=self._resolver or unresolved,
        )

    def _replan(self) -> None:
        if self._plan is not None:
            self._programmer.set_context(self._context(self._plan))

    def _on_tunnel(self, available: bool) -> None:
        self._tunnel_device = DEVICE if available else None
        self._replan()

    async def _renew_tunnel_address(self) -> None:
        """Pools or the own node changed: the address may be another now (spec section 2.8)."""

        def renew() -> Node:
            with self._open_store() as store:
                return ensure_ipip_tunnel_address(store, Allocator(store), self._name)

        while True:
            try:
                await self._in_worker(renew)
            except (DatastoreError, IpamError) as error:
                log.warning("tunnel_address_failed", error=str(error), retry_seconds=TUNNEL_ADDRESS_RETRY_SECONDS)
                await asyncio.sleep(TUNNEL_ADDRESS_RETRY_SECONDS)
            else:
                return

    def _on_validation(self, concerned: Callable[[Family, Sequence[bytes]], list[bytes]]) -> None:
        if self._speaker is not None:
            self._speaker.judge_again(concerned)

    # The kernel.

    def _on_kernel_events(self, events: Sequence[KernelEvent]) -> None:
        self._tunnel.on_events(events)
        for event in events:
            if isinstance(event, AddressEvent):
                self._addresses_changed.set()
            elif isinstance(event, Resync):
                log.warning("kernel_events_lost", reason=event.reason)

    def _learned_elsewhere(self, settings: KernelSettings) -> KernelRoutes:
        return KernelRoutes(
            self._kernel,
            self._on_kernel_routes,
            resync_interval=settings.resync_interval,
            table=settings.learn_table,
            own_protocol=own_protocol(settings, settings.learn_table),
            protocols=frozenset(settings.learn_protocols),
        )

    def _on_kernel_routes(self, best: Mapping[str, KernelRoute | None]) -> None:
        if self._configuration.kernel.learn:
            self._learner.on_change(best)

    def _announce_learned(self, prefix: str, label: str) -> None:
        if self._speaker is not None:
            self._speaker.announce(prefix, preference=KERNEL_PREFERENCE, label=label)

    def _withdraw_learned(self, prefix: str, label: str) -> None:
        if self._speaker is not None:
            self._speaker.withdraw(prefix, label=label)

    def _on_way_changed(self) -> None:
        if self._resolver is None:
            self._resolver = self._kernel_routes.resolver
        elif self._way_timer is None:
            loop = asyncio.get_running_loop()
            self._way_timer = loop.call_later(WAY_CHANGE_SECONDS, self._renew_ways)

    def _renew_ways(self) -> None:
        self._way_timer = None
        resolver = self._kernel_routes.resolver
        if self._resolver is None or self._resolver.differs_from(resolver):
            self._resolver = resolver
            self._replan()

    async def _watch_addresses(self) -> None:
        """Detect the node's address again when an address came or went, and now and then (spec section 5)."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._configuration.node.autodetect_poll_interval or None):
                    await self._addresses_changed.wait()
            self._addresses_changed.clear()
            await self._detect_again()

    async def _detect_again(self) -> None:
        def save(around: Surroundings) -> Node:
            with self._open_store() as store:
                return save_node(store, self._name, self._configuration, around)

        try:
            await self._in_worker(save, await self._surroundings())
        except (StartupError, DatastoreError, KernelError) as error:
            log.warning("address_detection_failed", error=str(error))

    # Around all of it.

    def status(self) -> dict[str, Any]:
        """Return the document that `pybgp-node status` shows."""
        plan, speaker = self._plan, self._speaker
        node = {
            "node": self._name,
            "process": os.getpid(),
            "started": self._started,
            "local_as": plan.speaker.local_as if plan is not None else None,
            "router_id": plan.speaker.router_id if plan is not None else None,
            "restarting": self._restarting,
            "datastore": self._url,
            "routes": len(self._fib.wanted),
            "route_problems": [str(error) for error in self._fib.problems.values()],
            "tunnel_device": self._tunnel_device,
            "rpki": self._validation.status(),
        }
        peers = speaker.peers() if speaker is not None else {}
        return status_document(node, peers, plan.peers if plan is not None else {})

    def explain(self, prefix: str) -> dict[str, Any]:
        """Return the document that `pybgp-node explain` shows; one error for what cannot be explained."""
        if self._speaker is None:
            return {"error": "the speaker is not running"}
        try:
            explanation = self._speaker.explain(prefix if "/" in prefix else most_specific(self._speaker, prefix))
        except LocalError as error:
            return {"error": str(error)}
        destination = format_prefix(explanation.family, explanation.key)
        fib = self._fib
        problem = str(fib.problems.get(destination, ""))
        return explain_document(explanation, fib.wanted.get(destination), fib.present.get(destination), problem)

    def _open_configured_store(self) -> AbstractContextManager[Datastore]:
        """Return a handle of its own for whoever asks; a store in memory is one for all."""
        if self._url != MEMORY:
            return open_datastore(self._url or "")
        if self._memory_store is None:
            self._memory_store = open_datastore(MEMORY)
        return contextlib.nullcontext(self._memory_store)

    async def _in_worker(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:  # Any: asyncio's own type is a generic of three
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def declared(plan: NodePlan) -> tuple[Policy, Policy, dict[str, PeerPolicies]]:
    """Return the policies for all peers, and those of some by name."""
    policies = plan.policies
    peers = {
        name: own._replace(export_policy=export_policy(plan, own.export_policy) if own.export_policy else None)
        for name, own in policies.peers.items()
    }
    return policies.import_policy or ACCEPT_ALL, export_policy(plan, policies.export_policy), peers


def export_policy(plan: NodePlan, configured: Policy | None) -> Policy:
    """Return what judges exports: on a Calico node its own rules come first and cannot be lifted."""
    if plan.export is not None:
        rules = CalicoExportPolicy(plan.export)
        return rules if configured is None else InOrder(rules, configured)
    return configured or RouterExportPolicy(transit=plan.policies.transit)


def most_specific(speaker: Speaker, address: str) -> str:
    """Return the selected prefix that leads to an address; LocalError if there is none, or it is no address."""
    family, keys = covering(address)
    best = speaker.best(family)
    found = next((key for key in keys if key in best), None)
    if found is None:
        raise LocalError(f"address {address}: no prefix that contains it is selected")
    return format_prefix(family, found)


def _call_soon(action: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(action)


def own_protocol(settings: KernelSettings, table: int) -> int:
    """Return the protocol number that our routes have in a table; one that no route has where we write none."""
    return settings.protocol if table == settings.table else -1


def _ignore_routes(best: Mapping[str, KernelRoute | None]) -> None:
    """These are for finding next hops only."""
    del best


def bmp_station(settings: BmpSettings, name: str) -> BmpConfig:
    """Return a monitoring station as the library wants it; it is told our name."""
    return BmpConfig(
        settings.host,
        settings.port,
        system_name=name or "pybgp",
        system_description="pybgp-node",
        adj_rib_in=settings.adj_rib_in,
        loc_rib=settings.loc_rib,
        statistics_interval=settings.statistics_interval,
    )


def _log_warnings(configuration: Configuration) -> None:
    for warning in configuration.warnings:
        log.warning("configuration_warning", warning=str(warning))


def _log_route_problems(problems: Sequence[KernelError]) -> None:
    log.error("routes_refused", count=len(problems), first=str(problems[0]))


def tune_garbage_collection() -> None:
    """Many long-lived small objects: collect seldom, never many at once, and never look at what start-up made.

    The second number is small because a collection of the middle generation looks at all that came since the last one:
    with 20, two million new objects of a reload over a million routes held the loop up for 1.4 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 1, 5_000)
