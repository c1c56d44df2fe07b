"""The AS_PATH value, its two encodings and their merge (RFC 4271 section 4.3, RFC 5065, RFC 6793)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.iana import AS_TRANS, SegmentType, UpdateSubcode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_SEGMENT: Final = 255
_CONFEDERATION: Final = (SegmentType.CONFED_SEQUENCE, SegmentType.CONFED_SET)
_SETS: Final = (SegmentType.SET, SegmentType.CONFED_SET)
_SEQUENCE: Final = int(SegmentType.SEQUENCE)
#: by their numbers, which is several times quicker than asking the enumeration.
_KINDS: Final = {int(kind): kind for kind in SegmentType}
#: readers of so many AS numbers of four octets: as many as a segment can have.
_NUMBERS: Final = tuple(struct.Struct(f">{count}I").unpack_from for count in range(LONGEST_SEGMENT + 1))
_BRACKETS: Final = {
    SegmentType.SET: ("{", ",", "}"),
    SegmentType.SEQUENCE: ("", " ", ""),
    SegmentType.CONFED_SEQUENCE: ("(", " ", ")"),
    SegmentType.CONFED_SET: ("[", ",", "]"),
}


class Segment(NamedTuple):
    """One segment of an AS path (RFC 4271 section 4.3)."""

    kind: SegmentType
    asns: tuple[int, ...]

    def __str__(self) -> str:
        """Print sets in braces and confederation segments in parentheses or brackets."""
        opening, separator, closing = _BRACKETS[self.kind]
        return opening + separator.join(map(str, self.asns)) + closing


@dataclass(frozen=True, slots=True)
class AsPath:
    """The ASes a route has passed, the latest first."""

    segments: tuple[Segment, ...] = ()

    @classmethod
    def sequence(cls, *asns: int) -> AsPath:
        """Return the path of one sequence; an empty one for no AS numbers."""
        return cls((Segment(SegmentType.SEQUENCE, asns),)) if asns else cls()

    @property
    def length(self) -> int:
        """What path selection counts: a set is one, a confederation segment nothing (RFC 4271 section 9.1.2.2)."""
        total = 0
        for kind, asns in self.segments:
            if kind == SegmentType.SEQUENCE:
                total += len(asns)
            elif kind == SegmentType.SET:
                total += 1
        return total

    @property
    def first(self) -> int | None:
        """The leftmost AS number if the path begins with a sequence (RFC 4271 section 6.3)."""
        if self.segments and self.segments[0].kind == SegmentType.SEQUENCE:
            return self.segments[0].asns[0]
        return None

    @property
    def origin(self) -> int | None:
        """The AS number that originated the route: the last of a final sequence (RFC 6811 section 2)."""
        if self.segments and self.segments[-1].kind == SegmentType.SEQUENCE:
            return self.segments[-1].asns[-1]
        return None

    @property
    def has_sets(self) -> bool:
        """Whether a set occurs, which nobody may send any more (RFC 9774 section 3)."""
        return any(segment.kind in _SETS for segment in self.segments)

    @property
    def has_confederations(self) -> bool:
        """Whether a confederation segment occurs (RFC 5065 section 3)."""
        return any(segment.kind in _CONFEDERATION for segment in self.segments)

    def __iter__(self) -> Iterator[int]:
        """Yield every AS number, the latest first."""
        for segment in self.segments:
            yield from segment.asns

    def __contains__(self, asn: object) -> bool:
        """Say whether the path has passed an AS (RFC 4271 section 9.1.2)."""
        return any(asn in segment.asns for segment in self.segments)

    def __str__(self) -> str:
        """Print the path as operators read it."""
        return " ".join(map(str, self.segments))

    def prepend(self, asn: int, count: int = 1) -> AsPath:
        """Return the path with ``asn`` in front, in a new segment where the first is full (RFC 4271 section 5.1.2)."""
        return AsPath(joined((Segment(SegmentType.SEQUENCE, (asn,) * count), *self.segments))) if count else self

    def enter_member(self, asn: int) -> AsPath:
        """Return the path as another member AS of the confederation sees it (RFC 5065 section 4.1 c)."""
        first, *rest = self.segments or (Segment(SegmentType.SET, ()),)
        if first.kind == SegmentType.CONFED_SEQUENCE and len(first.asns) < LONGEST_SEGMENT:
            return AsPath((Segment(first.kind, (asn, *first.asns)), *rest))
        return AsPath((Segment(SegmentType.CONFED_SEQUENCE, (asn,)), *self.segments))

    def without_confederations(self) -> AsPath:
        """Return the path as the world outside the confederation sees it (RFC 5065 section 4)."""
        kept = tuple(segment for segment in self.segments if segment.kind not in _CONFEDERATION)
        return AsPath(joined(kept)) if len(kept) != len(self.segments) else self


def joined(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Join neighbouring sequences and cut them at 255, the rest in front, so that one path has one form."""
    result: list[Segment] = []
    pending: tuple[int, ...] = ()
    for segment in segments:
        if segment.kind == SegmentType.SEQUENCE:
            pending += segment.asns
        else:
            result += [*_cut(pending), segment]
            pending = ()
    return (*result, *_cut(pending))


