"""Any octets as a BFD packet for a session: discarded by a named rule, or taken; nothing raises, answers are valid."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.strategies import any_octets, longs, octets
from fuzz.target import Target
from pybgp.bfd.config import AuthenticationKey, BfdConfig
from pybgp.bfd.packet import (
    DIGEST_LENGTHS,
    Authentication,
    AuthenticationType,
    ControlPacket,
    DiscardError,
    SessionState,
    decode,
    encode,
)
from pybgp.bfd.session_table import Place, Remote, SessionTable

PLACE, REMOTE = Place("192.0.2.1"), Remote("192.0.2.2")
KEY = AuthenticationKey(AuthenticationType.KEYED_SHA1, 1, b"secret")

_digests = st.sampled_from(sorted(DIGEST_LENGTHS)).flatmap(
    lambda kind: st.builds(
        Authentication,
        st.just(kind),
        octets,
        st.binary(min_size=DIGEST_LENGTHS[kind], max_size=DIGEST_LENGTHS[kind]),
        longs,
    )
)
_passwords = st.builds(
    Authentication, st.just(AuthenticationType.SIMPLE_PASSWORD), octets, st.binary(min_size=1, max_size=16)
)
packets = st.builds(
    ControlPacket,
    state=st.sampled_from(SessionState),
    multiplier=st.integers(1, 255),
    my_discriminator=st.integers(1, 0xFFFFFFFF),
    your_discriminator=longs,
    desired_min_tx=longs,
    required_min_rx=longs,
    required_min_echo_rx=longs,
    diagnostic=st.integers(0, 31),
    poll=st.booleans(),
    final=st.booleans(),
    independent=st.booleans(),
    demand=st.booleans(),
    authentication=st.none() | _digests | _passwords,
).filter(lambda packet: packet.your_discriminator or packet.state <= SessionState.DOWN)


def check(data: bytes) -> None:
    try:
        packet = decode(data)
    except DiscardError:
        packet = None
    else:
        assert decode(encode(packet)) == packet
    for key in (None, KEY):
        table = SessionTable(new_number=lambda _: 1)
        session = table.add(BfdConfig(authentication=key), PLACE, REMOTE)
        session.start(0.0)
        session.packets_to_send()
        table.receive(data, PLACE, REMOTE, 255, 1.0)
        assert session.received + sum(session.discarded.values()) + sum(table.discarded.values()) == 1
        session.handle_timer(2.0)
        answers = [decode(answer) for answer in session.packets_to_send()]
        assert len(answers) <= 3
        assert not any(answer.poll and answer.final for answer in answers)
        if packet is None or (packet.authentication is None) != (key is None):
            assert session.received == 0


TARGET = Target("bfd", any_octets(packets.map(encode)), check)
