"""Whether IPAM could serve an ADD now, from a few reads (STATUS, CNI section 3)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.model.allocation import IPAMBlock, IPAMConfig
from calico_routing.model.blocks import is_ipv6
from calico_routing.model.pools import AUTOMATIC, WORKLOAD, IPPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calico_routing.cni.config import NetworkConfig
    from calico_routing.datastore.interface import Datastore


def require_capacity(store: Datastore, config: NetworkConfig, node: str) -> None:
    """Every family that ADD would assign must have a free address (code 50)."""
    for wanted, ipv6 in ((config.ipam.assign_ipv4, False), (config.ipam.assign_ipv6, True)):
        if wanted and not _has_capacity(store, node, ipv6):
            family = "IPv6" if ipv6 else "IPv4"
            advice = "add or enlarge an IP pool, or delete workloads"
            raise CniError(ErrorCode.NOT_READY, f"no free {family} address for node {node}", advice)


def _has_capacity(store: Datastore, node: str, ipv6: bool) -> bool:
    """Own blocks first, as they usually have room; then unclaimed blocks; then other nodes' if borrowing is allowed."""
    blocks = [block for block in store.list(IPAMBlock).items if is_ipv6(block.cidr) == ipv6]
    if any(block.host == node and block.unallocated for block in blocks):
        return True
    pools = [pool for pool in store.list(IPPool).items if _usable(pool) and pool.is_ipv6 == ipv6]
    if any(_has_unclaimed_block(pool, blocks) for pool in pools):
        return True
    return bool(pools) and not _strict_affinity(store) and any(block.unallocated for block in blocks)


def _usable(pool: IPPool) -> bool:
    return not pool.disabled and WORKLOAD in pool.allowed_uses and pool.assignment_mode == AUTOMATIC


def _has_unclaimed_block(pool: IPPool, blocks: Iterable[IPAMBlock]) -> bool:
    network = ipaddress.ip_network(pool.cidr)
    claimed = sum(ipaddress.ip_address(block.cidr.partition("/")[0]) in network for block in blocks)
    return claimed < 1 << (pool.block_size - network.prefixlen)


def _strict_affinity(store: Datastore) -> bool:
    return any(config.strict_affinity for config in store.list(IPAMConfig).items)
