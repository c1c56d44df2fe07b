"""A plot as SVG: some lines over a logarithmic axis, drawn with nothing but text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 40
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")


@dataclass(frozen=True)
class Panel:
    """One plot: points of a line by the same places on the axis; the vertical axis begins at zero."""

    title: str
    axis: str
    places: Sequence[float]
    lines: dict[str, Sequence[float]]


def short(value: float) -> str:
    """Return a number for a scale."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def nice_top(value: float) -> float:
    """Return the next of 1, 2, 5, 10 ... that is not smaller."""
    size = 1.0
    while size < value:
        size *= 10
    while size / 10 >= value:
        size /= 10
    return next(size * part for part in (0.1, 0.2, 0.25, 0.5, 0.75, 1.0) if size * part >= value)


def draw(panels: Sequence[Panel]) -> str:
    """Return the panels beside each other."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * len(panels)}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({number * WIDTH},0)">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    first, last = log(panel.places[0]), log(panel.places[-1])
    top = nice_top(max(value for line in panel.lines.values() for value in line))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(place: float) -> float:
        return LEFT + (right - LEFT) * (log(place) - first) / (last - first)

    def up(value: float) -> float:
        return bottom - (bottom - TOP) * value / top

    parts = [f'<text x="{LEFT}" y="16" font-weight="bold">{panel.title}</text>']
    for step in range(5):
        value = top * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{up(value):.1f}" y2="{up(value):.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{short(value)}</text>')
    parts += [
        f'<text x="{across(place):.1f}" y="{bottom + 16}" text-anchor="middle">{short(place)}</text>'
        for place in panel.places
    ]
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{panel.axis}</text>')
    for number, (name, values) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(across(place), up(value)) for place, value in zip(panel.places, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{LEFT + 6 + 150 * number}" y="{TOP - 4}" fill="{colour}">{name}</text>')
    return parts
