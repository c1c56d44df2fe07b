"""What a pod may ask for: precedence, feature switches, bad values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calico_routing.cni.arguments import Arguments
from calico_routing.cni.config import parse_config
from calico_routing.cni.errors import CniError
from calico_routing.cni.wishes import PodWishes, pod_wishes

ANNOTATION = "cni.projectcalico.org/"


def wishes(annotations: dict[str, str] | None = None, cni_args: dict[str, str] | None = None, **keys: Any) -> PodWishes:
    document = {"name": "net", "cniVersion": "1.0.0", "type": "calico", "ipam": {"type": "calico-ipam"}} | keys
    named = {ANNOTATION + key: value for key, value in (annotations or {}).items()}
    return pod_wishes(parse_config(document), Arguments("ADD", "c", "", "eth0", cni_args or {}, (), False, {}), named)


def refusal(*arguments: Any, **keys: Any) -> CniError:
    with pytest.raises(CniError) as caught:
        wishes(*arguments, **keys)
    assert caught.value.code == 7
    assert caught.value.details
    return caught.value


def test_nothing_asked_is_one_ipv4_address() -> None:
    assert wishes() == PodWishes(((), True, False, (), ()), (), "", (), ())


def test_precedence_of_a_requested_address() -> None:
    annotations = {"ipAddrs": '["10.0.0.4"]'}
    args = {"IP": "10.0.0.3"}
    older = {"cni": {"ips": ["10.0.0.2"]}}
    assert wishes(annotations).ipam.addresses == ("10.0.0.4",)
    assert wishes(annotations, args).ipam.addresses == ("10.0.0.3",)
    assert wishes(annotations, args, args=older).ipam.addresses == ("10.0.0.2",)
    runtime = {"ips": ["10.0.0.1/24"]}
    assert wishes(annotations, args, args=older, runtimeConfig=runtime).ipam.addresses == ("10.0.0.1",)


def test_precedence_of_a_requested_mac() -> None:
    annotations = {"hwAddr": "c2:11:22:33:44:01"}
    assert wishes(annotations).mac == "c2:11:22:33:44:01"
    assert wishes(annotations, {"MAC": "C2-11-22-33-44-02"}).mac == "c2:11:22:33:44:02"
    assert wishes(annotations, {"MAC": "x"}, runtimeConfig={"mac": "c2:11:22:33:44:03"}).mac == "c2:11:22:33:44:03"


@pytest.mark.parametrize("mac", ["x", "c2:11:22:33:44", "01:11:22:33:44:55", "00:00:00:00:00:00", "c2:11:22:33:44:5"])
def test_bad_macs(mac: str) -> None:
    assert repr(mac) in refusal({"hwAddr": mac}).message


def test_pools_and_families() -> None:
    asked = wishes({"ipv4pools": '["blue", "10.1.0.0/16"]', "ipv6pools": '["six"]', "ipFamilies": '["IPv6"]'})
    assert asked.ipam == ((), False, True, ("blue", "10.1.0.0/16"), ("six",))
    configured = wishes(ipam={"type": "calico-ipam", "ipv4_pools": ["red"], "assign_ipv6": "true"})
    assert configured.ipam == ((), True, True, ("red",), ())


def test_two_addresses_of_one_family() -> None:
    assert "ipAddrs" in refusal({"ipAddrs": '["10.0.0.1", "10.0.0.2"]'}).details


def test_both_kinds_of_addresses() -> None:
    features = {"ip_addrs_no_ipam": True}
    both = {"ipAddrs": '["10.0.0.1"]', "ipAddrsNoIpam": '["10.0.0.2"]'}
    assert "exclude" in refusal(both, feature_control=features).message


@pytest.mark.parametrize(
    ("annotation", "switch", "field"),
    [("ipAddrsNoIpam", "ip_addrs_no_ipam", "addresses_without_ipam"), ("floatingIPs", "floating_ips", "floating_ips")],
)
def test_features_are_off_unless_switched_on(annotation: str, switch: str, field: str) -> None:
    annotations = {annotation: '["10.0.0.1"]'}
    assert switch in refusal(annotations).details
    assert getattr(wishes(annotations, feature_control={switch: True}), field) == ("10.0.0.1",)


@pytest.mark.parametrize("annotation", ["ipAddrs", "ipv4pools", "ipv6pools", "ipFamilies", "allowedSourcePrefixes"])
@pytest.mark.parametrize("value", ["x", "{}", "[1]"])
def test_values_that_are_no_lists_of_strings(annotation: str, value: str) -> None:
    refusal({annotation: value})


def test_bad_family_and_bad_floating_address() -> None:
    refusal({"ipFamilies": json.dumps(["IPv5"])})
    refusal({"floatingIPs": '["ten"]'}, feature_control={"floating_ips": True})
