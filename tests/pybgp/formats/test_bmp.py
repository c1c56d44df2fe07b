from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import FormatError, LocalError
from pybgp.formats.bmp import (
    BmpFramer,
    BmpMessage,
    DownReason,
    IndexedTlv,
    Initiation,
    PeerDown,
    PeerHeader,
    PeerUp,
    RouteMirroring,
    RouteMonitoring,
    StatisticsReport,
    Termination,
    TerminationReason,
    Tlv,
    decode,
    encode,
)
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.formats.bmp_samples import END, NOTIFICATION, OPEN, version_3, version_4

PEER = PeerHeader(0, 0, bytes(8), bytes([192, 0, 2, 1]), 65001, 0x0A000001, 5, 6)
#: what other implementations wrote: a route of a Loc-RIB (rustybgp), a termination (routecore).
LOC_RIB = bytes.fromhex(
    "030000005f0003000000000000000000000000000000000000000000000000000000fde90a0000010000000000000000"
    "ffffffffffffffffffffffffffffffff002f02000000144001010040020602010000fde9400304c0a80001180a0100"
)
TERMINATION = bytes.fromhex("030000000c05000100020003")


def test_messages_of_other_writers() -> None:
    route = decode(LOC_RIB)
    assert isinstance(route, RouteMonitoring)
    assert route.peer == PeerHeader(3, 0, bytes(8), bytes(4), 65001, 0x0A000001)
    assert route.peer.is_loc_rib
    assert (route.update, encode(route)) == (LOC_RIB[48:], LOC_RIB)
    closed = decode(TERMINATION)
    assert closed == Termination((Tlv(1, b"\0\x03"),))
    assert closed.reason == TerminationReason.REDUNDANT


@given(version_3)
def test_what_is_written_is_read_as_the_same(message: BmpMessage) -> None:
    assert decode(encode(message)) == message


@given(version_4)
def test_version_4_is_made_of_tlvs(message: RouteMonitoring) -> None:
    octets = encode(message, 4)
    assert octets[0] == 4
    assert decode(octets) == message
    bare = RouteMonitoring(PEER, END)
    assert decode(encode(bare, 4)) == bare._replace(tlvs=(IndexedTlv(4, 0, END),))


@given(version_3)
def test_every_cut_is_waited_for_or_refused(message: BmpMessage) -> None:
    octets = encode(message)
    for length in range(len(octets)):
        framer = BmpFramer()
        framer.feed(octets[:length])
        assert framer.next_message() is None
        cut = octets[:1] + length.to_bytes(4, "big") + octets[5:length]
        try:
            decode(cut[:length])
        except FormatError as error:
            assert 0 <= error.where <= length


@given(st.lists(version_3, max_size=4), st.integers(1, 50))
def test_a_stream_may_be_cut_anywhere(messages: list[BmpMessage], step: int) -> None:
    octets = b"".join(map(encode, messages))
    framer = BmpFramer()
    found = []
    for start in range(0, len(octets), step):
        framer.feed(octets[start : start + step])
        while (message := framer.next_message()) is not None:
            found.append(decode(message))
    assert found == messages


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("0100000006" + "04", "version 1"),
        ("0300000005" + "04", "message of 5 octets"),
        ("0300100001" + "04", "message of 1048577 octets"),
    ],
)
def test_a_wrong_header_is_refused_at_once(header: str, words: str) -> None:
    framer = BmpFramer()
    framer.feed(bytes.fromhex(header))
    with pytest.raises(FormatError, match=words):
        framer.next_message()


@given(st.integers(3, 4), st.integers(0, 8), st.binary(max_size=120))
def test_any_octets_are_a_message_or_a_format_error(version: int, kind: int, body: bytes) -> None:
    octets = bytes([version]) + (len(body) + 6).to_bytes(4, "big") + bytes([kind]) + body
    try:
        message = decode(octets)
    except FormatError:
        return
    assert decode(encode(message, version)) == message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x07" + encode(RouteMonitoring(PEER, b""))[6:], "message type 7"),
        (b"\x02" + encode(PeerDown(PEER, 4))[6:-1] + b"\x01" + NOTIFICATION[:-1], "NOTIFICATION: 5 octets announced"),
        (b"\x02" + encode(PeerDown(PEER, 4))[6:-1] + b"\x01" + OPEN, "NOTIFICATION: message type 1"),
        (b"\x02" + encode(PeerDown(PEER, 4))[6:-1] + b"\x02\0", "FSM event: 2 octets"),
        (b"\x02" + encode(PeerDown(PEER, 4))[6:-1] + b"\x06\0\x03\0\x09", "TLV 3: 9 octets"),
        (b"\x01" + encode(StatisticsReport(PEER, ()))[6:-1] + b"\x02", "2 statistics announced, 0 present"),
        (b"\x01" + encode(StatisticsReport(PEER, ()))[6:-4] + b"\xff" * 4, "4294967295 statistics announced"),
    ],
)
def test_what_is_shorter_or_longer_than_it_says_is_named(body: bytes, words: str) -> None:
    """GoBGP and FRR panicked on short and over-long bodies (spec/cves.md, BMP short messages)."""
    with pytest.raises(FormatError, match=words):
        decode(b"\x03" + (len(body) + 5).to_bytes(4, "big") + body)


