"""Regular expressions on AS paths, as routers write them: ``_`` stands for an end or what is between two numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BORDER: Final = r"(?:^|$|[ ,{}()\[\]])"
#: Characters of an expression that are shown.
LONGEST_SHOWN: Final = 80
#: Seconds of CPU time that a search may take in a path of a thousand characters; most take a thousandth of it.
LONGEST_SEARCH: Final = 0.05
#: Lengths of the paths that are tried: by small steps first, because some expressions take twice as long each time.
_LENGTHS: Final = (*range(8, 48, 2), 64, 128, 256, 512, 1024)
#: What paths look like that nearly fit: one long number, many short ones, many ordinary ones.
_FORMS: Final = ("1", "1 ", "65001 ")


def compile_expression(expression: str) -> re.Pattern[str]:
    """Return what a router's expression means to Python; LocalError if it is none."""
    try:
        return re.compile(expression.replace("_", _BORDER))
    except (re.error, OverflowError, RecursionError) as error:
        name = repr(expression if len(expression) <= LONGEST_SHOWN else f"{expression[:LONGEST_SHOWN]}...")
        raise LocalError(f"as_path {name}: no regular expression: {error}") from error


def is_too_slow(pattern: re.Pattern[str], clock: Callable[[], float]) -> bool:
    """Say whether a search may take forever in a path that a peer makes up; ``clock`` tells seconds of CPU time."""
    for path in _trials():
        began = clock()
        pattern.search(path)
        if clock() - began > LONGEST_SEARCH:
            return True
    return False


def _trials() -> Iterator[str]:
    for length in _LENGTHS:
        for form in _FORMS:
            yield (form * length)[:length] + "!"
