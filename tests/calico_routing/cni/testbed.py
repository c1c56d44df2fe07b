"""Nodes and pods as network namespaces, one store, and a runtime per node that calls the installed launchers."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calico_routing.cni.install import InstallSettings, install
from calico_routing.datastore.interface import Datastore
from calico_routing.datastore.open import open_datastore
from calico_routing.model.resources import (
    ClusterInformation,
    IPAMBlock,
    IPAMHandle,
    IPPool,
    Metadata,
    Node,
    WorkloadEndpoint,
)
from tests.calico_routing.cni.runtime import Attachment, Document, Runtime

DEBIAN_PLUGINS = Path("/usr/lib/cni")
NETNS = Path("/run/netns")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make network namespaces")
COUNTER = itertools.count(1)


def run(*command: str, check: bool = True) -> str:
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if check and process.returncode:
        raise AssertionError(f"{' '.join(command)}: {process.stderr or process.stdout}")
    return process.stdout


class Namespace:
    """A network namespace with its commands."""

    def __init__(self, label: str) -> None:
        self.name = f"cnitest-{os.getpid()}-{next(COUNTER)}-{label}"
        self.path = str(NETNS / self.name)
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True) -> str:
        return run("nsenter", f"--net={self.path}", *command, check=check)

    def ip(self, *arguments: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = json.loads(self.run("ip", "-j", "-d", *arguments) or "[]")
        return answer

    def link(self, name: str) -> dict[str, Any] | None:
        return next((link for link in self.ip("addr") if link["ifname"] == name), None)

    def links(self) -> set[str]:
        return {link["ifname"] for link in self.ip("link")}

    def routes(self, *family: str) -> dict[str, dict[str, Any]]:
        return {route["dst"]: route for route in self.ip(*family, "route")}

    def addresses(self, name: str) -> set[str]:
        link = self.link(name)
        assert link is not None, name
        return {f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"] if entry["scope"] == "global"}

    def sysctl(self, path: str) -> str:
        return self.run("cat", f"/proc/sys/net/{path}").strip()

    def remove(self) -> None:
        run("ip", "netns", "del", self.name, check=False)


class NodeBed:
    """One node: its namespace, its files, its runtime."""

    def __init__(self, bed: Testbed, name: str, number: int) -> None:
        self.bed, self.name = bed, name
        self.directory = bed.directory / name
        self.directory.mkdir()
        (self.directory / "nodename").write_text(name)
        self.namespace = bed.namespace(name)
        address = f"10.0.0.{number}"
        for command in (
            ("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "uplink-peer"),
            ("ip", "link", "set", "uplink-peer", "up"),
            ("ip", "link", "set", "uplink", "up"),
            ("ip", "addr", "add", f"{address}/24", "dev", "uplink"),
            ("ip", "route", "add", "default", "via", "10.0.0.254"),
        ):
            self.namespace.run(*command)
        bed.store.create(Node(metadata=Metadata(name=name), ipv4_address=f"{address}/24"))
        self.runtime = self.make_runtime()

    def plugin(self, **keys: Any) -> Document:
        """The entry of `calico` in this node's conflist."""
        entry = {
            "type": "calico",
            "log_level": "info",
            "log_file_path": str(self.directory / "cni.log"),
            "datastore_type": "sqlite",
            "datastore_path": str(self.bed.store_path),
            "nodename_file": str(self.directory / "nodename"),
            "mtu_file": str(self.directory / "mtu"),
            "ipam_lock_file": str(self.directory / "ipam.lock"),
            "mtu": 1440,
            "ipam": {"type": "calico-ipam"},
            "policy": {"type": "k8s"},
            "capabilities": {"io.kubernetes.cri.pod-annotations": True, "ips": True, "mac": True},
        }
        return entry | keys

    def make_runtime(
        self,
        *plugins: Document,
        version: str = "1.0.0",
        name: str = "k8s-pod-network",
        environment: dict[str, str] | None = None,
        **keys: Any,
    ) -> Runtime:
        """A runtime whose conflist holds our plugin with these keys changed, then the others."""
        conflist = {"name": name, "cniVersion": version, "plugins": [self.plugin(**keys), *plugins]}
        return Runtime(
            conflist,
            [self.bed.binaries, DEBIAN_PLUGINS],
            self.directory / "cache",
            enter=["nsenter", f"--net={self.namespace.path}"],
            environment=environment,
        )

    def pod_links(self) -> set[str]:
        return {name for name in self.namespace.links() if name.startswith("cali")}

    def pod_routes(self) -> set[str]:
        found = {**self.namespace.routes(), **self.namespace.routes("-6")}
        return {
            route["dst"]
            for route in found.values()
            if route.get("dev", "").startswith("cali") and route["dst"] != "fe80::/64"
        }


