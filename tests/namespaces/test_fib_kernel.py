from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from calico_routing.fib import FibSync
from calico_routing.kernel.interface import KernelEvent, KernelRoute, NextHop, Operation, RouteEvent
from calico_routing.kernel.netlink import NetlinkClient
from calico_routing.kernel.netlink_kernel import NetlinkKernel
from calico_routing.kernel_routes import KernelRoutes
from tests.namespaces.isolation import needs_root, stand_in_tunnel

pytestmark = [pytest.mark.namespaces, needs_root, pytest.mark.usefixtures("own_namespace")]

PEER = (NextHop("10.0.0.12", "tunl0", onlink=True),)
BOTH = (*PEER, NextHop("10.0.0.13", "tunl0", onlink=True))
WANTED = {
    one.destination: one
    for one in (
        KernelRoute("192.168.1.0/26", next_hops=PEER),
        KernelRoute("192.168.2.0/26", next_hops=PEER),
        KernelRoute("192.168.3.0/26", next_hops=BOTH),
        KernelRoute("192.168.9.0/26", "blackhole"),
        KernelRoute("fd00:9::/122", "blackhole", metric=1024),
    )
}
SHOWN = """\
192.168.1.0/26 via 10.0.0.12 dev tunl0 onlink 
192.168.2.0/26 via 10.0.0.12 dev tunl0 onlink 
192.168.3.0/26 
	nexthop via 10.0.0.12 dev tunl0 weight 1 onlink 
	nexthop via 10.0.0.13 dev tunl0 weight 1 onlink 
blackhole 192.168.9.0/26 
"""  # noqa: W291 - as ip prints it


def ip_command(words: str) -> str:
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout


def run(scenario: Callable[[NetlinkKernel, FibSync], Awaitable[None]]) -> None:
    async def main() -> None:
        kernel = NetlinkKernel()
        await kernel.open()
        fib = FibSync(kernel)
        try:
            async with asyncio.timeout(30):
                await scenario(kernel, fib)
        finally:
            await fib.stop()
            await kernel.close()

    asyncio.run(main())


async def repaired(kernel: NetlinkKernel, fib: FibSync) -> None:
    """Wait for the damage to be noticed and mended, and check that it took less than a second."""
    started = time.monotonic()
    while await ours(kernel) != WANTED:
        assert time.monotonic() - started < 1, await ours(kernel)
        await asyncio.sleep(0.005)
    await fib.settled()
    assert sorted(await kernel.routes(protocol=12)) == sorted(WANTED.values())


async def ours(kernel: NetlinkKernel) -> dict[str, KernelRoute]:
    return {one.destination: one for one in await kernel.routes(protocol=12)}


def test_the_routes_look_as_in_the_article() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await fib.start()
        fib.update(WANTED)
        assert ip_command("route show proto bird") == SHOWN

    run(scenario)


