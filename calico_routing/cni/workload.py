"""Who is being connected, and every name that follows from it (Calico sections 1.6, 2.7 and 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni.errors import CniError, ErrorCode

try:
    from _sha1 import sha1  # type: ignore[import-not-found,unused-ignore]  # the interpreter's own, without stubs
except ImportError:
    from hashlib import sha1  # loads OpenSSL, which takes longer than reading the configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calico_routing.cni.arguments import Arguments

KUBERNETES = "k8s"
PLAIN = "cni"
DEFAULT_NAMESPACE = "default"
DEFAULT_PREFIX = "cali"
#: the interface that Calico's names take for granted; any other one gets names of its own.
FIRST_INTERFACE = "eth0"
NAME_LENGTH = 15
HASH_DIGITS = 11
OWNER_LENGTH = 255


class Workload(NamedTuple):
    """One interface of one container on one node."""

    network: str
    orchestrator: str
    namespace: str
    pod: str
    node: str
    container_id: str
    ifname: str
    interface_prefix: str = DEFAULT_PREFIX

    @property
    def endpoint_name(self) -> str:
        """The WorkloadEndpoint's name: segments joined by a dash, dashes inside a segment doubled."""
        workload = self.pod if self.orchestrator == KUBERNETES else self.container_id
        return "-".join(map(_segment, (self.node, self.orchestrator, workload, self.ifname)))

    @property
    def host_interface(self) -> str:
        """The host end's name; the prefix of four letters makes it fifteen long."""
        digits = min(HASH_DIGITS, NAME_LENGTH - len(self.interface_prefix))
        return self.interface_prefix + self._host_interface_suffix()[:digits]

    def _host_interface_suffix(self) -> str:
        parts = [self.namespace, self.pod] if self.orchestrator == KUBERNETES else [self.container_id]
        if self.ifname != FIRST_INTERFACE:
            return _hash(".".join([*parts, self.ifname]))
        if self.orchestrator == KUBERNETES:
            return _hash(".".join(parts))
        return self.container_id if _identifies_by_its_start(self.container_id) else _hash(self.container_id)

    @property
    def handle(self) -> str:
        """The IPAM handle, under which a repeated DEL finds the addresses without any local file."""
        return handle_of(self.network, self.container_id, self.ifname)

    @property
    def owner(self) -> str:
        """What the host end carries as its alias: by it a stale DEL sees that the link is somebody else's."""
        return owner_of(self.network, self.container_id, self.ifname)

    @property
    def attributes(self) -> dict[str, str]:
        """What the allocation says about its owner; the time is added where it is made."""
        attributes = {"node": self.node}
        if self.orchestrator == KUBERNETES:
            attributes |= {"pod": self.pod, "namespace": self.namespace}
        if "." in self.handle.removeprefix(f"{self.network}.") or "." in self.network:
            attributes["network"] = self.network  # the handle alone no longer tells where the network's name ends
        return attributes


def handle_of(network: str, container_id: str, ifname: str) -> str:
    """Calico's `<network>.<container>`; further interfaces of the container add their name, to be freed alone."""
    handle = f"{network}.{container_id}"
    return handle if ifname == FIRST_INTERFACE else f"{handle}.{ifname}"


def owner_of(network: str, container_id: str, ifname: str) -> str:
    """The key of an attachment as one text that fits into an interface's alias."""
    return f"{network}/{container_id}/{ifname}"[:OWNER_LENGTH]


def identify(arguments: Arguments, network: str, node: str, environment: Mapping[str, str]) -> Workload:
    """A pod when the runtime names pod and namespace, else a plain container in the namespace `default`."""
    pod, namespace = arguments.args.get("K8S_POD_NAME", ""), arguments.args.get("K8S_POD_NAMESPACE", "")
    kubernetes = bool(pod and namespace)
    prefix = environment.get("FELIX_INTERFACEPREFIX", "").split(",")[0].strip()
    return Workload(
        network=network,
        orchestrator=KUBERNETES if kubernetes else PLAIN,
        namespace=namespace if kubernetes else DEFAULT_NAMESPACE,
        pod=pod if kubernetes else "",
        node=node,
        container_id=arguments.container_id,
        ifname=arguments.ifname,
        interface_prefix=prefix or DEFAULT_PREFIX,
    )


def _segment(text: str) -> str:
    if text.startswith("-") or text.endswith("-"):
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT,
            f"{text!r} cannot be part of an endpoint's name",
            "node, pod, container and interface must not begin or end with a dash",
        )
    return text.replace("-", "--")


def _identifies_by_its_start(container_id: str) -> bool:
    """Random hexadecimal identifiers differ early; spoken ones (default-web-1, default-web-2) may not."""
    return len(container_id) <= HASH_DIGITS or not container_id.strip("0123456789abcdef")


def _hash(text: str) -> str:
    digest: str = sha1(text.encode(), usedforsecurity=False).hexdigest()
    return digest
