"""Whether a store keeps the promises of spec/calico.md section 11, and the repair of what crashes leave behind."""

from __future__ import annotations

from itertools import pairwise

from calico_routing.datastore.interface import ConflictError, NotFoundError
from calico_routing.ipam.block_operations import WINDOWS_HANDLE, count_by_handle, structural_fault
from calico_routing.model.allocation import BlockAffinity, IPAMBlock, IPAMHandle
from calico_routing.model.blocks import parse_network
from calico_routing.model.names import affinity_name, cidr_name, handle_name
from calico_routing.model.pools import IPPool
from calico_routing.model.records import EMPTY, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calico_routing.datastore.interface import Datastore
    from calico_routing.model.blocks import Network
    from calico_routing.model.resource import Resource


class Finding(Record):
    """One promise that the store does not keep; ``invariant`` is its number in section 11."""

    invariant: int
    subject: str
    text: str

    def __str__(self) -> str:
        """Write the finding in one line."""
        return f"{self.subject}: {self.text} (invariant {self.invariant})"


class Contents(Record):
    """Everything that address management has in a store."""

    pools: tuple[IPPool, ...]
    blocks: tuple[IPAMBlock, ...]
    affinities: tuple[BlockAffinity, ...]
    handles: tuple[IPAMHandle, ...]


def load_contents(datastore: Datastore) -> Contents:
    """Read a store; the lists are exact together only while no client is at work."""
    blocks = datastore.list(IPAMBlock).items
    handles = datastore.list(IPAMHandle).items
    affinities = datastore.list(BlockAffinity).items
    return Contents(pools=datastore.list(IPPool).items, blocks=blocks, affinities=affinities, handles=handles)


def check_store(contents: Contents, *, settled: bool = False) -> list[Finding]:
    """Return every finding; in a ``settled`` store, where nobody is at work or has crashed, handles count exactly."""
    findings: list[Finding] = []
    for block in contents.blocks:
        findings += [
            Finding(invariant=invariant, subject=f"block {block.cidr}", text=text)
            for invariant, text in block_problems(block)
        ]
    findings += _overlap_problems(contents)
    findings += _handle_problems(contents, settled)
    findings += _affinity_problems(contents)
    findings += _pool_problems(contents)
    findings += _name_problems(contents)
    return findings


def block_problems(block: IPAMBlock) -> Iterator[tuple[int, str]]:
    """Yield what is wrong inside one block (invariants 1 to 4)."""
    try:
        network = parse_network(block.cidr)
    except ValueError as error:
        yield 4, str(error)
        return
    if len(block.allocations) != network.size:
        yield 1, f"has {len(block.allocations)} allocations for {network.size} addresses"
    used = {index for index in block.allocations if index is not None}
    if used != set(range(len(block.attributes))):
        yield 1, f"has attributes {sorted(range(len(block.attributes)))} but uses {sorted(used)}"
    yield from _queue_problems(block, network)
    taken = {ordinal for ordinal, index in enumerate(block.allocations) if index is not None}
    for ordinal, number in block.sequence_number_for_allocation.items():
        if ordinal not in taken:
            yield 3, f"has a sequence number for ordinal {ordinal}, which is free"
        if number > block.sequence_number:
            yield 3, f"has sequence number {number} at ordinal {ordinal}, beyond its own {block.sequence_number}"


def _queue_problems(block: IPAMBlock, network: Network) -> Iterator[tuple[int, str]]:
    free = {ordinal for ordinal, index in enumerate(block.allocations) if index is None}
    queue = block.unallocated
    if len(queue) != len(set(queue)):
        yield 2, "has an ordinal twice in its queue"
    if set(queue) - set(range(network.size)):
        yield 2, f"has ordinals beyond its size in its queue: {sorted(set(queue) - set(range(network.size)))}"
    if set(queue) != free:
        yield 2, f"has the queue {sorted(queue)} but the free ordinals {sorted(free)}"


def _overlap_problems(contents: Contents) -> Iterator[Finding]:
    """No address is in two blocks, or it could have two owners (invariant 5)."""
    networks = sorted(
        [(network.version, network.first, network) for block in contents.blocks if (network := _network(block.cidr))],
        key=lambda entry: entry[:2],
    )
    for (_, _, first), (_, _, second) in pairwise(networks):
        if first.overlaps(second):
            yield Finding(invariant=5, subject=f"block {second}", text=f"overlaps block {first}")


def _network(cidr: str) -> Network | None:
    try:
        return parse_network(cidr)
    except ValueError:
        return None


def actual_counts(contents: Contents) -> dict[str, dict[str, int]]:
    """Return per handle and block how many addresses there are."""
    counts: dict[str, dict[str, int]] = {}
    for block in contents.blocks:
        if _network(block.cidr) is None or structural_fault(block) is not None:
            continue
        for handle, count in count_by_handle(block).items():
            counts.setdefault(handle, {})[block.cidr] = count
    return counts


