"""Handles count addresses per block; they are written before the block, so they never count too few (section 2.3)."""

from __future__ import annotations

from calico_routing.datastore.interface import AlreadyExistsError, ConflictError, NotFoundError
from calico_routing.ipam.errors import IpamError
from calico_routing.ipam.retries import attempts
from calico_routing.model.allocation import IPAMHandle
from calico_routing.model.names import handle_name
from calico_routing.model.resource import Metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_routing.datastore.interface import Datastore


def load_handle(datastore: Datastore, handle_id: str) -> IPAMHandle:
    """Return a handle; NotFoundError."""
    handle = datastore.get(IPAMHandle, handle_name(handle_id))
    if handle.handle_id != handle_id:
        raise IpamError(f"handle {handle_id} has the same name as {handle.handle_id}")
    return handle


def increment_handle(datastore: Datastore, handle_id: str, cidr: str, count: int) -> None:
    """Count more addresses of a block under a handle, making the handle if there is none."""
    for _ in attempts(f"handle {handle_id}"):
        try:
            handle = load_handle(datastore, handle_id)
        except NotFoundError:
            handle = IPAMHandle(metadata=Metadata(name=handle_name(handle_id)), handle_id=handle_id)
        changed = handle.replace(block={**handle.block, cidr: handle.block.get(cidr, 0) + count})
        try:
            if handle.resource_version is None:
                datastore.create(changed)
            else:
                datastore.update(changed)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            continue
        return


def decrement_handle(datastore: Datastore, handle_id: str, cidr: str, count: int) -> None:
    """Count fewer addresses of a block; a handle that counts nothing is deleted."""
    for _ in attempts(f"handle {handle_id}"):
        try:
            handle = load_handle(datastore, handle_id)
            left = handle.block.get(cidr, 0) - count
            others = {block: number for block, number in handle.block.items() if block != cidr}
            blocks = {**others, cidr: left} if left > 0 else others
            if blocks:
                datastore.update(handle.replace(block=blocks))
            else:
                datastore.delete(handle)
        except ConflictError:
            continue
        except NotFoundError:
            return
        return
