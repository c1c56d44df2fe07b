"""WorkloadEndpoint: one interface of one pod or container (spec/calico.md section 1.6)."""

from __future__ import annotations

from calico_routing.model.fields import Document, parts, text, texts
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class AddressTranslation(Document):
    """An outside address that is translated to one of the endpoint."""

    FIELDS: ClassVar = (text("internal_ip", "internalIP"), text("external_ip", "externalIP"))
    internal_ip: str = ""
    external_ip: str = ""


class WorkloadEndpoint(Resource):
    """What networking knows of a pod's interface."""

    KIND: ClassVar = "WorkloadEndpoint"
    PLURAL: ClassVar = "workloadendpoints"
    NAMESPACED: ClassVar = True
    FIELDS: ClassVar = (
        text("orchestrator", "spec.orchestrator"),
        text("workload", "spec.workload"),
        text("node", "spec.node"),
        text("container_id", "spec.containerID"),
        text("pod", "spec.pod"),
        text("endpoint", "spec.endpoint"),
        text("service_account_name", "spec.serviceAccountName"),
        texts("ip_networks", "spec.ipNetworks"),
        parts("ip_nats", "spec.ipNATs", AddressTranslation),
        text("ipv4_gateway", "spec.ipv4Gateway"),
        text("ipv6_gateway", "spec.ipv6Gateway"),
        texts("profiles", "spec.profiles"),
        text("interface_name", "spec.interfaceName"),
        text("mac", "spec.mac"),
        texts("allow_spoofed_source_prefixes", "spec.allowSpoofedSourcePrefixes"),
    )
    orchestrator: str = ""
    workload: str = ""
    node: str = ""
    container_id: str = ""
    pod: str = ""
    endpoint: str = ""
    service_account_name: str = ""
    #: /32 and /128 CIDRs.
    ip_networks: tuple[str, ...] = ()
    ip_nats: tuple[AddressTranslation, ...] = ()
    ipv4_gateway: str = ""
    ipv6_gateway: str = ""
    profiles: tuple[str, ...] = ()
    interface_name: str = ""
    mac: str = ""
    allow_spoofed_source_prefixes: tuple[str, ...] = ()
