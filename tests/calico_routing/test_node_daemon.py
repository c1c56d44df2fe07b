"""The whole agent, several times in one process: real sessions over loopback, kernels and store in memory."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calico_routing.configuration import Configuration, parse_configuration
from calico_routing.datastore.interface import Datastore, DatastoreError
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.tunnel_address import ensure_ipip_tunnel_address
from calico_routing.kernel.interface import KernelRoute, NextHop, TunnelUnavailableError
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.listen_check import ListenError
from calico_routing.model.resources import BGPConfiguration, IPPool, Node
from calico_routing.node_daemon import NodeDaemon
from calico_routing.node_kernel import PERMISSION_PROBE
from calico_routing.startup import IdentityError
from pybgp.wire.families import IPV4_UNICAST

from .clusters import affinity, bgp_peer, configuration, node, pool

LIMIT_SECONDS = 15
POOL = "192.168.0.0/16"
BLOCK_A, BLOCK_B, BLOCK_C = "192.168.1.0/26", "192.168.2.0/26", "192.168.3.0/26"
CLONE_NEWNET = 0x40000000
MOVED = "10.99.0.77"
ADDRESSES = {"a": "10.99.0.1", "b": "10.99.0.2", "c": "10.99.0.3"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def through_tunnel(block: str, gateway: str) -> KernelRoute:
    return KernelRoute(block, next_hops=(NextHop(gateway, "tunl0", onlink=True),))


def plain(block: str, gateway: str) -> KernelRoute:
    return KernelRoute(block, next_hops=(NextHop(gateway, "lan"),))


class TestCluster:
    """Nodes over one store; each node has a kernel of its own that outlives its agent."""

    __test__ = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = MemoryDatastore()
        self.kernels: dict[str, MemoryKernel] = {}
        self.daemons: dict[str, NodeDaemon] = {}
        self.port = free_port()
        self.store.create(configuration(bind_mode="NodeIP", listen_port=self.port))
        self.store.create(pool("pool", POOL, ipip_mode="Always"))

    def kernel(self, name: str, **options: Any) -> MemoryKernel:
        if name not in self.kernels:
            kernel = self.kernels[name] = MemoryKernel(**options)
            kernel.add_link("lan", address=f"{ADDRESSES.get(name, '10.99.0.9')}/24")
            connected = KernelRoute("10.99.0.0/24", next_hops=(NextHop(None, "lan"),), protocol=2, scope=253)
            kernel.foreign_add(connected)
        return self.kernels[name]

    def configuration(self, name: str, **settings: str) -> Configuration:
        text = f"""
[node]
name = "{name}"
nodename_file = "{self.directory / name}.nodename"
ip = "{ADDRESSES.get(name, "10.99.0.9")}/24"
[bgp]
graceful_restart = {settings.get("graceful_restart", "true")}
shutdown = "{settings.get("shutdown", "graceful")}"
[control]
socket = "{self.directory / name}.sock"
"""
        return parse_configuration(text, "node.toml", {})

    async def start(self, name: str, **settings: str) -> NodeDaemon:
        daemon = NodeDaemon(
            self.configuration(name, **settings),
            kernel=self.kernel(name),
            open_store=lambda: contextlib.nullcontext(self.store),
        )
        self.daemons[name] = daemon
        try:
            await daemon.start()
        except BaseException:
            del self.daemons[name]
            await daemon.close()
            raise
        return daemon

    async def stop(self, name: str) -> None:
        await self.daemons.pop(name).close()

    def claim(self, name: str, block: str, state: str = "confirmed") -> None:
        self.store.create(affinity(name, block, state))

    def set_state(self, name: str, block: str, state: str) -> None:
        found = self.store.get(type(affinity(name, block)), affinity(name, block).name)
        self.store.update(found.replace(state=state))

    def change(self, kind: type[Any], name: str, **changes: Any) -> None:
        self.store.update(self.store.get(kind, name).replace(**changes))

    async def routes(self, name: str, expected: dict[str, KernelRoute | None]) -> None:
        kernel = self.kernels[name]

        def right() -> bool:
            table = kernel.table()
            return all(table.get(destination) == route for destination, route in expected.items())

        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await kernel.until(right)
        except TimeoutError:
            pytest.fail(f"{name}: {kernel.table()} instead of {expected}")

    async def established(self, name: str, *peers: str) -> dict[str, dict[str, Any]]:
        def found() -> dict[str, dict[str, Any]]:
            return {peer["name"]: peer for peer in self.daemons[name].status()["peers"]}

        def right() -> bool:
            return found().keys() == set(peers) and all(peer["state"] == "Established" for peer in found().values())

        await self.until(right)
        return found()

    async def until(self, condition: Callable[[], bool]) -> None:
        """For what no event tells."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():  # noqa: ASYNC110 - the daemon's status tells no events
                await asyncio.sleep(0.01)


