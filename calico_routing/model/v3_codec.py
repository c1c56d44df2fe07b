"""Resources in the form that users see: ``apiVersion: projectcalico.org/v3`` (spec/calico.md section 1.1)."""

from __future__ import annotations

from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.fields import read_document, write_document
from calico_routing.model.resource import Metadata, OpaqueResource
from calico_routing.model.resources import KINDS
from calico_routing.model.validation import with_defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeVar

    from calico_routing.model.resource import Resource

    R = TypeVar("R", bound=Resource)

API_VERSION = "projectcalico.org/v3"
#: the one kind whose name differs between the user's form and the CRD.
V3_NAMES: Final = {"IPAMConfig": "IPAMConfiguration"}
KINDS_BY_NAME: Final[dict[str, type[Resource]]] = {kind.KIND: kind for kind in KINDS} | {
    V3_NAMES[kind.KIND]: kind for kind in KINDS if kind.KIND in V3_NAMES
}


def decode_v3(document: object) -> Resource:
    """Read a resource of any kind; ValidationError."""
    if not isinstance(document, dict):
        problem = Problem(field="document", reason="must be an object", value=document)
        raise ValidationError("resource", [problem])
    name, api_version = document.get("kind"), document.get("apiVersion")
    if not isinstance(name, str) or not isinstance(api_version, str):
        problem = Problem(field="kind", reason="kind and apiVersion must be strings", value=name)
        raise ValidationError("resource", [problem])
    body = {key: value for key, value in document.items() if key not in {"kind", "apiVersion"}}
    kind = KINDS_BY_NAME.get(name)
    if kind is None:
        metadata = read_document(Metadata, body.pop("metadata", {}), subject=name)
        return OpaqueResource(kind=name, api_version=api_version, metadata=metadata, extra=body)
    return decode_body(kind, body)


def decode_body(kind: type[R], body: dict[str, Any]) -> R:  # Any: JSON
    """Read a resource of a known kind from metadata, spec and status; every default is filled in."""
    rest = {key: value for key, value in body.items() if key != "spec" or value}
    subject = kind.KIND
    metadata = read_document(Metadata, rest.pop("metadata", {}), subject=f"{subject} metadata")
    resource = read_document(kind, rest, subject=f"{subject} {metadata.name}", metadata=metadata)
    return with_defaults(resource)


def encode_v3(resource: Resource) -> dict[str, Any]:  # Any: JSON
    """Write a resource as users see it."""
    kind, api_version = resource.KIND, API_VERSION
    if isinstance(resource, OpaqueResource):
        kind, api_version = resource.kind, resource.api_version
    return {"kind": V3_NAMES.get(kind, kind), "apiVersion": api_version, **encode_body(resource)}


def encode_body(resource: Resource) -> dict[str, Any]:  # Any: JSON
    """Write metadata, spec and status."""
    body = {"metadata": write_document(resource.metadata), **write_document(resource)}
    if not isinstance(resource, OpaqueResource):
        body.setdefault("spec", {})
    return body
