"""Resources as Calico keeps them in etcd: one key, one JSON value (spec/calico.md sections 1.1 and 1.3)."""

from __future__ import annotations

import json

from calico_routing.model.allocation import HOST, BlockAffinity, IPAMBlock, IPAMConfig, IPAMHandle
from calico_routing.model.blocks import version_of
from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.fields import read_document, write_document
from calico_routing.model.names import affinity_name, cidr_name, handle_name
from calico_routing.model.resource import Metadata, OpaqueResource
from calico_routing.model.v3_codec import decode_v3, encode_v3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from calico_routing.model.resource import Resource

RESOURCES: Final = "/calico/resources/v3/projectcalico.org/"
IPAM: Final = "/calico/ipam/v2/"
#: names of spec members in the CRD and in etcd, where they differ.
BLOCK_NAMES: Final = {"affinityClaimTime": "affinity_claim_time"}
CONFIG_NAMES: Final = {"strictAffinity": "strict_affinity", "autoAllocateBlocks": "auto_allocate_blocks"}


def _cidr_key(cidr: str) -> str:
    return f"ipv{version_of(cidr)}/block/{cidr.replace('/', '-')}"


def _cidr_of_key(segment: str) -> str:
    address, _, length = segment.rpartition("-")
    return f"{address}/{length}"


def etcd_key(resource: Resource) -> str:
    """Return the key of a resource."""
    if isinstance(resource, IPAMBlock):
        return f"{IPAM}assignment/{_cidr_key(resource.cidr)}"
    if isinstance(resource, BlockAffinity):
        return f"{IPAM}{resource.type or HOST}/{resource.node}/{_cidr_key(resource.cidr)}"
    if isinstance(resource, IPAMHandle):
        return f"{IPAM}handle/{resource.handle_id}"
    if isinstance(resource, IPAMConfig):
        return f"{IPAM}config"
    plural = resource.kind.lower() + "s" if isinstance(resource, OpaqueResource) else resource.PLURAL
    place = f"{resource.namespace}/{resource.name}" if resource.namespace else resource.name
    return f"{RESOURCES}{plural}/{place}"


def decode_etcd(key: str, value: str, revision: str | None = None) -> Resource:
    """Read what a key holds; ValidationError names the key."""
    try:
        document = json.loads(value or "{}")
    except ValueError as error:
        raise ValidationError(
            key, [Problem(field="value", reason=f"is not JSON: {error}", value=value[:60])]
        ) from error
    if not isinstance(document, dict):
        raise ValidationError(key, [Problem(field="value", reason="must be an object", value=document)])
    resource = _decode_ipam(key, document) if key.startswith(IPAM) else decode_v3(document)
    return resource.replace(metadata=resource.metadata.replace(resource_version=revision))


def _decode_ipam(key: str, document: dict[str, Any]) -> Resource:  # Any: JSON
    parts = key.removeprefix(IPAM).split("/")
    match parts:
        case ["assignment", _, "block", _]:
            return _block(document)
        case [kind, node, _, "block", segment]:
            cidr = _cidr_of_key(segment)
            metadata = Metadata(name=affinity_name(node, cidr))
            spec = {"spec": {**document, "node": node, "cidr": cidr, "type": kind}}
            return read_document(BlockAffinity, spec, subject=key, metadata=metadata)
        case ["handle", *identity]:
            handle_id = "/".join(identity)
            spec = {"spec": {**document, "handleID": handle_id}}
            return read_document(IPAMHandle, spec, subject=key, metadata=Metadata(name=handle_name(handle_id)))
        case ["config"]:
            spec = {"spec": _renamed(document, {old: new for new, old in CONFIG_NAMES.items()})}
            return read_document(IPAMConfig, spec, subject=key, metadata=Metadata(name="default"))
    raise ValidationError(key, [Problem(field="key", reason="is not a key of Calico's address management", value=key)])


def _block(document: dict[str, Any]) -> IPAMBlock:  # Any: JSON
    spec = _renamed(document, {old: new for new, old in BLOCK_NAMES.items()})
    # Very old releases wrote the owner so.
    if "affinity" not in spec and "hostAffinity" in spec:
        spec["affinity"] = f"host:{spec.pop('hostAffinity')}"
    elif str(spec.get("affinity")).startswith("hostAffinity:"):
        spec["affinity"] = f"host:{spec['affinity'].partition(':')[2]}"
    name = cidr_name(str(spec.get("cidr")))
    return read_document(IPAMBlock, {"spec": spec}, subject=name, metadata=Metadata(name=name))


def _renamed(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:  # Any: JSON
    return {names.get(key, key): value for key, value in document.items()}


def encode_etcd(resource: Resource, key: str | None = None) -> tuple[str, str]:
    """Return key and value of a resource; a ``key`` it was read from decides between the forms of IPAMConfig."""
    key = key or etcd_key(resource)
    if not key.startswith(IPAM):
        document = encode_v3(resource.replace(metadata=resource.metadata.replace(resource_version=None)))
    else:
        document = write_document(resource)["spec"]
        if isinstance(resource, IPAMBlock):
            document = _renamed(document, BLOCK_NAMES)
        elif isinstance(resource, IPAMConfig):
            document = _renamed(document, CONFIG_NAMES)
        elif isinstance(resource, BlockAffinity):
            document = {name: value for name, value in document.items() if name not in {"node", "cidr", "type"}}
        elif isinstance(resource, IPAMHandle):
            del document["handleID"]
    return key, json.dumps(document, separators=(",", ":"), ensure_ascii=False)
