"""Two speakers over a veth whose link is lost without a word: BFD ends the session long before its hold timer."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.namespaces import Namespace, wait_until
from tests.namespaces.cable import cable

ROOT = Path(__file__).parents[2]
LEFT, RIGHT = "10.79.0.1", "10.79.0.2"
PATIENCE = 30.0

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]

#: A speaker that prints its session's states with the time, and the last error.
SPEAKER = """
import asyncio, sys, time
from pybgp import Speaker, SpeakerConfig
from pybgp.bfd.config import BfdConfig

async def main(here, there):
    speaker = Speaker(SpeakerConfig(64512, here, listen=((here, 179),)))
    peer = speaker.peer(there, 64512, local_address=here, hold_time=90, bfd=BfdConfig(multiplier=3))
    speaker.on_peer(lambda _, status: print(time.time(), status.state, status.last_error, flush=True))
    speaker.configure({"there": peer})
    async with speaker:
        while True:
            await asyncio.sleep(0.02)
            found = speaker.bfd("there")
            if found is not None and found.state == 3 and found.detection_time < 1:
                print(time.time(), "BFD up", flush=True)
                break
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    with cable("bfd", [f"{LEFT}/24"], [f"{RIGHT}/24"]) as both:
        yield both


def lines_with(path: Path, word: str) -> list[str]:
    return [line for line in path.read_text().splitlines() if word in line]


def mislead(namespace: Namespace, there: str) -> None:
    """Send what is meant for the neighbour to nobody; the carrier stays, so that no kernel tells its speaker."""
    namespace.ip("neigh", "replace", there, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")


def test_link_loss_takes_the_session_down_in_less_than_a_second(
    namespaces: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    """3 x 300 ms on both sides; the hold time is 90 s."""
    ends = ((LEFT, RIGHT, tmp_path / "left"), (RIGHT, LEFT, tmp_path / "right"))
    with contextlib.ExitStack() as stack:
        for namespace, (here, there, path) in zip(namespaces, ends, strict=True):
            output = stack.enter_context(path.open("wb"))
            process = namespace.spawn(sys.executable, "-c", SPEAKER, here, there, cwd=ROOT, stdout=output)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        wait_until(lambda: all(lines_with(path, "BFD up") for *_, path in ends), PATIENCE, "BFD")
        assert [lines_with(path, "Idle BGP Error: BFD down") for *_, path in ends] == [[], []]
        cut_at = time.time()
        for namespace, (_, there, _) in zip(namespaces, ends, strict=True):
            mislead(namespace, there)
        wait_until(
            lambda: all(lines_with(path, "Idle BGP Error: BFD down") for *_, path in ends),
            PATIENCE,
            "end of the sessions",
        )
    for *_, path in ends:
        assert float(lines_with(path, "Idle BGP Error: BFD down")[0].split()[0]) - cut_at < 1.0
