"""`pybgp-node install-cni`: what it installs fits the agent's configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calico_routing.cli.main import main


def install(tmp_path: Path, *more: str) -> int:
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\nname = "worker-01"\n[datastore]\nurl = "sqlite://{tmp_path}/store.db"\n'
        f'[control]\nsocket = "{tmp_path}/node.sock"\n'
    )
    directories = ("--bin-dir", str(tmp_path / "bin"), "--conf-dir", str(tmp_path / "net.d"))
    return main(["install-cni", "-c", str(config), *directories, *more])


def test_plugins_and_conflist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    conflist = json.loads((tmp_path / "net.d" / "10-calico.conflist").read_text())
    plugin = conflist["plugins"][0]
    assert (plugin["type"], plugin["nodename"]) == ("calico", "worker-01")
    assert plugin["datastore_path"] == f"{tmp_path}/store.db"
    assert plugin["control_socket"] == f"{tmp_path}/node.sock"
    assert {path.name for path in (tmp_path / "bin").iterdir()} == {"calico", "calico-ipam"}
    assert capsys.readouterr().out.count("written: ") == 3
    assert install(tmp_path) == 0
    assert capsys.readouterr().out.count("unchanged: ") == 3


def test_an_unreadable_conflist_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNI_NETWORK_CONFIG_FILE", str(tmp_path))
    assert install(tmp_path) == 1
    error = capsys.readouterr().err
    assert error.startswith("pybgp-node: CNI_NETWORK_CONFIG_FILE=")
    assert error.count("\n") == 1
    assert not (tmp_path / "bin").exists()
    assert not (tmp_path / "net.d").exists()


def test_a_conflist_that_is_no_json_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNI_NETWORK_CONFIG", "{")
    assert install(tmp_path) == 1
    assert "not valid JSON" in capsys.readouterr().err
    assert not (tmp_path / "bin").exists()


def test_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install-cni", "-c", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
