"""How fast routes get into the kernel: `python -m tests.benchmarks.bench_kernel_routes [ROUTES]`, as root.

Our encoder against BIRD, `ip -batch` and pyroute2, in one run and one namespace; pyroute2 gets 2000 routes, it is slow.
BIRD has its routes in a static protocol that is switched on and off.  Beside the rate by the clock stands the rate by
CPU time of the process, user and system, which does not suffer from what else the machine does.
The exit status is 1 where ours does not add and delete ten times as many routes per second as pyroute2.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


def own_cpu_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def no_cpu_time() -> float:
    return 0.0


class Table:
    """Routes per second by job and way: by the clock and, where it is known, by CPU time."""

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, float]] = {}
        self.cpu_rates: dict[str, dict[str, float]] = {}

    @contextmanager
    def clock(self, job: str, way: str, count: int, cpu_time: Callable[[], float] = no_cpu_time) -> Iterator[None]:
        started, cpu_started = time.perf_counter(), cpu_time()
        yield
        self.rates.setdefault(job, {})[way] = count / (time.perf_counter() - started)
        if used := cpu_time() - cpu_started:
            self.cpu_rates.setdefault(job, {})[way] = count / used

    def show(self) -> None:
        for job, rates in self.rates.items():
            cpu_rates = self.cpu_rates.get(job, {})
            for way, rate in sorted(rates.items(), key=lambda entry: -entry[1]):
                cells = [f"{rate:10,.0f} routes/s", f"{rate / rates['pyroute2']:6.1f} x pyroute2"]
                if "BIRD" in rates:
                    cells.append(f"{rate / rates['BIRD']:5.2f} x BIRD")
                if way in cpu_rates:
                    cells.append(f"{cpu_rates[way]:10,.0f} per CPU second")
                if way in cpu_rates and "BIRD" in cpu_rates:
                    cells.append(f"{cpu_rates[way] / cpu_rates['BIRD']:5.2f} x BIRD")
                print(f"{job:8} {way:22} {'   '.join(cells)}")

    def is_goal_met(self) -> bool:
        jobs = [self.rates[job] for job in ("add", "delete")]
        return all(rates["ours"] >= RATIO_GOAL * rates["pyroute2"] for rates in jobs)


async def measure_ours(table: Table, routes: list[KernelRoute]) -> None:
    kernel = NetlinkKernel()
    await kernel.open()
    additions, deletions = ([Operation(action, one) for one in routes] for action in (ADD, DELETE))
    with table.clock("add", "ours", len(routes), own_cpu_time):
        await kernel.apply(additions)
    with table.clock("dump", "ours", len(routes)):
        await kernel.routes(protocol=12)
    with table.clock("delete", "ours", len(routes), own_cpu_time):
        await kernel.apply(deletions)
    fib = FibSync(kernel)
    await fib.start()
    with table.clock("add", "ours, through the FIB", len(routes), own_cpu_time):
        fib.update({one.destination: one for one in routes})
        await kernel.apply([])
    fib.replace_all({})
    await kernel.apply([])
    await fib.stop()
    await kernel.close()


BIRD_CONFIGURATION = """router id 10.0.0.11;
protocol device {{ }}
protocol kernel {{ ipv4 {{ export all; import none; }}; }}
protocol static fleet {{ disabled; ipv4; {routes} }}
"""


def routes_in_kernel() -> int:
    found = re.search(
        r"^Main:.*?Prefixes: +(\d+)", Path("/proc/net/fib_triestat").read_text(), re.DOTALL | re.MULTILINE
    )
    return int(found[1]) if found else 0


def wait_for_routes(process: subprocess.Popen[bytes], reached: Callable[[int], bool]) -> None:
    limit = time.monotonic() + 60
    while not reached(routes_in_kernel()):
        if process.poll() is not None or time.monotonic() > limit:
            raise SystemExit("bird ended, or did not have its routes in the kernel within a minute")
        time.sleep(0.002)


def measure_bird(table: Table, routes: list[KernelRoute]) -> None:
    if shutil.which("bird") is None:
        print("BIRD is not installed (package bird2): no row of it")
        return
    before = routes_in_kernel()
    with tempfile.TemporaryDirectory() as directory:
        configuration, control = Path(directory, "bird.conf"), str(Path(directory, "control"))
        lines = "".join(f"route {one.destination} via 10.0.0.12%tunl0 onlink;\n" for one in routes)
        configuration.write_text(BIRD_CONFIGURATION.format(routes=lines))
        process = subprocess.Popen(["bird", "-f", "-c", str(configuration), "-s", control], stderr=subprocess.DEVNULL)
        try:
            client = ["birdc", "-s", control]
            wait_for_bird(process, client)

            def cpu_time() -> float:
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

            for job, word in (("add", "enable"), ("delete", "disable")):
                with table.clock(job, "BIRD", len(routes), cpu_time):
                    subprocess.run([*client, word, "fleet"], check=True, stdout=subprocess.DEVNULL)
                    wanted = before + (len(routes) if word == "enable" else 0)
                    wait_for_routes(process, lambda found, wanted=wanted: found == wanted)  # type: ignore[misc]
        finally:
            process.terminate()
            process.wait()


def wait_for_bird(process: subprocess.Popen[bytes], client: list[str]) -> None:
    limit = time.monotonic() + 60
    while subprocess.run([*client, "show", "status"], check=False, capture_output=True).returncode:
        if process.poll() is not None or time.monotonic() > limit:
            raise SystemExit("bird does not start")
        time.sleep(0.05)


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
        measure_bird(table, routes)
        measure_ip(table, routes)
        asyncio.run(measure_pyroute2(table, routes))
    table.show()
    return int(not table.is_goal_met())


if __name__ == "__main__":
    sys.exit(main())
