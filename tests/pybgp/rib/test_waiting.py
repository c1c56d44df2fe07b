"""Changes that wait for a group: in order while they come in handy sizes, sorted by path where one is too big."""

from __future__ import annotations

from pybgp.rib.path import Addition, Change, Path, Source
from pybgp.rib.waiting import BUCKET_COST, Waiting
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST


def path(number: int) -> Path:
    attributes = Attributes(bytes([number]), bytes([10, 0, 0, number]))
    return Path(number, Source.EBGP, attributes, attributes)


def keys(first: int, count: int) -> list[bytes]:
    return [bytes([24, 10, *(first + number).to_bytes(2, "big")]) for number in range(count)]


def test_what_came_first_leaves_first_and_is_known_to_be_new() -> None:
    waiting = Waiting(1000)
    additions = [Addition(IPV4_UNICAST, path(number), keys(10 * number, 5)) for number in range(1, 7)]
    waiting.add(additions)
    batches = []
    while waiting:
        batches.append(waiting.take(2 * (5 + BUCKET_COST)))
    assert [[said.peer for said, _ in batch.buckets if said is not None] for batch in batches] == [
        [1, 2],
        [3, 4],
        [5, 6],
    ]
    assert all(batch.are_new for batch in batches)
    assert [bucket[1] for batch in batches for bucket in batch.buckets] == [change.keys for change in additions]
    assert len(waiting) == 0


def test_a_change_that_is_too_big_leaves_in_slices_and_only_the_latest_of_a_prefix_after_it() -> None:
    waiting = Waiting(1000)
    big, later = path(1), path(2)
    waiting.add([Addition(IPV4_UNICAST, big, keys(0, 100)), Change(IPV4_UNICAST, later, keys(0, 1))])
    told: list[tuple[Path | None, bytes]] = []
    while waiting:
        batch = waiting.take(40)
        assert not batch.are_new
        assert sum(len(some) for _, some in batch.buckets) <= 40
        told += [(said, key) for said, some in batch.buckets for key in some]
    assert sorted(key for _, key in told) == keys(0, 100)
    assert [said for said, key in told if key == keys(0, 1)[0]] == [later]
