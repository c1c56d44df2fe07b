"""The control socket: who may ask, what is answered, and what happens to leftovers."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, ask
from calico_routing.control_socket import ControlServer, ControlSocketError

ANSWERS = {"status": lambda: {"peers": [], "node": "worker-01"}}


def serve(path: Path, body: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        server = ControlServer(str(path), ANSWERS)
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
