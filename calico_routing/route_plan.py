"""Which routes belong into the kernel, and through which device: a pure function of what BGP learnt and the pools."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.kernel.interface import IPV6_METRIC, KernelRoute, NextHop
from calico_routing.kernel.netlink.route_runs import by_length
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.wire.families import Family

ALWAYS: Final = "Always"
CROSS_SUBNET: Final = "CrossSubnet"
NEVER: Final = "Never"

IPV6_BITS: Final = 128
#: Bounds that no key is between.
NOTHING: Final = (b"\xff", b"")
DEFAULT_ROUTES: Final = frozenset({"0.0.0.0/0", "::/0"})


class PoolRule(NamedTuple):
    """What the plan needs of an IPPool: its range and how packets to other nodes travel."""

    cidr: str
    ipip_mode: str = NEVER
    vxlan_mode: str = NEVER


def unresolved(_: str) -> NextHop | None:
    """A resolver that knows no way at all."""
    return None


def by_itself(next_hop: str) -> tuple[str, ...]:
    """Every next hop is looked for in the kernel's table."""
    return (next_hop,)


class PlanContext(NamedTuple):
    """Everything besides the learnt routes that decides; equal contexts plan equal routes.

    ``own_networks`` are the node's addresses with their prefix length, ``own_blocks`` its confirmed blocks.
    ``tunnel_device`` is None where the device does not exist: then tunnelled routes become plain ones.
    ``resolve`` tells how the kernel reaches a next hop: itself on a device, or by a gateway; ``follow`` which addresses
    it is asked about in place of one that routes of BGP lead to.
    """

    pools: tuple[PoolRule, ...] = ()
    own_networks: tuple[str, ...] = ()
    own_addresses: frozenset[str] = frozenset()
    own_blocks: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    accept_default_route: bool = False
    tunnel_device: str | None = "tunl0"
    resolve: Callable[[str], NextHop | None] = unresolved
    follow: Callable[[str], Sequence[str]] = by_itself


class _Range(NamedTuple):
    """A prefix as numbers."""

    version: int
    network: int
    length: int
    host_bits: int

    def contains(self, other: _Range) -> bool:
        return (
            other.version == self.version
            and other.length >= self.length
            and other.network >> self.host_bits == self.network >> self.host_bits
        )


def _range(text: str) -> _Range:
    network = ipaddress.ip_network(text, strict=False)
    return _Range(
        network.version, int(network.network_address), network.prefixlen, network.max_prefixlen - network.prefixlen
    )


