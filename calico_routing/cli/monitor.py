"""`pybgp-node monitor` and `history`: what happens from now on, and what happened lately."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from calico_routing.cli.daemon_answer import print_list, until_end, with_answer
from calico_routing.control_client import DaemonAnswerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping


def monitor(options: argparse.Namespace) -> int:
    """Print each event in the moment that it comes."""

    def show(documents: Iterator[dict[str, Any]]) -> None:
        for document in documents:
            if options.output == "json":
                print(json.dumps(document), flush=True)
            elif "event" in document:
                print(event_text(document), flush=True)
            if document.get("event") == "gap":
                raise DaemonAnswerError(f"too slow: {document['lost']} events are lost")

    return with_answer(options, "monitor", {"views": options.view or ["loc"]}, show)


def history(options: argparse.Namespace) -> int:
    """Print past changes, the latest last."""

    def show(documents: Iterator[dict[str, Any]]) -> None:
        if options.output == "json":
            print_list("changes", documents)
            return
        for document in until_end(documents):
            print(change_text(document))

    return with_answer(options, "history", {"prefix": options.prefix or "", "peer": options.peer or ""}, show)


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event as a line for people."""
    front = f"{_clock(event['time'])} {event.get('peer', '')}"
    if event["event"] == "route":
        shown = " ".join(f"{name}={value}" for name, value in event.get("attributes", {}).items() if value)
        return f"{front} {event['view']} {event['action']} {' '.join(event['prefixes'])} {shown}".rstrip()
    shown = " ".join(
        f"{name}={value}"
        for name, value in event.items()
        if name not in {"sequence", "time", "event", "peer"} and value
    )
    return f"{front} {event['event']} {shown}".rstrip()


def change_text(change: Mapping[str, Any]) -> str:
    """Return a past change as a line for people."""
    front = f"{_clock(change['time'])} {change['action']}"
    if change["action"] == "session":
        return f"{front} {change['from']} -> {change['to']}: {change['cause']}"
    cause = f"{change['cause']} of {change['by']}" if change["by"] else change["cause"]
    shown = " ".join(f"{name}={value}" for name, value in (change["attributes"] or {}).items() if value)
    source = f" from {change['from']}" if change["from"] else ""
    return f"{front} {change['prefix']}{source}: {cause} {shown}".rstrip()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
