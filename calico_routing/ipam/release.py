"""Giving addresses back: the block first, then the handle (spec/calico.md section 2.5)."""

from __future__ import annotations

from functools import partial

from calico_routing.datastore.interface import ConflictError, NotFoundError
from calico_routing.ipam.affinity import find_block, release_block_affinity
from calico_routing.ipam.block_operations import (
    attribute_at,
    count_by_handle,
    is_empty,
    is_windows_reserved,
    ordinals_of_handle,
    release,
    require_sound,
    same_handle,
)
from calico_routing.ipam.errors import AffinityError, NotAssignedError, StaleReleaseError
from calico_routing.ipam.handles import decrement_handle, load_handle
from calico_routing.ipam.pools import labels_of, load_pools, pool_holding, selects_node
from calico_routing.ipam.requests import ReleaseResult
from calico_routing.ipam.retries import attempts
from calico_routing.model.allocation import IPAMBlock
from calico_routing.model.blocks import address_at, block_of, ordinal_of, parse_address, parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.requests import ReleaseRequest
    from calico_routing.model.pools import IPPool


def block_holding(datastore: Datastore, address: str, pools: Iterable[IPPool]) -> IPAMBlock | None:
    """Return the block of an address; its pool need not exist any more."""
    pool = pool_holding(pools, address)
    if pool is not None and (block := find_block(datastore, str(block_of(address, pool.block_size)))) is not None:
        return block
    version, number = parse_address(address)
    blocks = datastore.list(IPAMBlock).items
    found = next((block for block in blocks if parse_network(block.cidr).holds(version, number)), None)
    return None if found is None else require_sound(found)


def release_addresses(datastore: Datastore, requests: Sequence[ReleaseRequest]) -> ReleaseResult:
    """Free addresses, block by block; a stale request leaves its block alone and is raised when all others are done."""
    pools = load_pools(datastore)
    by_block: dict[str, dict[str, ReleaseRequest]] = {}
    unallocated: list[str] = []
    for request in requests:
        block = block_holding(datastore, request.address, pools)
        if block is None:
            unallocated.append(request.address)
        else:
            by_block.setdefault(block.cidr, {})[request.address] = request
    released: list[str] = []
    stale: list[str] = []
    for cidr, group in by_block.items():
        try:
            freed = _release_from(datastore, cidr, partial(_requested, group.values()))
        except StaleReleaseError as error:
            stale.append(str(error))
        else:
            released += freed
            unallocated += [address for address in group if address not in freed]
    if stale:
        raise StaleReleaseError("; ".join(stale))
    return ReleaseResult(released=tuple(released), unallocated=tuple(dict.fromkeys(unallocated)))


def _requested(requests: Iterable[ReleaseRequest], block: IPAMBlock) -> list[int]:
    """Return the ordinals of requests that are taken; StaleReleaseError if one is somebody else's by now."""
    network = parse_network(block.cidr)
    ordinals: list[int] = []
    for request in requests:
        ordinal = ordinal_of(network, request.address)
        attribute = attribute_at(block, ordinal)
        if attribute is None or is_windows_reserved(attribute):
            continue
        if request.handle is not None and not same_handle(attribute.handle_id, request.handle):
            raise StaleReleaseError(f"{request.address} has handle {attribute.handle_id}, not {request.handle}")
        number = block.sequence_number_for_allocation.get(ordinal, 0)
        if request.sequence_number is not None and request.sequence_number != number:
            text = f"{request.address} was assigned at sequence number {number}, not {request.sequence_number}"
            raise StaleReleaseError(text)
        ordinals.append(ordinal)
    return ordinals


def release_handle(datastore: Datastore, handle: str) -> tuple[str, ...]:
    """Free everything under a handle; NotAssignedError if there is no such handle."""
    try:
        cidrs = tuple(load_handle(datastore, handle).block)
    except NotFoundError as error:
        raise NotAssignedError(f"handle {handle} does not exist") from error
    released: list[str] = []
    for cidr in cidrs:
        released += _release_from(datastore, cidr, lambda block: ordinals_of_handle(block, handle))
    return tuple(released)


def _release_from(datastore: Datastore, cidr: str, choose: Callable[[IPAMBlock], list[int]]) -> list[str]:
    """Free what ``choose`` names in a block, by compare-and-swap, and return the addresses."""
    for _ in attempts(f"release from {cidr}"):
        block = find_block(datastore, cidr)
        if block is None:
            return []
        ordinals = choose(block)
        if not ordinals:
            return []
        changed = release(block, ordinals)
        try:
            if is_empty(changed) and changed.affinity is None:
                datastore.delete(block)
            else:
                changed = datastore.update(changed)
        except (ConflictError, NotFoundError):
            continue
        _count_down(datastore, block, changed)
        _give_up_if_unwanted(datastore, changed)
        network = parse_network(cidr)
        return [address_at(network, ordinal) for ordinal in ordinals]
    raise AssertionError("attempts() never ends quietly")


def _count_down(datastore: Datastore, before: IPAMBlock, after: IPAMBlock) -> None:
    left = count_by_handle(after)
    for handle, count in count_by_handle(before).items():
        if count > left.get(handle, 0):
            decrement_handle(datastore, handle, before.cidr, count - left.get(handle, 0))


def _give_up_if_unwanted(datastore: Datastore, block: IPAMBlock) -> None:
    """Release an empty block whose pool does not select its node any more."""
    if block.host is None or not is_empty(block):
        return
    pool = pool_holding(load_pools(datastore), block.cidr)
    if pool is None or selects_node(pool, labels_of(datastore, block.host)):
        return
    try:
        release_block_affinity(datastore, block.cidr, block.host, must_be_empty=True)
    except (AffinityError, NotAssignedError):
        # Somebody took an address or the block meanwhile: then it is wanted after all.
        return
