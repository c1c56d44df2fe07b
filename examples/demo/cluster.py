"""A Calico cluster of network namespaces: nodes on one LAN, an agent in each, pods through the CNI plugins."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from calico_routing.cni.install import InstallSettings, install
from calico_routing.datastore.open import open_datastore
from calico_routing.ipam.allocator import Allocator
from calico_routing.model.resources import IPPool, Metadata
from examples.demo.cni_runtime import CniRuntime, Pod
from examples.demo.namespaces import CommandError, Namespace, join, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from calico_routing.datastore.interface import Datastore

POOL: Final = "192.168.0.0/16"
LAN_PREFIX_LENGTH: Final = 24
GATEWAY: Final = "10.0.0.1"
INTERFACE: Final = "ens160"
TUNNEL: Final = "tunl0"
TUNNEL_MTU: Final = 1440
CONFLIST: Final = "10-calico.conflist"
PLUGIN_DIRECTORIES: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
STOP_SECONDS: Final = 10
START_SECONDS: Final = 30


class NodeAddress(NamedTuple):
    """A node's name and its address on the LAN."""

    name: str
    address: str


ARTICLE_NODES: Final = (
    NodeAddress("master-01", "10.0.0.11"),
    NodeAddress("worker-01", "10.0.0.12"),
    NodeAddress("worker-02", "10.0.0.13"),
)
ARTICLE_BLOCKS: Final = {
    "master-01": "192.168.171.64/26",
    "worker-01": "192.168.5.0/26",
    "worker-02": "192.168.77.128/26",
}


class ClusterNode:
    """One node: a namespace with a network card, a directory of its own, and perhaps a running pybgp-node."""

    def __init__(self, identity: NodeAddress, directory: Path, datastore: Path, settings: Mapping[str, Any]) -> None:
        """Nothing exists before `create`."""
        self.name, self.address = identity
        self.namespace = Namespace(identity.name)
        self.directory = directory
        self.datastore = datastore
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def control_socket(self) -> Path:
        """Return where the agent answers questions."""
        return self.directory / "node.sock"

    @property
    def configuration_path(self) -> Path:
        """Return the agent's configuration file."""
        return self.directory / "node.toml"

    @property
    def log_path(self) -> Path:
        """Return the agent's log."""
        return self.directory / "log"

    def create(self, lan: Namespace) -> None:
        """Make the namespace, plug it into the LAN and do what a host's administrator does."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.namespace.create()
        join(lan, self.port, self.namespace, INTERFACE, f"00:50:56:00:00:{self.address.rpartition('.')[2]}")
        lan.ip("link", "set", self.port, "master", "lan0")
        address = f"{self.address}/{LAN_PREFIX_LENGTH}"
        self.namespace.ip("address", "add", address, "broadcast", "+", "dev", INTERFACE)
        # Without a route towards 169.254.1.1 the node's proxy_arp would not answer the pods.
        self.namespace.ip("route", "add", "default", "via", GATEWAY, "dev", INTERFACE)
        for name, value in (("ip_forward", 1), ("conf.all.rp_filter", 0), ("conf.default.rp_filter", 0)):
            self.namespace.write_sysctl(f"net.ipv4.{name}", value)

    @property
    def port(self) -> str:
        """Return the name of the LAN's end of the cable."""
        return f"p-{self.name}"

    def start(self, *, interface: str = INTERFACE, **settings: Any) -> None:
        """Start pybgp-node; keyword arguments override the cluster's `[bgp]` settings."""
        bgp = {**self.settings, **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in bgp.items()]
        self.configuration_path.write_text(
            f"""[node]
name = "{self.name}"
nodename_file = "{self.directory}/nodename"
ip_autodetection_method = "interface={interface}"

[datastore]
url = "sqlite://{self.datastore}"

[ipv4_pool]
cidr = "{POOL}"
ipip = "Always"

[control]
socket = "{self.control_socket}"

[bgp]
"""
            + "\n".join(lines)
            + "\n"
        )
        with self.log_path.open("ab") as log:
            command = [str(agent_program()), "run", "--config", str(self.configuration_path)]
            self.process = self.namespace.spawn(*command, stdout=log, stderr=log, start_new_session=True)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End the agent by a signal and return its exit status; None where there is none."""
        process, self.process = self.process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """End the agent as a crash would."""
        self.stop(signal.SIGKILL)

    def check_running(self) -> None:
        """Raise an error with the agent's last words if it ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise CommandError(f"pybgp-node on {self.name} ended ({self.process.returncode}):\n{self.log_tail()}")

    def log_tail(self, count: int = 20) -> str:
        """Return the last lines of the agent's log."""
        if not self.log_path.exists():
            return "(no agent was started here)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-count:])

    def status(self, *options: str) -> str:
        """Return what `pybgp-node status` prints."""
        return run(str(agent_program()), "status", "--socket", str(self.control_socket), *options, check=False)

    def routes(self) -> str:
        """Return `ip route`, lines without the trailing blanks of iproute2."""
        return "\n".join(line.rstrip() for line in self.namespace.ip("route").splitlines())

    def bird_routes(self) -> set[str]:
        """Return the routes with protocol `bird`, as `ip route` words them."""
        return {line for line in self.routes().splitlines() if " proto bird" in line}


