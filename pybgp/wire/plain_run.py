"""Ordinary UPDATEs in a row are read in one go (RFC 4271 section 4.3).

One regular expression says what nearly every UPDATE of a table looks like: nothing withdrawn, an ordinary attribute
block (`attribute_block`), IPv4 prefixes in the classic field.  Prefixes end where a length cannot be one, and the next
marker is such a place, so that one search takes whole messages off the stream.  What the expression cannot see is
checked here, and whatever is not plainly good is left to `decode_update`.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from operator import lt
from typing import TYPE_CHECKING, Final, TypeAlias

from pybgp.wire.as_path import is_plain_sequence
from pybgp.wire.attribute_block import plain_shape
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import MARKER, STANDARD_LIMIT, MessageType
from pybgp.wire.nlri.prefixes import prefix_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pybgp.wire.attribute_store import AttributeStore
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.negotiated import Negotiated

#: What one UPDATE announces: prefix keys with their attributes.
Announced: TypeAlias = "tuple[Attributes, Sequence[bytes]]"
#: Announcements in a row, or a message that asks for a closer look.
Part: TypeAlias = "list[Announced] | bytes"

_ROW: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
#: Octets before the attributes.
_HEAD: Final = 23
#: NEXT_HOP with its head.
_HOP_LENGTH: Final = 7
#: Where the first AS number stands in what comes before NEXT_HOP, and where AS_PATH does.
_PATH_AT: Final = 7
_FIRST_AS_AT: Final = 9
_ZERO_AS: Final = bytes(4)
#: Octets of a whole prefix by its length octet.
_WIDTHS: Final = bytes(1 + (length + 7) // 8 for length in range(33)) + bytes(256 - 33)
#: Splitters of that many octets into fours, and the length octets of which all of them must begin with one.
_QUADS: Final = {length: struct.Struct("4s" * (length // 4)).unpack for length in range(8, 512, 4)}
_OF_THREE_OCTETS: Final = bytes(range(17, 25))
_split_any: Final = prefix_expression(IPV4_UNICAST, False).findall
#: Readers of so many octets of communities.
_FOURS: Final = {length: struct.Struct(f">{length // 4}I").unpack_from for length in range(4, 256, 4)}


@lru_cache(maxsize=4)
def _expression(external: bool, add_path: bool) -> re.Pattern[bytes]:
    """Return the shape of one ordinary UPDATE; anything else takes all that is left, and has empty groups."""
    before, hop, behind = plain_shape(external=external)
    prefixes = prefix_expression(IPV4_UNICAST, add_path).pattern
    header = re.escape(MARKER) + rb"(..)\x%02x\x00\x00(..)" % MessageType.UPDATE
    parts = (header, b"(", before, b")", hop, b"(", behind, b")((?:", prefixes, b")+)|.+")
    return re.compile(b"".join(parts), re.DOTALL)


@lru_cache(maxsize=1)
def _two_octets() -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(STANDARD_LIMIT + 1)]


class RunReader:
    """Takes ordinary UPDATEs of one session off its stream."""

    __slots__ = ("_add_path", "_first_as", "_rows", "_split", "_store")

    def __init__(self, negotiated: Negotiated, store: AttributeStore) -> None:
        """Only for a session that `can_read_runs`."""
        context = negotiated.context
        self._store = store
        self._add_path = IPV4_UNICAST in negotiated.add_path_receive
        self._first_as = context.first_as.to_bytes(4, "big") if context.first_as else b""
        self._rows: Callable[[bytes, int], list[_ROW]] = _expression(context.external, self._add_path).findall
        self._split = prefix_expression(IPV4_UNICAST, True).findall if self._add_path else _split

    def read(self, octets: bytes, position: int) -> tuple[list[Part], int]:
        """Return what whole ordinary UPDATEs from ``position`` on announce, and where the first other one begins.

        A message that looks ordinary and is not stands among them as it is.
        """
        parts: list[Part] = []
        run: list[Announced] = []
        add, two_octets, first_as, split = run.append, _two_octets(), self._first_as, self._split
        widths = bytes(256) if self._add_path else _WIDTHS
        find, known = self._find, self._store.known.get
        for length, attributes_length, before, hop, behind, communities, extended, large, field in self._rows(
            octets, position
        ):
            block_length = len(before) + len(behind) + _HOP_LENGTH
            size = block_length + len(field) + _HEAD
            # An empty row, the beginning of a message, or one that says that it is longer or shorter than it looks.
            if size > STANDARD_LIMIT or two_octets[size] != length or two_octets[block_length] != attributes_length:
                break
            content = (before + behind, hop, b"")
            attributes = known(content) or find(content, before, communities, extended, large)
            if attributes is not None and before.startswith(first_as, _FIRST_AS_AT):
                add((attributes, [field] if widths[field[0]] == len(field) else split(field)))
            else:
                if run:
                    parts.append(run)
                    run = []
                    add = run.append
                parts.append(octets[position : position + size])
            position += size
        if run:
            parts.append(run)
        return parts, position

    def _find(
        self, content: tuple[bytes, bytes, bytes], before: bytes, communities: bytes, extended: bytes, large: bytes
    ) -> Attributes | None:
        """Return new attributes; None if they are not plainly good and in canonical order."""
        if _ZERO_AS in before and before[_PATH_AT:] and not is_plain_sequence(before[_PATH_AT:], 0):
            return None
        if communities and not _ascend(_FOURS[communities[0]](communities, 1)):
            return None
        if (extended and not _ascend(struct.unpack_from(f">{extended[0] // 8}Q", extended, 1))) or (
            large and not _ascend([large[at : at + 12] for at in range(1, len(large), 12)])
        ):
            return None
        return self._store.add(content)


def _split(field: bytes) -> Sequence[bytes]:
    """Split a field that is known to be good; in most of them all prefixes have three octets."""
    length = len(field)
    if length in _QUADS and not field[::4].translate(None, _OF_THREE_OCTETS):
        return _QUADS[length](field)
    return _split_any(field)


def _ascend(values: Sequence[int] | Sequence[bytes]) -> bool:
    return all(map(lt, values, values[1:]))


def can_read_runs(negotiated: Negotiated) -> bool:
    """Say whether ordinary UPDATEs mean to this session what they mean to all."""
    return negotiated.context.is_plain and negotiated.asn4 and IPV4_UNICAST in negotiated.families
