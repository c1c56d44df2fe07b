"""Which of two connections of one neighbour lives (RFC 4271 section 6.8, RFC 6286 section 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybgp.wire.messages import Open


def new_connection_wins(ours: Open, theirs: Open, *, new_is_incoming: bool) -> bool:
    """Whether the connection on which the OPEN arrived replaces the other one.

    The connection that the higher identifier opened survives; the larger AS number decides between equal identifiers.
    """
    peer_is_higher = (ours.router_id, ours.asn) < (theirs.router_id, theirs.asn)
    return peer_is_higher == new_is_incoming
