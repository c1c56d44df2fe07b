"""The rules of spec/calico.md sections 1.2 to 1.6, one line each."""

from __future__ import annotations

from typing import Any

import pytest

from calico_routing.model.errors import ValidationError
from calico_routing.model.resource import Resource
from calico_routing.model.resources import (
    BGPConfiguration,
    BGPPeer,
    BlockAffinity,
    Community,
    IPAMBlock,
    IPAMConfig,
    IPAMHandle,
    IPPool,
    IPReservation,
    Metadata,
    Node,
    PrefixAdvertisement,
    SecretKey,
    WorkloadEndpoint,
)
from calico_routing.model.validation import parse_peer_address, validate, validate_update, with_defaults


def named(kind: type[Resource], name: str = "x", namespace: str = "", **fields: Any) -> Resource:
    return with_defaults(kind(metadata=Metadata(name=name, namespace=namespace), **fields))


def pool(**fields: Any) -> Resource:
    return named(IPPool, **{"cidr": "10.0.0.0/16", **fields})


def peer(**fields: Any) -> Resource:
    return named(BGPPeer, **{"peer_ip": "10.0.0.1", "as_number": 65001, **fields})


def default(**fields: Any) -> Resource:
    return named(BGPConfiguration, "default", **fields)


ADVERTISED = (PrefixAdvertisement(cidr="10.0.0.0/16", communities=("c",)),)

VALID = [
    pool(),
    pool(block_size=20),
    pool(block_size=32),
    pool(cidr="fd00::/48"),
    pool(cidr="fd00::/112", block_size=116),
    pool(cidr="fd00::/112", block_size=128, vxlan_mode="Always"),
    pool(cidr="10.0.0.0/28", disabled=True),
    pool(ipip_mode="CrossSubnet", node_selector='rack == "7"'),
    pool(allowed_uses=("LoadBalancer",)),
    named(IPReservation, reserved_cidrs=("10.0.0.0/29", "10.0.0.1")),
    named(IPAMConfig, "default", strict_affinity=True, auto_allocate_blocks=False, max_blocks_per_host=3),
    named(Node, ipv4_address="10.0.0.5/24", ipv6_address="fd00::5/64", as_number=4294967295),
    named(Node, "N0DE.example"),
    default(),
    default(as_number=64512, node_to_node_mesh_enabled=False),
    default(communities=(Community(name="c", value="63400:120"),), prefix_advertisements=ADVERTISED),
    named(BGPConfiguration, "node.worker-01", listen_port=1179),
    peer(),
    peer(peer_ip="10.0.0.1:1179", node="worker-01"),
    peer(peer_ip="[fd00::1]:1179", node_selector="all()"),
    peer(peer_ip="", peer_selector="has(rr)", as_number=None),
    peer(peer_ip="", local_workload_selector="all()"),
    peer(reachable_by="10.9.9.9", ttl_security=255, max_restart_time="2m0s"),
    named(IPAMHandle, "h", handle_id="H", block={"10.0.0.0/26": 1}),
    named(WorkloadEndpoint, namespace="default", ip_networks=("10.0.0.1/32", "fd00::1/128")),
]

