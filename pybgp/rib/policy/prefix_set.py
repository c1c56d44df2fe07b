"""Sets of prefixes with ranges of lengths, a hundred thousand of them asked per prefix (spec section 16).

Exact entries are looked up as they are.  Entries with a range of lengths become maps as prefixes are asked about: one
octet for each of 256 neighbours, so that most prefixes cost a slice, a dictionary and an index.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from itertools import compress, pairwise, repeat
from operator import getitem, itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import format_prefix, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_OCTET: Final = re.compile(r"0|[1-9][0-9]{0,2}")
WIDTHS: Final = {IPV4_UNICAST: 32, IPV6_UNICAST: 128}
#: Addresses of so many bits are kept four octets each.
_COMPACT: Final = 32
#: Beyond so many maps they are made anew: a peer that announces prefixes all over must not fill the memory.
MOST_MAPS: Final = 1 << 18
#: So many prefixes are worth looking first at their lengths and first octets alone ...
TOGETHER: Final = 64
#: ... unless that was in vain: then not so many times.
MOST_SKIPPED: Final = 16
_CLOSER: Final = 2
_ONLY_CLOSER: Final = b"\x00\x00\x01" + bytes(253)
_front: Final = itemgetter(slice(2))
_head: Final = itemgetter(slice(None, -1))
_last: Final = itemgetter(-1)
_NONE: Final = bytes(256)
_ALL: Final = b"\x01" * 256


class PrefixRange(NamedTuple):
    """Every prefix inside one prefix whose length is within bounds."""

    family: Family
    key: bytes
    shortest: int
    longest: int

    def __str__(self) -> str:
        """Print it as `parse_range` reads it."""
        text, length, width = format_prefix(self.family, self.key), self.key[0], WIDTHS[self.family]
        if self.shortest == self.longest == length:
            return text
        lower = f" ge {self.shortest}" if self.shortest > length or self.longest == width else ""
        return f"{text}{lower}" + (f" le {self.longest}" if self.longest < width or not lower else "")

    def contains(self, family: Family, key: bytes) -> bool:
        """Say whether a prefix is meant: the definition that the tables must agree with."""
        return family == self.family and self.shortest <= key[0] <= self.longest and is_inside(key, self.key)


def is_inside(inner: bytes, outer: bytes) -> bool:
    """Say whether one prefix of a family equals or lies in another."""
    length = outer[0]
    if inner[0] < length:
        return False
    whole, bits = divmod(length, 8)
    if inner[1 : 1 + whole] != outer[1 : 1 + whole]:
        return False
    return not bits or inner[1 + whole] >> (8 - bits) == outer[1 + whole] >> (8 - bits)


def parse_range(text: str) -> PrefixRange:
    """Read ``10.0.0.0/8``, ``10.0.0.0/8 ge 16 le 24`` or ``::/0 le 48``; with ge alone any longer length is meant."""
    words = text.split()
    if not words or len(words) % 2 == 0:
        raise LocalError(f"prefix {text!r}: a prefix is expected, and behind it only ge LENGTH and le LENGTH")
    family, key = parse_key(words[0])
    bounds: dict[str, int] = {}
    for word, number in zip(words[1::2], words[2::2], strict=True):
        if word not in ("ge", "le") or word in bounds or not _LENGTH.fullmatch(number):
            raise LocalError(f"prefix {text!r}: behind the prefix only ge LENGTH and le LENGTH are expected")
        bounds[word] = int(number)
    width = WIDTHS[family]
    shortest = bounds.get("ge", key[0])
    longest = bounds.get("le", width if "ge" in bounds else key[0])
    if not key[0] <= shortest <= longest <= width:
        raise LocalError(
            f"prefix {text!r}: no prefix fits; {key[0]} <= ge <= le <= {width} is expected, "
            f"not ge {shortest} and le {longest}"
        )
    return PrefixRange(family, key, shortest, longest)


def parse_key(text: str) -> tuple[Family, bytes]:
    """Read a prefix; plain IPv4 takes a way that is ten times as short, all else and every error the careful one."""
    address, _, length = text.partition("/")
    parts = address.split(".")
    if len(parts) == 4 and _LENGTH.fullmatch(length) and int(length) <= 32:
        numbers = [int(part) if _OCTET.fullmatch(part) else 256 for part in parts]
        if max(numbers) < 256:
            bits = int(length)
            octets = bytes(numbers)
            if not int.from_bytes(octets, "big") & (0xFFFFFFFF >> bits):
                return IPV4_UNICAST, bytes([bits]) + octets[: (bits + 7) // 8]
    return parse_prefix(text)


def edges_by_length(width: int, entries: Iterable[tuple[bytes, int, int]]) -> list[Sequence[int]]:
    """Return for each length of prefixes the addresses at which what is meant of that length begins and ends, in turns.

    Entries of a prefix with the shortest and the longest length that it stands for overlap only if one lies in the
    other, and those that touch are one.  The last end is missing where there is no address behind it.
    """
    spans = sorted(
        (int.from_bytes(key[1:], "big") << width - 8 * (len(key) - 1), 1 << width - key[0], shortest, longest)
        for key, shortest, longest in entries
    )
    # Between two of these lengths all are meant alike.
    bounds = sorted({0, width + 1, *(span[2] for span in spans), *(span[3] + 1 for span in spans)})
    found: list[Sequence[int]] = []
    for length, following in pairwise(bounds):
        edges = _joined([span[:2] for span in spans if span[2] <= length <= span[3]])
        if edges and edges[-1] == 1 << width:
            edges.pop()
        found += [array("I", edges) if width == _COMPACT else edges] * (following - length)
    return found


def _joined(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Return begins and ends of what spans cover, each given as its begin and its size, in order."""
    edges: list[int] = []
    end = -1
    for start, size in spans:
        if start > end:
            edges += (end, start)
            end = start + size
        elif start + size > end:
            end = start + size
    return [*edges[1:], end] if edges else []


