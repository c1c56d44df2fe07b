"""Next hops that are followed while a speaker runs: routes change, and paths are chosen again soon after."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import structlog

from pybgp.rib.next_hop_table import NextHopRoute, NextHopTable
from pybgp.transport.speaker_config import packed_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pybgp.rib.path import Change, Path
    from pybgp.transport.speaker import Speaker


log = structlog.get_logger("pybgp")

#: Below this many next hops it is not worth to look which of them paths have.
SMALLEST_SWEEP: Final = 10_000


#: To a next hop that moves so often within so many seconds no route of BGP leads for the rest of them: two choices may
#: each be the better one once the other is made.
MOST_MOVES: Final = 20
HOLD_SECONDS: Final = 30.0


class NextHopTracker:
    """Give ``cost`` to `SpeakerConfig.next_hop_cost`, then `attach` the speaker and tell every route that changes."""

    def __init__(
        self,
        *,
        delay: float = 0.1,
        depth: int = 1,
        use_default: bool = False,
        recursive: bool = False,
        on_moved: Callable[[Sequence[bytes]], None] | None = None,
    ) -> None:
        """Changes are gathered for ``delay`` seconds; see `NextHopTable` for ``depth`` and ``use_default``.

        ``recursive``: routes that the speaker has selected lead to next hops too, by way of their own; up to ``depth``
        of them may follow each other, and the last next hop is found among the routes that were put here.
        ``on_moved`` is told, before the speaker is, which next hops come to something else now.
        """
        self.table = NextHopTable(depth=depth, use_default=use_default)
        self._delay = delay
        self._recursive = recursive
        self._on_moved = on_moved
        #: how many next hops there may be before those are forgotten that no path has any more.
        self._sweep_at = SMALLEST_SWEEP
        self._speaker: Speaker | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: how often each has moved lately, until the other timer forgets it.
        self._moves: Counter[bytes] = Counter()
        self._forget: asyncio.TimerHandle | None = None

    def attach(self, speaker: Speaker) -> None:
        """Tell this speaker what changes."""
        self._speaker = speaker
        if self._recursive:
            self.table.look_among(speaker.paths, speaker.heard)
            speaker.on_change(partial(self._heed, speaker))
            if len(self.table):
                self._soon()

    def close(self) -> None:
        """Forget the speaker and what it would have been told."""
        self._speaker = None
        for timer in (self._timer, self._forget):
            if timer is not None:
                timer.cancel()
        self._timer = self._forget = None

    def cost(self, next_hop: bytes) -> int | None:
        """Return how far a next hop is, None for out of reach."""
        found = self.table.cost(next_hop)
        if len(self.table) > self._sweep_at:
            self._soon()
        return found

    def put(self, prefix: str, *, cost: int = 0, via: Iterable[str] = (), is_blocked: bool = False) -> None:
        """A route is there: over a link, via these addresses, or one that drops packets if it is blocked."""
        self.table.put(prefix, NextHopRoute(cost, tuple(map(packed_address, via)), is_blocked))
        self._soon()

    def remove(self, prefix: str) -> None:
        """A route is gone."""
        self.table.remove(prefix)
        self._soon()

    def gateways(self, paths: Iterable[Path]) -> tuple[str, ...]:
        """Return the neighbours to which packets of these paths go, `Speaker.paths` of a prefix for example."""
        found: dict[bytes, None] = {}
        for path in paths:
            resolution = self.table.resolve(path.next_hop)
            found.update(dict.fromkeys(resolution.gateways if resolution else ()))
        return tuple(str(ip_address(gateway)) for gateway in found)

    def _heed(self, speaker: Speaker, changes: Sequence[Change]) -> None:
        if speaker is self._speaker and self.table.heed(changes):
            self._soon()

    def _soon(self) -> None:
        if self._speaker is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._tell)

    def _tell(self) -> None:
        self._timer = None
        if self._speaker is None:
            return
        if len(self.table) > self._sweep_at:
            self.table.forget_but(self._speaker.next_hops())
            self._sweep_at = max(SMALLEST_SWEEP, 2 * len(self.table))
        if changed := self.table.changed():
            if self._recursive:
                self._calm(changed)
            if self._on_moved is not None:
                self._on_moved(changed)
            self._speaker.next_hops_changed(str(ip_address(address)) for address in changed)

    def _calm(self, moved: Sequence[bytes]) -> None:
        """Hold next hops that do not come to rest; after a time all is forgotten, and they are tried again."""
        self._moves.update(moved)
        for address in moved:
            if self._moves[address] == MOST_MOVES:
                log.warning("next_hop_unstable", next_hop=str(ip_address(address)), seconds=HOLD_SECONDS)
                self.table.hold(address)
                self._soon()
        if self._forget is None:
            self._forget = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._forget = None
        self._moves.clear()
        self.table.release()
        self._soon()
