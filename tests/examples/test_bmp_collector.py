"""The BMP collector of the examples, fed by a speaker."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from pybgp import Speaker, SpeakerConfig
from pybgp.transport.bmp_config import BmpConfig

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 15.0


def test_the_collector_prints_what_a_speaker_selects() -> None:
    async def scenario() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        collector = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / "bmp_collector.py",
            str(port),
            stdout=asyncio.subprocess.PIPE,
            cwd=EXAMPLES.parent,
        )
        station = BmpConfig("127.0.0.1", port, first_retry_time=0.1, longest_retry_time=0.1)
        speaker = Speaker(SpeakerConfig(64512, "192.0.2.1", bmp_stations=(station,)))
        speaker.announce("203.0.113.0/24", next_hop="192.0.2.1")
        try:
            async with asyncio.timeout(PATIENCE), speaker:
                assert collector.stdout is not None
                lines = [await collector.stdout.readline() for _ in range(3)]
        finally:
            collector.terminate()
            await collector.communicate()
        assert b"Initiation" in lines[0]
        assert b"PeerUp" in lines[1]
        assert b"RouteMonitoring" in lines[2]
        assert rb"\xcb\x00q" in lines[2]

    asyncio.run(scenario())
