"""CHECK, GC and STATUS in real namespaces (spec/cni.md section 3)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calico_routing.ipam.allocator import Allocator
from calico_routing.model.resources import IPAMConfig, Metadata, Node
from tests.calico_routing.cni.runtime import PluginError
from tests.calico_routing.cni.testbed import NodeBed, Pod, Testbed, needs_root, one_node

pytestmark = [pytest.mark.namespaces, needs_root]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeBed]:
    with one_node(tmp_path) as node:
        node.runtime = node.make_runtime(version="1.1.0")
        yield node


def added(node: NodeBed, name: str = "web-0") -> Pod:
    pod = node.bed.pod(name)
    node.runtime.add(pod.attachment)
    return pod


def address_of(pod: Pod) -> str:
    (address,) = pod.namespace.addresses("eth0")
    return address


def host_end(node: NodeBed) -> str:
    (name,) = node.pod_links()
    return name


def release(node: NodeBed, pod: Pod) -> None:
    Allocator(node.bed.store).release_by_handle(f"k8s-pod-network.{pod.attachment.container_id}")


DAMAGES: dict[str, tuple[Callable[[NodeBed, Pod], object], str]] = {
    "pod link down": (lambda _, pod: pod.namespace.run("ip", "link", "set", "eth0", "down"), "eth0 is down"),
    "address removed": (
        lambda _, pod: pod.namespace.run("ip", "addr", "del", address_of(pod), "dev", "eth0"),
        "address",
    ),
    "default route removed": (lambda _, pod: pod.namespace.run("ip", "route", "del", "default"), "route 0.0.0.0/0"),
    "host link down": (lambda node, _: node.namespace.run("ip", "link", "set", host_end(node), "down"), "is down"),
    "host route removed": (
        lambda node, pod: node.namespace.run("ip", "route", "del", address_of(pod)),
        "is missing on the host",
    ),
    "pair gone": (lambda node, _: node.namespace.run("ip", "link", "del", host_end(node)), "eth0 is missing"),
    "reservation gone": (release, "nothing is reserved"),
    "endpoint gone": (
        lambda node, _: node.bed.store.delete(next(iter(node.bed.endpoints().values()))),
        "WorkloadEndpoint node--01-k8s-web--0-eth0 is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_check_finds(damage: str, node: NodeBed) -> None:
    pod = added(node)
    node.runtime.check(pod.attachment)
    spoil, reason = DAMAGES[damage]
    spoil(node, pod)
    with pytest.raises(PluginError, match=reason) as caught:
        node.runtime.check(pod.attachment)
    assert caught.value.code == 105


def test_check_tolerates_more_than_was_made(node: NodeBed) -> None:
    pod = added(node)
    pod.namespace.run("ip", "route", "add", "10.1.0.0/16", "via", "169.254.1.1", "dev", "eth0", "onlink")
    pod.namespace.run("ip", "addr", "add", "10.2.0.1/32", "dev", "eth0")
    pod.namespace.run("ip", "link", "set", "eth0", "mtu", "1300")
    node.runtime.check(pod.attachment)


def test_check_needs_the_previous_result(node: NodeBed) -> None:
    pod = added(node)
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
    for plugin in ("calico", "calico-ipam"):
        with pytest.raises(PluginError) as caught:
            node.runtime.execute("CHECK", plugin, config, pod.attachment)
        assert caught.value.code == 7


def test_gc_keeps_the_valid_and_frees_the_others(node: NodeBed) -> None:
    keep, lose = added(node, "keep"), added(node, "lose")
    (node.directory / "cache" / f"k8s-pod-network-{lose.attachment.container_id}-eth0").unlink()
    node.runtime.gc([keep.attachment])
    assert list(node.bed.allocated().values()) == [f"k8s-pod-network.{keep.attachment.container_id}"]
    assert list(node.bed.endpoints()) == ["node--01-k8s-keep-eth0"]
    assert len(node.pod_links()) == 1
    assert lose.namespace.link("eth0") is None
    node.runtime.check(keep.attachment)
    node.runtime.gc([])
    assert node.bed.leftovers() == []


def test_gc_without_a_list_does_nothing(node: NodeBed) -> None:
    pod = added(node)
    for plugin in ("calico", "calico-ipam"):
        config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
        assert node.runtime.execute("GC", plugin, config, None) == ""
    node.runtime.check(pod.attachment)


def test_gc_of_calico_ipam_alone_frees_addresses(node: NodeBed) -> None:
    added(node)
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None) | {"cni.dev/valid-attachments": []}
    node.runtime.execute("GC", "calico-ipam", config, None)
    assert node.bed.allocated() == {}


@pytest.mark.parametrize("other", ["other", "k8s-pod-network.blue", "k8s-pod"])
def test_gc_never_touches_another_network(other: str, node: NodeBed) -> None:
    runtime = node.make_runtime(version="1.1.0", name=other)
    pod = node.bed.pod("other")
    runtime.add(pod.attachment)
    mine = added(node, "mine")
    node.runtime.gc([mine.attachment])
    runtime.check(pod.attachment)
    runtime.gc([pod.attachment])
    node.runtime.check(mine.attachment)
    runtime.gc([])
    node.runtime.check(mine.attachment)
    assert pod.namespace.link("eth0") is None
    node.runtime.delete(mine.attachment)
    assert node.bed.leftovers() == []


def test_gc_never_touches_another_node_nor_a_tunnel_address(tmp_path: Path) -> None:
    with Testbed(tmp_path) as bed:
        bed.pool("default", "192.168.0.0/16")
        nodes = [bed.node("node-01"), bed.node("node-02")]
        for node in nodes:
            node.runtime = node.make_runtime(version="1.1.0")
        pods = [added(node, f"pod-{node.name}") for node in nodes]
        tunnel = {"node": "node-01", "type": "ipipTunnelAddress"}
        Allocator(bed.store).assign_ip(
            "192.168.200.1", handle="k8s-pod-network.tunnel", host="node-01", attributes=tunnel
        )
        nodes[0].runtime.gc([])
        nodes[1].runtime.check(pods[1].attachment)
        assert "k8s-pod-network.tunnel" in bed.allocated().values()
        assert len(bed.allocated()) == 2


def failing_status(node: NodeBed, plugin: str = "calico") -> PluginError:
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
    with pytest.raises(PluginError) as caught:
        node.runtime.execute("STATUS", plugin, config, None)
    return caught.value


def test_status_is_good(node: NodeBed) -> None:
    node.runtime.status()
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
    assert node.runtime.execute("STATUS", "calico-ipam", config, None) == ""


def test_status_is_fast(node: NodeBed) -> None:
    best = min(_seconds(node.runtime.status) for _ in range(5))
    assert best < 0.3  # the budget is 0.1 s; benchmarks measure it on a quiet machine


def _seconds(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def test_status_without_a_store(node: NodeBed) -> None:
    node.runtime = node.make_runtime(version="1.1.0", datastore_path=str(node.directory / "absent.db"))
    assert failing_status(node).code == 50


def test_status_of_an_unknown_node(node: NodeBed) -> None:
    (node.directory / "nodename").write_text("node-77")
    error = failing_status(node)
    assert (error.code, "node-77" in str(error)) == (50, True)


@pytest.mark.parametrize("strict", [False, True])
def test_status_when_the_pool_is_full(strict: bool, tmp_path: Path) -> None:
    with Testbed(tmp_path) as bed:
        bed.pool("tiny", "10.11.0.0/30", block_size=31)
        first, second = bed.node("node-01"), bed.node("node-02")
        for node in (first, second):
            node.runtime = node.make_runtime(version="1.1.0")
        bed.store.create(IPAMConfig(metadata=Metadata(name="default"), strict_affinity=strict))
        for number in range(2):
            added(first, f"a{number}")
            second.runtime.status()
        added(second, "b0")
        second.runtime.status()
        if strict:
            assert failing_status(first).code == 50
        else:
            first.runtime.status()
        added(second, "b1")
        for plugin in ("calico", "calico-ipam"):
            error = failing_status(second, plugin)
            assert (error.code, "no free IPv4 address" in str(error)) == (50, True)


def test_status_without_the_tunnel_device(node: NodeBed) -> None:
    stored = node.bed.store.get(Node, "node-01")
    node.bed.store.update(stored.replace(ipv4_ipip_tunnel_address="192.168.0.1"))
    error = failing_status(node)
    assert (error.code, "tunl0" in str(error)) == (51, True)
    node.namespace.run("ip", "link", "add", "tunl0", "up", "type", "veth", "peer", "name", "far")
    node.runtime.status()


def test_status_without_the_daemon(node: NodeBed) -> None:
    path = node.directory / "node.sock"
    node.runtime = node.make_runtime(version="1.1.0", control_socket=str(path))
    error = failing_status(node)
    assert (error.code, str(path) in str(error)) == (51, True)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        node.runtime.status()
