"""Override and private AS numbers (spec section 7.1)."""

from __future__ import annotations

import pytest

from pybgp.rib.as_rules import is_private, override, without_private
from pybgp.wire.as_path import AsPath, Segment, SegmentType

PRIVATE, OTHER_PRIVATE, PUBLIC, OURS = 64512, 4200000001, 3333, 100


@pytest.mark.parametrize(
    ("asn", "private"),
    [
        (64511, False),
        (64512, True),
        (65534, True),
        (65535, False),
        (4199999999, False),
        (4200000000, True),
        (4294967294, True),
        (4294967295, False),
    ],
)
def test_the_numbers_for_private_use(asn: int, private: bool) -> None:
    assert is_private(asn) is private


def test_override_writes_our_number_everywhere() -> None:
    path = AsPath((Segment(SegmentType.SEQUENCE, (1, 7, 7)), Segment(SegmentType.SET, (7, 2))))
    assert str(override(path, 7, OURS)) == "1 100 100 {100,2}"


@pytest.mark.parametrize(
    ("mode", "path", "result"),
    [
        ("keep", (PRIVATE, PUBLIC), "64512 3333"),
        ("remove-if-only", (PRIVATE, PUBLIC), "64512 3333"),
        ("remove-if-only", (PRIVATE, OTHER_PRIVATE), ""),
        ("remove", (PRIVATE, PUBLIC, OTHER_PRIVATE), "3333"),
        ("replace", (PRIVATE, PUBLIC, OTHER_PRIVATE), "100 3333 100"),
        ("remove", (PRIVATE, 65009), "65009"),
        ("replace", (), ""),
    ],
)
def test_private_numbers(mode: str, path: tuple[int, ...], result: str) -> None:
    assert str(without_private(AsPath.sequence(*path), mode, OURS, peer=65009)) == result
