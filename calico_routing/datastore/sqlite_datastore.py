"""The embedded datastore: one SQLite file, shared by all processes of a host (daemons and CNI calls)."""

from __future__ import annotations

import os
import sqlite3
import time
from _thread import RLock

from calico_routing.datastore.documents import Change, DocumentDatastore, Row
from calico_routing.datastore.interface import DELETED, DatastoreError, Watch, WatchExpired
from calico_routing.datastore.wake_up import Directory, Doorbell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Final

    from calico_routing.datastore.interface import WatchEvent
    from calico_routing.model.resource import Resource

#: "pybg", in the header of the file.
APPLICATION_ID: Final = 0x70796267
SCHEMA_VERSION: Final = 1
#: changes that a watch may be behind, and how often older ones are dropped.
HISTORY: Final = 4096
COMPACTION_INTERVAL: Final = 256
#: how long a call waits for other processes.
BUSY_SECONDS: Final = 10.0
#: a watch looks by itself so often, in case that a datagram was lost.
SAFETY_NET_SECONDS: Final = 1.0
#: a watch delivers so many changes at once.
LARGEST_BATCH: Final = 1000

IDENTITY: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
FROM pragma_application_id, pragma_user_version
"""
SCHEMA: Final = """
CREATE TABLE counter (revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 1);
CREATE TABLE resources (
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (kind, namespace, name)
);
CREATE TABLE changes (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL,
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL
);
"""


class SqliteDatastore(DocumentDatastore):
    """Rows in a table, changes in a bounded log; a killed process leaves at most an unfinished step that is undone."""

    def __init__(
        self, path: str, *, create: bool = True, history: int = HISTORY, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Open the file, or make it; DatastoreError leaves a file that is not ours as it was."""
        self.path = os.path.abspath(path)  # noqa: PTH100 - pathlib takes 9 ms to load
        self.label = f"datastore {self.path}"
        self._history = history
        self._busy_seconds = busy_seconds
        self._lock = RLock()
        self._watches: list[_SqliteWatch] = []
        self._database: sqlite3.Connection | None = None
        with _Guard(self):
            self._database = _connect(self.path, create, busy_seconds)
            try:
                self._prepare(self._database)
            except BaseException:
                self._database.close()
                raise
        self._directory = Directory(f"{self.path}.watchers")

    def _prepare(self, database: sqlite3.Connection) -> None:
        if not self._is_ours(database):
            _retry_while_busy(lambda: database.execute("PRAGMA journal_mode = WAL").fetchone(), self._busy_seconds)
            database.execute("BEGIN IMMEDIATE")
            if not self._is_ours(database):
                for statement in SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            database.execute("COMMIT")
        # After the crash of a process nothing is lost; after that of the machine the last changes may be.
        database.execute("PRAGMA synchronous = NORMAL")

    def _is_ours(self, database: sqlite3.Connection) -> bool:
        """Tell an initialised store from an empty file; DatastoreError when it is something else."""
        # In one statement: another process may make the store between two.
        application, version, tables = database.execute(IDENTITY).fetchone()
        if application == APPLICATION_ID and version == SCHEMA_VERSION:
            return True
        if application == APPLICATION_ID:
            raise DatastoreError(f"{self.label}: has schema version {version}, this release reads {SCHEMA_VERSION}")
        if application or version or tables:
            raise DatastoreError(f"{self.label}: is an SQLite file of another program")
        return False

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise DatastoreError(f"{self.label} is closed")
        return self._database

    def _transaction(self) -> _Transaction:
        return _Transaction(self)

    def _find(self, kind: str, namespace: str, name: str) -> Row | None:
        query = "SELECT value, revision FROM resources WHERE kind = ? AND namespace = ? AND name = ?"
        with _Guard(self):
            found = self._connection().execute(query, (kind, namespace, name)).fetchone()
        return found and Row(kind=kind, namespace=namespace, name=name, value=found[0], revision=found[1])

    def _rows(self, kind: str, namespace: str | None, prefix: str) -> tuple[Sequence[Row], int]:
        query = "SELECT namespace, name, value, revision FROM resources WHERE kind = ?"
        parameters = [kind]
        if namespace is not None:
            query += " AND namespace = ?"
            parameters.append(namespace)
        if prefix:
            # No character of a name comes after this one.
            query += " AND name >= ? AND name < ?"
            parameters += [prefix, prefix + "\x7f"]
        with _Snapshot(self) as database:
            revision, _ = self._counter(database)
            found = database.execute(query + " ORDER BY namespace, name", parameters).fetchall()
        return [
            Row(kind=kind, namespace=namespace, name=name, value=value, revision=revision)
            for namespace, name, value, revision in found
        ], revision

    def _counter(self, database: sqlite3.Connection) -> tuple[int, int]:
        row = database.execute("SELECT revision, compacted FROM counter").fetchone()
        if row is None:
            raise DatastoreError(f"{self.label} is damaged: it has no revision")
        return row[0], row[1]

    def _record(self, change: str, kind: str, namespace: str, name: str, value: str) -> int:
        database = self._connection()
        revision = self._counter(database)[0] + 1
        key = (kind, namespace, name)
        database.execute("UPDATE counter SET revision = ?", (revision,))
        if change == DELETED:
            database.execute("DELETE FROM resources WHERE kind = ? AND namespace = ? AND name = ?", key)
        else:
            database.execute("REPLACE INTO resources VALUES (?, ?, ?, ?, ?)", (*key, value, revision))
        database.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", (revision, change, *key, value))
        if revision % min(COMPACTION_INTERVAL, self._history) == 0:
            self._compact(database, revision - self._history)
        return revision

    def _compact(self, database: sqlite3.Connection, revision: int) -> None:
        """Forget the changes up to a revision."""
        if revision > self._counter(database)[1]:
            database.execute("DELETE FROM changes WHERE revision <= ?", (revision,))
            database.execute("UPDATE counter SET compacted = ?", (revision,))

    def watch(self, kinds: Sequence[type[Resource]], since: str) -> Watch:
        """Watch kinds from the revision of a listing on."""
        if not (since.isascii() and since.isdigit()):
            raise WatchExpired(f"{self.label}: {since!r} is no revision of it")
        self._connection()
        watch = _SqliteWatch(self, Doorbell(self._directory), tuple([kind.KIND for kind in kinds]), int(since))
        with self._lock:
            self._watches.append(watch)
        return watch

    def _changes_after(self, position: int, kinds: Sequence[str]) -> tuple[list[Change], int]:
        """Return the next changes of the kinds after a revision, and the revision up to which nothing is missing."""
        marks = ", ".join("?" * len(kinds))
        query = (
            "SELECT type, kind, namespace, name, value, revision FROM changes "  # noqa: S608 - only question marks vary
            f"WHERE revision > ? AND kind IN ({marks}) ORDER BY revision LIMIT {LARGEST_BATCH}"
        )
        with _Snapshot(self) as database:
            revision, compacted = self._counter(database)
            if position == revision:
                return [], position
            if not compacted <= position <= revision:
                raise WatchExpired(f"{self.label}: the changes since revision {position} are forgotten")
            found = database.execute(query, (position, *kinds)).fetchall()
        changes = [
            Change(type=change, row=Row(kind=kind, namespace=namespace, name=name, value=value, revision=at))
            for change, kind, namespace, name, value, at in found
        ]
        return changes, changes[-1].row.revision if len(changes) == LARGEST_BATCH else revision

    def _forget(self, watch: _SqliteWatch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def close(self) -> None:
        """Close the file and end the watches of this process."""
        for watch in tuple(self._watches):
            watch.close()
        with self._lock:
            self._directory.close()
            database, self._database = self._database, None
            if database is not None:
                database.close()


class _Guard:
    """One thread at a time, and every error of SQLite as one line of ours."""

    def __init__(self, datastore: SqliteDatastore) -> None:
        self._datastore = datastore

    def __enter__(self) -> None:
        self._datastore._lock.acquire()  # noqa: SLF001 - a part of the store

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave(error)

    def leave(self, error: BaseException | None) -> None:
        self._datastore._lock.release()  # noqa: SLF001 - as above
        if isinstance(error, sqlite3.Error):
            raise DatastoreError(f"{self._datastore.label}: {_in_words(error)}") from error


class _Scope:
    """Statements between BEGIN and COMMIT; undone on any error, part of the outer one when nested."""

    begin = "BEGIN"

    def __init__(self, datastore: SqliteDatastore) -> None:
        self._datastore = datastore
        self._guard = _Guard(datastore)
        self._nested = False

    def __enter__(self) -> sqlite3.Connection:
        self._guard.__enter__()
        try:
            database = self._datastore._connection()  # noqa: SLF001 - a part of the store
            self._nested = database.in_transaction
            if not self._nested:
                database.execute(self.begin)
        except BaseException as error:
            self._guard.leave(error)
            raise
        return database

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._nested:
                self._finish(self._datastore._connection(), error)  # noqa: SLF001 - as above
        except sqlite3.Error as failure:
            error = failure
        self._guard.leave(error)

    def _finish(self, database: sqlite3.Connection, error: BaseException | None) -> None:
        try:
            if error is None:
                database.execute("COMMIT")
        finally:
            # SQLite itself has rolled back after some errors, a full disk for one.
            if database.in_transaction:
                database.execute("ROLLBACK")


class _Snapshot(_Scope):
    """Reads of one state of the store."""


class _Transaction(_Scope):
    """A change, announced to all watchers once it is stored."""

    begin = "BEGIN IMMEDIATE"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is None:
            self._datastore._directory.wake_all()  # noqa: SLF001 - a part of the store


class _SqliteWatch(Watch):
    def __init__(self, datastore: SqliteDatastore, doorbell: Doorbell, kinds: tuple[str, ...], position: int) -> None:
        self._datastore = datastore
        self._doorbell = doorbell
        self._kinds = kinds
        self._position = position
        self._closed = False
        self._waiting = RLock()

    @property
    def closed(self) -> bool:
        return self._closed

    def wait(self, timeout: float | None = None) -> list[WatchEvent]:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._waiting:
            while not self._closed:
                store = self._datastore
                changes, self._position = store._changes_after(self._position, self._kinds)  # noqa: SLF001 - a part
                if changes:
                    return [store._event(change) for change in changes]  # noqa: SLF001 - as above
                remaining = SAFETY_NET_SECONDS if deadline is None else deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._doorbell.wait(min(remaining, SAFETY_NET_SECONDS))
        return []

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._doorbell.ring()
        with self._waiting:
            self._doorbell.close()
        self._datastore._forget(self)  # noqa: SLF001 - as above


def _connect(path: str, create: bool, busy_seconds: float) -> sqlite3.Connection:
    if create:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - as above
        except OSError as error:
            raise DatastoreError(f"datastore {path}: {error.strerror}") from error
    elif not os.path.exists(path):  # noqa: PTH110 - as above
        raise DatastoreError(f"datastore {path} does not exist")
    return sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)


def _retry_while_busy(step: Callable[[], object], seconds: float) -> None:
    """Repeat a step for which SQLite does not wait by itself while another process opens the same new file."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _in_words(error: sqlite3.Error) -> str:
    """Put an error of SQLite in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return f"is busy: another process has kept it for too long ({text})"
    return text