class _Maps(dict[bytes, bytes]):
    """By all octets of a key but the last: an octet for each that may stand there, 1 where the prefix is meant."""

    __slots__ = ("_edges", "_kinds", "_width")

    def __init__(self, width: int, edges: Sequence[Sequence[int]]) -> None:
        """See `edges_by_length`."""
        super().__init__()
        self._width = width
        #: equal maps are one object, for the sake of the processor's cache; most are all ones or all zeros.
        self._kinds = {_NONE: _NONE, _ALL: _ALL}
        self._edges = edges

    def __missing__(self, head: bytes) -> bytes:
        if len(self) >= MOST_MAPS:
            self.clear()
            self._kinds = {_NONE: _NONE, _ALL: _ALL}
        found = self[head] = self._map(head)
        return found

    def _map(self, head: bytes) -> bytes:
        edges = self._edges[head[0] if head else 0]
        shift = self._width - 8 * max(len(head), 1)
        low = int.from_bytes(head[1:], "big") << shift + 8
        first = bisect_right(edges, low)
        last = bisect_left(edges, low + (256 << shift), first)
        if first == last:
            return _ALL if first & 1 else _NONE
        stops = [0, *(edge - low >> shift for edge in edges[first:last]), 256]
        parts = (_ALL, _NONE) if first & 1 else (_NONE, _ALL)
        found = b"".join([parts[at & 1][: stop - start] for at, (start, stop) in enumerate(pairwise(stops))])
        return self._kinds.setdefault(found, found)


class _Octets(dict[bytes, int]):
    """By the length and the first octet of prefixes: 1 if all of them are meant, 0 if none is, 2 if only maps can tell.

    They are few, so that they stay in the processor's cache.
    """

    __slots__ = ("_edges", "_shift")

    def __init__(self, width: int, edges: Sequence[Sequence[int]]) -> None:
        """See `edges_by_length`."""
        super().__init__()
        self._shift = width - 8
        self._edges = edges

    def __missing__(self, head: bytes) -> int:
        found = self[head] = self._tell(head)
        return found

    def _tell(self, head: bytes) -> int:
        if len(head) < 2:
            return _CLOSER
        length, octet = head
        edges = self._edges[length]
        first = bisect_right(edges, octet << self._shift)
        last = bisect_left(edges, octet + 1 << self._shift, first)
        return first & 1 if first == last else _CLOSER


