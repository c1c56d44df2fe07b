"""What a plain router passes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from calico_routing.router_policy import RouterExportPolicy
from pybgp.rib.path import Source
from pybgp.wire.families import IPV4_UNICAST


@pytest.mark.parametrize(
    ("source", "internal", "transit", "passes"),
    [
        (Source.LOCAL, False, False, True),
        (Source.IBGP, False, False, True),
        (Source.EBGP, True, False, True),
        (Source.EBGP, False, False, False),
        (Source.EBGP, False, True, True),
    ],
)
def test_only_transit_passes_on_what_strangers_said(
    source: Source, internal: bool, transit: bool, passes: bool
) -> None:
    path: Any = SimpleNamespace(source=source, attributes=object())
    found = list(RouterExportPolicy(transit=transit).apply(path, IPV4_UNICAST, [b"\x00"], internal=internal))
    assert found == ([(path.attributes, [b"\x00"])] if passes else [])
