"""Resources as Calico keeps them in Kubernetes: CRDs, and annotations of Nodes and Pods (spec/calico.md section 1)."""

from __future__ import annotations

import json

from calico_routing.model.allocation import BlockAffinity, IPAMBlock
from calico_routing.model.blocks import parse_address, parse_network, version_of
from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.fields import read_as_number, read_document, write_document
from calico_routing.model.names import endpoint_name, hostname_hash
from calico_routing.model.nodes import Node, NodeInterface
from calico_routing.model.records import EMPTY
from calico_routing.model.resource import Metadata, OpaqueResource
from calico_routing.model.resources import KINDS
from calico_routing.model.v3_codec import decode_body, encode_body
from calico_routing.model.workloads import WorkloadEndpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from calico_routing.model.resource import Resource

API_VERSION = "crd.projectcalico.org/v1"
KINDS_BY_NAME: Final = {kind.KIND: kind for kind in KINDS if kind not in {Node, WorkloadEndpoint}}
METADATA_ANNOTATION = "projectcalico.org/metadata"
#: labels and annotations whose key contains one of these stand in the object's own metadata too.
SHARED_KEYS = ("projectcalico.org/", "operator.tigera.io/")
#: metadata that stands in the object itself and not in the annotation.
OWN_METADATA: Final[tuple[str, ...]] = ("name", "namespace", "uid", "resourceVersion")

NODE_PREFIX = "projectcalico.org/"
LABELS_ANNOTATION = f"{NODE_PREFIX}labels"
ANNOTATIONS_ANNOTATION = f"{NODE_PREFIX}annotations"
KUBERNETES_LABELS_ANNOTATION = f"{NODE_PREFIX}kube-labels"
INTERFACES_ANNOTATION = f"{NODE_PREFIX}Interfaces"
AS_NUMBER_ANNOTATION = f"{NODE_PREFIX}ASNumber"

POD_PREFIX = "cni.projectcalico.org/"


def decode_kdd(document: Mapping[str, Any]) -> Resource:  # Any: JSON
    """Read a CRD object, a Kubernetes Node or a Pod; ValidationError."""
    kind, api_version = str(document.get("kind")), str(document.get("apiVersion"))
    if api_version == "v1" and kind == "Node":
        return decode_node(document)
    if api_version == "v1" and kind == "Pod":
        return decode_pod(document)
    body = {key: value for key, value in document.items() if key not in {"kind", "apiVersion", "metadata"}}
    known = KINDS_BY_NAME.get(kind)
    metadata = _decode_metadata(document.get("metadata", {}), kind)
    if known is None:
        return OpaqueResource(kind=kind, api_version=api_version, metadata=metadata, extra=body)
    resource = decode_body(known, body)
    return resource.replace(metadata=metadata)


def _decode_metadata(document: dict[str, Any], kind: str) -> Metadata:  # Any: JSON
    """Merge the v3 metadata kept in an annotation with the object's own."""
    server = dict(document)
    annotations = dict(server.pop("annotations", None) or {})
    stored = _json_annotation(annotations.pop(METADATA_ANNOTATION, "{}"), kind)
    labels = dict(server.pop("labels", None) or {})
    merged: dict[str, Any] = {name: server.pop(name) for name in OWN_METADATA if name in server}  # Any: JSON
    for name, own in (("labels", labels), ("annotations", annotations)):
        shared = {key: value for key, value in own.items() if _is_shared(key)}
        foreign = {key: value for key, value in own.items() if not _is_shared(key)}
        if foreign:
            server[name] = foreign
        merged[name] = shared | (stored.pop(name, None) or {})
    return read_document(Metadata, {**stored, **merged}, subject=f"{kind} metadata", server=server)


def _is_shared(key: str) -> bool:
    return any(part in key for part in SHARED_KEYS)


def _json_annotation(value: str, kind: str) -> dict[str, Any]:  # Any: JSON
    try:
        stored = json.loads(value)
    except ValueError as error:
        problem = Problem(field=f"annotation {METADATA_ANNOTATION}", reason=f"is not JSON: {error}", value=value[:60])
        raise ValidationError(kind, [problem]) from error
    return stored if isinstance(stored, dict) else {}


def encode_kdd(resource: Resource) -> dict[str, Any]:  # Any: JSON
    """Write a resource as the object that Kubernetes keeps."""
    if isinstance(resource, Node):
        return encode_node(resource)
    if isinstance(resource, WorkloadEndpoint):
        return encode_pod(resource)
    kind, api_version = resource.KIND, API_VERSION
    if isinstance(resource, OpaqueResource):
        kind, api_version = resource.kind, resource.api_version
    elif isinstance(resource, BlockAffinity):
        resource = _labelled(resource)
    body = encode_body(resource)
    spec = body.get("spec", {})
    if isinstance(resource, BlockAffinity):
        spec["deleted"] = "true" if resource.deleted else "false"
    elif isinstance(resource, IPAMBlock):
        # Obsolete, and always written so.
        spec["strictAffinity"] = False
    body["metadata"] = _encode_metadata(resource.metadata)
    return {"apiVersion": api_version, "kind": kind, **body}