class _Ranges:
    """Entries with a range of lengths."""

    __slots__ = ("_maps", "_octets", "_skipped")

    def __init__(self, width: int, entries: Iterable[tuple[bytes, int, int]]) -> None:
        """Each entry is a prefix with the shortest and the longest length that it stands for."""
        edges = edges_by_length(width, entries)
        self._maps = _Maps(width, edges)
        self._octets = _Octets(width, edges)
        self._skipped = 0

    def marks(self, keys: Sequence[bytes]) -> bytes:
        """Return an octet for each prefix: 1 if an entry means it, else 0."""
        count = len(keys)
        if count < TOGETHER:
            return self._closer(keys)
        if self._skipped:
            self._skipped -= 1
            return self._closer(keys)
        found = bytes(map(self._octets.__getitem__, map(_front, keys)))
        unsure = found.count(_CLOSER)
        if not unsure:
            return found
        if 2 * unsure > count:
            self._skipped = MOST_SKIPPED
        closer = self._closer([*compress(keys, found.translate(_ONLY_CLOSER))])
        if 0 not in closer or 1 not in closer:
            return found.replace(b"\x02", closer[:1])
        return bytes(map(next, map((repeat(0), repeat(1), iter(closer)).__getitem__, found)))

    def _closer(self, keys: Sequence[bytes]) -> bytes:
        its_maps = [*map(self._maps.__getitem__, map(_head, keys))]
        if its_maps.count(_ALL) == len(keys):
            return b"\x01" * len(keys)
        return bytes(map(getitem, its_maps, map(_last, keys)))


class _FamilySet:
    """The entries of one family, ready to be asked."""

    __slots__ = ("_exact", "_ranges")

    def __init__(self, width: int, entries: Iterable[PrefixRange]) -> None:
        exact: list[bytes] = []
        ranged: list[tuple[bytes, int, int]] = []
        for _, key, shortest, longest in entries:
            if shortest == longest == key[0]:
                exact.append(key)
            else:
                ranged.append((key, shortest, longest))
        self._exact = frozenset(exact)
        self._ranges = _Ranges(width, ranged) if ranged else None

    def marks(self, keys: Sequence[bytes]) -> bytes:
        """Return an octet for each prefix: 1 if an entry means it, else 0."""
        exact, ranges, count = self._exact, self._ranges, len(keys)
        if ranges is None:
            if exact.issuperset(keys):
                return b"\x01" * count
            return bytes(count) if exact.isdisjoint(keys) else bytes(map(exact.__contains__, keys))
        found = ranges.marks(keys)
        return _either(found, bytes(map(exact.__contains__, keys))) if exact and 0 in found else found


def _either(marks: bytes, others: bytes) -> bytes:
    return (int.from_bytes(marks, "big") | int.from_bytes(others, "big")).to_bytes(len(marks), "big")


NOTHING: Final = _FamilySet(32, ())


class PrefixSet:
    """A named set; equal entries make equal sets, whatever they are called."""

    __slots__ = ("_families", "entries", "name")

    def __init__(self, entries: Iterable[PrefixRange], name: str = "") -> None:
        """Prepare the lookups."""
        self.entries = frozenset(entries)
        self.name = name
        by_family: dict[Family, list[PrefixRange]] = {}
        for entry in self.entries:
            by_family.setdefault(entry.family, []).append(entry)
        self._families = {family: _FamilySet(WIDTHS[family], found) for family, found in by_family.items()}

    @classmethod
    def of(cls, *texts: str, name: str = "") -> PrefixSet:
        """Return the set of these texts, see `parse_range`."""
        return cls(map(parse_range, texts), name)

    def has(self, family: Family, key: bytes) -> bool:
        """Say whether a prefix is in the set."""
        return 1 in self.marks(family, (key,))

    def inside(self, family: Family, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return those that are in the set; the same object if all are."""
        marks = self.marks(family, keys)
        return [*compress(keys, marks)] if 0 in marks else keys

    def marks(self, family: Family, keys: Sequence[bytes]) -> bytes:
        """Return an octet for each prefix: 1 if it is in the set, else 0."""
        return self.marker(family)(keys)

    def marker(self, family: Family) -> Callable[[Sequence[bytes]], bytes]:
        """Return `marks` for one family."""
        return self._families.get(family, NOTHING).marks

    def covers(self, entry: PrefixRange) -> bool:
        """Say whether one entry of the set means everything that ``entry`` means."""
        return entry in self.entries or any(
            other.family == entry.family
            and other.shortest <= entry.shortest
            and entry.longest <= other.longest
            and is_inside(entry.key, other.key)
            for other in self.entries
        )

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        """Compare the entries."""
        return isinstance(other, PrefixSet) and self.entries == other.entries

    def __hash__(self) -> int:
        """Return something equal for equal sets; the frozenset remembers its own."""
        return hash(self.entries)

    def __repr__(self) -> str:
        """Print name and size."""
        return f"<PrefixSet {self.name or 'without name'}: {len(self.entries)} entries>"

    def __str__(self) -> str:
        """Print the name, or the entries if there are few."""
        if self.name:
            return f"prefix set {self.name}"
        return "prefix " + ", ".join(sorted(map(str, self.entries))[:3]) + (", ..." if len(self.entries) > 3 else "")
