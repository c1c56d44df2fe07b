from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from fuzz.session import in_words
from pybgp.errors import FormatError
from pybgp.session.events import Event, SessionDown, SessionUp, UpdateReceived
from pybgp.session.state_machine import State
from pybgp.tools.recording import Moment, Recording, What, read_json, read_mrt
from pybgp.tools.replayer import Replayer, Step, config_of, first_open
from tests.pybgp.tools.conversation import ENDS, START, Talk, configs, talk


def from_json(found: Talk) -> Recording:
    return read_json(io.StringIO(found.json_file.getvalue()))


def from_mrt(found: Talk) -> Recording:
    return read_mrt(io.BytesIO(found.mrt_file.getvalue()))


BOTH = pytest.mark.parametrize("read", [from_json, from_mrt], ids=["json", "mrt"])


def replay(recording: Recording) -> tuple[list[Step], Replayer]:
    """What the recorded side makes of it, configured by what it said."""
    moments = list(recording.moments)
    replayer = Replayer(config_of(recording.ends, first_open(moments, What.SENT)))
    return list(replayer.run(moments)), replayer


def seen(events: list[Event]) -> list[str]:
    return [in_words(event) for event in events if isinstance(event, SessionUp | SessionDown | UpdateReceived)]


@BOTH
@pytest.mark.parametrize("four_octet_as", [True, False])
@pytest.mark.parametrize("add_path", [True, False])
def test_a_replay_is_what_was(read: Callable[[Talk], Recording], four_octet_as: bool, add_path: bool) -> None:
    found = talk(four_octet_as=four_octet_as, add_path=add_path)
    found.end()
    steps, replayer = replay(read(found))
    events = [event for step in steps for event in step.events]
    assert seen(events) == seen(found.events)
    assert len(seen(events)) == 4
    assert b"".join(step.sent for step in steps) == b"".join(found.sent)
    assert replayer.session is not None
    assert replayer.session.state is State.IDLE


@BOTH
def test_the_clock_is_that_of_the_recording(read: Callable[[Talk], Recording]) -> None:
    found = talk()
    found.end()
    steps, _ = replay(read(found))
    times = [step.time for step in steps]
    assert times == sorted(times)
    assert (times[0], steps[0].moment) == (START, Moment(START, What.CONNECTED))
    timers = [step for step in steps if step.moment is None]
    assert [len(step.sent) for step in timers] == [19, 19]
    assert timers[1].time - timers[0].time == pytest.approx(30.0, abs=0.001)


@BOTH
def test_a_peer_that_falls_silent_expires_in_virtual_time(read: Callable[[Talk], Recording]) -> None:
    found = talk()
    _, replayer = replay(read(found))
    down = [
        event for step in replayer.run_timers(START + 1000) for event in step.events if isinstance(event, SessionDown)
    ]
    assert [event.reason.value for event in down] == ["hold timer expired"]
    assert list(replayer.run_timers(START + 10**9)) == []


def test_a_malformed_stream_happens_again() -> None:
    """What a crash leaves behind: a chunk cut anywhere, and octets that are no BGP."""
    found = talk()
    found.receive(b"\xff" * 10)
    found.receive(b"\xff" * 6 + b"\0\x12\x04 and more")
    found.end()
    for read in (from_json, from_mrt):
        steps, _ = replay(read(found))
        events = [event for step in steps for event in step.events]
        assert seen(events) == seen(found.events)
        assert "SessionDown" in seen(events)[-1]
        assert b"".join(step.sent for step in steps) == b"".join(found.sent)


def test_a_new_connection_is_a_new_session() -> None:
    found = talk()
    moments = list(from_json(found).moments)
    config = config_of(ENDS, first_open(moments, What.SENT))
    later = [moment._replace(time=moment.time + 100) for moment in moments]
    twice = [*moments, Moment(moments[-1].time + 1, What.ENDED), *later]
    events = [event for step in Replayer(config).run(twice) for event in step.events]
    assert sum(isinstance(event, SessionUp) for event in events) == 2


def test_nothing_is_dialled_after_the_end() -> None:
    ours, _ = configs()
    replayer = Replayer(ours)
    list(replayer.run([Moment(1.0, What.CONNECTED), Moment(2.0, What.ENDED)]))
    assert replayer.session is not None
    assert replayer.session.next_timer() is not None
    assert list(replayer.run_timers(10_000.0)) == []


def test_a_configuration_says_what_was_said() -> None:
    ours, _ = configs(add_path=True)
    moments = from_json(talk(add_path=True)).moments
    assert config_of(ENDS, first_open(moments, What.SENT)) == ours


def test_what_cannot_be_replayed_is_refused() -> None:
    ours, _ = configs()
    with pytest.raises(FormatError, match="before there was a connection"):
        list(Replayer(ours).run([Moment(1.0, What.RECEIVED, b"x")]))
    broken = [Moment(1.0, What.CONNECTED), Moment(2.0, What.SENT, b"\xff" * 16 + b"\0\x01\x02")]
    with pytest.raises(FormatError, match="sent is no BGP"):
        list(Replayer(ours).run(broken))
    with pytest.raises(FormatError, match="no OPEN was received"):
        first_open(broken, What.RECEIVED)
    with pytest.raises(FormatError, match="first message sent"):
        first_open(broken, What.SENT)
