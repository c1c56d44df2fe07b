"""The node agent: wires kernel, datastore, speaker and control socket together, and decides nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from calico_routing.autodetection import detect, parse_method
from calico_routing.cluster_view import ClusterView
from calico_routing.configuration import ConfigurationError, load_regular_file
from calico_routing.control_socket import ControlServer
from calico_routing.daemon_commands import DaemonCommands
from calico_routing.daemon_status import status_document
from calico_routing.datastore.interface import Datastore, DatastoreError
from calico_routing.explain_document import explain_document
from calico_routing.kernel.interface import (
    KernelError,
)
from calico_routing.kernel.netlink_kernel import NetlinkKernel
from calico_routing.kernel_learner import KERNEL_PREFERENCE
from calico_routing.listen_check import check_listen
from calico_routing.mrt_files import MrtFiles
from calico_routing.node_kernel import NodeKernel
from calico_routing.node_plan import PREFERENCES, NodePlan, PlanError, plan_node, plan_router
from calico_routing.node_store import NodeStore
from calico_routing.plan_speaker import declared, speaker_config
from calico_routing.preview_lines import plan_changes, preview_lines
from calico_routing.reload import needs_restart, reloaded, see_kind, with_policies
from calico_routing.route_listing import covering
from calico_routing.rpki_watch import RpkiWatch
from calico_routing.startup import StartupError, node_name
from pybgp.errors import LocalError
from pybgp.transport.speaker import Speaker
from pybgp.wire.nlri import format_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from calico_routing.cluster_snapshot import ClusterSnapshot
    from calico_routing.configuration import Configuration
    from calico_routing.kernel.interface import Kernel
    from pybgp.wire.families import Family

    T = TypeVar("T")

SPEAKER_RETRY_SECONDS: Final = 1.0

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
        self._url = configuration.datastore_url
        self._store = NodeStore(configuration, open_store)
        self._kernel = NodeKernel(
            kernel if kernel is not None else NetlinkKernel(),
            configuration.kernel,
            announce=self._announce_learned,
            withdraw=self._withdraw_learned,
        )
        self._exits = contextlib.AsyncExitStack()
        self._stopping = asyncio.Event()
        self._mrt = MrtFiles(configuration.mrt, lambda: self._speaker)
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
            see_kind(self._configuration, fresh)
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
        load = self._load if not file else partial(load_regular_file, file)
        fresh = self._validation.applied(await asyncio.to_thread(load))
        if not file:
            see_kind(self._configuration, fresh)
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
        await self._kernel.open(self._exits)
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
        self._kernel.close()
        await self._exits.aclose()
        self._store.close()

    # Starting a Calico node.

    async def _start_node(self) -> None:
        configuration = self._configuration
        self._name = node_name(configuration.node)
        around = await self._kernel.surroundings()
        await self._store.prepare(self._name, around, self._kernel.make_tunnel)
        await self._follow_kernel()
        snapshot = await self._follow_cluster()
        plan = plan_node(snapshot, configuration)
        await self._kernel.forward()
        self._exits.push_async_callback(self._kernel.tunnel.stop)
        await self._kernel.tunnel.start(plan.tunnel)
        self._exits.push_async_callback(self._end_sessions)
        await self._start_speaker(plan, restarting=self._restarting)
        self._follow(self._wanted or plan)
        if "autodetect" in {configuration.node.ip, configuration.node.ip6}:
            self._spawn(self._watch_addresses())

    async def _follow_kernel(self) -> None:
        """What an earlier life left in the kernel tells that this is a restart (RFC 4724 section 4.1)."""
        has_inherited = await self._kernel.follow(self._exits)
        self._restarting = self._configuration.bgp.graceful_restart and has_inherited

    async def _follow_cluster(self) -> ClusterSnapshot:
        loop = asyncio.get_running_loop()
        self._first_snapshot = loop.create_future()
        view = ClusterView(self._name, self._store.open, loop, self._on_snapshot)
        view.start()
        self._exits.push_async_callback(asyncio.to_thread, view.stop)
        return await self._first_snapshot

    async def _start_router(self) -> None:
        around = await self._kernel.surroundings()
        found = detect(parse_method("first-found"), 4, around)
        self._router_address = found.address if found is not None else ""
        plan = plan_router(self._configuration, self._router_address)
        check_listen(plan.speaker.listen)
        self._name = self._name or os.uname().nodename
        await self._follow_kernel()
        self._exits.push_async_callback(self._end_sessions)
        await self._start_speaker(plan, restarting=self._restarting)
        self._follow(plan)

    # The speaker.

    async def _start_speaker(self, plan: NodePlan, *, restarting: bool) -> None:
        config = speaker_config(
            plan, self._configuration, self._name, restarting=restarting, next_hop_cost=self._kernel.next_hop_cost
        )
        speaker = Speaker(config, make_peer=self._mrt.make_peer)
        self._speaker = speaker
        self._kernel.track_next_hops(speaker)
        speaker.set_policies(*declared(plan))
        self._kernel.programmer.attach(speaker, restarting=True)
        speaker.on_change(self._kernel.programmer.on_changes)
        self._plan = None
        for prefix, label in self._kernel.learner.announced.items():
            self._announce_learned(prefix, label)
        self._apply(plan)
        self._kernel.learner.finish()
        if not restarting:
            self._on_restart_complete()
        speaker.on_restart_complete(self._on_restart_complete)
        await speaker.start()
        self._keep_down(speaker)

    async def _stop_speaker(self, *, communication: str = "", graceful: bool) -> None:
        speaker, self._speaker = self._speaker, None
        self._kernel.detach()
        if speaker is not None:
            await speaker.stop(communication=communication, graceful=graceful)

    async def _end_sessions(self) -> None:
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        await self._stop_speaker(graceful=self._configuration.bgp.shutdown == "graceful")

    def _on_restart_complete(self) -> None:
        self._restarting = False
        self._kernel.finish_restart()

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
        self._kernel.apply(plan)
        if before is None or before.aggregates != plan.aggregates:
            self._speaker.set_aggregates(plan.aggregates)
        for prefix, label in sorted(plan.announcements - old):
            self._speaker.announce(prefix, preference=PREFERENCES[label], label=label)
        if before is not None and (before.export, before.policies) != (plan.export, plan.policies):
            self._speaker.set_policies(*declared(plan))
        for prefix, label in sorted(old - plan.announcements):
            self._speaker.withdraw(prefix, label=label)
        if before is None or before.neighbors != plan.neighbors:
            self._configure_peers(self._speaker, plan)
        self._kernel.tunnel.set_wish(plan.tunnel)
        if before is not None and before.tunnel_address_key != plan.tunnel_address_key:
            if self._renewing is not None:
                self._renewing.cancel()
            self._renewing = self._spawn(self._store.renew_tunnel_address(self._name))

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

    def _on_validation(self, concerned: Callable[[Family, Sequence[bytes]], list[bytes]]) -> None:
        if self._speaker is not None:
            self._speaker.judge_again(concerned)

    # What the kernel says.

    def _announce_learned(self, prefix: str, label: str) -> None:
        if self._speaker is not None:
            self._speaker.announce(prefix, preference=KERNEL_PREFERENCE, label=label)

    def _withdraw_learned(self, prefix: str, label: str) -> None:
        if self._speaker is not None:
            self._speaker.withdraw(prefix, label=label)

    async def _watch_addresses(self) -> None:
        """Detect the node's address again when an address came or went, and now and then (spec section 5)."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._configuration.node.autodetect_poll_interval or None):
                    await self._kernel.addresses_changed.wait()
            self._kernel.addresses_changed.clear()
            await self._detect_again()

    async def _detect_again(self) -> None:
        try:
            await self._store.save(self._name, self._configuration, await self._kernel.surroundings())
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
            "routes": len(self._kernel.fib.wanted),
            "route_problems": [str(error) for error in self._kernel.fib.problems.values()],
            "tunnel_device": self._kernel.tunnel_device,
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
        fib = self._kernel.fib
        return explain_document(
            explanation,
            fib.wanted.get(destination),
            fib.present.get(destination),
            str(fib.problems.get(destination, "")),
            self._kernel.programmer.explain(explanation.family, explanation.key),
            self._kernel.way_to,
        )

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:  # Any: asyncio's own type is a generic of three
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def most_specific(speaker: Speaker, address: str) -> str:
    """Return the selected prefix that leads to an address; LocalError if there is none, or it is no address."""
    family, keys = covering(address)
    best = speaker.best(family)
    found = next((key for key in keys if key in best), None)
    if found is None:
        raise LocalError(f"address {address}: no prefix that contains it is selected")
    return format_prefix(family, found)


def _log_warnings(configuration: Configuration) -> None:
    for warning in configuration.warnings:
        log.warning("configuration_warning", warning=str(warning))


def tune_garbage_collection() -> None:
    """Many long-lived small objects: collect seldom, never many at once, and never look at what start-up made.

    The second number is small because a collection of the middle generation looks at all that came since the last one:
    with 20, two million new objects of a reload over a million routes held the loop up for 1.4 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 1, 5_000)
