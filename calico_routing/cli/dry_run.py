"""`pybgp-node policy --dry-run FILE` and `reload --dry-run`: what would change, for each peer, without a change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from calico_routing.cli.daemon_answer import head_of, print_list, with_answer
from calico_routing.control_client import DaemonAnswerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_PLAN_WORDS = {
    "peers_added": "peer would come",
    "peers_removed": "peer would go",
    "peers_changed": "peer would change, in its session",
    "peers_restarted": "session would be made anew",
    "networks_added": "network would be announced",
    "networks_withdrawn": "network would be withdrawn",
    "needs_restart": "waits for the next start",
    "warnings": "warning",
}


def policy(options: argparse.Namespace) -> int:
    """Ask what the policies of a file would change."""
    return dry_run(options, {"file": str(Path(options.dry_run).absolute())})


def dry_run(options: argparse.Namespace, arguments: Mapping[str, Any]) -> int:
    """Print the differences while they come, and their sums at the end."""

    def show(documents: Iterator[dict[str, Any]]) -> None:
        if options.output == "json":
            print_list("differences", documents)
            return
        head = head_of(documents)
        plan = [f"{words}: {value}" for key, words in _PLAN_WORDS.items() for value in head[key]]
        for line in plan:
            print(line)
        for document in documents:
            if document.get("end"):
                for line in summary_lines(document["summary"]):
                    print(line)
                if not plan and not document["summary"]:
                    print("No route would fare otherwise.")
                return
            print(difference_text(document))
        raise DaemonAnswerError("the answer ended too early; the daemon may have stopped")

    return with_answer(options, "dry-run", arguments, show)


def difference_text(document: Mapping[str, Any]) -> str:
    """Return the line of one route: what it is now, and what it would be."""
    front = f"{document['peer']} {document['direction']} {document['change']}"
    prefix = document["prefix"] if document["path_id"] is None else f"{document['prefix']} path {document['path_id']}"
    before, after = document["before"] or {}, document["after"] or {}
    if document["change"] != "changed":
        reason = f" ({document['reason']})" if document["reason"] else ""
        return f"{front} {prefix}{reason}"
    names = [name for name in {**before, **after} if before.get(name, "") != after.get(name, "")]
    changes = ", ".join(f"{name} {before.get(name) or 'none'} -> {after.get(name) or 'none'}" for name in names)
    return f"{front} {prefix}: {changes or 'preference or label'}"


def summary_lines(summary: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the sums, a line for each peer and direction."""
    for row in summary:
        counts = ", ".join(f"{count} {change}" for change, count in row.items() if change not in {"peer", "direction"})
        yield f"{row['peer']} {row['direction']}: {counts}"
