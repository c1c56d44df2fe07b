"""Community patterns of every kind: text, wildcards, errors with hints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.rib.policy.community_pattern import (
    members_as_numbers,
    numbers_as_members,
    parse_exact,
    parse_pattern,
)
from pybgp.wire.communities import LargeCommunity
from pybgp.wire.iana import AttributeCode, WellKnownCommunity

COMMUNITIES, EXTENDED, LARGE = (
    AttributeCode.COMMUNITIES,
    AttributeCode.EXTENDED_COMMUNITIES,
    AttributeCode.LARGE_COMMUNITIES,
)


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("65000:100", COMMUNITIES, 65000 << 16 | 100),
        ("no-export", COMMUNITIES, WellKnownCommunity.NO_EXPORT),
        ("NO_EXPORT", COMMUNITIES, WellKnownCommunity.NO_EXPORT),
        ("graceful-shutdown", COMMUNITIES, 0xFFFF0000),
        ("4200000000:1:2", LARGE, 4200000000 << 64 | 1 << 32 | 2),
        ("rt:65000:70000", EXTENDED, 0x0002_FDE8_00011170),
        ("rt:70000:5", EXTENDED, 0x0202_00011170_0005),
        ("rt:192.0.2.1:7", EXTENDED, 0x0102_C0000201_0007),
        ("soo:65000:1", EXTENDED, 0x0003_FDE8_00000001),
        ("color:5", EXTENDED, 0x030B_0000_00000005),
    ],
)
def test_exact_forms(text: str, code: AttributeCode, value: int) -> None:
    pattern = parse_exact(text)
    assert (pattern.code, pattern.exact) == (code, value)
    assert pattern.fits(value)
    assert not pattern.fits(value ^ 1)


@pytest.mark.parametrize(
    ("text", "fitting", "other"),
    [
        ("65000:*", 65000 << 16 | 7, 65001 << 16 | 7),
        ("*:666", 65000 << 16 | 666, 65000 << 16 | 667),
        ("65000:1:*", 65000 << 64 | 1 << 32 | 9, 65000 << 64 | 2 << 32 | 9),
        ("65000:*:9", 65000 << 64 | 1 << 32 | 9, 65000 << 64 | 1 << 32 | 8),
        ("rt:65000:*", 0x0002_FDE8_00000009, 0x0003_FDE8_00000009),
        ("rt:*:*", 0x0102_C0000201_0007, 0x030B_0000_00000005),
        ("rt:*:*", 0x0202_00011170_0005, 0x4002_00011170_0005),
        ("color:*", 0x030B_0000_00000005, 0x030C_0000_00000005),
    ],
)
def test_wildcards(text: str, fitting: int, other: int) -> None:
    pattern = parse_pattern(text)
    assert pattern.fits(fitting)
    assert not pattern.fits(other)
    assert pattern.exact is None
    with pytest.raises(LocalError, match=r"without \*"):
        parse_exact(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("no-exprot", "did you mean 'no-export'"),
        ("blackhol", "did you mean 'blackhole'"),
        ("quux", "a name .* is expected"),
        ("70000:1", "large community"),
        ("65000:x", "not 'x'"),
        ("1:2:3:4", "no such community"),
        ("ro:65001:8", "no such community.*soo:A:B"),
        ("rt:65000", "ADMINISTRATOR:NUMBER"),
        ("rt:1.2.3:5", "no IPv4 address"),
        ("rt:70000:65536", "65535"),
        ("rt:*:5", r"\* is expected behind \*"),
        ("color:red", "not 'red'"),
    ],
)
def test_errors_with_hints(text: str, hint: str) -> None:
    with pytest.raises(LocalError, match=hint):
        parse_pattern(text)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_standard_members_are_numbers(numbers: list[int]) -> None:
    assert members_as_numbers(COMMUNITIES, tuple(numbers)) == numbers_as_members(COMMUNITIES, tuple(numbers))


@given(st.lists(st.binary(min_size=8, max_size=8)))
def test_extended_members_survive(members: list[bytes]) -> None:
    assert numbers_as_members(EXTENDED, members_as_numbers(EXTENDED, members)) == tuple(members)


@given(st.lists(st.builds(LargeCommunity, *[st.integers(0, 2**32 - 1)] * 3)))
def test_large_members_survive(members: list[LargeCommunity]) -> None:
    assert numbers_as_members(LARGE, members_as_numbers(LARGE, members)) == tuple(members)
