"""A minute of what `make soak` does for half an hour."""

from __future__ import annotations

from tests.benchmarks.tables.feeder import RawPeerConfig
from tests.benchmarks.tables.listener import prefixes
from tests.soak.churn import Speaker as RawSpeaker
from tests.soak.churn import expected_table, soak


def test_after_a_minute_of_churn_tables_and_memory_are_as_they_should_be() -> None:
    text = soak(60, 5000, 2000, seed=1)
    print(text)
    assert "no other session lost" in text


def test_the_oracle_prefers_short_paths_then_origins_then_low_identifiers() -> None:
    first, second, third = (RawSpeaker(RawPeerConfig(f"127.77.1.{n}", 65000 + n)) for n in (1, 2, 3))
    first.said = {b"a": (0, (65001, 1, 2), b""), b"b": (1, (65001, 1), b""), b"c": (0, (65001,), b"x")}
    second.said = {b"a": (2, (65002, 1), b""), b"b": (0, (65002, 1), b""), b"c": (0, (65002,), b"y")}
    third.said = {b"d": (0, (65003,), b"")}
    assert expected_table([second, third, first]) == {
        b"a": (2, (64512, 65002, 1), b""),
        b"b": (0, (64512, 65002, 1), b""),
        b"c": (0, (64512, 65001), b"x"),
        b"d": (0, (64512, 65003), b""),
    }


def test_fields_are_split_into_prefixes() -> None:
    assert prefixes(bytes((8, 10, 24, 192, 0, 2, 0))) == [bytes((8, 10)), bytes((24, 192, 0, 2)), b"\0"]