class _Inside:
    """Picks the keys (pybgp.wire.nlri) that lie inside a range: keys of equal length compare as numbers do."""

    __slots__ = ("_bounds",)

    def __init__(self, key: bytes) -> None:
        """The range as a key of its own."""
        length, low = key[0], key[1:]
        stray = (1 << -length % 8) - 1
        high = (low[:-1] + bytes((low[-1] | stray,)) if low else b"") + b"\xff" * 16
        self._bounds = {one: (bytes((one,)) + low, bytes((one,)) + high) for one in range(length, IPV6_BITS + 1)}

    def split(self, keys: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """Keys inside, and the others."""
        inside: list[bytes] = []
        others: list[bytes] = []
        for group in by_length(keys):
            low, high = self._bounds.get(group[0][0], NOTHING)
            if low <= min(group) and max(group) <= high:
                inside += group
            else:
                inside += [key for key in group if low <= key <= high]
                others += [key for key in group if not low <= key <= high]
        return inside, others


class _KeyRules:
    """What the plan for keys of one family depends on."""

    __slots__ = ("blackholes", "forbidden", "pools", "reject")

    def __init__(self) -> None:
        """No rules yet."""
        self.blackholes: dict[bytes, KernelRoute] = {}
        self.forbidden: set[bytes] = set()
        self.reject: list[_Inside] = []
        self.pools: list[tuple[_Inside, PoolRule]] = []


class RoutePlanner:
    """The plan for one context; what depends on the next hops alone is worked out once for all that share them."""

    __slots__ = ("_blackholes", "_context", "_exits", "_forbidden", "_networks", "_rules")

    def __init__(self, context: PlanContext) -> None:
        """Turn the context's texts into numbers."""
        self._context = context
        self._networks = [_range(network) for network in context.own_networks]
        self._forbidden = self._never_installed()
        self._blackholes = {block: _blackhole(block) for block in context.own_blocks if _range(block).host_bits}
        self._exits: dict[tuple[str, tuple[str, ...]], tuple[NextHop, ...]] = {}
        self._rules = self._key_rules()

    def _key_rules(self) -> dict[Family, _KeyRules]:
        rules = {IPV4_UNICAST: _KeyRules(), IPV6_UNICAST: _KeyRules()}
        for block, route in self._blackholes.items():
            family, key = _key(block)
            rules[family].blackholes[key] = route._replace(destination="")
        for prefix in self._forbidden:
            family, key = _key(prefix)
            rules[family].forbidden.add(key)
        for cidr in self._context.reject:
            family, key = _key(cidr)
            rules[family].reject.append(_Inside(key))
        for pool in self._context.pools:
            family, key = _key(pool.cidr)
            rules[family].pools.append((_Inside(key), pool))
        return rules

    def _never_installed(self) -> frozenset[str]:
        """Our own addresses, the networks that they connect us to, and the default routes unless wanted."""
        own = {str(ipaddress.ip_network(address)) for address in self._context.own_addresses}
        own.update(str(ipaddress.ip_network(ipaddress.ip_interface(text).ip)) for text in self._context.own_networks)
        connected = {str(ipaddress.ip_interface(text).network) for text in self._context.own_networks}
        return frozenset(own | connected | (frozenset() if self._context.accept_default_route else DEFAULT_ROUTES))

    def plan(self, destination: str, next_hops: Sequence[str]) -> KernelRoute | None:
        """The kernel route for one destination; None where it has no place in the kernel or no way to get there."""
        family, key = parse_prefix(destination)
        ((_, route),) = self.plan_run(family, (key,), next_hops)
        return route and route._replace(destination=destination)

    def has_only_own_blocks(self, family: Family, keys: Sequence[bytes]) -> bool:
        """Whether all are own blocks, which are blackholes whatever BGP says of them."""
        blackholes = self._rules[family].blackholes if family in self._rules else ()
        return len(keys) <= len(blackholes) and all(key in blackholes for key in keys)

    def plan_run(
        self, family: Family, keys: Sequence[bytes], next_hops: Sequence[str]
    ) -> Iterator[tuple[Sequence[bytes], KernelRoute | None]]:
        """The plan for destinations of equal next hops, each in one part; the routes are without their destinations."""
        rules = self._rules[family]
        if rules.blackholes and not rules.blackholes.keys().isdisjoint(keys):
            for key in keys:
                if key in rules.blackholes:
                    yield (key,), rules.blackholes[key]
            keys = [key for key in keys if key not in rules.blackholes]
        nowhere: list[bytes] = []
        if not next_hops:
            nowhere, keys = list(keys), ()
        if not rules.forbidden.isdisjoint(keys):
            nowhere += [key for key in keys if key in rules.forbidden]
            keys = [key for key in keys if key not in rules.forbidden]
        for reject in rules.reject:
            inside, keys = reject.split(keys)
            nowhere += inside
        for range_of_pool, pool in rules.pools:
            inside, keys = range_of_pool.split(keys)
            if pool.vxlan_mode != NEVER:
                nowhere += inside
            elif inside:
                yield inside, self._shape(family, pool.ipip_mode, next_hops)
        if keys:
            yield keys, self._shape(family, NEVER, next_hops)
        if nowhere:
            yield nowhere, None

    def _shape(self, family: Family, mode: str, next_hops: Sequence[str]) -> KernelRoute | None:
        version = 6 if family == IPV6_UNICAST else 4
        exits = self._ways(NEVER if version == 6 else mode, tuple(next_hops))
        return _unicast("", exits, version) if exits else None

    def plan_all(self, learnt: Mapping[str, Sequence[str]]) -> dict[str, KernelRoute]:
        """Every route: what was learnt, and a blackhole for each block of our own."""
        planned = {destination: self.plan(destination, hops) for destination, hops in learnt.items()}
        routes = {destination: route for destination, route in planned.items() if route is not None}
        routes.update(self._blackholes)
        return routes

    def _ways(self, mode: str, next_hops: tuple[str, ...]) -> tuple[NextHop, ...]:
        found = self._exits.get((mode, next_hops))
        if found is None:
            ways = {way for hop in next_hops for way in self._ways_to(mode, hop)}
            found = self._exits[mode, next_hops] = tuple(sorted(ways, key=_exit_order))
        return found

    def _ways_to(self, mode: str, next_hop: str) -> Iterable[NextHop]:
        """Through the tunnel the gateway is the BGP next hop itself; else whatever the kernel reaches it by."""
        host = _range(next_hop)
        if next_hop in self._context.own_addresses or _host_prefix(next_hop) in self._forbidden:
            return ()
        device = self._context.tunnel_device
        if device is not None and host.version == 4 and self._is_tunnelled(mode, host):
            return (NextHop(next_hop, device, onlink=True),)
        ways = map(self._context.resolve, self._context.follow(next_hop))
        return [way for way in ways if way is not None]

    def _is_tunnelled(self, mode: str, host: _Range) -> bool:
        if mode == CROSS_SUBNET:
            return not any(network.contains(host) for network in self._networks)
        return mode == ALWAYS


def plan_route(destination: str, next_hops: Sequence[str], context: PlanContext) -> KernelRoute | None:
    """The kernel route for one destination (RoutePlanner.plan, for a single use)."""
    return RoutePlanner(context).plan(destination, next_hops)


def plan_routes(learnt: Mapping[str, Sequence[str]], context: PlanContext) -> dict[str, KernelRoute]:
    """Every kernel route: of destination to BGP next hops, and of the node's own blocks."""
    return RoutePlanner(context).plan_all(learnt)


def _key(text: str) -> tuple[Family, bytes]:
    """Any prefix or address, host bits or not, as a key."""
    return parse_prefix(str(ipaddress.ip_network(text, strict=False)))


def _blackhole(block: str) -> KernelRoute:
    return KernelRoute(block, "blackhole", metric=IPV6_METRIC if ":" in block else 0)


def _unicast(destination: str, exits: tuple[NextHop, ...], version: int) -> KernelRoute:
    return KernelRoute(destination, "unicast", exits, metric=IPV6_METRIC if version == 6 else 0)


def _exit_order(hop: NextHop) -> tuple[str, str]:
    return hop.gateway or "", hop.device or ""


def _host_prefix(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"


class NextHopResolver:
    """How the kernel reaches an address: a snapshot of its routes, longest prefix first.

    Routes that BGP itself put there take no part, or two next hops could lean on each other.
    """

    __slots__ = ("_answers", "_routes")

    def __init__(self, routes: Iterable[KernelRoute]) -> None:
        """Keep the unicast routes that lead somewhere."""
        usable = [route for route in routes if route.kind == "unicast" and route.next_hops]
        ranked = [(_range(route.destination), route) for route in usable]
        ranked.sort(key=lambda entry: (-entry[0].length, entry[1].metric))
        self._routes = ranked
        self._answers: dict[str, NextHop | None] = {}

    def __call__(self, address: str) -> NextHop | None:
        """The next hop for packets to this address, None where there is no route."""
        if address not in self._answers:
            self._answers[address] = self._resolve(address)
        return self._answers[address]

    def differs_from(self, other: NextHopResolver) -> bool:
        """Whether any answer given so far would now be another one: then routes need a new plan."""
        return any(other(address) != answer for address, answer in self._answers.items())

    def _resolve(self, address: str) -> NextHop | None:
        host = _range(address)
        for network, route in self._routes:
            if network.contains(host):
                way = route.next_hops[0]
                return NextHop(way.gateway or address, way.device, way.onlink)
        return None
