"""How long the timers of a session run: as configured, as agreed, and with jitter (RFC 4271 section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.session.config import PeerConfig

#: An attempt to connect is given up by whoever connects; the FSM must not be faster.
_CONNECT_MARGIN: Final = 1.0
_SHORTEST_KEEPALIVE_TIME: Final = 1.0
#: KEEPALIVEs further apart than this leave at multiples of the step, those of many sessions in one turn of the loop.
_LONG_KEEPALIVE_TIME: Final = 10.0
_KEEPALIVE_STEP: Final = 0.25


class Pace:
    """Seconds, each time anew."""

    __slots__ = ("_config", "_random", "_retry_delay")

    def __init__(
        self, config: PeerConfig, random: Callable[[], float], retry_delay: Callable[[], float] | None
    ) -> None:
        """``random`` gives 0 to 1, ``retry_delay`` the time between attempts to connect; None: as configured."""
        self._config = config
        self._random = random
        self._retry_delay = retry_delay

    def connect_time(self) -> float:
        """Return how long an attempt to connect may take before the next one begins."""
        return max(self._jittered(self._config.connect_retry_time), self._config.connect_timeout + _CONNECT_MARGIN)

    def retry_time(self) -> float:
        """Return how long to wait after an attempt to connect has failed."""
        configured = self._config.connect_retry_time
        return self._jittered(configured if self._retry_delay is None else self._retry_delay())

    def next_keepalive(self, now: float, hold_time: float) -> float:
        """Return when the next KEEPALIVE is due: not faster than one per second (RFC 4271 section 4.4)."""
        keepalive_time = self._config.effective_keepalive_time(hold_time)
        at = now + max(_SHORTEST_KEEPALIVE_TIME, self._jittered(keepalive_time))
        return at - at % _KEEPALIVE_STEP if at > now + _LONG_KEEPALIVE_TIME else at

    def _jittered(self, seconds: float) -> float:
        """RFC 4271 section 10: 0.75 to 1.0 of the configured value."""
        return seconds * (0.75 + 0.25 * self._random())
