"""The IPAM plugin below `calico`: ours as a function, any other as a process (CNI section 4)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni import ipam_plugin, launcher
from calico_routing.cni.capacity import require_capacity
from calico_routing.cni.delegation import find_plugin, run_plugin
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.result import Result, Route, parse_result
from calico_routing.datastore.interface import NotFoundError
from calico_routing.model.resources import Node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from calico_routing.cni.command import Call
    from calico_routing.cni.documents import Document
    from calico_routing.cni.wishes import PodWishes
    from calico_routing.cni.workload import Workload
    from calico_routing.datastore.interface import Datastore

#: what stands for the node's pod range in a host-local configuration -> IP version.
POD_CIDR_WORDS = {"usepodcidr": 4, "usepodcidripv6": 6}


class IpamAnswer(NamedTuple):
    """Host prefixes (/32, /128), and the container routes that the IPAM plugin wants."""

    addresses: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    dns: Mapping[str, Any] = {}


class Ipam:
    """The IPAM side of one call."""

    def __init__(self, call: Call, store: Datastore, workload: Workload) -> None:
        """Nothing is read or run yet."""
        self._call = call
        self._store = store
        self._workload = workload
        self._type = call.config.ipam.plugin_type

    @property
    def is_ours(self) -> bool:
        """Whether the plugin is calico-ipam."""
        return self._type == launcher.IPAM

    def add(self, wishes: PodWishes) -> IpamAnswer:
        """Get addresses; a pod that brings its own needs no plugin."""
        if wishes.addresses_without_ipam:
            return IpamAnswer(tuple(map(host_prefix, wishes.addresses_without_ipam)))
        if self.is_ours:
            assigned = ipam_plugin.assign(self._store, self._call.config, self._workload, wishes.ipam)
            return IpamAnswer(tuple(map(host_prefix, assigned)))
        if not self._type:
            raise CniError(ErrorCode.INVALID_CONFIGURATION, "ipam.type is missing", 'set ipam.type to "calico-ipam"')
        result = parse_result(self._run("ADD") or {}, self._call.config.cni_version)
        return self._answer(result)

    def _answer(self, result: Result) -> IpamAnswer:
        if not result.ips:
            self.delete()
            advice = "its configuration under ipam assigns nothing"
            raise CniError(ErrorCode.INVALID_CONFIGURATION, f"IPAM plugin {self._type} returned no address", advice)
        return IpamAnswer(tuple(host_prefix(entry.address) for entry in result.ips), result.routes, result.dns)

    def delete(self) -> None:
        """Give back whatever the container holds."""
        if self.is_ours:
            ipam_plugin.release(self._store, self._workload)
        elif self._type:
            self._run("DEL")

    def check(self) -> list[str]:
        """What is wrong with the reservation; a foreign plugin raises its own error."""
        previous = self._call.config.previous or Result()
        if self.is_ours:
            return ipam_plugin.reservation_problems(self._store, self._workload, previous.ips)
        if self._type:
            self._run("CHECK")
        return []

    def collect(self) -> list[str]:
        """Free what no valid attachment holds; the handles that were ours."""
        config = self._call.config
        if self.is_ours:
            return ipam_plugin.release_stale(self._store, config, self._workload.node, config.valid_attachments or ())
        if self._type:
            self._run("GC")
        return []

    def status(self) -> None:
        """Raise when an ADD could not get an address."""
        if self.is_ours:
            require_capacity(self._store, self._call.config, self._workload.node)
        elif self._type:
            self._run("STATUS")

    def _run(self, command: str) -> Any:
        """The plugin as a process: our stdin with the node's pod range filled in, our environment."""
        arguments = self._call.arguments
        document = fill_in_pod_cidr(self._call.config.document, self._store, self._workload.node)
        path = find_plugin(self._type, arguments.plugin_path)
        return run_plugin(path, document, {**arguments.environment, "CNI_COMMAND": command})


def host_prefix(address: str) -> str:
    """The address alone as /32 or /128: a pod shares its link with nobody."""
    return str(ipaddress.ip_network(address.partition("/")[0]))


def fill_in_pod_cidr(document: Document, store: Datastore, node: str) -> Document:
    """`usePodCidr` and `usePodCidrIPv6` below ipam become the node's own ranges (Calico section 3.2, 6a)."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner) for inner in value]
        version = POD_CIDR_WORDS.get(value.lower()) if isinstance(value, str) else None
        return _pod_cidr(store, node, version) if version else value

    return {key: fill(value) if key.lower() == "ipam" else value for key, value in document.items()}


def _pod_cidr(store: Datastore, node: str, version: int) -> str:
    try:
        ranges = store.get(Node, node).pod_cidrs
    except NotFoundError as error:
        advice = "start pybgp-node on it once"
        raise CniError(ErrorCode.UNKNOWN_NODE, f"node {node} is not in the datastore", advice) from error
    for cidr in ranges:
        if ipaddress.ip_network(cidr, strict=False).version == version:
            return cidr
    advice = "host-local with usePodCidr needs status.podCIDRs of the Node; use calico-ipam or name a subnet"
    raise CniError(ErrorCode.INVALID_CONFIGURATION, f"node {node} has no IPv{version} pod range", advice)
