"""The Allocator: assigns and releases addresses over any datastore (spec/calico.md section 2)."""

from __future__ import annotations

import time

from calico_routing.datastore.interface import ConflictError, DatastoreError, NotFoundError
from calico_routing.ipam.affinity import (
    affinities_of,
    claim_block,
    find_block,
    release_block_affinity,
)
from calico_routing.ipam.block_operations import (
    assign,
    attribute_at,
    free_ordinals,
    is_empty,
    ordinals_of_handle,
    structural_fault,
    with_prefix_length,
)
from calico_routing.ipam.errors import (
    AffinityError,
    BlockLimitError,
    IpamError,
    NoPoolError,
    NotAssignedError,
)
from calico_routing.ipam.handles import decrement_handle, increment_handle, load_handle
from calico_routing.ipam.pools import (
    choose_pools,
    is_usable,
    labels_of,
    load_pools,
    load_reservations,
    pool_holding,
    selects_node,
)
from calico_routing.ipam.release import block_holding, release_addresses, release_handle
from calico_routing.ipam.requests import Assignment, AssignResult, FamilyResult, ReleaseRequest
from calico_routing.ipam.retries import attempts
from calico_routing.model.allocation import VIRTUAL, BlockAffinity, IPAMBlock, IPAMConfig
from calico_routing.model.bgp import DEFAULT
from calico_routing.model.blocks import (
    block_count,
    block_index,
    block_of,
    blocks_from,
    ordinal_of,
    parse_network,
    search_start,
    version_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Final

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.block_operations import ReservedEnds
    from calico_routing.ipam.requests import AssignRequest, ReleaseResult
    from calico_routing.model.blocks import Network
    from calico_routing.model.pools import IPPool

#: blocks of one family that a host may own when nothing is configured.
DEFAULT_MAX_BLOCKS: Final = 20
LIMIT_MESSAGE: Final = "cannot allocate new block due to per host block limit"
STRICT_MESSAGE: Final = "no free address in the blocks of this host, and strictAffinity forbids to borrow"
FULL_MESSAGE: Final = "no free address in any pool"


def load_config(datastore: Datastore) -> IPAMConfig:
    """Return the cluster's rules; the defaults when there is no such object."""
    try:
        return datastore.get(IPAMConfig, DEFAULT)
    except NotFoundError:
        return IPAMConfig()


def block_limit(requested: int, configured: int) -> int:
    """Return how many blocks of a family a host may own (section 2.1 point 4)."""
    return min([limit for limit in (requested, configured) if limit] or [DEFAULT_MAX_BLOCKS])


class Allocator:
    """Address management for any number of clients of one store; holds no state of its own."""

    def __init__(
        self, datastore: Datastore, clock: Callable[[], float] = time.time, *, reserved: ReservedEnds | None = None
    ) -> None:
        """Work on a store; ``clock`` gives the time of claims, ``reserved`` are ends of new blocks to leave alone."""
        self._datastore = datastore
        self._clock = clock
        self._reserved = reserved

    def auto_assign(self, request: AssignRequest) -> AssignResult:
        """Assign addresses from the host's blocks, claiming or borrowing as the rules allow (section 2.1).

        A family that gets fewer than requested says so in its ``shortfall``; NoPoolError and the datastore's errors are
        raised, after what the call itself assigned has been released.
        """
        ipv4 = _FamilyAssignment(self, request, 4).run()
        try:
            ipv6 = _FamilyAssignment(self, request, 6).run()
        except Exception:
            self._give_back(request.handle, ipv4.addresses)
            raise
        return AssignResult(ipv4=ipv4, ipv6=ipv6)

    def _give_back(self, handle: str, addresses: Sequence[str]) -> None:
        if addresses:
            bare = [address.partition("/")[0] for address in addresses]
            self.release_ips([ReleaseRequest(address=address, handle=handle) for address in bare])

    def assign_ip(self, address: str, *, handle: str, host: str, attributes: Mapping[str, str], use: str = "") -> str:
        """Assign one given address and return it with its block's prefix length (section 2.4).

        AlreadyAssignedError, NoPoolError, AffinityError.
        """
        pool = pool_holding(load_pools(self._datastore), address)
        if pool is None or not is_usable(pool, version_of(address)):
            raise NoPoolError(f"the address {address} is not in a configured pool that is enabled")
        if use and use not in pool.allowed_uses:
            raise NoPoolError(f"the pool of {address} ({pool.name}) does not allow use {use}")
        config = load_config(self._datastore)
        network = block_of(address, pool.block_size)
        ordinal = ordinal_of(network, address)
        for _ in attempts(f"assignment of {address}"):
            block = find_block(self._datastore, str(network)) or self._claim_for_address(network, host, pool)
            if block is None:
                continue
            if config.strict_affinity and block.host != host:
                raise AffinityError(f"block {network} belongs to {block.affinity}, and strictAffinity is set")
            if self.take(block, [ordinal], handle, attributes):
                return with_prefix_length(block, [ordinal])[0]
        raise AssertionError("attempts() never ends quietly")

    def _claim_for_address(self, network: Network, host: str, pool: IPPool) -> IPAMBlock | None:
        """Claim a block that nobody has; None when somebody was faster."""
        if not selects_node(pool, labels_of(self._datastore, host)):
            raise NoPoolError(f"pool {pool.name} does not select node {host}")
        try:
            return self.claim_affinity(str(network), host)
        except AffinityError:
            return None

    def take(
        self, block: IPAMBlock, ordinals: Sequence[int], handle: str, attributes: Mapping[str, str]
    ) -> IPAMBlock | None:
        """Write ordinals of a block as taken, the handle first (section 2.3); None when the block has changed."""
        changed = assign(block, ordinals, handle, attributes)
        increment_handle(self._datastore, handle, block.cidr, len(ordinals))
        try:
            return self._datastore.update(changed)
        except (ConflictError, NotFoundError):
            decrement_handle(self._datastore, handle, block.cidr, len(ordinals))
            return None
        except DatastoreError:
            # The write may have been done before the store failed: a handle must never count too few.
            present = find_block(self._datastore, block.cidr)
            if present is None or present.sequence_number == block.sequence_number:
                decrement_handle(self._datastore, handle, block.cidr, len(ordinals))
            raise

    def release_ips(self, requests: Sequence[ReleaseRequest]) -> ReleaseResult:
        """Give addresses back (section 2.5); StaleReleaseError if one was handed on, and its block is left alone."""
        return release_addresses(self._datastore, requests)

    def release_by_handle(self, handle: str) -> tuple[str, ...]:
        """Give back everything under a handle and return the addresses; NotAssignedError (section 2.5)."""
        return release_handle(self._datastore, handle)

    def addresses_by_handle(self, handle: str) -> tuple[str, ...]:
        """Return the addresses under a handle; NotAssignedError."""
        try:
            cidrs = load_handle(self._datastore, handle).block
        except NotFoundError as error:
            raise NotAssignedError(f"handle {handle} does not exist") from error
        blocks = [block for cidr in cidrs if (block := find_block(self._datastore, cidr)) is not None]
        found = [with_prefix_length(block, ordinals_of_handle(block, handle)) for block in blocks]
        return tuple([address.partition("/")[0] for addresses in found for address in addresses])

    def assignment(self, address: str) -> Assignment:
        """Return who has the address; NotAssignedError."""
        block = block_holding(self._datastore, address, load_pools(self._datastore))
        if block is None:
            raise NotAssignedError(f"{address} is in no block")
        ordinal = ordinal_of(parse_network(block.cidr), address)
        attribute = attribute_at(block, ordinal)
        if attribute is None:
            raise NotAssignedError(f"{address} is not assigned")
        handle = attribute.handle_id.partition("\r")[0] if attribute.handle_id is not None else None
        number = block.sequence_number_for_allocation.get(ordinal, 0)
        return Assignment(address=address, handle=handle, attributes=attribute.secondary, sequence_number=number)

    def ensure_block(self, host: str, *, version: int = 4, use: str = "Workload") -> IPAMBlock:
        """Return a block of the host, claiming one if it has none; NoPoolError, BlockLimitError."""
        return _BlockSearch(self, host, version, (), use, {}).first_block()

    def claim_affinity(self, cidr: str, host: str) -> IPAMBlock:
        """Claim one block for a host (section 2.2); AffinityError if it has another owner."""
        return claim_block(self._datastore, cidr, host, self._clock, self._reserved)

    def release_affinity(self, cidr: str, host: str, *, must_be_empty: bool = False) -> None:
        """Give one block up (section 2.6); AffinityError, NotAssignedError."""
        release_block_affinity(self._datastore, cidr, host, must_be_empty=must_be_empty)

    def release_host_affinities(self, host: str, *, must_be_empty: bool = False) -> None:
        """Give all blocks of a host up; with ``must_be_empty`` the others stay, and AffinityError names them."""
        self._release_all(affinities_of(self._datastore, host), must_be_empty)

    def release_pool_affinities(self, cidr: str) -> None:
        """Give up every block inside a CIDR, whoever owns it."""
        pool = parse_network(cidr)
        affinities = self._datastore.list(BlockAffinity).items
        self._release_all([entry for entry in affinities if pool.contains(parse_network(entry.cidr))], False)

    def _release_all(self, affinities: Sequence[BlockAffinity], must_be_empty: bool) -> None:
        kept: list[str] = []
        for affinity in affinities:
            try:
                self.release_affinity(affinity.cidr, affinity.node, must_be_empty=must_be_empty)
            except NotAssignedError:
                continue
            except AffinityError as error:
                kept.append(str(error))
        if kept:
            raise AffinityError("; ".join(kept))


class _BlockSearch:
    """The blocks that one host may use for one family, in the order of section 2.1."""

    def __init__(
        self,
        allocator: Allocator,
        host: str,
        version: int,
        requested_pools: Sequence[str],
        use: str,
        namespace_labels: Mapping[str, str],
        max_blocks: int = 0,
    ) -> None:
        self.allocator = allocator
        self.datastore = allocator._datastore  # noqa: SLF001 - a part of the allocator
        self.host = host
        self.version = version
        self.config = load_config(self.datastore)
        self.reservations = load_reservations(self.datastore)
        self.limit = block_limit(max_blocks, self.config.max_blocks_per_host)
        self.all_pools = load_pools(self.datastore)
        self.node_labels = labels_of(self.datastore, host)
        self.pools = choose_pools(
            self.all_pools,
            version,
            requested_pools,
            host=host,
            use=use,
            node_labels=self.node_labels,
            namespace_labels=namespace_labels,
        )
        self.owned = self._affinities()

    def _affinities(self) -> dict[str, BlockAffinity]:
        """List what the host owns; empty blocks of pools that do not want it any more are given up."""
        owned: dict[str, BlockAffinity] = {}
        for affinity in affinities_of(self.datastore, self.host, self.version):
            pool = pool_holding(self.all_pools, affinity.cidr)
            if pool is not None and not selects_node(pool, self.node_labels) and self._give_up(affinity):
                continue
            owned[affinity.cidr] = affinity
        return owned

    def _give_up(self, affinity: BlockAffinity) -> bool:
        try:
            self.allocator.release_affinity(affinity.cidr, self.host, must_be_empty=True)
        except AffinityError:
            return False
        except NotAssignedError:
            return True
        return True

    def affine_blocks(self) -> Iterator[IPAMBlock]:
        """Yield the host's blocks in the chosen pools, with unfinished claims finished."""
        for affinity in tuple(self.owned.values()):
            if pool_holding(self.pools, affinity.cidr) is None:
                continue
            block = find_block(self.datastore, affinity.cidr)
            if block is None or block.host != self.host or not affinity.confirmed:
                block = self._repaired(affinity)
            if block is not None:
                yield block

    def _repaired(self, affinity: BlockAffinity) -> IPAMBlock | None:
        try:
            return self.allocator.claim_affinity(affinity.cidr, self.host)
        except AffinityError:
            self.owned.pop(affinity.cidr, None)
            return None

    def may_claim(self) -> bool:
        """Tell whether the host may own one more block."""
        return self.config.auto_allocate_blocks and len(self.owned) < self.limit

    def claim_next(self) -> IPAMBlock | None:
        """Claim the first block with a free address that nobody owns, in the host's own order (section 2.2)."""
        for pool in self.pools:
            for network in self._in_order(pool):
                block = self._claimed(network)
                if block is not None:
                    return block
        return None

    def _in_order(self, pool: IPPool) -> Iterator[Network]:
        network = parse_network(pool.cidr)
        return blocks_from(network, pool.block_size, self._start(pool, network))

    def _start(self, pool: IPPool, network: Network) -> int:
        # Blocks of one address are not shared by calls of one host, so these need not meet.
        single = pool.block_size == (128 if self.version == 6 else 32)
        seed = f"{self.host}{time.monotonic_ns()}" if single else self.host
        return search_start(seed, block_count(network, pool.block_size))

    def _claimed(self, network: Network) -> IPAMBlock | None:
        """Claim one candidate unless it is reserved, full or somebody's."""
        cidr = str(network)
        if cidr in self.owned or self._is_reserved(network):
            return None
        block = find_block(self.datastore, cidr)
        if block is not None and not self._may_take_over(block):
            return None
        try:
            block = self.allocator.claim_affinity(cidr, self.host)
        except AffinityError:
            return None
        self.owned[cidr] = BlockAffinity(node=self.host, cidr=cidr)
        return block

    def _may_take_over(self, block: IPAMBlock) -> bool:
        """Tell whether a block that exists has a free address for this host, as its owner."""
        if not free_ordinals(block, self.reservations):
            return False
        if block.affinity is None:
            # Its last owner may still have addresses there, which strictAffinity keeps apart from ours.
            return is_empty(block) or not self.config.strict_affinity
        return block.host == self.host

    def _is_reserved(self, network: Network) -> bool:
        """Tell whether no address of a block may be handed out automatically."""
        touching = [entry for entry in self.reservations if entry.overlaps(network)]
        if not touching:
            return False
        numbers = range(network.first, network.last + 1)
        return all(any(entry.holds(network.version, number) for entry in touching) for number in numbers)

    def first_block(self) -> IPAMBlock:
        """Return a block of the host, or claim one."""
        for block in self.affine_blocks():
            return block
        if not self.may_claim():
            raise BlockLimitError(f"host {self.host}: {LIMIT_MESSAGE}")
        claimed = self.claim_next()
        if claimed is None:
            raise IpamError(f"host {self.host}: no free block in any pool")
        return claimed

    def foreign_blocks(self) -> Iterator[IPAMBlock]:
        """Yield all blocks of the chosen pools, in the host's own order, to borrow from."""
        blocks = [
            block
            for block in self.datastore.list(IPAMBlock).items
            if not _is_virtual(block) and structural_fault(block) is None
        ]
        for pool in self.pools:
            network = parse_network(pool.cidr)
            count = block_count(network, pool.block_size)
            start = self._start(pool, network)
            within = [(parse_network(block.cidr), block) for block in blocks]
            placed = [
                ((block_index(network, place) - start) % count, block)
                for place, block in within
                if network.contains(place)
            ]
            yield from [block for _, block in sorted(placed, key=lambda entry: entry[0])]


def _is_virtual(block: IPAMBlock) -> bool:
    return (block.affinity or "").startswith(f"{VIRTUAL}:")


class _FamilyAssignment:
    """One family of one request."""

    def __init__(self, allocator: Allocator, request: AssignRequest, version: int) -> None:
        self._allocator = allocator
        self._request = request
        self._version = version
        self._wanted = request.num6 if version == 6 else request.num4
        self._addresses: list[str] = []

    def run(self) -> FamilyResult:
        """Assign what is wanted, or as much as there is; on an error give back what was assigned."""
        if self._wanted <= 0:
            return FamilyResult(version=self._version)
        try:
            messages = self._assign()
        except Exception:
            self._allocator._give_back(self._request.handle, self._addresses)  # noqa: SLF001 - a part of the allocator
            raise
        return FamilyResult(
            requested=self._wanted, addresses=tuple(self._addresses), messages=messages, version=self._version
        )

    def _assign(self) -> tuple[str, ...]:
        request = self._request
        requested_pools = request.pools6 if self._version == 6 else request.pools4
        search = _BlockSearch(
            self._allocator,
            request.host,
            self._version,
            requested_pools,
            request.use,
            request.namespace_labels,
            request.max_blocks,
        )
        for block in search.affine_blocks():
            if self._take_from(search, block, own=True):
                return ()
        while search.may_claim():
            claimed = search.claim_next()
            if claimed is None:
                return self._borrow(search)
            if self._take_from(search, claimed, own=True):
                return ()
        return (LIMIT_MESSAGE,)

    def _borrow(self, search: _BlockSearch) -> tuple[str, ...]:
        """Take from any block of the pools, whoever owns it (section 2.1 point 6)."""
        if search.config.strict_affinity:
            return (STRICT_MESSAGE,)
        for block in search.foreign_blocks():
            if self._take_from(search, block, own=False):
                return ()
        return (FULL_MESSAGE,)

    def _take_from(self, search: _BlockSearch, block: IPAMBlock, *, own: bool) -> bool:
        """Take what is still wanted from a block; tell whether everything is assigned now."""
        current: IPAMBlock | None = block
        for _ in attempts(f"assignment from {block.cidr}"):
            if current is None or (own and current.host != self._request.host):
                return False
            ordinals = free_ordinals(current, search.reservations)[: self._wanted - len(self._addresses)]
            if not ordinals:
                return False
            if self._allocator.take(current, ordinals, self._request.handle, self._request.attributes):
                self._addresses += with_prefix_length(current, ordinals)
                break
            current = find_block(search.datastore, block.cidr)
        return len(self._addresses) >= self._wanted
