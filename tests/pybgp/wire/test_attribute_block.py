"""The judgement of a block: the short way and the walk agree, and the canonical form has one shape."""

from __future__ import annotations

import struct

import pytest

from pybgp.errors import RemoteError
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_block import read_block, read_plain, walk_block
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.negotiated import DecodingContext, UpdateOptions

from .samples import EBGP, EMPTY_PATH, GOOD, IBGP, NEXT_HOP, ORIGIN, PATH, attribute, session

LOCAL_PREF = attribute(0x40, 5, b"\0\0\0\x64")
COMMUNITIES = attribute(0xC0, 8, b"\0\0\0\x01\0\0\0\x02")
UNKNOWN = attribute(0xC0, 99, b"value")
OLD = session(external=True, asn4=False).context


@pytest.mark.parametrize(
    "octets",
    [
        GOOD,
        GOOD + attribute(0x80, 4, b"\0\0\0\x01") + attribute(0x40, 6, b"") + COMMUNITIES,
        GOOD + attribute(0xC0, 7, b"\0\0\0\x01\x0a\0\0\x01") + attribute(0xE0, 8, b"\0\0\0\x01"),
        GOOD + attribute(0xC0, 16, bytes(16)[:8]) + attribute(0xC0, 32, bytes(12)),
        ORIGIN + PATH,
        ORIGIN + attribute(0x50, 2, PATH[3:]) + NEXT_HOP + COMMUNITIES,
        ORIGIN + attribute(0x50, 2, PATH[3:]),
    ],
)
def test_the_short_way_agrees_with_the_walk(octets: bytes) -> None:
    short, walked = read_block(octets, EBGP.context), walk_block(octets, EBGP.context)
    assert (short.canonical, short.next_hop) == (walked.canonical, walked.next_hop)
    assert not short.faults
    assert not walked.faults


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        NEXT_HOP,
        NEXT_HOP + attribute(0xC0, 7, b"\xfd\xe9\x0a\0\0\x01") + COMMUNITIES,
        attribute(0xE0, 7, b"\xfd\xe9\x0a\0\0\x01"),
        attribute(0x80, 4, b"\0\0\0\x01") + attribute(0xC0, 32, bytes(12)),
    ],
)
@pytest.mark.parametrize("asns", [(65001,), (65001, 1, 23456), tuple(range(65001, 65001 + 63))])
@pytest.mark.parametrize("flags", [0x40, 0x50])
def test_the_short_way_widens_what_an_old_peer_says(flags: int, asns: tuple[int, ...], octets: bytes) -> None:
    path = attribute(flags, 2, struct.pack(f">BB{len(asns)}H", 2, len(asns), *asns))
    plain = read_plain(ORIGIN + path + octets, OLD)
    walked = walk_block(ORIGIN + path + octets, OLD)
    assert plain == (walked.canonical, walked.next_hop or b"", b"")
    assert Attributes(walked.canonical).as_path == AsPath.sequence(*asns)


@pytest.mark.parametrize(
    ("context", "path"),
    [
        (OLD, b"\x02\x02\xfd\xe9\0\0"),
        (OLD, b"\x02\x01\xfd\xea"),
        (OLD, b""),
        (EBGP.context, b"\x02\x02\0\0\xfd\xe9\0\0\0\0"),
        (EBGP.context, b"\x02\x01\0\0\xfd\xea"),
        (EBGP.context, b""),
        (EBGP.context, b"\x01\x01\0\0\xfd\xe9"),
    ],
)
@pytest.mark.parametrize("flags", [0x40, 0x50])
def test_the_short_way_takes_no_path_that_costs_the_routes(flags: int, context: DecodingContext, path: bytes) -> None:
    octets = ORIGIN + attribute(flags, 2, path) + NEXT_HOP
    assert read_plain(octets, context) is None
    assert walk_block(octets, context).worst == Fault.WITHDRAW


def test_a_number_with_four_zero_octets_across_its_ends_is_not_zero() -> None:
    asns = (65001, 0x01000000, 0x00000001)
    octets = ORIGIN + attribute(0x40, 2, struct.pack(">BB3I", 2, 3, *asns))
    assert read_plain(octets, EBGP.context) == (octets, b"", b"")


def test_next_hop_stands_beside_the_block() -> None:
    block = read_block(GOOD, EBGP.context)
    assert block.canonical == ORIGIN + PATH
    assert block.next_hop == b"\x0a\0\0\x01"
    assert block.is_clean


