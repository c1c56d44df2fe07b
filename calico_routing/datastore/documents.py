"""The part that all local stores share: resources as JSON text, compare-and-swap, and a numbered log of changes."""

from __future__ import annotations

import json
import os
import time

from calico_routing.datastore.interface import (
    ADDED,
    DELETED,
    MODIFIED,
    AlreadyExistsError,
    ConflictError,
    Datastore,
    DatastoreError,
    Listing,
    NotFoundError,
    WatchEvent,
)
from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.records import Record
from calico_routing.model.resources import KINDS, IPPool
from calico_routing.model.v3_codec import decode_body, encode_body
from calico_routing.model.validation import subject_of, validate, validate_update, with_defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Final, TypeVar

    from calico_routing.model.resource import Metadata, Resource

    R = TypeVar("R", bound=Resource)

KINDS_BY_NAME: Final[dict[str, type[Resource]]] = {kind.KIND: kind for kind in KINDS}


class Row(Record):
    """A resource as text, at the revision of its last change."""

    kind: str
    namespace: str
    name: str
    value: str
    revision: int


class Change(Record):
    """One entry of the log."""

    type: str
    row: Row


class DocumentDatastore(Datastore):
    """Everything but the keeping: validation, defaults, names, times and compare-and-swap.

    A store of this kind adds the methods that begin with an underscore and raise NotImplementedError here.
    """

    #: how messages call the store.
    label: str = "datastore"

    def _transaction(self) -> AbstractContextManager[object]:
        """Make what is read and written inside one atomic step, seen by watchers when it has succeeded."""
        raise NotImplementedError

    def _find(self, kind: str, namespace: str, name: str) -> Row | None:
        """Return the row of a resource."""
        raise NotImplementedError

    def _rows(self, kind: str, namespace: str | None, prefix: str) -> tuple[Sequence[Row], int]:
        """Return rows in order of namespace and name, and the revision at which they were so."""
        raise NotImplementedError

    def _record(self, change: str, kind: str, namespace: str, name: str, value: str) -> int:
        """Apply a change and log it, inside a transaction; return its revision."""
        raise NotImplementedError

    def get(self, kind: type[R], name: str, namespace: str = "") -> R:
        """Return one resource; NotFoundError."""
        row = self._find(_name_of(kind), namespace, name)
        if row is None:
            raise NotFoundError(f"{_subject(kind, name, namespace)} does not exist")
        return self._decode(kind, row)

    def list(self, kind: type[R], *, prefix: str = "", namespace: str | None = None) -> Listing[R]:
        """Return all resources of a kind in name order, or those whose name starts with ``prefix``."""
        rows, revision = self._rows(_name_of(kind), namespace, prefix)
        return Listing(items=tuple([self._decode(kind, row) for row in rows]), revision=str(revision))

    def create(self, resource: R) -> R:
        """Store a new resource and return it with uid, time and revision; AlreadyExistsError."""
        fresh = with_defaults(resource)
        fresh = fresh.replace(metadata=_fresh_metadata(fresh.metadata))
        kind = _name_of(type(fresh))
        validate(fresh)
        with self._transaction():
            if self._find(kind, fresh.namespace, fresh.name) is not None:
                raise AlreadyExistsError(f"{subject_of(fresh)} exists already")
            if isinstance(fresh, IPPool):
                validate(fresh, self._pools())
            revision = self._record(ADDED, kind, fresh.namespace, fresh.name, encode(fresh))
        return with_revision(fresh, revision)

    def _pools(self) -> tuple[IPPool, ...]:
        rows, _ = self._rows(IPPool.KIND, None, "")
        return tuple([self._decode(IPPool, row) for row in rows])

    def update(self, resource: R) -> R:
        """Replace the resource if it is still at ``resource.resource_version``; ConflictError, NotFoundError."""
        kind = _name_of(type(resource))
        _require_version(resource)
        new = with_defaults(resource)
        validate(new)
        with self._transaction():
            row = self._unchanged_row(resource)
            old = self._decode(type(resource), row)
            validate_update(old, new)
            kept = {"uid": old.metadata.uid, "creation_timestamp": old.metadata.creation_timestamp}
            new = new.replace(metadata=new.metadata.replace(**kept))
            revision = self._record(MODIFIED, kind, new.namespace, new.name, encode(new))
        return with_revision(new, revision)

    def delete(self, resource: Resource) -> None:
        """Remove the resource if it is still at ``resource.resource_version``; ConflictError, NotFoundError."""
        _require_version(resource)
        with self._transaction():
            row = self._unchanged_row(resource)
            self._record(DELETED, row.kind, row.namespace, row.name, row.value)

    def _unchanged_row(self, resource: Resource) -> Row:
        """Return the row if it is at the revision that the caller has seen."""
        row = self._find(_name_of(type(resource)), resource.namespace, resource.name)
        if row is None:
            raise NotFoundError(f"{subject_of(resource)} does not exist")
        if str(row.revision) != resource.resource_version:
            seen = resource.resource_version
            raise ConflictError(f"{subject_of(resource)} was changed: it is at {row.revision}, not at {seen}")
        return row

    def _decode(self, kind: type[R], row: Row) -> R:
        try:
            resource = decode_body(kind, json.loads(row.value))
        except (ValueError, TypeError) as error:
            name = _subject(kind, row.name, row.namespace)
            raise DatastoreError(f"{self.label}: {name} is damaged: {error}") from error
        return with_revision(resource, row.revision)

    def _event(self, change: Change) -> WatchEvent:
        kind = KINDS_BY_NAME[change.row.kind]
        resource = self._decode(kind, change.row)
        return WatchEvent(type=change.type, kind=kind, resource=resource, revision=str(change.row.revision))


def encode(resource: Resource) -> str:
    """Write a resource as it is kept: without its revision, which is the row's."""
    bare = resource.replace(metadata=resource.metadata.replace(resource_version=None))
    return json.dumps(encode_body(bare), separators=(",", ":"), ensure_ascii=False)


def with_revision(resource: R, revision: int) -> R:
    """Return the resource as of a revision."""
    return resource.replace(metadata=resource.metadata.replace(resource_version=str(revision)))


def _fresh_metadata(metadata: Metadata) -> Metadata:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return metadata.replace(uid=random_uid(), creation_timestamp=created, resource_version=None)


def random_uid() -> str:
    """Return a random UUID (RFC 9562 section 5.4)."""
    octets = bytearray(os.urandom(16))
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    digits = octets.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _require_version(resource: Resource) -> None:
    if resource.resource_version is None:
        problem = Problem(field="metadata.resourceVersion", reason="is required to update or delete", value=None)
        raise ValidationError(subject_of(resource), [problem])


def _name_of(kind: type[Resource]) -> str:
    if kind.KIND not in KINDS_BY_NAME:
        raise TypeError(f"{kind.__name__} is not a kind that a datastore keeps")
    return kind.KIND


def _subject(kind: type[Resource], name: str, namespace: str) -> str:
    return f"{kind.KIND} {namespace}/{name}" if namespace else f"{kind.KIND} {name}"
