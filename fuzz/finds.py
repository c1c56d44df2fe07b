"""Inputs that broke a promise once: each is a file of hexadecimal octets, kept and run by the tests for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

FINDS = Path(__file__).parents[1] / "tests" / "regressions" / "finds"


def keep(target: str, octets: bytes, error: Exception, folder: Path = FINDS) -> Path:
    """Write a minimised input with what it did; the same input is the same file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{target}-{hashlib.sha256(octets).hexdigest()[:12]}.hex"
    said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    path.write_text(f"# {said}\n{octets.hex()}\n")
    return path


def read(path: Path) -> tuple[str, bytes]:
    """Return the target and the octets of a find."""
    found = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return path.stem.rpartition("-")[0], bytes.fromhex("".join(found))
