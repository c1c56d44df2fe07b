"""Communities: text, canonical order, octets."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.communities import (
    LargeCommunity,
    decode_communities,
    decode_extended_communities,
    decode_large_communities,
    encode_communities,
    encode_extended_communities,
    encode_large_communities,
    format_community,
    is_sorted,
    is_transitive,
    parse_community,
    parse_large_community,
    sorted_values,
)
from pybgp.wire.iana import WellKnownCommunity


@pytest.mark.parametrize(
    ("text", "number"),
    [("65000:100", 0xFDE80064), ("0:0", 0), ("no-export", 0xFFFFFF01), ("blackhole", 0xFFFF029A)],
)
def test_text_and_back(text: str, number: int) -> None:
    assert parse_community(text) == number
    assert format_community(number) == text


def test_every_well_known_name() -> None:
    for community in WellKnownCommunity:
        assert parse_community(format_community(community)) == community


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "65536:1", "1:-1", "a:b", "no_export", " 1:1", "1:1 "])
def test_bad_text(text: str) -> None:
    with pytest.raises(LocalError, match="community"):
        parse_community(text)


def test_large_communities() -> None:
    community = parse_large_community("4200000000:1:2")
    assert community == LargeCommunity(4200000000, 1, 2)
    assert str(community) == "4200000000:1:2"
    with pytest.raises(LocalError):
        parse_large_community("1:2")
    octets = encode_large_communities([(2, 0, 0), community, (2, 0, 0)])
    assert octets == bytes.fromhex("000000020000000000000000 fa56ea000000000100000002")
    assert decode_large_communities(octets) == (LargeCommunity(2, 0, 0), community)


def test_octets_are_sorted_and_each_stands_once() -> None:
    assert encode_communities([3, 1, 3]) == bytes.fromhex("0000000100000003")
    assert decode_communities(bytes.fromhex("0000000100000003")) == (1, 3)
    pair = [b"\x01" * 8, b"\0" * 8, b"\x01" * 8]
    assert decode_extended_communities(encode_extended_communities(pair)) == (b"\0" * 8, b"\x01" * 8)
    with pytest.raises(LocalError):
        encode_extended_communities([b"short"])


@pytest.mark.parametrize("size", [4, 8, 12])
def test_received_values_are_put_in_order(size: int) -> None:
    low, high = b"\0" * size, b"\x01" * size
    in_order = low + high
    assert sorted_values(in_order, size) is in_order
    assert sorted_values(low, size) == low
    assert sorted_values(high + low, size) == sorted_values(high + low + low, size) == in_order
    assert is_sorted(b"?" + in_order, size)
    assert is_sorted(b"?" + low, size)
    assert not is_sorted(b"?" + high + low, size)
    assert not is_sorted(b"?" + low + low, size)


@pytest.mark.parametrize(("size", "length"), [(4, 0), (4, 3), (4, 5), (8, 4), (12, 8), (12, 0)])
def test_wrong_lengths(size: int, length: int) -> None:
    with pytest.raises(MalformedAttributeError) as caught:
        sorted_values(bytes(length), size)
    assert caught.value.subcode == 5


def test_transitivity() -> None:
    assert is_transitive(bytes.fromhex("0002fde800000064"))
    assert not is_transitive(bytes.fromhex("4300000000000000"))
