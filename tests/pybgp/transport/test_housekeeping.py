"""When changes pause, caches hold what routes need, and no more."""

from __future__ import annotations

from pybgp.simulator import Simulation, external
from pybgp.transport.housekeeping import PAUSE
from pybgp.wire.families import IPV4_UNICAST


def test_what_is_gone_is_forgotten_in_a_pause_and_not_before() -> None:
    with Simulation(external([(1, 2), (2, 3)])) as simulation:
        simulation.settle()
        origin, middle = simulation.speaker("node1"), simulation.speaker("node2")
        work = middle._work
        for number in range(500):
            communities = [number + 1]
            simulation.do(lambda communities=communities: origin.announce("203.0.113.0/24", communities=communities))  # type: ignore[misc]
            simulation.run_for(0.02)
        assert len(work.store) > 400
        assert work.rib.attribute_count() > 400
        simulation.run_for(2 * PAUSE + 0.1)
        assert len(middle.best(IPV4_UNICAST)) == 4
        assert len(work.store) <= 10
        assert work.rib.attribute_count() <= 5
        assert all(group.sent for group in work.exporter._groups.values())
        (path,) = {path for path in middle.best(IPV4_UNICAST).values() if path.attributes.communities}
        assert path.attributes.communities == (500,)


def test_a_table_that_only_grows_is_left_alone() -> None:
    with Simulation(external([(1, 2)])) as simulation:
        simulation.settle()
        work = simulation.speaker("node2")._work
        simulation.run_for(2 * PAUSE + 0.1)
        simulation.do(lambda: simulation.speaker("node1").announce(f"203.0.{n}.0/24" for n in range(100)))
        simulation.run_for(2 * PAUSE + 0.1)
        assert list(work.store.sweeps(work.rib.attribute_count())) == []


def test_nothing_is_left_to_do_when_a_speaker_stops() -> None:
    with Simulation(external([(1, 2)])) as simulation:
        simulation.settle()
        work = simulation.speaker("node2")._work
        assert work._housekeeping._handle is None or not work._housekeeping._handle.cancelled()
        simulation.kill("node2")
        simulation.run_for(1.0)
        assert work._housekeeping._handle is None


def test_routes_that_go_slice_by_slice_are_no_pause() -> None:
    with Simulation(external([(1, 2), (2, 3)])) as simulation:
        simulation.settle()
        middle = simulation.speaker("node2")
        simulation.run_for(2 * PAUSE + 0.1)
        assert middle._work._housekeeping._handle is None
        before = len(middle.best(IPV4_UNICAST))
        simulation.kill("node1")
        simulation.run_for(PAUSE / 2)
        assert len(middle.best(IPV4_UNICAST)) < before
        assert middle._work._housekeeping._handle is not None