class Testbed:
    """Everything of one test; leaving it removes every namespace, whatever happened."""

    __test__ = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.binaries = directory / "bin"
        self.store_path = directory / "datastore.db"
        self.nodes: dict[str, NodeBed] = {}
        self._namespaces: list[Namespace] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Testbed:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_namespaces)
            self.store = stack.enter_context(open_datastore(f"sqlite://{self.store_path}"))
            seed(self.store)
            install(
                InstallSettings(
                    binary_directories=(self.binaries,), network_directory=self.directory / "net.d", node_name="unused"
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _remove_namespaces(self) -> None:
        for namespace in self._namespaces:
            namespace.remove()

    def namespace(self, label: str) -> Namespace:
        namespace = Namespace(label)
        self._namespaces.append(namespace)
        return namespace

    def node(self, name: str = "node-01") -> NodeBed:
        self.nodes[name] = NodeBed(self, name, len(self.nodes) + 1)
        return self.nodes[name]

    def pool(self, name: str, cidr: str, **fields: Any) -> IPPool:
        return self.store.create(IPPool(metadata=Metadata(name=name), cidr=cidr, **fields))

    def pod(self, label: str = "web-0", container_id: str = "", **keys: Any) -> Pod:
        return Pod(self, label, container_id or f"{next(COUNTER):032x}" * 2, **keys)

    def endpoints(self) -> dict[str, WorkloadEndpoint]:
        return {endpoint.name: endpoint for endpoint in self.store.list(WorkloadEndpoint).items}

    def allocated(self) -> dict[str, str]:
        """Every allocated address (as block ordinal) with its handle."""
        found = {}
        for block in self.store.list(IPAMBlock).items:
            for ordinal, index in enumerate(block.allocations):
                if index is not None:
                    found[f"{block.cidr}#{ordinal}"] = block.attributes[index].handle_id or ""
        return found

    def handles(self) -> set[str]:
        return {handle.handle_id for handle in self.store.list(IPAMHandle).items}

    def leftovers(self) -> list[str]:
        """What should not be there when every pod is deleted."""
        found = [f"endpoint {name}" for name in self.endpoints()]
        found += [f"address {ordinal} of {handle}" for ordinal, handle in self.allocated().items()]
        found += [f"handle {handle}" for handle in sorted(self.handles())]
        for node in self.nodes.values():
            found += [f"link {name} on {node.name}" for name in sorted(node.pod_links())]
            found += [f"route {route} on {node.name}" for route in sorted(node.pod_routes())]
        return found


class Pod:
    """A pod's namespace and how a kubelet would name it."""

    def __init__(
        self,
        bed: Testbed,
        name: str,
        container_id: str,
        *,
        kubernetes: bool = True,
        annotations: dict[str, str] | None = None,
        ifname: str = "eth0",
        args: str = "",
        capabilities: dict[str, Any] | None = None,
        netns: Namespace | None = None,
    ) -> None:
        self.name = name
        self.namespace = netns or bed.namespace(name)
        pairs = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}" if kubernetes else ""
        named = {f"cni.projectcalico.org/{key}": value for key, value in (annotations or {}).items()}
        self.attachment = Attachment(
            container_id=container_id,
            netns=self.namespace.path,
            ifname=ifname,
            args=";".join(filter(None, (pairs, args))),
            capabilities={"io.kubernetes.cri.pod-annotations": named} | (capabilities or {}),
        )


def seed(store: Datastore) -> None:
    """What the node agent writes at its first start."""
    store.create(ClusterInformation(metadata=Metadata(name="default"), cluster_type="k8s,bgp", datastore_ready=True))


def has_debian_plugin(name: str) -> bool:
    return shutil.which(str(DEBIAN_PLUGINS / name)) is not None


@contextlib.contextmanager
def one_node(directory: Path, cidr: str = "192.168.0.0/16") -> Iterator[NodeBed]:
    """A testbed with one node and one pool."""
    with Testbed(directory) as bed:
        if cidr:
            bed.pool("default-ipv4-ippool", cidr)
        yield bed.node()
