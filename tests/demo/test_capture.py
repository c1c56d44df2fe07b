from __future__ import annotations

import struct
from pathlib import Path

import pytest

from examples.demo.capture import ETHERNET_HEADER, Ipv4, parse_ipv4

PCAP = Path(__file__).parents[2].parent / "shared" / "golden" / "mesh" / "pcap" / "2-ping.worker-01.pcap"


@pytest.fixture(scope="module")
def packets() -> list[Ipv4]:
    if not PCAP.exists():
        pytest.skip(f"no recorded packets at {PCAP}")
    data, offset, found = PCAP.read_bytes(), 24, []
    while offset < len(data):
        (size,) = struct.unpack_from("<8xI", data, offset)
        packet = parse_ipv4(data[offset + 16 + ETHERNET_HEADER : offset + 16 + size])
        found += [packet] if packet else []
        offset += 16 + size
    return found


def test_a_recorded_ping_reads_as_tcpdump_wrote_it(packets: list[Ipv4]) -> None:
    ping = next(packet for packet in packets if packet.protocol == 4)
    assert ping.describe().splitlines() == [
        "IP (ttl 63, flags [DF], proto IPIP (4), length 104)",
        "    10.0.0.12 > 10.0.0.11: IP (ttl 63, flags [DF], proto ICMP (1), length 84)",
        "    192.168.5.1 > 192.168.171.65: ICMP echo request, id 1039, seq 1, length 64",
    ]


def test_recorded_connections_offer_the_recorded_segment_size(packets: list[Ipv4]) -> None:
    inner = [packet.inner for packet in packets if packet.protocol == 4]
    assert {packet.tcp_mss for packet in inner if packet} == {None, 1400}


def test_a_packet_cut_short_anywhere_is_no_error(packets: list[Ipv4]) -> None:
    whole = next(packet for packet in packets if packet.inner and packet.inner.tcp_mss)
    header = bytes.fromhex("4500006000004000ff04000001020304050607080000")[:20]
    for size in range(len(whole.payload)):
        packet = parse_ipv4(header + whole.payload[:size])
        assert packet is None or packet.describe()
