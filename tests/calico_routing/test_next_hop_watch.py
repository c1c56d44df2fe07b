"""What the kernel's routes say about next hops: the least metric counts, and what drops packets blocks."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from calico_routing.configuration import ConfigurationError, parse_configuration
from calico_routing.kernel.interface import KernelRoute, NextHop
from calico_routing.next_hop_watch import NextHopWatch

WAY = (NextHop("10.0.0.1", "eth0"),)
NETWORK = "172.16.0.0/16"


def distance(watch: NextHopWatch, address: str) -> int | None:
    return watch.tracker.cost(ip_address(address).packed)


def route(destination: str, metric: int = 0, kind: str = "unicast", **more: int) -> KernelRoute:
    return KernelRoute(destination, kind, WAY if kind == "unicast" else (), metric=metric, protocol=4, **more)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ([], None),
        ([route(NETWORK, 7)], 7),
        ([route(NETWORK, 7), route(NETWORK, 5)], 5),
        ([route(NETWORK, 7), route(NETWORK, 5, type_of_service=8)], 7),
        ([route(NETWORK, 7), route(NETWORK, 5, "unreachable")], None),
        ([route(NETWORK, 7), route(NETWORK, 9, "blackhole")], 7),
        ([route(NETWORK, 7), KernelRoute(NETWORK, "local", metric=0)], 7),
    ],
)
def test_the_best_route_to_a_destination(present: list[KernelRoute], expected: int | None) -> None:
    watch = NextHopWatch(by_default_route=False)
    watch.on_routes({NETWORK: present})
    assert distance(watch, "172.16.3.4") == expected


def test_a_longer_prefix_that_drops_packets_hides_a_shorter_one_that_leads_on() -> None:
    watch = NextHopWatch(by_default_route=True)
    watch.on_routes({NETWORK: [route(NETWORK, 7)], "0.0.0.0/0": [route("0.0.0.0/0", 100)]})
    assert [distance(watch, address) for address in ("172.16.3.4", "192.0.2.1")] == [7, 100]
    watch.on_routes({"172.16.3.0/24": [route("172.16.3.0/24", kind="blackhole")]})
    assert [distance(watch, address) for address in ("172.16.3.4", "172.16.4.4")] == [None, 7]
    watch.on_routes({"172.16.3.0/24": ()})
    assert distance(watch, "172.16.3.4") == 7
    assert distance(NextHopWatch(by_default_route=False), "192.0.2.1") is None


def test_next_hops_that_no_path_has_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybgp.transport.next_hop_tracker.SMALLEST_SWEEP", 10)

    class Teller:
        def next_hops(self) -> set[bytes]:
            return {ip_address("172.16.0.5").packed}

    async def scenario() -> None:
        watch = NextHopWatch(by_default_route=False, delay=0.001)
        watch.tracker.attach(Teller())  # type: ignore[arg-type]  # all that is asked of a speaker here
        for number in range(30):
            distance(watch, f"172.16.0.{number}")
        async with asyncio.timeout(10):
            while len(watch.tracker.table) > 1:  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0.001)
        watch.tracker.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["track_by_default_route", "track_by_bgp_routes"])
def test_other_ways_than_the_kernels_own_are_a_part_of_tracking(key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"kernel.{key}: expected kernel.track_next_hops = true beside it"):
        parse_configuration(f"[kernel]\n{key} = true", "x", {})
