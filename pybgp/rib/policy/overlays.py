"""What stands above the export policy of a peer: prefixes that it is not told, and a default route that it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.policy.interface import Passed, Policy
    from pybgp.rib.policy.prefix_set import PrefixSet
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class Without:
    """Everything passes but these prefixes."""

    hidden: PrefixSet
    looks_at_prefixes = True

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return the keys that are not hidden; the same object if none is."""
        del internal
        hidden = set(self.hidden.inside(family, keys))
        kept = [key for key in keys if key not in hidden] if hidden else keys
        return ((path.attributes, kept),) if kept else ()


@dataclass(frozen=True, slots=True)
class WithDefaultRoute:
    """One path of ours passes whatever the policy thinks of it."""

    policy: Policy
    default: Path

    @property
    def looks_at_prefixes(self) -> bool:
        """Whether the policy does."""
        return self.policy.looks_at_prefixes

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]] | Passed]:
        """Ask the policy about every other path."""
        if path is self.default:
            return ((path.attributes, keys),)
        return self.policy.apply(path, family, keys, internal=internal)
