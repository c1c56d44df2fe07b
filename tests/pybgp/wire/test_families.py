"""Families print as operators write them."""

from __future__ import annotations

from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family


def test_names() -> None:
    assert str(IPV4_UNICAST) == "ipv4-unicast"
    assert str(IPV6_UNICAST) == "ipv6-unicast"
    assert f"{Family(25, 70)}" == "25/70"


def test_a_family_is_its_two_numbers() -> None:
    assert Family(1, 1) == IPV4_UNICAST == (1, 1)
    assert len({Family(1, 1), IPV4_UNICAST}) == 1
