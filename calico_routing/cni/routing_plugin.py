"""`calico`: connects a pod with a veth pair and a host route, and writes its WorkloadEndpoint (Calico section 3.2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from calico_routing.cni import endpoints, launcher
from calico_routing.cni.command import Call, run
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.ipam_delegate import Ipam, IpamAnswer
from calico_routing.cni.networking import (
    DEFAULT_ROUTES,
    PodLink,
    connect,
    find_owned_link,
    find_pod_end,
    open_namespace,
    problems,
    remove_host_end,
)
from calico_routing.cni.node import node_name, open_store, pod_mtu, require_ready, require_routing
from calico_routing.cni.removal import remove_links, remove_stale
from calico_routing.cni.result import Address, Interface, Result, parse_dns
from calico_routing.cni.undo import Failures, Undo
from calico_routing.cni.wishes import PodWishes, pod_wishes
from calico_routing.cni.workload import Workload, identify
from calico_routing.kernel.netlink.client import NetlinkClient

if TYPE_CHECKING:
    from calico_routing.datastore.interface import Datastore


def main() -> int:
    """Serve one command."""
    return run(launcher.ROUTING, HANDLERS)


def add(call: Call) -> None:
    """Everything or nothing: whatever fails, all that was done is undone before the error is told."""
    config, arguments = call.config, call.arguments
    if config.previous is not None:
        call.reply(config.previous)  # chained behind another main plugin there is nothing left to make
        return
    workload = _workload(call)
    with open_store(config) as store:
        require_ready(store)
        wishes = pod_wishes(config, arguments, config.runtime.annotations)
        _require_our_ipam_for(wishes, call)
        mtu = pod_mtu(config)
        namespace = open_namespace(arguments.netns)
        try:
            _make_room(store, workload, namespace)
            _add_to(call, store, workload, wishes, mtu, namespace)
        finally:
            os.close(namespace)


def _add_to(call: Call, store: Datastore, workload: Workload, wishes: PodWishes, mtu: int, namespace: int) -> None:
    ipam = Ipam(call, store, workload)
    with Undo() as undo:
        answer = ipam.add(wishes)
        undo.add("release the addresses", ipam.delete)
        link = _plan(call, workload, wishes, mtu, answer)
        undo.add("remove the veth pair", remove_host_end, link.host_name, link.owner)
        mac = connect(link, namespace, lambda device: _is_orphan(store, workload, device))
        endpoints.write(store, endpoints.build(workload, link, mac, wishes), undo)
        call.reply(_result(call, link, mac, answer))
        undo.succeed()


def _workload(call: Call) -> Workload:
    return identify(call.arguments, call.config.name, node_name(call.config), call.outer_environment)


def _require_our_ipam_for(wishes: PodWishes, call: Call) -> None:
    """Pools and addresses by annotation are calico-ipam's business (Calico section 3.2, 6d)."""
    ipam = call.config.ipam
    asked = wishes.ipam.addresses or (wishes.ipam.ipv4_pools, wishes.ipam.ipv6_pools) != (
        ipam.ipv4_pools,
        ipam.ipv6_pools,
    )
    if asked and ipam.plugin_type != launcher.IPAM and not call.config.runtime.ips and "IP" not in call.arguments.args:
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"the IPAM plugin {ipam.plugin_type!r} cannot serve the pod's address annotations",
            'set ipam.type to "calico-ipam" or remove the annotations',
        )


def _make_room(store: Datastore, workload: Workload, namespace: int) -> None:
    """An interface that is there already is an error, unless a killed ADD of this very container left it."""
    if find_pod_end(namespace, workload.ifname) is None:
        return
    with NetlinkClient() as host:
        found = find_owned_link(host, workload.host_interface)
    endpoint = endpoints.find(store, workload)
    complete = endpoint is not None and endpoint.container_id == workload.container_id
    if found is None or found.owner != workload.owner or complete:
        raise CniError(
            ErrorCode.NETLINK,
            f"interface {workload.ifname} exists already in the container",
            "this container was added before; call DEL first" if complete else "another plugin made it; call DEL first",
        )
    remove_host_end(workload.host_interface, workload.owner)


def _plan(call: Call, workload: Workload, wishes: PodWishes, mtu: int, answer: IpamAnswer) -> PodLink:
    config = call.config
    own = tuple(route.dst for route in answer.routes)
    defaults = DEFAULT_ROUTES if config.include_default_routes or not own else ()
    return PodLink(
        host_name=workload.host_interface,
        ifname=workload.ifname,
        owner=workload.owner,
        mtu=mtu,
        addresses=answer.addresses,
        destinations=tuple(dict.fromkeys((*defaults, *own))),
        mac=wishes.mac,
        forwarding=config.allow_ip_forwarding,
    )


