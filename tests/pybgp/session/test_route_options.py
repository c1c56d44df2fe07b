"""Rules for the routes of one neighbour: a wrong setting is named with its value."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp.errors import LocalError
from pybgp.session.route_options import Condition, PrefixLimit, RouteOptions
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"allow_own_as": 256}, "allow_own_as 256: 0 to 255 expected"),
        ({"send_limit": 0}, "send_limit 0: 1 to 4294967295 expected"),
        ({"local_as_mode": "no"}, "local_as_mode 'no': one of replace, no-prepend, prepend expected"),
        ({"private_as": "all"}, "private_as 'all': one of keep, remove-if-only, remove, replace expected"),
        ({"next_hop": ""}, "next_hop '': one of default, self, force-self, keep expected"),
        ({"add_path_send": "best-0"}, "add_path_send 'best-0': best, all, best-per-as or best-N expected"),
        ({"add_path_send": {IPV4_UNICAST: "some"}}, "add_path_send 'some': best, all, best-per-as or best-N expected"),
        ({"per_client_best": True}, "per_client_best: expected beside route_server_client only"),
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


def test_paths_are_sent_by_family() -> None:
    assert RouteOptions(add_path_send="all").paths_to_send(IPV4_UNICAST) == "all"
    options = RouteOptions(add_path_send={IPV4_UNICAST: "best-3"})
    assert (options.paths_to_send(IPV4_UNICAST), options.paths_to_send(IPV6_UNICAST)) == ("best-3", "best")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": "never"}, "condition.when 'never': one of "),
        ({"advertise": ()}, "condition.advertise: at least one prefix expected"),
        ({"of": ("10.0.0.0/8 ge",)}, "condition.of '10.0.0.0/8 ge': a prefix expected, and behind it only ge LENGTH"),
        ({"of": ("10.0.0.0/8 ge 24 le 16",)}, "condition.of '10.0.0.0/8 ge 24 le 16': a prefix expected"),
        ({"of": ("10.0.0.0/8 le 33",)}, "condition.of '10.0.0.0/8 le 33': le 33: 8 to 32 expected"),
        ({"of": ("2001:db8::/32 up 48",)}, "condition.of '2001:db8::/32 up 48': a prefix expected"),
    ],
)
def test_conditions(changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "advertise": ("10.0.0.0/8",),
        "when": "present",
        "of": ("192.0.2.0/24", "2001:db8::/32 le 48"),
    }
    Condition(**good)
    with pytest.raises(LocalError) as raised:
        Condition(**{**good, **changes})
    assert str(raised.value).startswith(message)
