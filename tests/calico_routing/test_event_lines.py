"""Lines of `pybgp-node monitor`: path identifiers stand beside the prefixes, whoever is still there to ask."""

from __future__ import annotations

import json

from calico_routing.event_lines import event_lines
from pybgp.transport.event_stream import END_OF_RIB, OUT, ROUTE, WITHDRAW, Happening
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import parse_prefix

KEY = parse_prefix("192.0.2.0/24")[1]


def test_path_identifiers() -> None:
    keys = [number.to_bytes(4, "big") + KEY for number in (1, 7)]
    told = Happening(3, 1.5, ROUTE, "far", IPV4_UNICAST, OUT, WITHDRAW, keys, has_path_ids=True)
    (line,) = event_lines(told)
    assert json.loads(line) == {
        "sequence": 3,
        "time": 1.5,
        "event": "route",
        "peer": "far",
        "family": "ipv4-unicast",
        "view": "out",
        "action": "withdraw",
        "prefixes": ["192.0.2.0/24", "192.0.2.0/24"],
        "path_ids": [1, 7],
    }


def test_the_end_of_a_table_that_is_sent() -> None:
    (line,) = event_lines(Happening(4, 1.5, END_OF_RIB, "far", IPV4_UNICAST, OUT))
    expected = {"sequence": 4, "time": 1.5, "event": "end-of-rib", "peer": "far", "family": "ipv4-unicast"}
    assert json.loads(line) == {**expected, "view": "out"}
