"""Keys and details: what of an NLRI names a route, and what a newer route of the same name replaces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.nlri_values import ALL_FAMILIES, any_keys
from pybgp.errors import LocalError
from pybgp.wire.families import Family, parse_family
from pybgp.wire.nlri import (
    FAMILIES,
    NlriContext,
    divide_nlri,
    format_key,
    format_nlri,
    join_nlri,
    parse_key,
    parse_nlri,
    split_row,
    with_path_id,
)

MAC = "type=mac-ip distinguisher=1:1 tag=0 mac=02:00:00:00:00:01 address=192.0.2.1"
SEGMENT = "esi=00:00:00:00:00:00:00:00:00:07"


@pytest.mark.parametrize("add_path", [False, True])
@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_divided_is_joined(family: Family, add_path: bool, data: st.DataObject) -> None:
    nlri = data.draw(st.lists(any_keys(family), min_size=1, max_size=6, unique=True))
    nlri = [with_path_id(one, 7) for one in nlri] if add_path else nlri
    joined = [
        one
        for details, keys in divide_nlri(family, nlri, add_path=add_path).items()
        for one in join_nlri(family, keys, details, add_path=add_path)
    ]
    assert sorted(joined) == sorted(nlri)


@pytest.mark.parametrize("family", ALL_FAMILIES, ids=str)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_key_alone_makes_an_nlri_that_can_be_read_and_has_this_key(family: Family, data: st.DataObject) -> None:
    row, nlri = FAMILIES[family], data.draw(any_keys(family))
    ((details, (key,)),) = divide_nlri(family, [nlri]).items()
    (blank,) = join_nlri(family, [key], None)
    assert split_row(row, blank, NlriContext(labels=255)) == [blank]
    assert row.identity(blank) == row.identity(nlri) == key
    assert parse_key(family, format_key(family, key)) == key
    assert parse_key(family, format_key(family, key, details)) == key
    assert parse_nlri(family, format_nlri(family, nlri)) == nlri


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("ipv4-labelled", "prefix=10.0.0.0/8 labels=[1]", "prefix=10.0.0.0/8 labels=[0x000020 3]"),
        ("ipv6-vpn", "distinguisher=1:1 prefix=::/0 labels=[1]", "distinguisher=1:1 prefix=::/0 labels=[2]"),
        ("evpn", f"{MAC} {SEGMENT} label=1", f"{MAC} {SEGMENT[:-1]}8 label=2 second_label=3"),
        (
            "evpn",
            f"type=ethernet-auto-discovery distinguisher=1:1 {SEGMENT} tag=0 label=1",
            f"type=ethernet-auto-discovery distinguisher=1:1 {SEGMENT} tag=0 label=2",
        ),
        (
            "evpn",
            f"type=ip-prefix distinguisher=1:1 {SEGMENT} tag=0 length=8 address=10.0.0.0 gateway=0.0.0.0 label=1",
            f"type=ip-prefix distinguisher=1:1 {SEGMENT[:-1]}0 tag=0 length=8 address=10.0.0.0 gateway=1.1.1.1 label=0",
        ),
        (
            "vpls",
            "distinguisher=1:1 site=1 offset=1 size=8 label_base=100",
            "distinguisher=1:1 site=1 offset=1 size=16 label_base=200",
        ),
    ],
)
def test_labels_segments_and_gateways_are_no_key_fields(name: str, one: str, two: str) -> None:
    family = parse_family(name)
    assert parse_nlri(family, one) != parse_nlri(family, two)
    assert parse_key(family, one) == parse_key(family, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (f"{MAC} {SEGMENT} label=1", f"{MAC[:-1]}2 {SEGMENT} label=1"),
        (
            f"type=ethernet-segment distinguisher=1:1 {SEGMENT} address=192.0.2.1",
            f"type=ethernet-segment distinguisher=1:1 {SEGMENT[:-1]}8 address=192.0.2.1",
        ),
        (
            f"type=ethernet-auto-discovery distinguisher=1:1 {SEGMENT} tag=0 label=1",
            f"type=ethernet-auto-discovery distinguisher=1:1 {SEGMENT[:-1]}8 tag=0 label=1",
        ),
    ],
)
def test_key_fields_tell_routes_apart(one: str, two: str) -> None:
    family = parse_family("evpn")
    assert parse_key(family, one) != parse_key(family, two)


def test_key_fields_alone_name_a_route() -> None:
    family = parse_family("evpn")
    assert parse_key(family, MAC) == parse_key(family, f"{MAC} {SEGMENT} label=5")
    assert format_key(family, parse_key(family, MAC)) == MAC
    labelled = parse_family("ipv4-labelled")
    assert format_key(labelled, b"\x08\x0a") == "prefix=10.0.0.0/8"
    assert format_key(parse_family("ipv4-unicast"), b"\x08\x0a") == "10.0.0.0/8"


def test_bad_keys_are_errors_that_name_the_family() -> None:
    with pytest.raises(LocalError, match="evpn"):
        parse_key(parse_family("evpn"), "type=mac-ip tag=0")
    with pytest.raises(LocalError, match="evpn"):
        parse_key(parse_family("evpn"), "something")
    with pytest.raises(LocalError, match="9/9"):
        parse_key(Family(9, 9), "something")