def _labelled(affinity: BlockAffinity) -> BlockAffinity:
    """Add the labels by which the API server can filter claims."""
    labels = {
        f"{NODE_PREFIX}affinity-type": affinity.type,
        f"{NODE_PREFIX}hostname-hash": hostname_hash(affinity.node),
        f"{NODE_PREFIX}ip-version": str(version_of(affinity.cidr)),
    }
    metadata = affinity.metadata
    return affinity.replace(metadata=metadata.replace(labels={**metadata.labels, **labels}))


def _encode_metadata(metadata: Metadata) -> dict[str, Any]:  # Any: JSON
    stored = write_document(metadata)
    own = {name: stored.pop(name) for name in OWN_METADATA if name in stored}
    document = {**metadata.server, **own}
    for name in ("labels", "annotations"):
        shared = {key: value for key, value in stored.get(name, {}).items() if _is_shared(key)}
        merged = {**metadata.server.get(name, {}), **shared}
        if merged:
            document[name] = merged
    text = json.dumps(stored, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    document["annotations"] = {**document.get("annotations", {}), METADATA_ANNOTATION: text}
    return document


def _ipv4(text: str) -> str:
    if parse_address(text)[0] != 4:
        raise ValueError(text)
    return text


def _ipv6(text: str) -> str:
    if parse_address(text)[0] != 6:
        raise ValueError(text)
    return text


def _host_cidr(text: str, version: int) -> str:
    if parse_network(text, strict=False).version != version:
        raise ValueError(text)
    return text


#: annotation (after the prefix) -> attribute of Node, and what makes its text valid.
NODE_ANNOTATIONS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {  # Any: the attribute's type
    "IPv4Address": ("ipv4_address", lambda text: _host_cidr(text, 4)),
    "IPv6Address": ("ipv6_address", lambda text: _host_cidr(text, 6)),
    "IPv4IPIPTunnelAddr": ("ipv4_ipip_tunnel_address", _ipv4),
    "ASNumber": ("as_number", read_as_number),
    "RouteReflectorClusterID": ("route_reflector_cluster_id", _ipv4),
    "IPv4VXLANTunnelAddr": ("ipv4_vxlan_tunnel_address", _ipv4),
    "VXLANTunnelMACAddr": ("vxlan_tunnel_mac_address", str),
    "IPv6VXLANTunnelAddr": ("ipv6_vxlan_tunnel_address", _ipv6),
    "VXLANTunnelMACAddrV6": ("vxlan_tunnel_mac_address_v6", str),
    "IPv4WireguardInterfaceAddr": ("ipv4_wireguard_address", _ipv4),
    "IPv6WireguardInterfaceAddr": ("ipv6_wireguard_address", _ipv6),
    "WireguardPublicKey": ("wireguard_public_key", str),
    "WireguardPublicKeyV6": ("wireguard_public_key_v6", str),
}


def decode_node(document: Mapping[str, Any]) -> Node:  # Any: JSON
    """Read a Kubernetes Node; annotations with invalid values count as absent (section 1.4)."""
    server_metadata = document.get("metadata", {})
    annotations: dict[str, str] = server_metadata.get("annotations") or {}
    values: dict[str, Any] = {}  # Any: attributes of every type
    for name, (attribute, read) in NODE_ANNOTATIONS.items():
        _read_annotation(annotations, f"{NODE_PREFIX}{name}", attribute, read, values)
    _read_annotation(annotations, INTERFACES_ANNOTATION, "interfaces", _interfaces, values)
    pod_cidrs = document.get("spec", {}).get("podCIDRs") or ()
    metadata = Metadata(
        name=server_metadata.get("name", ""),
        uid=server_metadata.get("uid", ""),
        resource_version=server_metadata.get("resourceVersion"),
        creation_timestamp=server_metadata.get("creationTimestamp"),
        labels=_node_labels(annotations, server_metadata.get("labels") or {}),
        annotations=_node_annotations(annotations, server_metadata.get("labels") or {}),
        server=document,
    )
    return Node(metadata=metadata, pod_cidrs=tuple(pod_cidrs), **values)


def _read_annotation(
    annotations: Mapping[str, str],
    name: str,
    attribute: str,
    read: Callable[[str], Any],  # Any: the attribute's type
    values: dict[str, Any],  # Any: as above
) -> None:
    text = annotations.get(name)
    if text:
        try:
            values[attribute] = read(text)
        except (TypeError, ValueError):
            # Never fatal: the value counts as absent, and the annotation stays as it is until the field is set.
            return


def _interfaces(text: str) -> tuple[NodeInterface, ...]:
    return tuple([read_document(NodeInterface, item) for item in json.loads(text)])


def _texts(text: str) -> dict[str, str]:
    stored = json.loads(text)
    return {str(key): str(value) for key, value in stored.items()} if isinstance(stored, dict) else {}


def _node_labels(annotations: Mapping[str, str], kubernetes: Mapping[str, str]) -> dict[str, str]:
    """Kubernetes labels win over those that only Calico knows."""
    own: dict[str, Any] = {}  # Any: as in _read_annotation
    _read_annotation(annotations, LABELS_ANNOTATION, "labels", _texts, own)
    return {**own.get("labels", {}), **kubernetes}


def _node_annotations(annotations: Mapping[str, str], kubernetes_labels: Mapping[str, str]) -> dict[str, str]:
    own: dict[str, Any] = {}  # Any: as in _read_annotation
    _read_annotation(annotations, ANNOTATIONS_ANNOTATION, "annotations", _texts, own)
    kept: dict[str, str] = own.get("annotations", {})
    inherited = json.dumps(kubernetes_labels, separators=(",", ":"), sort_keys=True)
    return {**kept, KUBERNETES_LABELS_ANNOTATION: inherited} if kubernetes_labels else kept


def encode_node(node: Node) -> dict[str, Any]:  # Any: JSON
    """Write the Kubernetes Node with our annotations brought up to date; an empty field removes its annotation."""
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", **node.metadata.server}  # Any: JSON
    metadata = dict(document.get("metadata", {"name": node.name}))
    annotations = dict(metadata.get("annotations") or {})
    before = decode_node(document) if node.metadata.server else Node()
    for name, (attribute, _) in NODE_ANNOTATIONS.items():
        value = getattr(node, attribute)
        if value != getattr(before, attribute):
            _set_or_remove(annotations, f"{NODE_PREFIX}{name}", "" if value is None else str(value))
    if node.interfaces != before.interfaces:
        interfaces = [write_document(interface) for interface in node.interfaces]
        _set_or_remove(annotations, INTERFACES_ANNOTATION, _compact(interfaces))
    own = dict(node.metadata.annotations)
    inherited = _texts(own.pop(KUBERNETES_LABELS_ANNOTATION, "{}"))
    labels = {key: value for key, value in node.metadata.labels.items() if inherited.get(key) != value}
    _set_or_remove(annotations, LABELS_ANNOTATION, _compact(labels))
    _set_or_remove(annotations, ANNOTATIONS_ANNOTATION, _compact(own))
    metadata["annotations"] = annotations
    if node.resource_version is not None:
        metadata["resourceVersion"] = node.resource_version
    return {**document, "metadata": metadata}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if value else ""


def _set_or_remove(annotations: dict[str, str], name: str, text: str) -> None:
    if text:
        annotations[name] = text
    else:
        annotations.pop(name, None)


def decode_pod(document: Mapping[str, Any]) -> WorkloadEndpoint:  # Any: JSON
    """Compute the WorkloadEndpoint of a Pod (section 1.6); addresses are those that the plugin annotated."""
    server_metadata = document.get("metadata", {})
    annotations: dict[str, str] = server_metadata.get("annotations") or {}
    spec = document.get("spec") or {}
    pod, namespace = server_metadata.get("name", ""), server_metadata.get("namespace", "")
    node = spec.get("nodeName", "")
    account = spec.get("serviceAccountName", "")
    addresses = annotations.get(f"{POD_PREFIX}podIPs") or annotations.get(f"{POD_PREFIX}podIP") or ""
    labels = {
        **(server_metadata.get("labels") or {}),
        f"{NODE_PREFIX}namespace": namespace,
        f"{NODE_PREFIX}orchestrator": "k8s",
    }
    metadata = Metadata(
        name=endpoint_name(node, "k8s", pod, "eth0") if node else pod,
        namespace=namespace,
        uid=server_metadata.get("uid", ""),
        resource_version=server_metadata.get("resourceVersion"),
        creation_timestamp=server_metadata.get("creationTimestamp"),
        labels={**labels, f"{NODE_PREFIX}serviceaccount": account} if account else labels,
        annotations=EMPTY,
        server=document,
    )
    profiles = (f"kns.{namespace}", f"ksa.{namespace}.{account}") if account else (f"kns.{namespace}",)
    return WorkloadEndpoint(
        metadata=metadata,
        orchestrator="k8s",
        node=node,
        container_id=annotations.get(f"{POD_PREFIX}containerID", ""),
        pod=pod,
        endpoint="eth0",
        service_account_name=account,
        ip_networks=tuple(addresses.split(",")) if addresses else (),
        profiles=profiles,
    )


def encode_pod(endpoint: WorkloadEndpoint) -> dict[str, Any]:  # Any: JSON
    """Write the Pod with the endpoint's addresses in its annotations (section 3.4)."""
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **endpoint.metadata.server}  # Any: JSON
    metadata = dict(document.get("metadata", {"name": endpoint.pod, "namespace": endpoint.namespace}))
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **pod_annotations(endpoint)}
    return {**document, "metadata": metadata}


def pod_annotations(endpoint: WorkloadEndpoint) -> dict[str, str]:
    """Return what the plugin patches into the Pod; no address leaves empty text behind."""
    return {
        f"{POD_PREFIX}containerID": endpoint.container_id,
        f"{POD_PREFIX}podIP": endpoint.ip_networks[0] if endpoint.ip_networks else "",
        f"{POD_PREFIX}podIPs": ",".join(endpoint.ip_networks),
    }
