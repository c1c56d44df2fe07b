"""Running a foreign IPAM plugin as a process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from calico_routing.cni.delegation import find_plugin, run_plugin
from calico_routing.cni.errors import CniError


def plugin(directory: Path, script: str) -> str:
    path = directory / "fake-ipam"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


def test_a_plugin_is_found_in_path_order(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = plugin(tmp_path / "b", "")
    (tmp_path / "a" / "fake-ipam").write_text("not executable")
    assert find_plugin("fake-ipam", [str(tmp_path / "a"), str(tmp_path / "b")]) == path


@pytest.mark.parametrize("name", ["", "../fake-ipam", "absent"])
def test_a_plugin_that_cannot_be_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(CniError) as caught:
        find_plugin(name, [str(tmp_path)])
    assert caught.value.code == 7


def test_stdin_environment_and_answer(tmp_path: Path) -> None:
    path = plugin(tmp_path, 'printf \'{"got": %s, "command": "%s"}\' "$(cat)" "$CNI_COMMAND"')
    document = {"name": "n", "filler": "x" * 200_000}
    answer = run_plugin(path, document, {**os.environ, "CNI_COMMAND": "ADD"})
    assert answer == {"got": document, "command": "ADD"}


def test_no_answer_is_none(tmp_path: Path) -> None:
    assert run_plugin(plugin(tmp_path, "exit 0"), {}, os.environ) is None


def test_its_stderr_becomes_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_plugin(plugin(tmp_path, "echo told >&2"), {}, os.environ)
    assert capfd.readouterr().err == "told\n"


def test_its_error_keeps_its_code(tmp_path: Path) -> None:
    error = json.dumps({"cniVersion": "0.3.1", "code": 11, "msg": "no addresses", "details": "pool full"})
    with pytest.raises(CniError) as caught:
        run_plugin(plugin(tmp_path, f"echo '{error}'; exit 1"), {}, os.environ)
    assert (caught.value.code, caught.value.message) == (11, "no addresses")
    assert caught.value.details == "pool full (from the IPAM plugin fake-ipam)"


@pytest.mark.parametrize(("script", "code"), [("exit 3", 100), ("kill -9 $$", 100), ("echo '{'; exit 0", 6)])
def test_it_dies_or_talks_nonsense(script: str, code: int, tmp_path: Path) -> None:
    with pytest.raises(CniError) as caught:
        run_plugin(plugin(tmp_path, script), {}, os.environ)
    assert caught.value.code == code


def test_it_cannot_be_started(tmp_path: Path) -> None:
    path = tmp_path / "fake-ipam"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    open_before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(CniError, match="cannot run"):
        run_plugin(str(path), {}, os.environ)
    assert set(Path("/proc/self/fd").iterdir()) == open_before
