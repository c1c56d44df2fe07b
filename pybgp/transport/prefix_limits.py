"""Too many prefixes from one neighbour: warning, discarding, or the end of the session (spec section 7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pybgp.wire.iana import CeaseSubcode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Sequence

    from pybgp.session.route_options import PrefixLimit
    from pybgp.transport.peer import Peer
    from pybgp.wire.families import Family

log = structlog.get_logger("pybgp")


class PrefixGuard:
    """Counts what one neighbour has with us, and acts once it is too much."""

    __slots__ = ("_limit", "_name", "_near", "_peer", "_restart", "holds_down", "is_closed", "over", "told")

    def __init__(self, name: str, peer: Peer, limit: PrefixLimit) -> None:
        """Begin with nothing."""
        self._name = name
        self._peer = peer
        self._limit = limit
        self._near: set[Family] = set()
        self._restart: asyncio.TimerHandle | None = None
        #: hears of what is logged here: the family, and a text.
        self.told: Callable[[Family, str], None] | None = None
        #: families in which routes were discarded.
        self.over: set[Family] = set()
        #: the session has ended because of us: nothing more of it counts.
        self.is_closed = False
        #: the peer stays down because of us, until somebody starts it.
        self.holds_down = False

    def session_up(self) -> None:
        """Count anew."""
        self._near.clear()
        self.over.clear()
        self.is_closed = False
        self.cancel()

    def admit(self, family: Family, present: Collection[bytes], keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return what may be taken in beside what is there; nothing if the session has to end."""
        if self.is_closed:
            return ()
        limit = self._limit
        count = len(present) + len(keys)
        if count >= limit.warning or family in self._near:
            fresh = [key for key in dict.fromkeys(keys) if key not in present]
            count = len(present) + len(fresh)
            self._warn(family, count)
            if count > limit.maximum:
                return self._exceeded(family, keys, fresh[max(0, limit.maximum - len(present)) :])
        return keys

    def change(self, limit: PrefixLimit) -> None:
        """Count by another limit from now on, as if nothing had been refused."""
        self._limit = limit
        self._near.clear()
        self.over.clear()

    def look_at(self, family: Family, count: int) -> None:
        """Act on what is there already: it stays, unless the session has to end."""
        if count and not self.is_closed:
            self._warn(family, count)
            if count > self._limit.maximum:
                self._exceeded(family, (), ())

    def cancel(self) -> None:
        """Do not start again by ourselves."""
        self.holds_down = False
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None

    def _warn(self, family: Family, count: int) -> None:
        """Say once that the limit is near, and again after it was far."""
        if count < self._limit.warning:
            self._near.discard(family)
        elif family not in self._near:
            self._near.add(family)
            log.warning(
                "prefix_limit_near", peer=self._name, family=str(family), count=count, maximum=self._limit.maximum
            )
            self._tell(family, f"{count} prefixes, the limit is {self._limit.maximum}")

    def _tell(self, family: Family, text: str) -> None:
        if self.told is not None:
            self.told(family, text)

    def _exceeded(self, family: Family, keys: Sequence[bytes], surplus: Sequence[bytes]) -> Sequence[bytes]:
        maximum = self._limit.maximum
        if not self._limit.discard:
            self._end_session(family)
            return ()
        if family not in self.over:
            self.over.add(family)
            log.error("prefix_limit_exceeded", peer=self._name, family=str(family), maximum=maximum, action="discard")
            self._tell(family, f"more than {maximum} prefixes: the others are discarded")
        refused = set(surplus)
        return [key for key in keys if key not in refused]

    def _end_session(self, family: Family) -> None:
        """RFC 4486 section 4: the data say which family, and how many would have been fine."""
        maximum, restart_time = self._limit.maximum, self._limit.restart_time
        self.is_closed = self.holds_down = True
        log.error("prefix_limit_exceeded", peer=self._name, family=str(family), maximum=maximum, action="shutdown")
        self._tell(family, f"more than {maximum} prefixes: the session ends")
        data = family.afi.to_bytes(2, "big") + bytes([family.safi]) + maximum.to_bytes(4, "big")
        self._peer.hold_down(f"more than {maximum} prefixes of {family}", CeaseSubcode.MAXIMUM_PREFIXES, data)
        if restart_time is not None:
            self._restart = self._peer.call_later(restart_time, self._peer.start)