def _handle_problems(contents: Contents, settled: bool) -> Iterator[Finding]:
    stored = {handle.handle_id: handle.block for handle in contents.handles}
    actual = actual_counts(contents)
    actual.pop(WINDOWS_HANDLE, None)
    for handle, blocks in actual.items():
        for cidr, count in blocks.items():
            counted = stored.get(handle, EMPTY).get(cidr, 0)
            if counted < count:
                text = f"counts {counted} addresses in {cidr}, which has {count}"
                yield Finding(invariant=6, subject=f"handle {handle}", text=text)
    if settled:
        for handle, counts in stored.items():
            if dict(counts) != actual.get(handle, {}):
                text = f"counts {dict(counts)}, the blocks have {actual.get(handle, {})}"
                yield Finding(invariant=6, subject=f"handle {handle}", text=text)


def _affinity_problems(contents: Contents) -> Iterator[Finding]:
    blocks = {block.cidr: block for block in contents.blocks}
    owners: dict[str, list[str]] = {}
    for affinity in contents.affinities:
        if not affinity.confirmed:
            continue
        owners.setdefault(affinity.cidr, []).append(affinity.node)
        block = blocks.get(affinity.cidr)
        subject = f"affinity of {affinity.node} to {affinity.cidr}"
        if block is None:
            yield Finding(invariant=7, subject=subject, text="is confirmed, but there is no such block")
        elif block.affinity != f"{affinity.type}:{affinity.node}":
            text = f"is confirmed, but the block belongs to {block.affinity}"
            yield Finding(invariant=7, subject=subject, text=text)
    for cidr, nodes in owners.items():
        if len(nodes) > 1:
            yield Finding(invariant=7, subject=f"block {cidr}", text=f"is confirmed for {', '.join(sorted(nodes))}")


def _pool_problems(contents: Contents) -> Iterator[Finding]:
    for place, pool in enumerate(contents.pools):
        for other in contents.pools[place + 1 :]:
            if parse_network(pool.cidr, strict=False).overlaps(parse_network(other.cidr, strict=False)):
                yield Finding(invariant=11, subject=f"pool {pool.name}", text=f"overlaps pool {other.name}")


def _name_problems(contents: Contents) -> Iterator[Finding]:
    expected: list[tuple[Resource, str]] = [
        *[(block, cidr_name(block.cidr)) for block in contents.blocks],
        *[(affinity, affinity_name(affinity.node, affinity.cidr)) for affinity in contents.affinities],
        *[(handle, handle_name(handle.handle_id)) for handle in contents.handles],
    ]
    for resource, name in expected:
        if resource.name != name:
            text = f"should be named {name}"
            yield Finding(invariant=12, subject=f"{resource.KIND} {resource.name}", text=text)


class Leftovers(Record):
    """What a crash may have left, each at the revision at which it was seen: ``(name, revision)``."""

    handles: frozenset[tuple[str, str | None]] = frozenset()
    affinities: frozenset[tuple[str, str | None]] = frozenset()


def find_leftovers(contents: Contents) -> Leftovers:
    """Return handles that count too many, and claims that nobody finished; a client at work looks the same."""
    actual = actual_counts(contents)
    blocks = {block.cidr: block for block in contents.blocks}
    return Leftovers(
        handles=frozenset(
            [
                (handle.name, handle.resource_version)
                for handle in contents.handles
                if dict(handle.block) != actual.get(handle.handle_id, {})
            ]
        ),
        affinities=frozenset(
            [
                (affinity.name, affinity.resource_version)
                for affinity in contents.affinities
                if not affinity.confirmed and _is_stale(affinity, blocks)
            ]
        ),
    )


def _is_stale(affinity: BlockAffinity, blocks: Mapping[str, IPAMBlock]) -> bool:
    block = blocks.get(affinity.cidr)
    return block is None or block.affinity != f"{affinity.type}:{affinity.node}"


def collect_garbage(datastore: Datastore, seen: Leftovers) -> Leftovers:
    """Repair what was a leftover before and still is, unchanged; return what is one now, for the next pass.

    Passes must be further apart than any request may take, since a request at work looks like a crashed one.
    """
    contents = load_contents(datastore)
    present = find_leftovers(contents)
    actual = actual_counts(contents)
    for handle in contents.handles:
        if (handle.name, handle.resource_version) in seen.handles & present.handles:
            _set_counts(datastore, handle, actual.get(handle.handle_id, {}))
    for affinity in contents.affinities:
        if (affinity.name, affinity.resource_version) in seen.affinities & present.affinities:
            _delete(datastore, affinity)
    return present


def _set_counts(datastore: Datastore, handle: IPAMHandle, counts: Mapping[str, int]) -> None:
    if not counts:
        _delete(datastore, handle)
        return
    try:
        datastore.update(handle.replace(block=dict(counts)))
    except (ConflictError, NotFoundError):
        # Somebody uses the handle: it is no leftover.
        return


def _delete(datastore: Datastore, resource: Resource) -> None:
    try:
        datastore.delete(resource)
    except (ConflictError, NotFoundError):
        # Somebody uses it: it is no leftover.
        return
