"""The WorkloadEndpoint of an attachment: written and removed by compare-and-swap (Calico sections 1.6 and 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calico_routing.cni.networking import family_of
from calico_routing.cni.workload import KUBERNETES
from calico_routing.datastore.interface import AlreadyExistsError, ConflictError, NotFoundError
from calico_routing.model.resources import AddressTranslation, Metadata, WorkloadEndpoint

if TYPE_CHECKING:
    from calico_routing.cni.networking import PodLink
    from calico_routing.cni.undo import Undo
    from calico_routing.cni.wishes import PodWishes
    from calico_routing.cni.workload import Workload
    from calico_routing.datastore.interface import Datastore

TRIES = 6
NAMESPACE_LABEL = "projectcalico.org/namespace"
ORCHESTRATOR_LABEL = "projectcalico.org/orchestrator"


def find(store: Datastore, workload: Workload) -> WorkloadEndpoint | None:
    """The endpoint as stored, whichever container it is of."""
    try:
        return store.get(WorkloadEndpoint, workload.endpoint_name, workload.namespace)
    except NotFoundError:
        return None


def build(workload: Workload, link: PodLink, mac: str, wishes: PodWishes) -> WorkloadEndpoint:
    """The endpoint that describes what was made."""
    kubernetes = workload.orchestrator == KUBERNETES
    labels = {NAMESPACE_LABEL: workload.namespace, ORCHESTRATOR_LABEL: workload.orchestrator}
    return WorkloadEndpoint(
        metadata=Metadata(name=workload.endpoint_name, namespace=workload.namespace, labels=labels),
        orchestrator=workload.orchestrator,
        node=workload.node,
        container_id=workload.container_id,
        pod=workload.pod,
        endpoint=workload.ifname,
        ip_networks=link.addresses,
        ip_nats=_translations(link, wishes),
        profiles=(f"kns.{workload.namespace}",) if kubernetes else (workload.network,),
        interface_name=link.host_name,
        mac=mac,
        allow_spoofed_source_prefixes=wishes.allowed_source_prefixes,
    )


def _translations(link: PodLink, wishes: PodWishes) -> tuple[AddressTranslation, ...]:
    """Each floating address to the pod's address of its family."""
    return tuple(
        AddressTranslation(internal_ip=address.partition("/")[0], external_ip=floating)
        for floating in wishes.floating_ips
        for address in link.addresses
        if family_of(address) == family_of(floating)
    )


def write(store: Datastore, endpoint: WorkloadEndpoint, undo: Undo) -> None:
    """Create it, or take over the one of an earlier container of the same pod; undoing brings that one back."""
    for attempt in range(1, TRIES + 1):
        try:
            _write_once(store, endpoint, undo)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            if attempt == TRIES:
                raise
        else:
            return


def _write_once(store: Datastore, endpoint: WorkloadEndpoint, undo: Undo) -> None:
    try:
        earlier = store.get(WorkloadEndpoint, endpoint.name, endpoint.namespace)
    except NotFoundError:
        created = store.create(endpoint)
        undo.add("remove the WorkloadEndpoint", store.delete, created)
        return
    labels = {**earlier.metadata.labels, **endpoint.metadata.labels}
    updated = store.update(endpoint.replace(metadata=earlier.metadata.replace(labels=labels)))
    undo.add("restore the WorkloadEndpoint", store.update, earlier.replace(metadata=updated.metadata))


def remove(store: Datastore, workload: Workload) -> None:
    """Delete it unless it is another container's; gone is success."""
    for attempt in range(1, TRIES + 1):
        endpoint = find(store, workload)
        if endpoint is None or is_foreign(endpoint, workload):
            return
        try:
            store.delete(endpoint)
        except NotFoundError:
            return
        except ConflictError:
            if attempt == TRIES:
                raise
        else:
            return


def is_foreign(endpoint: WorkloadEndpoint, workload: Workload) -> bool:
    """Whether a newer container of the same pod has taken the endpoint over."""
    return endpoint.container_id not in {"", workload.container_id}


def of_node(store: Datastore, node: str) -> list[WorkloadEndpoint]:
    """Every endpoint of the node."""
    prefix = node.replace("-", "--") + "-"
    return [endpoint for endpoint in store.list(WorkloadEndpoint, prefix=prefix).items if endpoint.node == node]


def has_interface(store: Datastore, node: str, name: str) -> bool:
    """Whether any endpoint of the node uses the host interface."""
    return any(endpoint.interface_name == name for endpoint in of_node(store, node))
