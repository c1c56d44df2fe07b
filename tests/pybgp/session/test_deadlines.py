"""Named timers: the earliest wins, a stopped one never fires."""

from __future__ import annotations

from pybgp.session.deadlines import Deadlines, Timer


def test_the_earliest_fires_first_and_once() -> None:
    deadlines = Deadlines()
    assert deadlines.earliest() is None
    deadlines.start(Timer.HOLD, 9.0)
    deadlines.start(Timer.KEEPALIVE, 3.0)
    assert deadlines.earliest() == 3.0
    assert deadlines.take_due(2.9) is None
    assert [deadlines.take_due(10.0), deadlines.take_due(10.0), deadlines.take_due(10.0)] == [
        Timer.KEEPALIVE, Timer.HOLD, None]  # fmt: skip


def test_starting_again_moves_and_stopping_removes() -> None:
    deadlines = Deadlines()
    deadlines.start(Timer.HOLD, 9.0)
    deadlines.start(Timer.HOLD, 12.0)
    assert deadlines.remaining(2.0) == {"hold": 10.0}
    deadlines.stop(Timer.HOLD)
    assert not deadlines.is_running(Timer.HOLD)
    deadlines.start(Timer.SEND_HOLD, 1.0)
    deadlines.stop_all()
    assert deadlines.take_due(100.0) is None
