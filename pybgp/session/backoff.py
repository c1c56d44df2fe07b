"""How long a neighbour waits before it tries again; plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybgp.session.config import PeerConfig


class Doubling:
    """A delay that doubles from the first value to the longest each time it is taken."""

    __slots__ = ("_first", "_longest", "_next")

    def __init__(self, first: float, longest: float) -> None:
        """Begin with the first value."""
        self._first = min(first, longest)
        self._longest = longest
        self._next = self._first

    @property
    def current(self) -> float:
        """The delay that is next."""
        return self._next

    def grow(self) -> None:
        """Make the next delay longer."""
        self._next = min(2 * self._next, self._longest)

    def take(self) -> float:
        """Return the delay and make the next one longer."""
        delay = self._next
        self.grow()
        return delay

    def reset(self) -> None:
        """Go back to the first value."""
        self._next = self._first


class Damping:
    """When a neighbour is tried again: soon if nobody answered, after IdleHoldTime if a session failed."""

    __slots__ = ("_config", "_connect_delay", "idle_hold", "retry")

    def __init__(self, config: PeerConfig) -> None:
        """Begin without a failure."""
        self._config = config
        self._connect_delay = config.connect_delay
        self.retry = Doubling(config.first_retry_time, config.connect_retry_time)
        self.idle_hold = Doubling(config.idle_hold_time, config.maximum_idle_hold_time)

    def retry_delay(self) -> float:
        """Return the wait before the next attempt to connect; the first one is ``connect_delay`` where that is set."""
        delay, self._connect_delay = self._connect_delay, 0.0
        return delay or self.retry.take()

    def failure(self, lifetime: float) -> float:
        """Return how long to rest after a session of this length failed (RFC 4271 section 8.1.1)."""
        if lifetime > self._config.stable_session_time:
            self.idle_hold.reset()
        rest = self.idle_hold.current
        if lifetime < self._config.short_session_time:
            self.idle_hold.grow()
        return rest

    def reset(self) -> None:
        """Forget every failure."""
        self.retry.reset()
        self.idle_hold.reset()
