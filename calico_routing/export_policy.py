"""What a Calico node tells its peers: its own blocks whole, borrowed addresses, nothing else (spec section 4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.wire.attributes import Attributes

    from pybgp.rib.path import Path

#: Label of a learned kernel route that leads into another tunnel (VXLAN, WireGuard) and is no business of iBGP peers.
OTHER_TUNNEL: Final = "kernel-tunnel"


class ExportRules(NamedTuple):
    """The facts behind the policy, as prefixes; equal rules make equal policies."""

    #: Pools whose routes may leave, and those with disableBGPExport.
    pools: frozenset[str] = frozenset()
    silent_pools: frozenset[str] = frozenset()
    #: Own blocks that are announced whole: confirmed ones.
    blocks: frozenset[str] = frozenset()
    #: Own blocks on their way out: not announced, but the addresses inside them still are.
    leaving_blocks: frozenset[str] = frozenset()


class PrefixSet:
    """Prefixes of one family that are asked which of them contain a key."""

    __slots__ = ("_by_length", "_width")

    def __init__(self, family: Family, prefixes: Iterable[str]) -> None:
        """Take the prefixes of this family; the others are left out."""
        self._width = 32 if family == IPV4_UNICAST else 128
        by_length: dict[int, set[int]] = {}
        for found, key in map(parse_prefix, prefixes):
            if found == family:
                by_length.setdefault(key[0], set()).add(self._number(key) >> (self._width - key[0]))
        self._by_length = sorted(by_length.items())

    def _number(self, key: bytes) -> int:
        return int.from_bytes(key[1:], "big") << (self._width - 8 * (len(key) - 1))

    def covers(self, key: bytes) -> bool:
        """Tell whether one of the prefixes is the key or contains it."""
        length, number = key[0], self._number(key)
        return any(
            number >> (self._width - prefix_length) in numbers
            for prefix_length, numbers in self._by_length
            if prefix_length <= length
        )


class _FamilyRules:
    """The rules of one family, ready to be asked once per key."""

    __slots__ = ("blocks", "inside_blocks", "leaving", "pools", "silent_pools")

    def __init__(self, family: Family, rules: ExportRules) -> None:
        self.pools = PrefixSet(family, rules.pools)
        self.silent_pools = PrefixSet(family, rules.silent_pools)
        self.blocks = frozenset(parse_prefix(block)[1] for block in rules.blocks)
        self.inside_blocks = PrefixSet(family, rules.blocks)
        self.leaving = frozenset(parse_prefix(block)[1] for block in rules.leaving_blocks)

    def accepts(self, key: bytes) -> bool:
        """Apply the rules of spec section 4.6 in their order; the first that fits decides."""
        if self.silent_pools.covers(key) or key in self.leaving:
            return False
        if key in self.blocks:
            return True
        return not self.inside_blocks.covers(key) and self.pools.covers(key)


class CalicoExportPolicy:
    """The speaker's export policy on a node; a change of pools or blocks makes a new one."""

    looks_at_prefixes = True

    def __init__(self, rules: ExportRules) -> None:
        """Prepare the lookups of the families that are met."""
        self.rules = rules
        self._families: dict[Family, _FamilyRules] = {}

    def accepts(self, family: Family, key: bytes) -> bool:
        """Tell whether a prefix may leave at all."""
        rules = self._families.get(family)
        if rules is None:
            rules = self._families[family] = _FamilyRules(family, self.rules)
        return rules.accepts(key)

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return the keys that may leave, with the attributes they have."""
        if internal and path.label == OTHER_TUNNEL:
            return ()
        kept = [key for key in keys if self.accepts(family, key)]
        return ((path.attributes, kept),) if kept else ()
