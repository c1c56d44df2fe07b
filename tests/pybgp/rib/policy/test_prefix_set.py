"""Prefix sets: what is written, and the flat trie against a linear scan."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.rib.policy import prefix_set
from pybgp.rib.policy.prefix_set import WIDTHS, PrefixRange, PrefixSet, parse_key, parse_range
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import parse_prefix


def make_key(family: Family, bits: int, number: int) -> bytes:
    width = WIDTHS[family]
    masked = number >> (width - bits) << (width - bits)
    return bytes([bits]) + masked.to_bytes(width // 8, "big")[: (bits + 7) // 8]


@st.composite
def keys(draw: st.DrawFn, family: Family) -> bytes:
    """Prefixes close together: few bits vary, so that they nest and collide."""
    width = WIDTHS[family]
    number = draw(st.integers(0, 7) | st.just(31)) << (width - 5) | draw(st.sampled_from([0, 1, 0x0FF0, 255])) << (
        width - 17
    )
    return make_key(family, draw(st.integers(0, width) | st.integers(0, 20)), number)


@st.composite
def ranges(draw: st.DrawFn) -> PrefixRange:
    family = draw(st.sampled_from([IPV4_UNICAST, IPV6_UNICAST]))
    key, width = draw(keys(family)), WIDTHS[family]
    shortest = draw(st.just(key[0]) | st.integers(key[0], width))
    longest = draw(st.just(shortest) | st.integers(shortest, width))
    return PrefixRange(family, key, shortest, longest)


@given(st.lists(ranges(), max_size=12), st.lists(keys(IPV4_UNICAST), max_size=20), st.lists(keys(IPV6_UNICAST)))
def test_the_set_equals_a_linear_scan(entries: list[PrefixRange], v4: list[bytes], v6: list[bytes]) -> None:
    prefixes = PrefixSet(entries)
    for family, asked in ((IPV4_UNICAST, v4), (IPV6_UNICAST, v6)):
        expected = [key for key in asked if any(entry.contains(family, key) for entry in entries)]
        assert list(prefixes.inside(family, asked)) == expected
        assert [key for key in asked if prefixes.has(family, key)] == expected


@given(ranges(), st.lists(keys(IPV4_UNICAST), min_size=1))
def test_what_one_entry_means_is_what_ipaddress_says(entry: PrefixRange, asked: list[bytes]) -> None:
    outer = ip_network(str(entry).split()[0])
    for key in asked:
        inner = ip_network((key[1:].ljust(4, b"\0"), key[0]))
        inside = outer.version == 4 and inner.subnet_of(outer) and entry.shortest <= key[0] <= entry.longest  # type: ignore[arg-type]
        assert entry.contains(IPV4_UNICAST, key) is bool(inside)


@given(ranges())
def test_a_range_survives_its_text(entry: PrefixRange) -> None:
    assert parse_range(str(entry)) == entry


@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [
        ("10.0.0.0/8", 8, 8),
        ("10.0.0.0/8 le 24", 8, 24),
        ("10.0.0.0/8 ge 9", 9, 32),
        ("10.0.0.0/8 ge 16 le 24", 16, 24),
        ("::/0 le 48", 0, 48),
        ("2001:db8::/32 ge 33", 33, 128),
    ],
)
def test_bounds(text: str, shortest: int, longest: int) -> None:
    entry = parse_range(text)
    assert (entry.shortest, entry.longest) == (shortest, longest)
    assert (entry.family, entry.key) == parse_prefix(text.split(maxsplit=1)[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a prefix is expected"),
        ("10.0.0.0/8 le", "only ge LENGTH"),
        ("10.0.0.0/8 upto 24", "only ge LENGTH"),
        ("10.0.0.0/8 le 24 le 25", "only ge LENGTH"),
        ("10.0.0.0/8 le x", "only ge LENGTH"),
        ("10.0.0.0/8 ge 24 le 16", "no prefix fits"),
        ("10.0.0.0/8 le 7", "no prefix fits"),
        ("10.0.0.0/8 le 33", "no prefix fits"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0", "a slash and a length"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.256/32", "10.0.0.256"),
        ("010.0.0.0/8", "010.0.0.0"),
    ],
)
def test_errors_name_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        parse_range(text)


@given(keys(IPV4_UNICAST) | st.integers(0, 2**32 - 1).map(lambda number: make_key(IPV4_UNICAST, 32, number)))
def test_the_short_way_reads_what_the_careful_one_does(key: bytes) -> None:
    text = str(ip_network((key[1:].ljust(4, b"\0"), key[0])))
    assert parse_key(text) == parse_prefix(text) == (IPV4_UNICAST, key)


def test_many_are_asked_at_once() -> None:
    prefixes = PrefixSet.of("10.0.0.0/8 le 24", "11.0.0.0/17 le 24")
    many = [make_key(IPV4_UNICAST, 24, 10 << 24 | number << 8) for number in range(600)]
    inside, outside = (make_key(IPV4_UNICAST, 24, 11 << 24 | number << 8) for number in (127, 128))
    for _ in range(2):
        assert prefixes.inside(IPV4_UNICAST, many) is many
        assert prefixes.inside(IPV4_UNICAST, [*many, inside, outside]) == [*many, inside]


@pytest.mark.parametrize("is_everything_low_meant", [False, True])
def test_many_prefixes_are_told_by_their_first_octets(is_everything_low_meant: bool) -> None:
    texts = ["10.0.0.0/7 le 24", "12.0.0.0/9 le 24", "13.0.0.0/8 ge 9 le 20", "14.0.0.0/24 le 32", "10.0.0.0/25"]
    entries = [parse_range(text) for text in [*texts, *["0.0.0.0/0 le 7"] * is_everything_low_meant]]
    prefixes = PrefixSet(entries)
    asked = [
        make_key(IPV4_UNICAST, length, first << 24 | second << 16)
        for first in (9, 10, 11, 12, 13, 14, 255)
        for second in (0, 127, 128)
        for length in (0, 6, 8, 9, 16, 20, 21, 24, 25, 32)
    ]
    in_vain = [make_key(IPV4_UNICAST, 25, 14 << 24 | 1 << 16)] * 100
    for some in (asked, asked[::-1], in_vain, asked, *[in_vain] * 16, asked, [*asked, *in_vain]):
        meant = {key for key in some if any(entry.contains(IPV4_UNICAST, key) for entry in entries)}
        assert list(prefixes.inside(IPV4_UNICAST, some)) == [key for key in some if key in meant]


def test_maps_are_made_anew_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_set, "MOST_MAPS", 2)
    prefixes = PrefixSet.of("10.0.0.0/15 le 24", "10.3.128.0/17 le 24", "10.9.0.0/16")
    asked = [make_key(IPV4_UNICAST, 24, 10 << 24 | number << 8) for number in range(0, 1280, 5)]
    expected = [key for key in asked if key[2] in (0, 1) or (key[2] == 3 and key[3] >= 128)]
    assert prefixes.inside(IPV4_UNICAST, asked) == expected
    assert prefixes.inside(IPV4_UNICAST, asked[::-1]) == expected[::-1]


def test_all_inside_gives_the_same_object_back() -> None:
    asked = [parse_prefix("10.1.0.0/16")[1], parse_prefix("10.2.0.0/16")[1]]
    assert PrefixSet.of("10.0.0.0/8 le 16").inside(IPV4_UNICAST, asked) is asked
    assert PrefixSet.of("10.1.0.0/16", "10.2.0.0/16").inside(IPV4_UNICAST, asked) is asked


def test_equal_entries_make_equal_sets() -> None:
    one, other = PrefixSet.of("10.0.0.0/8", "192.0.2.0/24", name="a"), PrefixSet.of("192.0.2.0/24", "10.0.0.0/8")
    assert one == other
    assert hash(one) == hash(other)
    assert one != PrefixSet.of("10.0.0.0/8")
    assert str(one) == "prefix set a"


def test_one_entry_covers_another() -> None:
    prefixes = PrefixSet.of("10.0.0.0/8 le 24")
    assert prefixes.covers(parse_range("10.1.0.0/16 ge 20 le 24"))
    assert not prefixes.covers(parse_range("10.1.0.0/16 le 25"))
    assert not prefixes.covers(parse_range("11.0.0.0/8"))


def test_a_family_without_entries_has_nothing() -> None:
    assert not PrefixSet.of("10.0.0.0/8").has(Family(25, 70), b"\x08\x0a")