@pytest.mark.parametrize(
    "octets",
    [
        PATH + ORIGIN + NEXT_HOP + COMMUNITIES,
        COMMUNITIES + NEXT_HOP + PATH + ORIGIN,
        ORIGIN + attribute(0x50, 2, PATH[3:]) + NEXT_HOP + COMMUNITIES,
        attribute(0x4F, 1, b"\0") + PATH + NEXT_HOP + COMMUNITIES,
        attribute(0x60, 1, b"\0") + PATH + NEXT_HOP + COMMUNITIES,
        ORIGIN + PATH + NEXT_HOP + attribute(0xC0, 8, b"\0\0\0\x02\0\0\0\x01\0\0\0\x02"),
        GOOD + COMMUNITIES + attribute(0xC0, 8, b"\0\0\0\x09"),
    ],
    ids=["order", "reversed", "extended length", "low bits", "partial origin", "communities unsorted", "duplicate"],
)
def test_one_content_has_one_form(octets: bytes) -> None:
    assert read_block(octets, EBGP.context).canonical == ORIGIN + PATH + COMMUNITIES


def test_the_partial_bit_of_optional_transitive_attributes_stays() -> None:
    block = read_block(GOOD + attribute(0xE0, 8, b"\0\0\0\x01"), EBGP.context)
    assert Attributes(block.canonical).flags(8) == 0xE0


def test_unknown_attributes() -> None:
    block = read_block(UNKNOWN + attribute(0x80, 98, b"local") + GOOD + attribute(0xC0, 97, b""), EBGP.context)
    kept = Attributes(block.canonical)
    assert kept.codes() == [1, 2, 97, 99]
    assert (kept.flags(99), kept.get(99), kept.flags(97), kept.get(97)) == (0xE0, b"value", 0xE0, b"")
    assert not block.faults


@pytest.mark.parametrize("code", [0, 11, 99, 255])
def test_an_unknown_well_known_attribute(code: int) -> None:
    octets = attribute(0x40, code, b"x")
    with pytest.raises(RemoteError) as caught:
        read_block(GOOD + octets, EBGP.context)
    assert (caught.value.subcode, caught.value.data) == (2, octets)
    mild = session(options=UpdateOptions(reset_on_unknown_well_known=False)).context
    assert read_block(GOOD + octets, mild).worst == Fault.WITHDRAW


def test_local_values_of_an_external_peer_are_discarded() -> None:
    octets = GOOD + LOCAL_PREF + attribute(0x80, 9, b"1") + attribute(0x80, 10, b"\0\0\0\x01")
    block = read_block(octets, EBGP.context)
    assert Attributes(block.canonical).codes() == [1, 2]
    assert {fault.fault for fault in block.faults} == {Fault.DISCARD}
    assert Attributes(read_block(GOOD + LOCAL_PREF, IBGP.context).canonical).local_pref == 100


def test_operators_may_discard_or_withdraw_by_code() -> None:
    """The brake for the next worm attribute (spec section 5.1)."""
    options = UpdateOptions(discard_codes=frozenset({8, 99}), withdraw_codes=frozenset({32}))
    on = session(options=options).context
    block = read_block(GOOD + COMMUNITIES + UNKNOWN, on)
    assert Attributes(block.canonical).codes() == [1, 2]
    assert block.worst == Fault.DISCARD
    assert read_block(GOOD + attribute(0xC0, 32, bytes(12)), on).worst == Fault.WITHDRAW


def old_path(*asns: int) -> bytes:
    return attribute(0x40, 2, bytes([2, len(asns)]) + b"".join(asn.to_bytes(2, "big") for asn in asns))


def four_octet_path(*asns: int) -> bytes:
    return attribute(0xC0, 17, bytes([2, len(asns)]) + b"".join(asn.to_bytes(4, "big") for asn in asns))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_merge_in_any_order(swapped: bool) -> None:
    parts = [ORIGIN, old_path(65001, 23456), NEXT_HOP, four_octet_path(200000)]
    block = read_block(b"".join(reversed(parts) if swapped else parts), OLD)
    found = Attributes(block.canonical)
    assert found.codes() == [1, 2]
    assert str(found.as_path) == "65001 200000"
    assert not block.faults


def old_aggregator(asn: int) -> bytes:
    return attribute(0xC0, 7, asn.to_bytes(2, "big") + b"\x0a\0\0\x01")


AS4_AGGREGATOR = attribute(0xC0, 18, (200000).to_bytes(4, "big") + b"\x0a\0\0\x02")


def test_the_aggregator_behind_as_trans() -> None:
    block = read_block(ORIGIN + old_path(65001) + NEXT_HOP + old_aggregator(23456) + AS4_AGGREGATOR, OLD)
    assert Attributes(block.canonical).aggregator == (200000, 0x0A000002)


def test_an_old_aggregator_that_is_newer_hides_both() -> None:
    """RFC 6793 section 4.2.3."""
    octets = ORIGIN + old_path(65001, 23456) + old_aggregator(65001) + AS4_AGGREGATOR + four_octet_path(200000)
    found = Attributes(read_block(octets, OLD).canonical)
    assert found.aggregator == (65001, 0x0A000001)
    assert str(found.as_path) == "65001 23456"


