"""How a command asks the running daemon; light, so that `pybgp-node status` starts fast."""

from __future__ import annotations

import json
import socket
from typing import Any, Final

TIMEOUT_SECONDS: Final = 2.0


class DaemonNotRunningError(Exception):
    """Nobody answers on the socket."""


class DaemonAnswerError(Exception):
    """Somebody answered, but not what was asked."""


def ask(path: str, request: str) -> dict[str, Any]:
    """Return the daemon's answer to a request."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT_SECONDS)
        try:
            client.connect(path)
        except PermissionError as error:
            raise DaemonAnswerError(f"{path}: {error.strerror}") from error
        except OSError as error:
            raise DaemonNotRunningError(f"{path}: {error.strerror or error}") from error
        try:
            client.sendall(request.encode() + b"\n")
            with client.makefile("rb") as stream:
                answer = json.loads(stream.read())
        except (OSError, ValueError) as error:
            raise DaemonAnswerError(f"{path}: no sensible answer to {request!r}: {error}") from error
    if not isinstance(answer, dict) or "error" in answer:
        raise DaemonAnswerError(f"{path}: {answer}")
    return answer
