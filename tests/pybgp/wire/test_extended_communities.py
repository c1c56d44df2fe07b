"""Names of extended communities, and the text that each is read back from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import LocalError
from pybgp.wire.extended_communities import (
    format_extended_community,
    format_ipv6_extended_community,
    parse_extended_community,
    parse_ipv6_extended_community,
    traffic_rate,
)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("0002fde800000064", "target:65000:100"),
        ("01020a0000010064", "target:10.0.0.1:100"),
        ("020200030d400064", "target:200000:100"),
        ("02020000fde80064", "target:65000L:100"),
        ("0003fde800000064", "origin:65000:100"),
        ("030b000000000064", "color:100"),
        ("030c000000000008", "encapsulation:8"),
        ("030d000000000000", "default-gateway"),
        ("0600010000000005", "mac-mobility:5:sticky"),
        ("0600000000000005", "mac-mobility:5"),
        ("0601010000000064", "esi-label:100:single-active"),
        ("0602001122334455", "es-import:00:11:22:33:44:55"),
        ("0603001122334455", "router-mac:00:11:22:33:44:55"),
        ("4300000000000002", "validation-state:2"),
        ("8006fde849742400", "rate-bytes:65000:1000000.0"),
        ("8006000000000000", "rate-bytes:0:0.0"),
        ("8007000000000003", "traffic-action:terminal+sample"),
        ("8007000000000000", "traffic-action:none"),
        ("8008fde800000064", "redirect:65000:100"),
        ("800900000000002e", "mark:46"),
        ("80060000ffc00000", "0x80060000ffc00000"),
        ("0600800000000005", "0x0600800000000005"),
        ("9999000000000000", "0x9999000000000000"),
    ],
)
def test_text_and_back(octets: str, text: str) -> None:
    assert format_extended_community(bytes.fromhex(octets)) == text
    assert parse_extended_community(text) == bytes.fromhex(octets)


def fixed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


_FRONTS = st.sampled_from([b"\x80\x06", b"\6\0", b"\x80\7", b"\3\x0d"])


@given(st.one_of(fixed(8), st.builds(bytes.__add__, _FRONTS, fixed(6))))
def test_any_community_survives_its_text(octets: bytes) -> None:
    assert parse_extended_community(format_extended_community(octets)) == octets


@given(st.one_of(fixed(20), fixed(18).map(lambda rest: b"\0\x0d" + rest)))
def test_any_ipv6_community_survives_its_text(octets: bytes) -> None:
    assert parse_ipv6_extended_community(format_ipv6_extended_community(octets)) == octets


@pytest.mark.parametrize("text", ["", "target", "target:1", "target:1:2:3", "0x00", "color:x", "mark:300", "none:1:2"])
def test_bad_text_names_itself(text: str) -> None:
    with pytest.raises(LocalError, match="extended community"):
        parse_extended_community(text)
    with pytest.raises(LocalError, match="extended community"):
        parse_ipv6_extended_community(text)


def test_rates() -> None:
    assert traffic_rate(bytes.fromhex("8006fde849742400")) == 1000000.0
    assert traffic_rate(bytes.fromhex("80060000ffc00000")) == 0
    assert traffic_rate(bytes.fromhex("80060000c9742400")) == 0
    assert traffic_rate(bytes(8)) is None