Body = Callable[[TestCluster], Awaitable[None]]


def in_cluster(tmp_path: Path, body: Body) -> None:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[TestCluster]:
        cluster = TestCluster(tmp_path)
        try:
            yield cluster
        finally:
            for name in list(cluster.daemons):
                await cluster.stop(name)

    async def run() -> None:
        async with opened() as cluster:
            await body(cluster)

    in_own_network(run)


def in_own_network(run: Callable[[], Awaitable[None]]) -> None:
    """Run a loop in a thread with a network of its own: next hops in 127.0.0.0/8 are refused, so lo gets real ones."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                pytest.skip(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
            for command in (
                "link set lo up",
                *(f"address add {one}/24 dev lo" for one in (*ADDRESSES.values(), MOVED)),
            ):
                subprocess.run(["ip", *command.split()], check=True)
            asyncio.run(run())  # type: ignore[arg-type]
        except BaseException as failure:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure


def test_blocks_of_the_mesh_and_every_life_of_a_block(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("a", {BLOCK_A: KernelRoute(BLOCK_A, "blackhole")})
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        cluster.claim("b", BLOCK_B, "pending")
        cluster.claim("b", BLOCK_C, "")
        await cluster.routes("a", {BLOCK_C: through_tunnel(BLOCK_C, ADDRESSES["b"]), BLOCK_B: None})
        assert BLOCK_B not in cluster.kernels["b"].table(), "no blackhole for a block that is only pending"
        cluster.set_state("b", BLOCK_B, "confirmed")
        await cluster.routes("a", {BLOCK_B: through_tunnel(BLOCK_B, ADDRESSES["b"])})
        cluster.set_state("b", BLOCK_B, "pendingDeletion")
        await cluster.routes("a", {BLOCK_B: None})
        assert cluster.kernels["b"].table()[BLOCK_B].kind == "blackhole"
        cluster.store.delete(cluster.store.get(type(affinity("b", BLOCK_B)), affinity("b", BLOCK_B).name))
        await cluster.routes("b", {BLOCK_B: None})
        cluster.store.delete(cluster.store.get(type(affinity("b", BLOCK_C)), affinity("b", BLOCK_C).name))
        await cluster.routes("a", {BLOCK_C: None})

    in_cluster(tmp_path, body)


def test_pool_modes_flip_live(tmp_path: Path) -> None:
    """A1: without touching the sessions."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        tunnelled, direct = through_tunnel(BLOCK_A, ADDRESSES["a"]), plain(BLOCK_A, ADDRESSES["a"])
        for mode, route in (("Never", direct), ("Always", tunnelled), ("CrossSubnet", direct), ("Always", tunnelled)):
            cluster.change(IPPool, "pool", ipip_mode=mode)
            await cluster.routes("b", {BLOCK_A: route})
        (peer,) = cluster.daemons["b"].status()["peers"]
        assert peer["established_count"] == 1

    in_cluster(tmp_path, body)


def test_the_tunnel_follows_the_pools(tmp_path: Path) -> None:
    """A3: one address while a pool wants it, none otherwise."""

    async def tunnel_addresses(cluster: TestCluster, count: int) -> list[str]:
        async with asyncio.timeout(LIMIT_SECONDS):
            found = [""] * (count + 1)
            while len(found) != count:
                await asyncio.sleep(0.01)
                addresses = await cluster.kernels["a"].addresses()
                found = [one.address for one in addresses if one.label == "tunl0"]
        return found

    async def body(cluster: TestCluster) -> None:
        await cluster.start("a")
        (first,) = await tunnel_addresses(cluster, 1)
        link = next(one for one in await cluster.kernels["a"].links() if one.name == "tunl0")
        assert (link.mtu, link.up) == (1440, True)
        assert first == cluster.store.get(Node, "a").ipv4_ipip_tunnel_address + "/32"
        cluster.change(IPPool, "pool", ipip_mode="Never")
        await tunnel_addresses(cluster, 0)
        assert cluster.store.get(Node, "a").ipv4_ipip_tunnel_address == ""
        cluster.change(IPPool, "pool", ipip_mode="CrossSubnet")
        await tunnel_addresses(cluster, 1)

    in_cluster(tmp_path, body)


