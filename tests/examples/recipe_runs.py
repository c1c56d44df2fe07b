"""Runs a recipe as a user does: a process with arguments, ended by a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pybgp.testing import FakePeer

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
OURS, THEIRS = 64512, 64513
PATIENCE = 40.0


class Run:
    """One process; what it prints can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, part: str) -> str:
        """Return the next line on standard output that holds a text."""
        assert self.process.stdout is not None
        while text := (await self.process.stdout.readline()).decode():
            self.lines.append(text.rstrip("\n"))
            if part in text:
                return self.lines[-1]
        raise AssertionError(f"no line with {part!r}; there were {self.lines}, and {await self.errors()}")

    async def json(self, part: str) -> dict[str, Any]:
        found = json.loads(await self.line(part))
        assert isinstance(found, dict)
        return found

    async def errors(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def error_line(self, part: str) -> str:
        assert self.process.stderr is not None
        while text := (await self.process.stderr.readline()).decode():
            if part in text:
                return text.rstrip("\n")
        raise AssertionError(f"no line with {part!r} on standard error")

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it as an operator does; return its exit code."""
        self.process.send_signal(number)
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def recipe(name: str, *arguments: object, stdin: int | None = None) -> AsyncIterator[Run]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        RECIPES / name,
        *map(str, arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=RECIPES.parents[1],
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
            # Children of the recipe may outlive it, and keep its pipes.
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await process.communicate()


async def finished(name: str, *arguments: object) -> tuple[int, list[str], str]:
    """Run a recipe that ends by itself; return exit code, lines, and what it says on standard error."""
    async with recipe(name, *arguments) as run:
        output, errors = await run.process.communicate()
        assert run.process.returncode is not None
        return run.process.returncode, output.decode().splitlines(), errors.decode()


def router(local_as: int = THEIRS) -> FakePeer:
    """Return what the recipes talk to."""
    return FakePeer(local_as, remote_as=OURS, patience=PATIENCE / 2)


def session(peer: FakePeer) -> list[object]:
    """Return the options that nearly every recipe has."""
    numbers = ("--local-as", OURS, "--remote-as", peer.local_as, "--router-id", "192.0.2.10", "--port", peer.port)
    return list(numbers)
