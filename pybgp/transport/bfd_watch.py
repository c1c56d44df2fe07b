"""What BFD tells a BGP speaker: a path that is lost ends the session at once (RFC 5882, RFC 9384)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from pybgp.errors import LocalError
from pybgp.wire.iana import CeaseSubcode

if TYPE_CHECKING:
    from pybgp.bfd.session import Session, StateChanged
    from pybgp.transport.bfd_endpoint import BfdEndpoint, BfdStatus
    from pybgp.transport.peer import Peer

log = structlog.get_logger("pybgp")


class BfdWatch:
    """The BFD sessions of a speaker's peers; each begins with the peer's first BGP session and outlives it."""

    def __init__(self, endpoint: BfdEndpoint) -> None:
        """Several speakers may share an endpoint."""
        self._endpoint = endpoint
        self._sessions: dict[Peer, tuple[str, Session]] = {}

    def session_up(self, peer: Peer) -> None:
        """Watch the path to a peer whose BGP session is up, if it is configured so."""
        config, local_address = peer.config.bfd, peer.local_address
        watched_address, _ = self._sessions.get(peer, ("", None))
        if config is None or watched_address == local_address:
            return
        self.forget(peer)
        try:
            session = self._endpoint.add(
                config,
                local_address,
                peer.config.address,
                interface=peer.config.interface or "",
                on_change=partial(self._changed, peer),
            )
        except LocalError as error:
            log.warning("bfd_failed", peer=peer.config.address, error=str(error))
            return
        self._sessions[peer] = (local_address, session)

    def forget(self, peer: Peer) -> None:
        """The peer is no longer configured, or speaks from another address."""
        _, session = self._sessions.pop(peer, ("", None))
        if session is not None:
            self._endpoint.remove(session)

    def status(self, peer: Peer) -> BfdStatus | None:
        """Return what is seen of the path to a peer; None where it is not watched."""
        _, session = self._sessions.get(peer, ("", None))
        return None if session is None else self._endpoint.status(session)

    def close(self) -> None:
        """Stop watching."""
        self._sessions.clear()
        self._endpoint.close()

    def _changed(self, peer: Peer, event: StateChanged) -> None:
        log.info("bfd_state", peer=peer.config.address, state=event.new.name, diagnostic=event.diagnostic.name)
        if event.is_failure and peer.negotiated is not None:
            peer.reset(CeaseSubcode.BFD_DOWN)
