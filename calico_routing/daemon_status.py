"""The status document that the daemon answers with; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.session.config import PeerConfig
    from pybgp.transport.peer_status import PeerStatus

BGP_PORT: Final = 179
VERSION: Final = 1


def peer_document(name: str, status: PeerStatus, config: PeerConfig | None) -> dict[str, Any]:
    """Return one peer; the port is there only where it is not BGP's own."""
    negotiated = status.negotiated
    return {
        "name": name,
        "address": status.address,
        "port": status.port if status.port != BGP_PORT else None,
        "remote_as": status.remote_as,
        "local_as": config.local_as if config is not None else None,
        "state": status.state,
        "protocol_state": status.protocol_state,
        "since": status.since,
        "last_error": status.last_error,
        "description": status.description,
        "uptime": status.uptime,
        "passive": config.passive if config is not None else False,
        "families": sorted(map(str, negotiated.families)) if negotiated is not None else [],
        "hold_time": negotiated.hold_time if negotiated is not None else None,
        "received": dict(status.received or {}),
        "sent": dict(status.sent or {}),
        "established_count": status.established_count,
    }


def status_document(
    node: Mapping[str, Any], peers: Mapping[str, PeerStatus], configs: Mapping[str, PeerConfig]
) -> dict[str, Any]:
    """Return the whole document: the node's own facts, then its peers."""
    documents = [peer_document(name, status, configs.get(name)) for name, status in peers.items()]
    return {"version": VERSION, **node, "peers": documents}
