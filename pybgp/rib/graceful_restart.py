"""Both roles of graceful restart as far as routes go, without a clock: `now` is an argument (spec sections 6.3, 15)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from pybgp.wire.capabilities import GracefulRestart, LongLivedGracefulRestart
    from pybgp.wire.families import Family

#: How long a peer may take from BoRR to EoRR (spec section 4).
REFRESH_TIME: Final = 360.0
#: How long a restarting speaker waits for the routes of a peer that says that it restarts too.
RESTARTING_PEER_TIME: Final = 3.0


class Expiry(NamedTuple):
    """Families of which something is over."""

    #: what is still stale of these is to be deleted.
    gone: set[Family]
    #: what is stale of these is to be kept as a last resort: their long-lived period begins.
    long_lived: set[Family]


class Retention:
    """The helper: which families of a lost peer are kept as stale, and until when (RFC 4724 section 4.2, RFC 8538).

    A family is `stale` while the peer may return soon.  When that time is over a family with a long-lived stale time
    goes on as `long_lived`, until End-of-RIB or its own deadline, however many sessions come and go (RFC 9494).
    """

    __slots__ = ("_long_lived_times", "long_lived", "refreshing", "restart_deadline", "stale", "stale_deadline")

    def __init__(self) -> None:
        """Nothing is kept as long as no session was lost."""
        self.stale: set[Family] = set()
        #: infinity while a session is up.
        self.restart_deadline = inf
        self.stale_deadline = inf
        #: families in their long-lived period that no session has completed yet, and when that ends.
        self.long_lived: dict[Family, float] = {}
        self._long_lived_times: Mapping[Family, float] = {}
        #: families between BoRR and EoRR, and when that must be over (RFC 7313 section 4).
        self.refreshing: dict[Family, float] = {}

    def lost(
        self,
        retained: Set[Family],
        restart_time: float,
        stale_time: float,
        now: float,
        long_lived: Mapping[Family, float] | None = None,
    ) -> set[Family]:
        """Note that the session is gone, which families are kept, and for which the peer asked for a longer time.

        Returns the families whose long-lived period begins at once: the peer asked for no shorter time.
        """
        self.refreshing.clear()
        times = self._long_lived_times = {family: time for family, time in (long_lived or {}).items() if time > 0}
        self.long_lived = {family: end for family, end in self.long_lived.items() if family in {*retained, *times}}
        self.stale = set(retained) if restart_time else retained - times.keys()
        self.restart_deadline = now + restart_time
        self.stale_deadline = min(self.stale_deadline, now + stale_time)
        self._settle()
        begun, _ = self._begin_long_lived(times.keys() - self.stale, now)
        return begun

    def returned(
        self,
        restart: GracefulRestart | None,
        families: Set[Family],
        long_lived: LongLivedGracefulRestart | None = None,
    ) -> set[Family]:
        """Return the families to delete because the peer did not keep them (RFC 4724, RFC 9494 section 4.2)."""
        kept = {family for family, forwarding in restart.families if forwarding} & families if restart else set()
        tuples = long_lived.families if restart is not None and long_lived is not None else ()
        long_kept = {family for family, forwarding, _ in tuples if forwarding} & families
        gone = {family for family in self.stale if family not in self.long_lived and family not in kept}
        gone |= self.long_lived.keys() - long_kept
        self.long_lived = {family: end for family, end in self.long_lived.items() if family in long_kept}
        self.stale = {family for family in self.stale if family in kept and family not in self.long_lived} - gone
        self.restart_deadline = inf
        self._settle()
        return gone

    def end_of_rib(self, family: Family) -> bool:
        """Say whether what is still stale of the family must go now."""
        was_kept = family in self.stale or family in self.long_lived
        self.stale.discard(family)
        self.long_lived.pop(family, None)
        self._settle()
        return was_kept

    def begin_refresh(self, family: Family, now: float) -> None:
        """The peer sends everything again: what it leaves out is to be deleted (RFC 7313 section 4)."""
        self.refreshing[family] = now + REFRESH_TIME

    def end_refresh(self, family: Family) -> bool:
        """Say whether a refresh was running; an end without a beginning is ignored."""
        return self.refreshing.pop(family, None) is not None

    def next_deadline(self) -> float:
        """Return when `expire` has something to do; infinity if never."""
        return min(
            self.restart_deadline, self.stale_deadline, *self.refreshing.values(), *self.long_lived.values(), inf
        )

    def expire(self, now: float) -> Expiry:
        """Return the families whose stale routes have had their time, and those that get a longer one."""
        gone = {family for family, deadline in self.refreshing.items() if deadline <= now}
        for family in gone:
            del self.refreshing[family]
        over = {family for family, deadline in self.long_lived.items() if deadline <= now}
        for family in over:
            del self.long_lived[family]
        self.stale -= over
        gone |= over
        begun: set[Family] = set()
        if min(self.restart_deadline, self.stale_deadline) <= now:
            is_away = self.restart_deadline < inf
            begun, ended = self._begin_long_lived(self.stale, now) if is_away else (begun, self.stale)
            gone |= ended
            self.stale = set()
        self._settle()
        return Expiry(gone, begun)

    def _begin_long_lived(self, families: Set[Family], now: float) -> tuple[set[Family], set[Family]]:
        """Split families whose restart time is over: those that go on, and those that have no longer time.

        A period that runs already is neither stopped nor started anew by another failure.
        """
        begun, ended = set(), set()
        for family in families:
            if family in self.long_lived:
                begun.add(family)
            elif family in self._long_lived_times:
                self.long_lived[family] = now + self._long_lived_times[family]
                begun.add(family)
            else:
                ended.add(family)
        return begun, ended

    def _settle(self) -> None:
        if not self.stale:
            self.restart_deadline = self.stale_deadline = inf


class SelectionDeferral:
    """The restarter: whose End-of-RIB must be there before anything is withdrawn (RFC 4724 section 4.1).

    Waits for every peer that helps, for all of them together no longer than the selection deferral time, and for one
    that does not come up no longer than a much shorter one: nothing of what it once told us can be worth more than the
    routes of all others.  For one that is restarting itself it waits for `RESTARTING_PEER_TIME`: two that wait for each
    other must end, but some say that they restart long after they have (FRR), and have routes that others shall keep.
    """

    __slots__ = ("_absent_time", "_deadline", "_patience", "_waiting", "is_over")

    def __init__(self, deferral_time: float, absent_time: float, now: float) -> None:
        """Both times are seconds, and count from ``now`` or from when a peer was last seen."""
        self.is_over = False
        self._deadline = now + deferral_time
        self._absent_time = absent_time
        #: per peer, what it still owes: families, or the time until which it may come up.
        self._waiting: dict[int, set[Family] | float] = {}
        #: until when those are waited for that restart too.
        self._patience: dict[int, float] = {}

    def expect(self, peer: int, now: float) -> None:
        """A peer is configured, and down."""
        self._waiting[peer] = now + self._absent_time
        self._patience.pop(peer, None)

    def forget(self, peer: int) -> None:
        """A peer is no longer configured."""
        self._waiting.pop(peer, None)
        self._patience.pop(peer, None)

    def session_up(self, peer: int, families: Iterable[Family], restart: GracefulRestart | None, now: float) -> None:
        """A peer that does not help is not waited for."""
        self._patience.pop(peer, None)
        if restart is None:
            self._waiting.pop(peer, None)
            return
        self._waiting[peer] = set(families)
        if restart.restart_state:
            self._patience[peer] = now + RESTARTING_PEER_TIME

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
        impatient = {peer for peer, until in self._patience.items() if until <= now}
        self._waiting = {
            peer: owed
            for peer, owed in self._waiting.items()
            if (peer not in impatient if isinstance(owed, set) else owed > now)
        }
        self.is_over = not self._waiting or now >= self._deadline
        return self.is_over

    def next_deadline(self) -> float:
        """Return when `check` may become true by time alone."""
        if self.is_over:
            return inf
        times = [owed for owed in self._waiting.values() if isinstance(owed, float)]
        times += [until for peer, until in self._patience.items() if peer in self._waiting]
        return min(self._deadline, *times, inf)
