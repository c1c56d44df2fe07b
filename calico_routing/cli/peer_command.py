"""`pybgp-node enable|disable|refresh|reset PEER` and `reload`: what changes a running daemon; for root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calico_routing.cli.daemon_answer import with_answer
from calico_routing.cli.dry_run import dry_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def peer_command(options: argparse.Namespace) -> int:
    """Tell the daemon to do something with a peer."""
    arguments: dict[str, Any] = {"peer": options.peer}
    if options.command == "refresh":
        arguments["direction"] = options.direction
    elif options.command != "enable":
        arguments["message"] = options.message

    def show(documents: Iterator[dict[str, Any]]) -> None:
        for document in documents:
            print(json.dumps(document) if options.output == "json" else f"{document['peer']}: {document['done']}")

    return with_answer(options, options.command, arguments, show)


def reload(options: argparse.Namespace) -> int:
    """Tell the daemon to read its configuration again, or ask what that would change."""
    if options.dry_run:
        return dry_run(options, {})

    def show(documents: Iterator[dict[str, Any]]) -> None:
        for document in documents:
            if options.output == "json":
                print(json.dumps(document, indent=2))
                continue
            print(f"reloaded: {len(document['peers'])} peers, {len(document['policies'])} policies")
            for warning in document["warnings"]:
                print(f"warning: {warning}")
            for key in document["needs_restart"]:
                print(f"waits for the next start: {key}")

    return with_answer(options, "reload", {}, show)
