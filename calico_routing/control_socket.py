"""The daemon's unix socket: one line asks, JSON answers; reading needs no root, changing does.

A question is answered by one document, a command by lines of JSON, one document each, as many as there are.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    Answer = Callable[[], Mapping[str, Any]]
    AnswerAbout = Callable[[str], Mapping[str, Any]]
    #: Takes the arguments of the command, and yields whole lines, any number at a time.
    Lines = Callable[[Mapping[str, Any]], AsyncIterator[bytes]]

READ_TIMEOUT_SECONDS: Final = 2.0
#: A client that takes nothing for so long is cut off.
WRITE_TIMEOUT_SECONDS: Final = 30.0
LONGEST_REQUEST: Final = 4096
#: struct ucred of Linux: process, user, group (unix(7), SO_PEERCRED).
_CREDENTIALS: Final = struct.Struct("iII")
ROOT: Final = 0


class ControlSocketError(Exception):
    """The socket cannot be made, or another daemon already answers on it."""


class RequestError(Exception):
    """A request cannot be fulfilled; the text is for whoever asked."""


class Command(NamedTuple):
    """What a word that a JSON object may follow does."""

    lines: Lines
    #: Whether only root, or the daemon's own user, may.
    root_only: bool = False


class ControlServer:
    """Answers requests by name; anybody may ask, only root may change anything."""

    def __init__(
        self,
        path: str,
        answers: Mapping[str, Answer],
        questions: Mapping[str, AnswerAbout] | None = None,
        commands: Mapping[str, Command] | None = None,
    ) -> None:
        """Name the socket's file and what makes the answers; ``questions`` are words that one argument follows."""
        self._path = path
        self._answers = answers
        self._questions = questions or {}
        self._commands = commands or {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._inode = 0

    async def start(self) -> None:
        """Listen; a socket file that nobody answers on any more is replaced."""
        if await asyncio.to_thread(is_answered, self._path):
            raise ControlSocketError(f"{self._path}: another pybgp-node already answers here")
        listener, self._inode = bind(self._path)
        self._server = await asyncio.start_unix_server(self._accepted, sock=listener, limit=LONGEST_REQUEST)

    async def stop(self) -> None:
        """Stop listening, cut off whoever is being answered, and remove the socket's file if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        for task in self._clients:
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        await self._server.wait_closed()
        remove(self._path, self._inode)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                request = (await reader.readline()).decode("utf-8", "replace").strip()
            word, _, argument = request.partition(" ")
            if word in self._commands:
                await self._run(self._commands[word], argument, reader, writer)
            else:
                await _send(writer, json.dumps(self._answer(request)).encode() + b"\n")
        except (TimeoutError, ValueError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _run(
        self, command: Command, argument: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send what a command yields; one that has nothing to say for long ends when its client goes."""
        gone = asyncio.ensure_future(reader.read(1))
        current = asyncio.current_task()

        def leave(_: object) -> None:
            if current is not None:
                current.cancel()

        gone.add_done_callback(leave)
        try:
            if command.root_only and user_of(writer) not in {ROOT, os.geteuid()}:
                raise RequestError("only root may do this")  # noqa: TRY301 - told like every other refusal
            async for lines in command.lines(arguments_in(argument)):
                await _send(writer, lines)
        except RequestError as error:
            await _send(writer, json.dumps({"error": str(error)}).encode() + b"\n")
        finally:
            gone.remove_done_callback(leave)
            gone.cancel()

    def _answer(self, request: str) -> Mapping[str, Any]:
        word, _, argument = request.partition(" ")
        if word in self._questions:
            return self._questions[word](argument.strip())
        answer = self._answers.get(request)
        if answer is None:
            known = ", ".join(sorted([*self._answers, *self._questions, *self._commands]))
            return {"error": f"unknown request {request!r}; known are {known}"}
        return answer()


async def _send(writer: asyncio.StreamWriter, octets: bytes) -> None:
    writer.write(octets)
    async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
        await writer.drain()


def arguments_in(text: str) -> Mapping[str, Any]:
    """Return the JSON object behind a command's word; RequestError if it is none."""
    if not text.strip():
        return {}
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise RequestError(f"arguments {text[:80]!r}: a JSON object expected") from error
    if not isinstance(arguments, dict):
        raise RequestError(f"arguments {text[:80]!r}: a JSON object expected")
    return arguments


def user_of(writer: asyncio.StreamWriter) -> int:
    """Return the user on the other side of a unix socket."""
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


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
