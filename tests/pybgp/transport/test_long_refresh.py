"""A peer begins another refresh while what the last one left out is still being withdrawn in slices (RFC 7313)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, Change, Speaker, SpeakerConfig
from pybgp.testing import FakePeer, MemoryNetwork, run_in_virtual_time
from pybgp.transport import long_work
from pybgp.wire.iana import RefreshSubtype
from pybgp.wire.messages import RouteRefresh, encode

from .test_speaker import until

PREFIXES = [f"10.0.{number}.0/24" for number in range(20)]
STAYING = PREFIXES[8:12]
LEAVING = sorted(set(PREFIXES) - set(STAYING))
BEGIN, END = (encode(RouteRefresh(IPV4_UNICAST, kind)) for kind in (RefreshSubtype.BEGIN, RefreshSubtype.END))


def test_a_second_refresh_takes_nothing_for_left_out_by_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "SWEEP_SLICE", 2)
    withdrawn: list[str] = []

    def note(changes: Sequence[Change]) -> None:
        withdrawn.extend(prefix for change in changes if change.path is None for prefix in change.prefixes)

    async def scenario() -> None:
        network = MemoryNetwork()
        speaker = Speaker(SpeakerConfig(64512, "10.0.0.1", import_policy=ACCEPT_ALL), make_peer=network.make_peer)
        speaker.on_change(note)
        async with FakePeer(64513, remote_as=64512, network=network) as peer:
            speaker.configure({"peer": speaker.peer(peer.address, 64513)})
            async with speaker:
                await peer.established()
                peer.announce(PREFIXES)
                peer.send(BEGIN)
                peer.announce(STAYING)
                peer.send(END + BEGIN)
                await until(lambda: len(withdrawn) >= len(LEAVING))
                assert sorted(withdrawn) == LEAVING
                peer.announce(STAYING[1:])
                peer.send(END)
                await until(lambda: len(withdrawn) > len(LEAVING))
                assert sorted(withdrawn) == sorted([*LEAVING, STAYING[0]])

    run_in_virtual_time(scenario())
