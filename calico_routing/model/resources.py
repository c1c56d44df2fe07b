"""Every kind of resource, under one name."""

from __future__ import annotations

from calico_routing.model.allocation import AllocationAttribute, BlockAffinity, IPAMBlock, IPAMConfig, IPAMHandle
from calico_routing.model.bgp import BGPConfiguration, BGPPeer, Community, PrefixAdvertisement, SecretKey
from calico_routing.model.cluster import ClusterInformation, FelixConfiguration
from calico_routing.model.nodes import Node, NodeAddress, NodeInterface, OrchRef
from calico_routing.model.pools import IPPool, IPReservation
from calico_routing.model.resource import Metadata, OpaqueResource, Resource
from calico_routing.model.workloads import AddressTranslation, WorkloadEndpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: the kinds that a datastore keeps, in the order in which a cluster needs them.
KINDS: Final[tuple[type[Resource], ...]] = (
    ClusterInformation,
    FelixConfiguration,
    BGPConfiguration,
    BGPPeer,
    IPPool,
    IPReservation,
    Node,
    IPAMConfig,
    IPAMBlock,
    BlockAffinity,
    IPAMHandle,
    WorkloadEndpoint,
)

__all__ = [
    "KINDS",
    "AddressTranslation",
    "AllocationAttribute",
    "BGPConfiguration",
    "BGPPeer",
    "BlockAffinity",
    "ClusterInformation",
    "Community",
    "FelixConfiguration",
    "IPAMBlock",
    "IPAMConfig",
    "IPAMHandle",
    "IPPool",
    "IPReservation",
    "Metadata",
    "Node",
    "NodeAddress",
    "NodeInterface",
    "OpaqueResource",
    "OrchRef",
    "PrefixAdvertisement",
    "Resource",
    "SecretKey",
    "WorkloadEndpoint",
]
