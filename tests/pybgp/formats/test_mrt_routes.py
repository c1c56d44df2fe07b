from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.strategies import attributes
from pybgp.errors import FormatError, RemoteError
from pybgp.formats.mrt import BgpMessage, Ends
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp, encode_attributes
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import Origin
from pybgp.wire.messages import Keepalive, Update, encode, encode_updates
from pybgp.wire.negotiated import Negotiated

ENDS = Ends(65001, 65000, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
ROUTE = Attributes.build({1: Origin.IGP, 2: AsPath.sequence(65001, 4_200_000_000)}, bytes([192, 0, 2, 1]))
KEY = bytes([24, 203, 0, 113])


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST], ids=str)
@given(data=st.data())
def test_attributes_of_a_table_route_come_back(family: Family, data: st.DataObject) -> None:
    made = data.draw(attributes(family))
    found = decode_attributes(encode_attributes(made, family), AttributeStore())
    assert (found.attributes.block, found.attributes.next_hop) == (made.block, made.next_hop)
    assert not found.faults


def test_the_next_hop_stands_in_a_short_mp_reach() -> None:
    made = ROUTE.replace(next_hop=bytes(15) + b"\x05")
    octets = encode_attributes(made, IPV6_UNICAST)
    assert octets.startswith(bytes.fromhex("800e1110") + made.next_hop)
    full = bytes.fromhex("800e15") + b"\0\x02\x01\x10" + made.next_hop + b"\0" + octets[20:]
    for form in (octets, full):
        assert decode_attributes(form, AttributeStore()).attributes.next_hop == made.next_hop


@pytest.mark.parametrize("value", ["", "10", "0002011000", "05aabb"])
def test_a_next_hop_that_is_cut_off_is_refused(value: str) -> None:
    octets = bytes([0x80, 14, len(value) // 2]) + bytes.fromhex(value)
    with pytest.raises(FormatError, match="holds no next hop"):
        decode_attributes(octets, AttributeStore())


def test_repeated_attributes_keep_the_wire_error_as_cause() -> None:
    octets = bytes.fromhex("800e0504c0000201") * 2
    with pytest.raises(FormatError) as caught:
        decode_attributes(octets, AttributeStore())
    assert isinstance(caught.value.__cause__, RemoteError)


def test_what_is_malformed_is_reported_beside_what_is_not() -> None:
    found = decode_attributes(ROUTE.encoded(asn4=True, classic_next_hop=True) + b"\x80\x04\x01\x07", AttributeStore())
    assert found.attributes.block == ROUTE.block
    assert [fault.code for fault in found.faults] == [4]


@pytest.mark.parametrize("asn4", [False, True])
@pytest.mark.parametrize("add_path", [False, True])
def test_the_record_says_how_its_message_is_to_be_read(asn4: bool, add_path: bool) -> None:
    session = Negotiated(65001, 65000, 1, 2, asn4=asn4)
    key = bytes(3) + b"\x09" + KEY if add_path else KEY
    (octets,) = encode_updates(IPV4_UNICAST, [key], ROUTE, session)
    update = decode_bgp(BgpMessage(ENDS, octets, asn4, add_path=add_path), AttributeStore())
    assert isinstance(update, Update)
    assert list(update.announced[0].keys) == [key]
    assert update.attributes is not None
    assert update.attributes.block == ROUTE.block


def test_a_message_ends_where_its_record_ends() -> None:
    octets = encode(Keepalive())
    assert decode_bgp(BgpMessage(ENDS, octets), AttributeStore()) == Keepalive()
    for wrong in (*(octets[:length] for length in range(len(octets))), octets + b"\0"):
        with pytest.raises(FormatError, match="the record holds"):
            decode_bgp(BgpMessage(ENDS, wrong), AttributeStore())
    with pytest.raises(FormatError, match="message type 9"):
        decode_bgp(BgpMessage(ENDS, octets[:18] + b"\x09"), AttributeStore())
