"""Kernel tables as `ip -json route show table all` prints them, in a form that two runs can be compared by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: The kernel chooses these itself, and not the same way on every version.
UNCOMPARED = ("pref",)


def canonical(route: Mapping[str, Any]) -> str:
    """Return one route as text, fields in alphabetical order."""
    kept = {key: value for key, value in route.items() if key not in UNCOMPARED}
    if kept.get("metric") == 0:
        del kept["metric"]
    if isinstance(kept.get("flags"), list):
        kept["flags"] = sorted(kept["flags"])
    return " ".join(f"{key}={value}" for key, value in sorted(kept.items()))


def table(routes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all routes as text, in alphabetical order; one that is there twice stands there twice."""
    return sorted(map(canonical, routes))


def read_table(path: Path) -> list[str]:
    """Return the table in a recorded file."""
    return table(json.loads(path.read_text()))
