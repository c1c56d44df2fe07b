from __future__ import annotations

from collections.abc import Callable

import pytest

from pybgp.errors import LocalError
from pybgp.rib.path import Source
from pybgp.session.config import GracefulRestartConfig
from pybgp.simulator import (
    LinkPlan,
    LinkQuality,
    NodePlan,
    SessionSide,
    Simulation,
    Topology,
    Trace,
    external,
    mesh,
    reflector_tree,
)
from pybgp.simulator.topology import numbered_prefix
from pybgp.wire.families import IPV4_UNICAST

#: The prefix of node2 in a mesh.
SECOND = numbered_prefix(2)


def moments(simulation: Simulation, kind: str) -> list[tuple[str, str]]:
    return [(moment.node, moment.text) for moment in simulation.timeline if moment.kind == kind]


def test_a_mesh_comes_up_and_every_node_has_every_block() -> None:
    with Simulation(mesh(5), seed=3) as simulation:
        assert simulation.settle() < 2.0
        assert len(moments(simulation, "up")) == 20
        for name in simulation.nodes:
            assert len(simulation.speaker(name).best(IPV4_UNICAST)) == 5
        assert simulation.trace("node1", SECOND) == Trace(("node1", "node2"), "delivered")
        assert simulation.problems() == []


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_gives_the_same_run(seed: int) -> None:
    def run(seed: int) -> list[object]:
        with Simulation(mesh(4, quality=LinkQuality(0.01, 0.02, 0.1), hold_time=9), seed=seed) as simulation:
            simulation.at(5.0, "kill", "node2")
            simulation.at(8.0, "start", "node2")
            simulation.at(12.0, "cut", "node1", "node3")
            simulation.run_for(40.0)
            return list(simulation.timeline)

    assert run(seed) == run(seed)
    assert run(seed) != run(seed + 1000)


def test_a_killed_node_is_gone_at_once_and_comes_back() -> None:
    with Simulation(mesh(3)) as simulation:
        simulation.settle()
        simulation.kill("node2")
        killed = simulation.now
        assert simulation.settle() - killed < 0.1
        assert simulation.trace("node1", SECOND).outcome == "no route"
        simulation.start("node2")
        simulation.settle()
        assert simulation.trace("node1", SECOND).outcome == "delivered"


def test_a_graceful_restart_loses_no_route_and_no_packet() -> None:
    with Simulation(mesh(3, graceful_restart=GracefulRestartConfig(restart_time=120))) as simulation:
        simulation.settle()
        seen = len(simulation.timeline)
        simulation.kill("node2")
        for _ in range(20):
            simulation.run_for(0.5)
            assert simulation.trace("node1", SECOND).outcome == "delivered"
            assert simulation.trace("node2", numbered_prefix(1)).outcome == "delivered"
        simulation.start("node2")
        simulation.settle()
        routes = [moment for moment in simulation.timeline[seen:] if moment.kind == "routes" and moment.node != "node2"]
        assert routes == []
        assert simulation.trace("node1", SECOND).outcome == "delivered"


def test_a_node_that_does_not_return_loses_its_routes_when_the_restart_time_is_over() -> None:
    with Simulation(mesh(3, graceful_restart=GracefulRestartConfig(restart_time=30))) as simulation:
        simulation.settle()
        simulation.kill("node2")
        killed = simulation.now
        assert 30.0 <= simulation.settle() - killed < 31.0
        assert simulation.trace("node1", SECOND).outcome == "no route"


def test_a_cut_is_noticed_by_the_hold_timer_and_by_the_igp_at_once() -> None:
    with Simulation(mesh(2, hold_time=9)) as simulation:
        simulation.settle()
        cut = simulation.now
        simulation.cut("node1", "node2")
        simulation.run_for(0.2)
        assert moments(simulation, "down") == []
        assert simulation.trace("node1", SECOND).outcome == "no route", "the next hop is out of reach"
        simulation.settle()
        downs = [moment for moment in simulation.timeline if moment.kind == "down"]
        assert {moment.text for moment in downs} == {f"node{n}: BGP Error: Hold timer expired" for n in (1, 2)}
        assert all(6.0 <= moment.time - cut <= 9.1 for moment in downs)
        simulation.heal("node1", "node2")
        simulation.settle()
        assert simulation.problems() == []
        assert simulation.trace("node1", SECOND).outcome == "delivered"


def test_external_routes_take_the_shortest_way_and_another_when_it_is_cut() -> None:
    ring = external([(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)], hold_time=9)
    with Simulation(ring) as simulation:
        simulation.settle()
        assert simulation.trace("node1", numbered_prefix(3)).hops == ("node1", "node2", "node3")
        simulation.cut("node1", "node2")
        simulation.settle()
        assert simulation.trace("node1", numbered_prefix(3)).hops == ("node1", "node5", "node4", "node3")
        assert simulation.problems() == []


def test_announcements_come_and_go_and_survive_a_restart() -> None:
    with Simulation(mesh(3)) as simulation:
        simulation.settle()
        simulation.announce("node3", "203.0.113.0/24")
        simulation.settle()
        assert simulation.trace("node1", "203.0.113.0/24").hops == ("node1", "node3")
        simulation.kill("node3")
        simulation.start("node3")
        simulation.settle()
        assert simulation.trace("node1", "203.0.113.0/24").hops == ("node1", "node3")
        simulation.withdraw("node3", "203.0.113.0/24")
        simulation.settle()
        assert simulation.trace("node1", "203.0.113.0/24").outcome == "no route"


