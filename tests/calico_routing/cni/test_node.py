"""Node name, MTU and store settings of a call (C7, C12)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from calico_routing.cni.config import NetworkConfig, parse_config
from calico_routing.cni.errors import CniError
from calico_routing.cni.node import node_name, open_store, pod_mtu


def config(**keys: Any) -> NetworkConfig:
    return parse_config({"name": "net", "cniVersion": "1.0.0", "type": "calico"} | keys)


def test_c12_precedence_of_the_node_name(tmp_path: Path) -> None:
    file = tmp_path / "nodename"
    file.write_text("from-file\n")
    keys = {"nodename_file": str(file), "hostname": "from-hostname"}
    assert node_name(config(nodename="from-conf", **keys)) == "from-conf"
    assert node_name(config(**keys)) == "from-file"
    file.write_text("")
    assert node_name(config(**keys)) == "from-hostname"
    assert node_name(config(nodename_file=str(file))) == os.uname().nodename.lower()


def test_c12_an_absent_file(tmp_path: Path) -> None:
    keys = {"nodename_file": str(tmp_path / "nodename"), "nodename": "n1"}
    with pytest.raises(CniError) as caught:
        node_name(config(**keys))
    assert caught.value.code == 104
    assert caught.value.message == f"stat {tmp_path}/nodename: no such file or directory"
    assert "calico/node" in caught.value.details
    assert "/var/lib/calico/" in caught.value.details
    assert node_name(config(nodename_file_optional=True, **keys)) == "n1"


def test_c7_mtu_from_conf_then_file(tmp_path: Path) -> None:
    file = tmp_path / "mtu"
    file.write_text("1410\n")
    assert pod_mtu(config(mtu=9000, mtu_file=str(file))) == 9000
    assert pod_mtu(config(mtu_file=str(file))) == 1410


def test_c7_mtu_is_detected_without_conf_and_file(tmp_path: Path) -> None:
    assert pod_mtu(config(mtu_file=str(tmp_path / "mtu"))) > 0


@pytest.mark.parametrize("content", [None, "big"])
def test_c7_a_required_or_broken_mtu_file(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "mtu"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CniError, match="mtu") as caught:
        pod_mtu(config(require_mtu_file=True, mtu_file=str(file)))
    assert caught.value.code == 7


@pytest.mark.parametrize("kind", ["kubernetes", "etcdv3"])
def test_a_store_that_this_version_does_not_have(kind: str) -> None:
    with pytest.raises(CniError, match="unsupported datastore_type") as caught:
        open_store(config(datastore_type=kind))
    assert caught.value.code == 2
    assert kind in caught.value.message
