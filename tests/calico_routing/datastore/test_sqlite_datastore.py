"""What only the SQLite store must stand: damage, other programs, full disks, and other processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from calico_routing.datastore import sqlite_datastore
from calico_routing.datastore.interface import DatastoreError
from calico_routing.datastore.memory_datastore import MemoryDatastore
from calico_routing.datastore.open import open_datastore
from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.model.resources import IPPool, Metadata, Node

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def node(name: str) -> Node:
    return Node(metadata=Metadata(name=name))


def one_line(error: pytest.ExceptionInfo[DatastoreError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_content_outlives_the_process(path: Path) -> None:
    with SqliteDatastore(str(path)) as store:
        created = store.create(node("a"))
    with SqliteDatastore(str(path)) as store:
        assert store.get(Node, "a") == created
        assert store.list(Node).revision == created.resource_version


@pytest.mark.parametrize(
    "content",
    [b"garbage" * 100, b"SQLite format 3\0" + b"\xff" * 500, os.urandom(8192)],
    ids=["text", "header", "random"],
)
def test_a_file_that_is_no_store_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DatastoreError) as caught:
        SqliteDatastore(str(path))
    assert "not a database" in one_line(caught, path)
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_file_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    content = path.read_bytes()
    with pytest.raises(DatastoreError) as caught:
        SqliteDatastore(str(path))
    assert "is an SQLite file of another program" in one_line(caught, path)
    assert path.read_bytes() == content


def test_another_schema_version_is_left_alone(path: Path) -> None:
    SqliteDatastore(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 99")
    content = path.read_bytes()
    with pytest.raises(DatastoreError) as caught:
        SqliteDatastore(str(path))
    assert "has schema version 99, this release reads 1" in one_line(caught, path)
    assert path.read_bytes() == content


def test_a_damaged_page_is_an_error_of_one_line(path: Path) -> None:
    with SqliteDatastore(str(path)) as store:
        for number in range(200):
            store.create(Node(metadata=Metadata(name=f"node-{number}", labels={"x": "y" * 200})))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\x5a" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(DatastoreError) as caught, SqliteDatastore(str(path)) as store:
        store.list(Node)
    one_line(caught, path)
    assert path.read_bytes() == bytes(content)


def test_a_damaged_value_names_the_resource(path: Path) -> None:
    with SqliteDatastore(str(path)) as store:
        store.create(node("a"))
        store.create(node("b"))
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE resources SET value = '{\"spec\": 7' WHERE name = 'a'")
        with pytest.raises(DatastoreError) as caught:
            store.get(Node, "a")
        assert "Node a is damaged" in one_line(caught, path)
        assert store.get(Node, "b").name == "b"


def test_a_missing_file_is_an_error_without_create(path: Path) -> None:
    with pytest.raises(DatastoreError) as caught:
        SqliteDatastore(str(path), create=False)
    assert "does not exist" in one_line(caught, path)
    assert not path.exists()


def test_the_directory_is_made_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "var" / "lib" / "store.db"
    SqliteDatastore(str(path)).close()
    assert path.exists()


def test_a_path_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file" / "store.db", tmp_path):
        with pytest.raises(DatastoreError) as caught:
            SqliteDatastore(str(wrong))
        one_line(caught, wrong)


def test_a_file_that_may_not_be_written_is_an_error() -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "store.db"
        with SqliteDatastore(str(path)) as store:
            store.create(node("a"))
        content = path.read_bytes()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        text = failure_of_somebody(path)
        path.parent.chmod(0o755)
        assert "readonly database" in text or "unable to open database file" in text
        assert "\n" not in text
        assert str(path) in text
        assert path.read_bytes() == content


def failure_of_somebody(path: Path) -> str:
    """Write as a child process; that of root, who may write anything, becomes nobody."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            SqliteDatastore(str(path)).create(node("b"))
        except BaseException as error:  # noqa: BLE001 - the parent looks at it
            os.write(sender, str(error).encode())
        os._exit(0)
    os.close(sender)
    os.waitpid(child, 0)
    with os.fdopen(receiver, "rb") as pipe:
        return pipe.read().decode()


def test_a_full_disk_undoes_the_change(path: Path) -> None:
    with SqliteDatastore(str(path)) as store:
        kept = store.create(node("a"))
        pages = store._connection().execute("PRAGMA page_count").fetchone()[0]
        store._connection().execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DatastoreError, match="database or disk is full") as caught:
            store.create(Node(metadata=Metadata(name="b", labels={"x": "y" * 100_000})))
        one_line(caught, path)
        assert store.list(Node).items == (kept,)
        store._connection().execute("PRAGMA max_page_count = 100000")
        assert store.update(kept).name == "a"


def test_waiting_for_others_is_bounded(path: Path) -> None:
    with SqliteDatastore(str(path), busy_seconds=0.2) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            with pytest.raises(DatastoreError, match="is busy: another process") as caught:
                store.create(node("a"))
            assert time.monotonic() - started < 2
            one_line(caught, path)
            assert store.list(Node).items == ()
            other.execute("ROLLBACK")
        store.create(node("a"))


def test_overlapping_pools_of_two_processes_are_refused(path: Path) -> None:
    with SqliteDatastore(str(path)) as one, SqliteDatastore(str(path)) as two:
        one.create(IPPool(metadata=Metadata(name="p"), cidr="10.0.0.0/16"))
        with pytest.raises(ValueError, match="overlaps IPPool p"):
            two.create(IPPool(metadata=Metadata(name="q"), cidr="10.0.0.0/8"))


