"""Families print as operators write them."""

from __future__ import annotations

import pytest

from pybgp.errors import LocalError
from pybgp.wire.families import EVPN, IPV4_UNICAST, IPV6_UNICAST, Family, parse_family


def test_names() -> None:
    assert str(IPV4_UNICAST) == "ipv4-unicast"
    assert str(IPV6_UNICAST) == "ipv6-unicast"
    assert f"{Family(25, 70)}" == "evpn"
    assert f"{Family(25, 99)}" == "25/99"


def test_text_and_back() -> None:
    assert parse_family("evpn") == parse_family("25/70") == EVPN
    assert parse_family(str(Family(25, 99))) == Family(25, 99)


@pytest.mark.parametrize("text", ["", "evpn ", "1", "1/", "1/256", "65536/1", "-1/1", "a/b"])
def test_bad_text(text: str) -> None:
    with pytest.raises(LocalError, match="family"):
        parse_family(text)


def test_a_family_is_its_two_numbers() -> None:
    assert Family(1, 1) == IPV4_UNICAST == (1, 1)
    assert len({Family(1, 1), IPV4_UNICAST}) == 1
