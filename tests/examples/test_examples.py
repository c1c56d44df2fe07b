"""The examples run, do what they say, and stay under 20 lines each."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pybgp import IPV4_UNICAST, Speaker, SpeakerConfig

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY_EXAMPLES = sorted(EXAMPLES.glob("*.py"))
HERE = "127.0.1.77"
ASN = 64512
PATIENCE = 15.0


@pytest.mark.parametrize("path", LIBRARY_EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_on_a_card(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 20


def test_two_sessions_without_sockets() -> None:
    script = EXAMPLES / "two_sessions_without_sockets.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert sum("SessionUp" in line for line in lines) == 2
    assert "UpdateReceived" in lines[-1]
    assert lines[-1].startswith("AS64502")


@asynccontextmanager
async def example(name: str, *arguments: str) -> AsyncIterator[tuple[Speaker, asyncio.subprocess.Process]]:
    """Run an example against a speaker of ours, and interrupt it as a user does."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port = probe.getsockname()[1]
    speaker = Speaker(SpeakerConfig(ASN, "192.0.2.1", listen=((HERE, port),)))
    speaker.configure({"example": speaker.peer("127.0.0.1", ASN, passive=True)})
    async with speaker, asyncio.timeout(PATIENCE):
        command = (sys.executable, EXAMPLES / name, HERE, str(ASN), *arguments, str(port))
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=EXAMPLES.parent
        )
        try:
            yield speaker, process
        finally:
            process.send_signal(signal.SIGINT)
            await process.communicate()


def test_announce_one_prefix() -> None:
    async def scenario() -> None:
        async with example("announce_one_prefix.py", "198.51.100.0/24") as (speaker, _):
            watch = speaker.watch("198.51.100.0/24")
            assert str(await anext(watch)) == "198.51.100.0/24 via 192.0.2.254"

    asyncio.run(scenario())


def test_print_updates() -> None:
    async def scenario() -> None:
        async with example("print_updates.py") as (speaker, process):
            speaker.announce("203.0.113.0/24", next_hop="192.0.2.9", as_path=[64999])
            assert process.stdout is not None
            lines = [await process.stdout.readline()]
            while b"via" not in lines[-1]:
                lines.append(await process.stdout.readline())
            assert lines[-1] == b"203.0.113.0/24 via 192.0.2.9 as-path 64999\n"
            speaker.withdraw("203.0.113.0/24")
            while b"withdrawn" not in lines[-1]:
                lines.append(await process.stdout.readline())
            assert speaker.best(IPV4_UNICAST) == {}

    asyncio.run(scenario())
