"""The peer table of `pybgp-node status`, byte for byte as `calicoctl node status` prints it (spec section 8); pure."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RUNNING: Final = "Calico process is running."
NOT_RUNNING: Final = "Calico process is not running."
HEADERS: Final = ("PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO")
#: Session name prefix -> what the table calls it; the order is the table's.
PEER_TYPES: Final = {"Mesh": "node-to-node mesh", "Global": "global", "Node": "node specific"}
SECONDS_PER_DAY: Final = 86_400


def format_since(since: float, now: float) -> str:
    """Return the time of day, or the date when that is longer ago than a day."""
    pattern = "%H:%M:%S" if now - since < SECONDS_PER_DAY else "%Y-%m-%d"
    return time.strftime(pattern, time.localtime(since))


def peer_row(peer: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """Return the five cells of one peer."""
    address = peer["address"]
    if peer["port"] is not None:
        address = f"[{address}]:{peer['port']}" if ":" in address else f"{address}:{peer['port']}"
    return (
        address,
        PEER_TYPES.get(peer["name"].partition("_")[0], "static"),
        peer["protocol_state"],
        format_since(peer["since"], now),
        f"{peer['state']} {peer['last_error']}".rstrip(),
    )


def _place(peer: Mapping[str, Any]) -> tuple[int, int, int]:
    kinds = list(PEER_TYPES)
    kind = peer["name"].partition("_")[0]
    rank = kinds.index(kind) if kind in kinds else len(kinds)
    return rank, int(ipaddress.ip_address(peer["address"])), peer["port"] or 0


def format_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table with left-aligned headers and cells, the last line without a line break."""
    widths = [max(map(len, column)) for column in zip(HEADERS, *rows, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([rule, line(HEADERS), rule, *map(line, rows), rule])


def _section(version: int, peers: Sequence[Mapping[str, Any]], now: float) -> str:
    if not peers:
        return f"IPv{version} BGP status\nNo IPv{version} peers found."
    rows = [peer_row(peer, now) for peer in sorted(peers, key=_place)]
    return f"IPv{version} BGP status\n{format_table(rows)}"


def render_status(status: Mapping[str, Any], now: float) -> str:
    """Return everything that the command prints for a daemon's status document."""
    peers = [peer for peer in status["peers"] if not peer["name"].startswith("Local_Workload_")]
    by_version: dict[int, list[Mapping[str, Any]]] = {4: [], 6: []}
    for peer in peers:
        by_version[6 if ":" in peer["address"] else 4].append(peer)
    sections = [_section(version, found, now) for version, found in by_version.items()]
    return "\n\n".join([RUNNING, *sections]) + "\n\n"
