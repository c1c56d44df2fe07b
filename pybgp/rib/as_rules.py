"""What operators do to AS numbers on the way out (spec section 7.1): override, and private ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.wire.as_path import AsPath, Segment, joined

if TYPE_CHECKING:
    from collections.abc import Callable


def is_private(asn: int) -> bool:
    """Say whether an AS number is for private use (RFC 6996 section 5)."""
    return 64512 <= asn <= 65534 or 4200000000 <= asn <= 4294967294


def override(path: AsPath, asn: int, ours: int) -> AsPath:
    """Return the path with our AS in place of another one."""
    return _mapped(path, lambda other: ours if other == asn else other)


def without_private(path: AsPath, mode: str, ours: int, peer: int) -> AsPath:
    """Return the path as ``mode`` wants it; the neighbour's own AS stays, so that it can see its loops.

    ``mode`` is one of "keep", "remove-if-only", "remove" and "replace".
    """
    if mode == "keep" or (mode == "remove-if-only" and not all(map(is_private, path))):
        return path
    substitute = ours if mode == "replace" else None
    return _mapped(path, lambda asn: substitute if is_private(asn) and asn != peer else asn)


def _mapped(path: AsPath, change: Callable[[int], int | None]) -> AsPath:
    segments = []
    for kind, asns in path.segments:
        kept = tuple(new for asn in asns if (new := change(asn)) is not None)
        if kept:
            segments.append(Segment(kind, kept))
    return AsPath(joined(segments))
