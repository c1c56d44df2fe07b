"""BGPConfiguration and BGPPeer (spec/calico.md section 1.5)."""

from __future__ import annotations

from calico_routing.model.fields import Document, Field, as_number, flag, number, part, parts, text, texts
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

DEFAULT_AS_NUMBER = 64512
DEFAULT_LISTEN_PORT = 179
#: metadata.name of the cluster-wide BGPConfiguration and FelixConfiguration; ``node.<name>`` is for one node.
DEFAULT = "default"
NODE_PREFIX = "node."


def read_cidr_objects(value: object) -> tuple[str, ...]:
    """Accept a list of objects with one member, ``cidr``."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and item.keys() == {"cidr"} for item in value):
        raise TypeError("must be a list of {cidr}")
    return tuple([str(item["cidr"]) for item in value])


def cidr_objects(attribute: str, path: str) -> Field:
    """Describe a list of objects with one member, ``cidr``."""
    return Field(attribute, path, read_cidr_objects, lambda cidrs: [{"cidr": cidr} for cidr in cidrs])


class Community(Document):
    """A BGP community with a name."""

    FIELDS: ClassVar = (text("name", "name"), text("value", "value"))
    name: str = ""
    value: str = ""


class PrefixAdvertisement(Document):
    """The communities that routes inside a prefix get."""

    FIELDS: ClassVar = (text("cidr", "cidr"), texts("communities", "communities"))
    cidr: str = ""
    communities: tuple[str, ...] = ()


class SecretKey(Document):
    """Where a password is kept: a key of a Secret in calico-node's namespace."""

    FIELDS: ClassVar = (
        text("name", "secretKeyRef.name"),
        text("key", "secretKeyRef.key"),
    )
    name: str = ""
    key: str = ""


class BGPConfiguration(Resource):
    """Settings of all speakers (``default``) or of one (``node.<name>``); None and empty text mean not set here."""

    KIND: ClassVar = "BGPConfiguration"
    PLURAL: ClassVar = "bgpconfigurations"
    FIELDS: ClassVar = (
        text("log_severity_screen", "spec.logSeverityScreen"),
        flag("node_to_node_mesh_enabled", "spec.nodeToNodeMeshEnabled", optional=True),
        as_number("as_number", "spec.asNumber"),
        number("listen_port", "spec.listenPort"),
        text("bind_mode", "spec.bindMode"),
        cidr_objects("service_cluster_ips", "spec.serviceClusterIPs"),
        cidr_objects("service_external_ips", "spec.serviceExternalIPs"),
        cidr_objects("service_load_balancer_ips", "spec.serviceLoadBalancerIPs"),
        text("service_load_balancer_aggregation", "spec.serviceLoadBalancerAggregation"),
        parts("communities", "spec.communities", Community),
        parts("prefix_advertisements", "spec.prefixAdvertisements", PrefixAdvertisement),
        part("node_mesh_password", "spec.nodeMeshPassword", SecretKey),
        text("node_mesh_max_restart_time", "spec.nodeMeshMaxRestartTime"),
        texts("ignored_interfaces", "spec.ignoredInterfaces"),
        text("local_workload_peering_ipv4", "spec.localWorkloadPeeringIPV4"),
        text("local_workload_peering_ipv6", "spec.localWorkloadPeeringIPV6"),
    )
    log_severity_screen: str = ""
    node_to_node_mesh_enabled: bool | None = None
    as_number: int | None = None
    listen_port: int | None = None
    bind_mode: str = ""
    service_cluster_ips: tuple[str, ...] = ()
    service_external_ips: tuple[str, ...] = ()
    service_load_balancer_ips: tuple[str, ...] = ()
    service_load_balancer_aggregation: str = ""
    communities: tuple[Community, ...] = ()
    prefix_advertisements: tuple[PrefixAdvertisement, ...] = ()
    node_mesh_password: SecretKey | None = None
    #: a Go duration such as ``2m0s``; see ``durations.parse_duration``.
    node_mesh_max_restart_time: str = ""
    ignored_interfaces: tuple[str, ...] = ()
    local_workload_peering_ipv4: str = ""
    local_workload_peering_ipv6: str = ""

    @property
    def mesh_enabled(self) -> bool:
        """Whether every node peers with every other; on unless switched off."""
        return self.node_to_node_mesh_enabled is not False

    @property
    def effective_as_number(self) -> int:
        """The AS number of nodes that have none of their own."""
        return self.as_number if self.as_number is not None else DEFAULT_AS_NUMBER

    @property
    def effective_listen_port(self) -> int:
        """The TCP port of the speakers."""
        return self.listen_port if self.listen_port is not None else DEFAULT_LISTEN_PORT


class BGPPeer(Resource):
    """A BGP neighbour of some nodes, given by address or by selector."""

    KIND: ClassVar = "BGPPeer"
    PLURAL: ClassVar = "bgppeers"
    FIELDS: ClassVar = (
        text("node", "spec.node"),
        text("node_selector", "spec.nodeSelector"),
        text("peer_ip", "spec.peerIP"),
        as_number("as_number", "spec.asNumber"),
        as_number("local_as_number", "spec.localASNumber"),
        text("peer_selector", "spec.peerSelector"),
        flag("keep_original_next_hop", "spec.keepOriginalNextHop"),
        text("next_hop_mode", "spec.nextHopMode"),
        part("password", "spec.password", SecretKey),
        text("source_address", "spec.sourceAddress"),
        text("max_restart_time", "spec.maxRestartTime"),
        text("keepalive_time", "spec.keepaliveTime"),
        number("num_allowed_local_as_numbers", "spec.numAllowedLocalASNumbers"),
        number("ttl_security", "spec.ttlSecurity"),
        text("reachable_by", "spec.reachableBy"),
        texts("filters", "spec.filters"),
        text("local_workload_selector", "spec.localWorkloadSelector"),
        text("reverse_peering", "spec.reversePeering"),
    )
    node: str = ""
    node_selector: str = ""
    #: ``1.2.3.4``, ``1.2.3.4:1179`` or ``[fd00::1]:1179``.
    peer_ip: str = ""
    as_number: int | None = None
    local_as_number: int | None = None
    peer_selector: str = ""
    keep_original_next_hop: bool = False
    next_hop_mode: str = ""
    password: SecretKey | None = None
    source_address: str = ""
    max_restart_time: str = ""
    keepalive_time: str = ""
    num_allowed_local_as_numbers: int | None = None
    ttl_security: int | None = None
    reachable_by: str = ""
    filters: tuple[str, ...] = ()
    local_workload_selector: str = ""
    reverse_peering: str = ""

    @property
    def is_global(self) -> bool:
        """Whether all nodes have this neighbour."""
        return not self.node and not self.node_selector
