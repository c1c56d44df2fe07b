"""A datastore in the memory of one process, for tests and for a single node without a file."""

from __future__ import annotations

import threading
import time
from collections import deque

from calico_routing.datastore.documents import Change, DocumentDatastore, Row
from calico_routing.datastore.interface import DELETED, DatastoreError, Watch, WatchExpired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from calico_routing.datastore.interface import WatchEvent
    from calico_routing.model.resource import Resource

#: changes that a watch may be behind.
HISTORY = 4096


class MemoryDatastore(DocumentDatastore):
    """Rows in a dict, changes in a bounded log."""

    label = "datastore in memory"

    def __init__(self, *, history: int = HISTORY) -> None:
        """Start empty; ``history`` is how many changes a watch may be behind."""
        self._kept: dict[tuple[str, str, str], Row] = {}
        self._log: deque[Change] = deque(maxlen=history)
        self._revision = 1
        self._compacted = 1
        self._changed = threading.Condition(threading.RLock())
        self._closed = False

    def _transaction(self) -> _Locked:
        return _Locked(self)

    def _check_open(self) -> None:
        if self._closed:
            raise DatastoreError(f"{self.label} is closed")

    def _find(self, kind: str, namespace: str, name: str) -> Row | None:
        with self._changed:
            self._check_open()
            return self._kept.get((kind, namespace, name))

    def _rows(self, kind: str, namespace: str | None, prefix: str) -> tuple[Sequence[Row], int]:
        with self._changed:
            self._check_open()
            found = [
                row
                for row in self._kept.values()
                if row.kind == kind and row.name.startswith(prefix) and namespace in {None, row.namespace}
            ]
            return sorted(found, key=lambda row: (row.namespace, row.name)), self._revision

    def _record(self, change: str, kind: str, namespace: str, name: str, value: str) -> int:
        self._revision += 1
        row = Row(kind=kind, namespace=namespace, name=name, value=value, revision=self._revision)
        if change == DELETED:
            del self._kept[kind, namespace, name]
        else:
            self._kept[kind, namespace, name] = row
        if len(self._log) == self._log.maxlen:
            self._compacted = self._log[0].row.revision
        self._log.append(Change(type=change, row=row))
        self._changed.notify_all()
        return self._revision

    def watch(self, kinds: Sequence[type[Resource]], since: str) -> Watch:
        """Watch kinds from the revision of a listing on."""
        self._check_open()
        return _MemoryWatch(self, frozenset([kind.KIND for kind in kinds]), since)

    def close(self) -> None:
        """End the watches; the content is gone with the object."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _changes_after(self, revision: int, kinds: frozenset[str]) -> tuple[list[Change], int]:
        if not self._compacted <= revision <= self._revision:
            raise WatchExpired(f"{self.label}: the changes since revision {revision} are forgotten")
        changes = [change for change in self._log if change.row.revision > revision and change.row.kind in kinds]
        return changes, self._revision


class _Locked:
    """The transaction of a store in memory: nobody else reads or writes meanwhile."""

    def __init__(self, datastore: MemoryDatastore) -> None:
        self._datastore = datastore

    def __enter__(self) -> None:
        self._datastore._changed.acquire()  # noqa: SLF001 - a part of the store

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._datastore._changed.release()  # noqa: SLF001 - as above


class _MemoryWatch(Watch):
    def __init__(self, datastore: MemoryDatastore, kinds: frozenset[str], since: str) -> None:
        self._datastore = datastore
        self._kinds = kinds
        self._position = position_of(datastore.label, since)
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed or self._datastore._closed  # noqa: SLF001 - a part of the store

    def wait(self, timeout: float | None = None) -> list[WatchEvent]:
        deadline = None if timeout is None else time.monotonic() + timeout
        store = self._datastore
        with store._changed:  # noqa: SLF001 - a part of the store
            while not self.closed:
                changes, self._position = store._changes_after(self._position, self._kinds)  # noqa: SLF001 - as above
                if changes:
                    return [store._event(change) for change in changes]  # noqa: SLF001 - as above
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                store._changed.wait(remaining)  # noqa: SLF001 - as above
        return []

    def close(self) -> None:
        with self._datastore._changed:  # noqa: SLF001 - a part of the store
            self._closed = True
            self._datastore._changed.notify_all()  # noqa: SLF001 - as above


def position_of(label: str, since: str) -> int:
    """Read a revision that this family of stores has given out."""
    if not (since.isascii() and since.isdigit()):
        raise WatchExpired(f"{label}: {since!r} is no revision of it")
    return int(since)
