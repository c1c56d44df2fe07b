from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import FormatError, LocalError
from pybgp.formats.mrt import (
    BgpMessage,
    Ends,
    IndexedPeer,
    OpaqueRecord,
    PeerIndexTable,
    Record,
    Rib,
    RibEntry,
    StateChange,
    TableEntry,
    Value,
    decode,
    encode,
    record_octets,
)
from pybgp.formats.nlri_length import nlri_end
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from tests.pybgp.formats.mrt_samples import GENERIC, longs, values

KEEPALIVE = b"\xff" * 16 + b"\0\x13\x04"
ENDS = Ends(65001, 65000, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 7)
#: written by other implementations (rustybgp's tests): a peer table and a route of that peer.
INDEX_BODY = bytes.fromhex("0101010100000001020a0000010a0000010000fde9")
RIB_BODY = bytes.fromhex("00000000180a0000000100003b9aca0000144001010040020602010000fde9400304c0a80101")


def test_a_peer_table_and_a_route_of_another_writer() -> None:
    table = decode(Record(0x3B9ACA00, 13, 1, INDEX_BODY))
    peer = IndexedPeer(0x0A000001, bytes([10, 0, 0, 1]), 65001)
    assert table == PeerIndexTable(0x01010101, b"", (peer,))
    route = decode(Record(0x3B9ACA00, 13, 2, RIB_BODY))
    entry = RibEntry(0, 0x3B9ACA00, RIB_BODY[-20:])
    assert route == Rib(0, IPV4_UNICAST, bytes([24, 10, 0, 0]), (entry,))


@pytest.mark.parametrize(
    ("value", "kind", "subtype"),
    [
        (BgpMessage(ENDS, KEEPALIVE, asn4=False), 16, 1),
        (BgpMessage(ENDS, KEEPALIVE), 16, 4),
        (BgpMessage(ENDS, KEEPALIVE, asn4=False, is_local=True), 16, 6),
        (BgpMessage(ENDS, KEEPALIVE, is_local=True), 16, 7),
        (BgpMessage(ENDS, KEEPALIVE, asn4=False, add_path=True), 16, 8),
        (BgpMessage(ENDS, KEEPALIVE, add_path=True), 16, 9),
        (BgpMessage(ENDS, KEEPALIVE, asn4=False, is_local=True, add_path=True), 16, 10),
        (BgpMessage(ENDS, KEEPALIVE, is_local=True, add_path=True), 16, 11),
        (StateChange(ENDS, 5, 6, asn4=False), 16, 0),
        (StateChange(ENDS, 5, 6), 16, 5),
        (Rib(1, IPV4_UNICAST, b"\0", (RibEntry(0, 1, b""),)), 13, 2),
        (Rib(1, Family(2, 2), b"\0", (RibEntry(0, 1, b""),)), 13, 5),
        (Rib(1, IPV6_UNICAST, b"\0", (RibEntry(0, 1, b"", 9),)), 13, 10),
        (Rib(1, IPV4_UNICAST, b"\0", (), is_generic=True), 13, 6),
        (Rib(1, IPV4_UNICAST, bytes(5), (), is_generic=True, has_path_id=True), 13, 12),
        (TableEntry(0, 1, IPV6_UNICAST, b"\0", 1, 2, bytes(16), 65001, b""), 12, 2),
        (PeerIndexTable(1, b"view", ()), 13, 1),
        (OpaqueRecord(11, 0, b"ospf"), 11, 0),
    ],
)
def test_every_value_has_its_code_point(value: Value, kind: int, subtype: int) -> None:
    record = encode(value, 1_700_000_000)
    assert (record.kind, record.subtype) == (kind, subtype)
    assert decode(record) == value


def test_microseconds_make_a_session_record_extended() -> None:
    record = encode(StateChange(ENDS, 1, 6), 5, 250_000)
    assert (record.kind, record.time) == (17, 5.25)
    assert record_octets(record)[8:16] == (len(record.body) + 4).to_bytes(4, "big") + (250_000).to_bytes(4, "big")
    with pytest.raises(LocalError, match="microseconds 1 of MRT type 13: none"):
        encode(PeerIndexTable(1, b"", ()), 5, 1)
    with pytest.raises(LocalError, match="microseconds None of MRT type 33"):
        encode(OpaqueRecord(33, 0, b""), 5)


@given(values, longs)
def test_what_is_written_is_read_as_the_same(value: Value, seconds: int) -> None:
    assert decode(encode(value, seconds)) == value


@given(values)
def test_every_cut_of_a_record_is_a_value_or_a_format_error(value: Value) -> None:
    record = encode(value, 1)
    for length in range(len(record.body)):
        try:
            decode(record._replace(body=record.body[:length]))
        except FormatError as error:
            assert 0 <= error.where <= length


@given(st.integers(0, 70), st.integers(0, 13), st.binary(max_size=80))
def test_any_octets_are_a_value_or_a_format_error(kind: int, subtype: int, body: bytes) -> None:
    try:
        value = decode(Record(1, kind, subtype, body))
    except FormatError:
        return
    if kind not in (5, 17):
        again = encode(value, 1, 1 if kind in (33, 49) else None)
        assert decode(again) == value


