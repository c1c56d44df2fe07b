"""Topologies in TOML: what each key means, and every error with its key and value."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pybgp.errors import LocalError
from pybgp.simulator import Happening, LinkQuality, Simulation
from pybgp.simulator.topology_file import read_topology

EXAMPLE = Path(__file__).parents[3] / "examples" / "topology.toml"
TWO = '[node.a]\n[node.b]\nas = 64513\n[[link]]\nnodes = ["a", "b"]\n'


def test_the_example_says_what_it_says() -> None:
    topology = read_topology(tomllib.loads(EXAMPLE.read_text()))
    assert [node.name for node in topology.nodes] == ["east1", "east2", "east3", "west1", "west2"]
    assert [node.local_as for node in topology.nodes] == [64512, 64512, 64512, 64513, 64513]
    assert len(topology.links) == 5
    line = topology.links[-1]
    assert (line.one, line.other, line.quality) == ("east1", "west1", LinkQuality(0.03, 0.01, 0.02))
    assert line.sides["west1"].export_policy is not None
    assert line.sides["east1"].export_policy is None
    assert line.sides["east1"].options["hold_time"] == 9
    assert topology.happenings[0] == Happening(5, "cut", ("east1", "west1"))
    assert topology.duration == 60


def test_a_mesh_is_made_by_number_and_reflectors_by_their_clients() -> None:
    text = """
        [session]
        graceful_restart = 30
        [node.reflector]
        cluster_id = "192.0.2.1"
        [[mesh]]
        count = 3
        hold_time = 3
        [[link]]
        nodes = ["reflector", "node1"]
        reflector_client = "node1"
        passive = "node1"
    """
    topology = read_topology(tomllib.loads(text))
    assert [node.name for node in topology.nodes] == ["reflector", "node1", "node2", "node3"]
    assert len(topology.links) == 4
    assert topology.links[0].sides["node1"].options["hold_time"] == 3
    sides = topology.links[-1].sides
    assert sides["reflector"].options["routes"].reflector_client
    assert "routes" not in sides["node1"].options
    assert (sides["node1"].options.get("passive"), sides["reflector"].options.get("passive")) == (True, None)
    assert sides["node1"].options["graceful_restart"].restart_time == 30
    with Simulation(topology) as simulation:
        simulation.settle()
        assert simulation.problems() == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 1", "topology: unknown key 'colour'"),
        ("duration = 'long'", "topology: duration 'long': a number expected"),
        ("duration = -5", "topology: duration -5: 0 or more seconds expected"),
        ("node = 1", "node 1: a table expected"),
        ("[[node]]\nname = 'a'", "node: [node.NAME] tables expected, not [[node]]"),
        ("[node]\na = 1", "node.a 1: a table expected"),
        ("[node.a]\nas = '1'", "node.a: as '1': a whole number expected"),
        ("[node.a]\nas = true", "node.a: as True: a whole number expected"),
        ("[node.a]\naddress = 'here'", "node.a: address: address 'here'"),
        ("[node.a]\naddress = 1", "node.a: address 1: a text expected"),
        ("[node.a]\nnetworks = ['10.0.0.0/40']", "node.a: networks: "),
        ("[node.a]\nnetworks = ['2001:db8::/32']", "node.a: networks: prefix '2001:db8::/32': an IPv4 prefix expected"),
        ("[node.a]\nas = 0", "node.a: local_as 0: 1 to 4294967295 expected"),
        ("[node.a]\ncluster_id = 'x'", "node.a: cluster_id 'x': "),
        ("[node.a]\nnetworks = '10.0.0.0/8'", "a list of texts expected"),
        ("[node.a]\nrequire_ebgp_policy = 1", "node.a: require_ebgp_policy 1: true or false expected"),
        ("[node.a]\nweight = 1", "node.a: unknown key 'weight'"),
        ("[session]\nhold = 1", "session: unknown key 'hold'"),
        ("link = 1", "link 1: [[link]] tables expected"),
        (TWO + "loss = 2", "link[0]: loss 2: "),
        (TWO + "latency = 'x'", "link[0]: latency 'x': a number expected"),
        (TWO + "hold_time = 1.5", "link[0]: hold_time 1.5: a whole number expected"),
        (TWO + "passive = 'c'", "link[0]: passive 'c': 'a' or 'b' expected"),
        (TWO + "import_policy = 'p'", "link[0]: import_policy 'p': a table of policies by node expected"),
        (TWO + "import_policy = {c = 'p'}", "link[0]: import_policy 'c': 'a' or 'b' expected"),
        (TWO + "import_policy = {a = 'p'}", "link[0]: import_policy 'p': there is no such policy"),
        ("[[link]]\nnodes = ['a']", "link[0]: nodes ['a']: two names expected"),
        ("[[link]]\nnodes = ['a', 'b']", "link a-b: there is no node 'a'"),
        ("[[mesh]]", "mesh[0]: nodes (a list of names) or count expected"),
        ("[[mesh]]\ncount = 5000", "mesh[0]: count 5000: 0 to 1000 expected"),
        ("[node.node1]\n[[mesh]]\ncount = 2", "mesh[0]: count 2: there is a node node1 already"),
        ("[[event]]\nat = 1", "event[0]: one of kill, "),
        ("[[event]]\nat = 1\nkill = 'a'\nstart = 'a'", "event[0]: one of kill, "),
        ("[[event]]\nat = -1\nkill = 'a'", "event[0]: at -1: 0 or more seconds expected"),
        ("[[event]]\nkill = 'a'", "event[0]: at: seconds expected"),
        ("[[event]]\nat = 1\nannounce = ['a', '10.0.0.1/8']", "event[0]: announce: prefix '10.0.0.1/8'"),
        ("[[event]]\nat = 1\ncut = ['a']", "event[0]: cut ['a']: 2 names expected"),
        ("[policy.p]\ndefault = 'perhaps'", "policy.p"),
    ],
)
def test_every_mistake_is_named(text: str, complaint: str) -> None:
    with pytest.raises(LocalError, match=re.escape(complaint)):
        read_topology(tomllib.loads(text))


def test_a_session_that_cannot_be_is_refused_before_the_run() -> None:
    topology = read_topology(tomllib.loads(TWO + "hold_time = 2"))
    with Simulation(topology) as simulation, pytest.raises(LocalError, match="hold_time 2"):
        simulation.start("a")
