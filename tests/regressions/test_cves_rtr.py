"""What broken RTR answers did to others (spec/cves.md, section F), each with its cost bounded."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from pybgp.rpki.pdu import CacheResponse, EndOfData, PduReader, Record, RtrError, RtrErrorCode, Vrp, decode, encode
from pybgp.rpki.session import Close, PayloadChanged, Session
from pybgp.wire.families import IPV4_UNICAST

#: Generous for a busy machine; what these must not be is quadratic.
LONGEST_SECONDS = 5.0
HEADER = encode(CacheResponse(1))


def asked() -> Session:
    session = Session()
    session.start(0.0)
    session.connection_made(0.0)
    session.data_to_send()
    return session


def test_cve_2024_55553_one_change_for_an_update_larger_than_any_read() -> None:
    records = [Record(True, Vrp(IPV4_UNICAST, b"\x18\x0a" + n.to_bytes(2, "big"), 24, 1)) for n in range(30_000)]
    octets = HEADER + b"".join(map(encode, records)) + encode(EndOfData(1, 1))
    session = asked()
    started = time.process_time()
    events = []
    for place in range(0, len(octets), 4096):
        events += session.receive_data(octets[place : place + 4096], 0.0)
    assert [type(event) for event in events] == [PayloadChanged]
    assert time.process_time() - started < LONGEST_SECONDS


@pytest.mark.parametrize(
    "octets",
    [
        bytes.fromhex("010a0000 7fffffff 00000010"),
        bytes.fromhex("010a0000 00000010 fffffff0 00000000"),
        bytes.fromhex("010a0000 00000014 00000000 fffffff0 00000000"),
        bytes.fromhex("01040000 ffffffff"),
    ],
    ids=["length of the PDU", "length of the erroneous PDU", "length of the text", "length of a prefix"],
)
def test_gobgp_a550fe7_and_0378ad6_no_length_is_believed(octets: bytes) -> None:
    tracemalloc.start()
    try:
        session = asked()
        assert session.receive_data(octets, 0.0)[0] == Close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize(
    "octets",
    [
        "0104000000000014 01181700 c0000200 0000fde8",
        "0104000000000014 01182100 c0000200 0000fde8",
        "0104000000000014 01ffff00 c0000200 0000fde8",
        "0106000000000020 01302f00 20010db8 00000000 00000000 00000000 0000fde8",
        "0106000000000020 01308100 20010db8 00000000 00000000 00000000 0000fde8",
    ],
)
def test_bird_rtr_max_length_is_error_0_and_ends_the_session(octets: str) -> None:
    session = asked()
    events = session.receive_data(HEADER + bytes.fromhex(octets), 0.0)
    assert events[0] == Close()
    reader = PduReader()
    reader.feed(session.data_to_send())
    found = reader.next_pdu()
    assert found is not None
    report = decode(found[1])
    assert report.code == RtrErrorCode.CORRUPT_DATA  # type: ignore[union-attr]
    with pytest.raises(RtrError):
        decode(bytes.fromhex(octets))