DAMAGES = {
    "deleted": "route del 192.168.1.0/26",
    "replaced by a foreign one": "route replace 192.168.1.0/26 via 10.0.0.99 dev tunl0 onlink",
    "changed": "route change 192.168.1.0/26 via 10.0.0.99 dev tunl0 onlink proto bird",
    "made a way": "route change 192.168.9.0/26 via 10.0.0.99 dev tunl0 onlink proto bird",
    "made a hole": "route replace blackhole 192.168.2.0/26",
    "a leg lost": "route replace 192.168.3.0/26 via 10.0.0.12 dev tunl0 onlink proto bird",
    "shadow appended": "route append 192.168.1.0/26 via 10.0.0.99 dev tunl0 onlink proto bird",
    "prepended": "route prepend 192.168.1.0/26 via 10.0.0.99 dev tunl0 onlink proto bird",
    "another metric": "route add 192.168.1.0/26 via 10.0.0.99 dev tunl0 onlink proto bird metric 32",
    "a stranger": "route add 10.99.0.0/16 dev tunl0 proto bird",
    "all flushed": "route flush proto bird",
    "all IPv6 flushed": "-6 route flush proto bird",
    "device down and up": "link set tunl0 down; link set tunl0 up",
    "last address gone": "addr del 192.168.9.0/32 dev tunl0",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_repaired_within_a_second(damage: str) -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await kernel.ensure_tunnel("tunl0", 1440, "192.168.9.0")
        await fib.start()
        fib.finish_restart()
        fib.update(WANTED)
        await fib.settled()
        assert await ours(kernel) == WANTED
        for command in damage.split("; "):
            ip_command(command)
        await repaired(kernel, fib)
        assert [route.protocol for route in await kernel.routes() if route.protocol not in (2, 12)] == []
        assert fib.problems == {}

    run(scenario)


def test_routes_wait_for_their_device_and_come_with_it() -> None:
    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await fib.start()
        fib.update(WANTED)
        assert len(fib.problems) == 3
        stand_in_tunnel()
        await repaired(kernel, fib)
        assert fib.problems == {}

    run(scenario)


def test_a_new_life_takes_the_routes_over_without_one_event() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await fib.start()
        fib.update(WANTED)
        ip_command("route add blackhole 10.77.0.0/16 proto bird")
        await fib.stop()
        witness = NetlinkKernel()
        await witness.open()
        told: list[object] = []
        heard = asyncio.Event()

        def keep(events: Sequence[KernelEvent]) -> None:
            told.extend(
                event for event in events if isinstance(event, RouteEvent) and ":" not in event.route.destination
            )
            if told:
                heard.set()

        witness.subscribe(keep)
        heir = FibSync(kernel)
        await heir.start()
        heir.update(WANTED)
        with NetlinkClient() as other:
            other.add_route(KernelRoute("10.78.0.0/16", "blackhole", protocol=3))
        await heard.wait()
        assert told == [RouteEvent(KernelRoute("10.78.0.0/16", "blackhole", protocol=3))]
        heir.finish_restart()
        await heir.settled()
        assert await ours(kernel) == WANTED
        await heir.stop()
        await witness.close()

    run(scenario)


def test_a_foreign_route_keeps_its_place_until_its_owner_gives_it_up() -> None:
    stand_in_tunnel()

    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await fib.start()
        ip_command("route add unreachable 192.168.1.0/26")
        fib.update(WANTED)
        await fib.settled()
        (problem,) = fib.problems.values()
        assert "another program's route has this destination and metric" in str(problem)
        assert "unreachable 192.168.1.0/26" in ip_command("route show")
        ip_command("route del unreachable 192.168.1.0/26")
        await repaired(kernel, fib)

    run(scenario)


def test_thousands_of_lost_events_are_survived() -> None:
    stand_in_tunnel()

    async def main() -> None:
        kernel = NetlinkKernel(event_buffer=4096)
        await kernel.open()
        fib = FibSync(kernel)
        await fib.start()
        fib.finish_restart()
        fib.update(WANTED)
        with NetlinkClient() as other:
            for number in range(4000):
                other.add_route(KernelRoute(f"10.{number >> 8}.{number & 255}.0/24", "blackhole", protocol=3))
            for route in WANTED.values():
                other.delete_route(route._replace(next_hops=()))
        try:
            await repaired(kernel, fib)
        finally:
            await fib.stop()
            await kernel.close()

    asyncio.run(main())


def test_foreign_routes_are_learnt_and_forgotten_also_when_their_device_goes() -> None:
    """A route on a veth end vanishes with it, and the kernel says nothing of the route."""

    async def main() -> None:
        kernel = NetlinkKernel()
        await kernel.open()
        told: list[Mapping[str, KernelRoute | None]] = []
        heard = asyncio.Event()

        def keep(changes: Mapping[str, KernelRoute | None]) -> None:
            ipv4 = {destination: route for destination, route in changes.items() if ":" not in destination}
            if ipv4:
                told.append(ipv4)
                heard.set()

        async def next_told() -> Mapping[str, KernelRoute | None]:
            async with asyncio.timeout(5):
                while not told:
                    heard.clear()
                    await heard.wait()
            return told.pop(0)

        observer = KernelRoutes(kernel, keep)
        await observer.start()
        try:
            stand_in_tunnel("cali1")
            ip_command("route add 192.168.5.7 dev cali1")
            pod = KernelRoute("192.168.5.7/32", next_hops=(NextHop(None, "cali1"),), protocol=3, scope=253)
            assert await next_told() == {pod.destination: pod}
            ip_command("link del cali1")
            assert await next_told() == {pod.destination: None}
            ip_command("route add blackhole 192.168.9.0/26")
            hole = KernelRoute("192.168.9.0/26", "blackhole", protocol=3)
            assert await next_told() == {hole.destination: hole}
            await kernel.apply([Operation("replace", hole._replace(protocol=12), hole)])
            assert await next_told() == {hole.destination: None}
        finally:
            await observer.stop()
            await kernel.close()

    asyncio.run(main())


@pytest.mark.parametrize(("table", "protocol"), [(100, 186), (70_000, 250), (254, 186)])
def test_any_table_and_protocol(table: int, protocol: int) -> None:
    stand_in_tunnel()
    ip_command(f"route add 192.168.77.0/26 via 10.0.0.12 dev tunl0 onlink table {table} proto {protocol}")
    ip_command(f"route add 192.168.78.0/26 via 10.0.0.12 dev tunl0 onlink table {table} proto 12")

    async def main() -> None:
        kernel = NetlinkKernel()
        await kernel.open()
        fib = FibSync(kernel, table=table, protocol=protocol)
        learned: dict[str, KernelRoute | None] = {}
        routes = KernelRoutes(kernel, learned.update, table=table, own_protocol=protocol, protocols=frozenset({12}))

        async def shown() -> set[str]:
            return {one.destination for one in await kernel.routes(protocol=protocol, table=table)}

        try:
            async with asyncio.timeout(30):
                await fib.start()
                await routes.start()
                fib.update(WANTED)
                fib.finish_restart()
                # What an earlier life left is gone:
                while await shown() != set(WANTED):  # noqa: ASYNC110 - the kernel's table has no event for us
                    await asyncio.sleep(0.005)
                assert "192.168.1.0/26" in ip_command(f"route show table {table} proto {protocol}")
                ip_command(f"route del 192.168.1.0/26 table {table}")
                await fib.settled()
                while await shown() != set(WANTED):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.005)
                assert learned.keys() == {"192.168.78.0/26"}
                ip_command(f"route del 192.168.78.0/26 table {table}")
                while learned["192.168.78.0/26"] is not None:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.005)
        finally:
            await routes.stop()
            await fib.stop()
            await kernel.close()

    asyncio.run(main())


def test_metric_and_source_of_a_route_that_is_there_change() -> None:
    stand_in_tunnel()
    ip_command("address add 10.0.0.200/32 dev lo")
    plain = KernelRoute("192.168.1.0/26", next_hops=PEER)
    key = bytes((26, 192, 168, 1, 0))

    async def scenario(kernel: NetlinkKernel, fib: FibSync) -> None:
        await fib.start()
        fib.update_run(socket.AF_INET, [key], plain)
        fib.update_run(socket.AF_INET, [key], plain._replace(metric=50, preferred_source="10.0.0.200"))
        shown = "192.168.1.0/26 via 10.0.0.12 dev tunl0 src 10.0.0.200 metric 50 onlink \n"
        assert ip_command("route show proto bird") == shown
        fib.update_run(socket.AF_INET, [key], plain._replace(metric=50))
        assert ip_command("route show proto bird") == shown.replace("src 10.0.0.200 ", "")
        fib.update_run(socket.AF_INET, [key], None)
        assert ip_command("route show proto bird") == ""

    run(scenario)
