"""Interning of attribute sets, and of what we found out about each block of octets (spec section 14)."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from sys import getrefcount
from typing import TYPE_CHECKING, Final

from pybgp.wire.attribute_block import AttributeBlock, read_plain, walk_block
from pybgp.wire.attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pybgp.wire.negotiated import DecodingContext

#: below this many sets a sweep is not worth its time.
_SMALLEST_SWEEP: Final = 10_000
#: a peer that sends ever new blocks must not fill the memory between two sweeps.
_LONGEST_CACHE: Final = 1_000_000
#: a sweep is for more than so many sets for each that could be in use.
_SLACK: Final = 1.1
#: sets looked at in one turn when unused ones are forgotten.
_PART: Final = 20_000
#: no block of a route begins like this.
_NOBODYS: Final = b"nobody's"


class AttributeStore:
    """One object per attribute set, shared by any number of sessions; what a peer sent is looked up by its octets."""

    __slots__ = ("_blocks", "_due_at", "_sets", "_swept_at")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._sets: dict[tuple[bytes, bytes, bytes], Attributes] = {}
        self._blocks: dict[DecodingContext, dict[bytes, Attributes | AttributeBlock]] = {}
        #: how many sets the last sweep left, and how many are worth the next look.
        self._swept_at = 0
        self._due_at = _SMALLEST_SWEEP

    def __len__(self) -> int:
        """Return how many sets are known."""
        return len(self._sets)

    def intern(self, block: bytes, next_hop: bytes = b"") -> Attributes:
        """Return the one object for these canonical octets and this next hop."""
        found = self._sets.get((block, next_hop, b""))
        if found is None:
            found = Attributes(block, next_hop)
            self._sets[found] = found
        return found

    @property
    def known(self) -> Mapping[tuple[bytes, bytes, bytes], Attributes]:
        """Every set by its canonical octets, next hop and no details; good until the next sweep."""
        return self._sets

    def intern_all(self, blocks: Iterable[bytes], next_hops: Iterable[bytes]) -> list[Attributes]:
        """Return the one object for each of these canonical octets with its next hop."""
        made = [*map(tuple.__new__, repeat(Attributes), zip(blocks, next_hops, repeat(b"")))]
        return [*map(self._sets.setdefault, made, made)]

    def adopt(self, attributes: Attributes) -> Attributes:
        """Return the one object equal to ``attributes``: that one itself if it is the first."""
        if attributes.details:
            return attributes
        return self._sets.setdefault(attributes, attributes)

    def blocks(self, context: DecodingContext) -> dict[bytes, Attributes | AttributeBlock]:
        """Return what is known of received blocks in this context, by their octets."""
        return self._blocks.setdefault(context, {})

    def look_at(self, octets: bytes, context: DecodingContext) -> Attributes | AttributeBlock:
        """Return the attributes of an ordinary block with a NEXT_HOP, and what was found in any other.

        A block is taken apart on first sight only.
        """
        blocks = self._blocks.get(context)
        if blocks is None:
            blocks = self.blocks(context)
        found = blocks.get(octets)
        if found is None:
            plain = read_plain(octets, context)
            if plain is None:
                found = walk_block(octets, context)
                if found.multiprotocol:
                    return found
            elif plain[1]:
                found = tuple.__new__(Attributes, plain)
                found = self._sets.setdefault(found, found)
            else:
                found = AttributeBlock(plain[0])
            if len(blocks) >= _LONGEST_CACHE:
                blocks.clear()
            blocks[octets] = found
        return found

    def read(self, octets: bytes, context: DecodingContext) -> AttributeBlock:
        """Return what a received block says."""
        found = self.look_at(octets, context)
        if isinstance(found, AttributeBlock):
            return found
        block = AttributeBlock(found.block, found.next_hop)
        block.attributes = found
        return block

    @property
    def is_due(self) -> bool:
        """Whether the store has doubled since the last sweep, or grown by a quarter since `tidy` let it be."""
        return len(self._sets) > self._due_at

    def tidy(self, needed: int, in_use: Callable[[], Iterable[Attributes]]) -> None:
        """Sweep if more are there than so many that could be in use; else look again when there is a quarter more."""
        if len(self._sets) > needed * _SLACK:
            self.sweep(in_use())
        else:
            self._due_at = max(_SMALLEST_SWEEP, len(self._sets) * 5 // 4)

    def sweeps(self, needed: int) -> Iterator[Callable[[], bool]]:
        """Yield what forgets a part of the sets that nobody uses, if more are there than could be ``needed``.

        Each part says whether there was anything to do.
        """
        if len(self._sets) <= self._swept_at or len(self._sets) <= needed * _SLACK:
            return
        self._blocks.clear()
        left = list(self._sets.values())
        before = len(left)
        while left:
            part = left[-_PART:]
            del left[-_PART:]
            yield partial(self._forget_unused, part)
        if len(self._sets) < before // 2:
            # A dict keeps the room that it needed at most.
            self._sets = {kept: kept for kept in self._sets.values()}
        self._note_sweep()

    def _forget_unused(self, part: list[Attributes]) -> bool:
        """Forget those that are referred to no more often than one that surely only this store knows."""
        sets = self._sets
        part.append(self.intern(_NOBODYS))
        counts = list(map(getrefcount, part))
        fewest = counts[-1]
        for one, count in zip(part, counts, strict=True):
            if count <= fewest and sets.get(one) is one:
                del sets[one]
        return True

    def sweep(self, in_use: Iterable[Attributes]) -> None:
        """Forget every set that is not in use, and what was known of the blocks behind them."""
        self._sets = {kept: kept for kept in in_use if not kept.details}
        self._blocks.clear()
        self._note_sweep()

    def _note_sweep(self) -> None:
        self._swept_at = len(self._sets)
        self._due_at = max(_SMALLEST_SWEEP, 2 * self._swept_at)