@given(st.sampled_from([1, 2, 8]), st.integers(1, 0xFFFF))
def test_nothing_may_stand_behind_the_last_entry(subtype: int, extra: int) -> None:
    body = INDEX_BODY if subtype == 1 else bytes(4) + b"\0" + b"\0\0"
    with pytest.raises(FormatError, match=r"left over|behind the last"):
        decode(Record(1, 13, subtype, body + bytes(extra % 9 + 1)))


@pytest.mark.parametrize("name", ["CVE-2026-7736", "CVE-2025-43972", "CVE-2025-43973"])
def test_lengths_are_bounded_by_their_record(name: str) -> None:
    """An attribute length beyond its entry, and a view name beyond its table (GoBGP)."""
    too_long = {
        "CVE-2026-7736": (2, RIB_BODY[:-22] + b"\xff\xff" + RIB_BODY[-20:], "65535 octets, 20 present"),
        "CVE-2025-43972": (1, bytes(4) + b"\xff\xff" + b"view", "65535 octets announced, 4 present"),
        "CVE-2025-43973": (2, RIB_BODY[:8] + b"\xff\xff" + RIB_BODY[10:], "RIB entry 1 of 65535"),
    }
    subtype, body, words = too_long[name]
    with pytest.raises(FormatError, match=words):
        decode(Record(1, 13, subtype, body))


@pytest.mark.parametrize(("subtype", "front"), [(0, 4), (4, 8)])
@pytest.mark.parametrize("afi", [0, 3, 65535])
def test_a_session_runs_over_ip(subtype: int, front: int, afi: int) -> None:
    body = bytes(front + 2) + afi.to_bytes(2, "big") + bytes(60)
    with pytest.raises(FormatError, match=f"address family {afi} of the session"):
        decode(Record(1, 16, subtype, body))


def test_stray_bits_of_a_prefix_are_irrelevant() -> None:
    value = decode(Record(1, 13, 2, bytes(4) + bytes([20, 10, 0, 255]) + b"\0\0"))
    assert isinstance(value, Rib)
    assert value.nlri == bytes([20, 10, 0, 240])


@pytest.mark.parametrize("length", [33, 129, 255])
def test_a_prefix_longer_than_its_family_is_refused(length: int) -> None:
    with pytest.raises(FormatError, match=f"prefix of {length} bits"):
        decode(Record(1, 13, 2, bytes(4) + bytes([length]) + bytes(40)))
    with pytest.raises(FormatError, match=f"prefix of {length} bits"):
        decode(Record(1, 12, 1, bytes(8) + bytes([length]) + bytes(20)))


@pytest.mark.parametrize("family", sorted(GENERIC), ids=str)
def test_the_length_of_every_known_nlri_is_found(family: Family) -> None:
    for length in (0, 1, 12, 30):
        found = GENERIC[family](bytes(length))
        route = Rib(7, family, found, (RibEntry(1, 2, b"attributes"),), is_generic=True)
        assert decode(encode(route, 1)) == route
        assert nlri_end(family, found, 0) == len(found)
        for cut in range(len(found)):
            with pytest.raises(FormatError):
                nlri_end(family, found[:cut], 0)


def test_a_generic_family_nobody_can_measure_is_kept() -> None:
    body = bytes(4) + b"\0\x01\xf2" + b"whatever"
    value = decode(Record(1, 13, 6, body))
    assert value == Rib(0, Family(1, 242), b"", (), is_generic=True, unread=b"whatever")
    assert encode(value, 1).body == body


def test_old_bgp_records_become_messages() -> None:
    front = bytes.fromhex("fde9c0000201fde8c0000202")
    value = decode(Record(1, 5, 7, front))
    assert value == BgpMessage(ENDS._replace(interface=0), KEEPALIVE, asn4=False)
    changed = decode(Record(1, 5, 3, front[:6] + bytes([0, 5, 0, 6])))
    assert isinstance(changed, StateChange)
    assert (changed.ends.peer_as, changed.old_state, changed.new_state) == (65001, 5, 6)
    with pytest.raises(FormatError, match="message of 65619 octets"):
        decode(Record(1, 5, 1, front + bytes(65600)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (BgpMessage(ENDS._replace(peer_as=70000), b"", asn4=False), "peer AS 70000"),
        (BgpMessage(ENDS._replace(local_address=bytes(16)), b""), "4 and 16 octets"),
        (Rib(1, IPV4_UNICAST, b"\0", (RibEntry(0, 0, bytes(65536)),)), "attribute length 65536"),
        (Rib(1, IPV4_UNICAST, b"\0", (RibEntry(0, 0, b"", 1), RibEntry(0, 0, b""))), "in all entries"),
        (Rib(1, Family(1, 128), b"\0", ()), "generic record"),
        (TableEntry(0, 0, Family(1, 2), b"\0", 1, 0, bytes(4), 1, b""), "TABLE_DUMP holds"),
        (TableEntry(0, 0, IPV4_UNICAST, b"\0", 1, 0, bytes(16), 1, b""), "4 octets expected"),
        (PeerIndexTable(1, b"", (IndexedPeer(1, b"", 1),)), "4 or 16 octets"),
        (PeerIndexTable(1, bytes(65536), ()), "view name length 65536"),
        (PeerIndexTable(1, b"", (IndexedPeer(1, bytes(4), 1),) * 65536), "peer count 65536"),
    ],
)
def test_what_does_not_fit_is_named(value: Value, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        encode(value, 1)
    with pytest.raises(LocalError, match="MRT header"):
        record_octets(Record(2**32, 16, 4, b""))
