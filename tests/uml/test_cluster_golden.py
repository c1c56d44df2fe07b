"""Three agents on a kernel with ipip do what three BIRDs did when the mesh was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.demo.cluster import ARTICLE_BLOCKS
from tests.uml.guest import SCENARIOS, SHARED, Told, tell
from tests.uml.kernel_tables import read_table
from tests.uml.mesh_scenario import HOLD_SECONDS

if TYPE_CHECKING:
    pass

GOLDEN = SHARED / "golden" / "mesh"
PHASES = (
    "1-initial",
    "3-add-block",
    "4-remove-block",
    "5a-killed",
    "5b-restarted",
    "6-node-death",
    "7-node-back",
    "8-shutdown",
)
pytestmark = pytest.mark.uml


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(request, tmp_path_factory)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("node", list(ARTICLE_BLOCKS))
def test_the_kernel_table_equals_birds(told: Told, phase: str, node: str) -> None:
    recorded = GOLDEN / phase / f"{node}.routes.json"
    if not recorded.exists():
        pytest.skip(f"no record of the mesh at {GOLDEN}")
    ours = told.directory / phase / recorded.name
    if not ours.exists():
        pytest.fail(f"the scenario ended before {phase}:\n{told.report()}")
    assert read_table(ours) == read_table(recorded)


def test_the_scenario_came_to_its_end(told: Told) -> None:
    assert told.result.status == 0, told.report()
    assert told.fact("seconds in all") < SCENARIOS[__name__].limit_seconds


def test_the_tunnel_has_the_article_s_mtu_and_the_first_address_of_the_block(told: Told) -> None:
    wanted = {node: [1440, True, [[block.partition("/")[0], 32]]] for node, block in ARTICLE_BLOCKS.items()}
    assert told.fact("tunnels") == wanted


def test_pods_have_the_article_s_interfaces(told: Told) -> None:
    pods = told.fact("pods")
    assert pods["nginx-deployment-54f57cf6bf-gn7x8"] == ["192.168.171.65", "cali12aa5f52300"]
    assert pods["coredns-6955765f44-b5dkz"] == ["192.168.171.66", "cali3f91d23777d"]
    assert pods["nginx-deployment-54f57cf6bf-jmp9l"] == ["192.168.5.1", "cali892ef576711"]


def test_pods_reach_each_other_through_ipip(told: Told) -> None:
    assert told.fact("ping") == "3/3"
    assert told.fact("ping time to live") == ["62"]
    assert told.fact("tunnel ends") == ["10.0.0.11 10.0.0.12", "10.0.0.12 10.0.0.11"]
    assert told.fact("inner packets between the pods") >= 8
    assert set(told.fact("pings between nodes").values()) == {"1/1"}


def test_packets_of_1440_octets_pass_and_of_1441_do_not(told: Told) -> None:
    assert told.fact("ping of 1440 octets") == "1/1"
    assert "message too long, mtu=1440" in told.fact("ping of 1441 octets")
    assert told.fact("longest outer packet") == 1460


def test_tcp_offers_the_article_s_segment_size_and_carries_data(told: Told) -> None:
    assert told.fact("tcp mss") == [1400]
    assert told.fact("tcp") == "HTTP/1.0 200 OK 20019"


@pytest.mark.parametrize("phase", ["3-add-block", "4-remove-block"])
def test_a_block_s_change_is_with_the_others_at_once(told: Told, phase: str) -> None:
    late = told.fact(f"{phase}, milliseconds after the owner's kernel")
    assert set(late) == {"master-01", "worker-02"}
    assert max(late.values()) < 500


def test_a_killed_and_restarted_agent_causes_no_route_event(told: Told) -> None:
    events = told.fact("route events of a killed and restarted agent")
    assert events == {node: [] for node in ARTICLE_BLOCKS}


def test_the_same_without_graceful_restart_does_cause_one(told: Told) -> None:
    events = told.fact("route events of a crash without graceful restart")
    assert any(ARTICLE_BLOCKS["worker-01"] in text and text.startswith("Deleted") for text in events["worker-02"])


def test_a_dead_node_s_routes_go_when_the_hold_time_has_passed(told: Told) -> None:
    moments = told.fact("seconds from the cut to the deletion")
    assert len(moments) == 4
    for seconds in moments.values():
        assert HOLD_SECONDS * 2 / 3 - 1 < seconds < HOLD_SECONDS + 2


def test_sigterm_ends_the_agent_politely(told: Told) -> None:
    assert told.fact("exit status after SIGTERM") == 0


def test_the_record_has_every_phase() -> None:
    if not GOLDEN.exists():
        pytest.skip(f"no record of the mesh at {GOLDEN}")
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} >= set(PHASES)
