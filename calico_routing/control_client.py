"""How a command asks the running daemon; light, so that `pybgp-node status` starts fast."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT_SECONDS: Final = 2.0


class DaemonNotRunningError(Exception):
    """Nobody answers on the socket."""


class DaemonAnswerError(Exception):
    """Somebody answered, but not what was asked."""


def ask(path: str, request: str) -> dict[str, Any]:
    """Return the daemon's answer to a request."""
    with socket.socket(socket.AF_UNIX) as client:
        _connect(client, path)
        try:
            client.sendall(request.encode() + b"\n")
            with client.makefile("rb") as stream:
                answer = json.loads(stream.read())
        except (OSError, ValueError) as error:
            raise DaemonAnswerError(f"{path}: no sensible answer to {request!r}: {error}") from error
    return _document(path, request, answer)


def follow(path: str, word: str, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the documents that a command of the daemon gives, as they come and for as long as there are any."""
    with socket.socket(socket.AF_UNIX) as client:
        _connect(client, path)
        try:
            client.sendall(f"{word} {json.dumps(arguments)}\n".encode())
            client.settimeout(None)
            with client.makefile("rb") as stream:
                for line in stream:
                    yield _document(path, word, json.loads(line))
        except (OSError, ValueError) as error:
            raise DaemonAnswerError(f"{path}: no sensible answer to {word!r}: {error}") from error


def _connect(client: socket.socket, path: str) -> None:
    client.settimeout(TIMEOUT_SECONDS)
    try:
        client.connect(path)
    except PermissionError as error:
        raise DaemonAnswerError(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise DaemonNotRunningError(f"no agent answers at {path}: {error.strerror or error}") from error


def _document(path: str, word: str, answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise DaemonAnswerError(f"{path}: no sensible answer to {word!r}: {answer!r}")
    if answer.keys() == {"error"}:
        raise DaemonAnswerError(str(answer["error"]))
    return answer
