"""Whether to believe a flow rule: only if its sender is where the traffic goes (RFC 8955 section 6, RFC 9117)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.wire.families import (
    IPV4_FLOWSPEC,
    IPV4_UNICAST,
    IPV4_VPN,
    IPV4_VPN_FLOWSPEC,
    IPV6_FLOWSPEC,
    IPV6_UNICAST,
    IPV6_VPN,
    IPV6_VPN_FLOWSPEC,
)
from pybgp.wire.forms import prefix_octets
from pybgp.wire.nlri import format_key
from pybgp.wire.nlri.flowspec import destination

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: flow rules are held against the routes of this family (RFC 8955 section 6).
ROUTES_OF: Final = {
    IPV4_FLOWSPEC: IPV4_UNICAST,
    IPV6_FLOWSPEC: IPV6_UNICAST,
    IPV4_VPN_FLOWSPEC: IPV4_VPN,
    IPV6_VPN_FLOWSPEC: IPV6_VPN,
}
FLOWS_OF: Final = {routes: flows for flows, routes in ROUTES_OF.items()}
#: Prefixes at least this long are found by their first octets, others by a walk through all.
_INDEX_OCTETS: Final = {IPV4_UNICAST: 2, IPV6_UNICAST: 4, IPV4_VPN: 10, IPV6_VPN: 12}
_SMALLEST_SWEEP: Final = 1024


class Destination(NamedTuple):
    """The destination of a rule, written as the key of a route."""

    #: bits in front of the prefix that every covering route must share: those of the route distinguisher.
    fixed: int
    key: bytes

    def covering(self) -> Iterator[bytes]:
        """Yield the keys of routes that would cover it, the longest first."""
        return (_cut(self.key, length) for length in range(self.key[0], self.fixed - 1, -1))

    def covers(self, key: bytes) -> bool:
        """Say whether a route is more specific."""
        return key[0] > self.key[0] and _cut(key, self.key[0]) == self.key


class FlowValidation:
    """Rules of one family against the selected routes of the other."""

    def __init__(self, family: Family, best: Mapping[bytes, Path]) -> None:
        """``best`` is the live Loc-RIB that decides where traffic goes."""
        self._family = family
        self._routes = ROUTES_OF[family]
        self._is_vpn = self._routes in (IPV4_VPN, IPV6_VPN)
        self._best = best
        #: rules by their destination, and by every key that covers it.
        self._inside: dict[bytes, set[bytes]] = {}
        self._below: dict[bytes, set[bytes]] = {}
        #: how long destinations are.
        self._lengths: set[int] = set()
        #: selected routes by their first octets, from when it is first of use.
        self._index: dict[bytes, set[bytes]] | None = None

    def fault(self, rule: bytes, attributes: Attributes, peer: RibPeer) -> str:
        """Return why a rule of a peer is not feasible, empty if it is."""
        if not attributes.as_path.without_confederations().segments:
            return ""
        found = self._destination(rule)
        if found is None:
            return "flow rule without a destination prefix"
        shown = format_key(self._routes, found.key)
        match = next((self._best[key] for key in found.covering() if key in self._best), None)
        if match is None:
            return f"flow rule for {shown}, to which no route is known"
        if _originator(attributes, peer.number) != _originator(match.received, match.peer):
            return f"flow rule for {shown}, to which another originator has the best route"
        leading = match.received.as_path.first
        if not peer.interior and attributes.as_path.first != leading:
            return f"flow rule for {shown} from AS {attributes.as_path.first}, the best route is of AS {leading}"
        for key in self._more_specific(found):
            if self._best[key].received.as_path.first != leading:
                return f"flow rule for {shown}, of which {format_key(self._routes, key)} leads to another AS"
        return ""

    def concerned(self, path: Path | None, keys: Sequence[bytes]) -> set[bytes]:
        """Return the rules that a change of routes may make feasible or not."""
        if self._index is not None:
            self._note(keys, present=path is not None)
        concerned: set[bytes] = set()
        if self._inside:
            for key in keys:
                concerned |= self._below.get(key, _NOTHING)
                for length in self._lengths:
                    if length < key[0]:
                        concerned |= self._inside.get(_cut(key, length), _NOTHING)
        return concerned

    def is_due(self, rules: int) -> bool:
        """Whether most of what is known may be of rules that are gone, if there are so many."""
        return len(self._inside) > max(_SMALLEST_SWEEP, 2 * rules)

    def sweep(self, rules: Iterable[bytes]) -> None:
        """Forget all rules but these."""
        self._inside.clear()
        self._below.clear()
        self._lengths.clear()
        for rule in rules:
            self._destination(rule)

    def _destination(self, rule: bytes) -> Destination | None:
        key = destination(rule, 4 if self._family.afi == 1 else 16, vpn=self._is_vpn)
        if key is None:
            return None
        found = Destination(64 if self._is_vpn else 0, key)
        if rule not in self._inside.setdefault(key, set()):
            self._inside[key].add(rule)
            self._lengths.add(key[0])
            for outer in found.covering():
                self._below.setdefault(outer, set()).add(rule)
        return found

    def _more_specific(self, found: Destination) -> Iterable[bytes]:
        octets = _INDEX_OCTETS[self._routes]
        if found.key[0] < 8 * octets:
            return [key for key in self._best if found.covers(key)]
        if self._index is None:
            self._index = {}
            self._note(self._best, present=True)
        return [key for key in self._index.get(found.key[1 : 1 + octets], ()) if found.covers(key)]

    def _note(self, keys: Iterable[bytes], *, present: bool) -> None:
        index, octets = self._index, _INDEX_OCTETS[self._routes]
        if index is None:
            return
        for key in keys:
            if key[0] >= 8 * octets:
                bucket = index.setdefault(key[1 : 1 + octets], set())
                if present:
                    bucket.add(key)
                else:
                    bucket.discard(key)


def _cut(key: bytes, length: int) -> bytes:
    return bytes([length]) + prefix_octets(key[1:], length)


def _originator(attributes: Attributes, peer: int) -> tuple[int | None, int]:
    """Return who originated a route: by its identifier, else the peer that told us."""
    originator = attributes.originator_id
    return (originator, 0) if originator is not None else (None, peer)


_NOTHING: Final[frozenset[bytes]] = frozenset()
