"""What a clause can ask of a route: each condition is a value; all of a clause must hold (spec section 16)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pybgp.rib.policy.as_path_expression import compile_expression
from pybgp.wire.iana import AttributeCode, Origin

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Source
    from pybgp.rib.policy.community_pattern import CommunityPattern
    from pybgp.rib.policy.prefix_set import PrefixRange, PrefixSet
    from pybgp.rib.policy.route import Route
    from pybgp.wire.families import Family


class Match(Protocol):
    """A condition on the path; asked once for all its prefixes."""

    def test(self, route: Route) -> bool:
        """Say whether it holds."""
        ...


class KeyMatch(Protocol):
    """A condition that prefixes of one path can answer differently."""

    def inside(self, route: Route, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return the prefixes for which it holds; the same object if for all."""
        ...


class NumberRange(NamedTuple):
    """Numbers from one to another, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        """Print it as policies write it."""
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def in_ranges(number: int | None, ranges: Iterable[NumberRange]) -> bool:
    """Say whether a number is in one of the ranges; None never is."""
    return number is not None and any(low <= number <= high for low, high in ranges)


def _words(name: str, values: Iterable[object]) -> str:
    return f"{name} {', '.join(map(str, values))}"


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """The prefix is in a set."""

    prefixes: PrefixSet

    def inside(self, route: Route, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Look the prefixes up."""
        return self.prefixes.inside(route.family, keys)

    def __str__(self) -> str:
        """Name the set."""
        return str(self.prefixes)