class Cluster:
    """The nodes, their LAN and their store; everything is gone at the end of the `with` block."""

    def __init__(self, directory: Path, nodes: Sequence[NodeAddress] = ARTICLE_NODES, **settings: Any) -> None:
        """Describe the cluster; keyword arguments are `[bgp]` settings of every agent."""
        self.directory = directory
        self.datastore_path = directory / "datastore.db"
        self.lan = Namespace("lan")
        self.nodes = {
            identity.name: ClusterNode(identity, directory / identity.name, self.datastore_path, settings)
            for identity in nodes
        }
        self.pods: dict[str, Pod] = {}

    def __enter__(self) -> Cluster:
        """Make the LAN and the nodes; no agent runs yet."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._create_lan()
            for node in self.nodes.values():
                node.create(self.lan)
                self.install_plugins(node)
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every agent and delete every namespace."""
        self.delete()

    def delete(self) -> None:
        """Stop every agent and delete every namespace that is there."""
        for node in self.nodes.values():
            node.stop(signal.SIGKILL)
        for namespace in (
            *(pod.network for pod in self.pods.values()),
            *(node.namespace for node in self.nodes.values()),
        ):
            namespace.delete()
        self.lan.delete()

    def _create_lan(self) -> None:
        self.lan.create()
        self.lan.ip("link", "add", "lan0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
        self.lan.ip("address", "add", f"{GATEWAY}/{LAN_PREFIX_LENGTH}", "dev", "lan0")
        self.lan.ip("link", "set", "lan0", "up")

    def open_store(self) -> contextlib.AbstractContextManager[Datastore]:
        """Open the cluster's store, as any client of it would."""
        return contextlib.closing(open_datastore(f"sqlite://{self.datastore_path}"))

    def create_pool(self) -> None:
        """Create the pool before the agents do, so that blocks can be claimed from it."""
        pool = IPPool(
            metadata=Metadata(name="default-ipv4-ippool"),
            cidr=POOL,
            ipip_mode="Always",
            nat_outgoing=True,
            block_size=26,
        )
        with self.open_store() as store:
            store.create(pool)

    def claim_block(self, node_name: str, block: str) -> None:
        """Give a node a block of our choice, confirmed."""
        with self.open_store() as store:
            Allocator(store).claim_affinity(block, node_name)

    def release_block(self, node_name: str, block: str) -> None:
        """Take a block from a node."""
        with self.open_store() as store:
            Allocator(store).release_affinity(block, node_name)

    def start(self, *names: str) -> None:
        """Start the agents of some nodes, by default of all."""
        for name in names or self.nodes:
            self.nodes[name].start()

    def install_plugins(self, node: ClusterNode) -> None:
        """Install the CNI plugins and the article's network configuration as `pybgp-node install-cni` does."""
        calico = {
            "type": "calico",
            "log_level": "info",
            "datastore_type": "sqlite",
            "datastore_path": str(self.datastore_path),
            "nodename": node.name,
            "nodename_file": str(node.directory / "nodename"),
            "ipam_lock_file": str(node.directory / "ipam.lock"),
            "control_socket": str(node.control_socket),
            "mtu": TUNNEL_MTU,
            "ipam": {"type": "calico-ipam"},
        }
        plugins: list[dict[str, Any]] = [calico]
        if any((directory / "portmap").exists() for directory in PLUGIN_DIRECTORIES):
            plugins.append({"type": "portmap", "snat": True, "capabilities": {"portMappings": True}})
        conflist = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": plugins}
        install(
            InstallSettings(
                binary_directories=(node.directory / "bin",),
                network_directory=node.directory,
                conflist_name=CONFLIST,
                template=json.dumps(conflist, indent=2),
            )
        )

    def runtime(self, node: ClusterNode) -> CniRuntime:
        """Return the container runtime of a node."""
        return CniRuntime(node.namespace, node.directory / CONFLIST, (node.directory / "bin", *PLUGIN_DIRECTORIES))

    def add_pod(self, node_name: str, kubernetes_namespace: str, name: str) -> Pod:
        """Make a pod's namespace and connect it through the CNI plugins."""
        pod = Pod(name, kubernetes_namespace, Namespace(name).create(), node_name)
        self.pods[name] = pod
        self.runtime(self.nodes[node_name]).add(pod)
        return pod

    def delete_pod(self, pod: Pod) -> None:
        """Disconnect a pod through the CNI plugins and delete its namespace."""
        self.runtime(self.nodes[pod.node_name]).delete(pod)
        pod.network.delete()
        del self.pods[pod.name]

    def expected_routes(self, node: ClusterNode, blocks: Mapping[str, Sequence[str]]) -> set[str]:
        """Return the `proto bird` routes that a node must have when each node of `blocks` owns those blocks."""
        wanted = set()
        for owner, owned in blocks.items():
            if owner == node.name:
                wanted |= {f"blackhole {block} proto bird" for block in owned}
            else:
                address = self.nodes[owner].address
                wanted |= {f"{block} via {address} dev {TUNNEL} proto bird onlink" for block in owned}
        return wanted

    def wait_converged(
        self, blocks: Mapping[str, Sequence[str]], names: Sequence[str] = (), seconds: float = START_SECONDS
    ) -> float:
        """Wait until the nodes (all by default) have exactly the routes of `blocks`; return the seconds it took."""
        nodes = [self.nodes[name] for name in names or self.nodes]

        def converged() -> bool:
            for node in nodes:
                node.check_running()
            return all(node.bird_routes() == self.expected_routes(node, blocks) for node in nodes)

        try:
            return wait_until(converged, seconds, "convergence", 0.1)
        except TimeoutError as error:
            views = "\n".join(f"{node.name}: {sorted(node.bird_routes())}\n{node.log_tail()}" for node in nodes)
            raise TimeoutError(f"{error}\n{views}") from error

    def cut_link(self, node_name: str) -> None:
        """Pull a node's cable at the LAN's end, so that nothing on the node notices."""
        self.lan.ip("link", "set", self.nodes[node_name].port, "down")

    def restore_link(self, node_name: str) -> None:
        """Plug it in again."""
        self.lan.ip("link", "set", self.nodes[node_name].port, "up")


def agent_program() -> Path:
    """Return the pybgp-node of this Python's environment."""
    return Path(sys.executable).parent / "pybgp-node"
