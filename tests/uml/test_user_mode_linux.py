from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.demo import user_mode_linux

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.uml,
    pytest.mark.skipif(user_mode_linux.missing() is not None, reason=str(user_mode_linux.missing())),
]


def test_a_command_runs_as_root_with_the_ipip_module_and_its_status_comes_back(tmp_path: Path) -> None:
    moments: list[tuple[float, str]] = []
    script = f"id -u; ip link show tunl0; echo kept >{tmp_path}/kept; echo lost >/etc/lost; exit 3"

    result = user_mode_linux.run(
        ["bash", "-c", script],
        limit_seconds=60,
        shared=[tmp_path],
        on_output=lambda text: moments.append((time.monotonic(), text)),
    )

    assert result.status == 3
    assert result.output.startswith("0\n")
    assert "link/ipip" in result.output
    assert "".join(text for _, text in moments) == result.output
    assert (tmp_path / "kept").read_text() == "kept\n"
    assert not Path("/etc/lost").exists()


def test_output_appears_while_the_command_still_runs() -> None:
    seen: list[str] = []

    class EnoughError(Exception):
        pass

    def stop_at_first(text: str) -> None:
        seen.append(text)
        raise EnoughError

    with pytest.raises(EnoughError):
        user_mode_linux.run(["bash", "-c", "echo early; sleep 1000"], limit_seconds=60, on_output=stop_at_first)
    assert seen == ["early\n"]


def test_the_time_limit_ends_the_guest() -> None:
    result = user_mode_linux.run(["sleep", "1000"], limit_seconds=6)
    assert result.timed_out
    assert result.seconds < 15


def test_a_guest_that_cannot_start_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        user_mode_linux.UserModeLinuxError, match=r"the guest stopped before the command ended: .*memory"
    ):
        user_mode_linux.run(["true"], memory_megabytes=8, limit_seconds=30)
    monkeypatch.setenv("PATH", "")
    assert "apt-get install user-mode-linux" in str(user_mode_linux.missing())


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """Yield a directory that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to become another user"
)
def test_an_ordinary_user_can_do_it(public_directory: Path) -> None:
    for name in ("user_mode_linux.py", "guest_init.sh"):
        shutil.copy(REPOSITORY / "examples" / "demo" / name, public_directory)
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*become, "/usr/bin/python3", "user_mode_linux.py", "--", "id", "-u"],
        cwd=public_directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/"},
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
