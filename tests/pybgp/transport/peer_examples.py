"""Peers on loopback addresses, and a way to wait for what they report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pybgp.session.config import PeerConfig
from pybgp.session.events import Event, SessionUp
from pybgp.transport.listener import Listener
from pybgp.transport.peer import Peer

T = TypeVar("T")
#: Long enough for a busy machine; nothing waits this long when all is well.
PATIENCE = 20.0
LEFT, RIGHT = "127.0.0.61", "127.0.0.62"


class Recorder:
    """A sink that remembers, and wakes those who wait."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.react: Callable[[Peer, Event], None] = lambda peer, event: None
        self._news = asyncio.Event()

    def __call__(self, peer: Peer, event: Event) -> None:
        self.events.append(event)
        self.react(peer, event)
        self._news.set()

    def of_kind(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    async def first(self, kind: type[T], number: int = 1) -> T:
        await self.until(lambda: len(self.of_kind(kind)) >= number)
        return self.of_kind(kind)[number - 1]


class Side:
    """A listener, a peer on it, and what the peer reported."""

    def __init__(self, listener: Listener, peer: Peer, recorder: Recorder) -> None:
        self.listener = listener
        self.peer = peer
        self.recorder = recorder

    async def up(self, number: int = 1) -> SessionUp:
        return await self.recorder.first(SessionUp, number)


@asynccontextmanager
async def listening(host: str, port: int = 0) -> AsyncIterator[Listener]:
    listener = Listener(host, port)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


def config(here: str, there: str, port: int, **changes: Any) -> PeerConfig:
    settings: dict[str, Any] = {
        "address": there,
        "remote_as": 65000,
        "local_as": 65000,
        "router_id": int(here.rsplit(".", maxsplit=1)[-1]),
        "local_address": here,
        "port": port,
        "idle_hold_time": 0.05,
    }
    return PeerConfig(**settings | changes)


@asynccontextmanager
async def two_sides(
    left: dict[str, Any] | None = None, right: dict[str, Any] | None = None, **arguments: Any
) -> AsyncIterator[tuple[Side, Side]]:
    """Two peers that can reach each other; the caller starts them."""
    async with listening(LEFT) as one, listening(RIGHT) as two:
        sides = []
        for listener, other, changes in ((one, two, left), (two, one, right)):
            recorder = Recorder()
            settings = config(listener.host, other.host, other.port, **(changes or {}))
            sides.append(Side(listener, Peer(settings, recorder, listeners=[listener], **arguments), recorder))
        try:
            yield sides[0], sides[1]
        finally:
            for side in sides:
                side.peer.stop()
            async with asyncio.timeout(PATIENCE):
                for side in sides:
                    await side.peer.wait_closed()


async def both_up(left: Side, right: Side) -> None:
    """Start both and wait for the session."""
    left.peer.start()
    right.peer.start()
    await left.up()
    await right.up()
