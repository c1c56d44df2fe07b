"""Who can reach whom: nodes by address, the links between them, and how a connection comes about."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pybgp.errors import LocalError
from pybgp.simulator.links import End, Link, join
from pybgp.transport.dialer import DialError
from pybgp.transport.peer_connection import PeerConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pybgp.session.config import PeerConfig
    from pybgp.transport.peer import Peer

REFUSED = "Socket: Connection refused"


class Host(Protocol):
    """What the network asks of a node."""

    name: str
    address: str
    local_as: int

    @property
    def is_running(self) -> bool:
        """Whether its process is there; a machine without one refuses connections."""

    def peer_at(self, address: str) -> Peer | None:
        """Return the peer that may connect from an address."""


class Network:
    """Nodes and links; connections run over the link between their two nodes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Empty."""
        self._loop = loop
        self._hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._links: dict[str, dict[str, Link]] = {}
        self._ways: dict[str, dict[str, tuple[int, str]]] = {}
        #: what each node has open, in order: sets of objects have another one in each run.
        self._ends: dict[str, dict[End, None]] = {}

    def add(self, host: Host) -> None:
        """Put a node in its place."""
        self._hosts[host.name] = self._by_address[host.address] = host
        self._links[host.name] = {}
        self._ends[host.name] = {}

    def connect(self, one: str, other: str, link: Link) -> None:
        """Put a link between two nodes."""
        self._links[one][other] = self._links[other][one] = link

    def link(self, one: str, other: str) -> Link:
        """Return the link between two nodes; LocalError if there is none."""
        link = self._links.get(one, {}).get(other)
        if link is None:
            raise LocalError(f"link {one}-{other}: there is none")
        return link

    def host_at(self, address: str) -> Host | None:
        """Return the node that has an address."""
        return self._by_address.get(address)

    def lose_connections(self, name: str) -> None:
        """The process of a node has died: its kernel closes what it had open."""
        ends, self._ends[name] = self._ends[name], {}
        for end in ends:
            end.die()

    def opener(self, name: str) -> Callable[[PeerConfig, Callable[[], PeerConnection]], Awaitable[None]]:
        """Return what opens the connections of a node (see `Peer`)."""

        async def open_connection(config: PeerConfig, protocol: Callable[[], PeerConnection]) -> None:
            await self._open(self._hosts[name], config, protocol)

        return open_connection

    # Forwarding

    def is_adjacent(self, one: str, other: str) -> bool:
        """Whether the link between two nodes is there and whole."""
        link = self._links[one].get(other)
        return link is not None and not link.is_cut

    def links_changed(self) -> None:
        """Forget the ways that led over links which may be cut now, or be healed."""
        self._ways.clear()

    def toward(self, name: str, target: Host) -> tuple[int, str] | None:
        """Return how many hops away a node is, and the first of them; None if out of reach.

        Between nodes that are not neighbours only nodes of the first one's AS forward: those that share an IGP with it.
        """
        if self.is_adjacent(name, target.name):
            return 1, target.name
        ways = self._ways.get(target.name)
        if ways is None:
            ways = self._ways[target.name] = self._ways_to(target)
        return ways.get(name)

    def _ways_to(self, target: Host) -> dict[str, tuple[int, str]]:
        """Search from the target outwards: its neighbours, then what each of their ASes reaches through them."""
        ways = {target.name: (0, target.name)}
        waiting = deque([target])
        while waiting:
            here = waiting.popleft()
            distance = ways[here.name][0] + 1
            for name, link in self._links[here.name].items():
                host = self._hosts[name]
                is_inside = here is target or host.local_as == here.local_as
                if name not in ways and is_inside and not link.is_cut:
                    ways[name] = distance, here.name
                    waiting.append(host)
        return ways

    # Connections

    async def _open(self, host: Host, config: PeerConfig, protocol: Callable[[], PeerConnection]) -> None:
        other = self._by_address.get(config.address)
        link = self._links[host.name].get(other.name) if other is not None else None
        if other is None or link is None:
            raise DialError("Socket: No route to host")
        answer: asyncio.Future[None] = self._loop.create_future()

        def accepted(end: End) -> None:
            if answer.done():
                end.abort()
            else:
                self._keep(host, end)
                end.connect(protocol())
                answer.set_result(None)

        link.carry(lambda: self._called(host, other, link, answer, accepted))
        try:
            async with asyncio.timeout(config.connect_timeout):
                await answer
        except TimeoutError as error:
            raise DialError("Socket: Connection timed out") from error

    def _called(
        self,
        host: Host,
        other: Host,
        link: Link,
        answer: asyncio.Future[None],
        accepted: Callable[[End], None],
    ) -> None:
        """A SYN has arrived; the answer takes the same way back."""
        peer = other.peer_at(host.address) if other.is_running else None
        if peer is None or not peer.neighbor.is_enabled:
            link.carry(lambda: _refuse(answer))
            return
        there = join(link, host.address, other.address)
        there.send(accepted)
        self._keep(other, there)
        there.connect(PeerConnection(peer))

    def _keep(self, host: Host, end: End) -> None:
        """Remember what a node has open, one end for each of its neighbours and few more."""
        ends = self._ends[host.name]
        ends[end] = None
        if len(ends) > 2 * len(self._links[host.name]) + 8:
            self._ends[host.name] = {end: None for end in ends if not end.is_closing()}


def _refuse(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_exception(DialError(REFUSED))
