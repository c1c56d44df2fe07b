"""How connections share the reading of a turn of the loop."""

from __future__ import annotations

import asyncio

from pybgp.transport.peer_connection import ReadPace, read_pace


def test_many_readers_share_what_one_may_read_alone() -> None:
    async def scenario() -> list[int]:
        pace = ReadPace()
        alone = pace.share()
        await asyncio.sleep(0)
        unforeseen = [pace.share() for _ in range(4)]
        await asyncio.sleep(0)
        among_four = pace.share()
        await asyncio.sleep(0)
        again_alone = pace.share()
        for _ in range(1000):
            pace.share()
        await asyncio.sleep(0)
        return [alone, *unforeseen[:2], among_four, again_alone, pace.share()]

    assert asyncio.run(scenario()) == [65536, 65536, 2048, 16384, 65536, 2048]


def test_each_loop_has_a_pace_of_its_own() -> None:
    async def pace() -> ReadPace:
        assert read_pace() is read_pace()
        return read_pace()

    assert asyncio.run(pace()) is not asyncio.run(pace())
