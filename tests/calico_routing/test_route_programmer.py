"""From changes of the Loc-RIB to kernel routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from calico_routing.kernel.interface import KernelRoute, NextHop
from calico_routing.kernel.netlink.route_runs import destination_of, key_of
from calico_routing.route_plan import PlanContext, PoolRule
from calico_routing.route_programmer import RouteProgrammer, address_text
from pybgp.rib.path import Change, Path, Source
from pybgp.rib.policy import ACCEPT_ALL, parse_policies
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import parse_prefix

POOL = PoolRule("192.168.0.0/16", "Always")
CONTEXT = PlanContext(pools=(POOL,), own_networks=("10.0.0.12/24",), own_addresses=frozenset({"10.0.0.12"}))
AT_ONCE = 300
BLOCK, OWN = "192.168.1.0/26", "192.168.5.0/26"


class Table:
    """Where routes end up."""

    def __init__(self) -> None:
        self.routes: dict[str, KernelRoute] = {}
        self.updates: list[Mapping[str, KernelRoute | None]] = []

    def update_run(self, family: int, keys: Sequence[bytes], route: KernelRoute | None) -> None:
        names = [destination_of(family, key) for key in keys]
        self.updates.append({name: route and route._replace(destination=name) for name in names})
        for name in names:
            self.routes.pop(name, None)
            if route is not None:
                self.routes[name] = route._replace(destination=name)

    def wanted_keys(self, family: int) -> Collection[bytes]:
        return [key for one, key in map(key_of, self.routes) if one == family]


class Rib:
    """A Loc-RIB that holds what it is told."""

    def __init__(self) -> None:
        self.known: dict[Family, dict[bytes, list[Any]]] = {IPV4_UNICAST: {}, IPV6_UNICAST: {}}

    def best(self, family: Family) -> Mapping[bytes, Any]:
        return {key: paths[0] for key, paths in self.known[family].items()}

    def equal_paths(self, family: Family) -> Mapping[bytes, Sequence[Any]]:
        return {key: paths for key, paths in self.known[family].items() if len(paths) > 1}

    def change(self, prefix: str, *paths: Any) -> Change:
        family, key = parse_prefix(prefix)
        if paths:
            self.known[family][key] = list(paths)
        else:
            self.known[family].pop(key, None)
        return Change(family, paths[0] if paths else None, (key,))


class Told(SimpleNamespace):
    """A path, which like a real one is what it is."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def path(next_hop: str, source: Source = Source.IBGP) -> Any:
    return Told(next_hop=ipaddress.ip_address(next_hop).packed, source=source)


def tunnelled(block: str, *gateways: str) -> KernelRoute:
    return KernelRoute(block, next_hops=tuple(NextHop(gateway, "tunl0", onlink=True) for gateway in gateways))


def programmer(*, restarting: bool = False) -> tuple[RouteProgrammer, Table, Rib]:
    table, rib = Table(), Rib()
    made = RouteProgrammer(table)
    made.attach(rib, restarting=restarting)
    made.set_context(CONTEXT)
    return made, table, rib


def test_a_route_comes_changes_and_goes() -> None:
    made, table, rib = programmer()
    made.on_changes([rib.change(BLOCK, path("10.0.0.11"))])
    assert table.routes == {BLOCK: tunnelled(BLOCK, "10.0.0.11")}
    made.on_changes([rib.change(BLOCK, path("10.0.0.13"))])
    assert table.routes == {BLOCK: tunnelled(BLOCK, "10.0.0.13")}
    made.on_changes([rib.change(BLOCK)])
    assert table.routes == {}


def test_equal_paths_share_the_route() -> None:
    made, table, rib = programmer()
    made.on_changes([rib.change(BLOCK, path("10.0.0.13"), path("10.0.0.11"))])
    assert table.routes[BLOCK] == tunnelled(BLOCK, "10.0.0.11", "10.0.0.13")


def test_what_we_announce_ourselves_is_no_route() -> None:
    made, table, rib = programmer()
    made.on_changes([rib.change("192.168.9.9/32", path("0.0.0.0", Source.LOCAL))])
    assert table.routes == {}


