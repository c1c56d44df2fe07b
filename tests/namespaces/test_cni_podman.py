"""Real containers by podman, whose libcni calls our installed plugins and Debian's portmap (spec/cni.md section 8)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calico_routing.cni.testbed import DEBIAN_PLUGINS, NodeBed, has_debian_plugin, needs_root, one_node

PROGRAMS = ("podman", "runc", "conmon", "busybox")
missing = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.namespaces,
    needs_root,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.skipif(not has_debian_plugin("portmap"), reason="Debian's containernetworking-plugins is absent"),
]
PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
APPLETS = ("sh", "ip", "ping", "cat", "sleep", "wget", "httpd")
ULIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
CONTAINERS_CONF = """
[network]
network_backend = "cni"
cni_plugin_dirs = ["{binaries}", "{debian}"]
network_config_dir = "{networks}"
default_network = "k8s-pod-network"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
STORAGE_CONF = """
[storage]
driver = "vfs"
graphroot = "{directory}/graph"
runroot = "{directory}/run"
"""


class Podman:
    """podman on one node, with everything it keeps in the test's directory."""

    def __init__(self, node: NodeBed) -> None:
        self.node = node
        directory = node.directory
        self.networks = directory / "net.d"
        self.networks.mkdir()
        conflist = node.make_runtime(PORTMAP).conflist
        (self.networks / "10-calico.conflist").write_text(json.dumps(conflist))
        self.rootfs = make_rootfs(directory / "rootfs")
        settings = {"binaries": node.bed.binaries, "debian": DEBIAN_PLUGINS, "networks": self.networks}
        (directory / "containers.conf").write_text(CONTAINERS_CONF.format(**settings))
        (directory / "storage.conf").write_text(STORAGE_CONF.format(directory=directory))
        self._environment = os.environ | {
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
        }

    def __call__(self, *arguments: str, check: bool = True) -> str:
        process = subprocess.run(
            ["nsenter", f"--net={self.node.namespace.path}", "podman", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or process.returncode == 0, f"podman {' '.join(arguments)}: {process.stdout}{process.stderr}"
        return process.stdout

    def run(self, name: str, *options: str, command: str = "sleep 1000") -> str:
        detached = ("-d",) if command == "sleep 1000" else ("--rm",)
        return self(
            "run", "--name", name, *detached, *ULIMITS, *options, "--rootfs", str(self.rootfs), "/bin/sh", "-c", command
        )

    def remove_all(self) -> None:
        self("rm", "--all", "--force", "--time", "0", check=False)


def make_rootfs(directory: Path) -> Path:
    busybox = shutil.which("busybox")
    assert busybox is not None
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "www"):
        (directory / name).mkdir(parents=True)
    shutil.copy(busybox, directory / "bin" / "busybox")
    for applet in APPLETS:
        (directory / "bin" / applet).symlink_to("busybox")
    (directory / "www" / "index.html").write_text("hello from the container\n")
    return directory


@pytest.fixture
def podman() -> Iterator[Podman]:
    """Yield podman in a directory with a short name: conmon's socket in pytest's own is too long, which costs 20 s."""
    with tempfile.TemporaryDirectory() as directory, one_node(Path(directory)) as node:
        podman = Podman(node)
        try:
            yield podman
        finally:
            podman.remove_all()


def test_a_container_lives_and_dies(podman: Podman) -> None:
    output = podman.run("web", command="ip addr show eth0; ip route")
    assert "/32" in output
    assert "mtu 1440" in output
    assert "default via 169.254.1.1 dev eth0" in output
    assert podman.node.bed.leftovers() == []


def test_two_containers_talk_and_a_port_is_published(podman: Podman) -> None:
    podman.run("server", "-p", "18080:80", command="sleep 1000")
    podman("exec", "-d", "server", "/bin/httpd", "-p", "80", "-h", "/www")
    (endpoint,) = podman.node.bed.endpoints().values()
    address = endpoint.ip_networks[0].removesuffix("/32")
    assert "hello" in podman.run("client", command=f"ping -c1 -W2 {address} >&2 && wget -qO- http://{address}/")
    answer = podman.node.namespace.run("python3", "-c", FETCH, "http://10.0.0.1:18080/")
    assert "hello from the container" in answer
    podman("restart", "--time", "0", "server")
    assert len(podman.node.bed.allocated()) == 1
    podman("stop", "--time", "0", "server")
    podman("rm", "server")
    assert podman.node.bed.leftovers() == []


FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).read().decode())"


def test_a_requested_address_and_mac(podman: Podman) -> None:
    output = podman.run(
        "fixed", "--ip", "192.168.33.7", "--mac-address", "c2:11:22:33:44:55", command="ip addr show eth0"
    )
    assert "192.168.33.7/32" in output
    assert "c2:11:22:33:44:55" in output


def test_disconnect_and_connect(podman: Podman) -> None:
    podman.run("web")
    podman("network", "disconnect", "k8s-pod-network", "web")
    assert podman.node.bed.leftovers() == []
    podman("network", "connect", "k8s-pod-network", "web")
    assert len(podman.node.bed.allocated()) == 1
    podman("rm", "--force", "--time", "0", "web")
    assert podman.node.bed.leftovers() == []


def test_an_error_reaches_the_user(podman: Podman) -> None:
    (podman.node.directory / "nodename").unlink()
    with pytest.raises(AssertionError, match="/var/lib/calico/"):
        podman.run("web", command="true")