def test_a_path_that_grows_past_255_octets_in_the_merge() -> None:
    octets = ORIGIN + old_path(65001, *[23456] * 100) + four_octet_path(*[200000] * 60)
    found = Attributes(read_block(octets, OLD).canonical)
    assert found.as_path.length == 101
    assert found.as_path.first == 65001


@pytest.mark.parametrize("value", ["0301 00030d40", "0201 00030d40 0301 00030d41"])
def test_confederation_segments_in_as4_path_are_left_out(value: str) -> None:
    octets = ORIGIN + old_path(65001, 23456) + attribute(0xC0, 17, bytes.fromhex(value))
    block = read_block(octets, OLD)
    assert not block.faults
    assert not Attributes(block.canonical).as_path.has_confederations


def test_as4_of_a_new_speaker_is_discarded() -> None:
    block = read_block(GOOD + four_octet_path(5) + AS4_AGGREGATOR, EBGP.context)
    assert Attributes(block.canonical).codes() == [1, 2]
    assert [fault.fault for fault in block.faults] == [Fault.DISCARD] * 2


def test_as_trans_may_begin_the_path_of_a_large_as() -> None:
    large = session(external=True, asn4=False)
    large = type(large)(65000, 200000, 1, 2, families=large.families, asn4=False)
    assert not read_block(ORIGIN + old_path(23456) + four_octet_path(200000), large.context).faults
    assert read_block(ORIGIN + old_path(65001), large.context).worst == Fault.WITHDRAW


def test_an_empty_path_is_fine_inside() -> None:
    assert read_block(ORIGIN + EMPTY_PATH + NEXT_HOP, IBGP.context).is_clean
    assert read_block(ORIGIN + EMPTY_PATH + NEXT_HOP, EBGP.context).worst == Fault.WITHDRAW


def test_every_cut_of_a_block() -> None:
    octets = GOOD + COMMUNITIES + UNKNOWN
    ends = {0, len(ORIGIN), len(ORIGIN + PATH), len(GOOD), len(GOOD + COMMUNITIES), len(octets)}
    for cut in range(len(octets) + 1):
        block = read_block(octets[:cut], EBGP.context)
        assert (block.worst == Fault.WITHDRAW) == (cut not in ends)


MEMBER = session(external=True, options=UpdateOptions(confederation=True, confederation_member=True)).context
PEER_AS = EBGP.peer_as
REFLECTED = attribute(0x80, 9, b"\0\0\0\x01") + attribute(0x80, 10, b"\0\0\0\x02")


def segments(*parts: tuple[int, tuple[int, ...]]) -> bytes:
    octets = b"".join(
        bytes((kind, len(asns))) + b"".join(asn.to_bytes(4, "big") for asn in asns) for kind, asns in parts
    )
    return attribute(0x40, 2, octets)


@pytest.mark.parametrize(
    ("path", "is_good"),
    [
        (segments((3, (PEER_AS,))), True),
        (segments((3, (PEER_AS, 7)), (2, (8,))), True),
        (segments((2, (PEER_AS,))), False),
        (segments((3, (7, PEER_AS))), False),
        (segments((2, (8,)), (3, (PEER_AS,))), False),
        (segments((4, (PEER_AS,))), False),
        (segments(), False),
    ],
)
def test_another_member_of_the_confederation_leads_its_paths(path: bytes, is_good: bool) -> None:
    """RFC 5065 section 5.3, the verdict of RFC 7606 section 7.2."""
    faults = read_block(ORIGIN + path + NEXT_HOP + LOCAL_PREF, MEMBER).faults
    assert [fault.fault for fault in faults] == ([] if is_good else [Fault.WITHDRAW])


def test_of_the_attributes_that_stay_inside_only_the_preference_passes_between_members() -> None:
    path = segments((3, (PEER_AS,)))
    block = read_block(ORIGIN + path + NEXT_HOP + LOCAL_PREF + REFLECTED, MEMBER)
    assert [(fault.code, fault.fault) for fault in block.faults] == [(9, Fault.DISCARD), (10, Fault.DISCARD)]
    assert block.canonical == ORIGIN + path + LOCAL_PREF


@pytest.mark.parametrize(("confederation", "faults"), [(True, []), (False, [Fault.WITHDRAW])])
def test_confederation_segments_come_from_inside_only(confederation: bool, faults: list[Fault]) -> None:
    context = session(external=False, options=UpdateOptions(confederation=confederation)).context
    block = read_block(ORIGIN + segments((3, (7,)), (2, (8,))) + NEXT_HOP + LOCAL_PREF, context)
    assert [fault.fault for fault in block.faults] == faults
