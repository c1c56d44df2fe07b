"""`python -m tests.benchmarks`: every benchmark, one after the other; the exit status is 1 where a goal is missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    missed = 0
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"== {path.stem}", flush=True)
        missed |= subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=False).returncode
    return int(missed != 0)


if __name__ == "__main__":
    sys.exit(main())
