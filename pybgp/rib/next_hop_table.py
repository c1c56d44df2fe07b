"""How far next hops are, by routes that BGP did not bring (RFC 4271 section 9.1.2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class NextHopRoute:
    """A route to a prefix: over a link, or by way of others that have to be found in turn."""

    cost: int = 0
    #: packed addresses; none: the prefix is on a link of ours.
    via: tuple[bytes, ...] = ()
    #: packets go nowhere, also where a shorter prefix would lead somewhere.
    is_blocked: bool = False


class Resolution(NamedTuple):
    """What a next hop comes to."""

    cost: int
    #: neighbours on our links to which packets go, those of the least cost.
    gateways: tuple[bytes, ...]


class _Prefix(NamedTuple):
    width: int
    length: int
    number: int


class _Prefixes:
    """Prefixes by width and length, so that one look for each length tells whether any of them has an address."""

    def __init__(self) -> None:
        self._numbers: dict[int, dict[int, set[int]]] = {32: {}, 128: {}}
        self.is_empty = True

    def add(self, place: _Prefix) -> None:
        self._numbers[place.width].setdefault(place.length, set()).add(place.number)
        self.is_empty = False

    def have_any(self, addresses: Iterable[bytes]) -> bool:
        return not self.is_empty and any(
            _leading(address, length) in numbers
            for address in addresses
            for length, numbers in self._numbers[8 * len(address)].items()
        )


def _leading(address: bytes, length: int) -> int:
    return int.from_bytes(address, "big") >> (8 * len(address) - length)


@dataclass(slots=True)
class _Answer:
    resolution: Resolution | None
    #: every address that was looked up on the way: a route to one of them may change the answer.
    seen: frozenset[bytes] = field(default_factory=frozenset)


class NextHopTable:
    """Routes to next hops; it remembers what it was asked, and `changed` says whose answer is another one now."""

    def __init__(self, *, depth: int = 1, use_default: bool = False) -> None:
        """``depth``: how many routes that lead by way of another address may follow each other.

        ``use_default``: whether a default route reaches next hops.
        """
        self._depth = depth
        self._shortest = 0 if use_default else 1
        #: by address width and prefix length.
        self._routes: dict[int, dict[int, dict[int, NextHopRoute]]] = {32: {}, 128: {}}
        self._asked: dict[bytes, _Answer] = {}
        self._touched = _Prefixes()

    def __len__(self) -> int:
        """Return how many next hops are remembered."""
        return len(self._asked)

    def put(self, prefix: str, route: NextHopRoute) -> None:
        """Enter a route, in place of the one that there is; LocalError if the prefix is none."""
        place = _place(prefix)
        table = self._routes[place.width].setdefault(place.length, {})
        if table.get(place.number) != route:
            table[place.number] = route
            self._touched.add(place)

    def remove(self, prefix: str) -> None:
        """Forget a route; one that is not there is no matter."""
        place = _place(prefix)
        table = self._routes[place.width].get(place.length, {})
        if table.pop(place.number, None) is not None:
            self._touched.add(place)
            if not table:
                del self._routes[place.width][place.length]

    def resolve(self, next_hop: bytes) -> Resolution | None:
        """Return what a next hop comes to; None: it cannot be reached."""
        address = next_hop[:16]
        answer = self._asked.get(address)
        if answer is None or self._touched.have_any(answer.seen):
            answer = self._ask(address)
            self._asked.setdefault(address, answer)
        return answer.resolution

    def cost(self, next_hop: bytes) -> int | None:
        """Return how far a next hop is, None for out of reach: for `SpeakerConfig.next_hop_cost`."""
        found = self.resolve(next_hop)
        return None if found is None else found.cost

    def changed(self) -> list[bytes]:
        """Return the next hops that were asked for and come to something else since the last call."""
        touched, self._touched = self._touched, _Prefixes()
        different = []
        for address, answer in self._asked.items():
            if touched.have_any(answer.seen):
                now = self._asked[address] = self._ask(address)
                if now.resolution != answer.resolution:
                    different.append(address)
        return different

    def forget_but(self, next_hops: Iterable[bytes]) -> None:
        """Stop to watch over all next hops but these, which paths use."""
        used = {next_hop[:16] for next_hop in next_hops}
        self._asked = {address: answer for address, answer in self._asked.items() if address in used}

    def _ask(self, address: bytes) -> _Answer:
        seen = {address}
        resolution = self._follow(address, self._depth, (address,), seen)
        return _Answer(resolution, frozenset(seen))

    def _follow(self, address: bytes, depth: int, way: tuple[bytes, ...], seen: set[bytes]) -> Resolution | None:
        route = next(self._matches(address), None)
        if route is None or route.is_blocked:
            return None
        if not route.via:
            return Resolution(route.cost, (address,))
        seen.update(route.via)
        found = [
            resolution
            for via in route.via
            if depth and via not in way
            for resolution in [self._follow(via, depth - 1, (*way, via), seen)]
            if resolution is not None
        ]
        if not found:
            return None
        least = min(resolution.cost for resolution in found)
        gateways = dict.fromkeys(one for each in found if each.cost == least for one in each.gateways)
        return Resolution(route.cost + least, tuple(gateways))

    def _matches(self, address: bytes) -> Iterator[NextHopRoute]:
        by_length = self._routes[8 * len(address)]
        for length in sorted(by_length, reverse=True):
            route = by_length[length].get(_leading(address, length))
            if route is not None and length >= self._shortest:
                yield route


def _place(prefix: str) -> _Prefix:
    family, key = parse_prefix(prefix)
    width = 32 if family.afi == 1 else 128
    octets = key[1:].ljust(width // 8, b"\0")
    return _Prefix(width, key[0], _leading(octets, key[0]))
