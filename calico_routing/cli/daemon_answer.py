"""What all commands share that ask the running daemon: where it is, and what its absence or refusal means."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.cli.status import configured_socket
from calico_routing.control_client import DaemonAnswerError, DaemonNotRunningError, follow

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    Documents = Iterator[dict[str, Any]]


def with_answer(
    options: argparse.Namespace, word: str, arguments: Mapping[str, Any], show: Callable[[Documents], int | None]
) -> int:
    """Send a command and let ``show`` print what comes; return the exit status."""
    path = options.socket or configured_socket(options.config)
    if path is None:
        return ExitCode.CONFIGURATION
    try:
        return show(follow(path, word, arguments)) or ExitCode.OK
    except (DaemonNotRunningError, DaemonAnswerError) as error:
        return complain(error, ExitCode.FAILURE)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def head_of(documents: Documents) -> dict[str, Any]:
    """Return the first document; DaemonAnswerError if there is none."""
    for document in documents:
        return document
    raise DaemonAnswerError("no answer came; the daemon may have stopped")


def print_list(name: str, documents: Documents) -> None:
    """Print the head and the lines behind it as one JSON document, a line each, while they come."""
    head = head_of(documents)
    print(json.dumps(head)[:-1] + f', "{name}": [', end="")
    separator = "\n"
    for document in documents:
        if document.get("end"):
            rest = {key: value for key, value in document.items() if key != "end"}
            print("\n]" + (", " + json.dumps(rest)[1:-1] if rest else "") + "}")
            return
        print(separator + json.dumps(document), end="")
        separator = ",\n"
    raise DaemonAnswerError("the answer ended too early; the daemon may have stopped")


def until_end(documents: Documents) -> Iterator[dict[str, Any]]:
    """Yield the lines between the head and the end."""
    head_of(documents)
    for document in documents:
        if document.get("end"):
            return
        yield document
    raise DaemonAnswerError("the answer ended too early; the daemon may have stopped")