def test_the_log_of_changes_is_bounded(path: Path) -> None:
    with SqliteDatastore(str(path), history=10) as store:
        current = store.create(node("a"))
        for _ in range(50):
            current = store.update(current)
        (count,) = store._connection().execute("SELECT count(*) FROM changes").fetchone()
        assert count <= 20


def test_urls(path: Path) -> None:
    with open_datastore(f"sqlite://{path}") as store:
        assert isinstance(store, SqliteDatastore)
    assert isinstance(open_datastore("memory:"), MemoryDatastore)
    for wrong in ("sqlite://store.db", "etcd://x", "", "/var/lib/store.db"):
        with pytest.raises(DatastoreError, match="is neither"):
            open_datastore(wrong)
    with pytest.raises(DatastoreError, match="does not exist"):
        open_datastore(f"sqlite://{path}.other", create=False)


WATCHER = """
import sys, time
from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.model.resources import Node
store = SqliteDatastore(sys.argv[1])
watch = store.watch([Node], store.list(Node).revision)
print("ready", flush=True)
while True:
    for event in watch.wait(5):
        print(event.resource.name, time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
"""


@pytest.fixture
def watcher(path: Path) -> Iterator[subprocess.Popen[str]]:
    SqliteDatastore(str(path)).close()
    process = subprocess.Popen([sys.executable, "-c", WATCHER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_sees_a_change_within_20_ms(path: Path, watcher: subprocess.Popen[str]) -> None:
    assert watcher.stdout is not None
    delays = []
    with SqliteDatastore(str(path)) as store:
        for number in range(30):
            store.create(node(f"n{number}"))
            written = time.clock_gettime(time.CLOCK_MONOTONIC)
            name, received = watcher.stdout.readline().split()
            assert name == f"n{number}"
            delays.append(float(received) - written)
    assert sorted(delays)[len(delays) // 2] < 0.02


def test_a_lost_wake_up_costs_a_second(path: Path, watcher: subprocess.Popen[str]) -> None:
    assert watcher.stdout is not None
    with SqliteDatastore(str(path)) as store:
        for entry in Path(f"{path}.watchers").iterdir():
            entry.unlink()
        store.create(node("a"))
        started = time.monotonic()
        assert watcher.stdout.readline().split()[0] == "a"
        assert time.monotonic() - started < 2


def test_the_sockets_of_killed_watchers_are_removed(path: Path, watcher: subprocess.Popen[str]) -> None:
    directory = Path(f"{path}.watchers")
    assert len(list(directory.iterdir())) == 1
    os.kill(watcher.pid, signal.SIGKILL)
    watcher.wait()
    with SqliteDatastore(str(path)) as store:
        store.create(node("a"))
        assert list(directory.iterdir()) == []


def test_a_closed_watch_removes_its_socket(path: Path) -> None:
    with SqliteDatastore(str(path)) as store:
        watch = store.watch([Node], store.list(Node).revision)
        assert len(list(Path(f"{path}.watchers").iterdir())) == 1
        watch.close()
        assert list(Path(f"{path}.watchers").iterdir()) == []


def test_a_long_path_can_be_watched(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100) / "store.db"
    with SqliteDatastore(str(path)) as store, store.watch([Node], store.list(Node).revision) as watch:
        store.create(node("a"))
        started = time.monotonic()
        assert len(watch.wait(5)) == 1
        assert time.monotonic() - started < 0.5
        store.create(node("b"))
        assert len(watch.wait(5)) == 1


def test_an_idle_watch_looks_once_a_second(path: Path) -> None:
    with SqliteDatastore(str(path)) as store, store.watch([Node], store.list(Node).revision) as watch:
        statements: list[str] = []
        store._connection().set_trace_callback(statements.append)
        assert watch.wait(2.5) == []
        store._connection().set_trace_callback(None)
    assert len([text for text in statements if "counter" in text]) <= 4


OPENER = """
import sys
from calico_routing.datastore.sqlite_datastore import SqliteDatastore
from calico_routing.model.resources import Metadata, Node
with SqliteDatastore(sys.argv[1]) as store:
    store.create(Node(metadata=Metadata(name=sys.argv[2])))
"""


def test_many_processes_may_make_the_store_at_once(path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(path), f"n{number}"], cwd=ROOT, stderr=subprocess.PIPE)
        for number in range(8)
    ]
    outputs = [process.communicate(timeout=60)[1] for process in processes]
    assert outputs == [b""] * 8
    with SqliteDatastore(str(path)) as store:
        assert len(store.list(Node).items) == 8
        assert store.list(Node).revision == "9"


def test_another_process_may_make_the_store_while_we_look(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite_datastore._connect
    looks: list[str] = []

    def look(statement: str) -> None:
        # A part of the statement that runs starts with a comment.
        if not statement.startswith("--"):
            looks.append(statement)
        if len(looks) == 2 and not path.stat().st_size:
            subprocess.run([sys.executable, "-c", OPENER, str(path), "theirs"], cwd=ROOT, check=True)

    def watched(path: str, create: bool, busy_seconds: float) -> sqlite3.Connection:
        database = connect(path, create, busy_seconds)
        database.set_trace_callback(look)
        return database

    monkeypatch.setattr(sqlite_datastore, "_connect", watched)
    with SqliteDatastore(str(path)) as store:
        assert store.get(Node, "theirs")
