"""The kernel in memory and the real one, driven side by side: the same refusals, the same table."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from calico_routing.fib import FibSync
from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    FAMILY_IPV4,
    REPLACE,
    Kernel,
    KernelError,
    KernelRoute,
    NextHop,
    Operation,
    RouteRun,
)
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.kernel.netlink import InterfaceAddress, NetlinkClient
from calico_routing.kernel.netlink.route_runs import key_of
from calico_routing.kernel.netlink_kernel import NetlinkKernel
from calico_routing.reconcile import slot_of
from tests.namespaces.isolation import needs_root, private_namespace, stand_in_tunnel

pytestmark = [pytest.mark.namespaces, needs_root]

T = TypeVar("T")

DEVICES = ("tunl0", "ens160")
PLAIN = (NextHop("10.0.0.12", "ens160"),)
FAR = (NextHop("10.7.0.12", "ens160"),)
ABSENT = (NextHop("10.0.0.12", "eth7", onlink=True),)
TUNNEL = (NextHop("10.0.0.12", "tunl0", onlink=True),)
OTHER = (NextHop("10.0.0.13", "tunl0", onlink=True),)
ECMP = (*TUNNEL, *OTHER)

destinations = st.integers(1, 3).map(lambda number: f"192.168.{number}.0/26") | st.just("192.168.1.7/26")
ways = st.sampled_from([PLAIN, FAR, ABSENT, TUNNEL, OTHER, ECMP])
own_routes = st.builds(lambda to, hops: KernelRoute(to, "unicast", hops), destinations, ways) | destinations.map(
    lambda to: KernelRoute(to, "blackhole")
)
foreign_routes = st.builds(
    lambda destination, metric: KernelRoute(destination, "unicast", TUNNEL, 3, metric=metric),
    st.integers(1, 3).map(lambda number: f"192.168.{number}.0/26"),
    st.sampled_from([0, 0, 50]),
)
operations = st.tuples(st.sampled_from([ADD, REPLACE, DELETE]), own_routes).map(lambda parts: Operation(*parts))
runs = st.builds(
    lambda action, to, route: RouteRun(action, FAMILY_IPV4, [key_of(one)[1] for one in to], route),
    st.sampled_from([ADD, REPLACE, DELETE]),
    st.lists(destinations | st.just("192.168.0.0/16"), max_size=4, unique=True),
    own_routes,
)


class KernelsSideBySide(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.exits.enter_context(private_namespace())
        self.other = self.exits.enter_context(NetlinkClient())
        self.runner = self.exits.enter_context(asyncio.Runner())
        self.memory = MemoryKernel()
        for name in DEVICES:
            stand_in_tunnel(name)
            self.memory.add_link(name)
        self.real = NetlinkKernel()
        self.run(self.real.open())
        self.other.add_address(InterfaceAddress("10.0.0.11/24", self.index("ens160")))
        link = self.memory._links["ens160"]
        self.memory._addresses.append(InterfaceAddress("10.0.0.11/24", link.ifindex))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def index(self, name: str) -> int:
        link = self.other.link(name)
        assert link is not None
        return link.ifindex

    @rule(batch=st.lists(operations, max_size=5))
    def we_change(self, batch: list[Operation]) -> None:
        expected, found = self.refusals(self.memory, batch), self.refusals(self.real, batch)
        assert found == expected

    @rule(run=runs)
    def we_change_many(self, run: RouteRun) -> None:
        expected, found = self.refusals(self.memory, run), self.refusals(self.real, run)
        assert found == expected

    def refusals(self, kernel: Kernel, change: list[Operation] | RouteRun) -> list[tuple[str, str]]:
        answers: list[KernelError] = []
        if isinstance(change, RouteRun):
            kernel.apply_run(change, answers.extend)
        else:
            kernel.apply_now(change, answers.extend)
        return sorted((error.destination, error.name) for error in answers)

    @rule(route=foreign_routes)
    def others_add(self, route: KernelRoute) -> None:
        assert self.refusal(lambda: self.memory.foreign_add(route)) == self.refusal(lambda: self.other.add_route(route))

    @rule(route=foreign_routes)
    def others_replace(self, route: KernelRoute) -> None:
        if self.memory._links["tunl0"].up:
            self.memory.foreign_replace(route)
            self.other.replace_route(route)

    @rule(data=st.data())
    def others_delete(self, data: st.DataObject) -> None:
        table = self.run(self.memory.routes())
        if table:
            route = data.draw(st.sampled_from(table))
            self.memory.foreign_delete(route.destination, route.metric)
            self.other.delete_route(route._replace(kind="unspecified", next_hops=()))

    @rule(up=st.booleans())
    def the_tunnel_flaps(self, up: bool) -> None:
        self.memory.set_link("tunl0", up=up)
        self.other.set_link(self.index("tunl0"), up=up)

    def refusal(self, attempt: Any) -> int:
        try:
            attempt()
        except KernelError as error:
            return error.error_number
        return 0

    @invariant()
    def the_tables_are_equal(self) -> None:
        found = [route for route in self.run(self.real.routes()) if route.protocol != 2]
        assert sorted(found) == sorted(self.run(self.memory.routes()))

    def teardown(self) -> None:
        self.run(self.real.close())
        self.exits.close()


class FibAgainstTheWorld(RuleBasedStateMachine):
    """Whatever others do, at rest the kernel has every wanted route whose slot and device are free."""

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.exits.enter_context(private_namespace())
        self.other = self.exits.enter_context(NetlinkClient())
        self.runner = self.exits.enter_context(asyncio.Runner())
        for name in DEVICES:
            stand_in_tunnel(name)
        self.kernel = NetlinkKernel()
        self.run(self.kernel.open())
        self.fib = self.run(self.make_fib())
        self.fib.finish_restart()

    async def make_fib(self) -> FibSync:
        fib = FibSync(self.kernel, repair_delay=0.001)
        await fib.start()
        return fib

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def change(self, routes: dict[str, KernelRoute | None]) -> None:
        self.fib.update(routes)

    @rule(routes=st.lists(st.sampled_from([TUNNEL, OTHER, ECMP, ()]), min_size=3, max_size=3))
    def we_want(self, routes: list[tuple[NextHop, ...]]) -> None:
        named = {f"192.168.{number}.0/26": hops for number, hops in enumerate(routes, 1)}
        wanted = {key: KernelRoute(key, "unicast", hops) if hops else None for key, hops in named.items()}
        self.run(self.change(wanted))

    @rule(
        numbers=st.sets(st.integers(1, 3)),
        hops=st.sampled_from([TUNNEL, OTHER, ECMP, ()]),
        metric=st.sampled_from([0, 50]),
    )
    def we_want_many(self, numbers: set[int], hops: tuple[NextHop, ...], metric: int) -> None:
        route = KernelRoute("", "unicast", hops, metric=metric) if hops else None
        keys = [key_of(f"192.168.{number}.0/26")[1] for number in numbers]
        self.run(self.change_many(keys, route))

    async def change_many(self, keys: list[bytes], route: KernelRoute | None) -> None:
        self.fib.update_run(FAMILY_IPV4, keys, route)

    @rule(route=foreign_routes, protocol=st.sampled_from([3, 12]), replace=st.booleans())
    def others_write(self, route: KernelRoute, protocol: int, replace: bool) -> None:
        link = self.other.link("tunl0")
        assert link is not None
        write = self.other.replace_route if replace else self.other.add_route
        try:
            write(route._replace(protocol=protocol, next_hops=OTHER))
        except KernelError as error:
            assert error.name == "EEXIST" or not link.up, error

    @rule(number=st.integers(1, 3))
    def others_delete(self, number: int) -> None:
        try:
            self.other.delete_route(KernelRoute(f"192.168.{number}.0/26", "unspecified", protocol=0))
        except KernelError as error:
            assert error.name == "ESRCH", error

    @rule()
    def the_tunnel_flaps(self) -> None:
        link = self.other.link("tunl0")
        assert link is not None
        self.other.set_link(link.ifindex, up=False)
        self.other.set_link(link.ifindex, up=True)

    @invariant()
    def at_rest_the_wanted_routes_are_there(self) -> None:
        self.run(self.come_to_rest())
        table = self.run(self.kernel.routes())
        ours = {slot_of(route): route for route in table if route.protocol == 12}
        foreign = {slot_of(route) for route in table if route.protocol not in (2, 12)}
        wanted = {slot_of(route): route for route in self.fib.wanted.values()}
        assert ours == {slot: route for slot, route in wanted.items() if slot not in foreign}
        assert set(self.fib.problems) == {slot.destination for slot in wanted if slot in foreign}

    async def come_to_rest(self) -> None:
        """Two turns read what the kernel has told by now; then the repairs follow."""
        for _ in range(3):
            await asyncio.sleep(0)
        await self.fib.settled()
        self.fib._taken_back.clear()

    def teardown(self) -> None:
        self.run(self.fib.stop())
        self.run(self.kernel.close())
        self.exits.close()


BOUNDED = settings(max_examples=30, stateful_step_count=15, deadline=None)
TestKernelsSideBySide = pytest.mark.namespaces(KernelsSideBySide.TestCase)
TestKernelsSideBySide.settings = BOUNDED
TestFibAgainstTheWorld = pytest.mark.namespaces(FibAgainstTheWorld.TestCase)
TestFibAgainstTheWorld.settings = BOUNDED
