"""The address of a node's tunnel device (spec/calico.md section 2.8)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.allocator import Allocator
    from calico_routing.model.resources import Node


def ensure_ipip_tunnel_address(datastore: Datastore, allocator: Allocator, node_name: str) -> Node:
    """Make the Node's IPIP tunnel address right for the pools as they are now, and return the Node as stored.

    The address is in ``node.ipv4_ipip_tunnel_address``; empty when no pool wants a tunnel.
    Safe to call at every change.
    """
    raise NotImplementedError
