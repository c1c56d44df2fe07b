"""Signing and checking: digests, and the sequence numbers that may follow one another (RFC 5880 section 6.7)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.bfd.authentication import Authenticator
from pybgp.bfd.config import AuthenticationKey, BfdConfig
from pybgp.bfd.packet import AuthenticationType, Discard, DiscardError, decode
from pybgp.errors import LocalError
from tests.pybgp.bfd.bfd_examples import Link, packet

KEYS = [AuthenticationKey(kind, 7, b"a secret") for kind in AuthenticationType]
DIGESTS = [key for key in KEYS if key.type is not AuthenticationType.SIMPLE_PASSWORD]
METICULOUS = [key for key in DIGESTS if key.type.name.startswith("METICULOUS")]


def accepts(receiver: Authenticator, octets: bytes) -> bool:
    try:
        receiver.verify(octets, decode(octets))
    except DiscardError as error:
        assert error.rule is Discard.AUTHENTICATION
        return False
    return True


def test_the_digest_is_over_the_packet_with_the_key_in_its_place() -> None:
    octets = Authenticator(DIGESTS[2], 41).sign(packet())
    assert octets[24:32] == bytes.fromhex("041c0700 0000002a")
    assert octets[32:] == hashlib.sha1(octets[:32] + b"a secret" + bytes(12)).digest()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.type.name)
def test_what_one_signs_the_other_accepts_and_no_octet_may_differ(key: AuthenticationKey) -> None:
    octets = Authenticator(key, 10).sign(packet())
    assert accepts(Authenticator(key, 99), octets)
    assert not accepts(Authenticator(replace(key, secret=b"another"), 99), octets)
    assert not accepts(Authenticator(replace(key, key_id=8), 99), octets)
    start = 24 + 3 if key.type is AuthenticationType.SIMPLE_PASSWORD else 4
    for place in range(start, len(octets)):
        damaged = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        try:
            is_accepted = accepts(Authenticator(key, 99), damaged)
        except DiscardError:
            is_accepted = False
        assert not is_accepted, place


@pytest.mark.parametrize("key", DIGESTS, ids=lambda key: key.type.name)
def test_the_window_of_sequence_numbers(key: AuthenticationKey) -> None:
    """From the last one (meticulous: the one after it) to three times the multiplier further."""
    lowest = 1 if key in METICULOUS else 0
    for last in (5, 0xFFFFFFFC):
        for step in range(-2, 12):
            receiver = Authenticator(key, 0)
            assert accepts(receiver, Authenticator(key, last - 1).sign(packet()))
            wanted = lowest <= step <= 9
            assert accepts(receiver, Authenticator(key, (last + step - 1) & 0xFFFFFFFF).sign(packet())) is wanted


def test_a_forged_packet_teaches_no_sequence_number() -> None:
    receiver = Authenticator(DIGESTS[0], 0)
    assert not accepts(receiver, Authenticator(replace(DIGESTS[0], secret=b"forged"), 500).sign(packet()))
    assert accepts(receiver, Authenticator(DIGESTS[0], 4).sign(packet()))


@pytest.mark.parametrize("key", DIGESTS, ids=lambda key: key.type.name)
def test_how_our_own_numbers_grow(key: AuthenticationKey) -> None:
    sender = Authenticator(key, 0xFFFFFFFE)
    sections = [decode(sender.sign(each)).authentication for each in (packet(), packet(), packet(poll=True))]
    numbers = [section.sequence for section in sections if section is not None]
    assert numbers == ([0xFFFFFFFF, 0, 1] if key in METICULOUS else [0xFFFFFFFF, 0xFFFFFFFF, 0])


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.type.name)
@given(seed=st.integers(0, 1000))
def test_sessions_with_a_key_come_up_and_return_after_a_silence(key: AuthenticationKey, seed: int) -> None:
    link = Link(BfdConfig(authentication=key), BfdConfig(authentication=key), seed)
    link.start()
    link.run(4.0)
    assert link.states == (3, 3)
    link.is_cut = [True, True]
    link.run(60.0)
    assert link.states == (1, 1)
    link.is_cut = [False, False]
    link.run(5.0)
    assert link.states == (3, 3)
    assert [end.discarded for end in link.ends] == [{}, {}]


@pytest.mark.parametrize("length", [0, 17])
def test_a_secret_has_to_fit(length: int) -> None:
    with pytest.raises(LocalError, match=f"secret of {length} octets: 1 to 16 expected"):
        AuthenticationKey(AuthenticationType.KEYED_MD5, 1, b"x" * length)
    with pytest.raises(LocalError, match="key_id 256"):
        AuthenticationKey(AuthenticationType.KEYED_MD5, 256, b"x")
