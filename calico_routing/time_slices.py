"""Long work in short turns: whatever else the event loop has to do comes in between."""

from __future__ import annotations

import asyncio
from itertools import islice
from time import thread_time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

T = TypeVar("T")

#: How much of the processor one turn may take.
SLICE_SECONDS: Final = 0.005
#: How many items lie between two looks at the clock.
_LOOK_EVERY: Final = 32


async def in_slices(
    lines: Iterable[str], slice_seconds: float = SLICE_SECONDS, *, look_every: int = _LOOK_EVERY
) -> AsyncIterator[bytes]:
    """Yield lines in bundles of one turn each; empty ones stand for work without a result.

    ``look_every`` is how many lines lie between two looks at the clock, fewer where a line may be long in the making.
    """
    bundle: list[str] = []
    began, count = thread_time(), 0
    for line in lines:
        if line:
            bundle.append(line)
        count += 1
        if count >= look_every:
            count = 0
            if thread_time() - began >= slice_seconds:
                if bundle:
                    yield "".join(bundle).encode()
                    bundle.clear()
                await asyncio.sleep(0)
                began = thread_time()
    if bundle:
        yield "".join(bundle).encode()


async def in_turns(items: Iterable[T], slice_seconds: float = SLICE_SECONDS) -> AsyncIterator[list[T]]:
    """Yield items in bundles; a turn ends where getting them, and whatever is done with them, has taken its time."""
    rest = iter(items)
    began = thread_time()
    while bundle := list(islice(rest, _LOOK_EVERY)):
        yield bundle
        if thread_time() - began >= slice_seconds:
            await asyncio.sleep(0)
            began = thread_time()
