"""A module of a user, and the recipes of the guide, pass mypy --strict against the installed types."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USERS = [Path(__file__).with_name("a_users_module.py"), *sorted((ROOT / "examples" / "recipes").glob("*.py"))]


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed (make venv)")
def test_what_users_write_is_well_typed(tmp_path: Path) -> None:
    """From another directory, so that nothing but the package itself says what its types are; unused ignores fail."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={ROOT / '.mypy_cache' / 'users'}",
    ]
    done = subprocess.run([*command, *USERS], capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert done.stdout == f"Success: no issues found in {len(USERS)} source files\n"
