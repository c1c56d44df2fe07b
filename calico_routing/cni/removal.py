"""Taking links away: exactly those of one attachment, or of all that are gone (DEL and GC, CNI section 3)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from calico_routing.cni import endpoints
from calico_routing.cni.errors import CniError
from calico_routing.cni.networking import (
    OwnedLink,
    find_owned_link,
    find_pod_end,
    is_own_namespace,
    open_namespace,
    owned_links,
    remove_link,
)
from calico_routing.cni.undo import Failures
from calico_routing.cni.workload import handle_of, owner_of
from calico_routing.datastore.interface import NotFoundError
from calico_routing.kernel.netlink.client import NetlinkClient
from calico_routing.kernel.netlink.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calico_routing.cni.config import Attachment
    from calico_routing.cni.workload import Workload
    from calico_routing.datastore.interface import Datastore
    from calico_routing.kernel.netlink.values import Link
    from calico_routing.model.resources import WorkloadEndpoint


def remove_links(workload: Workload, endpoint: WorkloadEndpoint | None, netns: str) -> None:
    """The veth pair of one attachment, whichever of endpoint, namespace and pair is still there.

    The pod's end goes with the host's. The owner's mark decides; a pair without one (made by Calico itself) is ours
    when our endpoint or our namespace leads to it.
    """
    ours = endpoint is not None and not endpoints.is_foreign(endpoint, workload)
    names = {workload.host_interface}
    if endpoint is not None and ours and endpoint.interface_name:
        names.add(endpoint.interface_name)
    with NetlinkClient() as host:
        for name in sorted(names):
            found = find_owned_link(host, name)
            if found and _is_ours(found, workload, netns, ours):
                remove_link(host, found.link.ifindex)


def _is_ours(found: OwnedLink, workload: Workload, netns: str, endpoint_is_ours: bool) -> bool:
    if found.owner.count("/") == 2:
        return found.owner == workload.owner
    return endpoint_is_ours or _leads_to(netns, workload.ifname, found.link)


def _leads_to(netns: str, ifname: str, host_end: Link) -> bool:
    """Whether the interface in that namespace is the other end of the pair."""
    if not netns:
        return False
    try:
        namespace = open_namespace(netns)
    except CniError:
        return False
    try:
        end = None if is_own_namespace(namespace) else find_pod_end(namespace, ifname)
    except KernelError:  # a path that is no namespace any more
        return False
    finally:
        os.close(namespace)
    return end is not None and end.peer_index == host_end.ifindex and host_end.peer_index == end.ifindex


def remove_stale(
    store: Datastore, network: str, node: str, valid: Iterable[Attachment], released: Iterable[str]
) -> None:
    """Pairs and endpoints of this network on this node that no valid attachment has; failures do not stop it."""
    keep = {owner_of(network, *attachment) for attachment in valid}
    failures = Failures()
    gone: set[str] = set()
    with NetlinkClient() as host:
        for entry in owned_links(host):
            if entry.owner.startswith(f"{network}/") and entry.owner not in keep:
                failures.attempt(remove_link, host, entry.link.ifindex)
                gone.add(entry.owner)
    handles = set(released)
    for endpoint in endpoints.of_node(store, node):
        key = (network, endpoint.container_id, endpoint.endpoint)
        if owner_of(*key) not in keep and (owner_of(*key) in gone or handle_of(*key) in handles):
            failures.attempt(_delete, store, endpoint)
    failures.raise_first()


def _delete(store: Datastore, endpoint: WorkloadEndpoint) -> None:
    try:
        store.delete(endpoint)
    except NotFoundError:
        return