def _cut(asns: tuple[int, ...]) -> list[Segment]:
    starts = range(len(asns) % LONGEST_SEGMENT - LONGEST_SEGMENT, len(asns), LONGEST_SEGMENT)
    parts = (asns[max(start, 0) : start + LONGEST_SEGMENT] for start in starts)
    return [Segment(SegmentType.SEQUENCE, part) for part in parts if part]


def _malformed(reason: str) -> MalformedAttributeError:
    return MalformedAttributeError(reason, subcode=UpdateSubcode.MALFORMED_AS_PATH)


def is_plain_sequence(value: bytes, first_as: int) -> bool:
    """Say whether a path is one good sequence of 4-octet AS numbers that begins with ``first_as`` (0: with any).

    Nearly every path is, and this costs a tenth of taking it apart.
    """
    if len(value) < 6 or value[0] != _SEQUENCE or len(value) != 2 + 4 * value[1]:
        return False
    asns = struct.unpack_from(f">{value[1]}I", value, 2)
    return 0 not in asns and first_as in (0, asns[0])


def decode_as_path(value: bytes, size: int = 4) -> AsPath:
    """Read a path of AS numbers of 2 or 4 octets (RFC 4271 section 4.3, RFC 7606 section 7.2)."""
    if size == 4 and len(value) > 2 and value[0] == _SEQUENCE and len(value) == 2 + 4 * value[1]:
        # Nearly every path is one sequence.
        return AsPath((Segment(SegmentType.SEQUENCE, _without_zero(_NUMBERS[value[1]](value, 2))),))
    segments = []
    position = 0
    while position < len(value):
        count = value[position + 1] if position + 1 < len(value) else 0
        start = position + 2
        stop = start + count * size
        kind = value[position]
        if not 1 <= kind <= SegmentType.CONFED_SET or not count or stop > len(value):
            raise _malformed(f"segment type {kind} with {count} AS numbers at octet {position} of {len(value)}")
        asns = struct.unpack_from(f">{count}{'I' if size == 4 else 'H'}", value, start)
        segments.append(Segment(_KINDS[kind], _without_zero(asns)))
        position = stop
    return AsPath(tuple(segments))


def _without_zero(asns: tuple[int, ...]) -> tuple[int, ...]:
    if 0 in asns:
        raise _malformed("AS number 0 in a path (RFC 7607)")
    return asns


def encode_as_path(path: AsPath, size: int = 4) -> bytes:
    """Write a path; in 2 octets AS_TRANS stands for what does not fit (RFC 6793 section 4.2.2)."""
    parts = []
    segments = path.segments
    if any(len(segment.asns) > LONGEST_SEGMENT for segment in segments):
        segments = joined(segments)
    for kind, asns in segments:
        if not 0 < len(asns) <= LONGEST_SEGMENT:
            raise LocalError(f"a segment of {len(asns)} AS numbers: 1 to {LONGEST_SEGMENT} fit")
        numbers = asns if size == 4 else [AS_TRANS if asn > 0xFFFF else asn for asn in asns]
        try:
            parts.append(struct.pack(f">BB{len(asns)}{'I' if size == 4 else 'H'}", kind, len(asns), *numbers))
        except struct.error as error:
            raise LocalError(f"AS path {path}: {error}") from error
    return b"".join(parts)


def merge_as4_path(path: AsPath, as4_path: AsPath) -> AsPath:
    """Rebuild the real path behind a 2-octet speaker (RFC 6793 section 4.2.3)."""
    surplus = path.length - as4_path.length
    if surplus < 0:
        return path
    kept: list[Segment] = []
    for segment in path.segments:
        if segment.kind in _CONFEDERATION:
            kept.append(segment)
            continue
        if not surplus:
            break
        is_sequence = segment.kind == SegmentType.SEQUENCE
        part = Segment(segment.kind, segment.asns[:surplus]) if is_sequence else segment
        kept.append(part)
        surplus -= len(part.asns) if is_sequence else 1
        if len(part.asns) < len(segment.asns):
            break
    return AsPath(joined((*kept, *as4_path.segments)))
