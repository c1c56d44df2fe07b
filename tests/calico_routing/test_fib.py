from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence

import pytest

from calico_routing.fib import TAKE_BACKS, FibSync
from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    FAMILY_IPV4,
    FAMILY_IPV6,
    REPLACE,
    KernelError,
    KernelRoute,
    NextHop,
    Operation,
)
from calico_routing.kernel.memory_kernel import MemoryKernel
from calico_routing.kernel.netlink.route_runs import key_of

FIRST = (NextHop("10.0.0.12", "tunl0", onlink=True),)
SECOND = (NextHop("10.0.0.13", "tunl0", onlink=True),)
OWN = KernelRoute("192.168.99.0/26", "blackhole")


def route(number: int, hops: tuple[NextHop, ...] = FIRST, **changes: int) -> KernelRoute:
    return KernelRoute(f"192.168.{number}.0/26", "unicast", hops)._replace(**changes)


def foreign(number: int, **changes: int) -> KernelRoute:
    return route(number, SECOND, protocol=3)._replace(**changes)


class LateKernel(MemoryKernel):
    """Works off its jobs one in some turns of the loop, as the real one does with all but the first 256 requests."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[tuple[Sequence[Operation], Callable[[Sequence[KernelError]], None]]] = []

    def apply_now(self, operations: Sequence[Operation], report: Callable[[Sequence[KernelError]], None]) -> None:
        self.jobs.append((operations, report))
        if len(self.jobs) == 1:
            asyncio.get_running_loop().call_later(0.01, self.work)

    async def apply(self, operations: Sequence[Operation]) -> dict[str, KernelError]:
        answered = asyncio.get_running_loop().create_future()
        self.apply_now(operations, answered.set_result)
        return {error.destination: error for error in await answered}

    def work(self) -> None:
        operations, report = self.jobs.pop(0)
        if self.jobs:
            asyncio.get_running_loop().call_later(0.01, self.work)
        super().apply_now(operations, report)


class Bench:
    """A FibSync over a kernel in memory, with the problems that it told."""

    def __init__(self, kernel: MemoryKernel | None = None, **options: float) -> None:
        self.kernel = kernel or MemoryKernel()
        self.kernel.add_link("tunl0")
        self.problems: list[KernelError] = []
        self.fib = FibSync(self.kernel, on_problems=self.keep, **({"repair_delay": 0.001} | options))

    def keep(self, errors: Sequence[KernelError]) -> None:
        self.problems += errors

    @property
    def table(self) -> dict[str, KernelRoute]:
        return self.kernel.table()

    def has(self, *routes: KernelRoute) -> bool:
        return self.table == {one.destination: one for one in routes}


def run(scenario: Callable[[Bench], Awaitable[None]], *, started: bool = True, **options: float) -> Bench:
    async def main() -> Bench:
        bench = Bench(**options)
        if started:
            await bench.fib.start()
        try:
            async with asyncio.timeout(10):
                await scenario(bench)
        finally:
            await bench.fib.stop()
        return bench

    return asyncio.run(main())


def test_a_change_is_in_the_kernel_when_update_returns() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1), OWN.destination: OWN})
        assert bench.has(route(1), OWN)
        bench.fib.update({route(1).destination: route(1, SECOND)})
        assert bench.has(route(1, SECOND), OWN)
        bench.fib.update({route(1).destination: None, OWN.destination: None})
        assert bench.has()

    bench = run(scenario)
    assert [operation.action for operation in bench.kernel.operations] == [ADD, ADD, REPLACE, DELETE, DELETE]


def keys(*numbers: int) -> list[bytes]:
    return [key_of(route(number).destination)[1] for number in numbers]


def test_many_changes_at_once_write_what_they_are_one_by_one() -> None:
    six = KernelRoute("", "blackhole", metric=1024)
    key_of_both = b"\x20\xc0\xa8\x01\x00"  # 192.168.1.0/32 and c0a8:100::/32

    async def scenario(bench: Bench) -> None:
        bench.fib.update_run(FAMILY_IPV4, keys(1, 2, 2, 3), route(0))
        assert bench.has(route(1), route(2), route(3))
        bench.fib.update_run(FAMILY_IPV4, keys(2, 3, 4), route(0, SECOND))
        assert bench.has(route(1), route(2, SECOND), route(3, SECOND), route(4, SECOND))
        bench.fib.update_run(FAMILY_IPV4, keys(4), route(0, SECOND, metric=7))
        assert bench.has(route(1), route(2, SECOND), route(3, SECOND), route(4, SECOND, metric=7))
        bench.fib.update_run(FAMILY_IPV6, [key_of_both], six)
        bench.fib.update_run(FAMILY_IPV4, [key_of_both], route(0))
        assert bench.table["c0a8:100::/32"] == six._replace(destination="c0a8:100::/32")
        assert bench.fib.wanted == bench.fib.present == bench.table
        bench.fib.update_run(FAMILY_IPV4, [*keys(1, 2, 3, 4, 5), key_of_both], None)
        assert list(bench.table) == ["c0a8:100::/32"]
        assert bench.fib.wanted == bench.fib.present == bench.table
        assert list(bench.fib.wanted_keys(FAMILY_IPV6)) == [key_of_both]

    bench = run(scenario)
    actions = [operation.action for operation in bench.kernel.operations]
    assert actions == [*[ADD] * 4, REPLACE, REPLACE, ADD, DELETE, ADD, ADD, *[DELETE] * 5]


def test_repeating_many_changes_writes_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(2):
            bench.fib.update_run(FAMILY_IPV4, keys(1, 2), route(0))
            bench.fib.update_run(FAMILY_IPV4, keys(3), None)

    assert run(scenario).kernel.operations == [Operation(ADD, route(1)), Operation(ADD, route(2))]


def test_many_changes_at_once_report_and_forget_problems_and_find_routes_that_were_taken() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(foreign(1))
        bench.fib.update_run(FAMILY_IPV4, keys(1, 2, 3), route(0))
        await bench.fib.settled()
        assert bench.has(foreign(1), route(2), route(3))
        assert set(bench.fib.problems) == {route(1).destination}
        assert "another program's route has this destination" in str(bench.fib.problems[route(1).destination])
        bench.fib.update_run(FAMILY_IPV4, keys(1), None)
        assert bench.fib.problems == {}
        bench.kernel.foreign_replace(foreign(2))
        bench.fib.update_run(FAMILY_IPV4, keys(2, 3), route(0, SECOND))
        assert bench.has(foreign(1), route(2, SECOND), route(3, SECOND))
        bench.kernel.set_link("tunl0", up=False)
        bench.fib.update_run(FAMILY_IPV4, keys(4), route(0))
        assert route(4).destination in bench.fib.problems
        bench.kernel.set_link("tunl0", up=True)
        await bench.fib.settled()
        assert bench.fib.problems == {}
        assert bench.has(route(2, SECOND), route(3, SECOND), route(4))

    run(scenario)


def test_a_large_table_is_compared_slice_by_slice_and_changes_meanwhile_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.fib.COMPARED_AT_ONCE", 2)

    async def scenario(bench: Bench) -> None:
        bench.fib.finish_restart()
        await bench.fib.settled()
        bench.fib.update_run(FAMILY_IPV4, keys(*range(20)), route(0))
        bench.fib.update_run(FAMILY_IPV4, keys(19), route(0, metric=5))
        bench.kernel._routes.clear()
        for inherited in (route(0), route(1, SECOND), route(2, metric=9), route(30), route(31), foreign(3)):
            bench.kernel._apply(Operation(ADD, inherited))
        bench.kernel.lose_events()
        await bench.kernel.until(lambda: bench.table.get(route(1).destination) == route(1))
        assert bench.fib._touched is not None, "it is not through yet"
        bench.fib.update_run(FAMILY_IPV4, keys(31, 16), route(0, SECOND))
        bench.fib.update_run(FAMILY_IPV4, keys(18, 17), None)
        await bench.fib.settled()
        expected = {number: route(number) for number in range(16)}
        expected |= {number: route(number, SECOND) for number in (16, 31)} | {19: route(19, metric=5)}
        assert bench.table == {one.destination: one for one in (expected | {3: foreign(3)}).values()}
        assert set(bench.fib.problems) == {route(3).destination}
        assert bench.fib.present == {one.destination: one for one in (*expected.values(),) if one != route(3)}

    run(scenario)


def test_what_was_wanted_before_the_start_is_written_by_it_and_can_be_taken_back() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update_run(FAMILY_IPV4, keys(1, 2), route(0))
        assert dict(bench.fib.present) == bench.table == {}
        await bench.fib.start()
        assert bench.fib.wanted == bench.fib.present == bench.table
        assert bench.has(route(1), route(2))
        bench.fib.update_run(FAMILY_IPV4, keys(1), None)
        assert bench.has(route(2))

    run(scenario, started=False)


def test_what_no_route_shares_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.route_table.SHAPES_KEPT", 2)

    async def scenario(bench: Bench) -> None:
        bench.fib._books._shapes_kept = 2
        for metric in range(10):
            bench.fib.update_run(FAMILY_IPV4, keys(1), route(0, metric=metric))
        assert len(bench.fib._books._shapes) == 10
        bench.kernel.lose_events()
        await bench.fib.settled()
        assert list(bench.fib._books._shapes.values()) == [route(0, metric=9)._replace(destination="")]

    run(scenario)


def test_repeating_a_change_writes_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(2):
            bench.fib.update({route(1).destination: route(1)})
            bench.fib.update({route(2).destination: None})
        bench.fib.replace_all({route(1).destination: route(1)})

    assert run(scenario).kernel.operations == [Operation(ADD, route(1))]


def test_replace_all_removes_what_is_not_named() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1), route(2).destination: route(2)})
        bench.fib.replace_all({route(2).destination: route(2), route(3).destination: route(3)})
        assert bench.has(route(2), route(3))
        assert bench.fib.wanted == bench.table

    run(scenario)


def test_what_was_wanted_before_the_start_is_written_at_the_start() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        assert bench.has()
        await bench.fib.start()
        assert bench.has(route(1))

    run(scenario, started=False)


def test_a_restart_touches_no_route_that_is_still_right_and_removes_leftovers_at_its_end() -> None:
    async def scenario(bench: Bench) -> None:
        for inherited in (route(1), route(2, SECOND), route(3)):
            bench.kernel.foreign_add(inherited)
        await bench.fib.start()
        bench.fib.update({route(1).destination: route(1)})
        assert bench.kernel.operations == []
        bench.fib.update({route(2).destination: route(2)})
        assert bench.has(route(1), route(2), route(3))
        bench.fib.finish_restart()
        await bench.fib.settled()
        assert bench.has(route(1), route(2))

    bench = run(scenario, started=False)
    assert bench.kernel.operations == [Operation(REPLACE, route(2)), Operation(DELETE, route(3))]


def test_the_end_of_a_restart_leaves_foreign_routes_alone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(foreign(5))
        await bench.fib.start()
        bench.fib.finish_restart()
        await bench.fib.settled()
        assert bench.has(foreign(5))

    run(scenario, started=False)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kernel: kernel.foreign_delete(route(1).destination),
        lambda kernel: kernel.foreign_replace(route(1, SECOND)),
        lambda kernel: kernel.foreign_replace(foreign(1)),
        lambda kernel: kernel.foreign_replace(KernelRoute(route(1).destination, "blackhole", protocol=3)),
    ],
    ids=["deleted", "changed", "taken by another protocol", "made a hole"],
)
def test_what_others_do_to_our_routes_is_repaired(damage: Callable[[MemoryKernel], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        damage(bench.kernel)
        assert not bench.has(route(1))
        await bench.fib.settled()
        assert bench.has(route(1))
        assert bench.fib.repairs == 1

    run(scenario)


def test_a_route_with_our_protocol_that_nobody_wants_is_removed() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.finish_restart()
        await bench.fib.settled()
        bench.kernel.foreign_add(route(7))
        await bench.fib.settled()
        assert bench.has()

    run(scenario)


def test_several_damages_are_repaired_together() -> None:
    async def scenario(bench: Bench) -> None:
        wanted = {route(number).destination: route(number) for number in range(200)}
        bench.fib.update(wanted)
        for destination in wanted:
            bench.kernel.foreign_delete(destination)
        await bench.fib.settled()
        assert bench.table == wanted

    assert run(scenario).fib.resyncs == 1


def test_routes_come_back_with_their_device() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1), OWN.destination: OWN})
        bench.kernel.set_link("tunl0", up=False)
        await bench.fib.settled()
        assert bench.has(OWN)
        assert [error.error_number for error in bench.problems] == [errno.ENETDOWN]
        bench.kernel.set_link("tunl0", up=True)
        await bench.fib.settled()
        assert bench.has(route(1), OWN)
        assert bench.fib.problems == {}

    run(scenario)


def test_a_device_that_appears_later_gets_its_routes() -> None:
    async def scenario(bench: Bench) -> None:
        late = route(1, (NextHop("10.0.0.1", "wlan0", onlink=True),))
        bench.fib.update({late.destination: late})
        assert set(bench.fib.problems) == {late.destination}
        bench.kernel.add_link("wlan0")
        await bench.fib.settled()
        assert bench.has(late)

    run(scenario)


def test_other_devices_are_none_of_our_business() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.add_link("cali123")
        await bench.fib.settled()
        assert bench.fib.resyncs == 1

    run(scenario)


def test_lost_events_lead_to_a_look_at_the_whole_table() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        bench.kernel._routes.clear()
        bench.kernel.lose_events()
        await bench.fib.settled()
        assert bench.has(route(1))

    run(scenario)


def test_without_any_event_the_next_resync_repairs() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        bench.kernel._routes.clear()
        await bench.kernel.until(lambda: bench.has(route(1)))

    run(scenario, resync_interval=0.02)


def test_a_foreign_route_in_our_place_is_reported_kept_and_succeeded() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(foreign(1))
        bench.fib.update({route(1).destination: route(1)})
        await bench.fib.settled()
        assert bench.has(foreign(1))
        (problem,) = bench.problems
        assert "another program's route has this destination and metric; it is left alone" in str(problem)
        bench.kernel.lose_events()
        await bench.fib.settled()
        assert bench.has(foreign(1))
        assert len(bench.problems) == 1
        bench.kernel.foreign_delete(route(1).destination)
        await bench.fib.settled()
        assert bench.has(route(1))
        assert bench.fib.problems == {}

    run(scenario)


def test_a_foreign_route_of_another_metric_lives_beside_ours() -> None:
    async def scenario(bench: Bench) -> None:
        bench.kernel.foreign_add(foreign(1, metric=50))
        bench.fib.update({route(1).destination: route(1)})
        await bench.fib.settled()
        assert sorted(one.protocol for one in await bench.kernel.routes()) == [3, 12]
        assert bench.problems == []

    run(scenario)


def test_whoever_keeps_taking_a_route_wins_in_the_end() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        for _ in range(TAKE_BACKS):
            bench.kernel.foreign_replace(foreign(1))
            await bench.fib.settled()
            assert bench.has(route(1))
        bench.kernel.foreign_replace(foreign(1))
        await bench.fib.settled()
        assert bench.has(foreign(1))
        assert "keeps replacing it" in str(bench.problems[-1])

    run(scenario)


def test_a_taken_route_that_is_no_longer_wanted_is_left_to_the_taker() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        bench.kernel.foreign_replace(foreign(1))
        bench.fib.update({route(1).destination: None})
        await bench.fib.settled()
        assert bench.has(foreign(1))

    run(scenario)


def test_a_change_during_a_resync_is_not_undone_by_it() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        bench.fib.finish_restart()
        await bench.fib.settled()
        dump = bench.kernel.routes

        async def slow(**filters: int) -> list[KernelRoute]:
            found = await dump(**filters)
            bench.fib.update({route(1).destination: None, route(2).destination: route(2)})
            bench.kernel.foreign_delete(route(3).destination)
            return found

        bench.fib.update({route(3).destination: route(3)})
        bench.kernel.routes = slow  # type: ignore[method-assign]
        bench.kernel.lose_events()
        await bench.fib.settled()
        assert bench.has(route(2), route(3))

    run(scenario)


def test_a_resync_sees_what_was_sent_before_it() -> None:
    """Else it adds again what is still on its way, takes that for a foreign route, and never deletes it."""

    async def main() -> None:
        bench = Bench(LateKernel())
        await bench.fib.start()
        bench.fib.finish_restart()
        await bench.fib.settled()
        for number in (1, 2, 3):
            bench.fib.update({route(number).destination: route(number)})
        bench.kernel.lose_events()
        await bench.fib.settled()
        assert not bench.problems
        assert bench.has(route(1), route(2), route(3))
        bench.fib.replace_all({})
        await bench.kernel.until(bench.has)
        await bench.fib.stop()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_dump_that_fails_is_a_problem_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.fib.RETRY_DELAY", 0.001)

    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})
        dump = bench.kernel.routes

        async def failing(**filters: int) -> list[KernelRoute]:
            bench.kernel.routes = dump  # type: ignore[method-assign]
            raise KernelError(errno.ENOMEM, "list routes")

        bench.kernel._routes.clear()
        bench.kernel.routes = failing  # type: ignore[method-assign]
        bench.kernel.lose_events()
        await bench.kernel.until(lambda: bench.has(route(1)))
        assert [str(error) for error in bench.problems] == ["list routes: Cannot allocate memory (ENOMEM)"]

    run(scenario)


def test_stopping_leaves_the_routes() -> None:
    async def scenario(bench: Bench) -> None:
        bench.fib.update({route(1).destination: route(1)})

    assert run(scenario).has(route(1))
