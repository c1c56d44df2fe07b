"""How far next hops are, by routes that BGP did not bring, and by those it did (RFC 4271 section 9.1.2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.path import Source
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_key, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pybgp.rib.path import Change, Path
    from pybgp.wire.families import Family

#: The family whose routes lead to addresses of a width.
FAMILIES: Final = {32: IPV4_UNICAST, 128: IPV6_UNICAST}
#: Addresses that are looked up for one next hop at most, whatever peers have knotted together.
MOST_LOOKUPS: Final = 128


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


class Step(NamedTuple):
    """One route on the way to a next hop."""

    #: Packed: what was looked up.
    address: bytes
    prefix: str
    #: Whether BGP brought the route.
    by_bgp: bool


class _Match(NamedTuple):
    length: int
    route: NextHopRoute
    by_bgp: bool = False


class _Way(NamedTuple):
    cost: int
    gateways: tuple[bytes, ...]
    steps: tuple[tuple[bytes, _Match], ...]


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


def _key(number: int, length: int) -> bytes:
    """Return the key of a prefix whose leading bits are this number."""
    return bytes((length,)) + (number << -length % 8).to_bytes((length + 7) // 8, "big")


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
        #: what was answered since something was touched last.
        self._now: dict[bytes, _Answer] = {}
        self._selected: Callable[[Family, bytes], Iterable[Path]] | None = None
        self._heard: Callable[[Family, bytes], Iterable[Path]] | None = None
        #: addresses that selected routes do not lead to for the time being.
        self._held: set[bytes] = set()
        #: keys of selected routes that may lead to an address which was looked up, if there are such routes.
        self._covering: dict[Family, set[bytes]] = {family: set() for family in FAMILIES.values()}
        self._covered: set[bytes] = set()
        self._lookups_left = 0

    def __len__(self) -> int:
        """Return how many next hops are remembered."""
        return len(self._asked)

    def put(self, prefix: str, route: NextHopRoute) -> None:
        """Enter a route, in place of the one that there is; LocalError if the prefix is none."""
        place = _place(prefix)
        table = self._routes[place.width].setdefault(place.length, {})
        if table.get(place.number) != route:
            table[place.number] = route
            self._touch(place)

    def remove(self, prefix: str) -> None:
        """Forget a route; one that is not there is no matter."""
        place = _place(prefix)
        table = self._routes[place.width].get(place.length, {})
        if table.pop(place.number, None) is not None:
            self._touch(place)
            if not table:
                del self._routes[place.width][place.length]

    def look_among(
        self,
        selected: Callable[[Family, bytes], Iterable[Path]],
        heard: Callable[[Family, bytes], Iterable[Path]] | None = None,
    ) -> None:
        """Let the paths that are selected for a key of a family lead to next hops too; see `heed`.

        The longest match counts, and of equally long ones that which BGP did not bring.  A selected route that leads
        nowhere from here, because it leads through what is looked for, or deeper than ``depth``, is passed over; and
        so is one to a prefix that some path which is ``heard`` leads to by way of what is looked for: whether that
        path can be selected must not depend on whether it is.
        """
        self._selected, self._heard = selected, heard
        for width in FAMILIES:
            self._touch(_Prefix(width, 0, 0))

    def heed(self, changes: Iterable[Change]) -> bool:
        """Note changes of what is selected; say whether some of them may lead to next hops."""
        concerned = False
        for family, _, keys in changes:
            covering = self._covering.get(family, ())
            if covering and not covering.isdisjoint(keys):
                for prefix in [format_key(family, key) for key in keys if key in covering]:
                    self._touch(_place(prefix))
                concerned = True
        return concerned

    def hold(self, address: bytes) -> None:
        """Let no selected route lead to an address until `release`: it does not come to rest otherwise."""
        self._held.add(address)
        self._touch(_host(address))

    def release(self) -> None:
        """Let them lead to all addresses again."""
        for address in self._held:
            self._touch(_host(address))
        self._held.clear()

    def resolve(self, next_hop: bytes) -> Resolution | None:
        """Return what a next hop comes to; None: it cannot be reached."""
        address = next_hop[:16]
        answer = self._asked.get(address)
        if answer is None or not self._touched.is_empty:
            known, answer = answer, self._now.get(address)
            if answer is None:
                is_good = known is not None and not self._touched.have_any(known.seen)
                answer = self._now[address] = known if known is not None and is_good else self._ask(address)
            self._asked.setdefault(address, answer)
        return answer.resolution

    def cost(self, next_hop: bytes) -> int | None:
        """Return how far a next hop is, None for out of reach: for `SpeakerConfig.next_hop_cost`."""
        found = self.resolve(next_hop)
        return None if found is None else found.cost

    def way(self, next_hop: bytes) -> tuple[Step, ...] | None:
        """Return the routes that lead to a next hop, of several ways a nearest one; None: it cannot be reached."""
        found = self._find(next_hop[:16], set())
        if found is None:
            return None
        steps = []
        for address, match in found.steps:
            family = FAMILIES[8 * len(address)]
            prefix = format_key(family, _key(_leading(address, match.length), match.length))
            steps.append(Step(address, prefix, match.by_bgp))
        return tuple(steps)

    def changed(self) -> list[bytes]:
        """Return the next hops that were asked for and come to something else since the last call."""
        touched, self._touched = self._touched, _Prefixes()
        self._now.clear()
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
        self._covered.clear()
        for covering in self._covering.values():
            covering.clear()
        for answer in self._asked.values():
            self._cover(answer.seen)

    def _touch(self, place: _Prefix) -> None:
        self._touched.add(place)
        self._now.clear()

    def _ask(self, address: bytes) -> _Answer:
        seen: set[bytes] = set()
        found = self._find(address, seen)
        self._cover(seen)
        return _Answer(None if found is None else Resolution(found.cost, found.gateways), frozenset(seen))

    def _find(self, address: bytes, seen: set[bytes]) -> _Way | None:
        seen.add(address)
        self._lookups_left = MOST_LOOKUPS
        return self._follow(address, self._depth, (address,), seen)

    def _follow(self, address: bytes, depth: int, way: tuple[bytes, ...], seen: set[bytes]) -> _Way | None:
        for match in self._matches(address):
            _, route, by_bgp = match
            if route.is_blocked:
                return None
            if not route.via:
                return _Way(route.cost, (address,), ((address, match),))
            seen.update(route.via)
            found = [
                one
                for via in route.via
                if depth and via not in way
                for one in [self._follow(via, depth - 1, (*way, via), seen)]
                if one is not None
            ]
            if found:
                nearest = min(found, key=lambda one: one.cost)
                gateways = dict.fromkeys(one for each in found if each.cost == nearest.cost for one in each.gateways)
                return _Way(route.cost + nearest.cost, tuple(gateways), ((address, match), *nearest.steps))
            if not by_bgp:
                return None
        return None

    def _matches(self, address: bytes) -> Iterator[_Match]:
        """Yield the routes to an address, longest prefix first."""
        width = 8 * len(address)
        by_length, selected = self._routes[width], None if address in self._held else self._selected
        self._lookups_left -= 1
        if self._lookups_left < 0:
            return
        for length in sorted(by_length, reverse=True) if selected is None else range(width, -1, -1):
            if length < self._shortest:
                return
            number = _leading(address, length)
            route = by_length.get(length, {}).get(number)
            if route is not None:
                yield _Match(length, route)
            if selected is not None:
                family, key = FAMILIES[width], _key(number, length)
                via = tuple(hop for path in selected(family, key) if (hop := _leads_by(path)))
                if via and not (self._heard and any(_leads_by(path) == address for path in self._heard(family, key))):
                    yield _Match(length, NextHopRoute(0, tuple(dict.fromkeys(via))), by_bgp=True)

    def _cover(self, addresses: Iterable[bytes]) -> None:
        """From now on changes of selected routes to these count."""
        if self._selected is None:
            return
        for address in set(addresses) - self._covered:
            self._covered.add(address)
            width = 8 * len(address)
            keys = (_key(_leading(address, length), length) for length in range(self._shortest, width + 1))
            self._covering[FAMILIES[width]].update(keys)


def _host(address: bytes) -> _Prefix:
    width = 8 * len(address)
    return _Prefix(width, width, _leading(address, width))


def _leads_by(path: Path) -> bytes:
    """Return by way of which address a selected path leads; empty: what we announce ourselves leads nowhere."""
    return b"" if path.source is Source.LOCAL else path.next_hop[:16]


def _place(prefix: str) -> _Prefix:
    family, key = parse_prefix(prefix)
    width = 32 if family.afi == 1 else 128
    octets = key[1:].ljust(width // 8, b"\0")
    return _Prefix(width, key[0], _leading(octets, key[0]))
