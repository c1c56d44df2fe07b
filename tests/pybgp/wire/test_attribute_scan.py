"""One pass over an attribute set finds what the careful access finds."""

from __future__ import annotations

import pytest

from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attribute_scan import length_and_leader, place_of, prepended, scan
from pybgp.wire.attributes import Attributes
from pybgp.wire.iana import AttributeCode, SegmentType

SEQUENCE, SET = SegmentType.SEQUENCE, SegmentType.SET
CONFED_SEQUENCE = SegmentType.CONFED_SEQUENCE


def test_every_value_is_found_long_ones_too() -> None:
    long_path = AsPath.sequence(*range(1, 200))
    built = Attributes.build({1: 0, 2: long_path, 4: 7, 8: tuple(range(1, 100)), 99: b"opaque"})
    assert scan(built.block) == {code: built.value_octets(code) for code in built.codes()}
    assert scan(b"") == {}


@pytest.mark.parametrize(
    ("segments", "length", "leading_as"),
    [
        ((), 0, None),
        (((SEQUENCE, (7, 8, 9)),), 3, 7),
        (((SEQUENCE, (4200000000,)),), 1, 4200000000),
        (((SET, (7, 8)),), 1, None),
        (((SEQUENCE, (7, 8)), (SET, (1, 2))), 3, 7),
        (((CONFED_SEQUENCE, (5, 6)), (SEQUENCE, (7,))), 1, 7),
        (((CONFED_SEQUENCE, (5, 6)),), 0, None),
    ],
)
def test_length_and_leading_as(
    segments: tuple[tuple[SegmentType, tuple[int, ...]], ...], length: int, leading_as: int | None
) -> None:
    path = AsPath(tuple(Segment(kind, asns) for kind, asns in segments))
    octets = Attributes.build({2: path}).value_octets(AttributeCode.AS_PATH)
    assert length_and_leader(octets or b"") == (length, leading_as)


@pytest.mark.parametrize("code", [1, 2, 3, 5, 8, 99, 120])
def test_the_place_of_an_attribute_is_before_all_greater_codes(code: int) -> None:
    built = Attributes.build({1: 0, 2: AsPath.sequence(*range(1, 200)), 8: (1, 2), 99: b"opaque"})
    at = place_of(built.block, code)
    assert all(found < code for found in scan(built.block[:at]))
    assert all(found >= code for found in scan(built.block[at:]))


@pytest.mark.parametrize("count", [1, 4, 254])
def test_a_number_in_front_of_one_sequence(count: int) -> None:
    path = AsPath.sequence(*range(1, count + 1))
    octets = Attributes.build({2: path}).value_octets(AttributeCode.AS_PATH) or b""
    longer = Attributes.build({2: path.prepend(64512)}).value_octets(AttributeCode.AS_PATH)
    assert prepended(octets, 64512) == longer


@pytest.mark.parametrize(
    "segments", [(), ((SEQUENCE, tuple(range(1, 256))),), ((SET, (7,)),), ((SEQUENCE, (7,)), (SET, (1, 2)))]
)
def test_other_paths_are_left_to_the_careful_way(segments: tuple[tuple[SegmentType, tuple[int, ...]], ...]) -> None:
    path = AsPath(tuple(Segment(kind, asns) for kind, asns in segments))
    octets = Attributes.build({2: path}).value_octets(AttributeCode.AS_PATH)
    assert prepended(octets or b"", 64512) is None
