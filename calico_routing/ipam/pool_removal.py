"""Removing a pool so that nothing is given out of it on the way (spec/calico.md section 1.2)."""

from __future__ import annotations

import time

from calico_routing.datastore.interface import ConflictError
from calico_routing.ipam.retries import attempts
from calico_routing.model.pools import IPPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.allocator import Allocator

#: requests that have read the pool as enabled get so long to finish.
PAUSE_SECONDS: Final = 0.5


def remove_pool(
    datastore: Datastore, allocator: Allocator, name: str, *, pause: Callable[[float], None] = time.sleep
) -> None:
    """Disable a pool, wait, give up its blocks and delete it; addresses in use stay until released; NotFoundError."""
    pool = _disabled(datastore, name)
    pause(PAUSE_SECONDS)
    allocator.release_pool_affinities(pool.cidr)
    for _ in attempts(f"removal of pool {name}"):
        try:
            datastore.delete(pool)
        except ConflictError:
            pool = _disabled(datastore, name)
        else:
            return


def _disabled(datastore: Datastore, name: str) -> IPPool:
    """Disable a pool, whatever else changes there meanwhile, and return it as stored."""
    for _ in attempts(f"disabling of pool {name}"):
        pool = datastore.get(IPPool, name)
        if pool.disabled:
            return pool
        try:
            return datastore.update(pool.replace(disabled=True))
        except ConflictError:
            continue
    raise AssertionError("attempts() never ends quietly")
