"""What the benchmarks that write into docs/benchmarks.md share."""

from __future__ import annotations

import os
import platform
from pathlib import Path

REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def with_section(page: str, heading: str, section: str) -> str:
    """Return the page with this section in place of the one of the same heading, or behind all others."""
    before, found, rest = page.partition(f"{heading}\n")
    if not found:
        return f"{page.rstrip()}\n\n{section}"
    _, next_heading, after = rest.partition("\n## ")
    return f"{before}{section}{next_heading}{after}"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"
