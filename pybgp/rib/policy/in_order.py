"""Two policies of which the second sees only what the first lets through, as the first has left it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pybgp.rib.path import Path
from pybgp.rib.policy.interface import Passed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pybgp.rib.policy.interface import Policy
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class InOrder:
    """A route passes if both let it pass."""

    first: Policy
    second: Policy

    @property
    def looks_at_prefixes(self) -> bool:
        """Whether either does."""
        return self.first.looks_at_prefixes or self.second.looks_at_prefixes

    def apply(self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool) -> Iterator[Passed]:
        """Ask the first, then the second about each group that the first made."""
        for passed in (Passed(*one) for one in self.first.apply(path, family, keys, internal=internal)):
            halfway = Path(
                path.peer,
                path.source,
                path.received,
                passed.attributes,
                preference=path.preference if passed.preference is None else passed.preference,
                label=passed.tag or path.label,
                teller=path.teller,
            )
            for answer in self.second.apply(halfway, family, passed.keys, internal=internal):
                last = Passed(*answer)
                yield last._replace(keep_next_hop=last.keep_next_hop or passed.keep_next_hop)
