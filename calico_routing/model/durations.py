"""Go durations, the form in which Calico writes times (``2m0s``, ``90s``, ``500ms``)."""

from __future__ import annotations

UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float:
    """Return the seconds of a duration; ValueError."""
    if text == "0":
        return 0.0
    seconds = 0.0
    rest = text
    while rest:
        number = _leading(rest, "0123456789.")
        unit = _leading(rest[len(number) :], "hmsuµn")
        if unit not in UNIT_SECONDS or number.count(".") > 1 or not number.strip("."):
            raise ValueError(f"{text!r} is not a duration such as 2m0s")
        seconds += float(number) * UNIT_SECONDS[unit]
        rest = rest[len(number) + len(unit) :]
    if not text:
        raise ValueError("'' is not a duration such as 2m0s")
    return seconds


def _leading(text: str, characters: str) -> str:
    return text[: len(text) - len(text.lstrip(characters))]
