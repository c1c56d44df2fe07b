"""Rules for the routes of one neighbour: a wrong setting is named with its value."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp.errors import LocalError
from pybgp.session.route_options import PrefixLimit, RouteOptions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"allow_own_as": 256}, "allow_own_as 256: 0 to 255 expected"),
        ({"send_limit": 0}, "send_limit 0: 1 to 4294967295 expected"),
        ({"local_as_mode": "no"}, "local_as_mode 'no': one of replace, no-prepend, prepend expected"),
        ({"private_as": "all"}, "private_as 'all': one of keep, remove-if-only, remove, replace expected"),
        ({"next_hop": ""}, "next_hop '': one of default, self, force-self, keep expected"),
    ],
)
def test_options(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError) as raised:
        RouteOptions(**changes)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maximum": 0}, "prefix_limit.maximum 0: 1 to 4294967295 expected"),
        ({"warning_percent": 101}, "prefix_limit.warning_percent 101: 1 to 100 expected"),
        ({"restart_time": 0}, "prefix_limit.restart_time 0: more than 0 seconds expected"),
    ],
)
def test_limits(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError) as raised:
        PrefixLimit(**{"maximum": 10, **changes})
    assert str(raised.value) == message


@pytest.mark.parametrize(("maximum", "percent", "warning"), [(100, 75, 75), (1, 75, 1), (10, 100, 10), (3, 50, 1)])
def test_from_where_on_a_warning_is_due(maximum: int, percent: int, warning: int) -> None:
    assert PrefixLimit(maximum, percent).warning == warning
