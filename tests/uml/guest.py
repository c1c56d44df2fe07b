"""Runs a module of ours inside User-Mode Linux and keeps what it wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from examples.demo import user_mode_linux

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"


class Told:
    """What a scenario wrote: facts by name, kernel tables by phase and node, its own output."""

    def __init__(self, directory: Path, result: user_mode_linux.Result) -> None:
        """Read the facts; there are none where the scenario ended early."""
        self.directory = directory
        self.result = result
        path = directory / "facts.json"
        self.facts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def fact(self, name: str) -> Any:
        """Return a fact, or fail with the scenario's own output where it did not get so far."""
        if name not in self.facts:
            pytest.fail(f"the scenario ended before {name!r}:\n{self.report()}")
        return self.facts[name]

    def report(self) -> str:
        """Return the end of the scenario's output and of the agents' logs."""
        logs = [f"--- {path.name}\n{_tail(path.read_text())}" for path in sorted(self.directory.glob("*.log"))]
        return "\n".join([f"exit status {self.result.status}", _tail(self.result.output, 40), *logs])


def _tail(text: str, count: int = 15) -> str:
    return "\n".join(text.splitlines()[-count:])


def tell(module: str, directory: Path, limit_seconds: float) -> Told:
    """Run a module with the directory as its argument in a guest; skip the test where no guest can be started."""
    absent = user_mode_linux.missing()
    if absent is not None:
        pytest.skip(absent)
    command = [sys.executable, "-m", module, str(directory)]
    result = user_mode_linux.run(command, memory_megabytes=768, limit_seconds=limit_seconds, shared=[directory])
    return Told(directory, result)
