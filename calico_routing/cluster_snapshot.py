"""What the agent knows of its cluster at one moment: an immutable value, and what routing asks of it; pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from calico_routing.export_policy import ExportRules
from calico_routing.model.allocation import PENDING, PENDING_DELETION, BlockAffinity
from calico_routing.model.bgp import DEFAULT, NODE_PREFIX, BGPConfiguration, BGPPeer
from calico_routing.model.cluster import FelixConfiguration
from calico_routing.model.nodes import Node
from calico_routing.model.pools import IPPool
from calico_routing.route_plan import PoolRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calico_routing.model.resource import Resource

#: What is watched.
KINDS: Final[tuple[type[Resource], ...]] = (Node, IPPool, BlockAffinity, BGPConfiguration, BGPPeer, FelixConfiguration)


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Resources by name, as one node needs them: of the block affinities only its own."""

    node_name: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    pools: Mapping[str, IPPool] = field(default_factory=dict)
    affinities: Mapping[str, BlockAffinity] = field(default_factory=dict)
    bgp_configurations: Mapping[str, BGPConfiguration] = field(default_factory=dict)
    bgp_peers: Mapping[str, BGPPeer] = field(default_factory=dict)
    felix_configurations: Mapping[str, FelixConfiguration] = field(default_factory=dict)

    @property
    def own_node(self) -> Node | None:
        """This node's resource, unless somebody deleted it."""
        return self.nodes.get(self.node_name)

    @property
    def bgp(self) -> BGPConfiguration:
        """The cluster-wide BGP settings, or the defaults."""
        return self.bgp_configurations.get(DEFAULT) or BGPConfiguration()

    def listen_port(self, node_name: str) -> int | None:
        """Return the port that is set for a node's speaker, for it alone or for all."""
        own = self.bgp_configurations.get(NODE_PREFIX + node_name)
        return own.listen_port if own is not None and own.listen_port is not None else self.bgp.listen_port

    def as_number(self, node: Node | None) -> int:
        """Return the AS number of a node: its own, else the cluster's."""
        return node.as_number if node is not None and node.as_number is not None else self.bgp.effective_as_number

    def blocks(self) -> tuple[str, ...]:
        """Return own blocks that get a blackhole: all but pending ones and single addresses (spec section 4.6)."""
        return tuple(
            sorted(
                affinity.cidr
                for affinity in self.affinities.values()
                if affinity.state != PENDING and not affinity.deleted and not is_single_address(affinity.cidr)
            )
        )

    def export_rules(self) -> ExportRules:
        """Return what decides about the routes that leave (spec section 4.6)."""
        kept = [item for item in self.affinities.values() if not item.deleted]
        pools = self.pools.values()
        return ExportRules(
            pools=frozenset(pool.cidr for pool in pools if not pool.disable_bgp_export),
            silent_pools=frozenset(pool.cidr for pool in pools if pool.disable_bgp_export),
            blocks=frozenset(item.cidr for item in kept if item.confirmed),
            leaving_blocks=frozenset(item.cidr for item in kept if item.state == PENDING_DELETION),
            advertisements=self._advertisements(),
        )

    def _advertisements(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return what is set for this node, else for all, names of communities replaced by their values."""
        own = self.bgp_configurations.get(NODE_PREFIX + self.node_name)
        source = own if own is not None and own.prefix_advertisements else self.bgp
        values = {community.name: community.value for community in (*self.bgp.communities, *source.communities)}
        return tuple(
            (item.cidr, tuple(values.get(name, name) for name in item.communities))
            for item in source.prefix_advertisements
        )

    def pool_rules(self) -> tuple[PoolRule, ...]:
        """Return how packets into each pool travel."""
        pools = sorted(self.pools.values(), key=lambda pool: pool.cidr)
        return tuple(PoolRule(pool.cidr, pool.ipip_mode, pool.vxlan_mode) for pool in pools)


def is_single_address(cidr: str) -> bool:
    """Tell whether a prefix holds one address only."""
    network = ipaddress.ip_network(cidr)
    return network.prefixlen == network.max_prefixlen


def take_snapshot(node_name: str, resources: Iterable[Resource]) -> ClusterSnapshot:
    """Sort resources by kind; block affinities of other nodes are left out."""
    by_kind: dict[type[Resource], dict[str, Any]] = {kind: {} for kind in KINDS}  # Any: each mapping has its own kind
    for resource in sorted(resources, key=lambda resource: resource.name):
        if not isinstance(resource, BlockAffinity) or resource.node == node_name:
            by_kind[type(resource)][resource.name] = resource
    return ClusterSnapshot(
        node_name,
        nodes=by_kind[Node],
        pools=by_kind[IPPool],
        affinities=by_kind[BlockAffinity],
        bgp_configurations=by_kind[BGPConfiguration],
        bgp_peers=by_kind[BGPPeer],
        felix_configurations=by_kind[FelixConfiguration],
    )
