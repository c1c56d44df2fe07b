"""Made-up clusters for the tests of the node agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calico_routing.cluster_snapshot import ClusterSnapshot, take_snapshot
from calico_routing.model.names import affinity_name
from calico_routing.model.resources import (
    BGPConfiguration,
    BGPPeer,
    BlockAffinity,
    IPPool,
    Metadata,
    Node,
    Resource,
)


def node(name: str, ipv4: str = "", *, labels: dict[str, str] | None = None, **fields: Any) -> Node:
    return Node(metadata=Metadata(name=name, labels=labels or {}), ipv4_address=ipv4, **fields)


def pool(name: str, cidr: str, **fields: Any) -> IPPool:
    return IPPool(metadata=Metadata(name=name), cidr=cidr, **fields)


def affinity(node_name: str, cidr: str, state: str = "confirmed", **fields: Any) -> BlockAffinity:
    name = affinity_name(node_name, cidr)
    return BlockAffinity(metadata=Metadata(name=name), node=node_name, cidr=cidr, state=state, **fields)


def configuration(name: str = "default", **fields: Any) -> BGPConfiguration:
    return BGPConfiguration(metadata=Metadata(name=name), **fields)


def bgp_peer(name: str, **fields: Any) -> BGPPeer:
    return BGPPeer(metadata=Metadata(name=name), **fields)


MESH = (
    node("master-01", "10.0.0.11/24"),
    node("worker-01", "10.0.0.12/24"),
    node("worker-02", "10.0.0.13/24"),
)


def snapshot(*more: Resource, own: str = "worker-01", nodes: Iterable[Node] = MESH) -> ClusterSnapshot:
    return take_snapshot(own, (*nodes, *more))
