from __future__ import annotations

import asyncio
import time

import pytest

from pybgp.errors import LocalError
from pybgp.simulator import VirtualLoop


def test_an_hour_passes_without_waiting(loop: VirtualLoop) -> None:
    started = time.monotonic()
    loop.run_for(3600.0)
    assert loop.time() == 3600.0
    assert time.monotonic() - started < 10


def test_timers_ring_in_order_at_their_times(loop: VirtualLoop) -> None:
    rung: list[tuple[str, float]] = []
    for name, at in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        loop.call_at(at, lambda name=name: rung.append((name, loop.time())))
    loop.run_for(10.0)
    assert rung == [("early", 1.0), ("middle", 2.0), ("late", 3.0)]


def test_tasks_and_time_outs_work_as_ever(loop: VirtualLoop) -> None:

    async def patient() -> str:
        try:
            async with asyncio.timeout(5.0):
                await asyncio.sleep(60.0)
        except TimeoutError:
            return f"gave up at {asyncio.get_running_loop().time()}"
        return "waited"

    assert loop.run_until_complete(patient()) == "gave up at 5.0"


def test_to_wait_for_what_cannot_happen_is_an_error(loop: VirtualLoop) -> None:

    async def forever() -> None:
        await asyncio.Event().wait()

    task = loop.create_task(forever())
    with pytest.raises(LocalError, match="nothing is left"):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_for(0)


def test_an_error_of_a_callback_ends_the_run_and_is_raised(loop: VirtualLoop) -> None:
    heard: list[float] = []

    def fail() -> None:
        raise ValueError("nobody reads this")

    loop.call_later(1.0, fail)
    loop.call_later(2.0, heard.append, 2.0)
    with pytest.raises(ValueError, match="nobody reads"):
        loop.run_for(5.0)
    assert (loop.time(), heard) == (1.0, [])
    loop.run_for(5.0)
    assert (loop.time(), heard) == (6.0, [2.0])
