"""The attribute set: builders, typed access, canonical octets, the forms it is sent in."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp.errors import LocalError
from pybgp.wire.as_path import AsPath, Segment
from pybgp.wire.attributes import ATTRIBUTES, Aggregator, Attributes, encode_attribute, is_host_address
from pybgp.wire.attributes.attribute_set import AttributeSet, InnerAttribute
from pybgp.wire.attributes.measures import Aigp, BfdDiscriminator, NextHopCapability
from pybgp.wire.attributes.measures import Tlv as MeasureTlv
from pybgp.wire.attributes.segment_routing import PrefixSidTlv
from pybgp.wire.attributes.tunnels import PeLabel, PmsiTunnel, SubTlv, Tunnel
from pybgp.wire.communities import LargeCommunity
from pybgp.wire.families import Family
from pybgp.wire.iana import AttributeCode, Origin, SegmentType

HOP = b"\x0a\0\0\x01"
GOLDEN: list[tuple[int, Any, str]] = [
    (1, Origin.EGP, "40 01 01 01"),
    (2, AsPath.sequence(65001, 200000), "40 02 0a 0202 0000fde9 00030d40"),
    (4, 50, "80 04 04 00000032"),
    (5, 100, "40 05 04 00000064"),
    (6, True, "40 06 00"),
    (7, Aggregator(200000, 0x0A000001), "c0 07 08 00030d40 0a000001"),
    (8, (1, 0xFFFFFF01), "c0 08 08 00000001 ffffff01"),
    (9, 0x0A000001, "80 09 04 0a000001"),
    (10, (2, 1), "80 0a 08 00000002 00000001"),
    (16, (bytes.fromhex("0002fde800000064"),), "c0 10 08 0002fde800000064"),
    (22, PmsiTunnel(1, 6, 100, b"\x0a\0\0\x01"), "c0 16 09 01 06 000064 0a000001"),
    (23, (Tunnel(7, (SubTlv(6, b"\0\0\0\0\0\1\x0a\0\0\1"),)),), "c0 17 10 0007 000c 060a 0000000000010a000001"),
    (24, b"\1\2", "80 18 02 0102"),
    (25, (bytes(18) + b"\0\1",), "c0 19 14" + "00" * 19 + "01"),
    (26, Aigp.of(7), "80 1a 0b 01 000b 0000000000000007"),
    (27, (PeLabel(b"\x0a\0\0\x01", 16),), "c0 1b 07 0a000001 000010"),
    (29, (MeasureTlv(1024, b"\0"),), "80 1d 05 0400 0001 00"),
    (32, (LargeCommunity(1, 2, 3),), "c0 20 0c 000000010000000200000003"),
    (35, 65001, "c0 23 04 0000fde9"),
    (38, BfdDiscriminator(1, 5, (MeasureTlv(1, b"\x0a\0\0\x01"),)), "c0 26 0b 01 00000005 01 04 0a000001"),
    (
        39,
        NextHopCapability(Family(1, 1), b"\x0a\0\0\x01", (MeasureTlv(1, b"\x05"),)),
        "c0 27 0d 0001 01 04 0a000001 0001 0001 05",
    ),
    (40, (PrefixSidTlv(1, bytes(6) + b"\x05"),), "c0 28 0a 01 0007 00000000000005"),
    (128, AttributeSet(65001, (InnerAttribute(0x40, 1, b"\0"),)), "c0 80 08 0000fde9 400101 00"),
]
ALL = Attributes.build({code: value for code, value, _ in GOLDEN}, HOP)


@pytest.mark.parametrize(("code", "value", "octets"), GOLDEN)
def test_octets_of_each(code: int, value: Any, octets: str) -> None:
    assert encode_attribute(code, value) == bytes.fromhex(octets)
    only = Attributes.build({code: value})
    assert only.block == bytes.fromhex(octets)
    assert only.get(code) == value
    assert only.codes() == [code]
    assert code in only
    assert 99 not in only


def test_every_row_has_a_golden_vector() -> None:
    inside = {code for code, _, _ in GOLDEN}
    assert set(ATTRIBUTES) == inside | {AttributeCode.NEXT_HOP, AttributeCode.AS4_PATH, AttributeCode.AS4_AGGREGATOR}


def test_the_named_values() -> None:
    assert (ALL.origin, ALL.as_path, ALL.med, ALL.local_pref) == (Origin.EGP, AsPath.sequence(65001, 200000), 50, 100)
    assert (ALL.atomic_aggregate, ALL.aggregator) == (True, Aggregator(200000, 0x0A000001))
    assert ALL.communities == (1, 0xFFFFFF01)
    assert (ALL.originator_id, ALL.cluster_list) == (0x0A000001, (2, 1))
    assert ALL.extended_communities == (bytes.fromhex("0002fde800000064"),)
    assert ALL.large_communities == (LargeCommunity(1, 2, 3),)
    assert ALL.next_hop == HOP
    assert ALL.codes() == sorted(code for code, _, _ in GOLDEN)


def test_absent_values() -> None:
    empty = Attributes(b"")
    assert (empty.origin, empty.as_path, empty.med, empty.local_pref) == (Origin.INCOMPLETE, AsPath(), None, None)
    assert (empty.atomic_aggregate, empty.aggregator, empty.communities) == (False, None, ())
    assert (empty.originator_id, empty.cluster_list, empty.extended_communities) == (None, (), ())
    assert (empty.large_communities, empty.get(8), empty.flags(8), empty.next_hop) == ((), None, 0, b"")


def test_replacing_and_dropping() -> None:
    changed = ALL.replace({AttributeCode.MED: 7}, drop={AttributeCode.LOCAL_PREF, 99}, next_hop=b"\x0a\0\0\x02")
    assert (changed.med, changed.local_pref, changed.next_hop) == (7, None, b"\x0a\0\0\x02")
    assert changed.as_path == ALL.as_path
    assert (ALL.med, ALL.local_pref, ALL.next_hop) == (50, 100, HOP)
    assert ALL.replace(next_hop=b"\x0a\0\0\x02").block is ALL.block


def test_the_order_of_building_does_not_matter() -> None:
    backwards = Attributes.build({code: value for code, value, _ in reversed(GOLDEN)}, HOP)
    assert backwards == ALL
    assert hash(backwards) == hash(ALL)
    assert backwards.block == ALL.block
    assert Attributes(ALL.block, b"") != ALL
    assert ALL != "something else"


def test_an_unknown_attribute_is_octets() -> None:
    opaque = Attributes.build({99: b"\x01\x02"})
    assert opaque.block == bytes.fromhex("c0 63 02 0102")
    assert opaque.get(99) == b"\x01\x02"
    assert opaque.flags(99) == 0xC0
    with pytest.raises(LocalError, match="99"):
        Attributes.build({99: 5})


@pytest.mark.parametrize(
    ("code", "value"),
    [(4, -1), (5, 2**32), (1, 256), (7, (2**32, 1)), (8, ["x"]), (2, AsPath.sequence(2**32)), (99, bytes(65536))],
)
def test_what_does_not_fit_is_our_own_fault(code: int, value: Any) -> None:
    with pytest.raises(LocalError):
        Attributes.build({code: value})


@pytest.mark.parametrize("code", [3, 14, 15, 17, 18])
def test_what_the_encoder_writes_cannot_be_set(code: int) -> None:
    with pytest.raises(LocalError):
        Attributes.build({code: b""})


@pytest.mark.parametrize(("count", "extended"), [(63, False), (64, True), (100, True)])
def test_the_extended_length_begins_at_256_octets(count: int, extended: bool) -> None:
    value = tuple(range(count))
    block = Attributes.build({8: value}).block
    assert block[:2] == bytes([0xD0 if extended else 0xC0, 8])
    assert len(block) == 4 * count + (4 if extended else 3)
    assert Attributes(block).communities == value


def test_the_classic_next_hop_stands_in_order() -> None:
    octets = ALL.encoded(classic_next_hop=True)
    at = octets.index(bytes.fromhex("400304") + HOP)
    assert octets[:at] + octets[at + 7 :] == ALL.block
    assert octets[at + 7 : at + 9] == b"\x80\x04"
    assert ALL.encoded() is ALL.block


def test_two_octet_peers_get_as_trans_and_the_truth_behind_it() -> None:
    """RFC 6793 section 4.2.2."""
    octets = ALL.encoded(asn4=False)
    assert bytes.fromhex("400206 0202 fde9 5ba0") in octets
    assert bytes.fromhex("c0110a 0202 0000fde9 00030d40") in octets
    assert bytes.fromhex("c00706 5ba0 0a000001") in octets
    assert bytes.fromhex("c01208 00030d40 0a000001") in octets
    codes = [code for code, _ in Attributes(octets).pieces()]
    assert codes == sorted(codes)


def test_two_octet_peers_get_no_as4_where_all_fits() -> None:
    small = Attributes.build({1: 0, 2: AsPath.sequence(1, 2), 7: (65535, 1)})
    assert small.encoded(asn4=False) == bytes.fromhex("40010100 400206 0202 0001 0002 c00706 ffff 00000001")


def test_as4_path_holds_no_confederation() -> None:
    path = AsPath((Segment(SegmentType.CONFED_SEQUENCE, (64512,)), Segment(SegmentType.SEQUENCE, (200000,))))
    octets = Attributes.build({1: 0, 2: path}).encoded(asn4=False)
    assert bytes.fromhex("c01106 0201 00030d40") in octets


def test_a_path_that_is_large_only_inside_the_confederation_has_no_as4_path() -> None:
    inside = Segment(SegmentType.CONFED_SEQUENCE, (200000,))
    for path in (AsPath((inside,)), AsPath((inside, Segment(SegmentType.SEQUENCE, (1,))))):
        assert 17 not in Attributes(Attributes.build({2: path}).encoded(asn4=False)).codes()


@pytest.mark.parametrize(
    ("octets", "is_host"),
    [
        ("0a000001", True),
        ("df000001", True),
        ("00000000", False),
        ("00000001", False),
        ("7f000001", False),
        ("e0000001", False),
        ("ffffffff", False),
        ("20010db8000000000000000000000001", True),
        ("fe800000000000000000000000000001", True),
        ("00000000000000000000000000000000", False),
        ("00000000000000000000000000000001", False),
        ("ff020000000000000000000000000001", False),
        ("00000000000000000000000000000000fe800000000000000000000000000001", True),
    ],
)
def test_hosts(octets: str, is_host: bool) -> None:
    assert is_host_address(bytes.fromhex(octets)) == is_host


def test_it_shows_itself() -> None:
    assert (
        repr(Attributes.build({1: 0, 2: AsPath.sequence(5)}, HOP))
        == "Attributes(origin=0, as_path=5, next_hop=0a000001)"
    )
