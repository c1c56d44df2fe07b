"""The CNI specification versions we speak and how they compare."""

from __future__ import annotations

SUPPORTED_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST_VERSION = SUPPORTED_VERSIONS[-1]
#: what an absent cniVersion means.
OLDEST_VERSION = SUPPORTED_VERSIONS[0]


def parse_version(text: str) -> tuple[int, int, int]:
    """One to three numeric parts; the missing ones are 0; ValueError for anything else."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"cniVersion {text!r} is not of the form 1.0.0")
    major, minor, patch = (*map(int, parts), 0, 0)[:3]
    return major, minor, patch


SUPPORTED = frozenset(map(parse_version, SUPPORTED_VERSIONS))