def _is_orphan(store: Datastore, workload: Workload, device: str) -> bool:
    """A pod interface whose endpoint is gone: its route may be taken over."""
    return device.startswith(workload.interface_prefix) and not endpoints.has_interface(store, workload.node, device)


def _result(call: Call, link: PodLink, mac: str, answer: IpamAnswer) -> Result:
    """Both ends, the host's first, and every address on the pod's end, without a gateway (Calico section 3.2, 8)."""
    return Result(
        interfaces=(
            Interface(link.host_name),
            Interface(link.ifname, mac=mac, sandbox=call.arguments.netns, mtu=link.mtu),
        ),
        ips=tuple(Address(address, interface=1) for address in link.addresses),
        routes=answer.routes,
        dns=answer.dns or parse_dns(call.config.document),
    )


def delete(call: Call) -> None:
    """Take away what this container has, and nothing of a newer one of the same pod; absent things are success.

    The endpoint goes last: as long as it is there, a repeated DEL finds everything else.
    """
    workload = _workload(call)
    with open_store(call.config) as store:
        require_ready(store)
        failures = Failures()
        failures.attempt(remove_links, workload, endpoints.find(store, workload), call.arguments.netns)
        failures.attempt(Ipam(call, store, workload).delete)
        failures.raise_first()
        endpoints.remove(store, workload)


def check(call: Call) -> None:
    """Kernel, datastore and reservation must be as ADD left them (code 105 names every difference)."""
    previous = call.config.previous
    if previous is None:
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "CHECK needs prevResult", "the runtime must pass it")
    workload = _workload(call)
    with open_store(call.config) as store:
        wrong = _endpoint_problems(store, workload)
        namespace = open_namespace(call.arguments.netns)
        try:
            wrong += problems(_plan_from(previous, workload), namespace)
        finally:
            os.close(namespace)
        annotated = pod_wishes(call.config, call.arguments, call.config.runtime.annotations).addresses_without_ipam
        wrong += [] if annotated else Ipam(call, store, workload).check()
    if wrong:
        raise CniError(
            ErrorCode.CHECK_MISMATCH,
            f"{workload.ifname} of container {workload.container_id} is not as ADD left it",
            "; ".join(wrong),
        )


def _endpoint_problems(store: Datastore, workload: Workload) -> list[str]:
    endpoint = endpoints.find(store, workload)
    if endpoint is None:
        return [f"WorkloadEndpoint {workload.endpoint_name} is missing"]
    if endpoints.is_foreign(endpoint, workload):
        return [f"WorkloadEndpoint {workload.endpoint_name} is of container {endpoint.container_id}"]
    return []


def _plan_from(previous: Result, workload: Workload) -> PodLink:
    """What ADD made, read back from its result; default routes are implied where it names none."""
    own = [index for index, entry in enumerate(previous.interfaces) if entry.name == workload.ifname and entry.sandbox]
    addresses = tuple(entry.address for entry in previous.ips if entry.interface in own)
    return PodLink(
        host_name=workload.host_interface,
        ifname=workload.ifname,
        owner=workload.owner,
        mtu=0,
        addresses=addresses,
        destinations=tuple(route.dst for route in previous.routes if not route.gw) or DEFAULT_ROUTES,
    )


def collect(call: Call) -> None:
    """Everything of this network on this node whose attachment is not in the list; no list, nothing to do."""
    config = call.config
    if config.valid_attachments is None:
        return
    workload = _workload(call)
    with open_store(config) as store:
        require_ready(store)
        failures = Failures()
        released: list[str] = []
        failures.attempt(lambda: released.extend(Ipam(call, store, workload).collect()))
        failures.attempt(remove_stale, store, config.name, workload.node, config.valid_attachments, released)
        failures.raise_first()


def status(call: Call) -> None:
    """Whether an ADD could work now (code 50), and whether running pods have their routes (code 51)."""
    workload = _workload(call)
    with open_store(call.config) as store:
        require_ready(store)
        Ipam(call, store, workload).status()
        require_routing(call.config, store, workload.node)


HANDLERS = {"ADD": add, "DEL": delete, "CHECK": check, "GC": collect, "STATUS": status}
