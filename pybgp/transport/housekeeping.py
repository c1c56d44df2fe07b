"""Gives memory back when changes pause: caches that were filled by what is gone are swept, a part in each turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pybgp.rib.tables import Rib
    from pybgp.transport.exporter import Exporter
    from pybgp.wire.attribute_store import AttributeStore

#: No change for so long is a pause; seconds.
PAUSE: Final = 2.0


class Housekeeping:
    """While changes go on the caches look after themselves, and may hold twice of what is needed; in a pause less."""

    def __init__(self, rib: Rib, exporter: Exporter, store: AttributeStore) -> None:
        """Nothing happens before the first change."""
        self._rib = rib
        self._exporter = exporter
        self._store = store
        self._has_changed = False
        self._handle: asyncio.Handle | None = None

    def changed(self) -> None:
        """Routes have changed."""
        self._has_changed = True
        if self._handle is None:
            self._wait()

    def close(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wait(self) -> None:
        self._has_changed = False
        self._handle = asyncio.get_running_loop().call_later(PAUSE, self._look)

    def _look(self) -> None:
        if self._has_changed:
            self._wait()
        else:
            self._go_on(self._parts())

    def _go_on(self, parts: Iterator[Callable[[], bool]]) -> None:
        """Sweep the next part; those that need no sweep cost no turn."""
        self._handle = None
        for sweep in parts:
            if sweep():
                self._handle = asyncio.get_running_loop().call_soon(self._go_on, parts)
                return

    def _parts(self) -> Iterator[Callable[[], bool]]:
        """Yield what can be swept, what uses something before what is used by it."""
        yield from self._exporter.sweeps()
        yield from self._rib.sweeps()
        yield from self._store.sweeps(self._rib.attribute_count())
