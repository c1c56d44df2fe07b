from __future__ import annotations

import pytest

from pybgp.errors import FormatError
from pybgp.formats.bmp import (
    BmpFramer,
    IndexedTlv,
    Initiation,
    PeerDown,
    PeerHeader,
    PeerUp,
    RouteMonitoring,
    encode,
)
from pybgp.formats.bmp_station import Station, decode_monitored, session_of
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.capabilities import (
    AddPath,
    FourOctetAs,
    MultiprotocolCapability,
    OpaqueCapability,
    encode_capability,
)
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import AddPathMode, Origin
from pybgp.wire.messages import Open, encode_updates
from pybgp.wire.messages import encode as encode_bgp
from pybgp.wire.negotiated import Negotiated

KEY = bytes([24, 203, 0, 113])
ID_KEY = bytes([0, 0, 0, 9]) + KEY
ROUTE = Attributes.build({1: Origin.IGP, 2: AsPath.sequence(65001), 5: 200}, bytes([192, 0, 2, 1]))
PEER = PeerHeader(0, 0, bytes(8), bytes([192, 0, 2, 1]), 65001, 0x0A000001)
RECEIVE = AddPath(((IPV4_UNICAST, AddPathMode.RECEIVE),))
SEND = AddPath(((IPV4_UNICAST, AddPathMode.SEND),))


def open_of(asn: int, *extra: AddPath) -> bytes:
    return encode_bgp(Open(asn, 90, asn, (MultiprotocolCapability(IPV4_UNICAST), FourOctetAs(asn), *extra)))


def peer_up(peer: PeerHeader, *ours: AddPath, theirs: tuple[AddPath, ...] = ()) -> PeerUp:
    return PeerUp(peer, bytes([192, 0, 2, 2]), 179, 40000, open_of(65000, *ours), open_of(65001, *theirs))


def route(peer: PeerHeader, key: bytes = KEY, *, asn4: bool = True) -> RouteMonitoring:
    (octets,) = encode_updates(IPV4_UNICAST, [key], ROUTE, Negotiated(65000, 65001, 1, 2, asn4=asn4))
    return RouteMonitoring(peer, octets)


def keys_heard(station: Station, message: RouteMonitoring) -> list[bytes]:
    update = station.hear(message).update
    assert update is not None
    assert not update.withdrawn
    return [key for item in update.announced for key in item.keys]


def test_a_stream_becomes_updates() -> None:
    octets = b"".join(map(encode, (Initiation(()), peer_up(PEER), route(PEER), PeerDown(PEER, 4))))
    station = Station()
    heard = [item for octet in octets for item in station.receive_data(bytes([octet]))]
    assert [type(item.message).__name__ for item in heard] == ["Initiation", "PeerUp", "RouteMonitoring", "PeerDown"]
    update = heard[2].update
    assert update is not None
    assert update.announced[0].keys == [KEY]
    assert not station.sessions


@pytest.mark.parametrize("flags", [0, 0x40])
def test_path_identifiers_come_in_as_negotiated(flags: int) -> None:
    station = Station()
    station.hear(peer_up(PEER, RECEIVE, theirs=(SEND,)))
    assert keys_heard(station, route(PEER._replace(flags=flags), ID_KEY)) == [ID_KEY]


def test_what_goes_out_is_read_as_the_peer_reads_it() -> None:
    station = Station()
    station.hear(peer_up(PEER, SEND, theirs=(RECEIVE,)))
    assert keys_heard(station, route(PEER)) == [KEY]
    assert keys_heard(station, route(PEER._replace(flags=0x10), ID_KEY)) == [ID_KEY]


def test_a_loc_rib_repeats_its_open() -> None:
    table = PEER._replace(kind=3, address=bytes(4))
    station = Station()
    up = peer_up(table, SEND)._replace(received_open=open_of(65000, SEND))
    assert station.hear(up).error is None
    assert keys_heard(station, route(table, ID_KEY)) == [ID_KEY]


def test_the_header_says_how_long_as_numbers_are() -> None:
    station = Station()
    station.hear(peer_up(PEER))
    old = PEER._replace(flags=0x20)
    assert keys_heard(station, route(old, asn4=False)) == [KEY]


def test_version_4_brings_its_own_capabilities() -> None:
    message = route(PEER, ID_KEY)
    tlvs = (IndexedTlv(1, 0, encode_capability(SEND)), IndexedTlv(4, 0, message.update))
    assert keys_heard(Station(), message._replace(tlvs=tlvs)) == [ID_KEY]
    broken = message._replace(tlvs=(IndexedTlv(1, 0, b"\x45"), IndexedTlv(4, 0, message.update)))
    assert "stateless parsing" in str(Station().hear(broken).error)


def test_without_a_peer_up_the_update_is_read_all_the_same() -> None:
    assert keys_heard(Station(), route(PEER)) == [KEY]


def test_an_update_that_cannot_be_read_does_not_end_the_stream() -> None:
    station = Station()
    message = route(PEER)
    heard = station.hear(message._replace(update=message.update[:-1] + b"\x63"))
    assert heard.update is not None
    broken = station.hear(message._replace(update=message.update[:-4] + b"\x63" + message.update[-3:]))
    assert (broken.update, type(broken.error)) == (None, FormatError)
    assert "prefix of 99 bits" in str(broken.error)
    assert keys_heard(station, message) == [KEY]


@pytest.mark.parametrize("length", [0, 18, 22, 30])
def test_an_update_ends_where_its_message_ends(length: int) -> None:
    message = route(PEER)
    with pytest.raises(FormatError, match="monitored UPDATE says"):
        decode_monitored(message._replace(update=message.update[:length]), None, AttributeStore())


def test_an_open_that_cannot_be_read_is_reported() -> None:
    up = peer_up(PEER)
    no_as = up.sent_open[:20] + b"\0\0" + up.sent_open[22:]
    with pytest.raises(FormatError, match="OPENs of a Peer Up"):
        session_of(up._replace(sent_open=no_as))
    station = Station()
    assert station.hear(up._replace(sent_open=no_as)).error is not None
    assert keys_heard(station, route(PEER)) == [KEY]


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST], ids=str)
def test_a_route_of_the_router_itself_has_a_next_hop_of_zero(family: Family) -> None:
    hop = bytes(4 if family == IPV4_UNICAST else 16)
    key = KEY if family == IPV4_UNICAST else bytes([16, 0x20, 1])
    (octets,) = encode_updates(family, [key], ROUTE.replace(next_hop=hop), Negotiated(65000, 65001, 1, 2))
    update = Station().hear(RouteMonitoring(PEER._replace(kind=3), octets)).update
    assert update is not None
    assert [list(item.keys) for item in update.announced] == [[key]]
    assert update.attributes is not None
    assert update.attributes.next_hop == hop


def test_a_role_on_both_sides_of_a_loc_rib_is_no_mismatch() -> None:
    role = OpaqueCapability(9, b"\0")
    made_up = encode_bgp(Open(65000, 90, 1, (FourOctetAs(65000), role)))
    up = peer_up(PEER._replace(kind=3))._replace(sent_open=made_up, received_open=made_up)
    assert session_of(up).asn4


def test_a_stream_that_is_no_bmp_ends() -> None:
    with pytest.raises(FormatError, match="version 72"):
        Station(framer=BmpFramer(100), store=AttributeStore()).receive_data(b"HTTP/1.1 200 OK")
