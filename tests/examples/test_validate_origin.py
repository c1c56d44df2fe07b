"""The origin validation example, run against a small cache."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from pybgp import parse_prefix
from pybgp.rpki.pdu import Vrp
from tests.pybgp.transport.rtr_cache import RtrCache

EXAMPLE = Path(__file__).parents[2] / "examples" / "validate_origin.py"


@pytest.mark.parametrize(
    ("prefix", "asn", "state"),
    [("10.1.2.0/24", 65001, "valid"), ("10.1.2.0/25", 65001, "invalid"), ("11.0.0.0/8", 65001, "not-found")],
)
def test_validate_origin(prefix: str, asn: int, state: str) -> None:
    async def scenario() -> bytes:
        cache = RtrCache()
        cache.set({Vrp(*parse_prefix("10.0.0.0/8"), 24, 65001)})
        async with cache.serving(), asyncio.timeout(30):
            command = (sys.executable, EXAMPLE, prefix, str(asn), "127.0.0.1", str(cache.port))
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, cwd=EXAMPLE.parents[1]
            )
            output, _ = await process.communicate()
            return output

    assert f"{prefix} from AS{asn}: {state}" in asyncio.run(scenario()).decode().splitlines()
