"""The environment table of the CNI contract, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.cni.arguments import parse_arguments, parse_pairs
from calico_routing.cni.errors import CniError

COMPLETE = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "02f616bb",
    "CNI_NETNS": "/var/run/netns/pod",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=default",
    "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
}
NAMES = ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH")
REQUIRED = {
    "ADD": NAMES,
    "CHECK": NAMES,
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"),
    "GC": ("CNI_PATH",),
    "STATUS": ("CNI_PATH",),
    "VERSION": (),
}


def error_of(environment: dict[str, str]) -> CniError:
    with pytest.raises(CniError) as caught:
        parse_arguments(environment)
    return caught.value


def test_a_complete_environment() -> None:
    arguments = parse_arguments(COMPLETE)
    assert arguments[:4] == ("ADD", "02f616bb", "/var/run/netns/pod", "eth0")
    assert arguments.args == {"IgnoreUnknown": "1", "K8S_POD_NAME": "web-0", "K8S_POD_NAMESPACE": "default"}
    assert arguments.plugin_path == ("/opt/cni/bin", "/usr/lib/cni")
    assert not arguments.netns_override


@pytest.mark.parametrize("command", REQUIRED)
@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_each_required_variable_missing(command: str, name: str, empty: bool) -> None:
    environment = {key: value for key, value in COMPLETE.items() if key != name} | {"CNI_COMMAND": command}
    if empty:
        environment[name] = ""
    if name in REQUIRED[command]:
        error = error_of(environment)
        assert (error.code, error.message) == (4, f"required env variables [{name}] missing")
    else:
        parse_arguments(environment)


def test_missing_ones_are_named_together_in_the_order_of_the_table() -> None:
    error = error_of({"CNI_COMMAND": "ADD", "CNI_PATH": "/opt/cni/bin", "CNI_IFNAME": "a/b"})
    assert error.message == "required env variables [CNI_CONTAINERID,CNI_NETNS] missing"
    assert "CNI_IFNAME='a/b'" in error.details


@pytest.mark.parametrize("value", ["-a", ".a", "a/b", "a b", "ä", "a;b", "_a"])
def test_bad_container_ids(value: str) -> None:
    error = error_of(COMPLETE | {"CNI_CONTAINERID": value})
    assert (error.code, error.message) == (4, "invalid env variables [CNI_CONTAINERID]")
    assert repr(value) in error.details


@pytest.mark.parametrize("value", ["a", "A.b_c-9", "0" * 64, "default-c1"])
def test_good_container_ids(value: str) -> None:
    assert parse_arguments(COMPLETE | {"CNI_CONTAINERID": value}).container_id == value


@pytest.mark.parametrize("value", [".", "..", "a/b", "a:b", "a b", "a\tb", "x" * 16, "ä" * 8])
def test_bad_interface_names(value: str) -> None:
    error = error_of(COMPLETE | {"CNI_IFNAME": value})
    assert (error.code, error.message) == (4, "invalid env variables [CNI_IFNAME]")


@pytest.mark.parametrize("value", ["...", "x" * 15, "net-1.5", "ä" * 7])
def test_good_interface_names(value: str) -> None:
    assert parse_arguments(COMPLETE | {"CNI_IFNAME": value}).ifname == value


def test_two_bad_ones_in_one_error() -> None:
    error = error_of(COMPLETE | {"CNI_CONTAINERID": "-a", "CNI_IFNAME": ".."})
    assert error.message == "invalid env variables [CNI_CONTAINERID,CNI_IFNAME]"


def test_version_arrives_with_dummies() -> None:
    parse_arguments({"CNI_COMMAND": "VERSION", "CNI_IFNAME": "dummy", "CNI_NETNS": "dummy", "CNI_CONTAINERID": ""})


@pytest.mark.parametrize("command", ["", "add", "PLUG"])
def test_unknown_commands(command: str) -> None:
    error = error_of(COMPLETE | {"CNI_COMMAND": command})
    assert (error.code, error.message) == (4, f"unknown CNI_COMMAND: {command}".strip())


@pytest.mark.parametrize(
    ("value", "override"), [("1", True), ("TRUE", True), ("true", True), ("0", False), ("", False)]
)
def test_namespace_override(value: str, override: bool) -> None:
    assert parse_arguments(COMPLETE | {"CNI_NETNS_OVERRIDE": value}).netns_override is override


def test_pairs_may_be_empty_and_unknown() -> None:
    assert parse_pairs("") == {}
    assert parse_pairs(";A=b=c;;D=;") == {"A": "b=c", "D": ""}


@pytest.mark.parametrize("text", ["A", "=b", "A=b;C"])
def test_a_pair_without_key_or_equals_sign(text: str) -> None:
    with pytest.raises(CniError, match="CNI_ARGS") as caught:
        parse_pairs(text)
    assert caught.value.code == 4


@given(st.dictionaries(st.sampled_from([*COMPLETE, "CNI_NETNS_OVERRIDE"]), st.text(max_size=20)))
def test_any_environment_is_parsed_or_refused(environment: dict[str, str]) -> None:
    try:
        parse_arguments(environment)
    except CniError as error:
        assert error.code == 4
        assert "\n" not in error.message + error.details
