"""MRT as a stream of records: any binary file in constant memory, compressed or not (RFC 6396 section 2)."""

from __future__ import annotations

import bz2
import gzip
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from pybgp.errors import FormatError, LocalError
from pybgp.formats.mrt import EXTENDED_TIME, HEADER, Record, Rib, Value, encode, record_octets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

#: Far above any record that was ever seen; one that claims more is not read into memory.
LONGEST_RECORD: Final = 16 * 1024 * 1024
_CHUNK: Final = 256 * 1024
_MOST_ENTRIES: Final = 0xFFFF
_LONGEST_ATTRIBUTES: Final = 0xFFFF


class Source(Protocol):
    """What a reader needs of a file."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many octets, none at the end."""


class Sink(Protocol):
    """What a writer needs of a file."""

    def write(self, octets: bytes, /) -> object:
        """Take all of these octets."""


def decompressed(file: IO[bytes]) -> Source:
    """Return the file itself, or a reader of what is compressed in it: gzip and bzip2 are known by their first octets.

    The file must be able to seek; a stream that cannot is opened with `gzip.open` or `bz2.open` by the caller.
    """
    start = file.tell()
    magic = file.read(3)
    file.seek(start)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    if magic == b"BZh":
        return bz2.BZ2File(file)
    return file


class MrtReader:
    """Iterates over the records of a file; never holds more than one of them and one chunk."""

    def __init__(self, file: Source, *, longest: int = LONGEST_RECORD) -> None:
        """``longest`` bounds what one record may make us hold."""
        self._file = file
        self._longest = longest
        self._buffer = b""
        self._position = 0
        self._begins_at = 0

    @property
    def offset(self) -> int:
        """Where the next record begins in the (uncompressed) file."""
        return self._begins_at + self._position

    def __iter__(self) -> Iterator[Record]:
        """Yield every record; FormatError if the file ends within one, or it is longer than allowed."""
        while self._fill(HEADER.size):
            seconds, kind, subtype, length = HEADER.unpack_from(self._buffer, self._position)
            if length > self._longest:
                raise FormatError(f"record {kind}/{subtype} of {length} octets: at most {self._longest}", self.offset)
            if not self._fill(HEADER.size + length):
                raise FormatError(f"record {kind}/{subtype} of {length} octets is cut off", self.offset)
            yield self._record(seconds, kind, subtype, length)

    def _record(self, seconds: int, kind: int, subtype: int, length: int) -> Record:
        start = self._position + HEADER.size
        end = start + length
        microseconds = None
        if kind in EXTENDED_TIME:
            if length < 4:
                raise FormatError(f"record {kind}/{subtype} of {length} octets has no microseconds", self.offset)
            microseconds = int.from_bytes(self._buffer[start : start + 4], "big")
            start += 4
        self._position = end
        return Record(seconds, kind, subtype, self._buffer[start:end], microseconds)

    def _fill(self, size: int) -> bool:
        """Have so many octets in the buffer; False at the end of the file, and between two records only."""
        missing = size - (len(self._buffer) - self._position)
        if missing <= 0:
            return True
        pieces = [self._buffer[self._position :]]
        self._begins_at += self._position
        self._position = 0
        while missing > 0 and (octets := self._read(max(_CHUNK, missing))):
            pieces.append(octets)
            missing -= len(octets)
        self._buffer = b"".join(pieces)
        if missing > 0 and size == HEADER.size and self._buffer:
            raise FormatError(f"{len(self._buffer)} octets are no record header", self.offset)
        return missing <= 0

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise FormatError(f"the file cannot be read: {error}", self._begins_at) from error


class MrtWriter:
    """Writes values as records."""

    def __init__(self, file: Sink) -> None:
        """``file`` is not closed here."""
        self._file = file
        #: routes that no record can hold, because their attributes are longer than 65535 octets.
        self.skipped = 0

    def write(self, value: Value, seconds: int, microseconds: int | None = None) -> None:
        """Write one value; LocalError if it does not fit."""
        self._file.write(record_octets(encode(value, seconds, microseconds)))

    def write_rib(self, rib: Rib, seconds: int) -> None:
        """Write a prefix whatever it takes: too many routes make several records, one that fits in none is skipped."""
        if rib.unread:
            raise LocalError(f"{rib.family}: a record that was not read cannot be split")
        fitting = tuple(entry for entry in rib.entries if len(entry.attributes) <= _LONGEST_ATTRIBUTES)
        self.skipped += len(rib.entries) - len(fitting)
        for start in range(0, len(fitting), _MOST_ENTRIES):
            self.write(rib._replace(entries=fitting[start : start + _MOST_ENTRIES]), seconds)
