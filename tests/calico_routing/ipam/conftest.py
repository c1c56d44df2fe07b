"""Every test of address management runs on both stores."""

from __future__ import annotations

from tests.calico_routing.datastore.conftest import open_store, store

__all__ = ["open_store", "store"]
