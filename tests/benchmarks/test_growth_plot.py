"""The plot says what its numbers say, and is well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.benchmarks.growth_plot import Panel, draw, nice_top, short

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "top"), [(0.7, 0.75), (1.0, 1.0), (1.1, 2.0), (2.4, 2.5), (6, 7.5), (230, 250), (90, 100)]
)
def test_the_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def test_numbers_are_short() -> None:
    assert [short(value) for value in (0.5, 10, 1000, 250_000, 2_000_000)] == ["0.5", "10", "1k", "250k", "2M"]


def test_points_stand_where_they_belong() -> None:
    picture = ET.fromstring(draw([Panel("Time", "routes", (10, 100, 1000), {"us": (1.0, 2.0, 4.0)})]))
    circles = [(float(one.get("cx", 0)), float(one.get("cy", 0))) for one in picture.iter(f"{SVG}circle")]
    assert len(circles) == 3
    (x1, y1), (x2, y2), (x3, y3) = circles
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2), "a logarithmic axis"
    assert (y1 - y2) * 2 == pytest.approx(y2 - y3, abs=0.5), "a linear one"
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert {"Time", "routes", "us", "10", "100", "1k"} <= set(texts)
