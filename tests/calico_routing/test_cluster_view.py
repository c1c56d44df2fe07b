"""Snapshots of the store in the loop: first state, changes, errors, expiry, end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from calico_routing.cluster_snapshot import ClusterSnapshot
from calico_routing.cluster_view import ClusterView
from calico_routing.datastore.interface import Datastore, DatastoreError
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.model.resources import Node

from .clusters import MESH, affinity, node, pool

LIMIT_SECONDS = 10


class Inbox:
    """What was delivered; a condition can be awaited."""

    def __init__(self) -> None:
        self.snapshots: list[ClusterSnapshot] = []
        self.arrived = asyncio.Event()

    def deliver(self, snapshot: ClusterSnapshot) -> None:
        self.snapshots.append(snapshot)
        self.arrived.set()

    async def until(self, condition: Callable[[ClusterSnapshot], bool]) -> ClusterSnapshot:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not self.snapshots or not condition(self.snapshots[-1]):
                self.arrived.clear()
                await self.arrived.wait()
        return self.snapshots[-1]


def follow(open_store: Callable[[], Any], body: Callable[[Inbox], Awaitable[None]]) -> None:
    async def run() -> None:
        inbox = Inbox()
        view = ClusterView("worker-01", open_store, asyncio.get_running_loop(), inbox.deliver)
        view.start()
        try:
            await body(inbox)
        finally:
            await asyncio.to_thread(view.stop)

    asyncio.run(run())


def shared(store: Datastore) -> Callable[[], contextlib.AbstractContextManager[Datastore]]:
    return lambda: contextlib.nullcontext(store)


def test_first_the_whole_state_then_each_change() -> None:
    store = MemoryDatastore()
    for one in MESH:
        store.create(one)

    async def body(inbox: Inbox) -> None:
        await inbox.until(lambda snapshot: len(snapshot.nodes) == 3)
        store.create(pool("p", "192.168.0.0/16"))
        await inbox.until(lambda snapshot: "p" in snapshot.pools)
        store.create(affinity("worker-01", "192.168.5.0/26", "pending"))
        found = await inbox.until(lambda snapshot: bool(snapshot.affinities))
        assert found.blocks() == ()
        (pending,) = found.affinities.values()
        store.update(pending.replace(state="confirmed"))
        await inbox.until(lambda snapshot: snapshot.blocks() == ("192.168.5.0/26",))
        store.delete(store.get(Node, "worker-02"))
        await inbox.until(lambda snapshot: len(snapshot.nodes) == 2)

    follow(shared(store), body)


def test_blocks_of_other_nodes_wake_nobody() -> None:
    store = MemoryDatastore()
    store.create(node("worker-01", "10.0.0.12/24"))

    async def body(inbox: Inbox) -> None:
        await inbox.until(lambda snapshot: "worker-01" in snapshot.nodes)
        count = len(inbox.snapshots)
        store.create(affinity("worker-02", "192.168.77.128/26"))
        store.create(pool("p", "192.168.0.0/16"))
        found = await inbox.until(lambda snapshot: "p" in snapshot.pools)
        assert not found.affinities
        assert len(inbox.snapshots) == count + 1

    follow(shared(store), body)


def test_store_errors_are_survived_with_a_back_off() -> None:
    store = MemoryDatastore()
    store.create(node("worker-01", "10.0.0.12/24"))
    attempts: list[float] = []

    @contextlib.contextmanager
    def unsteady() -> Iterator[Datastore]:
        attempts.append(time.monotonic())
        if len(attempts) <= 3:
            raise DatastoreError("the disk is away")
        yield store

    async def body(inbox: Inbox) -> None:
        await inbox.until(lambda snapshot: "worker-01" in snapshot.nodes)

    follow(unsteady, body)
    gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert gaps[2] >= 0.4


def test_an_expired_watch_lists_again() -> None:
    store = MemoryDatastore(history=4)
    store.create(node("worker-01", "10.0.0.12/24"))

    async def body(inbox: Inbox) -> None:
        await inbox.until(lambda snapshot: "worker-01" in snapshot.nodes)
        with store._transaction():
            for number in range(20):
                store.create(node(f"n{number}", f"10.0.1.{number}/24"))
        await inbox.until(lambda snapshot: len(snapshot.nodes) == 21)

    follow(shared(store), body)


def test_after_the_end_nothing_is_delivered() -> None:
    store = MemoryDatastore()

    async def run() -> None:
        inbox = Inbox()
        view = ClusterView("worker-01", shared(store), asyncio.get_running_loop(), inbox.deliver)
        view.start()
        await inbox.until(lambda _: True)
        store.create(node("late", "10.0.0.1/24"))
        await asyncio.to_thread(view.stop)
        count = len(inbox.snapshots)
        await asyncio.sleep(0)
        assert len(inbox.snapshots) == count
        assert not view._thread.is_alive()

    asyncio.run(run())


@pytest.mark.parametrize("state", ["before", "after"])
def test_it_can_be_stopped_while_the_store_is_away(state: str) -> None:
    @contextlib.contextmanager
    def away() -> Iterator[Datastore]:
        raise DatastoreError(f"{state}: away")
        yield

    async def run() -> None:
        view = ClusterView("worker-01", away, asyncio.get_running_loop(), lambda _: None)
        view.start()
        await asyncio.to_thread(view.stop)
        assert not view._thread.is_alive()

    asyncio.run(run())
