"""OPEN, NOTIFICATION, KEEPALIVE and ROUTE-REFRESH: golden octets, cuts, and what is refused."""

from __future__ import annotations

import pytest

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.capabilities import FourOctetAs, GracefulRestart, MultiprotocolCapability, OpaqueCapability
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.framing import UnansweredError
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import (
    Keepalive,
    Message,
    Notification,
    Open,
    RouteRefresh,
    Update,
    decode,
    decode_open,
    encode,
    encode_open,
)
from pybgp.wire.update_encoding import message_octets

from .samples import EBGP, session

MARKER = "ff" * 16
#: what BIRD 2 in calico/node offers.
BIRD = (
    MARKER + "0041 01 04 fdea 00f0 ac120005 24 02 22"
    " 010400010001 0200 0600 4006 0078 00010180 4104 0000fdea 4504 00010103 4600 4700"
)
GOLDEN: list[tuple[Message, str]] = [
    (Keepalive(), "0013 04"),
    (Notification(6, 7), "0015 03 06 07"),
    (Notification(2, 6, b"\0\x01"), "0017 03 02 06 0001"),
    (RouteRefresh(IPV4_UNICAST), "0017 05 0001 00 01"),
    (RouteRefresh(Family(2, 1), 1), "0017 05 0002 01 01"),
    (Open(65001, 90, 0x0A000001), "001d 01 04 fde9 005a 0a000001 00"),
    (
        Open(200000, 90, 0x0A000001, (MultiprotocolCapability(IPV4_UNICAST), FourOctetAs(200000))),
        "002b 01 04 5ba0 005a 0a000001 0e 02 0c 010400010001 4104 00030d40",
    ),
]
CAPABILITY_FIELD = bytes.fromhex("010400010001 4104 0000fde9")


def open_message(parameters: bytes, *, asn: int = 65001, hold_time: int = 90, router_id: int = 1) -> bytes:
    fixed = b"\x04" + asn.to_bytes(2, "big") + hold_time.to_bytes(2, "big") + router_id.to_bytes(4, "big")
    return message_octets(MessageType.OPEN, fixed + parameters)


def refused(octets: bytes) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        decode(octets, EBGP, AttributeStore())
    return caught.value


@pytest.mark.parametrize(("message", "octets"), GOLDEN, ids=lambda value: str(value)[:30])
def test_octets_of_each(message: Message, octets: str) -> None:
    wire = bytes.fromhex(MARKER + octets)
    assert encode(message) == wire
    assert decode(wire) == message


def test_the_open_of_a_calico_node() -> None:
    message = decode(bytes.fromhex(BIRD))
    assert isinstance(message, Open)
    assert (message.asn, message.hold_time) == (65002, 240)
    assert [capability.code for capability in message.capabilities] == [1, 2, 6, 64, 65, 69, 70, 71]
    assert GracefulRestart(restart_time=120, families=((IPV4_UNICAST, True),)) in message.capabilities


@pytest.mark.parametrize(("message", "octets"), GOLDEN, ids=lambda value: str(value)[:30])
def test_every_cut_is_refused(message: Message, octets: str) -> None:
    wire = bytes.fromhex(MARKER + octets)
    for cut in range(len(wire)):
        with pytest.raises(RemoteError) as caught:
            decode(wire[:cut])
        assert isinstance(caught.value, UnansweredError) == (isinstance(message, Notification) and cut >= 19)


@pytest.mark.parametrize(
    "parameters",
    [
        b"\x0e\x02\x0c" + CAPABILITY_FIELD,
        b"\x10\x02\x06" + CAPABILITY_FIELD[:6] + b"\x02\x06" + CAPABILITY_FIELD[6:],
        b"\xff\xff\x00\x0f\x02\x00\x0c" + CAPABILITY_FIELD,
        b"\x01\xff\x00\x0f\x02\x00\x0c" + CAPABILITY_FIELD,
        b"\xff\xff\x00\x12\x02\x00\x06" + CAPABILITY_FIELD[:6] + b"\x02\x00\x06" + CAPABILITY_FIELD[6:],
    ],
)
def test_every_way_to_write_the_same_capabilities(parameters: bytes) -> None:
    """RFC 5492 section 4, RFC 9072 section 2."""
    message = decode_open(open_message(parameters))
    assert message.capabilities == (MultiprotocolCapability(IPV4_UNICAST), FourOctetAs(65001))


