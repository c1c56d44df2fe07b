"""The script that makes .venv: what it says where something is missing, and that a second run does nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
OLD_PYTHON = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "bootstrap", tmp_path / ".ci")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def bootstrap(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / ".ci" / "bootstrap"), "test"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def directory_of_old_pythons(checkout: Path) -> Path:
    """Make a directory in which every Python is too old and that has nothing else but what the script calls."""
    directory = checkout / "bin"
    directory.mkdir()
    for name in ("bash", "readlink", "dirname", "mktemp", "rm", "cat", "id"):
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (directory / name).write_text(OLD_PYTHON)
        (directory / name).chmod(0o755)
    return directory


def test_an_old_python_is_one_line_that_says_what_to_do(checkout: Path) -> None:
    done = bootstrap(checkout, PATH=str(directory_of_old_pythons(checkout)), PYTHON="")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines == [
        "setup: no Python of version 3.11 or later was found (set PYTHON=/path/to/python3, or install python3)"
    ]
    assert not (checkout / ".venv").exists()


def test_what_pip_cannot_install_is_an_error_and_the_next_run_tries_again(checkout: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('build-backend = "setuptools', 'build-backend = "nothing'))
    for _ in range(2):
        done = bootstrap(checkout)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("setup: pip could not install the package:")
    assert not (checkout / ".venv" / ".installed-test").exists()


def test_a_second_run_says_nothing(checkout: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text('[project]\nname = "empty"\nversion = "1"\n[project.optional-dependencies]\ntest = []\n')
    first = bootstrap(checkout)
    if "No matching distribution" in first.stderr:
        pytest.skip("pip reaches no package index")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == "setup: ready: .venv"
    second = bootstrap(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
