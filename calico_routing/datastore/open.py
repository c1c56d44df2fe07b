"""Opens a datastore by its URL."""

from __future__ import annotations

from calico_routing.datastore.interface import DatastoreError
from calico_routing.datastore.sqlite_datastore import SqliteDatastore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_routing.datastore.interface import Datastore

SQLITE = "sqlite://"
MEMORY = "memory:"


def open_datastore(url: str, *, create: bool = True) -> Datastore:
    """Open ``sqlite:///var/lib/calico/datastore.db`` or ``memory:``; DatastoreError says what is wrong with it.

    Without ``create`` a file that is missing is an error.
    """
    if url == MEMORY:
        # Only tests and single nodes want it, and a CNI call can do without the threading module.
        from calico_routing.datastore.memory_datastore import MemoryDatastore  # noqa: PLC0415

        return MemoryDatastore()
    return SqliteDatastore(path_in(url), create=create)


def path_in(url: str) -> str:
    """Return the file that a URL names; DatastoreError if it names none."""
    path = url.removeprefix(SQLITE)
    if path == url or not path.startswith("/"):
        raise DatastoreError(f"datastore {url!r} is neither sqlite:///absolute/path nor memory:")
    return path
