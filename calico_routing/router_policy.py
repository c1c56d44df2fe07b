"""What a plain BGP router tells its peers; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.rib.path import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family


class RouterExportPolicy:
    """Own networks and routes of the own AS to everybody; those of an external peer to another only with transit."""

    looks_at_prefixes = False

    def __init__(self, *, transit: bool) -> None:
        """Say whether this AS carries traffic between others (RFC 8212 is about those who do not mean to)."""
        self._transit = transit

    def __eq__(self, other: object) -> bool:
        """Compare what decides."""
        return isinstance(other, RouterExportPolicy) and self._transit == other._transit

    def __hash__(self) -> int:
        """Return something equal for equal policies."""
        return hash(self._transit)

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return all keys or none."""
        del family
        if path.source is Source.EBGP and not internal and not self._transit:
            return ()
        return ((path.attributes, keys),)
