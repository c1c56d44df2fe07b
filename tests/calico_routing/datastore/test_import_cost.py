"""A CNI call pays for what the store loads; this guards against a heavy import slipping in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = {
    "argparse",
    "asyncio",
    "contextlib",
    "dataclasses",
    "hashlib",
    "http",
    "inspect",
    "logging",
    "pathlib",
    "subprocess",
    "threading",
    "typing",
    "uuid",
}


def test_the_path_of_a_cni_call_loads_no_heavy_module() -> None:
    program = (
        "import sys, calico_routing.datastore.open, calico_routing.ipam.allocator, calico_routing.ipam.tunnel_address;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "[]\n"
