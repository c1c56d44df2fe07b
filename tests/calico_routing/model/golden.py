"""Where the recorded Calico stores are, beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "calico"
present = pytest.mark.skipif(not GOLDEN.exists(), reason="recorded Calico stores are not beside the repository")


def lines(pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(GOLDEN.glob(pattern)) for line in path.read_text().splitlines()]


def texts(pattern: str) -> list[Path]:
    return sorted((GOLDEN / "text").glob(pattern))
