"""The neighbour at the other end of a link without addresses, found by its router advertisements (RFC 4861)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from pybgp.errors import LocalError
from pybgp.session.state_machine import State
from pybgp.transport.router_discovery import RouterDiscovery

if TYPE_CHECKING:
    from pybgp.session.config import PeerConfig
    from pybgp.transport.peering import Peering

log = structlog.get_logger("pybgp")


@dataclass(frozen=True, slots=True)
class LinkPeer:
    """Whoever is found on an interface; the template's address counts for nothing.

    For IPv4 routes over such a link both sides need ``extended_next_hop`` in the template.
    """

    interface: str
    template: PeerConfig
    #: Send and hear router advertisements, which takes the right to open raw sockets; without it
    #: `Speaker.link_neighbor` says who is there.
    discover: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        if not 0 < len(self.interface.encode()) < 16:
            raise LocalError(f"interface {self.interface!r}: 1 to 15 octets expected")

    def config_of(self, address: str) -> PeerConfig:
        """Return the settings of the neighbour at an address with its zone."""
        return replace(self.template, address=address)

    def keeps_session(self, fresh: LinkPeer) -> bool:
        """Say whether the step to new settings needs no new session."""
        return replace(self, template=fresh.template) == fresh and self.template.keeps_session(fresh.template)


class Host(Protocol):
    """What a speaker does for the neighbours of its links."""

    def add_linked(self, name: str, config: PeerConfig) -> Peering:
        """Take a neighbour in."""

    def reconfigure(self, peering: Peering, config: PeerConfig) -> None:
        """Give a neighbour another configuration while its session lives."""

    def remove_dynamic(self, peering: Peering) -> None:
        """Forget a neighbour."""


class LinkGuest:
    """One link and the neighbour that was found there."""

    def __init__(self, name: str, settings: LinkPeer, host: Host) -> None:
        """Nobody is looked for before ``start``."""
        self.settings = settings
        self.peering: Peering | None = None
        self._name = name
        self._host = host
        self._discovery = RouterDiscovery(settings.interface, self.found)

    def start(self) -> None:
        """Look for the neighbour."""
        if self.settings.discover:
            self._discovery.start()

    def stop(self) -> None:
        """Look for nobody any more; who was found stays."""
        self._discovery.stop()

    def close(self) -> None:
        """Look for nobody, and let the neighbour go."""
        self.stop()
        if self.peering is not None:
            self._host.remove_dynamic(self.peering)
            self.peering = None

    def reconfigure(self, settings: LinkPeer) -> None:
        """Take settings that keep the session."""
        self.settings = settings
        if self.peering is not None:
            self._host.reconfigure(self.peering, settings.config_of(self.peering.config.address))

    def found(self, address: str) -> None:
        """Take in whoever is at a link-local address, in place of one that is not there any more."""
        host, _, zone = address.partition("%")
        expected = LocalError(f"address {address!r}: one such as fe80::1%{self.settings.interface} expected")
        try:
            is_on_link = ipaddress.IPv6Address(host).is_link_local and zone == self.settings.interface
        except ValueError as error:
            raise expected from error
        if not is_on_link:
            raise expected
        peering = self.peering
        if peering is not None:
            if peering.config.address == address or peering.peer.neighbor.state is State.ESTABLISHED:
                return
            log.info("link_neighbor_moved", peer=self._name, old=peering.config.address, new=address)
            self._host.remove_dynamic(peering)
        self.peering = self._host.add_linked(self._name, self.settings.config_of(address))
