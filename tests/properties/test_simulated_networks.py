"""Networks of real speakers in virtual time come to rest, and then say what an oracle computes from the topology."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybgp.rib.path import Source
from pybgp.rib.policy import Clause, PrefixMatch, PrefixSet, RoutePolicy, Verdict, parse_range
from pybgp.simulator import (
    LinkPlan,
    LinkQuality,
    NodePlan,
    SessionSide,
    Simulation,
    Topology,
    external,
    mesh,
    reflector_tree,
)
from pybgp.simulator.topology import numbered_prefix
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import parse_prefix

Edge = tuple[int, int]
qualities = st.builds(
    LinkQuality, st.sampled_from([0.0, 0.001, 0.05]), st.sampled_from([0.0, 0.02]), st.sampled_from([0.0, 0.1])
)
#: Seconds between two things that happen, and what it is: a number is reduced to a node, a link or nothing.
happenings = st.lists(
    st.tuples(st.floats(0.0, 20.0), st.sampled_from(["kill", "start", "cut", "heal"]), st.integers(0, 2**16)),
    max_size=8,
)
#: Short, so that silent losses are noticed soon; and no damping that outlives the test.
TIMES = {"hold_time": 9, "maximum_idle_hold_time": 4.0}
SETTLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of sessions would be logged."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def key_of(number: int) -> bytes:
    return parse_prefix(numbered_prefix(number))[1]


@st.composite
def graphs(draw: st.DrawFn) -> list[Edge]:
    """A connected graph: a random tree and some more edges."""
    count = draw(st.integers(2, 8))
    tree = [(draw(st.integers(1, number - 1)), number) for number in range(2, count + 1)]
    more = draw(st.lists(st.tuples(st.integers(1, count), st.integers(1, count)), max_size=8))
    return sorted({(min(edge), max(edge)) for edge in [*tree, *more] if edge[0] != edge[1]})


def play(simulation: Simulation, edges: Sequence[tuple[str, str]], story: Sequence[tuple[float, str, int]]) -> None:
    """Let things happen, each some time after the one before."""
    names = list(simulation.nodes)
    time = 0.0
    for pause, action, number in story:
        time += pause
        if action in {"kill", "start"}:
            simulation.at(time, action, names[number % len(names)])
        else:
            simulation.at(time, action, *edges[number % len(edges)])
    simulation.run_until(time)
    simulation.settle(1200.0)


def distances(start: int, edges: set[Edge]) -> dict[int, int]:
    """Return how far each node is from one, along directed edges: (a, b) leads from a to b."""
    found = {start: 0}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for one, other in edges:
            if one == here and other not in found:
                found[other] = found[here] + 1
                waiting.append(other)
    return found


def live_edges(simulation: Simulation, edges: Sequence[Edge]) -> set[Edge]:
    """Return the pairs, in both directions, whose session is up."""
    return {
        pair
        for edge in edges
        for pair in (edge, edge[::-1])
        if all(simulation.nodes[f"node{number}"].is_running for number in edge)
        and simulation.network.is_adjacent(f"node{edge[0]}", f"node{edge[1]}")
    }


@SETTLE
@given(graphs(), qualities, st.integers(0, 2**32), happenings)
def test_external_peers_choose_the_shortest_of_the_ways_that_are_left(
    edges: list[Edge], quality: LinkQuality, seed: int, story: list[tuple[float, str, int]]
) -> None:
    with Simulation(external(edges, quality=quality, **TIMES), seed=seed, record=False) as simulation:
        play(simulation, [(f"node{one}", f"node{other}") for one, other in edges], story)
        alive = live_edges(simulation, edges)
        numbers = sorted({number for edge in edges for number in edge})
        running = [number for number in numbers if simulation.nodes[f"node{number}"].is_running]
        for origin in running:
            expected = distances(origin, alive)
            for number in running:
                path = simulation.speaker(f"node{number}").best(IPV4_UNICAST).get(key_of(origin))
                assert (None if path is None else path.attributes.as_path.length) == expected.get(number)
                if path is not None and path.source is not Source.LOCAL:
                    trace = simulation.trace(f"node{number}", numbered_prefix(origin))
                    assert (trace.outcome, len(trace.hops) - 1) == ("delivered", expected[number])
        assert simulation.problems() == []


@SETTLE
@given(
    graphs(),
    st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)), max_size=20),
    st.integers(0, 2**32),
    happenings,
)
def test_with_filters_they_choose_the_shortest_of_the_ways_that_are_allowed(
    edges: list[Edge], refused: set[tuple[int, int, int]], seed: int, story: list[tuple[float, str, int]]
) -> None:
    """A triple is a node, a neighbour and an origin: the node takes no route of the origin from the neighbour."""

    def side(number: int, neighbor: int) -> SessionSide:
        prefixes = [numbered_prefix(origin) for one, other, origin in refused if (one, other) == (number, neighbor)]
        clauses = (Clause("refused", (PrefixMatch(PrefixSet(map(parse_range, prefixes))),), then=Verdict.REJECT),)
        return SessionSide(TIMES, RoutePolicy("filter", clauses, default=Verdict.ACCEPT) if prefixes else None)

    plain = external(edges)
    links = [LinkPlan(f"node{a}", f"node{b}", sides={f"node{a}": side(a, b), f"node{b}": side(b, a)}) for a, b in edges]
    with Simulation(Topology(plain.nodes, tuple(links)), seed=seed, record=False) as simulation:
        play(simulation, [(f"node{one}", f"node{other}") for one, other in edges], story)
        alive = live_edges(simulation, edges)
        running = [int(name[4:]) for name, node in simulation.nodes.items() if node.is_running]
        for origin in running:
            allowed = {(one, other) for one, other in alive if (other, one, origin) not in refused}
            expected = distances(origin, allowed)
            for number in running:
                path = simulation.speaker(f"node{number}").best(IPV4_UNICAST).get(key_of(origin))
                assert (None if path is None else path.attributes.as_path.length) == expected.get(number)
        assert simulation.problems() == []


@SETTLE
@given(st.integers(2, 7), qualities, st.booleans(), st.integers(0, 2**32), happenings)
def test_a_mesh_has_the_blocks_of_those_who_talk_to_each_other(
    count: int, quality: LinkQuality, reset: bool, seed: int, story: list[tuple[float, str, int]]
) -> None:
    """What one internal peer says is never told to another (RFC 4271 section 9.2)."""
    topology = mesh(count, quality=quality, **TIMES)
    edges = [(int(link.one[4:]), int(link.other[4:])) for link in topology.links]
    with Simulation(topology, seed=seed, record=False) as simulation:
        play(simulation, [(link.one, link.other) for link in topology.links], story)
        alive = live_edges(simulation, edges)
        for name, node in simulation.nodes.items():
            if node.is_running:
                number = int(name[4:])
                expected = {key_of(other) for one, other in alive if one == number} | {key_of(number)}
                assert simulation.speaker(name).best(IPV4_UNICAST).keys() == expected
        assert simulation.problems() == []


@SETTLE
@given(st.integers(2, 15), st.integers(1, 4), st.integers(0, 2**32), happenings)
def test_a_tree_of_reflectors_has_what_its_part_of_the_tree_has(
    count: int, fanout: int, seed: int, story: list[tuple[float, str, int]]
) -> None:
    topology = reflector_tree(count, fanout, **TIMES)
    edges = [(int(link.one[4:]), int(link.other[4:])) for link in topology.links]
    with Simulation(topology, seed=seed, record=False) as simulation:
        play(simulation, [(link.one, link.other) for link in topology.links], story)
        alive = live_edges(simulation, edges)
        for name, node in simulation.nodes.items():
            if node.is_running:
                expected = {key_of(number) for number in distances(int(name[4:]), alive)}
                assert simulation.speaker(name).best(IPV4_UNICAST).keys() == expected
        assert simulation.problems() == []


def test_two_reflectors_of_the_same_clients_make_no_loop() -> None:
    """Clients of two reflectors that are each other's peers, as every redundant design has it (RFC 4456 section 7)."""
    tree = reflector_tree(2, 1)
    client = tree.links[0].sides["node1"]
    nodes = [NodePlan(f"node{number}", networks=(numbered_prefix(number),)) for number in range(1, 7)]
    links = [LinkPlan("node1", "node2")]
    links += [LinkPlan(one, f"node{n}", sides={one: client}) for one in ("node1", "node2") for n in range(3, 7)]
    with Simulation(Topology(tuple(nodes), tuple(links)), seed=5) as simulation:
        simulation.settle()
        for name in simulation.nodes:
            assert len(simulation.speaker(name).best(IPV4_UNICAST)) == 6
        simulation.kill("node1")
        simulation.settle()
        for number in range(2, 7):
            assert len(simulation.speaker(f"node{number}").best(IPV4_UNICAST)) == 5
        assert simulation.problems() == []
