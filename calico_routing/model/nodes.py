"""Node: the addresses and BGP settings of one machine (spec/calico.md section 1.4)."""

from __future__ import annotations

from calico_routing.model.fields import Document, as_number, parts, text, texts
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class OrchRef(Document):
    """The name that an orchestrator has for the node."""

    FIELDS: ClassVar = (text("node_name", "nodeName"), text("orchestrator", "orchestrator", always=True))
    node_name: str = ""
    orchestrator: str = ""


class NodeAddress(Document):
    """An address of the node and what it is for (CalicoNodeIP, InternalIP, ExternalIP)."""

    FIELDS: ClassVar = (text("address", "address", always=True), text("type", "type"))
    address: str = ""
    type: str = ""


class NodeInterface(Document):
    """A network interface of the node."""

    FIELDS: ClassVar = (text("name", "name"), texts("addresses", "addresses"))
    name: str = ""
    addresses: tuple[str, ...] = ()


class Node(Resource):
    """One machine of the cluster; empty text means that the value is not set."""

    KIND: ClassVar = "Node"
    PLURAL: ClassVar = "nodes"
    FIELDS: ClassVar = (
        text("ipv4_address", "spec.bgp.ipv4Address"),
        text("ipv6_address", "spec.bgp.ipv6Address"),
        as_number("as_number", "spec.bgp.asNumber"),
        text("ipv4_ipip_tunnel_address", "spec.bgp.ipv4IPIPTunnelAddr"),
        text("route_reflector_cluster_id", "spec.bgp.routeReflectorClusterID"),
        text("ipv4_vxlan_tunnel_address", "spec.ipv4VXLANTunnelAddr"),
        text("vxlan_tunnel_mac_address", "spec.vxlanTunnelMACAddr"),
        text("ipv6_vxlan_tunnel_address", "spec.ipv6VXLANTunnelAddr"),
        text("vxlan_tunnel_mac_address_v6", "spec.vxlanTunnelMACAddrV6"),
        text("ipv4_wireguard_address", "spec.wireguard.interfaceIPv4Address"),
        text("ipv6_wireguard_address", "spec.wireguard.interfaceIPv6Address"),
        parts("orch_refs", "spec.orchRefs", OrchRef),
        parts("addresses", "spec.addresses", NodeAddress),
        parts("interfaces", "spec.interfaces", NodeInterface),
        text("wireguard_public_key", "status.wireguardPublicKey"),
        text("wireguard_public_key_v6", "status.wireguardPublicKeyV6"),
        texts("pod_cidrs", "status.podCIDRs"),
    )
    #: with the prefix length of the node's subnet: ``10.0.0.5/24``.
    ipv4_address: str = ""
    ipv6_address: str = ""
    as_number: int | None = None
    ipv4_ipip_tunnel_address: str = ""
    route_reflector_cluster_id: str = ""
    ipv4_vxlan_tunnel_address: str = ""
    vxlan_tunnel_mac_address: str = ""
    ipv6_vxlan_tunnel_address: str = ""
    vxlan_tunnel_mac_address_v6: str = ""
    ipv4_wireguard_address: str = ""
    ipv6_wireguard_address: str = ""
    orch_refs: tuple[OrchRef, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    interfaces: tuple[NodeInterface, ...] = ()
    wireguard_public_key: str = ""
    wireguard_public_key_v6: str = ""
    pod_cidrs: tuple[str, ...] = ()
