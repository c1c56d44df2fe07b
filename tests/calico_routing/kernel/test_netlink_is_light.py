from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("asyncio", "structlog", "pyroute2", "argparse", "logging", "http", "dataclasses", "inspect", "threading")


def test_a_cni_call_loads_nothing_heavy_with_it() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "before = set(sys.modules)\n"
        "import calico_routing.kernel.netlink\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True).stdout
    assert "calico_routing.kernel.netlink.client" in loaded.split()
    assert [name for name in HEAVY if name in loaded.split()] == []