INVALID = [
    (pool(cidr=""), "spec.cidr"),
    (pool(cidr="10.0.0.0"), "spec.cidr"),
    (pool(cidr="10.0.0.1/16"), "spec.cidr"),
    (pool(cidr="169.254.0.0/17"), "spec.cidr"),
    (pool(cidr="0.0.0.0/0"), "spec.cidr"),
    (pool(cidr="fe80::/16"), "spec.cidr"),
    (pool(block_size=19), "spec.blockSize"),
    (pool(block_size=33), "spec.blockSize"),
    (pool(cidr="fd00::/48", block_size=115), "spec.blockSize"),
    (pool(cidr="fd00::/48", block_size=129), "spec.blockSize"),
    (pool(cidr="fd00::/48", block_size=26), "spec.blockSize"),
    (pool(cidr="10.0.0.0/27"), "spec.blockSize"),
    (pool(cidr="fd00::/48", ipip_mode="Always"), "spec.ipipMode"),
    (pool(ipip_mode="Always", vxlan_mode="CrossSubnet"), "spec.vxlanMode"),
    (pool(ipip_mode="always"), "spec.ipipMode"),
    (pool(node_selector="has("), "spec.nodeSelector"),
    (pool(node_selector="global()"), "spec.nodeSelector"),
    (pool(namespace_selector="all()"), "spec.namespaceSelector"),
    (pool(allowed_uses=("Workload", "LoadBalancer")), "spec.allowedUses"),
    (pool(allowed_uses=("LoadBalancer",), ipip_mode="Always"), "spec.allowedUses"),
    (pool(allowed_uses=("LoadBalancer",), disable_bgp_export=True), "spec.disableBGPExport"),
    (pool(allowed_uses=("LoadBalancer",), node_selector="has(a)"), "spec.nodeSelector"),
    (pool(allowed_uses=("Other",)), "spec.allowedUses"),
    (pool(assignment_mode="Sometimes"), "spec.assignmentMode"),
    (named(IPPool, "", cidr="10.0.0.0/16"), "metadata.name"),
    (named(IPPool, "a/b", cidr="10.0.0.0/16"), "metadata.name"),
    (named(IPPool, "a" * 254, cidr="10.0.0.0/16"), "metadata.name"),
    (named(IPPool, namespace="default", cidr="10.0.0.0/16"), "metadata.namespace"),
    (named(WorkloadEndpoint), "metadata.namespace"),
    (named(WorkloadEndpoint, namespace="d", ip_networks=("10.0.0.0/31",)), "spec.ipNetworks"),
    (named(WorkloadEndpoint, namespace="d", interface_name="cali0123456789abcdef"), "spec.interfaceName"),
    (named(IPReservation, reserved_cidrs=("10.0.0.1/29",)), "spec.reservedCIDRs"),
    (named(IPAMConfig, "other"), "metadata.name"),
    (named(IPAMConfig, "default", auto_allocate_blocks=False), "spec.autoAllocateBlocks"),
    (named(IPAMConfig, "default", max_blocks_per_host=1), "spec.maxBlocksPerHost"),
    (named(IPAMConfig, "default", strict_affinity=True, max_blocks_per_host=-1), "spec.maxBlocksPerHost"),
    (named(Node, ipv4_address="10.0.0.5"), "spec.bgp.ipv4Address"),
    (named(Node, ipv4_address="fd00::5/64"), "spec.bgp.ipv4Address"),
    (named(Node, ipv6_address="10.0.0.5/24"), "spec.bgp.ipv6Address"),
    (named(Node, as_number=0), "spec.bgp.asNumber"),
    (named(Node, as_number=4294967296), "spec.bgp.asNumber"),
    (named(Node, route_reflector_cluster_id="one"), "spec.bgp.routeReflectorClusterID"),
    (named(BGPConfiguration, "other"), "metadata.name"),
    (named(BGPConfiguration, "node.a", as_number=65000), "spec.asNumber"),
    (named(BGPConfiguration, "node.a", node_to_node_mesh_enabled=False), "spec.nodeToNodeMeshEnabled"),
    (default(listen_port=0), "spec.listenPort"),
    (default(listen_port=65536), "spec.listenPort"),
    (default(bind_mode="All"), "spec.bindMode"),
    (default(service_cluster_ips=("10.96.0.1/12",)), "spec.serviceClusterIPs"),
    (default(communities=(Community(name="c", value="1:2"),)), "spec.communities"),
    (
        default(communities=(Community(name="c", value="1:70000"),), prefix_advertisements=ADVERTISED),
        "spec.communities",
    ),
    (default(prefix_advertisements=ADVERTISED), "spec.prefixAdvertisements"),
    (
        default(node_to_node_mesh_enabled=False, node_mesh_password=SecretKey(name="s", key="k")),
        "spec.nodeMeshPassword",
    ),
    (default(node_mesh_max_restart_time="soon"), "spec.nodeMeshMaxRestartTime"),
    (peer(node="a", node_selector="all()"), "spec.nodeSelector"),
    (peer(peer_selector="all()", as_number=None), "spec.peerIP"),
    (peer(peer_ip="", peer_selector="all()"), "spec.asNumber"),
    (peer(peer_ip=""), "spec.peerIP"),
    (peer(peer_ip="10.0.0.1:0"), "spec.peerIP"),
    (peer(peer_ip="10.0.0.1:"), "spec.peerIP"),
    (peer(peer_ip="[10.0.0.1]:179"), "spec.peerIP"),
    (peer(as_number=None), "spec.asNumber"),
    (peer(as_number=0), "spec.asNumber"),
    (peer(keep_original_next_hop=True, next_hop_mode="Self"), "spec.nextHopMode"),
    (peer(next_hop_mode="Other"), "spec.nextHopMode"),
    (peer(source_address="10.0.0.2"), "spec.sourceAddress"),
    (peer(ttl_security=0), "spec.ttlSecurity"),
    (peer(ttl_security=256), "spec.ttlSecurity"),
    (peer(reachable_by="fd00::1"), "spec.reachableBy"),
    (peer(reachable_by="gateway"), "spec.reachableBy"),
    (peer(password=SecretKey(name="s")), "spec.password"),
    (peer(local_workload_selector="all()"), "spec.peerIP"),
    (peer(reverse_peering="Never"), "spec.reversePeering"),
    (named(IPAMBlock, "10-0-0-0-26", cidr="10.0.1.0/26"), "metadata.name"),
    (named(IPAMBlock, "10-0-0-0-26", cidr="10.0.0.0/26", affinity="worker-01"), "spec.affinity"),
    (named(BlockAffinity, "n-10-0-0-0-26", node="m", cidr="10.0.0.0/26"), "metadata.name"),
    (named(BlockAffinity, "n-10-0-0-0-26", node="n", cidr="10.0.0.0/26", state="maybe"), "spec.state"),
    (named(IPAMHandle, "h", handle_id="other"), "metadata.name"),
    (named(IPAMHandle, "h", handle_id="h", block={"10.0.0.0/26": -1}), "spec.block"),
]


