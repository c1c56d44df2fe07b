"""What a clause can do to a route that it matches: each action is a value (spec section 16)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

from pybgp.rib.measure import DEFAULT_LOCAL_PREF
from pybgp.rib.policy.community_pattern import SIZES
from pybgp.wire.as_path import AsPath, Segment, joined
from pybgp.wire.iana import AttributeCode, Origin, SegmentType

if TYPE_CHECKING:
    from pybgp.rib.policy.community_pattern import CommunityPattern
    from pybgp.rib.policy.route import Route

MAXIMUM: Final = 2**32 - 1
#: The words that a next hop can be instead of an address.
SELF: Final = "self"
PEER: Final = "peer"
UNCHANGED: Final = "unchanged"


class Action(Protocol):
    """One change."""

    def perform(self, route: Route) -> None:
        """Change the route."""
        ...


def bounded(number: int) -> int:
    """Keep a number within 0 to 2^32-1."""
    return min(max(number, 0), MAXIMUM)


@dataclass(frozen=True, slots=True)
class SetLocalPref:
    """Set LOCAL_PREF, or add to it, from 100 if there is none."""

    value: int
    relative: bool = False

    def perform(self, route: Route) -> None:
        """Never leave 0 to 2^32-1."""
        found = route.get(AttributeCode.LOCAL_PREF)
        base = (DEFAULT_LOCAL_PREF if found is None else found) if self.relative else 0
        route.set(AttributeCode.LOCAL_PREF, bounded(base + self.value))


@dataclass(frozen=True, slots=True)
class SetMed:
    """Set MED, add to it (from 0 if there is none), or with None remove it."""

    value: int | None
    relative: bool = False

    def perform(self, route: Route) -> None:
        """Never leave 0 to 2^32-1."""
        base = (route.get(AttributeCode.MED) or 0) if self.relative else 0
        route.set(AttributeCode.MED, None if self.value is None else bounded(base + self.value))


@dataclass(frozen=True, slots=True)
class SetPreference:
    """Set the local weight that the decision looks at first, or add to it."""

    value: int
    relative: bool = False

    def perform(self, route: Route) -> None:
        """Never leave 0 to 2^32-1."""
        route.preference = bounded(self.value + (route.preference if self.relative else 0))


@dataclass(frozen=True, slots=True)
class SetNextHop:
    """Set the next hop: an address, ourselves, the peer that told us, or on export the one that is there."""

    to: str

    def perform(self, route: Route) -> None:
        """Leave the route alone where the peer has no address: our own announcements."""
        if self.to == SELF:
            route.set_next_hop(b"")
            route.keep_next_hop = False
            return
        if self.to == PEER:
            if route.teller is None or not route.teller.address:
                return
            route.set_next_hop(route.teller.address)
        elif self.to != UNCHANGED:
            route.set_next_hop(ip_address(self.to).packed)
        route.keep_next_hop = bool(route.next_hop)


@dataclass(frozen=True, slots=True)
class Prepend:
    """Put these AS numbers in front of the path."""

    asns: tuple[int, ...]

    def perform(self, route: Route) -> None:
        """Join them with the sequence that is there."""
        prepend(route, self.asns)


@dataclass(frozen=True, slots=True)
class PrependOwn:
    """Put our own AS number in front, so many times more than export does."""

    count: int

    def perform(self, route: Route) -> None:
        """Leave the path alone if our number is not known."""
        prepend(route, (route.local_as,) * self.count if route.local_as else ())


@dataclass(frozen=True, slots=True)
class PrependLastAs:
    """Repeat the AS number that stands first."""

    count: int

    def perform(self, route: Route) -> None:
        """Leave an empty path alone, and one that begins with a set."""
        first = route.as_path.first
        prepend(route, () if first is None else (first,) * self.count)


def prepend(route: Route, asns: tuple[int, ...]) -> None:
    """Put AS numbers in front of the path of a route."""
    if asns:
        route.set(AttributeCode.AS_PATH, in_front(route.as_path, asns))


def in_front(path: AsPath, asns: tuple[int, ...]) -> AsPath:
    """Put AS numbers in front in a segment of 255 at most (RFC 4271 section 5.1.2)."""
    return AsPath(joined((Segment(SegmentType.SEQUENCE, asns), *path.segments)))


@dataclass(frozen=True, slots=True)
class AddCommunities:
    """Add exact communities of any kind."""

    communities: tuple[CommunityPattern, ...]

    def perform(self, route: Route) -> None:
        """Add what is not there."""
        for code, numbers in by_kind(self.communities).items():
            there = route.communities(code)
            if not numbers.issubset(there):
                route.set_communities(code, (*there, *numbers))


@dataclass(frozen=True, slots=True)
class DeleteCommunities:
    """Delete every community that a pattern fits."""

    patterns: tuple[CommunityPattern, ...]

    def perform(self, route: Route) -> None:
        """Look through the kinds that the patterns name."""
        for code in {pattern.code for pattern in self.patterns}:
            there = route.communities(code)
            fits = [pattern.fits for pattern in self.patterns if pattern.code == code]
            kept = [number for number in there if not any(fit(number) for fit in fits)]
            if len(kept) != len(there):
                route.set_communities(code, kept)


@dataclass(frozen=True, slots=True)
class SetCommunities:
    """Make these all communities of every kind that the route has."""

    communities: tuple[CommunityPattern, ...]

    def perform(self, route: Route) -> None:
        """Replace or remove each kind."""
        wanted = by_kind(self.communities)
        for code in SIZES:
            numbers = wanted.get(code, set())
            if numbers != set(route.communities(code)):
                route.set_communities(code, sorted(numbers))


def by_kind(communities: tuple[CommunityPattern, ...]) -> dict[AttributeCode, set[int]]:
    """Return the exact numbers of each kind."""
    found: dict[AttributeCode, set[int]] = {}
    for pattern in communities:
        if pattern.exact is not None:
            found.setdefault(pattern.code, set()).add(pattern.exact)
    return found


@dataclass(frozen=True, slots=True)
class SetOrigin:
    """Set ORIGIN."""

    origin: Origin

    def perform(self, route: Route) -> None:
        """Set it."""
        route.set(AttributeCode.ORIGIN, self.origin)


@dataclass(frozen=True, slots=True)
class SetTag:
    """Give the route a word that later clauses and export policies can match."""

    tag: str

    def perform(self, route: Route) -> None:
        """Set it."""
        route.tag = self.tag


@dataclass(frozen=True, slots=True)
class SetKernelMetric:
    """Give the kernel route that the path becomes this metric (priority); peers hear nothing of it."""

    metric: int

    def perform(self, route: Route) -> None:
        """Set it."""
        route.kernel = route.kernel._replace(metric=self.metric)


@dataclass(frozen=True, slots=True)
class SetKernelSource:
    """Let packets of this host along the kernel route leave from an address of its family, if one is named."""

    addresses: tuple[str, ...]

    def perform(self, route: Route) -> None:
        """Set them."""
        route.kernel = route.kernel._replace(sources=self.addresses)
