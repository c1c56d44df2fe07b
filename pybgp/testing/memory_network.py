"""Fake peers and speakers in one process without sockets, and a clock that jumps."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from pybgp.errors import LocalError
from pybgp.simulator.links import Link, LinkQuality, join
from pybgp.simulator.virtual_loop import VirtualLoop
from pybgp.transport.dialer import DialError
from pybgp.transport.peer import Peer
from pybgp.transport.peer_connection import PeerConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pybgp.session.config import PeerConfig
    from pybgp.testing.fake_peer import FakeConnection, FakePeer

T = TypeVar("T")
_REFUSED = "Socket: Connection refused"
#: What the speaker under test is called here.
_SPEAKER = "192.0.2.1"


class MemoryNetwork:
    """Joins one speaker to any number of fake peers: ``Speaker(config, make_peer=network.make_peer)``.

    All that is random is decided by ``seed``, so that a run is the same every time.
    """

    def __init__(self, quality: LinkQuality | None = None, *, seed: int = 0) -> None:
        """Give it the quality of all its links; 1 ms of latency and no loss by default."""
        self._quality = quality or LinkQuality()
        self._random = Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._fakes: dict[str, FakePeer] = {}
        self._links: dict[str, Link] = {}
        self._peers: dict[str, Peer] = {}

    def add(self, fake: FakePeer) -> None:
        """Take in a fake peer, which does it by itself; LocalError if its address is taken."""
        if fake.address in self._fakes:
            raise LocalError(f"address {fake.address!r}: there are two fake peers with it")
        self._fakes[fake.address] = fake

    def remove(self, fake: FakePeer) -> None:
        """Forget a fake peer: its address refuses connections."""
        self._fakes.pop(fake.address, None)

    def link(self, address: str) -> Link:
        """Return the link to a fake peer, to be cut and healed."""
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = Link(self._quality, asyncio.get_running_loop(), self._random)
        return link

    def make_peer(self, config: PeerConfig, *arguments: Any, **options: Any) -> Peer:  # those of Peer
        """Make a peer of the speaker under test, whose connections are opened here."""
        clock = asyncio.get_running_loop().time
        peer = Peer(config, *arguments, clock=clock, random=self._random.random, opener=self._open, **options)
        self._peers[config.address] = peer
        return peer

    async def _open(self, config: PeerConfig, protocol: Callable[[], PeerConnection]) -> None:
        """Connect the speaker to a fake peer."""
        fake = self._fakes.get(config.address)
        if fake is None:
            raise DialError(_REFUSED)
        there = join(self.link(config.address), _SPEAKER, config.address)
        here = there.other
        if here is None:
            raise DialError(_REFUSED)
        there.connect(fake.accepted())
        here.connect(protocol())

    def call(self, address: str, connection: FakeConnection) -> None:
        """Connect a fake peer to the speaker; LocalError if that does not know it."""
        peer = self._peers.get(address)
        if peer is None or not peer.neighbor.is_enabled:
            raise LocalError(f"address {address!r}: the speaker has no such peer, or it is not started")
        there = join(self.link(address), address, _SPEAKER)
        there.connect(PeerConnection(peer))
        if there.other is not None:
            there.other.connect(connection)


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine like `asyncio.run`, with a clock that jumps to the next timer: an hour costs no time.

    There are no sockets in it; `MemoryNetwork` joins what would need some.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
