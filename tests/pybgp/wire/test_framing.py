"""Framing: header checks as soon as a header is in, limits by direction, any split of the stream."""

from __future__ import annotations

import contextlib
import sys

import pytest

from pybgp.errors import ErrorCode, RemoteError
from pybgp.wire.framing import Framer, UnansweredError
from pybgp.wire.iana import MARKER, MessageType
from pybgp.wire.messages import Keepalive, encode
from pybgp.wire.update_encoding import message_octets

KEEPALIVE = encode(Keepalive())


def header(length: int, kind: int, marker: bytes = MARKER) -> bytes:
    return marker + length.to_bytes(2, "big") + bytes([kind])


def first_error(octets: bytes, limit: int = 4096) -> RemoteError:
    framer = Framer(limit)
    framer.feed(octets)
    with pytest.raises(RemoteError) as caught:
        framer.next_message()
    return caught.value


def test_many_messages_in_one_read() -> None:
    framer = Framer()
    framer.feed(KEEPALIVE * 3 + KEEPALIVE[:5])
    assert [framer.next_message() for _ in range(4)] == [KEEPALIVE] * 3 + [None]
    framer.feed(KEEPALIVE[5:])
    assert framer.next_message() == KEEPALIVE
    assert framer.next_message() is None


def test_a_message_octet_by_octet() -> None:
    framer = Framer()
    update = message_octets(MessageType.UPDATE, bytes(300))
    for octet in update[:-1]:
        framer.feed(bytes([octet]))
        assert framer.next_message() is None
    framer.feed(memoryview(update)[-1:])
    assert framer.next_message() == update


@pytest.mark.parametrize("place", range(16))
def test_a_wrong_marker(place: int) -> None:
    marker = bytearray(MARKER)
    marker[place] = 0xFE
    error = first_error(header(19, 4, bytes(marker)))
    assert (error.code, error.subcode, error.data) == (ErrorCode.MESSAGE_HEADER, 1, b"")


@pytest.mark.parametrize(
    ("length", "kind"),
    [(18, 4), (20, 4), (0, 1), (28, 1), (22, 2), (4097, 2), (65535, 2), (18, 5), (4097, 5), (4097, 1)],
)
def test_a_wrong_length(length: int, kind: int) -> None:
    error = first_error(header(length, kind))
    assert (error.code, error.subcode, error.data) == (ErrorCode.MESSAGE_HEADER, 2, length.to_bytes(2, "big"))
    assert not isinstance(error, UnansweredError)


@pytest.mark.parametrize("length", [0, 20, 4097])
def test_a_notification_of_wrong_length_is_not_answered(length: int) -> None:
    assert isinstance(first_error(header(length, 3)), UnansweredError)


@pytest.mark.parametrize("kind", [0, 6, 7, 255])
def test_an_unknown_type(kind: int) -> None:
    error = first_error(header(19, kind))
    assert (error.code, error.subcode, error.data) == (ErrorCode.MESSAGE_HEADER, 3, bytes([kind]))


def test_length_zero_of_an_unknown_type_is_no_endless_row_of_messages() -> None:
    assert first_error(header(0, 0)).subcode == 2


@pytest.mark.parametrize(("kind", "allowed"), [(1, False), (2, True), (3, True), (4, False), (5, True)])
def test_the_extended_limit_is_for_three_types(kind: int, allowed: bool) -> None:
    framer = Framer(65535)
    framer.feed(header(5000, kind))
    if allowed:
        assert framer.next_message() is None
        framer.feed(bytes(5000 - 19))
        assert len(framer.next_message() or b"") == 5000
    else:
        with pytest.raises(RemoteError):
            framer.next_message()


def test_exactly_the_limit() -> None:
    for limit in (4096, 65535):
        framer = Framer(limit)
        framer.feed(message_octets(MessageType.UPDATE, bytes(limit - 19)))
        assert len(framer.next_message() or b"") == limit
    assert first_error(header(4097, 2), 4096).subcode == 2


def test_the_limit_rises_between_two_messages() -> None:
    framer = Framer()
    long_update = message_octets(MessageType.UPDATE, bytes(5000))
    framer.feed(KEEPALIVE + long_update)
    assert framer.next_message() == KEEPALIVE
    framer.receive_limit = 65535
    assert framer.next_message() == long_update


def test_the_error_comes_with_the_header_and_nothing_after_it_is_read() -> None:
    framer = Framer()
    framer.feed(KEEPALIVE + header(19, 9) + KEEPALIVE)
    assert framer.next_message() == KEEPALIVE
    for _ in range(2):
        with pytest.raises(RemoteError):
            framer.next_message()


def test_short_refreshes_pass_for_their_own_rules() -> None:
    framer = Framer()
    framer.feed(header(21, 5) + b"\0\1")
    assert len(framer.next_message() or b"") == 21


def test_feeding_octets_one_by_one_costs_linear_time() -> None:
    """A long message in single octets joins its chunks once, not once per octet."""
    framer = Framer(65535)
    framer.feed(header(65535, 2))
    assert framer.next_message() is None
    buffers = set()
    for _ in range(2000):
        framer.feed(b"\0")
        assert framer.next_message() is None
        buffers.add(id(framer._buffer))
    assert len(buffers) == 1


def test_an_error_keeps_nothing_alive() -> None:
    """It is raised each time, and refers to the frames that it came through, and so to the framer."""
    framer = Framer()
    framer.feed(bytes(19))
    before = sys.getrefcount(framer)
    for _ in range(2):
        with contextlib.suppress(RemoteError):
            raise AssertionError(framer.next_message())
    assert sys.getrefcount(framer) == before
