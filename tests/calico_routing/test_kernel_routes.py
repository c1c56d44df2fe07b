from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import pytest

from calico_routing.kernel.interface import ADD, KernelError, KernelRoute, NextHop, Operation
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.kernel_routes import KernelRoutes
from calico_routing.time_slices import in_turns

BORROWED = KernelRoute("192.168.5.7/32", next_hops=(NextHop(None, "cali1"),), protocol=3, scope=253)
HOLE = KernelRoute("192.168.9.0/26", "blackhole", protocol=3)
CONNECTED = KernelRoute("10.0.0.0/24", next_hops=(NextHop(None, "ens160"),), protocol=2, scope=253)
OURS = KernelRoute("192.168.5.64/26", "blackhole")


class Bench:
    """KernelRoutes over a kernel in memory, with what it told."""

    def __init__(self, **options: float) -> None:
        self.kernel = MemoryKernel()
        for name in ("cali1", "ens160"):
            self.kernel.add_link(name)
        self.told: list[Mapping[str, KernelRoute | None]] = []
        self.heard = asyncio.Event()
        self.reachability = 0
        self.observer = KernelRoutes(
            self.kernel,
            self.keep,
            on_reachability=self.count,
            **({"recheck_delay": 0.001} | options),
        )

    def keep(self, changes: Mapping[str, KernelRoute | None]) -> None:
        self.told.append(changes)
        self.heard.set()

    def count(self) -> None:
        self.reachability += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.heard.clear()
            await self.heard.wait()


def run(scenario: Callable[[Bench], Awaitable[None]], **options: float) -> Bench:
    async def main() -> Bench:
        bench = Bench(**options)
        try:
            async with asyncio.timeout(10):
                await scenario(bench)
        finally:
            await bench.observer.stop()
        return bench

    return asyncio.run(main())


def test_what_is_there_at_the_start_is_told_and_our_own_is_not() -> None:
    async def scenario(bench: Bench) -> None:
        for route in (BORROWED, HOLE, CONNECTED, OURS):
            bench.kernel.foreign_add(route)
        await bench.observer.start()
        assert bench.told == [{route.destination: route for route in (BORROWED, CONNECTED, HOLE)}]
        assert bench.observer.learnt == bench.told[0]

    run(scenario)


def test_a_change_is_told_within_the_call_in_which_it_arrives() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        bench.kernel.foreign_add(BORROWED)
        bench.kernel.foreign_add(OURS)
        bench.kernel.foreign_replace(BORROWED._replace(scope=0))
        bench.kernel.foreign_delete(BORROWED.destination)

    assert run(scenario).told == [
        {BORROWED.destination: BORROWED},
        {BORROWED.destination: BORROWED._replace(scope=0)},
        {BORROWED.destination: None},
    ]


def test_the_lowest_metric_counts() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        bench.kernel.foreign_add(HOLE._replace(metric=20))
        bench.kernel.foreign_add(HOLE._replace(metric=30))
        bench.kernel.foreign_add(HOLE._replace(metric=10))
        bench.kernel.foreign_delete(HOLE.destination, metric=10)

    metrics = [told[HOLE.destination].metric for told in run(scenario).told if told[HOLE.destination]]
    assert metrics == [20, 10, 20]


def test_routes_of_a_device_that_goes_down_are_gone_without_an_event_for_them() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(BORROWED)
        bench.kernel.foreign_add(HOLE)
        await bench.observer.start()
        bench.kernel.set_link("cali1", up=False)
        assert bench.told[-1] == {BORROWED.destination: None}
        assert set(bench.observer.learnt) == {HOLE.destination}

    run(scenario)


def test_a_route_that_ours_takes_the_place_of_is_gone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(HOLE)
        await bench.observer.start()
        bench.kernel.foreign_replace(HOLE._replace(protocol=12))

    assert run(scenario).told[-1] == {HOLE.destination: None}


def test_a_route_that_we_take_back_is_gone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(HOLE)
        await bench.observer.start()
        bench.kernel.apply_now([Operation("replace", HOLE._replace(protocol=12), HOLE)], lambda errors: None)

    assert run(scenario).told[-1] == {HOLE.destination: None}


def test_other_tables_are_not_looked_at() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        bench.kernel.foreign_add(HOLE._replace(table=100))

    assert run(scenario).told == []


def test_lost_events_are_made_up_for_by_reading_the_table() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(BORROWED)
        await bench.observer.start()
        bench.kernel._routes.clear()
        bench.kernel._apply(Operation(ADD, HOLE))
        bench.kernel.lose_events()
        await bench.until(lambda: len(bench.told) == 2)
        assert bench.told[1] == {BORROWED.destination: None, HOLE.destination: HOLE}

    run(scenario)


def test_without_any_event_the_next_resync_finds_out() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        bench.kernel._apply(Operation(ADD, HOLE))
        await bench.until(lambda: bool(bench.told))

    run(scenario, resync_interval=0.01)


def test_a_change_while_the_table_is_read_is_not_undone_by_it() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(BORROWED)
        await bench.observer.start()
        dump = bench.kernel.routes

        async def slow(**filters: int) -> list[KernelRoute]:
            found = await dump(**filters)
            bench.kernel.foreign_delete(BORROWED.destination)
            return found

        bench.kernel.routes = slow  # type: ignore[method-assign]
        bench.kernel.lose_events()
        await bench.until(lambda: not bench.observer.learnt)
        bench.kernel.routes = dump  # type: ignore[method-assign]
        bench.kernel.foreign_add(HOLE)
        assert set(bench.observer.learnt) == {HOLE.destination}

    run(scenario)


def test_a_big_table_is_compared_in_turns_and_what_changes_meanwhile_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.kernel_routes.in_turns", partial(in_turns, slice_seconds=0))
    routes = [BORROWED._replace(destination=f"192.168.3.{number}/32") for number in range(200)]

    async def scenario(bench: Bench) -> None:
        for one in routes:
            bench.kernel.foreign_add(one)
        starting = asyncio.create_task(bench.observer.start())
        await bench.heard.wait()
        assert 0 < len(bench.observer.learnt) < len(routes) - 1
        assert not bench.reachability
        bench.kernel.foreign_delete(routes[-1].destination)
        await starting
        assert list(bench.observer.learnt.values()) == routes[:-1]
        assert bench.reachability

    run(scenario)


def test_a_dump_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.kernel_routes.RETRY_DELAY", 0.001)

    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        dump = bench.kernel.routes

        async def failing(**filters: int) -> list[KernelRoute]:
            bench.kernel.routes = dump  # type: ignore[method-assign]
            raise KernelError(errno.ENOMEM, "list routes")

        bench.kernel.routes = failing  # type: ignore[method-assign]
        bench.kernel._apply(Operation(ADD, HOLE))
        bench.kernel.lose_events()
        await bench.until(lambda: bool(bench.told))

    run(scenario)


def test_reachability_follows_every_foreign_route_also_the_kernels() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.observer.start()
        before = bench.observer.resolver
        assert before("10.0.0.12") is None
        bench.kernel.foreign_add(CONNECTED)
        assert bench.reachability == 1
        assert bench.observer.resolver("10.0.0.12") == NextHop("10.0.0.12", "ens160")
        assert before.differs_from(bench.observer.resolver)
        bench.kernel.foreign_add(OURS)
        assert bench.reachability == 1

    assert run(scenario).told == [{CONNECTED.destination: CONNECTED}]
