"""How fast routes get into the kernel: `python -m tests.benchmarks.bench_kernel_routes [ROUTES [ROUNDS]]`, as root.

In one namespace, round by round, of which the best of each way counts:

- floor: messages that were encoded before, sent with nothing else to do;
- encoder: the agent's kernel object alone, from prefixes and one next hop;
- agent: from a change of the Loc-RIB through planner and FIB, until the kernel has answered for the last route;
- BIRD: a static protocol that is switched on and off, until BIRD sleeps and the kernel has the last route.
  The kernel's count is read only while BIRD sleeps: reading it walks the table and holds up whoever writes;
- `ip -batch`, and pyroute2 with 2000 routes, which is slow.

Deletions of ours go through the table in eight passes, like the agent's; BIRD's go in the order of its hash.
Beside the rate by the clock stands the rate by CPU time of the process, user and system, which does not suffer from
what else the machine does.  The exit status is 1 where the encoder is not ten times as fast as pyroute2, or the agent
not one and a half times as fast as BIRD by the clock.
"""

from __future__ import annotations

import asyncio
import os
import re
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
from calico_routing.kernel.interface import ADD, DELETE, FAMILY_IPV4, KernelRoute, NextHop, RouteRun
from calico_routing.kernel.netlink import NetlinkClient
from calico_routing.kernel.netlink.codec import RTM_DELROUTE, RTM_NEWROUTE
from calico_routing.kernel.netlink.route_runs import Request, encode_run, key_of, scattered
from calico_routing.kernel.netlink.routes import RouteEncoder
from calico_routing.kernel.netlink_kernel import FLAGS, RUN_ROUTES, NetlinkKernel
from calico_routing.route_plan import PlanContext, PoolRule
from calico_routing.route_programmer import RouteProgrammer
from pybgp.rib.path import Change
from pybgp.wire.families import IPV4_UNICAST
from tests.namespaces.isolation import private_namespace, stand_in_tunnel
from tests.pybgp.rib.rib_examples import attributes, peer, rib_with

HOPS = (NextHop("10.0.0.12", "tunl0", onlink=True),)
DEFAULT_ROUTES = 100_000
DEFAULT_ROUNDS = 5
PYROUTE2_SAMPLE = 2000
RATIO_GOAL = 10
BIRD_RATIO_GOAL = 1.5


def make_routes(count: int) -> list[KernelRoute]:
    numbers = range(16 << 20, (16 << 20) + count * 64, 64)
    return [
        KernelRoute(f"{10 + (one >> 24)}.{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}/26", next_hops=HOPS)
        for one in numbers
    ]


def no_cpu_time() -> float:
    return 0.0