def test_the_extended_form_is_sent_only_where_it_is_needed() -> None:
    capabilities = tuple(OpaqueCapability(99, bytes(25)) for _ in range(9))
    short = Open(65001, 90, 1, (*capabilities, OpaqueCapability(99, bytes(8))))
    long = Open(65001, 90, 1, (*capabilities, OpaqueCapability(99, bytes(9))))
    assert encode(short)[28] == 255
    assert encode(short)[29] == 2
    assert encode(long)[28:30] == b"\xff\xff"
    for message in (short, long):
        assert decode(encode(message)) == message
        assert decode(encode_open(message, extended=True)) == message
        assert encode_open(message, extended=True)[28:30] == b"\xff\xff"


def test_parameters_of_exactly_255_octets() -> None:
    message = Open(65001, 90, 1, (OpaqueCapability(99, bytes(249)),))
    assert encode(message)[28:30] == b"\xfd\x02"
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("octets", "subcode", "data"),
    [
        (open_message(b"\0").replace(b"\x01\x04", b"\x01\x03"), 1, b"\0\x04"),
        (open_message(b"\0", asn=0), 2, b""),
        (open_message(b"\x08\x02\x06\x41\x04\0\0\0\0"), 2, b""),
        (open_message(b"\0", router_id=0), 3, b""),
        (open_message(b"\x03\x01\x01\x00"), 4, b""),
        (open_message(b"\x06\x02\x00\xff\x02\x00\x00"), 4, b""),
        (open_message(b"\0", hold_time=1), 6, b"\0\x01"),
        (open_message(b"\0", hold_time=2), 6, b"\0\x02"),
        (open_message(b"\0\x02\x00"), 0, b""),
        (open_message(b"\x02\x02\x01"), 0, b""),
        (open_message(b"\x05\x02\x01\x01\x02\x00"), 0, b""),
        (open_message(b"\x04\x02\x02\x01\x04"), 0, b""),
        (open_message(b"\x05\x02\x03\x01\x00\x01"), 0, b""),
        (open_message(b"\xff\xff\x00\x05\x02\x00\x0c"), 0, b""),
        (open_message(b"\xff\xff\x00"), 0, b""),
        (open_message(b"\xff"), 0, b""),
    ],
)
def test_refused_opens(octets: bytes, subcode: int, data: bytes) -> None:
    error = refused(octets)
    assert (error.code, error.subcode, error.data) == (ErrorCode.OPEN_MESSAGE, subcode, data)


def test_our_own_contradictions_are_local_errors() -> None:
    for message in (
        Open(200000, 90, 1),
        Open(65001, 90, 1, (FourOctetAs(65002),)),
        Open(65001, 70000, 1),
        Open(65001, 90, 2**32),
        Open(65001, 90, 1, tuple(OpaqueCapability(99, bytes(200)) for _ in range(21))),
    ):
        with pytest.raises(LocalError):
            encode(message)


def test_shutdown_texts() -> None:
    notification = Notification.with_text(2, "maintenance until 14:00 – see you")
    assert notification.shutdown_text == "maintenance until 14:00 – see you"
    assert notification.data[0] == len(notification.data) - 1
    assert Notification.with_text(4, "").shutdown_text is None
    assert Notification.with_text(4, "").data == b""