def test_a_tunnel_address_that_is_not_to_be_had_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No free address, or a store that is locked, at the moment in which a pool begins to want a tunnel."""
    refusals: list[Exception] = [IpamError("no address for node a: pools are full"), DatastoreError("locked")]
    monkeypatch.setattr("calico_routing.node_store.TUNNEL_ADDRESS_RETRY_SECONDS", 0.01)

    async def body(cluster: TestCluster) -> None:
        cluster.change(IPPool, "pool", ipip_mode="Never")
        await cluster.start("a")

        def reluctant(*arguments: Any) -> Node:
            if refusals:
                raise refusals.pop()
            return ensure_ipip_tunnel_address(*arguments)

        monkeypatch.setattr("calico_routing.node_store.ensure_ipip_tunnel_address", reluctant)
        cluster.change(IPPool, "pool", ipip_mode="Always")
        await cluster.until(lambda: cluster.store.get(Node, "a").ipv4_ipip_tunnel_address != "")
        assert not refusals

    in_cluster(tmp_path, body)


def test_learned_routes_are_announced_and_own_ones_stay_at_home(tmp_path: Path) -> None:
    """A borrowed /32 and a foreign blackhole leave; pods inside the own block do not (spec section 4.6)."""
    borrowed, inside, outside = "192.168.2.9/32", "192.168.1.5/32", "172.16.0.0/24"

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        kernel = cluster.kernels["a"]
        kernel.add_link("cali1")
        for destination in (inside, borrowed):
            kernel.foreign_add(KernelRoute(destination, next_hops=(NextHop(None, "cali1"),), protocol=3, scope=253))
        kernel.foreign_add(KernelRoute(outside, "blackhole", protocol=4))
        kernel.foreign_add(KernelRoute(BLOCK_C, "blackhole", protocol=4))
        await cluster.routes(
            "b",
            {
                borrowed: through_tunnel(borrowed, ADDRESSES["a"]),
                BLOCK_C: through_tunnel(BLOCK_C, ADDRESSES["a"]),
                inside: None,
                outside: None,
            },
        )
        kernel.foreign_delete(borrowed)
        kernel.foreign_delete(BLOCK_C)
        await cluster.routes("b", {borrowed: None, BLOCK_C: None})

    in_cluster(tmp_path, body)


def test_a_borrowed_address_whose_device_is_gone_is_withdrawn(tmp_path: Path) -> None:
    """The kernel tells of the device only: IPv4 routes vanish with it without an event (fib_flush)."""

    async def body(cluster: TestCluster) -> None:
        await cluster.start("a")
        await cluster.start("b")
        kernel = cluster.kernels["a"]
        kernel.add_link("cali1")
        borrowed = "192.168.2.9/32"
        kernel.foreign_add(KernelRoute(borrowed, next_hops=(NextHop(None, "cali1"),), protocol=3, scope=253))
        await cluster.routes("b", {borrowed: through_tunnel(borrowed, ADDRESSES["a"])})
        kernel.set_link("cali1", up=False)
        await cluster.routes("b", {borrowed: None})

    in_cluster(tmp_path, body)


def test_routes_that_were_there_before_the_agent_are_learned(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        kernel = cluster.kernel("a")
        kernel.add_link("cali1")
        borrowed = "192.168.2.9/32"
        kernel.foreign_add(KernelRoute(borrowed, next_hops=(NextHop(None, "cali1"),), protocol=3, scope=253))
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {borrowed: through_tunnel(borrowed, ADDRESSES["a"])})
        cluster.change(BGPConfiguration, "default", as_number=64777)
        await cluster.until(lambda: cluster.daemons["a"].status()["local_as"] == 64777)
        await cluster.established("b", "Mesh_10_99_0_1")
        await cluster.routes("b", {borrowed: through_tunnel(borrowed, ADDRESSES["a"])})

    in_cluster(tmp_path, body)


def test_lost_kernel_events_are_made_up_for(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        await cluster.start("a")
        await cluster.start("b")
        await cluster.established("b", "Mesh_10_99_0_1")
        unheard = KernelRoute(BLOCK_C, "blackhole", protocol=4)
        kernel = cluster.kernels["a"]
        subscribers, kernel._subscribers = kernel._subscribers, []
        kernel.foreign_add(unheard)
        kernel._subscribers = subscribers
        kernel.lose_events()
        await cluster.routes("b", {BLOCK_C: through_tunnel(BLOCK_C, ADDRESSES["a"])})

    in_cluster(tmp_path, body)


def test_a_detected_address_is_detected_again(tmp_path: Path) -> None:
    """D3: `autodetect` follows a change."""

    async def body(cluster: TestCluster) -> None:
        settings = cluster.configuration("a")
        node_settings = replace(
            settings.node, ip="autodetect", ip_autodetection_method="interface=lan,eth9", autodetect_poll_interval=0.05
        )
        daemon = NodeDaemon(
            replace(settings, node=node_settings),
            kernel=cluster.kernel("a"),
            open_store=lambda: contextlib.nullcontext(cluster.store),
        )
        cluster.daemons["a"] = daemon
        await daemon.start()
        assert daemon.status()["router_id"] == ADDRESSES["a"]
        cluster.kernels["a"].add_link("eth9", address=f"{MOVED}/24")
        await cluster.until(lambda: daemon.status()["router_id"] == MOVED)
        assert cluster.store.get(Node, "a").ipv4_address == f"{MOVED}/24"

    in_cluster(tmp_path, body)


def test_waiting_for_the_datastore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.node_store.DATASTORE_RETRY_SECONDS", 0.01)
    failures = 3

    async def body(cluster: TestCluster) -> None:
        def unsteady() -> contextlib.AbstractContextManager[Datastore]:
            nonlocal failures
            if failures:
                failures -= 1
                raise DatastoreError("not there yet")
            return contextlib.nullcontext(cluster.store)

        settings = cluster.configuration("a")
        impatient = NodeDaemon(settings, kernel=cluster.kernel("a"), open_store=unsteady)
        with pytest.raises(DatastoreError, match="not there yet"):
            await impatient.start()
        await impatient.close()
        patient = replace(settings, datastore=replace(settings.datastore, wait=True))
        cluster.daemons["a"] = NodeDaemon(patient, kernel=cluster.kernel("a"), open_store=unsteady)
        await cluster.daemons["a"].start()
        assert failures == 0

    in_cluster(tmp_path, body)


def test_a_learned_route_yields_to_bgp(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        for name in ("a", "b", "c"):
            await cluster.start(name)
        cluster.claim("a", BLOCK_A)
        await cluster.routes("c", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        cluster.kernels["b"].foreign_add(KernelRoute(BLOCK_A, "blackhole", protocol=4, metric=5))
        cluster.claim("b", BLOCK_B)
        await cluster.routes("c", {BLOCK_B: through_tunnel(BLOCK_B, ADDRESSES["b"])})
        assert cluster.kernels["c"].table()[BLOCK_A] == through_tunnel(BLOCK_A, ADDRESSES["a"])

    in_cluster(tmp_path, body)


def test_nodes_come_and_go_without_disturbing_others(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.claim("c", BLOCK_C)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.established("a", "Mesh_10_99_0_2")
        await cluster.start("c")
        await cluster.established("a", "Mesh_10_99_0_2", "Mesh_10_99_0_3")
        await cluster.routes("a", {BLOCK_C: through_tunnel(BLOCK_C, ADDRESSES["c"])})
        await cluster.stop("c")
        cluster.store.delete(cluster.store.get(Node, "c"))
        await cluster.routes("a", {BLOCK_C: None})
        found = await cluster.established("a", "Mesh_10_99_0_2")
        assert found["Mesh_10_99_0_2"]["established_count"] == 1

    in_cluster(tmp_path, body)


def test_an_as_number_change_moves_everybody_and_no_route(tmp_path: Path) -> None:
    """A7: sessions come back with the new AS."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        await cluster.established("b", "Mesh_10_99_0_1")
        cluster.change(BGPConfiguration, "default", as_number=64777)
        await cluster.until(lambda: cluster.daemons["b"].status()["local_as"] == 64777)
        found = await cluster.established("b", "Mesh_10_99_0_1")
        assert found["Mesh_10_99_0_1"]["remote_as"] == found["Mesh_10_99_0_1"]["local_as"] == 64777
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})

    in_cluster(tmp_path, body)


