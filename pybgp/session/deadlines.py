"""The timers of a session as numbers: the earliest one wins."""

from __future__ import annotations

from enum import IntEnum
from math import inf


class Timer(IntEnum):
    """RFC 4271 section 8.1.3 and section 8 (optional ones); SEND_HOLD is RFC 9687."""

    CONNECT_RETRY = 0
    HOLD = 1
    KEEPALIVE = 2
    DELAY_OPEN = 3
    IDLE_HOLD = 4
    SEND_HOLD = 5


class Deadlines:
    """When each timer fires; a stopped one fires never."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        """Begin with every timer stopped."""
        self._at = [inf] * len(Timer)

    def start(self, timer: Timer, at: float) -> None:
        """Let a timer fire at this time, whether it ran before or not."""
        self._at[timer] = at

    def stop(self, timer: Timer) -> None:
        """Let a timer not fire."""
        self._at[timer] = inf

    def stop_all(self) -> None:
        """Let nothing fire."""
        self._at = [inf] * len(Timer)

    def is_running(self, timer: Timer) -> bool:
        """Whether a timer is going to fire."""
        return self._at[timer] != inf

    def earliest(self) -> float | None:
        """When the next timer fires; None if none runs."""
        at = min(self._at)
        return None if at == inf else at

    def take_due(self, now: float) -> Timer | None:
        """Stop and return the earliest timer that is due; None if none is."""
        at = min(self._at)
        if at > now or at == inf:
            return None
        timer = Timer(self._at.index(at))
        self._at[timer] = inf
        return timer

    def remaining(self, now: float) -> dict[str, float]:
        """Return the seconds left of every running timer, by name."""
        return {timer.name.lower(): self._at[timer] - now for timer in Timer if self._at[timer] != inf}
