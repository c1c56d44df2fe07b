"""Ordinary UPDATEs in a row are read in one go (RFC 4271 section 4.3).

One regular expression says what nearly every UPDATE of a table looks like: nothing withdrawn, an ordinary attribute
block (`attribute_block`), IPv4 prefixes in the classic field.  Prefixes end where a length cannot be one, and the next
marker is such a place, so that one search takes whole messages off the stream, and those between them that announce
something else, as far as the next marker.  What the expression cannot see is checked here, column by column; ordinary
UPDATEs of IPv6 are taken apart one by one, and whatever is not plainly good is left to `decode_update`.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from itertools import compress
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from pybgp.wire.as_path import is_plain_sequence
from pybgp.wire.attribute_block import LONG_PATH, LONG_PATH_AT, plain_shape, read_plain, with_short_path
from pybgp.wire.communities import is_sorted
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import MARKER, STANDARD_LIMIT, MessageType
from pybgp.wire.nlri.prefixes import prefix_expression
from pybgp.wire.plain_reach import plain_reach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pybgp.wire.attribute_store import AttributeStore
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated


class Run(NamedTuple):
    """What UPDATEs in a row announce, in two columns: ``zip(*run)`` gives each UPDATE."""

    attributes: Sequence[Attributes]
    #: prefix keys of each.
    keys: Sequence[Sequence[bytes]]


#: Announcements in a row, or a message that asks for a closer look.
Part: TypeAlias = "tuple[Family, Run] | bytes"

_ROW: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
#: Attributes and next hop of an UPDATE of IPv6, and its prefixes.
_Reached: TypeAlias = tuple[bytes, bytes, list[bytes]]
#: Octets before the attributes.
_HEAD: Final = 23
#: NEXT_HOP with its head.
_HOP_LENGTH: Final = 7
#: Where the first AS number stands in what comes before NEXT_HOP, and where AS_PATH does.
_PATH_AT: Final = 7
_FIRST_AS_AT: Final = 9
_ZERO_AS: Final = bytes(4)
#: Prefixes of three octets, which most are; in most fields all of them.
_THREE_OCTETS: Final = range(24, 16, -1)
#: Fields of up to so many octets are split by a splitter of their own.
_SHORT_FIELD: Final = 512
#: So many messages are read one by one at most, after octets that only looked like the head of one.
_LONGEST_PAUSE: Final = 127
#: What runs can be of.
_FAMILIES: Final = (IPV4_UNICAST, IPV6_UNICAST)
#: Sizes of communities, extended and large ones.
_COMMUNITY_SIZES: Final = (4, 8, 12)


@lru_cache(maxsize=4)
def _expression(external: bool, add_path: bool) -> re.Pattern[bytes]:
    """Return the shape of one ordinary UPDATE.

    One that withdraws nothing and is another is the last group; anything else takes all that is left.
    """
    marker = re.escape(MARKER)
    header = marker + rb"(..\x%02x\x00\x00..)" % MessageType.UPDATE
    # The length behind a marker is never as big as its octets.
    other = rb"((?:[^\xff]++|(?!" + marker + rb"(?:[^\xff]|\Z))\xff)++)"
    return re.compile(header + b"(?:" + _classic(external, add_path) + b"|" + other + b")|.+", re.DOTALL)


@lru_cache(maxsize=4)
def _classic(external: bool, add_path: bool) -> bytes:
    """Return the shape of its attributes and prefixes."""
    before, hop, behind = plain_shape(external=external)
    any_prefix = prefix_expression(IPV4_UNICAST, add_path).pattern
    usual_prefix = prefix_expression(IPV4_UNICAST, add_path, _THREE_OCTETS).pattern
    usual_field = b"((?:%s)++)(?=%s|\\Z)" % (usual_prefix, re.escape(MARKER))
    return b"".join((b"(", before, b")", hop, b"(", behind, b")(?:", usual_field, b"|((?:", any_prefix, b")++))"))


@lru_cache(maxsize=2)
def _splitters(add_path: bool) -> list[Callable[[bytes], Sequence[bytes]]]:
    """Return what splits a field of so many octets in which all prefixes have three."""
    size = 8 if add_path else 4
    splitters: list[Callable[[bytes], Sequence[bytes]]] = [_split_any(add_path)] * (STANDARD_LIMIT + 1)
    splitters[size] = _alone
    for length in range(2 * size, _SHORT_FIELD, size):
        splitters[length] = struct.Struct(f"{size}s" * (length // size)).unpack
    return splitters


def _alone(field: bytes) -> Sequence[bytes]:
    return [field]


def _split_any(add_path: bool) -> Callable[[bytes], Sequence[bytes]]:
    return prefix_expression(IPV4_UNICAST, add_path).findall


class RunReader:
    """Takes ordinary UPDATEs of one session off its stream."""

    __slots__ = (
        "_classic",
        "_context",
        "_first_as",
        "_next_pause",
        "_pause",
        "_rows",
        "_split",
        "_split_ipv6",
        "_splitters",
        "_store",
        "_takes_classic",
    )

    def __init__(self, negotiated: Negotiated, store: AttributeStore) -> None:
        """Only for a session that `can_read_runs`."""
        context = negotiated.context
        add_path = IPV4_UNICAST in negotiated.add_path_receive
        self._store = store
        self._context = context
        #: how many calls are to return nothing, and how many the last time.
        self._pause = self._next_pause = 0
        self._takes_classic = IPV4_UNICAST in negotiated.families
        self._split_ipv6 = negotiated.split_ipv6
        self._first_as = context.first_as.to_bytes(4, "big") if context.first_as else b""
        self._classic = re.compile(_classic(context.external, add_path), re.DOTALL).fullmatch
        self._rows: Callable[[bytes, int], list[_ROW]] = _expression(context.external, add_path).findall
        self._split = _split_any(add_path)
        self._splitters = _splitters(add_path)

    def read(self, octets: bytes, position: int) -> tuple[list[Part], int]:
        """Return what whole ordinary UPDATEs from ``position`` on announce, and where the first other one begins.

        An UPDATE that announces and is not ordinary stands among them as it is.
        """
        if self._pause:
            self._pause -= 1
            return [], position
        rows = self._rows(octets, position)
        if not rows:
            return [], position
        heads, befores, hops, behinds, communities, extended, large, usual, unusual, others = zip(*rows, strict=True)
        blocks = [*map(add, befores, behinds)]
        of_attributes = [len(block) + _HOP_LENGTH for block in blocks]
        is_mixed = any(others)
        if is_mixed:
            of_attributes = [len(other) or length for other, length in zip(others, of_attributes, strict=True)]
        lengths = zip(of_attributes, map(len, usual), map(len, unusual), strict=True)
        sizes = [_HEAD + before + one + other for before, one, other in lengths]
        if is_mixed:
            # Those with prefixes behind their attributes are to be looked at closer, each for itself.
            of_attributes = [
                int.from_bytes(head[5:], "big") if other else length
                for head, other, length in zip(heads, others, of_attributes, strict=True)
            ]
        whole = _count_whole(heads, sizes, of_attributes)
        if whole < len(rows) - 1:
            # Markers stand inside messages: to look for the next ones each time would take the square of the time.
            self._next_pause = self._pause = min(2 * self._next_pause + 1, _LONGEST_PAUSE)
        else:
            self._next_pause = 0
        if is_mixed and (short := self._with_short_paths(rows[:whole], of_attributes)):
            _, befores, hops, behinds, communities, extended, large, usual, unusual, others = zip(*short, strict=True)
            blocks = [*map(add, befores, behinds)]
        odd = self._odd(befores[:whole], communities[:whole], extended[:whole], large[:whole])
        reached: dict[int, _Reached | None] = {}
        if is_mixed:
            for at, other in enumerate(others[:whole]):
                if other:
                    reached[at] = self._reach(other) if len(other) == of_attributes[at] else None
        odd.update(at for at, one in reached.items() if one is None)
        parts: list[Part] = []
        start = 0
        for stop in (*sorted(odd), whole):
            columns: list[Sequence[bytes]] = [one[start:stop] for one in (blocks, hops, usual, unusual)]
            if is_mixed:
                runs = self._other_run([one for at in range(start, stop) if (one := reached.get(at)) is not None])
                are_classic = [not other for other in others[start:stop]]
                classic = self._classic_run(*([*compress(one, are_classic)] for one in columns))
                parts += classic + runs if are_classic[:1] == [True] else runs + classic
            else:
                parts += self._classic_run(*columns)
            position += sum(sizes[start:stop])
            if stop < whole:
                parts.append(octets[position : position + sizes[stop]])
                position += sizes[stop]
            start = stop + 1
        return parts, position

    def _with_short_paths(self, rows: Sequence[_ROW], of_attributes: Sequence[int]) -> list[_ROW]:
        """Return the rows with those as ordinary that were so but for the long header of AS_PATH; none if none is."""
        found = {at: row[-1] for at, row in enumerate(rows) if row[-1].startswith(LONG_PATH, LONG_PATH_AT)}
        mended = [*rows] if found else []
        for at, octets in found.items():
            match = self._classic(with_short_path(octets))
            # One octet of the length is gone.
            if match is not None and match.end(3) == of_attributes[at] - 1:
                mended[at] = cast("_ROW", (rows[at][0], *match.groups(b""), b""))
        return mended

    def _reach(self, octets: bytes) -> _Reached | None:
        """Take an ordinary UPDATE of IPv6 apart."""
        split = self._split_ipv6
        reach = None if split is None else plain_reach(octets)
        if split is None or reach is None:
            return None
        plain = read_plain(reach.others, self._context)
        keys = split(reach.nlri)
        if plain is None or plain[1] or b"".join(keys) != reach.nlri:
            return None
        return plain[0], reach.next_hop, keys

    def _other_run(self, reached: Sequence[_Reached]) -> list[Part]:
        if not reached:
            return []
        blocks, hops, keys = zip(*reached, strict=True)
        return [(IPV6_UNICAST, Run(self._store.intern_all(blocks, hops), keys))]

    def _classic_run(
        self, blocks: Sequence[bytes], hops: Sequence[bytes], usual: Sequence[bytes], unusual: Sequence[bytes]
    ) -> list[Part]:
        if not blocks:
            return []
        splitters, split = self._splitters, self._split
        keys = [splitters[len(one)](one) if one else split(other) for one, other in zip(usual, unusual, strict=True)]
        return [(IPV4_UNICAST, Run(self._store.intern_all(blocks, hops), keys))]

    def _odd(self, befores: Sequence[bytes], *communities: Sequence[bytes]) -> set[int]:
        """Return which rows are not plainly good and in canonical order."""
        if not self._takes_classic:
            return {at for at, before in enumerate(befores) if before}
        odd: set[int] = set()
        if _ZERO_AS in b"".join(befores):
            paths = [before[_PATH_AT:] for before in befores]
            odd |= {at for at, path in enumerate(paths) if path and not is_plain_sequence(path, 0)}
        if first_as := self._first_as:
            others = [not before.startswith(first_as, _FIRST_AS_AT) for before in befores]
            odd |= {at for at, before in enumerate(befores) if others[at] and before}
        for size, groups in zip(_COMMUNITY_SIZES, communities, strict=True):
            if any(groups) and not _all_sorted([group for group in groups if len(group) > size + 1], size):
                odd |= {at for at, group in enumerate(groups) if not is_sorted(group, size)}
        return odd


def _count_whole(heads: Sequence[bytes], sizes: Sequence[int], of_attributes: Sequence[int]) -> int:
    """Return how many rows from the first on are as long as they say.

    The first other one is empty, the beginning of a message, or longer or shorter than it looks.  Mostly all behind it
    are empty.
    """
    count = len(heads)
    while count and not _are_whole(heads, sizes, of_attributes, count - 1, count):
        count -= 1
    if _are_whole(heads, sizes, of_attributes, 0, count):
        return count
    return next(at for at in range(count) if not _are_whole(heads, sizes, of_attributes, at, at + 1))


def _are_whole(
    heads: Sequence[bytes], sizes: Sequence[int], of_attributes: Sequence[int], start: int, stop: int
) -> bool:
    """Say the same of some rows together."""
    if max(sizes[start:stop], default=0) > STANDARD_LIMIT:
        return False
    said = b"".join(heads[start:stop])
    seen = struct.pack(f">{2 * (stop - start)}H", *sizes[start:stop], *of_attributes[start:stop])
    # A head has the length of the message in front, that of the attributes behind, and seven octets.
    return said[::7] + said[5::7] == seen[::2] and said[1::7] + said[6::7] == seen[1::2]


def _all_sorted(groups: Sequence[bytes], size: int) -> bool:
    """Say whether members of ``size`` octets ascend in each of the groups, which begin with a length octet.

    One subtraction compares all neighbours: each member has a lane of its own in a big number, with an octet of room in
    which 1 is left where it is greater than the one before.  A member of zeros between the groups is never greater.
    False may also mean that a group begins with zeros.
    """
    members = bytes(size).join([group[1:] for group in groups])
    pairs = len(members) // size - 1
    if pairs < 1:
        return True
    lane = size + 1
    lanes = bytearray((pairs + 1) * lane)
    for at in range(size):
        lanes[at + 1 :: lane] = members[at::size]
    later, earlier = int.from_bytes(lanes[lane:], "big"), int.from_bytes(lanes[:-lane], "big")
    all_but_one = int.from_bytes((b"\0" + b"\xff" * size) * pairs, "big")
    greater = (later + all_but_one - earlier) & int.from_bytes((b"\1" + bytes(size)) * pairs, "big")
    return greater.bit_count() == pairs + 1 - len(groups)


def can_read_runs(negotiated: Negotiated) -> bool:
    """Say whether ordinary UPDATEs mean to this session what they mean to all."""
    return negotiated.context.is_plain and negotiated.asn4 and not negotiated.families.isdisjoint(_FAMILIES)
