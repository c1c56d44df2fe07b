"""The network configuration on stdin: order of checks, case of keys, precedence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.cni.config import (
    Attachment,
    NetworkConfig,
    decode,
    list_of_texts,
    parse_config,
    parse_requested_addresses,
    require_version_of,
    supported_version,
)
from calico_routing.cni.errors import CniError
from calico_routing.cni.versions import SUPPORTED_VERSIONS, parse_version

MINIMAL = {"cniVersion": "0.3.1", "name": "k8s-pod-network", "type": "calico"}


def config_of(**keys: Any) -> NetworkConfig:
    return parse_config(MINIMAL | keys)


def code_of(octets: bytes) -> int:
    with pytest.raises(CniError) as caught:
        parse_config(decode(octets))
    return caught.value.code


def test_the_configuration_of_the_article() -> None:
    config = config_of(
        log_level="info",
        datastore_type="kubernetes",
        nodename="worker-01",
        mtu=1440,
        ipam={"type": "calico-ipam"},
        policy={"type": "k8s"},
        kubernetes={"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
    )
    assert (config.nodename, config.mtu, config.ipam.plugin_type) == ("worker-01", 1440, "calico-ipam")
    assert config.ipam.assign_ipv4
    assert not config.ipam.assign_ipv6
    assert config.previous is None
    assert config.valid_attachments is None


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", 6),
        (b"{", 6),
        (b"[]", 6),
        (b"\xff", 6),
        (b"[" * 100_000, 6),
        (b'{"name": "n", "x": ' * 50_000, 6),
        (b"{}", 7),
        (b'{"name": ""}', 7),
        (b'{"name": "a b"}', 7),
        (b'{"name": 5}', 7),
        (b'{"name": "", "cniVersion": "x"}', 7),
        (b'{"name": "n", "cniVersion": "x"}', 6),
        (b'{"name": "n", "cniVersion": "1.0.0.0"}', 6),
        (b'{"name": "n", "cniVersion": "1.-1"}', 6),
        (b'{"name": "n", "cniVersion": "9.9"}', 1),
        (b'{"name": "n", "cniVersion": "0.3.2"}', 1),
        (b'{"name": "n", "cniVersion": "1.0.0", "mtu": "big"}', 7),
    ],
)
def test_order_of_the_checks(octets: bytes, code: int) -> None:
    assert code_of(octets) == code


def test_an_unsupported_version_names_both_sides() -> None:
    with pytest.raises(CniError, match="incompatible CNI versions") as caught:
        supported_version({"cniVersion": "9.9"})
    assert "'9.9'" in caught.value.details
    assert "0.3.1" in caught.value.details


@pytest.mark.parametrize(("text", "expected"), [("", "0.1.0"), ("1.0", "1.0"), ("1", "1"), ("0.4.0", "0.4.0")])
def test_versions_keep_their_spelling(text: str, expected: str) -> None:
    assert supported_version({"cniVersion": text}) == expected


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
@pytest.mark.parametrize(("command", "since"), [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0"), ("ADD", "0")])
def test_commands_need_their_version(command: str, since: str, version: str) -> None:
    if parse_version(version) >= parse_version(since):
        require_version_of(command, version)
        return
    with pytest.raises(CniError, match=f"config version does not allow {command}") as caught:
        require_version_of(command, version)
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mtu", "1440"),
        ("mtu", -1),
        ("mtu", True),
        ("mtu", 2**32),
        ("nodename", 5),
        ("nodename_file_optional", "perhaps"),
        ("ipam", []),
        ("ipam", {"ipv4_pools": "192.168.0.0/16"}),
        ("ipam", {"ipv4_pools": [5]}),
        ("runtimeConfig", {"ips": "10.0.0.1"}),
        ("prevResult", []),
        ("prevResult", {"ips": [{"address": "x"}]}),
        ("cni.dev/valid-attachments", {}),
        ("cni.dev/valid-attachments", ["x"]),
        ("cni.dev/valid-attachments", [{"containerID": "a"}]),
        ("cni.dev/valid-attachments", [{"containerID": "", "ifname": "eth0"}]),
    ],
)
def test_a_bad_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(CniError) as caught:
        config_of(**{key: value})
    assert caught.value.code == 7
    assert "\n" not in str(caught.value)


def test_unknown_keys_are_tolerated() -> None:
    config_of(kind_of_magic=1, capabilities={"portMappings": True}, ipam={"type": "calico-ipam", "unknown": []})


@pytest.mark.parametrize("value", ["true", "True", True])
def test_flags_may_be_strings(value: Any) -> None:
    assert config_of(ipam={"assign_ipv6": value}).ipam.assign_ipv6


def test_keys_match_without_regard_to_case() -> None:
    config = config_of(RuntimeConfig={"IPs": ["10.0.0.1"], "MAC": "c2:11:22:33:44:55"}, IPAM={"Type": "calico-ipam"})
    assert config.runtime.ips == ("10.0.0.1",)
    assert config.runtime.mac == "c2:11:22:33:44:55"
    assert config.ipam.plugin_type == "calico-ipam"


def test_an_exact_key_wins() -> None:
    assert config_of(MTU=9000, mtu=1440).mtu == 1440


def test_runtime_config_goes_before_args() -> None:
    args = {"cni": {"ips": ["10.0.0.2"], "mac": "c2:00:00:00:00:02"}}
    assert config_of(args=args).runtime.ips == ("10.0.0.2",)
    assert config_of(args=args, runtimeConfig={"ips": ["10.0.0.1"]}).runtime.ips == ("10.0.0.1",)


def test_annotations_of_the_pod() -> None:
    annotations = {"cni.projectcalico.org/ipAddrs": '["10.0.0.1"]', "odd": 5}
    config = config_of(runtimeConfig={"io.kubernetes.cri.pod-annotations": annotations})
    assert config.runtime.annotations == {"cni.projectcalico.org/ipAddrs": '["10.0.0.1"]'}


def test_attachments_absent_is_not_empty() -> None:
    keep = [{"containerID": "a", "ifname": "eth0"}]
    assert config_of().valid_attachments is None
    assert config_of(**{"cni.dev/valid-attachments": []}).valid_attachments == ()
    assert config_of(**{"cni.dev/attachments": keep}).valid_attachments == (Attachment("a", "eth0"),)
    both = {"cni.dev/attachments": [], "cni.dev/valid-attachments": keep}
    assert config_of(**both).valid_attachments == (Attachment("a", "eth0"),)


def test_requested_addresses() -> None:
    assert parse_requested_addresses(("10.0.0.1/24", "fd00::1"), "ips") == ("10.0.0.1", "fd00::1")


@pytest.mark.parametrize("values", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), ("ten",), ("",)])
def test_impossible_requests(values: tuple[str, ...]) -> None:
    with pytest.raises(CniError, match="ipAddrs") as caught:
        parse_requested_addresses(values, "ipAddrs")
    assert caught.value.code == 7


@pytest.mark.parametrize("text", ["10.0.0.1", '"10.0.0.1"', "[5]", "{}"])
def test_an_annotation_that_is_no_list(text: str) -> None:
    with pytest.raises(CniError, match="ipAddrs"):
        list_of_texts(text, "ipAddrs")


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda d: json.dumps(MINIMAL | d).encode(),
        st.dictionaries(
            st.sampled_from(
                ["mtu", "ipam", "runtimeConfig", "prevResult", "cniVersion", "args", "policy", "feature_control"]
            ),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=5)
            | st.lists(st.integers(), max_size=2)
            | st.dictionaries(
                st.sampled_from(["type", "cni", "ips", "ipv4_pools"]), st.integers() | st.text(max_size=5)
            ),
        ),
    )
)
def test_any_octets_are_a_configuration_or_refused(octets: bytes) -> None:
    try:
        parse_config(decode(octets))
    except CniError as error:
        assert error.code in {1, 6, 7}
