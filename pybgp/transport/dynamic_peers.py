"""Neighbours that are not named in advance: whoever connects from a prefix."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from pybgp.errors import LocalError
from pybgp.session.state_machine import State

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

    from pybgp.session.config import PeerConfig
    from pybgp.transport.listener import Listener
    from pybgp.transport.peering import Peering

#: A stranger has no more time than this for its OPEN (spec section 15.3).
_OPEN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class DynamicPeers:
    """Every neighbour of a prefix, up to a limit; the template's address counts for nothing.

    A link-local prefix names its interface: "fe80::%eth0/64" is every neighbour on that link (unnumbered peering).
    """

    prefix: str
    template: PeerConfig
    limit: int = 100
    #: A neighbour that has been gone for so long, with no route kept for it, is forgotten.
    linger: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        host, slash, length = self.prefix.partition("/")
        try:
            ipaddress.ip_network(f"{host.partition('%')[0]}/{length}")
        except ValueError as error:
            raise LocalError(f"prefix {self.prefix!r}: a network such as 192.0.2.0/24 expected") from error
        if not slash:
            raise LocalError(f"prefix {self.prefix!r}: a network such as 192.0.2.0/24 expected")
        if self.limit < 1:
            raise LocalError(f"limit {self.limit}: at least 1 expected")
        if self.linger < 0:
            raise LocalError(f"linger {self.linger}: 0 or more seconds expected")

    def config_of(self, address: str) -> PeerConfig:
        """Return the settings of one neighbour: it connects, and has not long for its OPEN."""
        template = self.template
        return replace(template, address=address, passive=True, open_time=min(template.open_time, _OPEN_SECONDS))

    def keeps_sessions(self, fresh: DynamicPeers) -> bool:
        """Say whether the step to new settings needs no new sessions."""
        return replace(self, template=fresh.template) == fresh and self.template.keeps_session(fresh.template)


class Host(Protocol):
    """What a speaker does for its dynamic neighbours."""

    def add_dynamic(self, name: str, config: PeerConfig) -> Peering:
        """Take a neighbour in."""

    def reconfigure(self, peering: Peering, config: PeerConfig) -> None:
        """Give a neighbour another configuration while its session lives."""

    def remove_dynamic(self, peering: Peering) -> None:
        """Forget a neighbour."""


class DynamicGroup:
    """The neighbours of one prefix that have come so far."""

    def __init__(self, name: str, settings: DynamicPeers, host: Host, listeners: Sequence[Listener]) -> None:
        """Nobody is let in before ``start``."""
        self.settings = settings
        self.members: dict[str, Peering] = {}
        self._name = name
        self._host = host
        version = ipaddress.ip_address(settings.prefix.partition("/")[0]).version
        self._listeners = [listener for listener in listeners if ipaddress.ip_address(listener.host).version == version]
        self._reaping: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Let them in; LocalError if their connections could not be authenticated."""
        template = self.settings.template
        for listener in self._listeners:
            listener.admit_range(self.settings.prefix, self._accept, template.password, template.tcp_ao)

    def stop(self) -> None:
        """Let nobody in any more; those who are in stay."""
        template = self.settings.template
        for listener in self._listeners:
            listener.dismiss(self.settings.prefix, template.password, template.tcp_ao)
        for handle in self._reaping.values():
            handle.cancel()
        self._reaping.clear()

    def close(self) -> None:
        """Let nobody in any more, and everybody go."""
        self.stop()
        for peering in tuple(self.members.values()):
            self._host.remove_dynamic(peering)
        self.members.clear()

    def reconfigure(self, settings: DynamicPeers) -> None:
        """Take settings that keep the sessions."""
        old, new = self.settings.template.password, settings.template.password
        self.settings = settings
        if old != new:
            for listener in self._listeners:
                listener.change_password(settings.prefix, old, new)
        for address, peering in self.members.items():
            self._host.reconfigure(peering, settings.config_of(address))
            peering.config = peering.peer.config

    def forget(self, address: str) -> None:
        """Let one neighbour go; it has been configured by name."""
        if (peering := self.members.pop(address, None)) is not None:
            self._host.remove_dynamic(peering)

    def state_changed(self, peering: Peering, state: State) -> None:
        """Note that a neighbour went, so that it is forgotten in time, or that it is back."""
        address = peering.config.address
        if (handle := self._reaping.pop(address, None)) is not None:
            handle.cancel()
        if state < State.OPEN_SENT and address in self.members:
            self._reap_later(address)

    def _reap_later(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        self._reaping[address] = loop.call_later(self.settings.linger, self._reap, address)

    def _reap(self, address: str) -> None:
        """Forget a neighbour, unless its routes are kept for its return, or it rests after a failure."""
        del self._reaping[address]
        peering = self.members[address]
        neighbor = peering.peer.neighbor
        is_resting = neighbor.state is State.IDLE and (neighbor.next_timer() is not None or not neighbor.is_enabled)
        if peering.retention.stale or is_resting:
            self._reap_later(address)
        else:
            self.forget(address)

    def _accept(self, connection: socket.socket, address: str) -> str:
        peering = self.members.get(address)
        if peering is None:
            if len(self.members) >= self.settings.limit:
                return f"limit of {self.settings.limit} neighbours"
            peering = self._host.add_dynamic(f"{self._name}/{address}", self.settings.config_of(address))
            self.members[address] = peering
            self._reap_later(address)
        peering.peer.accept(connection)
        return ""


def member_of(groups: Iterable[DynamicGroup], peering: Peering) -> DynamicGroup | None:
    """Return the group that a neighbour belongs to; None: it is configured by name."""
    return next((group for group in groups if group.members.get(peering.config.address) is peering), None)
