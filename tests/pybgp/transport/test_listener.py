"""Only configured neighbours come in."""

from __future__ import annotations

import asyncio
import errno
import functools
import socket

import pytest
from structlog.testing import capture_logs

from pybgp.errors import LocalError
from pybgp.transport.listener import Listener
from tests.pybgp.transport.peer_examples import LEFT, PATIENCE, RIGHT, listening


async def connect(host: str, port: int, source: str) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(connection, (host, port))
    return connection


async def received(connection: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().sock_recv(connection, 10)


def test_a_configured_neighbour_comes_in_and_a_stranger_is_closed() -> None:
    async def scenario() -> None:
        accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        async with listening(LEFT) as listener:
            listener.admit(RIGHT, accepted.put_nowait)
            with (
                await connect(LEFT, listener.port, RIGHT) as known,
                await connect(LEFT, listener.port, LEFT) as stranger,
            ):
                async with asyncio.timeout(PATIENCE):
                    with await accepted.get() as connection:
                        assert connection.getpeername() == known.getsockname()
                assert await received(stranger) == b""
                assert accepted.empty()
            listener.dismiss(RIGHT)
            with await connect(LEFT, listener.port, RIGHT) as former:
                assert await received(former) == b""

    asyncio.run(scenario())


def test_a_taken_port_is_named() -> None:
    async def scenario() -> None:
        async with listening(LEFT) as listener:
            with pytest.raises(LocalError) as raised:
                Listener(LEFT, listener.port).start()
            assert str(raised.value) == f"cannot listen on {LEFT} port {listener.port}: Address already in use"

    asyncio.run(scenario())


def test_a_host_must_be_an_address() -> None:
    with pytest.raises(LocalError, match="address 'somewhere': "):
        Listener("somewhere")


def test_nobody_is_admitted_before_the_start() -> None:
    with pytest.raises(LocalError, match=f"listener on {LEFT}: not started"):
        Listener(LEFT).admit(RIGHT, lambda connection: None)


class Exhausted:
    """A listening socket of a process that has no file descriptor left."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real

    def accept(self) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()


def test_a_process_without_file_descriptors_rests_instead_of_spinning() -> None:
    async def scenario() -> None:
        async with listening(LEFT) as listener:
            assert listener._socket is not None
            listener._socket = Exhausted(listener._socket)  # type: ignore[assignment]
            listener._accept()
            assert listener._rest is not None
            loop = asyncio.get_running_loop()
            assert not loop.remove_reader(listener._socket)

    asyncio.run(scenario())


def test_a_prefix_lets_everybody_in_and_the_longest_one_decides() -> None:
    async def scenario() -> None:
        seen: list[tuple[str, str]] = []
        accepted = asyncio.Event()

        def note(name: str, connection: socket.socket, address: str) -> str:
            connection.close()
            seen.append((name, address))
            accepted.set()
            return ""

        def single(connection: socket.socket) -> None:
            note("single", connection, LEFT)

        async with listening(LEFT) as listener:
            listener.admit_range("127.0.0.0/16", functools.partial(note, "wide"))
            listener.admit_range("127.0.0.62/32", functools.partial(note, "narrow"))
            listener.admit(LEFT, single)
            for source, expected in ((RIGHT, "narrow"), (LEFT, "single"), ("127.0.0.63", "wide")):
                accepted.clear()
                with await connect(LEFT, listener.port, source):
                    async with asyncio.timeout(PATIENCE):
                        await accepted.wait()
                assert seen[-1] == (expected, source)
            listener.dismiss("127.0.0.0/16")
            with await connect(LEFT, listener.port, "127.0.0.63") as stranger:
                assert await received(stranger) == b""
            assert len(seen) == 3

    asyncio.run(scenario())


def test_a_flood_of_strangers_is_a_line_in_the_log_and_no_more() -> None:
    async def scenario() -> None:
        async with listening(LEFT) as listener:
            with capture_logs() as logs:
                for _ in range(20):
                    with await connect(LEFT, listener.port, RIGHT) as stranger:
                        assert await received(stranger) == b""
            assert [(entry["event"], entry["address"]) for entry in logs] == [("connection_refused", RIGHT)]
            assert "held down" in logs[0]["reason"]

    asyncio.run(scenario())
