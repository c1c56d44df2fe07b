from __future__ import annotations

import bz2
import gzip
import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import FormatError, LocalError
from pybgp.formats.mrt import Record, Rib, RibEntry, Value, encode, record_octets
from pybgp.formats.mrt_file import MrtReader, MrtWriter, decompressed
from pybgp.wire.families import IPV4_UNICAST, Family
from tests.pybgp.formats.mrt_samples import values

RECORDS = [Record(seconds, 11, 0, bytes(seconds)) for seconds in range(300)]
OCTETS = b"".join(map(record_octets, RECORDS))


class Trickle(io.RawIOBase):
    """A file that gives one octet at a time."""

    def __init__(self, octets: bytes) -> None:
        self._octets = io.BytesIO(octets)

    def read(self, size: int = -1) -> bytes:
        return self._octets.read(min(size, 1))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_records_come_out_as_they_went_in(pack: Callable[[bytes], bytes]) -> None:
    reader = MrtReader(decompressed(io.BytesIO(pack(OCTETS))))
    assert list(reader) == RECORDS
    assert reader.offset == len(OCTETS)


def test_a_file_may_give_as_little_as_it_likes() -> None:
    assert list(MrtReader(Trickle(b"".join(map(record_octets, RECORDS[:50]))))) == RECORDS[:50]


@given(st.lists(values, max_size=5), st.integers(0, 999_999))
def test_a_writer_is_read_again(written: list[Value], microseconds: int) -> None:
    file = io.BytesIO()
    writer = MrtWriter(file)
    for value in written:
        writer.write(value, 5)
    file.write(record_octets(Record(6, 17, 99, b"x", microseconds)))
    file.seek(0)
    records = list(MrtReader(file))
    assert records[:-1] == [encode(value, 5) for value in written]
    assert records[-1].microseconds == microseconds


def test_a_cut_file_says_where() -> None:
    octets = record_octets(Record(1, 11, 0, b"12345")) * 2
    for length in range(len(octets)):
        reader = MrtReader(io.BytesIO(octets[:length]))
        if length in (0, 17):
            assert len(list(reader)) == length // 17
            continue
        with pytest.raises(FormatError) as caught:
            list(reader)
        assert caught.value.where == length // 17 * 17


def test_a_record_that_claims_too_much_is_not_read() -> None:
    header = Record(1, 13, 2, b"")
    claim = record_octets(header)[:8] + b"\xff\xff\xff\xff"
    tracemalloc.start()
    with pytest.raises(FormatError, match="4294967295 octets: at most 16777216"):
        list(MrtReader(io.BytesIO(claim + bytes(1000))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_extended_record_without_its_time_is_refused() -> None:
    with pytest.raises(FormatError, match="no microseconds"):
        list(MrtReader(io.BytesIO(record_octets(Record(1, 17, 4, b"ab")))))


def test_a_broken_compression_is_a_format_error() -> None:
    packed = gzip.compress(OCTETS)
    for broken in (packed[: len(packed) // 2], packed[:20] + b"\xff" * 50, bz2.compress(OCTETS)[:-9] + bytes(9)):
        with pytest.raises(FormatError, match=r"cannot be read|cut off|no record header"):
            list(MrtReader(decompressed(io.BytesIO(broken))))


def test_memory_stays_constant() -> None:
    class Endless:
        left = 200

        def read(self, size: int) -> bytes:
            self.left -= 1
            return record_octets(Record(1, 11, 0, bytes(1012))) * 64 if self.left > 0 else b""

    tracemalloc.start()
    assert sum(1 for _ in MrtReader(Endless())) == 199 * 64
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_CVE_2016_4049_a_route_that_fits_in_no_record_is_skipped() -> None:  # noqa: N802  # the row's name
    """Quagga asserted, FRR looped: too long attributes are left out, too many routes make several records."""
    file = io.BytesIO()
    writer = MrtWriter(file)
    entries = (RibEntry(0, 0, bytes(65536)),) + (RibEntry(1, 0, b""),) * 65536
    writer.write_rib(Rib(1, IPV4_UNICAST, b"\0", entries), 1)
    file.seek(0)
    assert [int.from_bytes(record.body[5:7], "big") for record in MrtReader(file)] == [65535, 1]
    assert writer.skipped == 1
    with pytest.raises(LocalError, match="cannot be split"):
        writer.write_rib(Rib(1, Family(1, 242), b"", (), is_generic=True, unread=b"x"), 1)
