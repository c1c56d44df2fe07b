"""The patience of every compare-and-swap loop (spec/calico.md section 2)."""

from __future__ import annotations

import os
import time

from calico_routing.ipam.errors import RetriesExhaustedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

RETRIES: Final = 100
#: after so many quick attempts each further one waits a little, by chance, so that crowds thin out.
QUICK_ATTEMPTS: Final = 10
LONGEST_PAUSE_SECONDS: Final = 0.02


def attempts(what: str) -> Iterator[int]:
    """Yield up to a hundred times; RetriesExhaustedError after that."""
    for attempt in range(RETRIES):
        if attempt >= QUICK_ATTEMPTS:
            time.sleep(LONGEST_PAUSE_SECONDS * os.urandom(1)[0] / 255)
        yield attempt
    raise RetriesExhaustedError(f"{what}: others were faster {RETRIES} times in a row")
