"""What must hold on this node before a command may act: its name, its store, its MTU (Calico sections 3.1 and 3.2)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.datastore.interface import NotFoundError
from calico_routing.datastore.open import open_datastore
from calico_routing.kernel.netlink.client import NetlinkClient
from calico_routing.model.resources import ClusterInformation, Node

if TYPE_CHECKING:
    from calico_routing.cni.config import NetworkConfig
    from calico_routing.datastore.interface import Datastore

SQLITE = "sqlite"
DEFAULT_DATASTORE_PATH = "/var/lib/calico/datastore.db"
TUNNEL_DEVICE = "tunl0"
FALLBACK_MTU = 1500
CLUSTER = "default"
DAEMON_SECONDS = 0.5


def node_name(config: NetworkConfig) -> str:
    """The configured name, the file's content, the old `hostname` key, the host's own name, in this order."""
    content = _read_nodename_file(config)
    return config.nodename or content or config.hostname or os.uname().nodename.lower()


def _read_nodename_file(config: NetworkConfig) -> str:
    """The file must exist unless it is optional: it tells that the node agent has started once."""
    try:
        with open(config.nodename_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 3 ms
            return file.read().strip()
    except OSError as error:
        if config.nodename_file_optional:
            return ""
        raise CniError(
            ErrorCode.UNKNOWN_NODE,
            f"stat {config.nodename_file}: {(error.strerror or '').lower()}",
            "check that the calico/node container (or pybgp-node) is running and has mounted /var/lib/calico/",
        ) from error


def open_store(config: NetworkConfig) -> Datastore:
    """The datastore that the configuration names."""
    if config.datastore_type != SQLITE:
        raise CniError(
            ErrorCode.UNSUPPORTED_FIELD,
            f'unsupported datastore_type "{config.datastore_type}"',
            f'datastore_type must be "{SQLITE}" in this version, with datastore_path',
        )
    return open_datastore(f"{SQLITE}://{config.datastore_path or DEFAULT_DATASTORE_PATH}", create=False)


def require_ready(store: Datastore) -> None:
    """ClusterInformation must exist and say that the datastore may be used."""
    try:
        ready = store.get(ClusterInformation, CLUSTER).datastore_ready
        reason = f"ClusterInformation {CLUSTER} has datastoreReady {str(ready).lower()}; unlock the datastore"
    except NotFoundError:
        ready = False
        reason = f"ClusterInformation {CLUSTER} does not exist; start pybgp-node once"
    if not ready:
        raise CniError(ErrorCode.DATASTORE, "Calico is currently not ready to process requests", reason)


def pod_mtu(config: NetworkConfig) -> int:
    """The configured MTU, else the file's, else the tunnel device's."""
    return config.mtu or _read_mtu_file(config) or _detect_mtu()


def _read_mtu_file(config: NetworkConfig) -> int:
    try:
        with open(config.mtu_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 3 ms
            text = file.read().strip()
    except OSError as error:
        if not config.require_mtu_file:
            return 0
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"cannot read {config.mtu_file}: {error.strerror}",
            "require_mtu_file is set; wait for the node agent to write the file",
        ) from error
    if not text.isdecimal():
        raise CniError(
            ErrorCode.INVALID_CONFIGURATION,
            f"{config.mtu_file} holds {text!r}, not an MTU",
            "delete or correct the file",
        )
    return int(text)


def _detect_mtu() -> int:
    with NetlinkClient() as client:
        tunnel = client.link(TUNNEL_DEVICE)
    return tunnel.mtu if tunnel and tunnel.up else FALLBACK_MTU


def require_routing(config: NetworkConfig, store: Datastore, node: str) -> None:
    """The node must be registered (code 50); its tunnel and its routing daemon must be there (code 51)."""
    try:
        tunnel_address = store.get(Node, node).ipv4_ipip_tunnel_address
    except NotFoundError as error:
        advice = "start pybgp-node on it"
        raise CniError(ErrorCode.NOT_READY, f"node {node} is not in the datastore", advice) from error
    if tunnel_address and not _has_tunnel():
        advice = "start pybgp-node, which makes it; pods of other nodes are out of reach until then"
        raise CniError(ErrorCode.NOT_READY_AND_IMPAIRED, f"{TUNNEL_DEVICE} is missing or down", advice)
    if config.control_socket and (reason := _daemon_problem(config.control_socket)):
        advice = "start pybgp-node; routes are kept, but no longer learnt"
        raise CniError(ErrorCode.NOT_READY_AND_IMPAIRED, f"the routing daemon does not answer: {reason}", advice)


def _has_tunnel() -> bool:
    with NetlinkClient() as client:
        tunnel = client.link(TUNNEL_DEVICE)
    return tunnel is not None and tunnel.up


def _daemon_problem(path: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(DAEMON_SECONDS)
        try:
            probe.connect(path)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
    return ""
