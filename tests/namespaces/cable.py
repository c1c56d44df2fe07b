"""Two network namespaces on one cable."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from examples.demo.namespaces import Namespace, join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def cable(name: str, ours: Sequence[str] = (), theirs: Sequence[str] = ()) -> Iterator[tuple[Namespace, Namespace]]:
    """Make two namespaces that are joined by their devices eth0, which have these addresses ("10.0.0.1/24")."""
    sides = (
        (Namespace(f"pybgp-{name}-{os.getpid()}-ours"), ours),
        (Namespace(f"pybgp-{name}-{os.getpid()}-theirs"), theirs),
    )
    try:
        for namespace, _ in sides:
            namespace.create()
        join(sides[0][0], "eth0", sides[1][0], "eth0")
        for namespace, addresses in sides:
            for address in addresses:
                namespace.ip("address", "add", address, "dev", "eth0", *(("nodad",) if ":" in address else ()))
        yield sides[0][0], sides[1][0]
    finally:
        for namespace, _ in sides:
            namespace.delete()