def test_a_next_hop_that_nobody_has_is_not_chosen() -> None:
    with Simulation(mesh(2)) as simulation:
        simulation.settle()
        simulation.do(lambda: simulation.speaker("node2").announce("203.0.113.0/24", next_hop="10.9.9.9"))
        simulation.settle()
        assert simulation.trace("node1", "203.0.113.0/24").outcome == "no route"
        assert len(simulation.speaker("node1").received("node2", IPV4_UNICAST)) == 2


def test_a_route_that_leads_nowhere_is_found() -> None:
    line = external([(1, 2), (2, 3)])
    with Simulation(line) as simulation:
        simulation.settle()
        simulation.cut("node2", "node3")
        assert sorted(simulation.problems()) == [
            f"node1 to {numbered_prefix(3)}: black hole (node1 node2)",
            f"node2 to {numbered_prefix(3)}: black hole (node2)",
            f"node3 to {numbered_prefix(1)}: black hole (node3)",
            f"node3 to {numbered_prefix(2)}: black hole (node3)",
        ]
        simulation.settle()
        assert simulation.problems() == []


def test_two_kernels_that_point_at_each_other_are_a_loop() -> None:
    with Simulation(mesh(3)) as simulation:
        simulation.settle()
        one, two = simulation.node("node1"), simulation.node("node2")
        toward_two = simulation.speaker("node1").best(IPV4_UNICAST)[bytes([26, 172, 16, 0, 64])]
        toward_one = simulation.speaker("node2").best(IPV4_UNICAST)[bytes([26, 172, 16, 0, 0])]
        assert toward_two.source is Source.IBGP
        simulation.kill("node1")
        simulation.kill("node2")
        key = bytes([24, 203, 0, 113])
        one.left[IPV4_UNICAST][key], two.left[IPV4_UNICAST][key] = toward_two, toward_one
        assert simulation.trace("node1", "203.0.113.0/24") == Trace(("node1", "node2", "node1"), "loop")


def test_a_tree_of_reflectors_spreads_every_route_and_names_the_originators() -> None:
    with Simulation(reflector_tree(40, 3)) as simulation:
        simulation.settle()
        for name in simulation.nodes:
            assert len(simulation.speaker(name).best(IPV4_UNICAST)) == 40
        assert simulation.problems() == []
        far = simulation.trace("node40", numbered_prefix(14))
        assert far.outcome == "delivered"
        assert far.hops[0] == "node40"
        path = simulation.speaker("node40").best(IPV4_UNICAST)[bytes([26, 172, 16, 3, 64])]
        assert path.attributes.originator_id == int.from_bytes(bytes([10, 0, 0, 14]), "big")
        assert len(path.attributes.cluster_list) >= 2


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda s: s.at(1, "burn", "node1"), "action 'burn'"),
        (lambda s: s.at(1, "kill", "node9"), "node 'node9'"),
        (lambda s: s.at(1, "kill"), "1 operands expected, not 0"),
        (lambda s: s.at(1, "cut", "node1", "node9"), "link node1-node9"),
        (lambda s: s.at(1, "announce", "node1", "10.0.0.0/99"), "10.0.0.0/99"),
        (lambda s: s.speaker("node9"), "node 'node9'"),
        (lambda s: s.cut("node1", "node1"), "link node1-node1"),
    ],
)
def test_what_is_not_there_is_named(act: Callable[[Simulation], object], text: str) -> None:
    with Simulation(mesh(2)) as simulation, pytest.raises(LocalError, match=text):
        act(simulation)


def test_a_network_that_cannot_settle_says_what_is_missing() -> None:
    sides = {"a": SessionSide({"passive": True}), "b": SessionSide({"passive": True})}
    waiting = Topology((NodePlan("a"), NodePlan("b")), (LinkPlan("a", "b", sides=sides),))
    complaint = "not settled after 20 s: a's session with b is Active"
    with Simulation(waiting) as simulation, pytest.raises(LocalError, match=complaint):
        simulation.settle(20)


@pytest.mark.parametrize(
    ("nodes", "links", "text"),
    [
        (["a", "a"], [], "two of this name"),
        (["a", "b"], [("a", "c")], "no node 'c'"),
        (["a", "b"], [("a", "a")], "link a-a"),
        (["a", "b"], [("a", "b"), ("b", "a")], "link b-a"),
    ],
)
def test_a_topology_that_does_not_fit_together_is_refused(
    nodes: list[str], links: list[tuple[str, str]], text: str
) -> None:
    with pytest.raises(LocalError, match=text):
        Topology(tuple(map(NodePlan, nodes)), tuple(LinkPlan(*link) for link in links))


def test_two_nodes_of_one_address_are_refused() -> None:
    with pytest.raises(LocalError, match=r"address 192\.0\.2\.1 is a's"):
        Simulation(Topology((NodePlan("a", address="192.0.2.1"), NodePlan("b", address="192.0.2.1"))))
