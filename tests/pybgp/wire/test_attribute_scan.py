"""One pass over an attribute set finds what the careful access finds."""

from __future__ import annotations

import pytest

from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attribute_scan import (
    end_of_path,
    length_and_leader,
    narrow_path,
    place_of,
    prepended,
    scan,
    with_attribute,
    with_attribute_in_all,
)
from pybgp.wire.attributes import Aggregator, Attributes
from pybgp.wire.iana import AttributeCode, SegmentType

SEQUENCE, SET = SegmentType.SEQUENCE, SegmentType.SET
CONFED_SEQUENCE = SegmentType.CONFED_SEQUENCE


def test_every_value_is_found_long_ones_too() -> None:
    long_path = AsPath.sequence(*range(1, 200))
    built = Attributes.build({1: 0, 2: long_path, 4: 7, 8: tuple(range(1, 100)), 99: b"opaque"})
    assert scan(built.block) == {code: built.value_octets(code) for code in built.codes()}
    assert built.values() == {code: built.get(code) for code in built.codes()}
    assert scan(b"") == Attributes(b"").values() == {}


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


@pytest.mark.parametrize("code", [4, 5, 8, 120])
@pytest.mark.parametrize("given", [b"", b"new"])
def test_an_attribute_is_put_in_its_place_or_taken_away(code: int, given: bytes) -> None:
    octets = bytes((0xC0, code, len(given))) + given if given else b""
    long_path = AsPath.sequence(*range(1, 200))
    blocks = [
        Attributes.build(values).block
        for values in (
            {1: 0, 2: AsPath.sequence(7)},
            {1: 0, 2: AsPath.sequence(7), 4: 9, 5: 100, 8: (1, 2), 120: b"opaque"},
            {1: 0, 2: AsPath.sequence(7), 8: tuple(range(1, 100))},
            {1: 0, 2: long_path, 4: 9},
            {8: (1, 2)},
            {},
        )
    ]
    for block, changed in zip(blocks, with_attribute_in_all(blocks, code, octets), strict=True):
        expected = scan(block)
        expected.pop(code, None)
        if given:
            expected[code] = given
        assert [*scan(changed).items()] == sorted(expected.items())
        assert changed == with_attribute(block, code, octets)


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


@pytest.mark.parametrize("numbers", [(), (65001,), (65001, 65535, 1), (65001, 65536), tuple(range(1, 64))])
@pytest.mark.parametrize("aggregator", [None, Aggregator(65535, 1), Aggregator(65536, 1)])
@pytest.mark.parametrize("is_classic", [False, True])
def test_what_an_old_peer_is_sent_by_the_short_way_is_what_the_pieces_say(
    numbers: tuple[int, ...], aggregator: Aggregator | None, is_classic: bool
) -> None:
    values = {1: 0, 2: AsPath.sequence(*numbers), 4: 5, 8: (1, 2)} | ({7: aggregator} if aggregator else {})
    attributes = Attributes.build(values, b"\x0a\0\0\x01")
    pieces = dict(attributes.pieces())
    if is_classic:
        pieces[3] = b"\x40\x03\x04\x0a\0\0\x01"
    attributes._narrow(pieces)
    written = b"".join(pieces[code] for code in sorted(pieces))
    assert attributes.encoded(asn4=False, classic_next_hop=is_classic) == written
    is_short = all(number < 65536 for number in (*numbers, aggregator.asn if aggregator else 0))
    assert (17 in pieces or 18 in pieces) != is_short


def test_a_path_that_takes_more_than_cutting_is_left_to_the_pieces() -> None:
    for path in (AsPath((Segment(SegmentType.SET, (1, 2)),)), AsPath.sequence(*range(1, 65)), AsPath.sequence(70_000)):
        assert narrow_path(Attributes.build({1: 0, 2: path}).block) is None


def test_the_end_of_the_path_of_what_a_route_carries() -> None:
    short, long = AsPath.sequence(1, 2), AsPath.sequence(*range(1, 100))
    for path in (AsPath(), short, long):
        attributes = Attributes.build({1: 0, 2: path, 4: 1})
        assert end_of_path(attributes.block) == place_of(attributes.block, 4)
    assert [end_of_path(Attributes.build(values).block) for values in ({}, {1: 0}, {2: short}, {1: 0, 4: 1})] == [0] * 4
