"""The table's other half: captures put in order, PDUs, and what the runner says of them."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache

from tests.conformance.captures import Segment, _runs, streams
from tests.conformance.corpus import required
from tests.conformance.files import CAPTURES, UNREADABLE, Rows, run_captures, run_rtr
from tests.conformance.runner import Row, table


@cache
def rows() -> Rows:
    required()
    found: Rows = defaultdict(Row)
    for run in (run_captures, run_rtr):
        run(found, random.Random(7854), 1)
    return found


def test_every_message_of_every_capture_is_read() -> None:
    wrong = [text for row in rows().values() for text in row.wrong]
    assert not wrong, "\n".join(wrong)
    assert sum(row.facts for row in rows().values()) >= 61 + 10
    assert sum(row.reasons["messages of captures, read on their sessions"] for row in rows().values()) > 11_000
    assert sum(row.reasons[why] for row in rows().values() for why in UNREADABLE.values()) < 250
    assert "pcap" in table(rows())


def test_a_session_over_cisco_hdlc_that_others_could_not_cut() -> None:
    required()
    (path,) = CAPTURES.glob("ndpi__*")
    assert [b"".join(stream.runs)[18] for stream in streams(path)] == [1, 1]


def segment(sequence: int, octets: bytes, *, is_first: bool = False) -> Segment:
    return Segment(("a", 1), ("b", 179), sequence, is_first, octets)


def test_tcp_is_put_in_order_each_octet_once() -> None:
    start = 2**32 - 2
    found = [
        segment(start, b"", is_first=True),
        segment(2, b"ef"),
        segment(start, b"ab"),
        segment(start, b"abc"),
        segment(0, b"cd"),
        segment(1, b"def"),
        segment(10, b"behind a gap"),
    ]
    assert _runs(found) == (b"abcdef", b"behind a gap")
