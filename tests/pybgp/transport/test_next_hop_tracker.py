"""Routes to next hops change while a speaker runs."""

from __future__ import annotations

from pybgp import IPV4_UNICAST, NextHopTracker
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

PREFIX = "192.0.2.0/24"


def test_paths_follow_the_routes_to_their_next_hops() -> None:
    async def scenario(place: Town) -> None:
        tracker = NextHopTracker(delay=0.01)
        tracker.put("10.0.0.2/32", cost=5, via=["172.16.0.1", "172.16.0.2"])
        tracker.put("172.16.0.0/24")
        one = place.make(1, next_hop_cost=tracker.cost, maximum_paths=4)
        tracker.attach(one)
        for number in (2, 3):
            place.make(number).announce(PREFIX)
            connect(place, 1, number, 64512)
            connect(place, number, 1, 64512)
        await start(place)
        paths = lambda: one.paths(IPV4_UNICAST, key(PREFIX))  # noqa: E731 - asked again and again
        await until(lambda: one.received("n3", IPV4_UNICAST) and [path.next_hop[3] for path in paths()] == [2])
        assert {path.rejection for path in one.received("n3", IPV4_UNICAST).values()} == {"next hop unreachable"}
        assert tracker.gateways(paths()) == ("172.16.0.1", "172.16.0.2")
        tracker.put("10.0.0.3/32", cost=4, via=["172.16.0.3"])
        await until(lambda: [path.next_hop[3] for path in paths()] == [3])
        tracker.put("10.0.0.3/32", cost=5, via=["172.16.0.3"])
        await until(lambda: len(paths()) == 2)
        assert set(tracker.gateways(paths())) == {"172.16.0.1", "172.16.0.2", "172.16.0.3"}
        tracker.remove("172.16.0.0/24")
        await until(lambda: not paths())
        tracker.close()

    run(scenario)
