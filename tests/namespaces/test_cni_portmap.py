"""The article's conflist: Debian's portmap after ours, a hostPort that answers."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calico_routing.cni.runtime import Runtime
from tests.calico_routing.cni.testbed import (
    Namespace,
    NodeBed,
    Pod,
    Testbed,
    has_debian_plugin,
    needs_root,
    run,
)

pytestmark = [
    pytest.mark.namespaces,
    needs_root,
    pytest.mark.skipif(
        not has_debian_plugin("portmap"), reason="Debian's containernetworking-plugins is not installed"
    ),
]
SERVER = """
import socket
listener = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello from the pod")
    connection.close()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as connection:
    print(connection.makefile().read())
"""
PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeBed]:
    with Testbed(tmp_path) as bed:
        bed.pool("default-ipv4-ippool", "192.168.0.0/16")
        yield bed.node("worker-01")


def outside(bed: Testbed, node: NodeBed) -> Namespace:
    """A machine on the node's network."""
    machine = bed.namespace("outside")
    node.namespace.run("ip", "link", "set", "uplink-peer", "netns", machine.name)
    machine.run("ip", "addr", "add", "10.0.0.254/24", "dev", "uplink-peer")
    machine.run("ip", "link", "set", "uplink-peer", "up")
    node.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    return machine


@contextlib.contextmanager
def serving(pod: Pod) -> Iterator[None]:
    command = ["nsenter", f"--net={pod.namespace.path}", "python3", "-c", SERVER]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "mapping",
    [
        {"hostPort": 18080, "containerPort": 80, "protocol": "tcp"},
        {"HostPort": 18080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""},
    ],
    ids=["podman spells", "containerd spells"],
)
@pytest.mark.parametrize("version", ["0.3.1", "1.0.0"])
def test_a_host_port_answers(mapping: dict[str, Any], version: str, node: NodeBed) -> None:
    if "HostPort" in mapping:
        mapping = mapping | {"Protocol": "tcp"}  # portmap itself compares the value in lower case
    machine = outside(node.bed, node)
    runtime = node.make_runtime(PORTMAP, version=version)
    pod = node.bed.pod(capabilities={"portMappings": [mapping]})
    result = runtime.add(pod.attachment)
    assert result["cniVersion"] == version
    assert [entry["name"] for entry in result["interfaces"]] == [*node.pod_links(), "eth0"]
    with serving(pod):
        assert machine.run("python3", "-c", CLIENT, "10.0.0.1", "18080").strip() == "hello from the pod"
        assert node.namespace.run("python3", "-c", CLIENT, "127.0.0.1", "18080").strip() == "hello from the pod"
    if version == "1.0.0":  # CHECK of ours only: Debian's portmap demands IPv6 rules that it never made
        config = runtime.derive(runtime.conflist["plugins"][0], pod.attachment.capabilities, result)
        runtime.execute("CHECK", "calico", config, pod.attachment)
    runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []
    assert "18080" not in node.namespace.run("iptables-save", check=False)


@pytest.mark.skipif(not has_debian_plugin("bandwidth"), reason="Debian's bandwidth plugin is not installed")
def test_the_older_manifests_third_plugin(node: NodeBed) -> None:
    bandwidth = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
    runtime: Runtime = node.make_runtime(PORTMAP, bandwidth, version="0.4.0")
    pod = node.bed.pod(capabilities={"bandwidth": {"ingressRate": 1_000_000, "ingressBurst": 100_000}})
    try:
        runtime.add(pod.attachment)
    except Exception as error:
        if "ifb" in str(error) or "not supported" in str(error) or "no such file" in str(error):
            pytest.skip(f"this kernel has no traffic shaping: {error}")
        raise
    (name,) = node.pod_links()
    assert "tbf" in run("nsenter", f"--net={node.namespace.path}", "tc", "qdisc", "show", "dev", name)
    runtime.delete(pod.attachment)
    assert node.bed.leftovers() == []
