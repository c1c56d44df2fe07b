"""Which routes a membership wants (RFC 4684)."""

from __future__ import annotations

import pytest

from pybgp.rib.route_targets import WantedTargets
from pybgp.wire.attributes import Attributes
from pybgp.wire.extended_communities import parse_extended_community
from pybgp.wire.families import ROUTE_TARGET
from pybgp.wire.nlri import parse_nlri

TARGET = "target:65000:1"
EXACT = "length=96 origin_as=64500 target=0x0002fde800000001"


@pytest.mark.parametrize(
    ("memberships", "communities", "expected"),
    [
        ([EXACT], [TARGET], True),
        ([EXACT], ["target:65000:2"], False),
        ([EXACT], ["origin:65000:1"], False),
        ([EXACT], ["origin:65000:1", TARGET], True),
        ([EXACT], [], False),
        ([], [TARGET], False),
        (["length=0 origin_as=0 target=0x"], [], True),
        (["length=32 origin_as=64500 target=0x"], ["target:1:1"], True),
        (["length=32 origin_as=64500 target=0x"], [], False),
        (["length=64 origin_as=64500 target=0x0002fde8"], ["target:65000:77"], True),
        (["length=64 origin_as=64500 target=0x0002fde8"], ["target:65001:77"], False),
        (["length=95 origin_as=64500 target=0x0002fde800000000"], [TARGET], True),
        (["length=95 origin_as=64500 target=0x0002fde800000000"], ["target:65000:2"], False),
        (["length=95 origin_as=64500 target=0x0002fde800000000", EXACT], ["target:65000:0"], True),
        (["length=96 origin_as=1 target=0x0602020000000001"], ["es-import:02:00:00:00:00:01"], True),
    ],
)
def test_a_route_is_wanted_by_the_first_bits_of_a_target(
    memberships: list[str], communities: list[str], expected: bool
) -> None:
    wanted = WantedTargets.of(parse_nlri(ROUTE_TARGET, text) for text in memberships)
    route = Attributes.build({1: 0, **({16: list(map(parse_extended_community, communities))} if communities else {})})
    assert wanted.wants(route) is expected


def test_equal_memberships_make_equal_policies() -> None:
    one, other = (parse_nlri(ROUTE_TARGET, EXACT.replace("64500", asn)) for asn in ("1", "2"))
    assert WantedTargets.of([one]) == WantedTargets.of([other])
    assert hash(WantedTargets.of([one])) == hash(WantedTargets.of([other, one]))
