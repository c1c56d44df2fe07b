"""Opens a datastore by its URL."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_routing.datastore.interface import Datastore


def open_datastore(url: str) -> Datastore:
    """Open ``sqlite:///var/lib/calico/datastore.db`` or ``memory:``; DatastoreError says what is wrong with it."""
    raise NotImplementedError
