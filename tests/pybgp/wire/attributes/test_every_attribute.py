"""What holds for every row of the table of attributes: octets, JSON and text are one; cuts and zeros have a verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.attribute_values import VALUES
from fuzz.strategies import as_paths, optional_values
from pybgp.errors import LocalError, RemoteError
from pybgp.wire.attribute_block import walk_block
from pybgp.wire.attributes import (
    ATTRIBUTES,
    Aggregator,
    Attributes,
    Fault,
    attribute_from_json,
    attribute_octets,
    attribute_to_json,
    attributes_from_json,
    attributes_to_json,
    encode_attribute,
    format_attribute,
    format_attributes,
    parse_attribute,
    parse_attributes,
)
from pybgp.wire.attributes.tunnels import SubTlv, Tunnel
from pybgp.wire.iana import AttributeCode, Origin
from pybgp.wire.negotiated import UpdateOptions, decoding_context

OPTIONS = UpdateOptions(allow_as_sets=True, confederation=True, aigp=True, external_prefix_sid=True)
INTERNAL = decoding_context(asn4=True, external=False, first_as=0, options=OPTIONS)
EXTERNAL = decoding_context(asn4=True, external=True, first_as=0, options=UpdateOptions())
BASE = attribute_octets(0x40, 1, b"\0") + attribute_octets(0x40, 2, b"")
_aggregators = st.builds(Aggregator, st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1))


def canonical(code: int) -> st.SearchStrategy[Any]:
    """Communities as they are read: sorted, each once."""
    row = ATTRIBUTES[code]
    return optional_values[code].map(lambda found: row.decode(row.encode(found)))


ALL_VALUES: dict[int, st.SearchStrategy[Any]] = {
    1: st.sampled_from(Origin),
    2: as_paths,
    3: st.just(b"\x0a\0\0\1"),
    17: as_paths,
    18: _aggregators,
    **optional_values,
    7: _aggregators,
    **{code: canonical(code) for code in (8, 16, 32)},
    **VALUES,
}


def verdict(code: int, value: bytes, flags: int | None = None, *, external: bool = False) -> Fault | None:
    path = attribute_octets(0x40, 2, b"\x02\x01\0\0\0\1") if external else b""
    octets = path + BASE + attribute_octets(ATTRIBUTES[code].flags if flags is None else flags, code, value)
    block = walk_block(octets, EXTERNAL if external else INTERNAL)
    return max((fault.fault for fault in block.faults), default=None)


def test_every_row_has_values() -> None:
    assert set(ALL_VALUES) == set(ATTRIBUTES)


@pytest.mark.parametrize("code", sorted(ATTRIBUTES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_value_octets_json_and_text_are_one(code: int, data: st.DataObject) -> None:
    value = data.draw(ALL_VALUES[code])
    row = ATTRIBUTES[code]
    octets = row.encode(value)
    assert row.decode(octets) == value
    plain = attribute_to_json(code, value)
    assert attribute_from_json(code, json.loads(json.dumps(plain))) == value
    assert parse_attribute(code, format_attribute(code, value)) == value


@pytest.mark.parametrize("code", sorted(VALUES))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_good_values_are_kept_and_cuts_cost_what_the_row_says(code: int, data: st.DataObject) -> None:
    octets = ATTRIBUTES[code].encode(data.draw(VALUES[code]))
    assert verdict(code, octets) is None
    for cut in range(len(octets)):
        assert verdict(code, octets[:cut]) in (None, ATTRIBUTES[code].on_malformed)
    assert verdict(code, b"") == ATTRIBUTES[code].on_malformed


@pytest.mark.parametrize("code", sorted(ATTRIBUTES))
@settings(max_examples=60, deadline=None)
@given(octets=st.binary(max_size=60))
def test_any_octets_have_a_verdict_and_what_is_kept_can_be_shown(code: int, octets: bytes) -> None:
    try:
        block = walk_block(BASE + attribute_octets(ATTRIBUTES[code].flags, code, octets), INTERNAL)
    except RemoteError:
        return
    kept = Attributes(block.canonical)
    assert parse_attributes(format_attributes(kept)) == kept
    assert repr(kept)


@pytest.mark.parametrize(
    ("code", "octets", "cost"),
    [
        (22, "00 06 000000 0a", Fault.WITHDRAW),
        (22, "00 02 000000 06000104", Fault.WITHDRAW),
        (22, "00 09 000000 0a", None),
        (23, "0008 0040 00", Fault.WITHDRAW),
        (23, "0008 0003 06 0a 00", Fault.WITHDRAW),
        (23, "0008 0003 80 00 01", Fault.WITHDRAW),
        (23, "ffff 0000", None),
        (25, "00" * 19, Fault.WITHDRAW),
        (26, "01 0002", Fault.DISCARD),
        (26, "01 000b ffffffffffffffff", Fault.DISCARD),
        (26, "01 000a 00000000000000", Fault.DISCARD),
        (26, "02 0003", None),
        (27, "0a000001 00", Fault.WITHDRAW),
        (27, "e0000001 000000", Fault.WITHDRAW),
        (29, "0400 0005 00", Fault.DISCARD),
        (35, "00000000", Fault.WITHDRAW),
        (35, "0000fde9 00", Fault.WITHDRAW),
        (38, "00 00000001", Fault.DISCARD),
        (39, "0001 01 04 0a0000", Fault.DISCARD),
        (39, "0001 01 00 0001 00", Fault.DISCARD),
        (40, "00" * 30, Fault.DISCARD),
        (40, "01 0006 000000000000", Fault.DISCARD),
        (40, "03 0002 0000", Fault.DISCARD),
        (40, "05 0000", Fault.DISCARD),
        (40, "05 0019 00 01 0015", Fault.DISCARD),
        (128, "0000", Fault.WITHDRAW),
        (128, "00000001 400101 03", Fault.WITHDRAW),
        (128, "00000001 800f03 000101", Fault.WITHDRAW),
        (128, "00000001 c00101 00", Fault.WITHDRAW),
        (128, "00000001 400101", Fault.WITHDRAW),
        (128, "00000001 400302 0a00", None),
    ],
)
def test_what_is_wrong_costs_what_the_table_says(code: int, octets: str, cost: Fault | None) -> None:
    assert verdict(code, bytes.fromhex(octets)) == cost


@pytest.mark.parametrize("code", sorted(VALUES))
def test_wrong_flags(code: int) -> None:
    value = {35: b"\0\0\0\1"}.get(code, b"\0" * 20)
    assert verdict(code, value, ATTRIBUTES[code].flags ^ 0x40) == ATTRIBUTES[code].on_flags


def test_a_second_copy_of_what_stands_once_is_left_out() -> None:
    index = bytes.fromhex("01 0007 00000000000005")
    other = bytes.fromhex("01 0007 00000000000006")
    block = walk_block(BASE + attribute_octets(0xC0, 40, index + other), INTERNAL)
    assert Attributes(block.canonical).value_octets(40) == index


def test_what_is_not_for_everybody_is_discarded() -> None:
    plain = decoding_context(asn4=True, external=False, first_as=0, options=UpdateOptions())
    aigp = encode_attribute(26, ATTRIBUTES[26].decode(bytes.fromhex("01000b0000000000000001")))
    assert [fault.fault for fault in walk_block(BASE + aigp, plain).faults] == [Fault.DISCARD]
    assert verdict(40, bytes.fromhex("01 0007 00000000000005"), external=True) == Fault.DISCARD


def test_where_a_tunnel_ends() -> None:
    good = Tunnel(7, (SubTlv(6, bytes.fromhex("00000000 0001 0a000001")),))
    assert good.endpoint == b"\x0a\0\0\1"
    assert Tunnel(7, (SubTlv(6, bytes(6)),)).endpoint == b""
    assert Tunnel(7, (SubTlv(6, bytes.fromhex("00000000 0002 0a000001")),)).endpoint is None
    assert Tunnel(7, ()).endpoint is None


def test_a_whole_set_as_text() -> None:
    values = Attributes.build(
        {1: 0, 2: ATTRIBUTES[2].form.from_json([65001, 65002]), 5: 100, 8: [0xFFFFFF01], 99: b"\1"}, b"\x0a\0\0\1"
    )
    text = format_attributes(values)
    assert text == (
        "next-hop=[10.0.0.1] origin=igp as-path=[65001 65002] local-pref=100 communities=[no-export]"
        " attribute-99={flags=192 value=0x01}"
    )
    assert parse_attributes(text) == values
    assert attributes_from_json(json.loads(json.dumps(attributes_to_json(values)))) == values
    assert parse_attributes("") == Attributes(b"")


@pytest.mark.parametrize(
    "text",
    ["origin=7 x", "origin=none", "attribute-1={value=0x}", "nothing=1", "med=-1", "next-hop=[1.2.3]", "next-hop=5",
     "attribute-99={flags=300 value=0x}", "as-path=5", "as-path=[{kind=x asns=[1]}]", "atomic-aggregate=false",
     "[", "a"],
)  # fmt: skip
def test_bad_text(text: str) -> None:
    with pytest.raises(LocalError):
        parse_attributes(text)


def test_names_of_codes() -> None:
    assert AttributeCode.PREFIX_SID in ATTRIBUTES
    assert 33 not in ATTRIBUTES
    assert 36 not in ATTRIBUTES
