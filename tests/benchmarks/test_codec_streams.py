"""The codec benchmark does not rot: its streams, what a run of a codec says, and the table that is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.updates import decode_update
from tests.benchmarks import bench_codec
from tests.benchmarks.bench_codec import WORKS, Outcome, cell, measure_streams, misses, report, thinned
from tests.benchmarks.codecs import run, streams
from tests.benchmarks.codecs.our_codec import OurCodec, session_of
from tests.benchmarks.codecs.stream_file import Stream, read_stream
from tests.conformance import corpus

ROUTES = 600
GENERATED = streams.generated(ROUTES)


@pytest.mark.parametrize(
    ("number", "family"), [(0, IPV4_UNICAST), (1, IPV4_UNICAST), (2, IPV4_UNICAST), (3, IPV6_UNICAST)]
)
def test_every_generated_update_is_good(number: int, family: object) -> None:
    stream = GENERATED[number]
    found = [decode_update(message, session_of(stream), AttributeStore()) for message in stream.messages]
    assert not any(update.faults for update in found)
    assert {nlri.family for update in found for nlri in update.announced} == {family}
    keys = [key for update in found for nlri in update.announced for key in nlri.keys]
    assert len(keys) == len(set(keys))
    assert len(keys) == {0: ROUTES, 1: ROUTES // 6, 2: len(stream.messages), 3: ROUTES}[number]


def test_attribute_sets_are_new_or_come_again_as_the_name_says() -> None:
    table, single, again, _ = GENERATED
    for stream, is_new in ((table, True), (single, True), (again, False)):
        store, session = AttributeStore(), session_of(stream)
        for message in stream.messages:
            decode_update(message, session, store)
        assert (len(store) == len(stream.messages)) == is_new, stream.name


def test_a_stream_survives_its_file(tmp_path: Path) -> None:
    stream = Stream("name", GENERATED[0].messages, asn4=False, one_peer=False)
    stream.write(tmp_path / "stream")
    assert read_stream(tmp_path / "stream") == stream


def test_recorded_streams_hold_what_they_say() -> None:
    corpus.required()
    new, old, others = streams.recorded()
    assert (new.asn4, old.asn4, others.asn4) == (True, False, True)
    assert min(len(stream.messages) for stream in (new, old)) > 10_000
    assert len(others.messages) > 1_000
    short = thinned(new, 500)
    assert len(short.messages) == 500
    assert set(short.messages) <= set(new.messages)


@pytest.mark.parametrize("job", sorted({work.ours for work in WORKS}))
def test_every_job_of_ours_does_what_it_says(job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = GENERATED[0]
    stream.write(tmp_path / "stream")
    run.main([run.OURS, job, str(tmp_path / "stream")])
    found = json.loads(capsys.readouterr().out)
    assert (found["items"], found["refused"], found["prefixes"]) == (len(stream.messages), 0, ROUTES)


@pytest.mark.parametrize("stream", GENERATED, ids=lambda stream: stream.name)
def test_what_we_write_is_what_we_read(stream: Stream) -> None:
    codec = OurCodec(stream)
    for message in stream.messages:
        update = codec.decode(message)
        assert codec.encode(update) == codec.build(codec.values(update)) == message
        values, next_hop = codec.read(update)[0]
        assert (values[2], next_hop) == (update.attributes.as_path, update.attributes.next_hop)
        assert len(codec.texts(update)) == codec.prefixes(update) + 2


def test_a_refused_message_is_counted() -> None:
    stream = Stream("broken", (GENERATED[0].messages[0], b"\xff" * 19))
    found = run.measure_stream(OurCodec, "decode", stream)
    assert (found["items"], found["refused"]) == (2, 1)


def test_a_library_that_is_absent_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_codec, "PEERS_PYTHON", tmp_path / "python")
    assert bench_codec.run("ExaBGP", "decode", tmp_path / "stream") == "not installed"


def test_every_job_is_run_in_every_pass_and_the_best_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def fake_run(codec: str, job: str, path: Path) -> Outcome | str:
        seen.append((codec, job))
        if codec == "YABGP":
            return "not installed"
        return Outcome(float(seen.count((codec, job))), 100)

    monkeypatch.setattr(bench_codec, "run", fake_run)
    results = measure_streams(GENERATED[:1], WORKS, tmp_path, 2)
    assert {pair: seen.count(pair) for pair in seen} == dict.fromkeys(seen, 2)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    assert [list(outcomes) for outcomes in results.values()] == [["pybgp", "ExaBGP", "os-ken", "YABGP"]] * len(WORKS)
    assert all(outcomes["pybgp"] == Outcome(1.0, 100) for outcomes in results.values())
    assert all(outcomes["YABGP"] == "not installed" for outcomes in results.values())


def test_the_report_shows_ratios_and_names_what_is_missed() -> None:
    aimed, read, *_ = WORKS
    results = {
        ("stream", aimed.name): {
            "pybgp": Outcome(1.0, 100_000),
            "ExaBGP": Outcome(1.0, 9_000, refused=3, version="5.0"),
            "os-ken": Outcome(1.0, 20_000),
            "YABGP": "not installed",
        },
        ("stream", read.name): {
            "pybgp": Outcome(1.0, 1),
            "ExaBGP": Outcome(1.0, 1),
            "os-ken": Outcome(1.0, 1),
            "YABGP": Outcome(1.0, 1),
        },
    }
    mrt = {"pybgp": Outcome(1.0, 300), "mrtparse": Outcome(1.0, 101)}
    assert misses(results, mrt) == ["MRT records: 3.0 x mrtparse, 3 is the aim"]
    slower = {**results[("stream", aimed.name)], "ExaBGP": Outcome(1.0, 10_001)}
    assert misses({("stream", aimed.name): slower}, {}) == [f"stream: {aimed.name}: 10.0 x ExaBGP, 10 is the aim"]
    page = report(results, mrt, ["--routes", "5"])
    assert (
        "| stream | " + aimed.name + " | 100,000/s | 9,000/s; 11.1 x (3 refused) | 20,000/s; 5.0 x | not installed |"
        in page
    )
    assert "`python -m tests.benchmarks.bench_codec --routes 5`" in page
    assert "ExaBGP 5.0" in page
    assert cell(Outcome(2.0, 100), None) == "50/s"
