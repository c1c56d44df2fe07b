"""Work on routes that takes many turns of the loop where tables are big, so that KEEPALIVEs are never late."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.transport.cause import (
    IMPORT_POLICY,
    LONG_LIVED,
    NEXT_HOP,
    PEER_REMOVED,
    SESSION_DOWN,
    STALE,
    VALIDATION,
    Cause,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.next_hop_move import NextHopMove
    from pybgp.rib.path import Change
    from pybgp.rib.tables import Rib
    from pybgp.transport.peering import Peering
    from pybgp.wire.families import Family

    #: Picks the prefixes of a family whose judgement may have changed.
    Concerned = Callable[[Family, Sequence[bytes]], Iterable[bytes]]

#: Routes withdrawn in one turn when a peer is lost.
SWEEP_SLICE: Final = 5_000
#: Routes judged by another policy in one turn; a policy may take its time for each.
JUDGE_SLICE: Final = 1_000
#: Routes looked at in one turn after next hops have moved; for a twentieth as many it is chosen again.
MOVE_SLICE: Final = 40_000


class Judgement(NamedTuple):
    """Routes of a peer that its import policy is yet to be asked about; those that ``concerned`` picks, or all."""

    number: int
    family: Family
    keys: Iterator[bytes]
    concerned: Concerned | None


class LongWork:
    """What is under way; of whatever is begun the first slice is done at once, unless others are before it."""

    def __init__(
        self,
        rib: Rib,
        peerings: Mapping[int, Peering],
        publish: Callable[[Sequence[Change], Cause], None],
        touched: Callable[[Family], None],
    ) -> None:
        """``peerings`` may change later; ``touched`` is told the family of each slice of sweeps and judgements."""
        self._rib = rib
        self._peerings = peerings
        self._publish = publish
        self._touched = touched
        self._sweeps: dict[tuple[int, Family], None] = {}
        self._marks: dict[tuple[int, Family], None] = {}
        #: names of peers that are no longer configured, whose routes are still being withdrawn.
        self._removed: dict[int, str] = {}
        #: next hops that have moved since what is under way was begun.
        self._moved: set[bytes] = set()
        self._move: NextHopMove | None = None
        self._judgements: deque[Judgement] = deque()
        self._soon: asyncio.Handle | None = None

    @property
    def is_judging(self) -> bool:
        """Whether routes are yet to be judged by a policy that is in force already."""
        return bool(self._judgements)

    @property
    def is_settled(self) -> bool:
        """Whether no route is about to go, or in doubt because of its next hop."""
        return not self._sweeps and not self._moved and self._move is None

    def close(self) -> None:
        """Do nothing more."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def remove(self, number: int, name: str) -> None:
        """A peer is no longer configured: withdraw what is left of its routes, then forget it."""
        for key in [key for key in self._marks if key[0] == number]:
            del self._marks[key]
        self.drop_judgements(number)
        self._removed[number] = name
        self._sweeps.update(dict.fromkeys((number, family) for family in self._rib.families_of(number)))
        if self._is_swept(number):
            self._forget(number)
        else:
            self.begin()

    def _is_swept(self, number: int) -> bool:
        return not any(key[0] == number for key in self._sweeps)

    def _forget(self, number: int) -> None:
        self._publish(self._rib.remove_peer(number), Cause(PEER_REMOVED, self._removed.pop(number)))

    def begin(self) -> None:
        """Do a slice now, unless one is due soon anyway."""
        if self._soon is None:
            self._slice()

    def sweep(self, number: int, families: Iterable[Family]) -> None:
        """Withdraw what is stale of a peer."""
        self._sweeps.update(dict.fromkeys((number, family) for family in families))
        self.begin()

    def end_sweep(self, number: int, family: Family) -> bool:
        """Leave a sweep to the caller; say whether there was one."""
        is_under_way = (number, family) in self._sweeps
        self._sweeps.pop((number, family), None)
        return is_under_way

    def mark(self, number: int, families: Iterable[Family]) -> None:
        """Keep what is stale of a peer as a last resort (RFC 9494)."""
        self._marks.update(dict.fromkeys((number, family) for family in families))
        self.begin()

    def follow(self, next_hops: Iterable[bytes]) -> None:
        """Choose again where paths lead by these next hops."""
        self._moved.update(next_hops)
        self.begin()

    def drop_judgements(self, number: int) -> None:
        """The policy of a peer is another one: what the old one had yet to judge is not asked for."""
        self._judgements = deque(one for one in self._judgements if one.number != number)

    def judge_later(self, number: int, concerned: Concerned | None) -> None:
        """Note all routes of a peer, which ``begin`` begins to judge."""
        for family in self._rib.families_of(number):
            keys = iter(list(self._rib.received(number, family)))
            self._judgements.append(Judgement(number, family, keys, concerned))

    def _slice(self) -> None:
        """Do one slice of what is under way, withdrawals first."""
        self._soon = None
        if self._sweeps:
            self._sweep_slice()
        elif self._marks:
            self._mark_slice()
        elif self._move is not None or self._moved:
            self._move_slice()
        else:
            self._judge_slice()
        if self._marks or self._judgements or not self.is_settled:
            self._soon = asyncio.get_running_loop().call_soon(self._slice)

    def _sweep_slice(self) -> None:
        for number, family in tuple(self._sweeps):
            peering = self._peerings.get(number)
            is_down = peering is not None and peering.negotiated is None
            changes = self._rib.sweep_stale(number, family, SWEEP_SLICE)
            self._publish(changes, self._cause(SESSION_DOWN if is_down else STALE, number))
            self._touched(family)
            if self._rib.stale_count(number, family):
                break
            self._sweeps.pop((number, family), None)
            if number in self._removed and self._is_swept(number):
                self._forget(number)

    def _mark_slice(self) -> None:
        for number, family in tuple(self._marks):
            changes = self._rib.mark_long_lived(number, family, SWEEP_SLICE)
            self._publish(changes, self._cause(LONG_LIVED, number))
            if self._rib.unmarked_count(number, family):
                break
            self._marks.pop((number, family), None)

    def _move_slice(self) -> None:
        """Follow next hops one step of the way; those that move meanwhile have their turn afterwards."""
        if self._move is None:
            self._move = self._rib.move_next_hops(self._moved, MOVE_SLICE)
            self._moved = set()
        move = self._move
        changes = move.step()
        if move.is_done:
            self._move = None
        self._publish(changes, NEXT_HOP)

    def _judge_slice(self) -> None:
        """Judge some routes, of several peers if they have few."""
        room = JUDGE_SLICE
        while self._judgements and room > 0:
            number, family, keys, concerned = self._judgements[0]
            bundle = list(islice(keys, room))
            if len(bundle) < room:
                self._judgements.popleft()
            room -= len(bundle)
            changes = self._rib.judge(number, family, bundle, concerned)
            self._publish(changes, self._cause(IMPORT_POLICY if concerned is None else VALIDATION, number))
            self._touched(family)

    def _cause(self, kind: str, number: int) -> Cause:
        if number in self._removed:
            return Cause(PEER_REMOVED, self._removed[number])
        peering = self._peerings.get(number)
        return Cause(kind, peering.name if peering is not None else "")
