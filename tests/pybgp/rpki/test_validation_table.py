"""Origin validation by the table of RFC 6811, and which routes a change concerns."""

from __future__ import annotations

import pytest

from pybgp.rpki.pdu import Vrp
from pybgp.rpki.validation_table import AffectedRoutes, ValidationState, ValidationTable
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import parse_prefix

VALID, INVALID, NOT_FOUND = ValidationState


def vrp(prefix: str, max_length: int, asn: int) -> Vrp:
    return Vrp(*parse_prefix(prefix), max_length, asn)


VRPS = [
    vrp("10.0.0.0/8", 16, 65001),
    vrp("10.1.0.0/16", 24, 65002),
    vrp("192.0.2.0/24", 24, 0),
    vrp("2001:db8::/32", 48, 65001),
    vrp("0.0.0.0/0", 0, 65009),
]


def table_of(*vrps: Vrp) -> ValidationTable:
    table = ValidationTable()
    table.apply(vrps, [])
    return table


@pytest.mark.parametrize(
    ("prefix", "origin", "state"),
    [
        ("10.0.0.0/8", 65001, VALID),
        ("10.2.0.0/16", 65001, VALID),
        ("10.2.3.0/24", 65001, INVALID),
        ("10.2.0.0/16", 65002, INVALID),
        ("10.1.0.0/16", 65001, VALID),
        ("10.1.0.0/16", 65002, VALID),
        ("10.1.2.0/24", 65002, VALID),
        ("10.1.2.0/25", 65002, INVALID),
        ("10.1.2.0/24", None, INVALID),
        ("192.0.2.0/24", 0, INVALID),
        ("192.0.2.0/24", 65001, INVALID),
        ("2001:db8:1::/48", 65001, VALID),
        ("2001:db8:1:2::/64", 65001, INVALID),
        ("2001:db9::/32", 65001, NOT_FOUND),
        ("0.0.0.0/0", 65009, VALID),
        ("11.0.0.0/8", 65009, INVALID),
    ],
)
def test_the_state_of_a_route(prefix: str, origin: int | None, state: ValidationState) -> None:
    assert table_of(*VRPS).validate(*parse_prefix(prefix), origin) is state


def test_without_payloads_and_in_other_families_nothing_is_found() -> None:
    assert ValidationTable().validate(IPV4_UNICAST, b"\x08\x0a", 65001) is NOT_FOUND
    assert table_of(*VRPS).validate(Family(1, 4), b"\x08\x0a", 65001) is NOT_FOUND


def test_a_state_is_the_word_that_policies_use() -> None:
    assert [VALID, INVALID, NOT_FOUND] == ["valid", "invalid", "not-found"]
    assert VALID in frozenset({"valid", "not-found"})


def test_a_payload_of_two_caches_stays_until_both_took_it_back() -> None:
    table = ValidationTable()
    assert table.apply(VRPS, []) == VRPS
    assert table.apply(VRPS[:2], []) == []
    assert len(table) == len(VRPS)
    assert set(table) == set(VRPS)
    assert table.apply([], VRPS) == VRPS[2:]
    assert table.validate(*parse_prefix("10.1.2.0/24"), 65002) is VALID
    assert table.apply([], VRPS[:2]) == VRPS[:2]
    assert (len(table), list(table)) == (0, [])
    assert table.apply([], VRPS[:1]) == []
    assert table.validate(*parse_prefix("10.1.2.0/24"), 65002) is NOT_FOUND


@pytest.mark.parametrize(
    ("changed", "concerned"),
    [
        ([], []),
        (["10.1.0.0/16"], ["10.1.0.0/16", "10.1.2.0/24"]),
        (["10.0.0.0/7"], ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/8"]),
        (["10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/9"], ["10.1.0.0/16", "10.1.2.0/24"]),
        (["0.0.0.0/0"], ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/8"]),
        (["2001:db8::/32"], []),
    ],
)
def test_a_change_concerns_what_is_inside(changed: list[str], concerned: list[str]) -> None:
    routes = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/8"]
    keys = [parse_prefix(text)[1] for text in routes]
    affected = AffectedRoutes([vrp(text, 24 if "." in text else 48, 1) for text in changed])
    wanted = [parse_prefix(text)[1] for text in concerned]
    assert affected.among(IPV4_UNICAST, keys) == wanted
    assert [key for key in keys if (IPV4_UNICAST, key) in affected] == wanted
    assert affected.among(Family(1, 4), keys) == []
    assert (Family(1, 4), keys[0]) not in affected
    assert ((IPV6_UNICAST, b"\x30\x20\x01\x0d\xb8\x00\x01") in affected) == (changed == ["2001:db8::/32"])
