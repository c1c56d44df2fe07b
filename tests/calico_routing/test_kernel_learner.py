"""Which kernel routes are learned, and when they are given up."""

from __future__ import annotations

from typing import Any

import pytest

from calico_routing.export_policy import OTHER_TUNNEL
from calico_routing.kernel.interface import KernelRoute, NextHop, RouteEvent
from calico_routing.kernel_learner import KERNEL_LABEL, KernelLearner, label_of

POOLS = frozenset({"192.168.0.0/16"})
DESTINATION = "192.168.2.9/32"


class Ear:
    """Hears what the learner says."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []
        self.ways = 0
        self.learner = KernelLearner(self.announce, self.withdraw, self.way_changed)
        self.learner.set_rules(POOLS)
        self.ways = 0

    def announce(self, prefix: str, label: str) -> None:
        self.said.append(("announce", prefix, label))

    def withdraw(self, prefix: str, label: str) -> None:
        self.said.append(("withdraw", prefix, label))

    def way_changed(self) -> None:
        self.ways += 1

    def happen(self, found: KernelRoute, **event: bool) -> list[tuple[str, str, str]]:
        self.said.clear()
        self.learner.on_events([RouteEvent(found, **event)])
        return self.said


def route(destination: str = DESTINATION, device: str = "cali1", **fields: Any) -> KernelRoute:
    return KernelRoute(destination, next_hops=(NextHop(None, device),), **{"protocol": 3, **fields})


ANNOUNCED = [("announce", DESTINATION, KERNEL_LABEL)]
WITHDRAWN = [("withdraw", DESTINATION, KERNEL_LABEL)]


def test_a_route_comes_and_goes() -> None:
    ear = Ear()
    assert ear.happen(route()) == ANNOUNCED
    assert ear.happen(route()) == []
    assert ear.happen(route(), deleted=True) == WITHDRAWN
    assert ear.happen(route(), deleted=True) == []
    assert ear.ways == 0


def test_ours_and_other_tables_are_not_learned() -> None:
    ear = Ear()
    assert ear.happen(route(protocol=12)) == []
    assert ear.happen(route(table=100)) == []


def test_outside_the_pools_a_route_only_shows_the_way() -> None:
    ear = Ear()
    assert ear.happen(route("10.0.0.0/24", "eth0")) == []
    assert ear.ways == 1
    way = ear.learner.resolver()("10.0.0.7")
    assert way is not None
    assert way.device == "eth0"
    assert ear.learner.resolver()("192.168.2.9") is None


def test_one_of_two_routes_to_a_place_is_enough() -> None:
    ear = Ear()
    ear.happen(route())
    assert ear.happen(route(metric=50)) == []
    assert ear.happen(route(), deleted=True) == []
    assert ear.happen(route(metric=50), deleted=True) == WITHDRAWN


def test_ours_taking_its_place_ends_a_foreign_route() -> None:
    ear = Ear()
    ear.happen(route())
    assert ear.happen(route(protocol=12), replaces=True) == WITHDRAWN


def test_the_label_follows_the_device() -> None:
    ear = Ear()
    ear.happen(route())
    changed = [("announce", DESTINATION, OTHER_TUNNEL), ("withdraw", DESTINATION, KERNEL_LABEL)]
    assert ear.happen(route(device="vxlan.calico"), replaces=True) == changed


def test_a_new_table_is_compared_with_what_was_known() -> None:
    ear = Ear()
    ear.happen(route())
    ear.happen(route("192.168.3.3/32"))
    ear.said.clear()
    ear.learner.load([route(), route("192.168.4.4/32"), route("192.168.5.0/26", protocol=12)])
    assert sorted(ear.said) == [
        ("announce", "192.168.4.4/32", KERNEL_LABEL),
        ("withdraw", "192.168.3.3/32", KERNEL_LABEL),
    ]
    assert ear.learner.announced.keys() == {DESTINATION, "192.168.4.4/32"}


def test_pools_and_ignored_devices_can_change() -> None:
    ear = Ear()
    ear.happen(route())
    ear.happen(route("10.5.5.5/32"))
    ear.said.clear()
    ear.learner.set_rules(frozenset({"10.5.0.0/16"}))
    assert sorted(ear.said) == [("announce", "10.5.5.5/32", KERNEL_LABEL), *WITHDRAWN]
    ear.said.clear()
    ear.learner.set_rules(frozenset({"10.5.0.0/16"}), ("cali*",))
    assert ear.said == [("withdraw", "10.5.5.5/32", KERNEL_LABEL)]


@pytest.mark.parametrize(
    ("device", "label"),
    [
        ("cali1", KERNEL_LABEL),
        ("eth0", KERNEL_LABEL),
        ("vxlan.calico", OTHER_TUNNEL),
        ("wireguard.cali", OTHER_TUNNEL),
        ("bpfin.cali", ""),
    ],
)
def test_labels(device: str, label: str) -> None:
    assert label_of(route(device=device)) == label
    assert label_of(KernelRoute(DESTINATION, "blackhole", protocol=4)) == KERNEL_LABEL