def test_own_blocks_are_blackholes_whatever_bgp_says() -> None:
    made, table, rib = programmer()
    made.set_context(CONTEXT._replace(own_blocks=(OWN,)))
    assert table.routes == {OWN: KernelRoute(OWN, "blackhole")}
    table.updates.clear()
    made.on_changes([rib.change(OWN, path("10.0.0.13"))])
    assert table.updates == []
    made.on_changes([rib.change(OWN, path("10.0.0.13")), rib.change(BLOCK, path("10.0.0.11"))])
    assert table.updates == [{BLOCK: tunnelled(BLOCK, "10.0.0.11")}]
    made.on_changes([rib.change(BLOCK)])
    assert table.routes == {OWN: KernelRoute(OWN, "blackhole")}
    made.set_context(CONTEXT)
    assert table.routes == {OWN: tunnelled(OWN, "10.0.0.13")}


def test_a_new_block_touches_nothing_else() -> None:
    made, table, rib = programmer()
    made.on_changes([rib.change(BLOCK, path("10.0.0.11"))])
    table.updates.clear()
    made.set_context(CONTEXT._replace(own_blocks=(OWN,)))
    assert table.updates == [{OWN: KernelRoute(OWN, "blackhole")}]
    assert not made.set_context(CONTEXT._replace(own_blocks=(OWN,)))


def test_a_pool_that_changes_changes_all_its_routes() -> None:
    made, table, rib = programmer()
    made.on_changes([rib.change(BLOCK, path("10.0.0.11"))])
    direct = CONTEXT._replace(
        pools=(POOL._replace(ipip_mode="Never"),), resolve=lambda address: NextHop(address, "eth0")
    )
    made.set_context(direct)
    assert table.routes == {BLOCK: KernelRoute(BLOCK, next_hops=(NextHop("10.0.0.11", "eth0"),))}


def test_while_a_restart_lasts_nothing_unknown_is_deleted() -> None:
    """RFC 4724 section 4.1."""
    made, table, rib = programmer()
    made.on_changes([rib.change(BLOCK, path("10.0.0.11"))])
    made.detach()
    made.on_changes([rib.change(BLOCK)])
    assert BLOCK in table.routes, "what an ending speaker forgets stays"
    other = Rib()
    made.attach(other, restarting=True)
    made.set_context(CONTEXT._replace(own_networks=("10.0.0.99/24",)))
    assert BLOCK in table.routes
    made.finish_restart()
    assert table.routes == {}


def test_other_families_are_no_kernel_routes() -> None:
    made, table, _ = programmer()
    made.on_changes([Change(Family(25, 70), None, (b"whatever",))])
    assert table.updates == []


def test_next_hops_as_text() -> None:
    cases: Sequence[tuple[str, bytes]] = [
        ("10.0.0.1", bytes([10, 0, 0, 1])),
        ("2001:db8::1", ipaddress.ip_address("2001:db8::1").packed),
        ("2001:db8::1", ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("fe80::1").packed),
    ]
    for text, packed in cases:
        assert address_text(packed) == text


