"""Kernel events as an asynchronous iterator, made of a subscription."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from calico_routing.kernel.interface import KernelEvent, Subscriber


async def event_stream(subscribe: Callable[[Subscriber], Callable[[], None]]) -> AsyncIterator[KernelEvent]:
    """Every event from the first step of the iteration on, until the iterator is closed."""
    arrived: asyncio.Queue[KernelEvent] = asyncio.Queue()

    def keep(events: Sequence[KernelEvent]) -> None:
        for event in events:
            arrived.put_nowait(event)

    unsubscribe = subscribe(keep)
    try:
        while True:
            yield await arrived.get()
    finally:
        unsubscribe()
