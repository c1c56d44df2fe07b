"""What every datastore can do; nothing above this interface may know which one it has.

Everything is synchronous: the CNI plugins have no event loop, and the node agent calls from a worker thread.
A revision is text that only the store understands.
"""

from __future__ import annotations

from calico_routing.model.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Generic, Self, TypeVar

    from calico_routing.model.resource import Resource

    R = TypeVar("R", bound=Resource)
    Kind = type[Resource]
else:
    R = None

    class Generic:
        """Stands in for ``typing.Generic``, whose import a CNI call can do without."""

        __slots__ = ()

        def __class_getitem__(cls, _parameter: object) -> type:
            """Take any parameter."""
            return cls


ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"


class DatastoreError(Exception):
    """The store cannot do what was asked; the message is one line that names the store and the cause."""


class NotFoundError(DatastoreError):
    """There is no such resource."""


class AlreadyExistsError(DatastoreError):
    """A resource of this kind and name exists."""


class ConflictError(DatastoreError):
    """Somebody changed the resource since it was read: compare-and-swap failed."""


class WatchExpired(DatastoreError):  # noqa: N818 - it is no fault: list again, watch from there
    """The store no longer knows the changes since the revision asked for; list again and watch from there."""


class Listing(Record, Generic[R]):
    """All resources of one kind as they were at one revision, from which a watch can go on without a gap."""

    items: tuple[R, ...]
    revision: str


class WatchEvent(Record):
    """One change of one resource; of a deleted one, ``resource`` is what it was last."""

    type: str
    kind: Kind
    resource: Resource
    revision: str


class Watch:
    """Changes of some kinds from a revision on, in order; may be closed from another thread."""

    def wait(self, timeout: float | None = None) -> list[WatchEvent]:
        """Return the next changes as soon as there are any; none when the time is up or the watch is closed.

        Raises WatchExpired when the store has forgotten changes that were not delivered yet.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stop the watch and wake up whoever waits; may be called twice."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Use as a context manager that closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class Datastore:
    """A store of resources with compare-and-swap on ``metadata.resource_version``.

    Values are validated on the way in (ValidationError) and have every default filled in on the way out.
    """

    def get(self, kind: type[R], name: str, namespace: str = "") -> R:
        """Return one resource; NotFoundError."""
        raise NotImplementedError

    def list(self, kind: type[R], *, prefix: str = "", namespace: str | None = None) -> Listing[R]:
        """Return all resources of a kind in name order, or those whose name starts with ``prefix``."""
        raise NotImplementedError

    def create(self, resource: R) -> R:
        """Store a new resource and return it with uid, time and revision; AlreadyExistsError."""
        raise NotImplementedError

    def update(self, resource: R) -> R:
        """Replace the resource if it is still at ``resource.resource_version``; ConflictError, NotFoundError."""
        raise NotImplementedError

    def delete(self, resource: Resource) -> None:
        """Remove the resource if it is still at ``resource.resource_version``; ConflictError, NotFoundError."""
        raise NotImplementedError

    def watch(self, kinds: Sequence[type[Resource]], since: str) -> Watch:
        """Watch kinds from the revision of a listing on."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what the store holds in this process; its watches end."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Use as a context manager that closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