class OnlyInside:
    """Prefixes inside 10.0.0.0/8 pass."""

    looks_at_prefixes = True

    def apply(
        self, path: Any, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Sequence[tuple[Any, Sequence[bytes]]]:
        del path, family
        assert internal
        return [(None, [key for key in keys if key[1:2] == b"\x0a"])]


class Broken(OnlyInside):
    def apply(self, *_: object, **__: object) -> Any:
        raise ValueError("oh")


def test_a_policy_says_what_the_kernel_gets() -> None:
    made, table, rib = programmer()
    inside, outside = "10.1.0.0/16", "172.16.0.0/16"
    made.set_context(CONTEXT._replace(resolve=lambda gateway: NextHop(gateway, "eth0")))
    made.on_changes([rib.change(inside, path("10.0.0.13")), rib.change(outside, path("10.0.0.13"))])
    assert table.routes.keys() >= {inside, outside}
    made.set_policy(OnlyInside())
    assert inside in table.routes
    assert outside not in table.routes
    made.on_changes([rib.change("10.2.0.0/16", path("10.0.0.13")), rib.change("172.17.0.0/16", path("10.0.0.13"))])
    assert "10.2.0.0/16" in table.routes
    assert "172.17.0.0/16" not in table.routes
    made.on_changes([rib.change("10.2.0.0/16")])
    assert "10.2.0.0/16" not in table.routes
    assert made.policy_failures == 0
    made.set_policy(Broken())
    assert not table.routes.keys() & {inside, outside}
    assert made.policy_failures > 0
    assert "Error" in made.last_policy_failure


HINTS = parse_policies("""
[policy.hints]
default = "accept"
[[policy.hints.clause]]
match.prefix = "192.168.1.0/24 le 32"
set.kernel_metric = 50
[[policy.hints.clause]]
match.prefix = ["192.168.2.0/24 le 32", "2001:db8::/32 le 48"]
set = { kernel_metric = 70, kernel_source = ["10.0.0.12", "2001:db8::12"] }
""")["hints"]


def real_path(next_hop: str) -> Path:
    attributes = Attributes.build({}, next_hop=ipaddress.ip_address(next_hop).packed)
    return Path(1, Source.IBGP, attributes, attributes)


def test_a_policy_says_with_which_metric_and_source() -> None:
    made, table, rib = programmer()
    made.set_context(CONTEXT._replace(resolve=lambda gateway: NextHop(gateway, "eth0"), own_blocks=(OWN,)))
    way = real_path("10.0.0.11")
    sourced, six, plain, own = "192.168.2.0/26", "2001:db8:1::/48", "192.168.3.0/26", OWN
    prefixes = (BLOCK, sourced, plain, own)
    keys = [parse_prefix(prefix)[1] for prefix in prefixes]
    rib.known[IPV4_UNICAST].update({key: [way] for key in keys})
    made.on_changes([Change(IPV4_UNICAST, way, keys)])
    made.set_policy(HINTS)
    rib_change = rib.change(six, real_path("2001:db8::1"))
    made.on_changes([rib_change])
    assert table.routes[BLOCK] == tunnelled(BLOCK, "10.0.0.11")._replace(metric=50)
    assert table.routes[sourced] == tunnelled(sourced, "10.0.0.11")._replace(metric=70, preferred_source="10.0.0.12")
    assert table.routes[plain] == tunnelled(plain, "10.0.0.11")
    assert table.routes[own] == KernelRoute(own, "blackhole"), "what drops packets has no source"
    assert (table.routes[six].metric, table.routes[six].preferred_source) == (70, "2001:db8::12")
    made.on_changes([rib.change(BLOCK, way, real_path("10.0.0.13"))])
    assert table.routes[BLOCK] == tunnelled(BLOCK, "10.0.0.11", "10.0.0.13")._replace(metric=50)
    told = made.explain(IPV4_UNICAST, parse_prefix(BLOCK)[1])
    assert told is not None
    assert [change for hit in told.hits for change in hit.changes] == [("kernel-metric", "", "50")]
    assert made.explain(IPV4_UNICAST, parse_prefix("10.0.0.0/8")[1]) is None
    made.set_policy(ACCEPT_ALL)
    assert (table.routes[BLOCK].metric, table.routes[sourced].preferred_source) == (0, None)
    assert table.routes[six].metric == 1024


def test_very_many_routes_are_planned_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.route_programmer.AT_ONCE", AT_ONCE)
    turns: list[Callable[[], None]] = []
    table, rib = Table(), Rib()
    made = RouteProgrammer(table, turns.append)
    made.attach(rib, restarting=False)
    made.set_context(CONTEXT._replace(resolve=lambda gateway: NextHop(gateway, "eth0")))
    prefixes = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(256, 2 * AT_ONCE + 756)]
    way = path("10.0.0.13")
    keys = [parse_prefix(prefix)[1] for prefix in prefixes]
    rib.known[IPV4_UNICAST].update({key: [way] for key in keys})
    made.on_changes([Change(IPV4_UNICAST, way, keys)])
    assert len(table.routes) == AT_ONCE
    made.on_changes([rib.change(prefixes[-1])])  # withdrawn before its turn has come: never written
    made.on_changes([rib.change(prefixes[0])])
    assert len(turns) == 1
    while turns:
        turns.pop()()
    assert set(table.routes) == set(prefixes[1:-1])
    assert not any(update.get(prefixes[-1]) for update in table.updates)
    assert max(map(len, table.updates)) == AT_ONCE

    made.set_policy(OnlyInside())
    assert len(turns) == 1
    made.set_context(made.context._replace(resolve=lambda gateway: NextHop(gateway, "eth1"), own_blocks=(BLOCK,)))
    assert table.routes[BLOCK].kind == "blackhole"
    while turns:
        turns.pop()()
    assert {hop.device for route in table.routes.values() for hop in route.next_hops} == {"eth1"}
    assert set(table.routes) == {*prefixes[1:-1], BLOCK}
    rib.known[IPV4_UNICAST].clear()
    made.on_changes([Change(IPV4_UNICAST, None, keys)])
    made.detach()
    while turns:
        turns.pop()()
    assert len(table.routes) > 1, "who has left plans nothing"


