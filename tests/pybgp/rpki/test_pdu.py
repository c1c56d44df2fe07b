"""RTR PDUs: golden octets, round trips in every version, what no PDU may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.rtr import pdus
from pybgp.errors import LocalError
from pybgp.rpki.pdu import (
    LONGEST_PDU,
    Aspa,
    CacheReset,
    EndOfData,
    ErrorReport,
    Intervals,
    Pdu,
    PduReader,
    Record,
    RouterKey,
    RtrError,
    RtrErrorCode,
    Vrp,
    decode,
    encode,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST

CORRUPT, UNSUPPORTED_TYPE = RtrErrorCode.CORRUPT_DATA, RtrErrorCode.UNSUPPORTED_PDU_TYPE
ROUTER_KEY = bytes.fromhex("01090100 00000024") + bytes(range(20)) + bytes.fromhex("0000fde9 30593013")
ASPA = bytes.fromhex("020b0100 00000014 0000fde8 0000fde9 0000fdea")


def read(octets: bytes) -> Pdu | None:
    reader = PduReader()
    reader.feed(octets)
    found = reader.next_pdu()
    return None if found is None else decode(found[1])


@pytest.mark.parametrize(
    ("octets", "pdu"),
    [
        ("0104000000000014 01101800 c0000000 0000fde8", Record(True, Vrp(IPV4_UNICAST, b"\x10\xc0\x00", 24, 65000))),
        (
            "0106000000000020 00203000 20010db8 00000000 00000000 00000000 0000fde8",
            Record(False, Vrp(IPV6_UNICAST, b"\x20\x20\x01\x0d\xb8", 48, 65000)),
        ),
        ("000712340000000c 00000005", EndOfData(0x1234, 5)),
        ("0107123400000018 00000005 00000e10 00000258 00001c20", EndOfData(0x1234, 5, Intervals(3600, 600, 7200))),
        ("010a000400000015 00000000 00000005 68656c6c 6f", ErrorReport(4, b"", "hello")),
        (ROUTER_KEY.hex(), Record(True, RouterKey(bytes(range(20)), 65001, bytes.fromhex("30593013")))),
        (ASPA.hex(), Record(True, Aspa(65000, (65001, 65002)))),
        ("020b000000000 00c 0000fde8".replace(" ", ""), Record(False, Aspa(65000, ()))),
    ],
)
def test_golden_octets(octets: str, pdu: Pdu) -> None:
    whole = bytes.fromhex(octets)
    assert read(whole) == pdu
    assert encode(pdu, whole[0]) == whole


def test_reserved_bits_and_host_bits_mean_nothing() -> None:
    octets = bytes.fromhex("0104ffff00000014 ff1118ff c0008aff 0000fde8")
    assert read(octets) == Record(True, Vrp(IPV4_UNICAST, b"\x11\xc0\x00\x80", 24, 65000))


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("0104000000000014 01181700 c0000200 0000fde8", CORRUPT),
        ("0104000000000014 01182100 c0000200 0000fde8", CORRUPT),
        ("0104000000000014 01212100 c0000200 0000fde8", CORRUPT),
        ("0106000000000020 01208100 20010db8 00000000 00000000 00000000 0000fde8", CORRUPT),
        ("0108000000000007", CORRUPT),
        ("0108000000000009", CORRUPT),
        ("01040000ffffffff", CORRUPT),
        ("010a000000010000", CORRUPT),
        ("010400000000 0020", CORRUPT),
        ("000700000000 0018", CORRUPT),
        ("010700000000 000c", CORRUPT),
        ("010a0000 00000010 00000001 00000000", CORRUPT),
        ("010a0000 00000010 ffffffff 00000000", CORRUPT),
        ("010a0000 00000010 00000000 00000001", CORRUPT),
        ("0105000000000008", UNSUPPORTED_TYPE),
        ("010c000000000008", UNSUPPORTED_TYPE),
        ("010b010000000010", UNSUPPORTED_TYPE),
        ("0009010000000020", UNSUPPORTED_TYPE),
        ("0308000000000008", RtrErrorCode.UNSUPPORTED_VERSION),
        ("020b0100 0000000e 0000fde8 0000", CORRUPT),
        ("020b0100 0000000c 0000fde8", RtrErrorCode.ASPA_PROVIDERS),
        ("020b0100 00000010 0000fde8 0000fde8", RtrErrorCode.ASPA_PROVIDERS),
        ("020b0100 00000014 0000fde8 0000fde9 0000fde9", RtrErrorCode.ASPA_PROVIDERS),
    ],
)
def test_what_is_no_pdu(octets: str, code: RtrErrorCode) -> None:
    whole = bytes.fromhex(octets.replace(" ", ""))
    with pytest.raises(RtrError) as caught:
        read(whole)
    assert caught.value.code is code
    assert whole.startswith(caught.value.pdu)


@given(pdus)
def test_round_trip(versioned: tuple[int, Pdu]) -> None:
    version, pdu = versioned
    assert read(encode(pdu, version)) == pdu


@given(pdus, st.data())
def test_a_part_of_a_pdu_waits_for_more(versioned: tuple[int, Pdu], data: st.DataObject) -> None:
    version, pdu = versioned
    octets = encode(pdu, version)
    cut = data.draw(st.integers(0, len(octets) - 1))
    reader = PduReader()
    reader.feed(octets[:cut])
    assert reader.next_pdu() is None
    reader.feed(octets[cut:] + b"\x01")
    assert reader.next_pdu() == (version, octets)
    assert reader.next_pdu() is None


def test_a_body_that_lies_about_itself() -> None:
    with pytest.raises(RtrError, match="24 octets announced, 23 there"):
        decode(bytes.fromhex("0107000000000018") + bytes(15))


@pytest.mark.parametrize(
    "octets",
    ["", "01", "01040000000000", "0104000000000008", "010400000000000901", "0264000000000008", "0109010000000008"],
)
def test_decoding_alone_judges_the_header_too(octets: str) -> None:
    with pytest.raises(RtrError):
        decode(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("pdu", "version"),
    [
        (Record(True, Aspa(1, (2,))), 1),
        (Record(True, RouterKey(bytes(20), 1, b"")), 0),
        (EndOfData(65536, 0), 1),
        (ErrorReport(0, bytes(LONGEST_PDU)), 1),
        (CacheReset(), 3),
    ],
)
def test_what_cannot_be_written_is_refused(pdu: Pdu, version: int) -> None:
    with pytest.raises(LocalError, match="RTR PDU"):
        encode(pdu, version)


@pytest.mark.parametrize(
    ("given_values", "used"),
    [((0, 0, 0), (1, 1, 600)), ((10**6, 10**6, 10**6), (86400, 7200, 172800)), ((60, 30, 900), (60, 30, 900))],
)
def test_intervals_are_bounded(given_values: tuple[int, int, int], used: tuple[int, int, int]) -> None:
    assert Intervals(*given_values).bounded() == Intervals(*used)
