"""How fast routes get into the kernel: `python -m tests.benchmarks.bench_kernel_routes [ROUTES]`, as root.

Our encoder against `ip -batch` and pyroute2, in one run and one namespace; pyroute2 gets 2000 routes, it is slow.
The exit status is 1 where ours does not add and delete ten times as many routes per second as pyroute2.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import AsyncIPRoute

from calico_routing.fib import FibSync
from calico_routing.kernel.interface import ADD, DELETE, KernelRoute, NextHop, Operation
from calico_routing.kernel.netlink import NetlinkClient
from calico_routing.kernel.netlink_kernel import NetlinkKernel
from tests.namespaces.isolation import private_namespace, stand_in_tunnel

HOPS = (NextHop("10.0.0.12", "tunl0", onlink=True),)
DEFAULT_ROUTES = 100_000
PYROUTE2_SAMPLE = 2000
RATIO_GOAL = 10


def make_routes(count: int) -> list[KernelRoute]:
    numbers = range(16 << 20, (16 << 20) + count * 64, 64)
    return [
        KernelRoute(f"{10 + (one >> 24)}.{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}/26", next_hops=HOPS)
        for one in numbers
    ]


class Table:
    """Routes per second by job and way."""

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, float]] = {}

    @contextmanager
    def clock(self, job: str, way: str, count: int) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.rates.setdefault(job, {})[way] = count / (time.perf_counter() - started)

    def show(self) -> None:
        for job, rates in self.rates.items():
            for way, rate in sorted(rates.items(), key=lambda entry: -entry[1]):
                print(f"{job:8} {way:22} {rate:10,.0f} routes/s   {rate / rates['pyroute2']:7.1f} x pyroute2")

    def is_goal_met(self) -> bool:
        jobs = [self.rates[job] for job in ("add", "delete")]
        return all(rates["ours"] >= RATIO_GOAL * rates["pyroute2"] for rates in jobs)


async def measure_ours(table: Table, routes: list[KernelRoute]) -> None:
    kernel = NetlinkKernel()
    await kernel.open()
    with table.clock("add", "ours", len(routes)):
        await kernel.apply([Operation(ADD, one) for one in routes])
    with table.clock("dump", "ours", len(routes)):
        await kernel.routes(protocol=12)
    with table.clock("delete", "ours", len(routes)):
        await kernel.apply([Operation(DELETE, one) for one in routes])
    fib = FibSync(kernel)
    await fib.start()
    with table.clock("add", "ours, through the FIB", len(routes)):
        fib.update({one.destination: one for one in routes})
        await kernel.apply([])
    fib.replace_all({})
    await kernel.apply([])
    await fib.stop()
    await kernel.close()


def measure_ip(table: Table, routes: list[KernelRoute]) -> None:
    for verb in ("add", "delete"):
        lines = "".join(f"route {verb} {one.destination} via 10.0.0.12 dev tunl0 proto bird onlink\n" for one in routes)
        with table.clock(verb, "ip -batch", len(routes)):
            subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
        if verb == "add":
            with table.clock("dump", "ip -json route", len(routes)):
                show = ["ip", "-json", "route", "show", "proto", "bird"]
                subprocess.run(show, check=True, stdout=subprocess.DEVNULL)


async def measure_pyroute2(table: Table, routes: list[KernelRoute]) -> None:
    sample = routes[:PYROUTE2_SAMPLE]
    with NetlinkClient() as client:
        link = client.link("tunl0")
    assert link is not None
    way = {"gateway": "10.0.0.12", "oif": link.ifindex, "flags": ["onlink"], "proto": 12}
    async with AsyncIPRoute() as rtnetlink:
        with table.clock("add", "pyroute2", len(sample)):
            for one in sample:
                await rtnetlink.route("add", dst=one.destination, **way)
        with table.clock("dump", "pyroute2", len(sample)):
            async for _ in await rtnetlink.route("dump", family=2, table=254):
                pass
        with table.clock("delete", "pyroute2", len(sample)):
            for one in sample:
                await rtnetlink.route("del", dst=one.destination, **way)


async def measure_one_change() -> None:
    """From FibSync.update to the answer of the kernel, which is within the call."""
    kernel = NetlinkKernel()
    await kernel.open()
    fib = FibSync(kernel)
    await fib.start()
    samples = []
    for route in make_routes(2000):
        started = time.perf_counter()
        fib.update({route.destination: route})
        samples.append(time.perf_counter() - started)
    samples.sort()
    print(f"one change in the RIB turn: p50 {samples[1000] * 1e6:.0f} us, p99 {samples[1980] * 1e6:.0f} us")
    fib.replace_all({})
    await kernel.apply([])
    await fib.stop()
    await kernel.close()


def main() -> int:
    if os.geteuid() != 0:
        print("needs root: network namespaces")
        return 0
    table = Table()
    routes = make_routes(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ROUTES)
    with private_namespace():
        stand_in_tunnel()
        asyncio.run(measure_one_change())
        asyncio.run(measure_ours(table, routes))
        measure_ip(table, routes)
        asyncio.run(measure_pyroute2(table, routes))
    table.show()
    return int(not table.is_goal_met())


if __name__ == "__main__":
    sys.exit(main())
