"""Routes to next hops change while a speaker runs."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from pybgp import IPV4_UNICAST, NextHopTracker
from pybgp.rib.next_hop_table import Step
from pybgp.transport import next_hop_tracker
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


def test_routes_of_bgp_lead_to_next_hops_while_they_are_selected() -> None:
    async def scenario(place: Town) -> None:
        moved: list[list[bytes]] = []
        tracker = NextHopTracker(delay=0.01, depth=4, recursive=True, on_moved=lambda hops: moved.append(list(hops)))
        tracker.put("10.0.0.0/24", cost=7)
        one, two, three = place.make(1, next_hop_cost=tracker.cost), place.make(2), place.make(3)
        tracker.attach(one)
        for number in (2, 3):
            connect(place, 1, number, 64512)
            connect(place, number, 1, 64512)
        far = bytes([172, 16, 0, 9])
        two.announce(PREFIX, next_hop="172.16.0.9")
        await start(place)
        await until(lambda: one.received("n2", IPV4_UNICAST))
        assert not one.best(IPV4_UNICAST), "no route leads to its next hop"
        three.announce("172.16.0.0/16")
        await until(lambda: key(PREFIX) in one.best(IPV4_UNICAST))
        assert moved == [[far]]
        assert tracker.gateways(one.paths(IPV4_UNICAST, key(PREFIX))) == ("10.0.0.3",)
        link = Step(bytes([10, 0, 0, 3]), "10.0.0.0/24", by_bgp=False)
        assert tracker.table.way(far) == (Step(far, "172.16.0.0/16", by_bgp=True), link)
        assert one.best(IPV4_UNICAST)[key(PREFIX)].cost == 7

        # A more specific one leads through what it leads to: it is selected, and passed over on the way.
        two.announce("172.16.0.9/32", next_hop="172.16.0.9")
        await until(lambda: key("172.16.0.9/32") in one.best(IPV4_UNICAST))
        assert tracker.table.way(far) == (Step(far, "172.16.0.0/16", by_bgp=True), link)
        three.withdraw("172.16.0.0/16")
        await until(lambda: not one.best(IPV4_UNICAST))
        assert moved[-1] == [far]
        tracker.close()
        three.announce("172.16.0.0/16")
        await until(lambda: one.best(IPV4_UNICAST))
        assert len(moved) == 2, "who is closed tells nothing"

    run(scenario)


def test_a_next_hop_that_does_not_come_to_rest_is_held_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_hop_tracker, "MOST_MOVES", 2)
    monkeypatch.setattr(next_hop_tracker, "HOLD_SECONDS", 0.4)

    async def scenario(place: Town) -> None:
        tracker = NextHopTracker(delay=0.001, recursive=True)
        tracker.put("10.0.0.0/24")
        one, two = place.make(1, next_hop_cost=tracker.cost), place.make(2)
        tracker.attach(one)
        connect(place, 1, 2, 64512)
        connect(place, 2, 1, 64512)
        two.announce(PREFIX, next_hop="172.16.0.9")
        await start(place)
        await until(lambda: one.received("n2", IPV4_UNICAST))
        two.announce("172.16.0.0/16")
        await until(lambda: key(PREFIX) in one.best(IPV4_UNICAST))
        with capture_logs() as logs:
            two.withdraw("172.16.0.0/16")
            await until(lambda: logs)
        assert [(line["event"], line["next_hop"]) for line in logs] == [("next_hop_unstable", "172.16.0.9")]
        two.announce("172.16.0.0/16")
        await until(lambda: key("172.16.0.0/16") in one.best(IPV4_UNICAST))
        assert key(PREFIX) not in one.best(IPV4_UNICAST)
        await until(lambda: key(PREFIX) in one.best(IPV4_UNICAST))
        tracker.close()

    run(scenario)