def schedule_time(process: str = "self") -> float:
    """Seconds on a processor, exact to the nanosecond (user and system)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


class Table:
    """The best routes per second by job and way: by the clock and, where it is known, by CPU time."""

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, float]] = {}
        self.cpu_rates: dict[str, dict[str, float]] = {}

    @contextmanager
    def clock(self, job: str, way: str, count: int, cpu_time: Callable[[], float] = no_cpu_time) -> Iterator[None]:
        started, cpu_started = time.perf_counter(), cpu_time()
        yield
        used = cpu_time() - cpu_started
        keep_best(self.rates, job, way, count / (time.perf_counter() - started))
        if used:
            keep_best(self.cpu_rates, job, way, count / used)

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
                print(f"{job:8} {way:16} {'   '.join(cells)}")

    def is_goal_met(self) -> bool:
        jobs = [self.rates[job] for job in ("add", "delete")]
        return all(
            rates["encoder"] >= RATIO_GOAL * rates["pyroute2"]
            and rates["agent"] >= BIRD_RATIO_GOAL * rates.get("BIRD", 0.0)
            for rates in jobs
        )


def keep_best(rates: dict[str, dict[str, float]], job: str, way: str, rate: float) -> None:
    ways = rates.setdefault(job, {})
    ways[way] = max(rate, ways.get(way, 0.0))


def measure_floor(table: Table, routes: list[KernelRoute]) -> None:
    """What the kernel takes, whoever writes."""
    keys = list(scattered([key_of(one.destination)[1] for one in routes]))
    slices = [keys[start : start + RUN_ROUTES] for start in range(0, len(keys), RUN_ROUTES)]
    with NetlinkClient() as client:
        encoder = RouteEncoder({link.name: link.ifindex for link in client.links()})
        for action, kind in ((ADD, RTM_NEWROUTE), (DELETE, RTM_DELROUTE)):
            request = Request(kind, FLAGS[action], FAMILY_IPV4, routes[0], deletes=action == DELETE)
            firsts = [client.next_sequence(len(some)) for some in slices]
            encoded = [encode_run(encoder, request, [some], first) for some, first in zip(slices, firsts, strict=True)]
            with table.clock(action, "floor", len(keys), schedule_time):
                for messages, first, some in zip(encoded, firsts, slices, strict=True):
                    client.exchange(messages, first, first + len(some) - 1)


async def measure_encoder(table: Table, routes: list[KernelRoute]) -> None:
    kernel = NetlinkKernel()
    await kernel.open()
    before = routes_in_kernel()
    keys = list(scattered([key_of(one.destination)[1] for one in routes]))
    for action in (ADD, DELETE):
        with table.clock(action, "encoder", len(keys), schedule_time):
            kernel.apply_run(RouteRun(action, FAMILY_IPV4, keys, routes[0]), refuse_errors)
            await kernel.apply([])
        require_routes(before + (len(keys) if action == ADD else 0))
        if action == ADD:
            with table.clock("dump", "encoder", len(keys)):
                await kernel.routes(protocol=12)
            with table.clock("dump", "agent", len(keys)):
                await kernel.found_routes(protocol=12)
    await kernel.close()


def refuse_errors(errors: object) -> None:
    if errors:
        raise SystemExit(f"the kernel refuses routes: {errors}")


async def measure_agent(table: Table, routes: list[KernelRoute]) -> None:
    """All routes from one peer, through a pool of IPIP mode Always."""
    kernel = NetlinkKernel()
    await kernel.open()
    before = routes_in_kernel()
    keys = [key_of(one.destination)[1] for one in routes]
    fib = FibSync(kernel)
    await fib.start()
    programmer = RouteProgrammer(fib, asyncio.get_running_loop().call_soon)
    rib = rib_with(peer(1))
    programmer.attach(rib, restarting=False)
    programmer.set_context(PlanContext(pools=(PoolRule("11.0.0.0/8", "Always"),)))
    announced, withdrawn = ((), attributes(65001, hop=12), keys), (keys, None, ())
    for job, update in (("add", announced), ("delete", withdrawn)):
        changes = rib.apply(1, IPV4_UNICAST, *update)
        wanted = before + (len(keys) if job == "add" else 0)
        with table.clock(job, "agent", len(keys), schedule_time):
            await program(programmer, kernel, changes)
        require_routes(wanted)
    await fib.stop()
    await kernel.close()


async def program(programmer: RouteProgrammer, kernel: NetlinkKernel, changes: list[Change]) -> None:
    """Until all is planned, written and answered."""
    planned = asyncio.Event()
    programmer.on_changes(changes)
    programmer.when_planned(planned.set)
    await planned.wait()
    await kernel.apply([])


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


def require_routes(count: int) -> None:
    if routes_in_kernel() != count:
        raise SystemExit(f"{routes_in_kernel()} routes in the kernel, not {count}")


def is_asleep(process: int) -> bool:
    """Whether it waits for events, and for nothing inside the kernel."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def wait_for_routes(process: subprocess.Popen[bytes], reached: Callable[[int], bool]) -> None:
    limit = time.monotonic() + 60
    while not (is_asleep(process.pid) and reached(routes_in_kernel())):
        if process.poll() is not None or time.monotonic() > limit:
            raise SystemExit("bird ended, or did not have its routes in the kernel within a minute")
        time.sleep(0.0005)


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
                return schedule_time(str(process.pid))

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
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_ROUNDS
    with private_namespace():
        stand_in_tunnel()
        asyncio.run(measure_one_change())
        for _ in range(rounds):
            measure_floor(table, routes)
            asyncio.run(measure_encoder(table, routes))
            asyncio.run(measure_agent(table, routes))
            measure_bird(table, routes)
        measure_ip(table, routes)
        asyncio.run(measure_pyroute2(table, routes))
    table.show()
    return int(not table.is_goal_met())


if __name__ == "__main__":
    sys.exit(main())
