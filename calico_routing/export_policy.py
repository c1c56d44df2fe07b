"""What a Calico node tells its peers: its own blocks whole, borrowed addresses, nothing else (spec section 4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.wire.communities import LargeCommunity, parse_community, parse_large_community
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AttributeCode
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes

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
    #: What routes inside a prefix are marked with: (prefix, communities as text), every one that fits adds its own.
    advertisements: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Marks(NamedTuple):
    """Communities of both kinds, in ascending order."""

    communities: tuple[int, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()


NO_MARKS: Final = Marks()


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

    __slots__ = ("advertisements", "blocks", "inside_blocks", "leaving", "pools", "silent_pools")

    def __init__(self, family: Family, rules: ExportRules) -> None:
        self.pools = PrefixSet(family, rules.pools)
        self.silent_pools = PrefixSet(family, rules.silent_pools)
        self.blocks = frozenset(parse_prefix(block)[1] for block in rules.blocks)
        self.inside_blocks = PrefixSet(family, rules.blocks)
        self.leaving = frozenset(parse_prefix(block)[1] for block in rules.leaving_blocks)
        self.advertisements = [(PrefixSet(family, (cidr,)), values) for cidr, values in rules.advertisements]

    def marks(self, key: bytes) -> Marks:
        """Return the communities that a route gets (rule 4)."""
        texts = {text for inside, values in self.advertisements if inside.covers(key) for text in values}
        if not texts:
            return NO_MARKS
        large = {text for text in texts if text.count(":") == 2}
        return Marks(
            tuple(sorted(map(parse_community, texts - large))), tuple(sorted(map(parse_large_community, large)))
        )

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
        """Prepare the lookups: a policy is made when nothing waits for it."""
        self.rules = rules
        self._families = {family: _FamilyRules(family, rules) for family in (IPV4_UNICAST, IPV6_UNICAST)}

    def __eq__(self, other: object) -> bool:
        """Equal rules make equal policies."""
        return isinstance(other, CalicoExportPolicy) and self.rules == other.rules

    def __hash__(self) -> int:
        """Return the hash of the rules."""
        return hash(self.rules)

    def accepts(self, family: Family, key: bytes) -> bool:
        """Tell whether a prefix may leave at all."""
        return self._of(family).accepts(key)

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return the keys that may leave, grouped by the communities that they get."""
        if internal and path.label == OTHER_TUNNEL:
            return ()
        rules = self._of(family)
        kept = [key for key in keys if rules.accepts(key)]
        if not kept:
            return ()
        if not rules.advertisements:
            return ((path.attributes, kept),)
        groups: dict[Marks, list[bytes]] = {}
        for key in kept:
            groups.setdefault(rules.marks(key), []).append(key)
        return [(marked(path.attributes, marks), group) for marks, group in groups.items()]

    def _of(self, family: Family) -> _FamilyRules:
        rules = self._families.get(family)
        if rules is None:
            rules = self._families[family] = _FamilyRules(family, self.rules)
        return rules


def marked(attributes: Attributes, marks: Marks) -> Attributes:
    """Return the attributes with communities added to those they have."""
    added: dict[int, object] = {}
    if marks.communities:
        added[AttributeCode.COMMUNITIES] = sorted({*attributes.communities, *marks.communities})
    if marks.large_communities:
        added[AttributeCode.LARGE_COMMUNITIES] = sorted({*attributes.large_communities, *marks.large_communities})
    return attributes.replace(added) if added else attributes
