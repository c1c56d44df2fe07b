"""Long work leaves turns to others as often as it is told to."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from calico_routing import time_slices
from calico_routing.time_slices import in_slices


@pytest.mark.parametrize(("look_every", "turns"), [(1, 64), (32, 2)])
def test_the_clock_is_looked_at_after_so_many_lines(
    monkeypatch: pytest.MonkeyPatch, look_every: int, turns: int
) -> None:
    clock = count()
    monkeypatch.setattr(time_slices, "thread_time", lambda: float(next(clock)))

    async def scenario() -> int:
        passed = 0

        async def other() -> None:
            nonlocal passed
            while True:
                await asyncio.sleep(0)
                passed += 1

        task = asyncio.create_task(other())
        async for _ in in_slices([""] * 64, look_every=look_every):
            pass
        task.cancel()
        return passed

    assert abs(asyncio.run(scenario()) - turns) <= 1
