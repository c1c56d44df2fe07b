"""D9: the peer table against what a real calicoctl printed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from calico_routing.node_status import format_since, render_status

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "calico" / "text"
NOON = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))


def clock(text: str) -> float:
    hours, minutes, seconds = map(int, text.split(":"))
    return time.mktime((2026, 11, 23, hours, minutes, seconds, 0, 0, -1))


def peer(name: str, address: str, state: str, since: str, error: str = "", **more: Any) -> dict[str, Any]:
    protocol_state = "up" if state == "Established" else "start"
    base = {"name": name, "address": address, "state": state, "since": clock(since), "last_error": error}
    return {"port": None, "protocol_state": protocol_state, **base, **more}


def golden(name: str) -> str:
    path = GOLDEN / name
    if not path.exists():
        pytest.skip(f"no recorded outputs at {GOLDEN}")
    return path.read_text()


MESH = peer("Mesh_10_96_0_2", "10.96.0.2", "Established", "17:32:47")
SPECIFIC = peer("Node_10_96_0_9", "10.96.0.9", "Connect", "17:33:00", "Socket: No route to host")


def recorded(pattern: str) -> list[Path]:
    return sorted(GOLDEN.glob(pattern))


def parse_recorded(text: str) -> list[dict[str, Any]]:
    kinds = {"node-to-node mesh": "Mesh", "global": "Global", "node specific": "Node"}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| 1")]
    return [
        peer(f"{kinds[row[1]]}_{row[0].replace('.', '_')}", row[0], row[4].split()[0], row[3], row[4].partition(" ")[2])
        for row in rows
    ]


@pytest.mark.parametrize("path", recorded("calicoctl-node-status*.txt"), ids=lambda path: path.name)
def test_the_table_is_byte_for_byte_the_recorded_one(path: Path) -> None:
    text = path.read_text()
    peers = parse_recorded(text)
    assert peers
    assert render_status({"peers": peers[::-1]}, clock("18:00:00")) == text


def test_without_peers() -> None:
    sections = "IPv4 BGP status\nNo IPv4 peers found.\n\nIPv6 BGP status\nNo IPv6 peers found.\n\n"
    assert render_status({"peers": []}, NOON) == f"Calico process is running.\n\n{sections}"


def test_both_families_are_sorted_by_type_and_number() -> None:
    peers = [
        peer("Node_10_0_0_2", "10.0.0.2", "Idle", "11:00:00"),
        peer("Mesh_10_0_0_10", "10.0.0.10", "Established", "11:00:00"),
        peer("Mesh_10_0_0_9", "10.0.0.9", "Established", "11:00:00"),
        peer("Global_10_0_0_1", "10.0.0.1", "Active", "11:00:00", port=1179),
        peer("Local_Workload_10_0_0_3", "10.0.0.3", "Active", "11:00:00"),
        peer("Mesh_fd00__1", "fd00::1", "OpenSent", "11:00:00", port=1179),
        peer("router", "10.0.0.200", "Passive", "11:00:00"),
    ]
    text = render_status({"peers": peers}, NOON)
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == [
        "PEER ADDRESS",
        "10.0.0.9",
        "10.0.0.10",
        "10.0.0.1:1179",
        "10.0.0.2",
        "10.0.0.200",
        "PEER ADDRESS",
        "[fd00::1]:1179",
    ]
    assert "| 10.0.0.200    | static            | start | 11:00:00 | Passive     |" in text


def test_old_changes_show_their_date() -> None:
    assert format_since(NOON - 86_399, NOON) == "12:00:01"
    assert format_since(NOON - 86_400, NOON) == "2026-11-22"
