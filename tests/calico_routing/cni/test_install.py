"""C16: the installer, file by file and in its order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from calico_routing.cni import install as installer
from calico_routing.cni.install import (
    DEFAULT_TEMPLATE,
    InstallError,
    InstallSettings,
    install,
    launcher_text,
    render_conflist,
    settings_from,
)


@pytest.fixture
def settings(tmp_path: Path) -> InstallSettings:
    return InstallSettings(
        binary_directories=(tmp_path / "bin", tmp_path / "secondary"),
        network_directory=tmp_path / "net.d",
        node_name="worker-01",
        mtu=1440,
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_c16_everything_is_written(settings: InstallSettings, tmp_path: Path) -> None:
    done = install(settings)
    assert [str(path.relative_to(tmp_path)) for path in done.written] == [
        "bin/calico",
        "bin/calico-ipam",
        "secondary/calico",
        "secondary/calico-ipam",
        "net.d/10-calico.conflist",
    ]
    conflist = json.loads((tmp_path / "net.d" / "10-calico.conflist").read_text())
    assert (conflist["name"], conflist["cniVersion"]) == ("k8s-pod-network", "0.3.1")
    assert [plugin["type"] for plugin in conflist["plugins"]] == ["calico", "portmap"]
    first = conflist["plugins"][0]
    assert (first["nodename"], first["mtu"], first["datastore_type"]) == ("worker-01", 1440, "sqlite")
    assert (tmp_path / "net.d" / "10-calico.conflist").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "bin" / "calico").stat().st_mode & 0o777 == 0o755
    assert names(tmp_path / "bin") == ["calico", "calico-ipam"]


def test_c16_identical_files_are_left_alone(settings: InstallSettings, tmp_path: Path) -> None:
    install(settings)
    before = (tmp_path / "bin" / "calico").stat().st_ino
    done = install(settings)
    assert done.written == ()
    assert len(done.unchanged) == 5
    assert (tmp_path / "bin" / "calico").stat().st_ino == before


def test_c16_a_running_launcher_is_replaced_by_rename(settings: InstallSettings, tmp_path: Path) -> None:
    install(settings)
    path = tmp_path / "bin" / "calico"
    path.write_text("old")
    before = path.stat().st_ino
    install(settings)
    assert path.stat().st_ino != before
    assert path.read_text() != "old"


def test_c16_the_conflist_comes_last(settings: InstallSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        order.append(target.name)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    install(settings)
    assert order[-1] == "10-calico.conflist"
    assert len(order) == 5


def test_c16_a_failure_before_leaves_no_conflist(settings: InstallSettings, tmp_path: Path) -> None:
    (tmp_path / "secondary").write_text("a file where a directory should be")
    with pytest.raises(InstallError, match="cannot write"):
        install(settings)
    assert not (tmp_path / "net.d").exists()


def test_c16_no_temporary_file_is_left(settings: InstallSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(InstallError, match="Read-only"):
        install(settings)
    assert list(settings.binary_directories[0].iterdir()) == []


def test_c16_switches(settings: InstallSettings, tmp_path: Path) -> None:
    install(settings._replace(skip_binaries=frozenset({"calico-ipam"})))
    assert not (tmp_path / "bin" / "calico-ipam").exists()
    (tmp_path / "bin" / "calico").write_text("old")
    install(settings._replace(update_binaries=False))
    assert (tmp_path / "bin" / "calico").read_text() == "old"
    assert (tmp_path / "bin" / "calico-ipam").exists()


def test_c16_the_old_configuration_goes(settings: InstallSettings, tmp_path: Path) -> None:
    (tmp_path / "net.d").mkdir()
    (tmp_path / "net.d" / "00-old.conf").write_text("{}")
    assert install(settings._replace(old_conflist_name="00-old.conf")).removed == (tmp_path / "net.d" / "00-old.conf",)
    assert names(tmp_path / "net.d") == ["10-calico.conflist"]
    assert install(settings._replace(old_conflist_name="00-old.conf")).removed == ()
    assert install(settings._replace(old_conflist_name="10-calico.conflist")).removed == ()
    assert (tmp_path / "net.d" / "10-calico.conflist").exists()


def test_environment(tmp_path: Path) -> None:
    (tmp_path / "template").write_text('{"name": "n", "cniVersion": "1.0.0", "plugins": []}')
    settings = settings_from(
        {
            "CNI_BIN_DIR": "/a:/b",
            "CNI_NET_DIR": "/net",
            "CNI_CONF_NAME": "05-x.conflist",
            "CNI_OLD_CONF_NAME": "04-x.conflist",
            "CNI_NETWORK_CONFIG": "overridden",
            "CNI_NETWORK_CONFIG_FILE": str(tmp_path / "template"),
            "KUBERNETES_NODE_NAME": "n7",
            "CNI_MTU": "1500",
            "LOG_LEVEL": "Debug",
            "DATASTORE_TYPE": "sqlite",
            "SKIP_CNI_BINARIES": "calico-ipam, flannel",
            "UPDATE_CNI_BINARIES": "false",
        }
    )
    assert settings.binary_directories == (Path("/a"), Path("/b"))
    assert settings.network_directory == Path("/net")
    assert (settings.conflist_name, settings.old_conflist_name) == ("05-x.conflist", "04-x.conflist")
    assert json.loads(settings.template)["name"] == "n"
    assert (settings.node_name, settings.mtu, settings.log_level) == ("n7", 1500, "debug")
    assert settings.skip_binaries == {"calico-ipam", "flannel"}
    assert not settings.update_binaries
    assert settings_from({}).node_name == os.uname().nodename.lower()


@pytest.mark.parametrize(
    "environment",
    [
        {"CNI_MTU": "big"},
        {"UPDATE_CNI_BINARIES": "maybe"},
        {"CNI_CONF_NAME": "../x"},
        {"CNI_NETWORK_CONFIG_FILE": "/no/such/file"},
    ],
)
def test_a_bad_variable_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(InstallError, match=next(iter(environment))):
        settings_from(environment)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ('{"name": "n", "plugins": [{}]}', "needs a type"),
        ('{"name": "n", "plugins": [{"type": "calico", "datastore_type": "__DATASTORE_TYPE__"}]}', "kubeconfig"),
        ('{"name": "__ETCD_ENDPOINTS__", "plugins": []}', "__ETCD_ENDPOINTS__"),
        ('{"name": "n", "mtu": __CNI_MTU__, "x": "__KUBECONFIG_FILEPATH__", "plugins": []}', "__KUBECONFIG_FILEPATH__"),
    ],
)
def test_c16_a_bad_template_changes_nothing(
    template: str, reason: str, settings: InstallSettings, tmp_path: Path
) -> None:
    with pytest.raises(InstallError, match=reason):
        install(settings._replace(template=template, datastore_type="kubernetes"))
    assert names(tmp_path) == []


def test_values_are_quoted(settings: InstallSettings) -> None:
    document = json.loads(render_conflist(settings._replace(log_file_path='a"b\\c')))
    assert document["plugins"][0]["log_file_path"] == 'a"b\\c'


def test_every_placeholder_of_the_default_template_is_known(settings: InstallSettings) -> None:
    assert "__" in DEFAULT_TEMPLATE
    assert "__" not in render_conflist(settings)


def version_answer(path: Path, **environment: str) -> Any:
    process = subprocess.run(
        [path], env={"CNI_COMMAND": "VERSION", **environment}, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return json.loads(process.stdout)


def test_a_launcher_runs_whatever_the_environment_says(settings: InstallSettings, tmp_path: Path) -> None:
    install(settings)
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    answer = version_answer(tmp_path / "bin" / "calico", PYTHONPATH=str(tmp_path), PYTHONHOME="/nowhere", PATH="")
    assert "1.1.0" in answer["supportedVersions"]


def test_a_launcher_works_from_a_virtual_environment_with_blanks_and_quotes(tmp_path: Path) -> None:
    home = tmp_path / "it's a place"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
    path = tmp_path / "calico"
    path.write_text(launcher_text("calico", str(home / "bin" / "python")))
    path.chmod(0o755)
    assert path.read_text().startswith("#!/bin/sh\n")
    assert "1.1.0" in version_answer(path, PATH="/usr/bin:/bin")["supportedVersions"]


def test_a_launcher_of_an_interpreter_with_a_long_path_goes_through_the_shell() -> None:
    assert launcher_text("calico", "/" + "x" * 200 + "/python").startswith("#!/bin/sh\n")
    assert launcher_text("calico", sys.executable).startswith("#!")
    assert installer.SHEBANG_OCTETS == 127
