"""Policies replaced over big tables: every turn of the loop does a part, and the shortest hold time is kept.

How long a turn takes is for benchmarks to say; here it is counted how much of the tables changes in one.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker
from pybgp.rib.policy import parse_policies

from .test_speaker import Town, run

ROUTES = 200_000
PER_ATTRIBUTE_SET = 50
POLICIES = parse_policies("""
[policy.half]
default = "accept"
[[policy.half.clause]]
match.prefix = "10.0.0.0/9 le 32"
then = "reject"

[policy.other-half]
default = "accept"
[[policy.other-half.clause]]
match.prefix = "10.128.0.0/9 le 32"
then = "reject"
[[policy.other-half.clause]]
match.as_path_length = "1-"
set.community_add = "65000:7"
""")
#: No turn may change more prefixes of a table: a twentieth of it.
MOST_IN_A_TURN = ROUTES // 20


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Tune the garbage collector as the daemon does."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def biggest_step(speakers: Sequence[Speaker], condition: Callable[[], object], patience: float = 60) -> int:
    """Wait for a condition; return by how many prefixes a table changed at most in one turn of the loop meanwhile."""
    biggest = 0
    before = [len(speaker.best(IPV4_UNICAST)) for speaker in speakers]
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0)
            now = [len(speaker.best(IPV4_UNICAST)) for speaker in speakers]
            biggest = max(biggest, *(abs(new - old) for old, new in zip(before, now, strict=True)))
            before = now
    return biggest


def prefixes() -> list[str]:
    return [
        f"{10 if number < 65536 else 11 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24"
        for number in range(ROUTES)
    ]


def sessions(*speakers: Speaker) -> list[int]:
    return [status.established_count for speaker in speakers for status in speaker.peers().values()]


def test_no_turn_is_long_and_no_session_ends() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = place.make(1, asn=64501), place.make(2), place.make(3, asn=64503)
        everything = prefixes()
        for start in range(0, ROUTES, PER_ATTRIBUTE_SET):
            mark = 1 << 16 | start // PER_ATTRIBUTE_SET & 0xFFFF
            one.announce(everything[start : start + PER_ATTRIBUTE_SET], communities=[mark])
        place.join(1, 2, hold_time=3)
        place.join(2, 1, 3, hold_time=3)
        place.join(3, 2, hold_time=3)
        for speaker in place.speakers.values():
            await speaker.start()

        def counts(there: int, further: int) -> bool:
            return len(two.best(IPV4_UNICAST)) == there and len(three.best(IPV4_UNICAST)) == further

        await biggest_step([two, three], lambda: counts(ROUTES, ROUTES))
        two.set_policies(POLICIES["half"], ACCEPT_ALL, {})
        assert two.is_judging
        lower = sum(text.startswith("10.") and int(text.split(".")[1]) < 128 for text in everything)
        step = await biggest_step([two, three], lambda: not two.is_judging and counts(ROUTES - lower, ROUTES - lower))
        assert 0 < step <= MOST_IN_A_TURN

        upper = sum(text.startswith("10.") and int(text.split(".")[1]) >= 128 for text in everything)
        two.set_policies(POLICIES["other-half"], ACCEPT_ALL, {})
        two.set_policies(POLICIES["other-half"], POLICIES["half"], {})
        step = await biggest_step(
            [two, three], lambda: not two.is_judging and counts(ROUTES - upper, ROUTES - upper - lower)
        )
        assert 0 < step <= MOST_IN_A_TURN

        two.set_policies(ACCEPT_ALL, POLICIES["other-half"], {})
        step = await biggest_step([two, three], lambda: not two.is_judging and counts(ROUTES, ROUTES - upper))
        assert 0 < step <= MOST_IN_A_TURN
        assert sessions(one, two, three) == [1, 1, 1, 1]

    with collected_seldom():
        run(scenario)


def test_a_peer_that_is_configured_no_longer_goes_in_slices() -> None:
    async def scenario(place: Town) -> None:
        one, two, three = place.make(1, asn=64501), place.make(2), place.make(3, asn=64503)
        one.announce(prefixes()[: ROUTES // 10])
        place.join(1, 2)
        place.join(2, 1, 3)
        place.join(3, 2)
        for speaker in place.speakers.values():
            await speaker.start()
        await biggest_step([three], lambda: len(three.best(IPV4_UNICAST)) == ROUTES // 10)
        place.join(2, 3)
        step = await biggest_step([two], lambda: not two.best(IPV4_UNICAST))
        assert 0 < step <= ROUTES // 20
        await biggest_step([three], lambda: not three.best(IPV4_UNICAST) and two.is_settled)
        assert two._work.rib.families_of(1) == []

    run(scenario)
