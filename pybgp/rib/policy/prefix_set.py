"""Sets of prefixes with ranges of lengths, a hundred thousand of them asked per prefix (spec section 16).

Exact entries are looked up as they are.  Entries with a range of lengths become maps as prefixes are asked about: one
octet for each of 256 neighbours, so that most prefixes cost a slice, a dictionary and an index.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.errors import LocalError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import format_prefix, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_OCTET: Final = re.compile(r"0|[1-9][0-9]{0,2}")
WIDTHS: Final = {IPV4_UNICAST: 32, IPV6_UNICAST: 128}
#: Beyond so many maps they are made anew: a peer that announces prefixes all over must not fill the memory.
MOST_MAPS: Final = 1 << 18
#: So many prefixes are worth asking together first whether all are inside.
TOGETHER: Final = 128
_head: Final = itemgetter(slice(None, -1))
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


_Rows: TypeAlias = tuple[tuple[int, int, int, int], ...]


class _Maps(dict[bytes, bytes]):
    """By all octets of a key but the last: an octet for each that may stand there, 1 where the prefix is meant."""

    __slots__ = ("_at", "_kinds", "_lengths", "_octets", "_rows", "_shared", "_starts", "_width", "full")

    def __init__(self, width: int, entries: Iterable[tuple[bytes, int, int]]) -> None:
        """Each entry is a prefix with the shortest and the longest length that it stands for."""
        super().__init__()
        self._width, self._octets = width, width // 8
        #: equal maps are one object, for the sake of the processor's cache; most are all ones or all zeros.
        self._kinds = {_NONE: _NONE, _ALL: _ALL}
        #: what maps are made of, for those of all lengths that have the same octets.
        self._rows: dict[bytes, _Rows] = {}
        self._shared: dict[_Rows, _Rows] = {}
        #: where every octet may stand: one question in C often answers for many prefixes.
        self.full: set[bytes] = set()
        #: by the significant octets of the first address: length of the prefix, and the lengths it stands for.
        self._at: dict[bytes, list[tuple[int, int, int]]] = {}
        for key, shortest, longest in entries:
            self._at.setdefault(key[1:].rstrip(b"\0"), []).append((key[0], shortest, longest))
        #: significant octets compare as their addresses do: a shorter string is the lower one.
        self._starts = sorted(self._at)
        lengths = sorted({length for found in self._at.values() for length, _, _ in found})
        self._lengths = [(length, (1 << width) - (1 << width - length)) for length in lengths]

    def __missing__(self, head: bytes) -> bytes:
        if len(self) >= MOST_MAPS:
            self.clear()
            self.full.clear()
            self._rows.clear()
            self._shared.clear()
            self._kinds = {_NONE: _NONE, _ALL: _ALL}
        found = self[head] = self._map(head)
        if found is _ALL:
            self.full.add(head)
        return found

    def _map(self, head: bytes) -> bytes:
        asked, octets = head[0] if head else 0, head[1:]
        rows = self._rows.get(octets)
        if rows is None:
            rows = self._rows[octets] = self._rows_of(octets)
        made = bytearray()
        for shortest, longest, low, high in rows:
            if shortest <= asked <= longest:
                if high - low == 256:
                    return _ALL
                made = made or bytearray(_NONE)
                made[low:high] = _ALL[low:high]
        found = bytes(made)
        return self._kinds.setdefault(found, found) if found else _NONE

    def _rows_of(self, octets: bytes) -> _Rows:
        """Return every entry that lies around or in the prefixes of these octets and one more.

        That is the lengths that it stands for, and which last octets are inside.
        """
        bits, place, starts, at = 8 * len(octets), len(octets), self._starts, self._at
        rows: list[tuple[int, int, int, int]] = []
        address = int.from_bytes(octets, "big") << self._width - bits
        for length, mask in self._lengths:
            if length > bits:
                break
            network = (address & mask).to_bytes(self._octets, "big").rstrip(b"\0")
            for other, shortest, longest in at.get(network, ()):
                if other == length:
                    rows.append((shortest, longest, 0, 256))
        first, last = bisect_right(starts, octets + b"\x00"), bisect_right(starts, octets + b"\xff")
        for start in (octets.rstrip(b"\0"), *starts[first:last]):
            for length, shortest, longest in at.get(start, ()):
                if bits < length <= bits + 8:
                    low = start[place] if len(start) > place else 0
                    rows.append((shortest, longest, low, low + (1 << bits + 8 - length)))
        return self._shared.setdefault(found := tuple(rows), found)


class _FamilySet:
    """The entries of one family, ready to be asked."""

    __slots__ = ("_maps", "exact")

    def __init__(self, width: int, entries: Iterable[PrefixRange]) -> None:
        exact: list[bytes] = []
        ranged: list[tuple[bytes, int, int]] = []
        for _, key, shortest, longest in entries:
            if shortest == longest == key[0]:
                exact.append(key)
            else:
                ranged.append((key, shortest, longest))
        self.exact = frozenset(exact)
        self._maps = _Maps(width, ranged) if ranged else None

    def inside(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Return the prefixes that an entry means; the same object if that is all of them."""
        exact, maps = self.exact, self._maps
        if maps is None:
            if exact.issuperset(keys):
                return keys
            return () if exact.isdisjoint(keys) else [key for key in keys if key in exact]
        kept: list[bytes] = []
        for at in range(0, len(keys), TOGETHER):
            some = keys if len(keys) <= TOGETHER else keys[at : at + TOGETHER]
            if len(some) == TOGETHER and maps.full.issuperset(map(_head, some)):
                kept += some
            elif exact:
                kept += [key for key in some if maps[key[:-1]][key[-1]] or key in exact]
            else:
                kept += [key for key in some if maps[key[:-1]][key[-1]]]
        return keys if len(kept) == len(keys) else kept


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