def test_mesh_off_and_explicit_peers(tmp_path: Path) -> None:
    """A7: without the mesh nothing passes; global and node peers show what they are."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        cluster.change(BGPConfiguration, "default", node_to_node_mesh_enabled=False)
        await cluster.routes("b", {BLOCK_A: None})
        await cluster.until(lambda: cluster.daemons["b"].status()["peers"] == [])
        cluster.store.create(bgp_peer("p", peer_selector="all()"))
        port = cluster.port
        await cluster.established("b", f"Global_10_99_0_1_port_{port}")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        cluster.change(type(bgp_peer("p")), "p", node="b")
        await cluster.established("b", f"Node_10_99_0_1_port_{port}")
        await cluster.established("a", f"Node_10_99_0_2_port_{port}")

    in_cluster(tmp_path, body)


@pytest.mark.parametrize("graceful", ["true", "false"])
def test_a_restart_moves_no_route(tmp_path: Path, graceful: str) -> None:
    """A10: graceful restart; and the control without it, which must show the churn."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        cluster.claim("b", BLOCK_B)
        await cluster.start("a", graceful_restart=graceful)
        await cluster.start("b", graceful_restart=graceful)
        both = {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])}
        await cluster.routes("b", both)
        await cluster.routes("a", {BLOCK_B: through_tunnel(BLOCK_B, ADDRESSES["b"])})
        await cluster.established("b", "Mesh_10_99_0_1")
        before = {name: len(kernel.operations) for name, kernel in cluster.kernels.items()}
        await cluster.stop("a")
        daemon = await cluster.start("a", graceful_restart=graceful)
        assert daemon.status()["restarting"] is (graceful == "true")
        await cluster.established("b", "Mesh_10_99_0_1")
        await cluster.until(lambda: not daemon.status()["restarting"])
        moved = {
            operation.route.destination
            for name, kernel in cluster.kernels.items()
            for operation in kernel.operations[before[name] :]
        } - {PERMISSION_PROBE.destination}
        assert bool(moved) is (graceful == "false"), moved

    in_cluster(tmp_path, body)