@pytest.mark.parametrize("resource", VALID)
def test_valid(resource: Resource) -> None:
    validate(resource)


@pytest.mark.parametrize(("resource", "field"), INVALID)
def test_invalid(resource: Resource, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(resource)
    assert field in [problem.field for problem in caught.value.problems]
    assert "\n" not in str(caught.value)
    assert field in str(caught.value)


def test_every_problem_is_listed() -> None:
    with pytest.raises(ValidationError) as caught:
        validate(pool(block_size=33, ipip_mode="Always", vxlan_mode="Always", assignment_mode="x"))
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["spec.blockSize", "spec.vxlanMode", "spec.assignmentMode"]
    assert "spec.blockSize: must be in 20..32 for IPv4 (got 33)" in str(caught.value)


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.0.128.0/17", "10.0.0.0/8"])
def test_overlapping_pools_are_refused(cidr: str) -> None:
    other = named(IPPool, "other", cidr="10.0.0.0/16")
    assert isinstance(other, IPPool)
    with pytest.raises(ValidationError, match=r"overlaps IPPool other \(10\.0\.0\.0/16\)"):
        validate(pool(cidr=cidr), [other])
    validate(pool(cidr="10.1.0.0/16"), [other])
    validate(pool(cidr="fd00::/48"), [other])


def test_what_a_pool_may_not_change() -> None:
    old = pool()
    validate_update(old, pool(nat_outgoing=True, disabled=True, node_selector="has(a)"))
    with pytest.raises(ValidationError, match="IPPool CIDR cannot be modified"):
        validate_update(old, pool(cidr="10.1.0.0/16"))
    with pytest.raises(ValidationError, match="IPPool blockSize cannot be modified"):
        validate_update(old, pool(block_size=28))
    with pytest.raises(ValidationError, match="away from LoadBalancer"):
        validate_update(pool(allowed_uses=("LoadBalancer",)), old)


def test_peer_addresses() -> None:
    assert parse_peer_address("10.0.0.1") == ("10.0.0.1", None)
    assert parse_peer_address("10.0.0.1:1179") == ("10.0.0.1", 1179)
    assert parse_peer_address("fd00::1") == ("fd00::1", None)
    assert parse_peer_address("[fd00::1]:1179") == ("fd00::1", 1179)
    assert parse_peer_address("[fd00::1]") == ("fd00::1", None)
