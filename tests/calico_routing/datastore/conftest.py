"""Both stores, for tests that must hold for any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calico_routing.datastore.interface import Datastore
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.datastore.sqlite_datastore import SqliteDatastore

OpenStore = Callable[..., Datastore]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open an empty store; further keywords go to its constructor."""
    opened: list[Datastore] = []

    def open_one(**options: int) -> Datastore:
        if request.param == "memory":
            store: Datastore = MemoryDatastore(**options)
        else:
            store = SqliteDatastore(str(tmp_path / f"{len(opened)}.db"), **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Datastore:
    return open_store()
