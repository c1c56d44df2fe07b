"""Strategies for every BMP message."""

from __future__ import annotations

from hypothesis import strategies as st

from pybgp.formats.bmp import (
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
)
from pybgp.wire.messages import Notification, Open, encode, end_of_rib
from tests.pybgp.formats.mrt_samples import IPV4, addresses, blobs, longs, octets, shorts

OPEN = encode(Open(65001, 90, 0x0A000001))
NOTIFICATION = encode(Notification(6, 2, b"\x02ok"))
END = end_of_rib(IPV4)
tlvs = st.lists(st.builds(Tlv, shorts, blobs), max_size=4).map(tuple)


@st.composite
def peers(draw: st.DrawFn) -> PeerHeader:
    kind = draw(octets)
    flags = draw(octets)
    # An address of four octets is written into sixteen; without a flag for IPv6 it must be told from one of sixteen.
    if kind != 3 and flags & 0x80:
        address = draw(addresses(16))
    else:
        address = draw(st.one_of(addresses(4), addresses(16).filter(lambda found: any(found[:12]))))
    numbers = [draw(longs) for _ in range(4)]
    return PeerHeader(kind, flags, draw(addresses(8)), address, *numbers)


@st.composite
def peer_ups(draw: st.DrawFn) -> PeerUp:
    peer = draw(peers())
    local = draw(addresses(16 if peer.is_ipv6 else 4))
    return PeerUp(peer, local, draw(shorts), draw(shorts), OPEN, OPEN, draw(tlvs))


peer_downs = st.one_of(
    st.builds(PeerDown, peers(), st.sampled_from([1, 3]), st.just(NOTIFICATION)),
    st.builds(PeerDown, peers(), st.just(2), addresses(2)),
    st.builds(PeerDown, peers(), st.sampled_from([4, 5]), st.just(b"")),
    st.builds(PeerDown, peers(), st.just(6), st.just(b"\0\x03\0\x06global")),
    st.builds(PeerDown, peers(), st.integers(7, 255), blobs),
)
monitored = st.builds(RouteMonitoring, peers(), st.just(END), st.just(()), blobs)
version_3: st.SearchStrategy[BmpMessage] = st.one_of(
    monitored,
    st.builds(StatisticsReport, peers(), tlvs),
    peer_downs,
    peer_ups(),
    st.builds(Initiation, tlvs),
    st.builds(Termination, tlvs),
    st.builds(RouteMirroring, peers(), tlvs),
)
other_tlvs = st.lists(st.builds(IndexedTlv, shorts.filter(lambda kind: kind != 4), shorts, blobs), max_size=3)
version_4 = st.builds(
    lambda peer, found, update: RouteMonitoring(peer, update, (*found, IndexedTlv(4, 0, update))),
    peers(),
    other_tlvs,
    blobs,
)