@dataclass(frozen=True, slots=True)
class ValidationMatch:
    """The origin validation state is one of these (RFC 6811)."""

    states: frozenset[str]

    def inside(self, route: Route, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Ask the validator for each prefix."""
        origin, family, validate = route.origin_as, route.family, route.validator
        kept = [key for key in keys if validate(family, key, origin) in self.states]
        return keys if len(kept) == len(keys) else kept

    def __str__(self) -> str:
        """Name the states."""
        return _words("validation", sorted(self.states))


@dataclass(frozen=True, slots=True)
class FamilyMatch:
    """The route is of one of these families."""

    families: frozenset[Family]

    def test(self, route: Route) -> bool:
        """Compare."""
        return route.family in self.families

    def __str__(self) -> str:
        """Name the families."""
        return _words("family", sorted(map(str, self.families)))


@dataclass(frozen=True, slots=True)
class AsPathMatch:
    """The AS path as text fits one of these expressions; ``_`` stands for an end or what is between two numbers."""

    expressions: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Compile them; LocalError names the expression that is none."""
        object.__setattr__(self, "patterns", tuple(map(compile_expression, self.expressions)))

    def test(self, route: Route) -> bool:
        """Search the normalised text."""
        return any(pattern.search(route.as_path_text) for pattern in self.patterns)

    def __str__(self) -> str:
        """Print the expressions."""
        return _words("as_path", self.expressions)


@dataclass(frozen=True, slots=True)
class AsPathContains:
    """One of these ASes stands anywhere in the path."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Look at every AS."""
        return any(in_ranges(asn, self.ranges) for asn in route.as_path)

    def __str__(self) -> str:
        """Print the numbers."""
        return _words("as_path_contains", self.ranges)


@dataclass(frozen=True, slots=True)
class AsPathLength:
    """The length that the decision counts is in range (a set is one)."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Compare."""
        return in_ranges(route.as_path.length, self.ranges)

    def __str__(self) -> str:
        """Print the range."""
        return _words("as_path_length", self.ranges)


@dataclass(frozen=True, slots=True)
class OriginAsMatch:
    """The last AS of the path is one of these."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Compare."""
        return in_ranges(route.origin_as, self.ranges)

    def __str__(self) -> str:
        """Print the numbers."""
        return _words("origin_as", self.ranges)


@dataclass(frozen=True, slots=True)
class NeighborAsMatch:
    """The first AS of the path is one of these."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Compare."""
        return in_ranges(route.as_path.without_confederations().first, self.ranges)

    def __str__(self) -> str:
        """Print the numbers."""
        return _words("neighbor_as", self.ranges)


@dataclass(frozen=True, slots=True)
class CommunityMatch:
    """One of these communities is there; with ``every`` each of them is."""

    patterns: tuple[CommunityPattern, ...]
    every: bool = False

    def test(self, route: Route) -> bool:
        """Look through the kinds that the patterns name."""
        found = (any(map(pattern.fits, route.communities(pattern.code))) for pattern in self.patterns)
        return all(found) if self.every else any(found)

    def __str__(self) -> str:
        """Print the patterns."""
        return _words("community_all" if self.every else "community", self.patterns)


@dataclass(frozen=True, slots=True)
class NextHopMatch:
    """The next hop is in one of these prefixes."""

    ranges: PrefixSet

    def test(self, route: Route) -> bool:
        """Look it up as a prefix of full length; a second, link-local address is left out (RFC 2545 section 3)."""
        hop = route.next_hop[:16]
        return any(entry.contains(entry.family, bytes([8 * len(hop)]) + hop) for entry in self._of_width(len(hop)))

    def _of_width(self, octets: int) -> Iterable[PrefixRange]:
        return (entry for entry in self.ranges.entries if octets and (octets == 4) == (entry.family.afi == 1))

    def __str__(self) -> str:
        """Print the prefixes."""
        return _words("next_hop", sorted(map(str, self.ranges.entries)))


@dataclass(frozen=True, slots=True)
class MedMatch:
    """MED is there and in range."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Compare."""
        return in_ranges(route.get(AttributeCode.MED), self.ranges)

    def __str__(self) -> str:
        """Print the range."""
        return _words("med", self.ranges)


@dataclass(frozen=True, slots=True)
class LocalPrefMatch:
    """LOCAL_PREF is there and in range."""

    ranges: tuple[NumberRange, ...]

    def test(self, route: Route) -> bool:
        """Compare."""
        return in_ranges(route.get(AttributeCode.LOCAL_PREF), self.ranges)

    def __str__(self) -> str:
        """Print the range."""
        return _words("local_pref", self.ranges)


@dataclass(frozen=True, slots=True)
class OriginMatch:
    """ORIGIN is one of these; an absent one counts as incomplete."""

    origins: frozenset[Origin]

    def test(self, route: Route) -> bool:
        """Compare."""
        found = route.get(AttributeCode.ORIGIN)
        return (Origin.INCOMPLETE if found is None else found) in self.origins

    def __str__(self) -> str:
        """Name them."""
        return _words("origin", (origin.name.lower() for origin in sorted(self.origins)))


@dataclass(frozen=True, slots=True)
class PeerMatch:
    """The peer that told us has one of these names or addresses."""

    names: frozenset[str]
    _addresses: frozenset[bytes] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Keep the addresses among the names as they are compared."""
        object.__setattr__(self, "_addresses", frozenset(filter(None, map(_packed, self.names))))

    def test(self, route: Route) -> bool:
        """Compare."""
        teller = route.teller
        return teller is not None and (teller.name in self.names or teller.address in self._addresses)

    def __str__(self) -> str:
        """Name them."""
        return _words("peer", sorted(self.names))


def _packed(name: str) -> bytes:
    try:
        return ip_address(name).packed
    except ValueError:
        return b""


@dataclass(frozen=True, slots=True)
class SourceMatch:
    """The route is our own, or was learned within or from outside the AS."""

    sources: frozenset[Source]

    def test(self, route: Route) -> bool:
        """Compare."""
        return route.path.source in self.sources

    def __str__(self) -> str:
        """Name them."""
        return _words("source", (source.name.lower() for source in sorted(self.sources)))


@dataclass(frozen=True, slots=True)
class TagMatch:
    """The route was tagged by an import policy, or is an announcement of ours under this label."""

    tags: frozenset[str]

    def test(self, route: Route) -> bool:
        """Compare."""
        return route.tag in self.tags

    def __str__(self) -> str:
        """Print the tags."""
        return _words("tag", sorted(self.tags))
