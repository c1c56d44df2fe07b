"""What can be done to one block, as pure functions from block to block (spec/calico.md sections 2.3 and 2.5)."""

from __future__ import annotations

from calico_routing.ipam.errors import AlreadyAssignedError, IpamError
from calico_routing.model.allocation import AllocationAttribute, IPAMBlock
from calico_routing.model.blocks import address_at, parse_network
from calico_routing.model.names import cidr_name
from calico_routing.model.records import Record
from calico_routing.model.resource import Metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Final

    from calico_routing.model.blocks import Network

#: the handle of addresses that Windows keeps for itself; such a block still counts as empty.
WINDOWS_HANDLE: Final = "windows-reserved-ipam-handle"


class ReservedEnds(Record):
    """How many addresses at the ends of each new block a host keeps for itself."""

    first: int = 0
    last: int = 0
    handle: str = WINDOWS_HANDLE
    note: str = "windows host rsvd"


def new_block(
    network: Network, affinity: str, *, claim_time: str, sequence_number: int, reserved: ReservedEnds | None = None
) -> IPAMBlock:
    """Return a block whose addresses are all free, but for reserved ends."""
    size = network.size
    taken: set[int] = set()
    attributes: tuple[AllocationAttribute, ...] = ()
    if reserved is not None and reserved.first + reserved.last:
        taken = {*range(min(size, reserved.first)), *range(max(0, size - reserved.last), size)}
        attributes = (AllocationAttribute(handle_id=reserved.handle, secondary={"note": reserved.note}),)
    return IPAMBlock(
        metadata=Metadata(name=cidr_name(str(network))),
        cidr=str(network),
        affinity=affinity,
        affinity_claim_time=claim_time,
        allocations=tuple([0 if ordinal in taken else None for ordinal in range(size)]),
        unallocated=tuple([ordinal for ordinal in range(size) if ordinal not in taken]),
        attributes=attributes,
        sequence_number=sequence_number,
    )


def structural_fault(block: IPAMBlock) -> str | None:
    """Tell what makes a block unusable, if anything does; nothing here can work on such a block."""
    size = parse_network(block.cidr).size
    if len(block.allocations) != size:
        return f"has {len(block.allocations)} allocations for {size} addresses"
    if any(index is not None and not 0 <= index < len(block.attributes) for index in block.allocations):
        return f"has an allocation that is none of its {len(block.attributes)} attributes"
    if any(not 0 <= ordinal < size for ordinal in block.unallocated):
        return "has ordinals beyond its size in its queue"
    return None


def require_sound(block: IPAMBlock) -> IPAMBlock:
    """Return the block; IpamError if it is damaged."""
    fault = structural_fault(block)
    if fault is not None:
        raise IpamError(f"block {block.cidr} is damaged: it {fault}")
    return block


def same_handle(stored: str | None, handle: str) -> bool:
    """Compare handles; a stored one may end in a carriage return that an old migration left."""
    return stored is not None and stored.partition("\r")[0] == handle


def free_ordinals(block: IPAMBlock, reserved: Sequence[Network]) -> list[int]:
    """Return what may be handed out automatically, in order."""
    if not reserved:
        return list(block.unallocated)
    network = parse_network(block.cidr)
    return [
        ordinal
        for ordinal in block.unallocated
        if not any(entry.holds(network.version, network.first + ordinal) for entry in reserved)
    ]


def assign(block: IPAMBlock, ordinals: Collection[int], handle: str, attributes: Mapping[str, str]) -> IPAMBlock:
    """Give ordinals that are free to a handle; AlreadyAssignedError names the first that is not."""
    if not ordinals:
        return block
    for ordinal in ordinals:
        if block.allocations[ordinal] is not None:
            address = address_at(parse_network(block.cidr), ordinal)
            raise AlreadyAssignedError(f"Address already assigned in block: {address} of {block.cidr}")
    entry = AllocationAttribute(handle_id=handle, secondary=dict(attributes))
    entries = block.attributes
    if entry not in entries:
        entries = (*entries, entry)
    index = entries.index(entry)
    allocations = list(block.allocations)
    numbers = dict(block.sequence_number_for_allocation)
    for ordinal in ordinals:
        allocations[ordinal] = index
        numbers[ordinal] = block.sequence_number
    return block.replace(
        allocations=tuple(allocations),
        unallocated=tuple([ordinal for ordinal in block.unallocated if ordinal not in ordinals]),
        attributes=entries,
        sequence_number=block.sequence_number + 1,
        sequence_number_for_allocation=numbers,
    )


def release(block: IPAMBlock, ordinals: Iterable[int]) -> IPAMBlock:
    """Free ordinals that are taken: each goes to the back of the queue, in the order given (section 2.5)."""
    freed = list(dict.fromkeys(ordinals))
    if not freed:
        return block
    allocations = list(block.allocations)
    numbers = dict(block.sequence_number_for_allocation)
    for ordinal in freed:
        if allocations[ordinal] is None:
            raise IpamError(f"block {block.cidr}: ordinal {ordinal} is free already")
        allocations[ordinal] = None
        numbers.pop(ordinal, None)
    in_use = sorted({index for index in allocations if index is not None})
    moved = {old: new for new, old in enumerate(in_use)}
    return block.replace(
        allocations=tuple([None if index is None else moved[index] for index in allocations]),
        unallocated=(*block.unallocated, *freed),
        attributes=tuple([block.attributes[index] for index in in_use]),
        sequence_number=block.sequence_number + 1,
        sequence_number_for_allocation=numbers,
    )


def touched(block: IPAMBlock, **changes: object) -> IPAMBlock:
    """Return the block with a new sequence number, so that whoever has read it before loses the race."""
    return block.replace(sequence_number=block.sequence_number + 1, **changes)


def attribute_at(block: IPAMBlock, ordinal: int) -> AllocationAttribute | None:
    """Return who has an ordinal; None when it is free."""
    index = block.allocations[ordinal]
    return None if index is None else block.attributes[index]


def is_windows_reserved(attribute: AllocationAttribute) -> bool:
    """Tell whether addresses with this attribute belong to a Windows host itself."""
    return same_handle(attribute.handle_id, WINDOWS_HANDLE)


def is_empty(block: IPAMBlock) -> bool:
    """Tell whether nobody has an address of the block; Windows' own do not count."""
    windows = {index for index, entry in enumerate(block.attributes) if is_windows_reserved(entry)}
    return all(index is None or index in windows for index in block.allocations)


def ordinals_of_handle(block: IPAMBlock, handle: str) -> list[int]:
    """Return every ordinal under a handle."""
    wanted = {index for index, entry in enumerate(block.attributes) if same_handle(entry.handle_id, handle)}
    return [ordinal for ordinal, index in enumerate(block.allocations) if index in wanted]


def count_by_handle(block: IPAMBlock) -> dict[str, int]:
    """Return how many ordinals each handle has."""
    counts: dict[str, int] = {}
    for index in block.allocations:
        if index is not None and (handle := block.attributes[index].handle_id) is not None:
            handle = handle.partition("\r")[0]
            counts[handle] = counts.get(handle, 0) + 1
    return counts


def with_prefix_length(block: IPAMBlock, ordinals: Iterable[int]) -> tuple[str, ...]:
    """Write addresses of a block with its prefix length: ``10.9.0.65/26``."""
    network = parse_network(block.cidr)
    return tuple([f"{address_at(network, ordinal)}/{network.length}" for ordinal in ordinals])
