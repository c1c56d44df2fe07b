"""Two BFD sessions over a link that loses and delays packets, in virtual time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybgp.bfd.config import BfdConfig
from pybgp.bfd.packet import SessionState
from tests.pybgp.bfd.bfd_examples import Link

intervals = st.floats(0.1, 2.0)
configs = st.builds(
    BfdConfig,
    transmit_interval=intervals,
    receive_interval=intervals,
    multiplier=st.integers(2, 6),
)
UP = (SessionState.UP, SessionState.UP)
DOWN = (SessionState.DOWN, SessionState.DOWN)
#: Both start at 1 s; three packets and a lost race take no longer.
COMING_UP = 8.0


@settings(max_examples=25, deadline=None)
@given(left=configs, right=configs, seed=st.integers(0, 2**32), loss=st.floats(0, 0.6), delay=st.floats(0, 0.02))
def test_whatever_was_lost_both_agree_in_the_end(
    left: BfdConfig, right: BfdConfig, seed: int, loss: float, delay: float
) -> None:
    """Up on a link that works again, Down on one that is cut, and never faster than allowed to speak."""
    link = Link(left, right, seed)
    link.loss, link.longest_delay = loss, delay
    link.start()
    link.run(30.0)
    link.loss = 0.0
    link.run(COMING_UP + 2 * max(end.detection_time for end in link.ends))
    assert link.states == UP
    count = len(link.events)
    link.run(15.0)
    assert link.events[count:] == []
    link.is_cut = [True, True]
    slowest = max(end.detection_time for end in link.ends)
    link.run(slowest + 0.1)
    assert link.states == DOWN


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), direction=st.integers(0, 1), at=st.floats(0, 0.3))
def test_a_link_that_works_one_way_is_down_on_both_sides_within_its_detection_time(
    seed: int, direction: int, at: float
) -> None:
    link = Link(BfdConfig(), BfdConfig(), seed)
    link.start()
    link.run(10.0 + at)
    assert link.states == UP
    before = len(link.events)
    link.is_cut[direction] = True
    cut_at = link.now
    link.run(5.0)
    times = {number: time for time, number, event in reversed(link.events[before:]) if event.is_failure}
    assert link.states[1 - direction] is SessionState.DOWN
    assert set(times) == {0, 1}
    assert all(time - cut_at <= 0.9 + 1e-6 for time in times.values())


@settings(max_examples=20, deadline=None)
@given(
    left=configs,
    right=configs,
    seed=st.integers(0, 2**32),
    changes=st.lists(st.tuples(st.integers(0, 1), configs, st.floats(0.01, 3.0)), max_size=5),
)
def test_parameters_change_without_a_failure(
    left: BfdConfig, right: BfdConfig, seed: int, changes: list[tuple[int, BfdConfig, float]]
) -> None:
    """Polls keep both sides from expecting packets sooner than they are sent (RFC 5880 section 6.8.3)."""
    link = Link(left, right, seed)
    link.start()
    link.run(20.0)
    assert link.states == UP
    before = len(link.events)
    for number, config, pause in changes:
        link.ends[number].configure(config, link.now)
        link.pump()
        link.run(pause)
    link.run(30.0)
    assert link.events[before:] == []
    for end in link.ends:
        other = link.ends[1 - link.ends.index(end)]
        slower = max(end.config.transmit_interval, other.config.receive_interval)
        assert end.transmit_interval == pytest.approx(slower, abs=1e-5)
        assert other.detection_time == pytest.approx(end.config.multiplier * slower, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(left=configs, right=configs, seed=st.integers(0, 2**32))
def test_periodic_packets_keep_their_distance(left: BfdConfig, right: BfdConfig, seed: int) -> None:
    link = Link(left, right, seed)
    link.start()
    link.run(20.0)
    link.transmissions.clear()
    link.run(20.0)
    for number, end in enumerate(link.ends):
        times = [at for at, sender, _ in link.transmissions if sender == number]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert all(0.75 - 1e-6 <= gap / end.transmit_interval <= 1.0 + 1e-6 for gap in gaps)


@settings(max_examples=15, deadline=None)
@given(left=configs, right=configs, seed=st.integers(0, 2**32))
def test_a_stop_is_no_failure_for_the_other_side(left: BfdConfig, right: BfdConfig, seed: int) -> None:
    link = Link(left, right, seed)
    link.start()
    link.run(20.0)
    link.record(0, link.ends[0].stop(link.now))
    link.pump()
    link.run(20.0)
    assert not any(event.is_failure for _, _, event in link.events)
    assert link.states == (SessionState.ADMIN_DOWN, SessionState.DOWN)
