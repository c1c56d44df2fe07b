"""The daemon's unix socket: one line asks, one JSON document answers; reading status needs no root."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = Callable[[], Mapping[str, Any]]
    AnswerAbout = Callable[[str], Mapping[str, Any]]

READ_TIMEOUT_SECONDS: Final = 2.0
LONGEST_REQUEST: Final = 256


class ControlSocketError(Exception):
    """The socket cannot be made, or another daemon already answers on it."""


class ControlServer:
    """Answers requests by name; anybody may ask, nothing can be changed through it."""

    def __init__(
        self, path: str, answers: Mapping[str, Answer], questions: Mapping[str, AnswerAbout] | None = None
    ) -> None:
        """Name the socket's file and what makes the answers; ``questions`` are words that one argument follows."""
        self._path = path
        self._answers = answers
        self._questions = questions or {}
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen; a socket file that nobody answers on any more is replaced."""
        if await asyncio.to_thread(is_answered, self._path):
            raise ControlSocketError(f"{self._path}: another pybgp-node already answers here")
        listener, self._inode = bind(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LONGEST_REQUEST)

    async def stop(self) -> None:
        """Stop listening and remove the socket's file if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        await self._server.wait_closed()
        remove(self._path, self._inode)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                request = (await reader.readline()).decode("ascii", "replace").strip()
            writer.write(json.dumps(self._answer(request)).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    def _answer(self, request: str) -> Mapping[str, Any]:
        word, _, argument = request.partition(" ")
        if word in self._questions:
            return self._questions[word](argument.strip())
        answer = self._answers.get(request)
        if answer is None:
            known = ", ".join(sorted([*self._answers, *self._questions]))
            return {"error": f"unknown request {request!r}; known are {known}"}
        return answer()


def bind(path: str) -> tuple[socket.socket, int]:
    """Return a bound socket that anybody may connect to, and the inode of its file."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if Path(path).is_socket():
            Path(path).unlink()
        elif Path(path).exists():
            raise FileExistsError(errno.EEXIST, "the file that is there is no socket")
        listener.bind(path)
        Path(path).chmod(0o666)
    except OSError as error:
        listener.close()
        raise ControlSocketError(f"{path}: cannot listen: {error.strerror or error}") from error
    return listener, Path(path).stat().st_ino


def remove(path: str, inode: int) -> None:
    """Remove the socket's file unless another daemon has put its own there."""
    with suppress(FileNotFoundError):
        if Path(path).stat().st_ino == inode:
            Path(path).unlink()


def is_answered(path: str) -> bool:
    """Tell whether somebody listens on a socket file."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(READ_TIMEOUT_SECONDS)
        try:
            client.connect(path)
        except OSError:
            return False
    return True
