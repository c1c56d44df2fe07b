from __future__ import annotations

import subprocess

import pytest

from examples.demo import ground, user_mode_linux
from examples.demo.namespaces import DIRECTORY, find_program


@pytest.fixture
def no_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "install_packages", lambda: None)


@pytest.mark.usefixtures("no_installing")
def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "find_program", lambda name: None if name == "ping" else f"/bin/{name}")
    with pytest.raises(ground.GroundError, match=r"^ping: not installed; as root: apt-get install iputils-ping$"):
        ground.run_module("nothing")


@pytest.mark.usefixtures("no_installing")
def test_neither_ipip_nor_user_mode_linux_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "absent_programs", dict)
    monkeypatch.setattr(ground, "has_ipip", lambda: False)
    monkeypatch.setattr(user_mode_linux, "missing", lambda: "linux.uml is not installed")
    with pytest.raises(ground.GroundError) as caught:
        ground.run_module("nothing")
    assert "has no ipip module" in str(caught.value)
    assert "linux.uml is not installed" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    find_program("ip") is None
    or subprocess.run([*ground.sandbox(), "true"], check=False, capture_output=True).returncode != 0,
    reason="network namespaces cannot be made here",
)
def test_the_sandbox_leaves_no_trace() -> None:
    script = "ip netns add inside-only && ip netns list | grep -q inside-only && ip link add probe type veth; exit 5"
    assert ground.run_in_sandbox(["sh", "-c", script]) == 5
    assert not (DIRECTORY / "inside-only").exists()
