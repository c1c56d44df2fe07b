"""Flow specifications: what is malformed, what is one rule, and which rule comes first."""

from __future__ import annotations

from itertools import permutations

import pytest

from pybgp.errors import LocalError
from pybgp.wire.families import IPV4_FLOWSPEC, IPV6_FLOWSPEC, Family
from pybgp.wire.nlri import FAMILIES, NlriContext, NlriError, decode_nlri, format_nlri, parse_nlri, split_row
from pybgp.wire.nlri.flowspec import FlowRule, Term, ValueMatch, encoder, precedence


def split(octets: str, family: Family = IPV4_FLOWSPEC) -> list[bytes]:
    return split_row(FAMILIES[family], bytes.fromhex(octets), NlriContext())


@pytest.mark.parametrize(
    "octets",
    [
        "00",
        "03 01 20 0a",
        "05 01 21 0a000000",
        "03 0e8101",
        "03 0d8101",
        "06 038106 018020",
        "06 038106 038111",
        "03 030106",
        "03 03a106",
        "04 0b910001",
        "04 0c910001",
        "06 09a1 00000001",
        "f0",
        "f001",
        "02 0381",
    ],
)
def test_malformed_rules(octets: str) -> None:
    with pytest.raises(NlriError):
        split(octets)


@pytest.mark.parametrize("octets", ["04 01 81 00 00", "04 01 10 10 00", "04 01 10 20 00", "02 01 00"])
def test_malformed_prefixes_of_ipv6(octets: str) -> None:
    with pytest.raises(NlriError):
        split(octets, IPV6_FLOWSPEC)


@pytest.mark.parametrize(
    ("octets", "canonical"),
    [
        ("f003 038106", "03 038106"),
        ("03 03c106", "03 038106"),
        ("03 038906", "03 038106"),
        ("03 0c8d01", "03 0c8101"),
        ("04 010c 0aff", "04 010c 0af0"),
    ],
)
def test_two_encodings_are_one_rule(octets: str, canonical: str) -> None:
    assert split(octets) == [bytes.fromhex(canonical)]


def test_long_rules() -> None:
    terms = tuple(Term(1, value, 1, is_and=False) for value in range(200))
    key = encoder(4, vpn=False)(FlowRule((ValueMatch(4, terms),)))
    assert key[:2] == (0xF000 | 401).to_bytes(2, "big")
    assert split(key.hex()) == [key]
    assert parse_nlri(IPV4_FLOWSPEC, format_nlri(IPV4_FLOWSPEC, key)) == key
    with pytest.raises(LocalError, match="4095"):
        encoder(4, vpn=False)(FlowRule((ValueMatch(4, tuple(terms * 11)),)))


@pytest.mark.parametrize(
    "text",
    [
        "destination=10.0.0.0/24 protocol==6|=17 port=>=1024&<=2047|=80:4",
        "tcp-flags=any0x2&!=0x10 fragment=not-any0x1",
        "packet-length=true0|false1 dscp==46",
    ],
)
def test_text_is_kept(text: str) -> None:
    assert format_nlri(IPV4_FLOWSPEC, parse_nlri(IPV4_FLOWSPEC, text)) == text


def test_values() -> None:
    rule = decode_nlri(IPV4_FLOWSPEC, bytes.fromhex("05 0301068111"))
    assert rule == FlowRule((ValueMatch(3, (Term(1, 6, 1), Term(1, 17, 1))),))


def in_order(family: Family, texts: list[str]) -> None:
    size = 4 if family == IPV4_FLOWSPEC else 16
    keys = [parse_nlri(family, text) for text in texts]
    for shuffled in list(permutations(keys))[:720]:
        assert sorted(shuffled, key=lambda key: precedence(key, size)) == keys


def test_order_of_rules() -> None:
    """RFC 8955 section 5.1: types ascend, longer prefixes first, then octets, and more components first."""
    in_order(
        IPV4_FLOWSPEC,
        [
            "destination=10.0.0.0/24 protocol==6",
            "destination=10.0.0.0/24",
            "destination=10.1.0.0/16",
            "destination=10.0.0.0/8",
            "source=10.0.0.0/24",
            "protocol==6|=17",
        ],
    )


def test_order_of_rules_with_offsets() -> None:
    """RFC 8956 section 4: of two offsets the lower one first."""
    in_order(
        IPV6_FLOWSPEC,
        ["destination=2001:db8::/64", "destination=2001:db8::/32", "destination=0:db8::/16-32", "flow-label==5"],
    )
