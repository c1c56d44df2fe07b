"""The BFD control packet: golden octets, round trips, every discard rule that needs no session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.bfd import packets
from pybgp.bfd.packet import (
    Authentication,
    AuthenticationType,
    ControlPacket,
    Discard,
    DiscardError,
    SessionState,
    decode,
    encode,
)
from pybgp.errors import LocalError

#: BIRD 2.0.12 in Up towards FRR's bfdd, as both print it: 100 ms, 10 ms, mult 5.
UP = bytes.fromhex("20c00518 11223344 55667788 000186a0 00002710 00000000")
SHA1_SECTION = bytes.fromhex("051c0700 00000010") + bytes(range(20))


def test_a_packet_in_up() -> None:
    packet = ControlPacket(SessionState.UP, 5, 0x11223344, 0x55667788, 100_000, 10_000)
    assert decode(UP) == packet
    assert encode(packet) == UP


def test_every_flag_has_its_bit() -> None:
    octets = bytes.fromhex("23fc0334 00000001 00000002 00000003 00000004 00000005") + SHA1_SECTION
    packet = decode(octets[:3] + b"\x34" + octets[4:])
    assert (packet.poll, packet.final, packet.independent, packet.demand) == (True, True, True, False)
    assert (packet.diagnostic, packet.required_min_echo_rx) == (3, 5)
    assert packet.authentication == Authentication(
        AuthenticationType.METICULOUS_SHA1, 7, bytes(range(20)), 0x10)  # fmt: skip
    assert encode(packet) == octets


def test_what_stands_behind_the_announced_length_is_ignored() -> None:
    assert decode(UP + b"trailer") == decode(UP)


@pytest.mark.parametrize(
    ("place", "octet", "rule"),
    [
        (0, 0x00, Discard.VERSION),
        (0, 0x40, Discard.VERSION),
        (3, 23, Discard.LENGTH),
        (3, 25, Discard.LENGTH),
        (1, 0xC4, Discard.LENGTH),
        (2, 0, Discard.MULTIPLIER),
        (1, 0xC1, Discard.MULTIPOINT),
    ],
)
def test_one_octet_breaks_one_rule(place: int, octet: int, rule: Discard) -> None:
    broken = bytearray(UP)
    broken[place] = octet
    with pytest.raises(DiscardError) as caught:
        decode(bytes(broken))
    assert caught.value.rule is rule


def test_my_discriminator_must_be_there() -> None:
    with pytest.raises(DiscardError, match="my discriminator") as caught:
        decode(UP[:4] + bytes(4) + UP[8:])
    assert caught.value.rule is Discard.MY_DISCRIMINATOR


@pytest.mark.parametrize("state", SessionState)
def test_without_your_discriminator_only_the_lower_states_pass(state: SessionState) -> None:
    octets = UP[:1] + bytes([state << 6]) + UP[2:8] + bytes(4) + UP[12:]
    if state <= SessionState.DOWN:
        assert decode(octets).state is state
    else:
        with pytest.raises(DiscardError) as caught:
            decode(octets)
        assert caught.value.rule is Discard.STATE


def test_rules_are_judged_in_the_order_of_the_text() -> None:
    """Version, length, multiplier, multipoint, my discriminator, your discriminator: mend them one by one."""
    octets = bytearray(bytes.fromhex("00c10017") + bytes(20))
    rules = []
    for place, mended in ((0, b"\x20"), (3, b"\x18"), (2, b"\x03"), (1, b"\xc0"), (4, b"\0\0\0\1"), (8, b"\0\0\0\2")):
        with pytest.raises(DiscardError) as caught:
            decode(bytes(octets))
        rules.append(caught.value.rule)
        octets[place : place + len(mended)] = mended
    decode(bytes(octets))
    assert rules == [
        Discard.VERSION,
        Discard.LENGTH,
        Discard.MULTIPLIER,
        Discard.MULTIPOINT,
        Discard.MY_DISCRIMINATOR,
        Discard.STATE,
    ]


@pytest.mark.parametrize(
    "section",
    ["0104", "010307", "01140701", "02170700", "031c0700", "051b0700", "0603ff", "000299"],
    ids=["length", "empty password", "long password", "short MD5", "MD5 of SHA1's", "short SHA1", "type 6", "type 0"],
)
def test_a_section_that_no_type_has(section: str) -> None:
    octets = bytes.fromhex(section).ljust(max(2, bytes.fromhex(section)[1]), b"\0")
    octets = octets + b"\0" if section == "0104" else octets
    broken = UP[:1] + b"\xc4" + UP[2:3] + bytes([24 + len(octets)]) + UP[4:] + octets
    with pytest.raises(DiscardError) as caught:
        decode(broken)
    assert caught.value.rule is Discard.AUTHENTICATION


@given(packets)
def test_round_trip(packet: ControlPacket) -> None:
    assert decode(encode(packet)) == packet


@given(packets, st.data())
def test_no_prefix_of_a_packet_is_one(packet: ControlPacket, data: st.DataObject) -> None:
    octets = encode(packet)
    with pytest.raises(DiscardError):
        decode(octets[: data.draw(st.integers(0, len(octets) - 1))])


def test_a_value_that_fits_no_field_is_refused() -> None:
    with pytest.raises(LocalError, match="BFD packet"):
        encode(ControlPacket(SessionState.UP, 3, 1, 2, 2**32, 0))
