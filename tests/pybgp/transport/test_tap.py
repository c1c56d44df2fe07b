"""Recording live sessions of a speaker, and replaying them."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

from fuzz.session import in_words
from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker, SpeakerConfig
from pybgp.formats.mrt import Ends
from pybgp.session.events import Event, SessionDown, SessionUp, UpdateReceived
from pybgp.tools.recorder import JsonRecorder, MrtRecorder
from pybgp.tools.recording import What, read_json, read_mrt
from pybgp.tools.replayer import Replayer, config_of, first_open
from pybgp.transport.tap import Tap
from tests.pybgp.transport.test_speaker import free_port, until

HERE, THERE = "127.0.1.71", "127.0.1.72"


class Both:
    """Two recorders at once."""

    def __init__(self, ends: Ends, json_file: io.StringIO, mrt_file: io.BytesIO) -> None:
        self.taps = (JsonRecorder(json_file, ends, time.time), MrtRecorder(mrt_file, ends, time.time))

    def received(self, octets: bytes) -> None:
        for tap in self.taps:
            tap.received(octets)

    def sent(self, octets: bytes) -> None:
        for tap in self.taps:
            tap.sent(octets)

    def ended(self) -> None:
        for tap in self.taps:
            tap.ended()


class Full:
    """A recorder whose disk is full."""

    calls = 0

    def received(self, octets: bytes) -> None:
        Full.calls += 1
        raise OSError(28, "No space left on device")

    sent = received

    def ended(self) -> None:
        raise AssertionError("dropped at the first failure")


def speakers() -> tuple[Speaker, Speaker]:
    policies = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
    port = free_port()
    ours = Speaker(SpeakerConfig(64512, "10.0.0.71", listen=((HERE, port),), next_hops=("10.0.0.71",), **policies))
    theirs = Speaker(SpeakerConfig(64513, "10.0.0.72", next_hops=("10.0.0.72",), **policies))
    ours.configure({"other": ours.peer(THERE, 64513, passive=True, local_address=HERE, port=port)})
    theirs.configure({"ours": theirs.peer(HERE, 64512, local_address=THERE, port=port, connect_retry_time=0.3)})
    return ours, theirs


def test_a_live_session_is_recorded_and_happens_again() -> None:
    json_file, mrt_file = io.StringIO(), io.BytesIO()
    events: list[Event] = []

    async def scenario() -> None:
        ours, theirs = speakers()
        ours.record("other", lambda ends: Both(ends, json_file, mrt_file))
        ours.on_event(lambda name, peer, event: events.append(event))
        ours.announce("203.0.113.0/24")
        theirs.announce("198.51.100.0/24")
        async with ours:
            async with theirs:
                await until(lambda: len(ours.best(IPV4_UNICAST)) == len(theirs.best(IPV4_UNICAST)) == 2)
            await until(lambda: any(isinstance(event, SessionDown) for event in events))

    asyncio.run(scenario())
    json_file.seek(0)
    mrt_file.seek(0)
    for recording in (read_json(json_file), read_mrt(mrt_file)):
        assert recording.ends == Ends(64513, 64512, bytes([127, 0, 1, 72]), bytes([127, 0, 1, 71]))
        moments = list(recording.moments)
        config = config_of(recording.ends, first_open(moments, What.SENT))
        replayed = [event for step in Replayer(config).run(moments) for event in step.events]
        assert seen(replayed) == seen(events)
        assert len(seen(events)) >= 3


def seen(events: list[Event]) -> list[str]:
    return [in_words(event) for event in events if isinstance(event, SessionUp | SessionDown | UpdateReceived)]


def test_a_recorder_that_fails_costs_nothing_but_itself() -> None:
    async def scenario() -> None:
        ours, theirs = speakers()
        ours.record("other", lambda ends: Full())
        theirs.announce("198.51.100.0/24")
        async with ours, theirs:
            await until(lambda: len(ours.best(IPV4_UNICAST)) == 1)

    asyncio.run(scenario())
    assert Full.calls == 1


def test_a_recorder_is_a_tap(tmp_path: Path) -> None:
    ends = Ends(64513, 64512, bytes(4), bytes(4))
    with (tmp_path / "session.mrt").open("wb") as file:
        taps: list[Tap] = [MrtRecorder(file, ends, lambda: 1.0), JsonRecorder(io.StringIO(), ends, lambda: 1.0)]
        for tap in taps:
            tap.received(b"\xff")
            tap.ended()
