"""How a host comes to own a block, and gives it up: two phases of compare-and-swap (sections 2.2 and 2.6).

The affinity is written first as pending, then the block, then the affinity as confirmed; routing believes the last
state only.  Whatever a crash leaves behind is put right by the next claim of the same block.
"""

from __future__ import annotations

import time

from calico_routing.datastore.interface import AlreadyExistsError, ConflictError, NotFoundError
from calico_routing.ipam.block_operations import is_empty, new_block, require_sound, touched
from calico_routing.ipam.errors import AffinityError, NotAssignedError
from calico_routing.ipam.retries import attempts
from calico_routing.model.allocation import CONFIRMED, HOST, PENDING, PENDING_DELETION, BlockAffinity, IPAMBlock
from calico_routing.model.blocks import parse_network, version_of
from calico_routing.model.names import affinity_name, affinity_prefix, cidr_name
from calico_routing.model.resource import Metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from calico_routing.datastore.interface import Datastore
    from calico_routing.ipam.block_operations import ReservedEnds


def timestamp(seconds: float) -> str:
    """Write a time as the stores have it: ``2026-11-23T17:32:41Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def find_block(datastore: Datastore, cidr: str) -> IPAMBlock | None:
    """Return a block, if it exists; IpamError if it is damaged."""
    try:
        block = datastore.get(IPAMBlock, cidr_name(cidr))
    except NotFoundError:
        return None
    return require_sound(block)


def find_affinity(datastore: Datastore, host: str, cidr: str) -> BlockAffinity | None:
    """Return the claim of a host on a block, if it exists."""
    try:
        return datastore.get(BlockAffinity, affinity_name(host, cidr))
    except NotFoundError:
        return None


def affinities_of(datastore: Datastore, host: str, version: int | None = None) -> list[BlockAffinity]:
    """Return the claims of a host in list order, of one family or of both."""
    return [
        affinity
        for affinity in datastore.list(BlockAffinity, prefix=affinity_prefix(host)).items
        if affinity.node == host and affinity.type == HOST and version in {None, version_of(affinity.cidr)}
    ]


def claim_block(
    datastore: Datastore,
    cidr: str,
    host: str,
    clock: Callable[[], float],
    reserved: ReservedEnds | None = None,
) -> IPAMBlock:
    """Make a block belong to a host, or finish or repair an earlier claim; AffinityError if it has another owner."""
    for _ in attempts(f"claim of {cidr} for {host}"):
        try:
            affinity = _announce(datastore, cidr, host)
            block, is_standing = _own(datastore, cidr, host, clock, reserved, affinity)
            if not (is_standing and affinity.confirmed):
                datastore.update(affinity.replace(state=CONFIRMED))
        except (AlreadyExistsError, ConflictError, NotFoundError):
            # Another process of this host claims or gives up the same block: look again.
            continue
        return block
    raise AssertionError("attempts() never ends quietly")


def _announce(datastore: Datastore, cidr: str, host: str) -> BlockAffinity:
    """Return the host's affinity, confirmed if it was, else pending by a write of ours."""
    affinity = find_affinity(datastore, host, cidr)
    if affinity is None:
        metadata = Metadata(name=affinity_name(host, cidr))
        return datastore.create(BlockAffinity(metadata=metadata, node=host, cidr=cidr, state=PENDING))
    if affinity.confirmed:
        return affinity
    return datastore.update(affinity.replace(state=PENDING))


def _own(
    datastore: Datastore,
    cidr: str,
    host: str,
    clock: Callable[[], float],
    reserved: ReservedEnds | None,
    affinity: BlockAffinity,
) -> tuple[IPAMBlock, bool]:
    """Return the block, made ours, and whether it was ours before."""
    now = clock()
    owner = f"{HOST}:{host}"
    block = find_block(datastore, cidr)
    if block is None:
        network = parse_network(cidr)
        number = int(now * 1_000_000_000)
        fresh = new_block(network, owner, claim_time=timestamp(now), sequence_number=number, reserved=reserved)
        return datastore.create(fresh), False
    if block.affinity is None:
        return datastore.update(touched(block, affinity=owner, affinity_claim_time=timestamp(now))), False
    if block.affinity != owner:
        datastore.delete(affinity)
        raise AffinityError(f"block {cidr} belongs to {block.affinity}, not to {owner}")
    if affinity.confirmed:
        return block, True
    # A new revision, so that whoever is giving the block up, or has read it, loses the race.
    return datastore.update(touched(block)), True


def release_block_affinity(datastore: Datastore, cidr: str, host: str, *, must_be_empty: bool = False) -> None:
    """Give up a block: it goes if it is empty, and lives on without an owner if not.

    NotAssignedError if the host has no claim; AffinityError if the block has another owner or is not empty.
    """
    for _ in attempts(f"release of {cidr} by {host}"):
        affinity, block = find_affinity(datastore, host, cidr), find_block(datastore, cidr)
        is_ours = block is not None and block.host == host
        if affinity is None and not is_ours:
            raise NotAssignedError(f"host {host} has no claim on block {cidr}")
        try:
            affinity = affinity or _announce(datastore, cidr, host)
            if block is not None and not is_ours:
                datastore.delete(affinity)
                raise AffinityError(f"block {cidr} belongs to {block.affinity}, not to host:{host}")
            if block is not None and must_be_empty and not is_empty(block):
                _restore(datastore, affinity)
                raise AffinityError(f"block {cidr} is not empty")
            affinity = datastore.update(affinity.replace(state=PENDING_DELETION))
            _let_go(datastore, block)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            continue
        _remove_unless_claimed_again(datastore, affinity)
        return


def _restore(datastore: Datastore, affinity: BlockAffinity) -> None:
    """Confirm an affinity again that an unfinished release has marked."""
    if affinity.state == PENDING_DELETION:
        datastore.update(affinity.replace(state=CONFIRMED))


def _let_go(datastore: Datastore, block: IPAMBlock | None) -> None:
    if block is None:
        return
    if is_empty(block):
        datastore.delete(block)
    else:
        datastore.update(touched(block, affinity=None, affinity_claim_time=None))


def _remove_unless_claimed_again(datastore: Datastore, affinity: BlockAffinity) -> None:
    try:
        datastore.delete(affinity)
    except NotFoundError:
        return
    except ConflictError as error:
        raise AffinityError(f"block {affinity.cidr} was claimed again for {affinity.node} meanwhile") from error
