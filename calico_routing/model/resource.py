"""What every resource has: metadata, and a place in the store."""

from __future__ import annotations

from calico_routing.model.fields import Document, text, text_mapping
from calico_routing.model.records import EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar


class Metadata(Document):
    """Name and bookkeeping of a resource; ``resource_version`` is what compare-and-swap compares."""

    FIELDS: ClassVar = (
        text("name", "name"),
        text("namespace", "namespace"),
        text("uid", "uid"),
        text("resource_version", "resourceVersion"),
        text("creation_timestamp", "creationTimestamp"),
        text_mapping("labels", "labels"),
        text_mapping("annotations", "annotations"),
    )
    name: str = ""
    namespace: str = ""
    resource_version: str | None = None
    uid: str = ""
    labels: Mapping[str, str] = EMPTY
    annotations: Mapping[str, str] = EMPTY
    creation_timestamp: str | None = None
    #: what the Kubernetes API server owns of the object; written back as it was, never shown in the v3 form.
    server: Mapping[str, Any] = EMPTY  # Any: JSON


class Resource(Document):
    """One object of the Calico data model, read from or written to a datastore."""

    KIND: ClassVar[str] = ""
    PLURAL: ClassVar[str] = ""
    NAMESPACED: ClassVar[bool] = False
    metadata: Metadata = Metadata()

    @property
    def name(self) -> str:
        """The name within the kind (and namespace)."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The namespace; empty for cluster-wide kinds."""
        return self.metadata.namespace

    @property
    def resource_version(self) -> str | None:
        """The revision at which the store held this value; None before it was stored."""
        return self.metadata.resource_version


class OpaqueResource(Resource):
    """An object of a kind that this version does not work with; kept whole."""

    kind: str = ""
    api_version: str = ""
