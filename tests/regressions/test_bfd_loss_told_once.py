"""Found by the bfd fuzz target: a loss noticed when a periodic packet was due was told twice in one moment."""

from __future__ import annotations

from pybgp.bfd.config import BfdConfig
from pybgp.bfd.packet import ControlPacket, SessionState, decode, encode
from pybgp.bfd.session import Session


def test_a_loss_is_told_by_one_packet() -> None:
    session = Session(BfdConfig(), 1, random=lambda: 0.0)
    session.start(0.0)
    down = ControlPacket(
        state=SessionState.DOWN,
        multiplier=1,
        my_discriminator=1,
        your_discriminator=0,
        desired_min_tx=0,
        required_min_rx=1,
        required_min_echo_rx=0,
    )
    octets = encode(down)
    session.receive(octets, decode(octets), 1.0)
    session.packets_to_send()
    session.handle_timer(2.0)
    assert [decode(packet).state for packet in session.packets_to_send()] == [SessionState.DOWN]
