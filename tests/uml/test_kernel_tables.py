from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.uml.kernel_tables import table

ROUTES: list[dict[str, Any]] = [
    {"type": "blackhole", "dst": "192.168.5.0/26", "protocol": "bird", "flags": []},
    {"dst": "192.168.77.128/26", "gateway": "10.0.0.13", "dev": "tunl0", "protocol": "bird", "flags": ["onlink"]},
]


def test_order_does_not_matter() -> None:
    assert table(ROUTES) == table(reversed(ROUTES))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gateway", "10.0.0.12"),
        ("dev", "ens160"),
        ("protocol", "kernel"),
        ("flags", []),
        ("metric", 32),
        ("table", "9"),
    ],
)
def test_any_other_value_makes_a_difference(field: str, value: object) -> None:
    changed = deepcopy(ROUTES)
    changed[1][field] = value
    assert table(changed) != table(ROUTES)


def test_a_route_more_or_less_makes_a_difference() -> None:
    assert table(ROUTES[:1]) != table(ROUTES)
    assert table([*ROUTES, ROUTES[0]]) != table(ROUTES)
