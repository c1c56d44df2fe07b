"""One thread that lists and watches the datastore and hands immutable snapshots to the event loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from calico_routing.cluster_snapshot import KINDS, ClusterSnapshot, take_snapshot
from calico_routing.datastore.interface import DELETED, Datastore, DatastoreError, Watch, WatchExpired
from calico_routing.model.allocation import BlockAffinity

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from calico_routing.datastore.interface import WatchEvent
    from calico_routing.model.resource import Resource

FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 5.0
#: How long one wait for changes lasts; nothing happens at its end, the thread only looks whether it should stop.
WAIT_SECONDS: Final = 300.0

log = structlog.get_logger(__name__)

Key = tuple[type["Resource"], str]


class ClusterView:
    """Keeps a copy of what routing needs and delivers a snapshot after every batch of changes that matters."""

    def __init__(
        self,
        node_name: str,
        open_store: Callable[[], AbstractContextManager[Datastore]],
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[ClusterSnapshot], None],
    ) -> None:
        """Nothing happens before `start`; `deliver` is called in the loop."""
        self._node_name = node_name
        self._open_store = open_store
        self._loop = loop
        self._deliver = deliver
        self._resources: dict[Key, Resource] = {}
        self._last: ClusterSnapshot | None = None
        self._delay = FIRST_RETRY_SECONDS
        self._stopped = threading.Event()
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="cluster-view", daemon=True)

    def start(self) -> None:
        """Begin to follow the store."""
        self._thread.start()

    def stop(self) -> None:
        """Wake the thread and wait for its end; no snapshot is delivered afterwards."""
        self._stopped.set()
        with self._lock:
            if self._watch is not None:
                self._watch.close()
        self._thread.join()

    def _run(self) -> None:
        """Outlive every failure: a dead thread would leave the node with what it knew last, and nobody would notice."""
        while not self._stopped.is_set():
            try:
                with self._open_store() as store:
                    self._follow(store)
            except WatchExpired:
                continue
            except DatastoreError as error:
                log.warning("datastore_lost", error=str(error), retry_seconds=self._delay)
            except Exception:
                log.exception("cluster_view_failed", retry_seconds=self._delay)
            self._stopped.wait(self._delay)
            self._delay = min(self._delay * 2, LONGEST_RETRY_SECONDS)

    def _follow(self, store: Datastore) -> None:
        """List everything, then apply changes until the store fails or the view is stopped."""
        with store.watch(KINDS, self._list(store)) as watch:
            with self._lock:
                self._watch = watch
            while not self._stopped.is_set():
                events = watch.wait(WAIT_SECONDS)
                self._delay = FIRST_RETRY_SECONDS
                if self._apply(events):
                    self._hand_over()

    def _list(self, store: Datastore) -> str:
        """Replace the copy; the watch goes on from the oldest listing, and seeing a change twice does no harm."""
        resources: dict[Key, Resource] = {}
        since = ""
        for kind in KINDS:
            listing = store.list(kind)
            since = since or listing.revision
            resources |= self._keyed(listing.items)
        self._resources = resources
        self._hand_over()
        return since

    def _keyed(self, items: Iterable[Resource]) -> dict[Key, Resource]:
        return {(type(item), item.name): item for item in items if self._matters(item)}

    def _matters(self, resource: Resource) -> bool:
        return not isinstance(resource, BlockAffinity) or resource.node == self._node_name

    def _apply(self, events: list[WatchEvent]) -> bool:
        changed = False
        for event in events:
            if not self._matters(event.resource):
                continue
            key = (type(event.resource), event.resource.name)
            changed = True
            if event.type == DELETED:
                self._resources.pop(key, None)
            else:
                self._resources[key] = event.resource
        return changed

    def _hand_over(self) -> None:
        snapshot = take_snapshot(self._node_name, self._resources.values())
        if not self._stopped.is_set() and snapshot != self._last:
            self._last = snapshot
            self._loop.call_soon_threadsafe(self._deliver_unless_stopped, snapshot)

    def _deliver_unless_stopped(self, snapshot: ClusterSnapshot) -> None:
        if not self._stopped.is_set():
            self._deliver(snapshot)
