"""The matrix as a page, made from the tables of the code and the versions of the day it was run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.peers.interop.column import version_of
from tests.peers.interop.features import FEATURES
from tests.peers.interop.verdicts import LACKS, PARTLY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.peers.interop.column import Column

PAGE: Final = Path(__file__).parents[3] / "docs" / "interoperability.md"
YES, PART, NO = "yes", "partly", "no"
HEAD: Final = """# Interoperability

`python -m tests.peers.interop` runs pybgp against the daemons of Debian in network namespaces and prints this table;
`--write` writes this page. It needs root and the packages that `.ci/system-packages` names.
`tests/peers/test_interoperability.py` runs every cell, and fails if this page says anything else than its tables.

Each daemon has one session per feature with a speaker of ours, and each cell is checked from both sides: our tables and
the status of the session, and what the daemon's own command line shows. In restarts, refreshes and policy reloads a
third speaker watches, before or behind the daemon: no withdrawn route may reach it.

- **yes**: works in both directions.
- **partly**: works as far as the daemon has it; the note says what it has.
- **no**: the daemon does not have it. The run checks that too: its OPEN does not name the capability, it refuses the
  configuration, or it has no socket for it.
"""


def verdict(feature: str, title: str) -> tuple[str, str]:
    """Return a cell and its note."""
    if lack := LACKS.get((feature, title)):
        return NO, lack.reason
    if note := PARTLY.get((feature, title)):
        return PART, note
    return YES, ""


def table(columns: Sequence[type[Column]]) -> str:
    """Return the matrix with numbered notes below it."""
    notes: list[str] = []
    lines = [
        "| | " + " | ".join(kind.title for kind in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for feature, (name, source) in FEATURES.items():
        cells = []
        for kind in columns:
            word, note = verdict(feature, kind.title)
            if note:
                text = f"{kind.title}: {note}."
                if text not in notes:
                    notes.append(text)
                word = f"{word} [{notes.index(text) + 1}]"
            cells.append(word)
        lines.append(f"| {name} ({source}) | " + " | ".join(cells) + " |")
    numbered = [f"{number}. {text}" for number, text in enumerate(notes, 1)]
    return "\n".join((*lines, "", *numbered))


def versions(columns: Sequence[type[Column]]) -> Mapping[str, str]:
    """Return the packages' versions by the names in the table."""
    return {kind.title: version_of(kind.daemon_kind.package) or "not installed" for kind in columns}


def page(columns: Sequence[type[Column]]) -> str:
    """Return the whole page."""
    rows = "\n".join(f"- {title} {version}" for title, version in versions(columns).items())
    return f"{HEAD}\n{table(columns)}\n\n## Versions\n\n{rows}\n"


def table_on(text: str) -> str:
    """Return the matrix of a page, notes included."""
    found = re.search(r"^\| \|.*?(?=\n\n## )", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""
