"""Inputs that fuzzing found, minimised by it and kept: each goes through its target again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzz.__main__ as program
from fuzz.finds import FINDS, read
from fuzz.target import Target


def test_finds_stay_mended() -> None:
    for path in sorted(FINDS.glob("*.hex")):
        target, octets = read(path)
        program.TARGETS[target].check(octets)


def fails(octets: bytes) -> None:
    assert b"\7" not in octets, "a seven"


def test_a_find_is_minimised_and_kept_and_the_others_have_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[bytes] = []
    targets = {
        "broken": Target("broken", st.binary(max_size=40), fails),
        "sound": Target("sound", st.binary(max_size=4), seen.append),
    }
    monkeypatch.setattr(program, "TARGETS", targets)
    monkeypatch.setattr(program, "FINDS", tmp_path)
    assert program.main(["--seconds", "0.01", "--seed", "1"]) == 1
    (path,) = tmp_path.glob("*.hex")
    assert read(path) == ("broken", b"\7")
    assert path.read_text().startswith("# AssertionError: a seven")
    assert seen
    assert "failed: broken" in capsys.readouterr().out


@pytest.mark.parametrize("name", program.TARGETS)
def test_every_target_takes_what_it_makes(name: str) -> None:
    """Ten inputs of each, so that no generator rots between two long runs."""
    target = program.TARGETS[name]

    @settings(max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(octets: bytes) -> None:
        target.check(octets)

    check()
