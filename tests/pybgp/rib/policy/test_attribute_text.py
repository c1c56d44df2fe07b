"""Attributes as `explain`, `routes` and `monitor` show them."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp.rib.policy.attribute_text import attribute_texts
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Aggregator, Attributes
from pybgp.wire.communities import parse_community
from pybgp.wire.extended_communities import parse_extended_community
from pybgp.wire.iana import Origin


@pytest.mark.parametrize(
    ("code", "value", "name", "text"),
    [
        (1, Origin.INCOMPLETE, "origin", "incomplete"),
        (2, AsPath.sequence(65001, 65002), "as-path", "65001 65002"),
        (4, 0, "multi-exit-disc", "0"),
        (7, Aggregator(65001, 0x0A630001), "aggregator", "65001 10.99.0.1"),
        (8, tuple(map(parse_community, ("65001:5", "no-export"))), "communities", "65001:5 no-export"),
        (9, 0x0A630002, "originator-id", "10.99.0.2"),
        (10, (0x01010101, 0x0A630001), "cluster-list", "1.1.1.1 10.99.0.1"),
        (16, (parse_extended_community("target:65001:9"),), "extended-communities", "target:65001:9"),
        (32, ((65001, 1, 2),), "large-community", "65001:1:2"),
    ],
)
def test_every_value_is_written_as_operators_know_it(code: int, value: Any, name: str, text: str) -> None:
    attributes = Attributes.build({code: value}, next_hop=bytes([192, 0, 2, 1]))
    assert attribute_texts(attributes) == {name: text, "next-hop": "192.0.2.1"}
