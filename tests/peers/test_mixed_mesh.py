"""One node of the mesh is a stock BIRD 2, configured as in the recorded mesh; two run pybgp-node."""

from __future__ import annotations

import pytest

from examples.demo.cluster import ARTICLE_BLOCKS
from tests.peers.daemons import Bird
from tests.uml.guest import SHARED, Told, tell
from tests.uml.kernel_tables import read_table

pytestmark = [pytest.mark.peers, pytest.mark.uml]


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    Bird.require()
    return tell(request, tmp_path_factory)


def test_the_scenario_came_to_its_end(told: Told) -> None:
    assert told.result.status == 0, told.report()


def test_bird_has_a_session_with_both_agents(told: Told) -> None:
    assert told.fact("BIRD's sessions") == ["10.0.0.11", "10.0.0.13"]


def test_pods_reach_each_other_in_every_direction(told: Told) -> None:
    pings = told.fact("pings")
    assert len(pings) == 6
    assert set(pings.values()) == {"1/1"}


@pytest.mark.parametrize("node", list(ARTICLE_BLOCKS))
def test_every_node_has_the_recorded_routes(told: Told, node: str) -> None:
    recorded = SHARED / "golden" / "mesh" / "1-initial" / f"{node}.routes.json"
    if not recorded.exists():
        pytest.skip(f"no record of the mesh at {recorded}")
    assert told.fact("pods")
    ours = read_table(told.directory / "mixed" / recorded.name)
    assert routes_of_bird(ours) == routes_of_bird(read_table(recorded))


def routes_of_bird(table: list[str]) -> list[str]:
    return [route for route in table if "protocol=bird" in route]


def test_new_and_withdrawn_blocks_cross_between_the_two_kinds(told: Told) -> None:
    assert told.fact("two blocks more, seconds") < 10
    assert told.fact("two blocks less, seconds") < 10


@pytest.mark.parametrize("who", ["our", "BIRD's"])
def test_a_crash_and_restart_of_either_kind_causes_no_route_event(told: Told, who: str) -> None:
    events = told.fact(f"route events of {who} restart")
    assert events == {node: [] for node in ARTICLE_BLOCKS}


def test_pods_still_reach_each_other_afterwards(told: Told) -> None:
    assert told.fact("pings after the restarts") == ["1/1"]
