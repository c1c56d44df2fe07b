"""Any octets as a BMP stream: messages or a format error, the same however they are cut, and written as they came."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from fuzz.strategies import any_octets
from fuzz.target import Target, seeds
from pybgp.errors import FormatError
from pybgp.formats.bmp import (
    BmpFramer,
    BmpMessage,
    IndexedTlv,
    Initiation,
    PeerDown,
    PeerHeader,
    PeerUp,
    RouteMirroring,
    RouteMonitoring,
    StatisticsReport,
    Termination,
    Tlv,
    decode,
    encode,
)
from pybgp.formats.bmp_station import Station
from pybgp.wire.messages import Notification, Open
from pybgp.wire.messages import encode as encode_bgp

PEER = PeerHeader(0, 0, bytes(8), bytes([192, 0, 2, 1]), 65001, 0x0A000001, 5, 6)
OPEN = encode_bgp(Open(65001, 90, 1))
NOTIFICATION = encode_bgp(Notification(6, 2))
ATTRIBUTES = bytes.fromhex("4001010040020602010000fde9400304c0000201")
UPDATE = b"\xff" * 16 + b"\0\x2f\x02\0\0\0\x14" + ATTRIBUTES + b"\x18\xcb\0\x71"
EXAMPLES: list[BmpMessage] = [
    Initiation((Tlv(1, b"router"), Tlv(2, b"name"))),
    PeerUp(PEER, bytes(4), 179, 40000, OPEN, OPEN, (Tlv(3, b"global"),)),
    RouteMonitoring(PEER, UPDATE),
    RouteMonitoring(PEER._replace(kind=3), UPDATE),
    StatisticsReport(PEER, (Tlv(7, bytes(8)), Tlv(9, bytes(11)))),
    PeerDown(PEER, 1, NOTIFICATION),
    PeerDown(PEER, 2, b"\0\x18"),
    RouteMirroring(PEER, (Tlv(1, b"\0\0"), Tlv(0, UPDATE))),
    Termination((Tlv(1, b"\0\0"),)),
]
NEWER = encode(
    RouteMonitoring(PEER, UPDATE, (IndexedTlv(1, 0, b"\x45\x04\0\x01\x01\x03"), IndexedTlv(4, 0, UPDATE))), 4
)
VALID = st.lists(st.sampled_from([*map(encode, EXAMPLES), NEWER]), min_size=1, max_size=4).map(b"".join)


def outcome(chunks: Iterable[bytes]) -> list[str]:
    """What a station makes of a stream."""
    station = Station(framer=BmpFramer(4096))
    found = []
    try:
        for chunk in chunks:
            found += [f"{item.message} {item.error} {item.update is None}" for item in station.receive_data(chunk)]
    except FormatError as error:
        found.append(str(error))
    return [line for line in found if not line.startswith("octet")]


def check(octets: bytes) -> None:
    framer = BmpFramer(4096)
    framer.feed(octets)
    try:
        while (message := framer.next_message()) is not None:
            value = decode(message)
            assert decode(encode(value, message[0])) == value
    except FormatError:
        pass
    cut = outcome(octets[place : place + 1] for place in range(len(octets)))
    assert cut[: len(outcome([octets]))] == outcome([octets])


TARGET = Target("bmp", any_octets(VALID, seeds("bmp", folders=("bmp",))), check)
