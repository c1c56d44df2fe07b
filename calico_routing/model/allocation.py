"""IPAMBlock, BlockAffinity, IPAMHandle and IPAMConfig: who has which address (spec/calico.md section 1.3)."""

from __future__ import annotations

from calico_routing.model.fields import (
    Document,
    Field,
    flag,
    number,
    parts,
    read_number,
    read_number_mapping,
    read_text,
    text,
    text_mapping,
)
from calico_routing.model.records import EMPTY
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar

PENDING = "pending"
CONFIRMED = "confirmed"
PENDING_DELETION = "pendingDeletion"
HOST = "host"
VIRTUAL = "virtual"


def read_allocations(value: object) -> tuple[int | None, ...]:
    """Accept a list of attribute indexes and nulls."""
    if not isinstance(value, list):
        raise TypeError("must be a list of numbers and nulls")
    return tuple([None if item is None else read_number(item) for item in value])


def read_ordinals(value: object) -> tuple[int, ...]:
    """Accept a list of ordinals."""
    if not isinstance(value, list):
        raise TypeError("must be a list of numbers")
    return tuple(map(read_number, value))


def read_ordinal_numbers(value: object) -> dict[int, int]:
    """Accept an object whose keys are ordinals in decimal."""
    return {int(key): number for key, number in read_number_mapping(value).items()}


def write_ordinal_numbers(numbers: Mapping[int, int]) -> dict[str, int]:
    """Write ordinals as decimal keys."""
    return {str(ordinal): number for ordinal, number in numbers.items()}


def read_lenient_flag(value: object) -> bool:
    """Accept true and false, also as the strings that crd.projectcalico.org/v1 stores."""
    flags = {True: True, False: False, "true": True, "false": False, "": False}
    if not isinstance(value, bool | str) or value not in flags:
        raise TypeError('must be "true" or "false"')
    return flags[value]


class AllocationAttribute(Document):
    """Who holds some addresses of a block."""

    FIELDS: ClassVar = (
        Field("handle_id", "handle_id", read_text, always=True),
        text_mapping("secondary", "secondary", always=True),
    )
    handle_id: str | None = None
    secondary: Mapping[str, str] = EMPTY


class IPAMBlock(Resource):
    """A block of addresses: which are taken, by whom, and in which order the free ones are handed out."""

    KIND: ClassVar = "IPAMBlock"
    PLURAL: ClassVar = "ipamblocks"
    FIELDS: ClassVar = (
        text("cidr", "spec.cidr", always=True),
        text("affinity", "spec.affinity"),
        text("affinity_claim_time", "spec.affinityClaimTime"),
        Field("allocations", "spec.allocations", read_allocations, list, always=True),
        Field("unallocated", "spec.unallocated", read_ordinals, list, always=True),
        parts("attributes", "spec.attributes", AllocationAttribute, always=True),
        number("sequence_number", "spec.sequenceNumber", always=True),
        Field(
            "sequence_number_for_allocation",
            "spec.sequenceNumberForAllocation",
            read_ordinal_numbers,
            write_ordinal_numbers,
            always=True,
        ),
        flag("deleted", "spec.deleted", always=True),
    )
    cidr: str
    #: ``host:<node>`` or ``virtual:<name>``; None when nobody owns the block.
    affinity: str | None = None
    affinity_claim_time: str | None = None
    #: per ordinal: None when free, else an index into ``attributes``.
    allocations: tuple[int | None, ...] = ()
    #: free ordinals, the next to be handed out first.
    unallocated: tuple[int, ...] = ()
    attributes: tuple[AllocationAttribute, ...] = ()
    sequence_number: int = 0
    sequence_number_for_allocation: Mapping[int, int] = EMPTY
    deleted: bool = False

    @property
    def host(self) -> str | None:
        """The node that owns the block, if a node owns it."""
        kind, _, owner = (self.affinity or "").partition(":")
        return owner if kind == HOST else None


class BlockAffinity(Resource):
    """The claim of a node on a block; routing believes only confirmed ones (section 4.6)."""

    KIND: ClassVar = "BlockAffinity"
    PLURAL: ClassVar = "blockaffinities"
    FIELDS: ClassVar = (
        text("state", "spec.state", always=True),
        text("node", "spec.node", always=True),
        text("cidr", "spec.cidr", always=True),
        text("type", "spec.type", always=True),
        Field("deleted", "spec.deleted", read_lenient_flag, always=True),
    )
    node: str
    cidr: str
    state: str = CONFIRMED
    type: str = HOST
    deleted: bool = False

    @property
    def confirmed(self) -> bool:
        """Whether the claim counts; data of old releases has an empty state for it."""
        return self.state in {CONFIRMED, ""}


class IPAMHandle(Resource):
    """How many addresses of each block were taken under one handle; may count too many, never too few."""

    KIND: ClassVar = "IPAMHandle"
    PLURAL: ClassVar = "ipamhandles"
    FIELDS: ClassVar = (
        text("handle_id", "spec.handleID", always=True),
        Field("block", "spec.block", read_number_mapping, dict, always=True),
        flag("deleted", "spec.deleted", always=True),
    )
    handle_id: str
    block: Mapping[str, int] = EMPTY
    deleted: bool = False


class IPAMConfig(Resource):
    """Cluster-wide rules of address management; the only one is named ``default``."""

    KIND: ClassVar = "IPAMConfig"
    PLURAL: ClassVar = "ipamconfigs"
    FIELDS: ClassVar = (
        flag("strict_affinity", "spec.strictAffinity", always=True),
        flag("auto_allocate_blocks", "spec.autoAllocateBlocks", always=True),
        number("max_blocks_per_host", "spec.maxBlocksPerHost", omitted=(0,)),
    )
    strict_affinity: bool = False
    auto_allocate_blocks: bool = True
    max_blocks_per_host: int = 0
