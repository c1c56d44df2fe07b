"""An asyncio event loop whose time is a number: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs tasks and timers in virtual time, in the same order every time; it has no sockets, pipes or signals."""

    def __init__(self) -> None:
        """Time begins at 0."""
        super().__init__()
        self._now = 0.0
        self._selector = _Clockwork(self)
        self._failure: BaseException | None = None

    def time(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._now += seconds

    def run_for(self, seconds: float) -> None:
        """Run everything that is due within so many virtual seconds; what a callback raises ends it, and is raised."""
        self._failure = None
        self.set_exception_handler(self._failed)
        sleeping = self.create_task(asyncio.sleep(seconds))
        try:
            self.run_until_complete(sleeping)
        except RuntimeError:
            if self._failure is None:
                raise
            failure = self._failure
            sleeping.cancel()
            self.run_until_complete(asyncio.wait([sleeping]))
            raise failure from None
        finally:
            self.set_exception_handler(None)

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Stop at the first error; what has none is logged as ever."""
        error = context.get("exception")
        if error is None:
            self.default_exception_handler(context)
        elif self._failure is None:
            self._failure = error
            self.stop()

    def _process_events(self, event_list: Sequence[object]) -> None:
        """Nothing outside of the loop has anything to tell."""

    def _write_to_self(self) -> None:
        """The loop never waits, so that nothing has to wake it."""


class _Clockwork:
    """Stands where a loop has its selector: instead of waiting for files it moves the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> Sequence[object]:
        """Jump to the next timer."""
        if timeout is None:
            raise LocalError("simulation: nothing is left that could happen, and something still waits")
        if timeout > 0:
            self._loop.advance(timeout)
        return ()
