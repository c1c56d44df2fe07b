"""Names that follow from a workload: Calico's test vectors and what ours add."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.cni.arguments import Arguments
from calico_routing.cni.errors import CniError
from calico_routing.cni.workload import Workload, handle_of, identify

POD = Workload("k8s-pod-network", "k8s", "default", "web-0", "worker-01", "02f616bb" * 8, "eth0")
PLAIN = Workload("k8s-pod-network", "cni", "default", "", "node-01", "pod1", "eth0")


@pytest.mark.parametrize(
    ("namespace", "pod", "name"),
    [
        ("default", "nginx-deployment-54f57cf6bf-jmp9l", "cali892ef576711"),
        ("default", "nginx-deployment-54f57cf6bf-gn7x8", "cali12aa5f52300"),
        ("kube-system", "coredns-6955765f44-b5dkz", "cali3f91d23777d"),
        ("kube-system", "coredns-6955765f44-xqbm8", "cali84836540a5b"),
        ("kube-system", "calico-kube-controllers-778676476b-n84g8", "cali61f7d79e884"),
    ],
)
def test_host_interfaces_of_the_article(namespace: str, pod: str, name: str) -> None:
    assert POD._replace(namespace=namespace, pod=pod).host_interface == name


@pytest.mark.parametrize(
    ("container_id", "name"),
    [
        ("pod1", "calipod1"),
        ("0123456789abcdef" * 4, "cali0123456789a"),
        ("default-c1", "calidefault-c1"),
    ],
)
def test_host_interfaces_of_plain_containers(container_id: str, name: str) -> None:
    assert PLAIN._replace(container_id=container_id).host_interface == name


def test_spoken_identifiers_that_begin_alike_get_different_names() -> None:
    first, second = (PLAIN._replace(container_id=f"default-container-{letter}") for letter in "ab")
    assert first.host_interface != second.host_interface


def test_a_second_interface_has_names_of_its_own() -> None:
    second = POD._replace(ifname="net1")
    assert second.host_interface != POD.host_interface
    assert second.endpoint_name == "worker--01-k8s-web--0-net1"
    assert second.handle == POD.handle + ".net1"


def test_endpoint_names() -> None:
    assert POD.endpoint_name == "worker--01-k8s-web--0-eth0"
    assert PLAIN.endpoint_name == "node--01-cni-pod1-eth0"


@pytest.mark.parametrize("field", ["node", "pod"])
@pytest.mark.parametrize("value", ["-a", "a-"])
def test_a_segment_with_a_dash_at_its_end(field: str, value: str) -> None:
    with pytest.raises(CniError, match="dash") as caught:
        _ = POD._replace(**{field: value}).endpoint_name
    assert caught.value.code == 4


def test_handle_and_attributes() -> None:
    assert POD.handle == "k8s-pod-network." + "02f616bb" * 8
    assert POD.attributes == {"node": "worker-01", "pod": "web-0", "namespace": "default"}
    assert PLAIN.attributes == {"node": "node-01"}


@pytest.mark.parametrize(("network", "container_id"), [("a.b", "c"), ("a", "b.c")])
def test_a_handle_that_could_be_read_two_ways_names_its_network(network: str, container_id: str) -> None:
    workload = PLAIN._replace(network=network, container_id=container_id)
    assert workload.handle == "a.b.c"
    assert workload.attributes["network"] == network


def test_prefix() -> None:
    assert POD._replace(interface_prefix="tap").host_interface.startswith("tap892") is False
    assert len(POD._replace(interface_prefix="tap").host_interface) == 14
    assert len(POD._replace(interface_prefix="longprefix").host_interface) == 15


def arguments(**args: str) -> Arguments:
    return Arguments("ADD", "c1", "/proc/1/ns/net", "eth0", args, (), False, {})


@pytest.mark.parametrize(
    ("args", "orchestrator", "namespace", "pod"),
    [
        ({"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "web-0"}, "k8s", "default", "web-0"),
        ({"K8S_POD_NAME": "podman-container"}, "cni", "default", ""),
        ({}, "cni", "default", ""),
    ],
)
def test_who_is_a_pod(args: dict[str, str], orchestrator: str, namespace: str, pod: str) -> None:
    workload = identify(arguments(**args), "net", "n1", {})
    assert (workload.orchestrator, workload.namespace, workload.pod) == (orchestrator, namespace, pod)
    assert identify(arguments(**args), "net", "n1", {"FELIX_INTERFACEPREFIX": "tap,cali"}).interface_prefix == "tap"


identifiers = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,70}", fullmatch=True)


@given(identifiers, identifiers, st.sampled_from(["eth0", "net1"]))
def test_names_always_fit(container_id: str, pod: str, ifname: str) -> None:
    for workload in (
        PLAIN._replace(container_id=container_id, ifname=ifname),
        POD._replace(pod=pod, container_id=container_id, ifname=ifname),
    ):
        assert len(workload.host_interface) <= 15
        assert len(workload.owner) <= 255
        assert workload.handle == handle_of(workload.network, container_id, ifname)
