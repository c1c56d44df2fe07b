"""What a target is: a strategy of octets, and a check that holds for any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


@dataclass(frozen=True)
class Target:
    """One decoder under fire; ``check`` raises AssertionError where its promise breaks."""

    name: str
    inputs: SearchStrategy[bytes]
    check: Callable[[bytes], None]


def seeds(*kinds: str, folders: tuple[str, ...] = ("updates-hex", "malformed")) -> list[bytes]:
    """Octets of other speakers from the corpus beside the repository; none where it is absent."""
    found: list[bytes] = []
    for folder in folders:
        for path in sorted((CORPUS / folder).glob("*.jsonl")):
            records = map(json.loads, path.read_text().splitlines())
            found += [bytes.fromhex(record["hex"]) for record in records if record["kind"] in kinds]
    return [octets for octets in found if len(octets) <= 1024]