def test_bird_bmp_off_by_one_the_longest_update_passes() -> None:
    """BIRD 2.19 NEWS: a message of maximum size overflowed the buffer toward the station (spec/cves.md)."""
    for length in (4095, 4096, 65534, 65535):
        update = END[:16] + length.to_bytes(2, "big") + END[18:19] + bytes(length - 19)
        octets = encode(RouteMonitoring(PEER, update))
        framer = BmpFramer()
        framer.feed(octets)
        assert framer.next_message() == octets
        assert decode(octets) == RouteMonitoring(PEER, update)


def test_a_message_is_as_long_as_it_says() -> None:
    for wrong in (TERMINATION + b"\0\0\0\0", TERMINATION[:4] + b"\x08" + TERMINATION[5:]):
        with pytest.raises(FormatError, match="BMP message says"):
            decode(wrong)


def test_version_4_holds_one_update() -> None:
    for count in (0, 2):
        message = RouteMonitoring(PEER, b"", (IndexedTlv(4, 0, END),) * count + (IndexedTlv(3, 0, b"x"),))
        with pytest.raises(FormatError, match=f"{count} BGP messages"):
            decode(encode(message, 4))


def test_flags_mean_what_the_peer_type_lets_them() -> None:
    sent = PEER._replace(flags=0xF0, address=bytes(16))
    assert (sent.is_ipv6, sent.is_post_policy, sent.asn4, sent.is_adj_rib_out) == (True, True, False, True)
    assert not sent.is_filtered
    table = sent._replace(kind=3)
    assert (table.is_ipv6, table.is_post_policy, table.asn4, table.is_adj_rib_out) == (False, False, True, False)
    assert table.is_filtered
    assert sent.key != table.key


def test_a_peer_down_says_why() -> None:
    assert PeerDown(PEER, DownReason.REMOTE_NOTIFICATION, NOTIFICATION + b"more").notification == NOTIFICATION
    assert PeerDown(PEER, DownReason.LOCAL_EVENT, b"\0\x18").fsm_event == 24
    assert PeerDown(PEER, DownReason.LOCAL_WITH_INFORMATION, b"\0\x03\0\x01a").information == (Tlv(3, b"a"),)
    gone = PeerDown(PEER, DownReason.DECONFIGURED)
    assert (gone.notification, gone.fsm_event, gone.information) == (b"", None, ())


def test_statistics_are_numbers_where_they_are_known() -> None:
    report = StatisticsReport(
        PEER,
        (
            Tlv(7, (70).to_bytes(8, "big")),
            Tlv(9, b"\0\x01\x01" + (9).to_bytes(8, "big")),
            Tlv(11, b"\0\0\0\x03"),
            Tlv(12, b"\0"),
            Tlv(32767, b"\0\0\0\x01"),
        ),
    )
    assert report.numbers() == {(7, None): 70, (9, IPV4_UNICAST): 9, (11, None): 3}


def test_mirrored_messages_and_their_codes() -> None:
    mirrored = RouteMirroring(PEER, (Tlv(1, b"\0\0"), Tlv(0, END)))
    assert (mirrored.messages, mirrored.codes) == ((END,), (0,))
    assert Tlv(0, b"caf\xc3\xa9 \xff").text == "café \\xff"
    assert Termination(()).reason is None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (RouteMonitoring(PEER._replace(address=b""), END), "peer address ''"),
        (RouteMonitoring(PEER._replace(distinguisher=b""), END), "8 octets expected"),
        (RouteMonitoring(PEER._replace(asn=2**32), END), "PeerHeader"),
        (PeerUp(PEER, bytes(4), 1, 2, OPEN, OPEN[:-1]), "a whole OPEN expected"),
        (PeerUp(PEER, bytes(4), 1, 2, NOTIFICATION, OPEN), "a whole OPEN expected"),
        (PeerUp(PEER, bytes(4), 65536, 2, OPEN, OPEN), "local port 65536"),
        (Initiation((Tlv(0, bytes(65536)),)), "TLV length 65536"),
        (Initiation((Tlv(0, bytes(65535)),) * 17), "at most 1048576"),
    ],
)
def test_what_does_not_fit_is_named(message: BmpMessage, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        encode(message)
