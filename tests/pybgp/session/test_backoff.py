"""Delays that double up to a bound, and begin anew."""

from __future__ import annotations

from pybgp.session.backoff import Damping, Doubling
from tests.pybgp.session.session_examples import ours


def test_a_delay_doubles_to_its_bound_and_can_begin_anew() -> None:
    delay = Doubling(1.0, 5.0)
    assert [delay.take() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    delay.reset()
    assert delay.current == 1.0


def test_a_first_delay_beyond_the_bound_is_the_bound() -> None:
    assert Doubling(9.0, 5.0).take() == 5.0


def test_the_connect_delay_counts_once() -> None:
    damping = Damping(ours(connect_delay=3.0, first_retry_time=0.5))
    assert [damping.retry_delay() for _ in range(3)] == [3.0, 0.5, 1.0]


def test_a_session_of_middle_length_leaves_the_damping_as_it_is() -> None:
    damping = Damping(ours())
    assert [damping.failure(lifetime) for lifetime in (1, 1, 100, 100, 1, 301)] == [1, 2, 4, 4, 4, 1]
