"""Which kernel routes are announced, and when they are given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from calico_routing import kernel_learner
from calico_routing.export_policy import OTHER_TUNNEL
from calico_routing.kernel.interface import KernelRoute, NextHop
from calico_routing.kernel_learner import KERNEL_LABEL, KernelLearner, label_of
from pybgp.rib.policy import parse_policies

POOLS = frozenset({"192.168.0.0/16"})
DESTINATION = "192.168.2.9/32"


class Ear:
    """Hears what the learner says."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []
        self.soon: list[Callable[[], None]] = []
        self.learner = KernelLearner(self.announce, self.withdraw, self.soon.append)
        self.learner.set_rules(POOLS)

    def announce(self, prefix: str, label: str) -> None:
        self.said.append(("announce", prefix, label))

    def withdraw(self, prefix: str, label: str) -> None:
        self.said.append(("withdraw", prefix, label))

    def learn(self, *found: KernelRoute) -> list[tuple[str, str, str]]:
        self.said.clear()
        self.learner.on_change({route.destination: route for route in found})
        return self.said

    def forget(self, destination: str) -> list[tuple[str, str, str]]:
        self.said.clear()
        self.learner.on_change({destination: None})
        return self.said


def route(destination: str = DESTINATION, device: str = "cali1", **fields: Any) -> KernelRoute:
    return KernelRoute(destination, next_hops=(NextHop(None, device),), **{"protocol": 3, **fields})


ANNOUNCED = [("announce", DESTINATION, KERNEL_LABEL)]
WITHDRAWN = [("withdraw", DESTINATION, KERNEL_LABEL)]


def test_a_route_comes_and_goes() -> None:
    ear = Ear()
    assert ear.learn(route()) == ANNOUNCED
    assert ear.learn(route(metric=50)) == []
    assert ear.forget(DESTINATION) == WITHDRAWN
    assert ear.forget(DESTINATION) == []
    assert not ear.learner.announced


def test_outside_the_pools_nothing_is_said() -> None:
    ear = Ear()
    assert ear.learn(route("10.0.0.0/24", "eth0")) == []


def test_the_label_follows_the_device_without_a_gap() -> None:
    ear = Ear()
    ear.learn(route())
    changed = [("announce", DESTINATION, OTHER_TUNNEL), ("withdraw", DESTINATION, KERNEL_LABEL)]
    assert ear.learn(route(device="vxlan.calico")) == changed


def test_pools_and_ignored_devices_can_change() -> None:
    ear = Ear()
    ear.learn(route(), route("10.5.5.5/32"))
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
        ("kube-ipvs0", ""),
    ],
)
def test_labels(device: str, label: str) -> None:
    assert label_of(route(device=device)) == label
    assert label_of(KernelRoute(DESTINATION, "blackhole", protocol=4)) == KERNEL_LABEL


POLICIES = parse_policies("""
[policy.some]
[[policy.some.clause]]
match.prefix = "10.0.0.0/8 le 32"
match.next_hop = "192.0.2.0/24"
set.tag = "uplink"
then = "accept"
[[policy.some.clause]]
match.prefix = "10.0.0.0/8"
then = "accept"
""")


def test_a_policy_decides_in_place_of_the_pools() -> None:
    ear = Ear()
    assert ear.learn(route()) == ANNOUNCED
    assert ear.learn(route("10.0.0.0/8")) == []
    ear.said.clear()
    ear.learner.set_policy(POLICIES["some"])
    assert sorted(ear.said) == [("announce", "10.0.0.0/8", KERNEL_LABEL), *WITHDRAWN]
    via = KernelRoute("10.1.0.0/16", next_hops=(NextHop("192.0.2.1", "eth0"),), protocol=4)
    assert ear.learn(via) == [("announce", "10.1.0.0/16", "uplink")]
    assert ear.learn(route("10.1.0.0/16")) == [("withdraw", "10.1.0.0/16", "uplink")]
    ear.said.clear()
    ear.learner.set_policy(None)
    assert sorted(ear.said) == [*ANNOUNCED, ("withdraw", "10.0.0.0/8", KERNEL_LABEL)]


WIDE = frozenset({"10.0.0.0/8"})


def test_other_rules_are_felt_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_learner, "SETTLED_AT_ONCE", 2)
    ear = Ear()
    destinations = [f"10.0.0.{number}/32" for number in range(5)]
    ear.learn(*map(route, destinations))
    ear.learner.set_rules(WIDE)
    assert list(ear.learner.announced) == destinations[:2]
    ear.forget(destinations[3])
    ear.learner.set_rules(POOLS)
    ear.learner.set_rules(WIDE)
    while ear.soon:
        ear.soon.pop(0)()
    assert list(ear.learner.announced) == [*destinations[:3], destinations[4]]


def test_before_sessions_start_all_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_learner, "SETTLED_AT_ONCE", 2)
    ear = Ear()
    destinations = [f"10.0.0.{number}/32" for number in range(5)]
    ear.learn(*map(route, destinations))
    ear.learner.set_rules(WIDE)
    ear.learner.finish()
    assert list(ear.learner.announced) == destinations
