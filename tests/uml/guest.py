"""Runs modules of ours inside User-Mode Linux and keeps what they wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from examples.demo import user_mode_linux
from examples.demo.namespaces import find_program

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


class Scenario(NamedTuple):
    """A module that runs in a guest with a directory as its argument."""

    module: str
    limit_seconds: int
    #: What it cannot do without.
    program: str


#: By the test file that looks at what it told.
SCENARIOS: Final = {
    "tests.peers.test_mixed_mesh": Scenario("tests.peers.mixed_mesh_scenario", 180, "bird"),
    "tests.uml.test_cluster_golden": Scenario("tests.uml.mesh_scenario", 280, "ip"),
}


class Guest:
    """A scenario that runs beside the tests."""

    def __init__(self, scenario: Scenario, directory: Path) -> None:
        """Start it."""
        self._directory = directory
        self._started = time.monotonic()
        words = ["-m", "768", "-t", str(scenario.limit_seconds), "-w", str(directory), "--"]
        command = [sys.executable, "-m", scenario.module, str(directory)]
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", user_mode_linux.__name__, *words, *command],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def told(self) -> Told:
        """Wait for its end and return what it told."""
        status = self._process.wait()
        output = self._output.read_text(errors="replace")
        return Told(self._directory, user_mode_linux.Result(status, output, time.monotonic() - self._started))

    def end(self) -> None:
        """End it with its kernel if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


_GUESTS: Final[dict[str, Guest]] = {}


def tell(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Told:
    """Return what the scenario of a test file told; skip where no guest can be started.

    Guests wait more than they work: those of all selected files begin together, and run beside the tests in between.
    """
    absent = user_mode_linux.missing()
    if absent is not None:
        pytest.skip(absent)
    selected = {item.module.__name__ for item in request.session.items if isinstance(item, pytest.Function)}
    for user, scenario in SCENARIOS.items():
        if user in selected and user not in _GUESTS and find_program(scenario.program) is not None:
            _GUESTS[user] = Guest(scenario, factory.mktemp("guest"))
            request.config.add_cleanup(_GUESTS[user].end)
    return _GUESTS[request.module.__name__].told()
