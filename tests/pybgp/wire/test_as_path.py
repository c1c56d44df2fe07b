"""AS paths: both widths, counting, prepending, and the merge behind 2-octet speakers (RFC 6793)."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.as_path import (
    AsPath,
    Segment,
    decode_as_path,
    encode_as_path,
    is_plain_sequence,
    joined,
    merge_as4_path,
)
from pybgp.wire.iana import SegmentType

SET, SEQUENCE = SegmentType.SET, SegmentType.SEQUENCE
CONFED_SEQUENCE, CONFED_SET = SegmentType.CONFED_SEQUENCE, SegmentType.CONFED_SET
MIXED = AsPath(
    (
        Segment(CONFED_SEQUENCE, (64512, 64513)),
        Segment(CONFED_SET, (64514,)),
        Segment(SEQUENCE, (65001, 200000)),
        Segment(SET, (7, 8)),
    )
)


def path(*parts: tuple[SegmentType, tuple[int, ...]]) -> AsPath:
    return AsPath(tuple(Segment(kind, asns) for kind, asns in parts))


def test_octets_of_both_widths() -> None:
    octets = "0302 0000fc00 0000fc01 0401 0000fc02 0202 0000fde9 00030d40 0102 00000007 00000008"
    assert encode_as_path(MIXED) == bytes.fromhex(octets)
    assert decode_as_path(bytes.fromhex(octets)) == MIXED
    short = "0302 fc00 fc01 0401 fc02 0202 fde9 5ba0 0102 0007 0008"
    assert encode_as_path(MIXED, 2) == bytes.fromhex(short)
    assert 23456 in decode_as_path(bytes.fromhex(short), 2)


def test_what_selection_counts() -> None:
    assert MIXED.length == 3
    assert AsPath().length == 0
    assert (AsPath.sequence(1, 2).first, AsPath.sequence(1, 2).origin) == (1, 2)
    assert (MIXED.first, MIXED.origin, AsPath().first, AsPath().origin) == (None, None, None, None)
    assert 8 in MIXED
    assert 9 not in MIXED
    assert list(MIXED) == [64512, 64513, 64514, 65001, 200000, 7, 8]
    assert (MIXED.has_sets, MIXED.has_confederations) == (True, True)
    assert (AsPath.sequence(1).has_sets, AsPath.sequence(1).has_confederations) == (False, False)


def test_text() -> None:
    assert str(MIXED) == "(64512 64513) [64514] 65001 200000 {7,8}"
    assert str(AsPath()) == ""


def test_outside_a_confederation() -> None:
    assert str(MIXED.without_confederations()) == "65001 200000 {7,8}"
    plain = AsPath.sequence(1, 2)
    assert plain.without_confederations() is plain


def test_prepending() -> None:
    assert AsPath().prepend(5) == AsPath.sequence(5)
    assert AsPath.sequence(6).prepend(5, 2) == AsPath.sequence(5, 5, 6)
    assert str(path((SET, (1,))).prepend(5)) == "5 {1}"
    assert AsPath.sequence(6).prepend(5, 0) == AsPath.sequence(6)


@pytest.mark.parametrize("count", [1, 254, 255, 256, 510, 511, 600])
def test_a_full_segment_begins_another(count: int) -> None:
    long = AsPath().prepend(9, count)
    assert [len(segment.asns) for segment in long.segments][1:] == [255] * (len(long.segments) - 1)
    assert long.length == count
    assert decode_as_path(encode_as_path(long)) == long
    assert long.prepend(1).first == 1
    assert decode_as_path(encode_as_path(AsPath.sequence(*range(1, count + 1)))).length == count


@pytest.mark.parametrize(
    "octets",
    ["02", "0201", "0201000000", "02010000fde902", "0200", "0001 00000001", "0501 00000001", "0201 00000000", "ff"],
)
def test_malformed_paths(octets: str) -> None:
    with pytest.raises(MalformedAttributeError) as caught:
        decode_as_path(bytes.fromhex(octets))
    assert caught.value.subcode == 11


def test_every_cut_of_a_path_is_malformed_or_whole() -> None:
    octets = encode_as_path(MIXED)
    ends = {0, 10, 16, 26, 36}
    for cut in range(len(octets) + 1):
        if cut in ends:
            decode_as_path(octets[:cut])
        else:
            with pytest.raises(MalformedAttributeError):
                decode_as_path(octets[:cut])


@pytest.mark.parametrize("bad", [path((SET, ())), path((SET, (1,) * 256)), AsPath.sequence(2**32), AsPath.sequence(-1)])
def test_what_cannot_be_written(bad: AsPath) -> None:
    with pytest.raises(LocalError):
        encode_as_path(bad)


@pytest.mark.parametrize(
    ("octets", "first_as", "plain"),
    [
        ("0201 0000fde9", 0, True),
        ("0201 0000fde9", 65001, True),
        ("0201 0000fde9", 65002, False),
        ("0202 0000fde9 00000000", 0, False),
        ("0101 0000fde9", 0, False),
        ("0202 0000fde9", 0, False),
        ("0200", 0, False),
        ("", 0, False),
        ("0201 0000fde9 0101 00000001", 0, False),
    ],
)
def test_the_short_way_of_judging(octets: str, first_as: int, plain: bool) -> None:
    assert is_plain_sequence(bytes.fromhex(octets), first_as) == plain


def test_joining_neighbours() -> None:
    parts = [Segment(SEQUENCE, (1,)), Segment(SEQUENCE, (2,)), Segment(SET, (3,)), Segment(SEQUENCE, ())]
    assert joined(parts) == (Segment(SEQUENCE, (1, 2)), Segment(SET, (3,)))


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        (AsPath.sequence(1, 23456, 23456), AsPath.sequence(200000, 300000), "1 200000 300000"),
        (AsPath.sequence(23456), AsPath.sequence(200000), "200000"),
        (AsPath.sequence(1, 2, 3), AsPath.sequence(3), "1 2 3"),
        (AsPath.sequence(1), AsPath.sequence(200000, 300000), "1"),
        (AsPath.sequence(1, 2), AsPath(), "1 2"),
        (path((SEQUENCE, (1, 23456)), (SET, (5, 6))), path((SEQUENCE, (200000,)), (SET, (5, 6))), "1 200000 {5,6}"),
        (path((SET, (1, 2)), (SEQUENCE, (3, 23456))), AsPath.sequence(200000), "{1,2} 3 200000"),
        (path((CONFED_SEQUENCE, (9,)), (SEQUENCE, (1, 23456))), AsPath.sequence(200000), "(9) 1 200000"),
        (path((CONFED_SEQUENCE, (9,)), (SEQUENCE, (23456,))), AsPath.sequence(200000), "(9) 200000"),
        (path((SEQUENCE, (1,)), (CONFED_SET, (9,)), (SEQUENCE, (23456,))), AsPath.sequence(200000), "1 [9] 200000"),
        (path((SEQUENCE, (1, 2, 3)), (CONFED_SET, (9,))), AsPath.sequence(2, 3), "1 2 3"),
    ],
)
def test_the_merge(old: AsPath, new: AsPath, merged: str) -> None:
    assert str(merge_as4_path(old, new)) == merged
