"""Both roles of graceful restart as far as routes go, without a clock: `now` is an argument (spec sections 6.3, 15)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from pybgp.wire.capabilities import GracefulRestart
    from pybgp.wire.families import Family

#: How long a peer may take from BoRR to EoRR (spec section 4).
REFRESH_TIME: Final = 360.0


class Retention:
    """The helper: which families of a lost peer are kept as stale, and until when (RFC 4724 section 4.2, RFC 8538)."""

    __slots__ = ("refreshing", "restart_deadline", "stale", "stale_deadline")

    def __init__(self) -> None:
        """Nothing is kept as long as no session was lost."""
        self.stale: set[Family] = set()
        self.restart_deadline = inf
        self.stale_deadline = inf
        #: families between BoRR and EoRR, and when that must be over (RFC 7313 section 4).
        self.refreshing: dict[Family, float] = {}

    def lost(self, retained: Set[Family], restart_time: float, stale_time: float, now: float) -> None:
        """Note that the session is gone and which families are kept."""
        self.refreshing.clear()
        self.stale = set(retained)
        if not retained:
            self.restart_deadline = self.stale_deadline = inf
            return
        self.restart_deadline = now + restart_time
        self.stale_deadline = min(self.stale_deadline, now + stale_time)

    def returned(self, restart: GracefulRestart | None, families: Set[Family]) -> set[Family]:
        """Return the families to delete because the peer did not keep them (RFC 4724 section 4.2)."""
        kept = {family for family, forwarding in restart.families if forwarding} & families if restart else set()
        gone = self.stale - kept
        self.stale &= kept
        self.restart_deadline = inf
        self._settle()
        return gone

    def end_of_rib(self, family: Family) -> bool:
        """Say whether what is still stale of the family must go now."""
        was_stale = family in self.stale
        self.stale.discard(family)
        self._settle()
        return was_stale

    def begin_refresh(self, family: Family, now: float) -> None:
        """The peer sends everything again: what it leaves out is to be deleted (RFC 7313 section 4)."""
        self.refreshing[family] = now + REFRESH_TIME

    def end_refresh(self, family: Family) -> bool:
        """Say whether a refresh was running; an end without a beginning is ignored."""
        return self.refreshing.pop(family, None) is not None

    def next_deadline(self) -> float:
        """Return when `expire` has something to do; infinity if never."""
        return min(self.restart_deadline, self.stale_deadline, *self.refreshing.values(), inf)

    def expire(self, now: float) -> set[Family]:
        """Return the families whose stale routes have had their time."""
        gone = {family for family, deadline in self.refreshing.items() if deadline <= now}
        for family in gone:
            del self.refreshing[family]
        if min(self.restart_deadline, self.stale_deadline) <= now:
            gone |= self.stale
            self.stale = set()
            self._settle()
        return gone

    def _settle(self) -> None:
        if not self.stale:
            self.restart_deadline = self.stale_deadline = inf


class SelectionDeferral:
    """The restarter: whose End-of-RIB must be there before anything is withdrawn (RFC 4724 section 4.1).

    Waits for every peer that helps and is not restarting itself, for all of them together no longer than the selection
    deferral time, and for one that does not come up no longer than a much shorter one: nothing of what it once told us
    can be worth more than the routes of all others.
    """

    __slots__ = ("_absent_time", "_deadline", "_waiting", "is_over")

    def __init__(self, deferral_time: float, absent_time: float, now: float) -> None:
        """Both times are seconds, and count from ``now`` or from when a peer was last seen."""
        self.is_over = False
        self._deadline = now + deferral_time
        self._absent_time = absent_time
        #: per peer, what it still owes: families, or the time until which it may come up.
        self._waiting: dict[int, set[Family] | float] = {}

    def expect(self, peer: int, now: float) -> None:
        """A peer is configured, and down."""
        self._waiting[peer] = now + self._absent_time

    def forget(self, peer: int) -> None:
        """A peer is no longer configured."""
        self._waiting.pop(peer, None)

    def session_up(self, peer: int, families: Iterable[Family], restart: GracefulRestart | None) -> None:
        """A peer that does not help, or restarts itself, is not waited for: two that wait never end."""
        if restart is None or restart.restart_state:
            self._waiting.pop(peer, None)
        else:
            self._waiting[peer] = set(families)

    def session_down(self, peer: int, now: float) -> None:
        """A session was lost before it was complete; it may come back in time."""
        if peer in self._waiting:
            self.expect(peer, now)

    def end_of_rib(self, peer: int, family: Family) -> None:
        """One family of a peer is complete."""
        owed = self._waiting.get(peer)
        if isinstance(owed, set):
            owed.discard(family)
            if not owed:
                del self._waiting[peer]

    def check(self, now: float) -> bool:
        """Say whether the restart is over; true only the first time."""
        if self.is_over:
            return False
        self._waiting = {peer: owed for peer, owed in self._waiting.items() if isinstance(owed, set) or owed > now}
        self.is_over = not self._waiting or now >= self._deadline
        return self.is_over

    def next_deadline(self) -> float:
        """Return when `check` may become true by time alone."""
        if self.is_over:
            return inf
        times = [owed for owed in self._waiting.values() if isinstance(owed, float)]
        return min(self._deadline, *times, inf)
