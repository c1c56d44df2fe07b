"""D3: each detection method on made-up devices."""

from __future__ import annotations

import pytest

from calico_routing.autodetection import (
    EXCLUDED_DEVICES,
    Device,
    MethodError,
    Surroundings,
    detect,
    find_address,
    is_global_unicast,
    parse_method,
)

DEVICES = (
    Device("lo", 1, ("127.0.0.1/8", "10.255.255.1/32", "::1/128")),
    Device("eth0", 2, ("10.0.0.5/24", "fe80::1/64", "2001:db8::5/64")),
    Device("eth1", 3, ("169.254.7.7/16", "192.0.2.5/28", "192.0.2.6/28")),
    Device("docker0", 4, ("172.17.0.1/16",)),
    Device("cali12345678901", 5, ("10.1.1.1/32",)),
    Device("ens9", 6, ()),
)


def reach(destination: str, version: int) -> str | None:
    return {("198.51.100.1", 4): "10.0.0.5", ("2001:db8:f::1", 6): "2001:db8::5"}.get((destination, version))


AROUND = Surroundings(DEVICES, reach, ("10.0.0.5", "2001:db8::5"))


@pytest.mark.parametrize(
    ("method", "version", "address", "device"),
    [
        ("first-found", 4, "192.0.2.5/28", "eth1"),
        ("first-found", 6, "2001:db8::5/64", "eth0"),
        ("interface=eth0", 4, "10.0.0.5/24", "eth0"),
        ("interface=th", 4, "192.0.2.5/28", "eth1"),
        ("interface=none,docker.*", 4, "172.17.0.1/16", "docker0"),
        ("interface=lo", 4, "10.255.255.1/32", "lo"),
        ("skip-interface=eth1", 4, "10.0.0.5/24", "eth0"),
        ("skip-interface=h1$, docker", 4, "10.0.0.5/24", "eth0"),
        ("cidr=10.0.0.0/24", 4, "10.0.0.5/24", "eth0"),
        ("cidr=203.0.113.0/24,172.16.0.0/12", 4, "172.17.0.1/16", "docker0"),
        ("cidr=2001:db8::/32", 6, "2001:db8::5/64", "eth0"),
        ("can-reach=198.51.100.1", 4, "10.0.0.5/24", "eth0"),
        ("can-reach=2001:db8:f::1", 6, "2001:db8::5/64", "eth0"),
        ("kubernetes-internal-ip", 4, "10.0.0.5/24", "eth0"),
        ("kubernetes-internal-ip", 6, "2001:db8::5/64", "eth0"),
    ],
)
def test_a_method_finds(method: str, version: int, address: str, device: str) -> None:
    assert detect(parse_method(method), version, AROUND) == (address, device)


@pytest.mark.parametrize(
    ("method", "version"),
    [
        ("interface=wlan", 4),
        ("interface=ens9", 4),
        ("interface=docker0", 6),
        ("cidr=203.0.113.0/24", 4),
        ("cidr=10.0.0.0/24", 6),
        ("skip-interface=eth", 4),
        ("can-reach=203.0.113.1", 4),
    ],
)
def test_a_method_finds_nothing(method: str, version: int) -> None:
    assert detect(parse_method(method), version, AROUND) is None


def test_an_internal_address_without_a_device_is_a_host_prefix() -> None:
    around = Surroundings((), reach, ("10.7.7.7", "2001:db8::7"))
    assert detect(parse_method("kubernetes-internal-ip"), 4, around) == ("10.7.7.7/32", "")
    assert detect(parse_method("kubernetes-internal-ip"), 6, around) == ("2001:db8::7/128", "")
    assert detect(parse_method("kubernetes-internal-ip"), 4, Surroundings((), reach)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "first",
        "first-found=x",
        "interface=",
        "interface",
        "skip-interface=",
        "can-reach=",
        "can-reach=a,b",
        "cidr=x",
        "cidr=",
        "interface=(",
        "kubernetes-internal-ip=1",
    ],
)
def test_an_unknown_method_is_refused(text: str) -> None:
    with pytest.raises(MethodError, match="expected"):
        parse_method(text)


@pytest.mark.parametrize(
    "name",
    [
        "docker0",
        "cbr0",
        "dummy0",
        "podman1",
        "virbr0",
        "lxcbr0",
        "veth12",
        "lo",
        "br-12ab",
        "cali0",
        "tunl0",
        "flannel.1",
        "kube-ipvs0",
        "cni0",
        "vxlan.calico",
        "vxlan-v6.calico",
        "wireguard.cali",
        "wg-v6.cali",
        "nodelocaldns",
    ],
)
def test_first_found_leaves_out_what_is_no_way_out(name: str) -> None:
    device = Device(name, 9, ("10.9.9.9/24",))
    assert detect(parse_method("first-found"), 4, Surroundings((device,), reach)) is None


def test_exclusions_are_anchored_at_the_start_only() -> None:
    device = Device("mydocker0", 9, ("10.9.9.9/24",))
    assert detect(parse_method("first-found"), 4, Surroundings((device,), reach)) == ("10.9.9.9/24", "mydocker0")
    assert len(EXCLUDED_DEVICES) == 19


def test_the_written_method_is_kept() -> None:
    assert str(parse_method("interface=a, b")) == "interface=a,b"
    assert str(parse_method("first-found")) == "first-found"


def test_the_prefix_length_comes_from_the_device() -> None:
    found = find_address("192.0.2.6", DEVICES)
    assert found == ("192.0.2.6/28", "eth1")
    assert found is not None
    assert found.host == "192.0.2.6"
    assert find_address("192.0.2.7", DEVICES) is None


@pytest.mark.parametrize(
    "address", ["127.0.0.1/8", "169.254.1.1/16", "224.0.0.5/32", "255.255.255.255/32", "0.0.0.0/0"]
)
def test_not_a_node_address(address: str) -> None:
    assert not is_global_unicast(address, 4)
