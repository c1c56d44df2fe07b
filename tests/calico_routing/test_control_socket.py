"""The control socket: who may ask, what is answered, and what happens to leftovers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask, follow
from calico_routing.control_socket import Command, ControlServer, ControlSocketError, RequestError
from calico_routing.time_slices import in_slices

ANSWERS = {"status": lambda: {"peers": [], "node": "worker-01"}}


def serve(path: Path, body: Callable[[], Awaitable[None]], commands: Mapping[str, Command] | None = None) -> None:
    async def run() -> None:
        server = ControlServer(str(path), ANSWERS, None, commands)
        await server.start()
        try:
            await body()
        finally:
            await server.stop()

    asyncio.run(run())


def test_status_is_answered_and_anybody_may_ask(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "node.sock"

    async def body() -> None:
        assert await asyncio.to_thread(ask, str(path), "status") == {"peers": [], "node": "worker-01"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o666

    serve(path, body)
    assert not path.exists()


def test_an_unknown_request_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"

    async def body() -> None:
        with pytest.raises(DaemonAnswerError, match="unknown request 'shutdown'"):
            await asyncio.to_thread(ask, str(path), "shutdown")

    serve(path, body)


def test_an_endless_request_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"

    async def body() -> None:
        with pytest.raises(DaemonAnswerError, match="no sensible answer"):
            await asyncio.to_thread(ask, str(path), "x" * 5000)
        assert await asyncio.to_thread(ask, str(path), "status")

    serve(path, body)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunningError, match=r"none\.sock: No such file"):
        ask(str(tmp_path / "none.sock"), "status")


def test_a_dead_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def body() -> None:
        assert await asyncio.to_thread(ask, str(path), "status")
        second = ControlServer(str(path), ANSWERS)
        with pytest.raises(ControlSocketError, match="another pybgp-node already answers"):
            await second.start()
        await second.stop()
        assert await asyncio.to_thread(ask, str(path), "status")

    serve(path, body)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def body() -> None:
        raise AssertionError("started")

    with pytest.raises(ControlSocketError, match="cannot listen"):
        serve(tmp_path / "file" / "node.sock", body)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A slip in the configuration must not cost somebody a file."""
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ControlSocketError, match="is no socket"):
        serve(path, lambda: asyncio.sleep(0))
    assert path.read_text() == "data"


async def count(arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Count as far as asked, then refuse if that is wanted."""
    async for lines in in_slices(json.dumps({"number": number}) + "\n" for number in range(arguments["to"])):
        yield lines
    if arguments.get("refuse"):
        raise RequestError("that was enough")


def test_a_command_answers_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"

    async def body() -> None:
        found = await asyncio.to_thread(lambda: list(follow(str(path), "count", {"to": 5000})))
        assert [document["number"] for document in found] == list(range(5000))
        with pytest.raises(DaemonAnswerError, match=r"^that was enough$"):
            await asyncio.to_thread(lambda: list(follow(str(path), "count", {"to": 3, "refuse": True})))
        with pytest.raises(DaemonAnswerError, match="a JSON object expected"):
            await asyncio.to_thread(ask, str(path), "count [1]")

    serve(path, body, {"count": Command(count)})


def test_who_leaves_early_leaves_no_work_behind(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    ended = asyncio.Event()

    async def endless(_: Mapping[str, Any]) -> AsyncIterator[bytes]:
        try:
            yield b"{}\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def body() -> None:
        def look_once() -> None:
            documents = follow(str(path), "endless", {})
            assert next(documents) == {}
            documents.close()  # type: ignore[attr-defined]

        await asyncio.to_thread(look_once)
        async with asyncio.timeout(10):
            await ended.wait()

    serve(path, body, {"endless": Command(endless)})


def test_a_long_answer_comes_in_short_turns(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"

    async def body() -> None:
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(None, lambda: sum(1 for _ in follow(str(path), "count", {"to": 300_000})))
        longest, before = 0.0, time.thread_time()
        while not asking.done():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
        assert await asking == 300_000
        assert longest < 0.05

    serve(path, body, {"count": Command(count)})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_only_root_may_change_anything() -> None:
    directory = tempfile.mkdtemp()
    Path(directory).chmod(0o755)
    path = Path(directory) / "node.sock"

    def as_nobody(request: str) -> str:
        """Ask from a process of another user."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(request.encode() + b"\n")
                os.write(writer, client.makefile("rb").read())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as answer:
            return answer.read()

    async def body() -> None:
        assert json.loads(await asyncio.to_thread(as_nobody, "change {}")) == {"error": "only root may do this"}
        assert json.loads(await asyncio.to_thread(as_nobody, 'count {"to": 1}')) == {"number": 0}
        assert json.loads(await asyncio.to_thread(as_nobody, "status"))["node"] == "worker-01"
        assert await asyncio.to_thread(lambda: list(follow(str(path), "change", {"to": 1}))) == [{"number": 0}]

    try:
        serve(path, body, {"count": Command(count), "change": Command(count, root_only=True)})
    finally:
        shutil.rmtree(directory)
