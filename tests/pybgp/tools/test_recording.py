from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybgp.errors import FormatError, LocalError
from pybgp.formats.mrt import BgpMessage, StateChange, decode
from pybgp.formats.mrt_file import MrtReader
from pybgp.tools.recorder import MrtRecorder
from pybgp.tools.recording import (
    Moment,
    What,
    header_line,
    moment_line,
    parse_ends,
    read_json,
    read_mrt,
)
from tests.pybgp.tools.conversation import ENDS, START, talk

moments = st.builds(
    Moment, st.floats(0, 2**33).map(lambda time: round(time, 6)), st.sampled_from(What), st.binary(max_size=50)
)


@given(st.lists(moments, max_size=10))
def test_json_lines_come_back(written: list[Moment]) -> None:
    file = io.StringIO(header_line(ENDS) + "".join(map(moment_line, written)))
    recording = read_json(file)
    assert (recording.ends, list(recording.moments)) == (ENDS, written)


@given(st.lists(moments, min_size=1, max_size=3), st.data())
def test_every_cut_of_json_lines_is_fewer_moments_or_a_format_error(written: list[Moment], data: st.DataObject) -> None:
    text = header_line(ENDS) + "".join(map(moment_line, written))
    cut = data.draw(st.integers(0, len(text) - 2))
    whole = text[:cut].count("\n") - 1
    found = []
    try:
        found += read_json(io.StringIO(text[:cut])).moments
    except FormatError as error:
        assert error.where == whole + 2 or whole < 0
    else:
        assert found == written[: len(found)]
        assert len(found) in (whole, whole + 1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "no JSON"),
        ("[1]", "no JSON object"),
        ("[" * 200_000, "no JSON"),
        ('{"format": "other"}', "no pybgp-recording"),
        ('{"format": "pybgp-recording", "version": 1}', "local_address"),
        (header_line(ENDS).replace("192.0.2.1", "2001:db8::1"), "not of one IP version"),
        (header_line(ENDS).replace("192.0.2.1", "nowhere"), "nowhere"),
    ],
)
def test_a_first_line_that_is_none_is_refused(line: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read_json(io.StringIO(line))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"time": "soon", "what": "sent"},
        {"time": 1, "what": "dreamt"},
        {"time": 1, "what": "sent", "octets": "xy"},
        {"time": 1, "what": "sent", "octets": 5},
        {"time": float("inf"), "what": "sent"},
        {"time": 10**400, "what": "sent"},
    ],
)
def test_a_moment_that_is_none_is_refused(facts: dict[str, object]) -> None:
    file = io.StringIO(header_line(ENDS) + json.dumps(facts))
    with pytest.raises(FormatError) as caught:
        list(read_json(file).moments)
    assert caught.value.where == 2


@pytest.mark.parametrize(
    ("four_octet_as", "add_path", "updates"),
    [(True, False, {4, 7}), (True, True, {9, 11}), (False, False, {1, 6}), (False, True, {8, 10})],
)
def test_mrt_says_how_its_updates_are_to_be_read(four_octet_as: bool, add_path: bool, updates: set[int]) -> None:
    found = talk(four_octet_as=four_octet_as, add_path=add_path)
    found.end()
    found.mrt_file.seek(0)
    records = list(MrtReader(found.mrt_file))
    assert {record.kind for record in records} == {17}
    values = [decode(record) for record in records]
    steps = [(value.old_state, value.new_state) for value in values if isinstance(value, StateChange)]
    assert steps == [(3, 4), (4, 5), (5, 6), (6, 1)], "a reader sees when the session was up"
    subtypes = {
        record.subtype
        for record, value in zip(records, values, strict=True)
        if isinstance(value, BgpMessage) and value.message[18] == 2
    }
    assert subtypes == updates
    assert records[0].time == START


def test_as_numbers_that_need_four_octets_are_written_as_as_trans() -> None:
    found = talk(four_octet_as=False)
    recorder = MrtRecorder(found.mrt_file, ENDS._replace(local_as=4_200_000_000), lambda: 1.0)
    for octets in found.sent:
        recorder.sent(octets)
    recorder._asn4 = False
    recorder.sent(found.sent[-1])
    found.mrt_file.seek(0)
    values = [decode(record) for record in MrtReader(found.mrt_file)]
    assert isinstance(values[-1], BgpMessage)
    assert values[-1].ends.local_as == 23456


def test_one_session_is_read_out_of_many() -> None:
    found = talk()
    other = MrtRecorder(found.mrt_file, ENDS._replace(peer_address=bytes([192, 0, 2, 9])), lambda: START + 100)
    other.received(found.sent[0])
    octets = found.mrt_file.getvalue()
    first = read_mrt(io.BytesIO(octets))
    assert (first.ends, [m for m in first.moments if m.time == START + 100]) == (ENDS, [])
    second = read_mrt(io.BytesIO(octets), "192.0.2.9")
    assert [moment.what for moment in second.moments] == [What.CONNECTED, What.RECEIVED]
    with pytest.raises(FormatError, match=r"no session with 192\.0\.2\.8"):
        read_mrt(io.BytesIO(octets), "192.0.2.8")
    with pytest.raises(LocalError, match="peer_address"):
        read_mrt(io.BytesIO(octets), "nobody")


def test_ends_are_addresses() -> None:
    assert parse_ends("192.0.2.1", "192.0.2.2", 65001, 65002) == ENDS
    with pytest.raises(LocalError, match="ends of a recording"):
        parse_ends("192.0.2.1", "", 1, 2)
