"""Sets of prefixes with ranges of lengths, a hundred thousand of them asked per prefix (spec section 16).

Exact entries are looked up as they are.  Entries with a range of lengths become, for each length that is ever asked
about, a sorted table of address ranges without overlaps: a trie laid flat, searched by one bisection in C.  What a
search says of 256 neighbours is kept, an octet for each, so that most prefixes are looked up without one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import format_prefix, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_OCTET: Final = re.compile(r"0|[1-9][0-9]{0,2}")
WIDTHS: Final = {IPV4_UNICAST: 32, IPV6_UNICAST: 128}
#: Beyond so many maps they are made anew: a peer that announces prefixes all over must not fill the memory.
MOST_MAPS: Final = 1 << 17
_NONE: Final = bytes(256)
_ALL: Final = b"\x01" * 256
_LOWEST: Final = b"\x00"
_HIGHEST: Final = b"\xff"


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


class _Ranges:
    """The address ranges of one prefix length, apart from each other and ascending."""

    __slots__ = ("lasts", "starts")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.starts: list[bytes] = []
        self.lasts: list[bytes] = []
        # Prefixes nest or are apart, so whatever starts inside the last kept range ends inside it too.
        for start, last in sorted(pairs, key=_widest_first):
            if not self.lasts or start > self.lasts[-1]:
                self.starts.append(start)
                self.lasts.append(last)


class _Tables(dict[int, _Ranges]):
    """By prefix length; a table is made when it is first asked for."""

    __slots__ = ("ranged",)

    def __init__(self, ranged: Mapping[tuple[int, int], Sequence[tuple[bytes, bytes]]]) -> None:
        super().__init__()
        self.ranged = ranged

    def __missing__(self, length: int) -> _Ranges:
        pairs = (pair for (low, high), found in self.ranged.items() if low <= length <= high for pair in found)
        table = self[length] = _Ranges(pairs)
        return table


def _widest_first(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Sort key: by start, then the longest range first (its last octets complemented)."""
    start, last = pair
    return start, last.translate(_COMPLEMENT)


_COMPLEMENT: Final = bytes(range(255, -1, -1))


class _Maps(dict[bytes, bytes]):
    """By all octets of a key but the last: an octet for each that may stand there, 1 where the prefix is meant."""

    __slots__ = ("ranged", "tables")

    def __init__(self, ranged: Mapping[tuple[int, int], Sequence[tuple[bytes, bytes]]]) -> None:
        super().__init__()
        self.ranged = ranged
        self.tables = _Tables(ranged)

    def __missing__(self, head: bytes) -> bytes:
        if len(self) >= MOST_MAPS:
            self.clear()
        found = self[head] = self._map(head)
        return found

    def _map(self, head: bytes) -> bytes:
        table, octets = self.tables[head[0] if head else 0], head[1:]
        starts, lasts = table.starts, table.lasts
        lowest, highest = octets + _LOWEST, octets + _HIGHEST
        begin, end = bisect_right(starts, lowest), bisect_right(starts, highest)
        if begin and lasts[begin - 1] >= lowest:
            begin -= 1
        if begin == end:
            return _NONE
        found = bytearray(_NONE)
        place = len(octets)
        for start, last in zip(starts[begin:end], lasts[begin:end], strict=True):
            first = start[place] if start > lowest else 0
            stop = last[place] + 1 if last < highest else 256
            if stop - first == 256:
                return _ALL
            found[first:stop] = _ALL[first:stop]
        return bytes(found)


class _FamilySet:
    """The entries of one family, ready to be asked."""

    __slots__ = ("_maps", "exact")

    def __init__(self, width: int, entries: Iterable[PrefixRange]) -> None:
        exact: set[bytes] = set()
        ranged: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
        for _, key, shortest, longest in entries:
            if shortest == longest == key[0]:
                exact.add(key)
            else:
                ranged.setdefault((shortest, longest), []).append((key[1:].rstrip(b"\0"), last_address(key, width)))
        self.exact = frozenset(exact)
        self._maps = _Maps(ranged)

    def inside(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return the prefixes that an entry means; the same object if that is all of them."""
        exact, maps = self.exact, self._maps
        if not maps.ranged:
            if exact.issuperset(keys):
                return keys
            return () if exact.isdisjoint(keys) else [key for key in keys if key in exact]
        if exact:
            kept = [key for key in keys if maps[key[:-1]][key[-1]] or key in exact]
        else:
            kept = [key for key in keys if maps[key[:-1]][key[-1]]]
        return keys if len(kept) == len(keys) else kept


def last_address(key: bytes, width: int) -> bytes:
    """Return the highest address of a prefix, all its octets."""
    octets = int.from_bytes(key[1:].ljust(width // 8, b"\0"), "big")
    return (octets | ((1 << (width - key[0])) - 1)).to_bytes(width // 8, "big")


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
        return bool(self._families.get(family, NOTHING).inside((key,)))

    def inside(self, family: Family, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return those that are in the set; the same object if all are."""
        return self._families.get(family, NOTHING).inside(keys)

    def chooser(self, family: Family) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
        """Return `inside` for one family."""
        return self._families.get(family, NOTHING).inside

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