def test_the_end_of_a_restart_is_told_once_all_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calico_routing.route_programmer.AT_ONCE", AT_ONCE)
    turns: list[Callable[[], None]] = []
    told: list[int] = []
    table, rib = Table(), Rib()
    made = RouteProgrammer(table, turns.append)
    made.attach(rib, restarting=True)
    made.set_context(CONTEXT._replace(resolve=lambda gateway: NextHop(gateway, "eth0")))
    made.on_changes([rib.change("10.9.9.0/24", path("10.0.0.13"))])
    rib.known[IPV4_UNICAST].clear()
    way = path("10.0.0.13")
    count = AT_ONCE + 5
    keys = [bytes((32, 10, 1, number >> 8, number & 255)) for number in range(count)]
    rib.known[IPV4_UNICAST].update({key: [way] for key in keys})
    made.finish_restart(lambda: told.append(len(table.routes)))
    assert not told, "else the routes of an earlier life would be deleted before they are found to be wanted"
    while turns:
        turns.pop()()
    assert told == [count], "what the Loc-RIB does not know is gone by then"

    made.when_planned(lambda: told.append(-1))
    assert told == [count, -1], "nothing waits"
    made.on_changes([Change(IPV4_UNICAST, way, keys)])
    made.when_planned(lambda: told.append(-2))
    made.detach()
    while turns:
        turns.pop()()
    assert told == [count, -1]


def test_without_a_rib_nothing_is_planned_later() -> None:
    turns: list[Callable[[], None]] = []
    table = Table()
    made = RouteProgrammer(table, turns.append)
    made.set_context(CONTEXT._replace(own_blocks=(OWN,)))
    made.set_policy(OnlyInside())
    assert turns == []
    assert table.routes == {OWN: KernelRoute(OWN, "blackhole")}


def test_many_paths_are_planned_together_by_where_they_lead() -> None:
    """Of a prefix that is named twice the last path counts; equal paths and own routes among others are found."""
    made, table, rib = programmer()
    first, second, own = path("10.0.0.11"), path("10.0.0.13"), path("0.0.0.0", Source.LOCAL)
    changes = [rib.change(f"192.168.{number}.0/24", first if number % 2 else second) for number in range(6)]
    changes.append(rib.change("192.168.0.0/24"))
    changes.append(rib.change("192.168.1.0/24", second))
    changes.append(rib.change("192.168.2.0/24", first, second))
    changes.append(rib.change("192.168.3.0/24", own))
    made.on_changes(changes)
    gateways = {1: ("10.0.0.13",), 2: ("10.0.0.11", "10.0.0.13"), 4: ("10.0.0.13",), 5: ("10.0.0.11",)}
    expected = {f"192.168.{number}.0/24": tunnelled(f"192.168.{number}.0/24", *to) for number, to in gateways.items()}
    assert table.routes == expected