def test_the_first_open_says_that_routes_are_kept_and_that_this_is_no_restart(tmp_path: Path) -> None:
    """F in every first OPEN of the process, whatever the kernel held; R only after a restart (spec section 4.6)."""

    async def body(cluster: TestCluster) -> None:
        await cluster.start("a")
        await cluster.start("b")
        await cluster.established("b", "Mesh_10_99_0_1")
        speaker = cluster.daemons["b"]._speaker
        assert speaker is not None
        negotiated = speaker.peers()["Mesh_10_99_0_1"].negotiated
        assert negotiated is not None
        told = negotiated.graceful_restart
        assert told is not None
        assert (told.restart_state, told.restart_time) == (False, 120)
        assert told.families == ((IPV4_UNICAST, True),)

    in_cluster(tmp_path, body)


def test_a_signal_ends_even_the_wait_for_a_datastore(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        tried = asyncio.Event()
        loop = asyncio.get_running_loop()

        def away() -> contextlib.AbstractContextManager[Datastore]:
            loop.call_soon_threadsafe(tried.set)
            raise DatastoreError("not there")

        settings = cluster.configuration("a")
        patient = replace(settings, datastore=replace(settings.datastore, wait=True))
        daemon = NodeDaemon(patient, kernel=cluster.kernel("a"), open_store=away)
        starting = asyncio.create_task(daemon._start_unless_stopped())
        async with asyncio.timeout(LIMIT_SECONDS):
            await tried.wait()
            daemon.stop()
            assert await starting is False
        await daemon.close()

    in_cluster(tmp_path, body)


def test_a_polite_end_withdraws_at_the_peers_and_keeps_the_own_table(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        cluster.claim("b", BLOCK_B)
        await cluster.start("a", shutdown="cease")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        await cluster.routes("a", {BLOCK_B: through_tunnel(BLOCK_B, ADDRESSES["b"])})
        await cluster.stop("a")
        await cluster.routes("b", {BLOCK_A: None})
        assert cluster.kernels["a"].table()[BLOCK_B] == through_tunnel(BLOCK_B, ADDRESSES["b"])

    in_cluster(tmp_path, body)


def test_leftovers_of_an_earlier_life_go_when_the_restart_is_over(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        stale = KernelRoute("192.168.9.0/26", "blackhole")
        cluster.kernel("a").foreign_add(stale)
        foreign = KernelRoute("192.168.8.0/26", "blackhole", protocol=4)
        cluster.kernel("a").foreign_add(foreign)
        await cluster.start("a")
        await cluster.routes("a", {stale.destination: None, foreign.destination: foreign})

    in_cluster(tmp_path, body)


def test_an_own_address_that_changes_moves_the_sessions(tmp_path: Path) -> None:
    """A9."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        cluster.change(Node, "a", ipv4_address="10.99.0.77/24")
        await cluster.established("b", "Mesh_10_99_0_77")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, "10.99.0.77")})

    in_cluster(tmp_path, body)


def test_a_second_node_with_the_same_address_is_refused(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.store.create(node("first", "10.99.0.9/24"))
        with pytest.raises(IdentityError, match=r"10\.99\.0\.9 is already the address of node first"):
            await cluster.start("second")
        assert [one.name for one in cluster.store.list(Node).items] == ["first"]

    in_cluster(tmp_path, body)


def test_a_kernel_without_ipip_ends_the_start_before_anything_is_written(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.kernel("a", has_ipip=False)
        with pytest.raises(TunnelUnavailableError, match="no ipip module"):
            await cluster.start("a")
        assert not cluster.store.list(Node).items
        cluster.change(IPPool, "pool", ipip_mode="Never")
        await cluster.start("a")

    in_cluster(tmp_path, body)


def test_a_port_that_is_taken_at_run_time_is_waited_for(tmp_path: Path) -> None:
    """Whoever moves the cluster to a port that one node cannot have: that node joins as soon as it can."""

    async def body(cluster: TestCluster) -> None:
        cluster.claim("a", BLOCK_A)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})
        with socket.create_server((ADDRESSES["a"], 0)) as taken:
            cluster.change(BGPConfiguration, "default", listen_port=taken.getsockname()[1])
            await cluster.until(lambda: cluster.daemons["a"].status()["local_as"] is None)
        await cluster.established("a", "Mesh_10_99_0_2")
        await cluster.routes("b", {BLOCK_A: through_tunnel(BLOCK_A, ADDRESSES["a"])})

    in_cluster(tmp_path, body)


def test_a_port_that_is_taken_ends_the_start_before_anything_is_written(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        cluster.change(BGPConfiguration, "default", bind_mode="")
        refusal = pytest.raises(ListenError, match=f"port {cluster.port}: another program has it")
        with socket.create_server(("0.0.0.0", cluster.port)), refusal:
            await cluster.start("a")
        assert not cluster.store.list(Node).items

    in_cluster(tmp_path, body)


def test_status_tells_of_the_node(tmp_path: Path) -> None:
    async def body(cluster: TestCluster) -> None:
        daemon = await cluster.start("a")
        status = daemon.status()
        assert (status["node"], status["local_as"], status["router_id"]) == ("a", 64512, ADDRESSES["a"])
        assert status["tunnel_device"] == "tunl0"
        assert status["peers"] == []

    in_cluster(tmp_path, body)


ROUTER = """
[node]
as_number = {local_as}
router_id = "{address}"
[bgp]
listen_port = {port}
listen_addresses = ["{address}"]
networks = {networks}
[control]
socket = "{socket}"
[[peer]]
address = "{peer}"
remote_as = {remote_as}
local_address = "{address}"
port = {port}
"""


def test_two_plain_routers_without_a_datastore(tmp_path: Path) -> None:
    """Static peers, own networks, kernel export; eBGP with the policy that RFC 8212 asks for."""

    async def run() -> None:
        port = free_port()
        daemons, kernels = [], []
        for own, peer, networks in (("10.99.0.1", "10.99.0.2", '["203.0.113.0/24"]'), ("10.99.0.2", "10.99.0.1", "[]")):
            text = ROUTER.format(
                local_as=64600 + int(own[-1]),
                remote_as=64600 + int(peer[-1]),
                address=own,
                peer=peer,
                port=port,
                networks=networks,
                socket=tmp_path / f"{own}.sock",
            )
            kernel = MemoryKernel()
            kernel.add_link("lan", address=f"{own}/24")
            kernel.foreign_add(KernelRoute("10.99.0.0/24", next_hops=(NextHop(None, "lan"),), protocol=2, scope=253))
            daemons.append(NodeDaemon(parse_configuration(text, "node.toml", {}), kernel=kernel))
            kernels.append(kernel)
        try:
            for daemon in daemons:
                await daemon.start()
            async with asyncio.timeout(LIMIT_SECONDS):
                await kernels[1].until(lambda: "203.0.113.0/24" in kernels[1].table())
            assert kernels[1].table()["203.0.113.0/24"] == plain("203.0.113.0/24", "10.99.0.1")
        finally:
            for daemon in daemons:
                await daemon.close()

    in_own_network(run)
