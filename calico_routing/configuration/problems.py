"""What is wrong with a configuration, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calico_routing.configuration.lines import key_lines, line_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class Problem(NamedTuple):
    """One thing that is wrong, where, and what was expected instead."""

    where: str
    text: str

    def __str__(self) -> str:
        """Return the one line for people."""
        return f"{self.where}: {self.text}"


class ConfigurationError(Exception):
    """The configuration cannot be used; nothing was started."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep every problem; the text is the first one."""
        more = f" (and {len(problems) - 1} more: see pybgp-node check)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = tuple(problems)


class Origins:
    """Where each key stands that a configuration was read from: a line of the file, or a variable."""

    def __init__(self, file_name: str, text: str) -> None:
        """Find the keys of a well-formed TOML text."""
        self.file_name = file_name
        self._lines = key_lines(text)
        #: By dotted key, what set it.
        self.sources: dict[str, str] = {}

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return file and line of a key, else of the nearest table around it."""
        return f"{self.file_name}:{line_of(self._lines, path)}"

    def source(self, dotted: str) -> str:
        """Return what set a key of a table that stands once; the file's name if nothing did."""
        return self.sources.get(dotted, self.file_name)