@pytest.mark.parametrize("longest", [128, 255])
def test_a_long_text_is_cut_between_characters(longest: int) -> None:
    """RFC 9003 section 2; the CVE-2019-16159 class."""
    notification = Notification.with_text(2, "é" * 200, longest=longest)
    assert notification.shutdown_text == "é" * (longest // 2)
    assert len(notification.data) <= 1 + longest


@pytest.mark.parametrize("data", [b"", b"\x05abc", b"\x02abc", b"\x01\xff", b"\x02\xc3", b"\xff" * 300])
def test_a_malformed_text_is_no_text(data: bytes) -> None:
    assert Notification(6, 2, data).shutdown_text is None


def test_a_text_in_another_notification_is_none() -> None:
    assert Notification(6, 7, b"\x03abc").shutdown_text is None
    assert Notification(3, 2, b"\x03abc").shutdown_text is None


def test_a_hard_reset_wraps_the_reason() -> None:
    """RFC 8538 section 3."""
    inner = Notification.with_text(2, "bye")
    outer = Notification.hard_reset(inner)
    assert (outer.code, outer.subcode, outer.inner, outer.shutdown_text) == (6, 9, inner, "bye")
    assert inner.inner is None
    assert Notification(6, 9, b"\x06").inner is None
    assert Notification(6, 9, b"\x06").shutdown_text is None


def test_deep_hard_resets_do_not_recurse() -> None:
    assert Notification(6, 9, b"\x06\x09" * 3000).shutdown_text is None


def test_a_notification_is_cut_to_the_limit_of_the_peer() -> None:
    assert len(encode(Notification(6, 2, bytes(9000)))) == 4096
    assert len(encode(Notification(6, 2, bytes(9000)), session(send_limit=65535))) == 9021


def test_a_short_notification_is_not_answered() -> None:
    assert isinstance(refused(message_octets(MessageType.NOTIFICATION, b"\x06")), UnansweredError)


@pytest.mark.parametrize(
    ("body", "enhanced", "expected"),
    [
        ("0001 00 01", False, RouteRefresh(IPV4_UNICAST)),
        ("0001 07 01", False, RouteRefresh(IPV4_UNICAST, 7)),
        ("0001 ff 01 aabb", True, RouteRefresh(IPV4_UNICAST, 255, b"\xaa\xbb")),
        ("0001 01", True, (7, 1)),
        ("0001 02 01 00", True, (7, 1)),
        ("0001 00 01 00", True, (7, 1)),
        ("0001 01", False, (1, 2)),
        ("0001 00 01 00", False, (1, 2)),
        ("0001", True, (1, 2)),
        ("", True, (1, 2)),
        ("0001 01 01", True, RouteRefresh(IPV4_UNICAST, 1)),
    ],
)
def test_the_lengths_of_refreshes(body: str, enhanced: bool, expected: RouteRefresh | tuple[int, int]) -> None:
    """Spec section 4, the length order for type 5."""
    octets = message_octets(MessageType.ROUTE_REFRESH, bytes.fromhex(body))
    on = session(enhanced_refresh=enhanced)
    if isinstance(expected, RouteRefresh):
        assert decode(octets, on) == expected
        return
    with pytest.raises(RemoteError) as caught:
        decode(octets, on)
    assert (caught.value.code, caught.value.subcode) == expected
    assert caught.value.data == (octets if expected[0] == 7 else octets[16:18])


@pytest.mark.parametrize("octets", [b"", b"\xff" * 18, message_octets(MessageType.KEEPALIVE, b"\0")])
def test_octets_that_are_no_message(octets: bytes) -> None:
    assert (refused(octets).code, refused(octets).subcode) == (ErrorCode.MESSAGE_HEADER, 2)


@pytest.mark.parametrize(
    ("header", "subcode", "data"),
    [
        ("00" * 16 + "0013" + "04", 1, b""),
        ("ff" * 15 + "fe0013" + "04", 1, b""),
        ("ff" * 16 + "0012" + "04", 2, b"\x00\x12"),
        ("ff" * 16 + "0014" + "04", 2, b"\x00\x14"),
        ("ff" * 16 + "0000" + "09", 2, b"\x00\x00"),
    ],
)
def test_the_header_of_a_message_alone_is_checked(header: str, subcode: int, data: bytes) -> None:
    error = refused(bytes.fromhex(header))
    assert (error.code, error.subcode, error.data) == (ErrorCode.MESSAGE_HEADER, subcode, data)


def test_an_unknown_type() -> None:
    octets = message_octets(6, b"")  # type: ignore[arg-type]  # the type is not assigned
    assert (refused(octets).subcode, refused(octets).data) == (3, b"\x06")


def test_an_update_needs_a_session() -> None:
    with pytest.raises(LocalError):
        decode(message_octets(MessageType.UPDATE, bytes(4)))
    with pytest.raises(LocalError):
        encode(Update())


def test_a_refresh_with_too_long_a_filter() -> None:
    with pytest.raises(LocalError):
        encode(RouteRefresh(IPV4_UNICAST, 0, bytes(5000)))
