"""`pybgp-node peers` and `peer NAME`: all neighbours in a line each, and one in full."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from calico_routing.cli.daemon_answer import print_list, until_end, with_answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_HEADERS: Final = ("NAME", "ADDRESS", "AS", "STATE", "SINCE", "RECEIVED", "UPDATES IN/OUT", "LAST ERROR")
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def peers(options: argparse.Namespace) -> int:
    """Print the table of all neighbours."""

    def show(documents: Iterator[dict[str, Any]]) -> None:
        if options.output == "json":
            print_list("peers", documents)
            return
        rows = [_HEADERS, *(peer_row(peer, time.time()) for peer in until_end(documents))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    return with_answer(options, "peers", {}, show)


def peer(options: argparse.Namespace) -> int:
    """Print everything about one neighbour."""
    from calico_routing.peer_detail import render_peer  # noqa: PLC0415 - the library, which `peers` does without

    def show(documents: Iterator[dict[str, Any]]) -> None:
        for document in documents:
            if options.output == "json":
                print(json.dumps(document, indent=2))
            else:
                print(render_peer(document), end="")

    return with_answer(options, "peer", {"peer": options.peer}, show)


def peer_row(document: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """Return the cells of one neighbour."""
    state = document["state"] + (" (disabled)" if document["disabled"] else "")
    updates = f"{document['received'].get('UPDATE', 0)}/{document['sent'].get('UPDATE', 0)}"
    return (
        document["name"],
        document["address"],
        str(document["remote_as"]),
        state,
        duration(now - document["since"]),
        str(document["prefixes_received"]),
        updates,
        document["last_error"],
    )


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit and the next one."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return "".join([*parts, f"{rest}s"][:2])
