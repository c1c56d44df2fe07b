"""Finds the line of each key of a TOML text, which tomllib does not tell; the text is known to be well formed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QUOTED: Final = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'', re.DOTALL)
_HEADER: Final = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.\-\s]+?)\s*=")
_COMMENT: Final = re.compile(r"#[^\n]*")


def _without_values(text: str) -> str:
    """Blank out strings and comments, line breaks kept; quoted keys become bare words."""
    pattern = re.compile(f"{_QUOTED.pattern}|{_COMMENT.pattern}", re.DOTALL)

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith("#"):
            return ""
        bare = found[1:-1]
        return bare if re.fullmatch(r"[A-Za-z0-9_\-]+", bare) else "0" + "\n" * found.count("\n")

    return pattern.sub(blank, text)


def key_lines(text: str) -> Mapping[tuple[str | int, ...], int]:
    """Map each path of keys, with the index of its `[[table]]`, to its line number from 1."""
    lines: dict[tuple[str | int, ...], int] = {}
    tables: dict[str, int] = {}
    prefix: tuple[str | int, ...] = ()
    depth = 0
    for number, line in enumerate(_without_values(text).split("\n"), 1):
        if depth == 0 and (header := _HEADER.match(line)):
            names = tuple(part.strip() for part in header[2].split("."))
            if header[1] == "[[":
                dotted = ".".join(names)
                tables[dotted] = tables.get(dotted, -1) + 1
            prefix = with_indexes(names, tables)
            lines.setdefault(prefix, number)
            continue
        if depth == 0 and (key := _KEY.match(line)):
            parts = tuple(part.strip() for part in key[1].split("."))
            for count in range(1, len(parts) + 1):
                lines.setdefault((*prefix, *parts[:count]), number)
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
    return lines


def with_indexes(names: Sequence[str], tables: Mapping[str, int]) -> tuple[str | int, ...]:
    """Put the index of the latest `[[table]]` behind each name that is one."""
    path: list[str | int] = []
    for count, name in enumerate(names, 1):
        path.append(name)
        index = tables.get(".".join(names[:count]))
        if index is not None:
            path.append(index)
    return tuple(path)


def line_of(lines: Mapping[tuple[str | int, ...], int], path: tuple[str | int, ...]) -> int:
    """Return the line of a path, else that of the nearest table around it, else 1."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1
