"""The address of a node's tunnel device (spec/calico.md section 2.8)."""

from __future__ import annotations

from calico_routing.datastore.interface import ConflictError
from calico_routing.ipam.errors import IpamError, NotAssignedError, StaleReleaseError
from calico_routing.ipam.pools import is_usable, load_pools, pool_holding, selects_node
from calico_routing.ipam.requests import AssignRequest, ReleaseRequest
from calico_routing.ipam.retries import attempts
from calico_routing.model.nodes import Node
from calico_routing.model.pools import NEVER, TUNNEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.allocator import Allocator
    from calico_routing.ipam.requests import Assignment
    from calico_routing.model.pools import IPPool

ADDRESS_TYPE: Final = "ipipTunnelAddress"


def tunnel_handle(node_name: str) -> str:
    """Return the handle of a node's IPIP tunnel address (section 2.7)."""
    return f"ipip-tunnel-addr-{node_name}"


def tunnel_attributes(node_name: str) -> dict[str, str]:
    """Return what is stored beside a node's IPIP tunnel address (section 2.7)."""
    return {"node": node_name, "type": ADDRESS_TYPE}


def ensure_ipip_tunnel_address(datastore: Datastore, allocator: Allocator, node_name: str) -> Node:
    """Make the Node's IPIP tunnel address right for the pools as they are now, and return the Node as stored.

    The address is in ``node.ipv4_ipip_tunnel_address``; empty when no pool wants a tunnel.
    Safe to call at every change.  NotFoundError when there is no such Node, IpamError when no address is to be had.
    """
    node = datastore.get(Node, node_name)
    pools = [pool for pool in load_pools(datastore) if _wants_tunnel(pool, node.metadata.labels)]
    address = node.ipv4_ipip_tunnel_address
    if not pools:
        _release_all(allocator, node_name)
        return _store(datastore, node, "")
    if address:
        holder = _holder(allocator, address)
        if holder is None:
            _release_all(allocator, node_name)
        elif _is_ours(holder, node_name):
            if pool_holding(pools, address) is not None:
                return node
            _release_all(allocator, node_name)
        elif _is_anonymous(holder):
            return _register(datastore, allocator, node, pools, holder)
    else:
        _release_all(allocator, node_name)
    return _assign(datastore, allocator, node, pools)


def _wants_tunnel(pool: IPPool, labels: Mapping[str, str]) -> bool:
    return is_usable(pool, 4) and pool.ipip_mode != NEVER and TUNNEL in pool.allowed_uses and selects_node(pool, labels)


def _holder(allocator: Allocator, address: str) -> Assignment | None:
    try:
        return allocator.assignment(address)
    except NotAssignedError:
        return None


def _is_ours(holder: Assignment, node_name: str) -> bool:
    return holder.attributes.get("type") == ADDRESS_TYPE and holder.attributes.get("node") == node_name


def _is_anonymous(holder: Assignment) -> bool:
    """Tell whether a release before 3.5 has assigned the address, without saying for whom."""
    return holder.handle is None and not holder.attributes


def _register(
    datastore: Datastore, allocator: Allocator, node: Node, pools: Sequence[IPPool], holder: Assignment
) -> Node:
    """Take an anonymous address over under our handle; if it cannot be had, take another."""
    handle, attributes = tunnel_handle(node.name), tunnel_attributes(node.name)
    try:
        allocator.release_ips([ReleaseRequest(address=holder.address, sequence_number=holder.sequence_number)])
        allocator.assign_ip(holder.address, handle=handle, host=node.name, attributes=attributes, use=TUNNEL)
    except (IpamError, StaleReleaseError):
        return _assign(datastore, allocator, node, pools)
    return node


def _release_all(allocator: Allocator, node_name: str) -> None:
    try:
        allocator.release_by_handle(tunnel_handle(node_name))
    except NotAssignedError:
        return


def _assign(datastore: Datastore, allocator: Allocator, node: Node, pools: Sequence[IPPool]) -> Node:
    handle = tunnel_handle(node.name)
    request = AssignRequest(
        host=node.name,
        handle=handle,
        num4=1,
        attributes=tunnel_attributes(node.name),
        pools4=tuple([pool.cidr for pool in pools]),
        use=TUNNEL,
    )
    result = allocator.auto_assign(request).ipv4
    if not result.complete:
        raise IpamError(f"no tunnel address for node {node.name}: {result.shortfall}")
    address = result.addresses[0].partition("/")[0]
    try:
        return _store(datastore, node, address)
    except Exception:
        allocator.release_ips([ReleaseRequest(address=address, handle=handle)])
        raise


def _store(datastore: Datastore, node: Node, address: str) -> Node:
    """Write the address into the Node, whatever else changes there meanwhile."""
    for _ in attempts(f"tunnel address of node {node.name}"):
        if node.ipv4_ipip_tunnel_address == address:
            return node
        try:
            return datastore.update(node.replace(ipv4_ipip_tunnel_address=address))
        except ConflictError:
            node = datastore.get(Node, node.name)
    raise AssertionError("attempts() never ends quietly")
