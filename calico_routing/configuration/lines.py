"""Finds the line of each key of a TOML text, which tomllib does not tell; the text is known to be well formed."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QUOTED: Final = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'', re.DOTALL)
_HEADER: Final = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.\-\s\0]+?)\s*=")
_COMMENT: Final = re.compile(r"#[^\n]*")


def _without_values(text: str, quoted: list[str]) -> str:
    """Blank out strings and comments, line breaks kept; what may be a quoted key becomes a bare word or a place."""
    pattern = re.compile(f"{_QUOTED.pattern}|{_COMMENT.pattern}", re.DOTALL)

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith("#"):
            return ""
        bare = found[1:-1]
        if re.fullmatch(r"[A-Za-z0-9_\-]+", bare):
            return bare
        if found.startswith(('"""', "'''")):
            return "0" + "\n" * found.count("\n")
        quoted.append(found)
        return f"\0{len(quoted) - 1}"

    return pattern.sub(blank, text)


def _names(dotted: str, quoted: Sequence[str]) -> list[str]:
    """Return the keys of a dotted one; no TOML has the mark of a place."""
    parts = [part.strip() for part in dotted.split(".")]
    return [
        str(tomllib.loads(f"key = {quoted[int(part[1:])]}")["key"]) if part.startswith("\0") else part for part in parts
    ]


def key_lines(text: str) -> Mapping[tuple[str | int, ...], int]:
    """Map each path of keys, with the index of its `[[table]]`, to its line number from 1."""
    lines: dict[tuple[str | int, ...], int] = {}
    tables: dict[tuple[str, ...], int] = {}
    quoted: list[str] = []
    prefix: tuple[str | int, ...] = ()
    depth = 0
    for number, line in enumerate(_without_values(text, quoted).split("\n"), 1):
        if depth == 0 and (header := _HEADER.match(line)):
            names = tuple(_names(header[2], quoted))
            if header[1] == "[[":
                tables[names] = tables.get(names, -1) + 1
            prefix = with_indexes(names, tables)
            lines.setdefault(prefix, number)
            continue
        if depth == 0 and (key := _KEY.match(line)):
            parts = _names(key[1], quoted)
            for count in range(1, len(parts) + 1):
                lines.setdefault((*prefix, *parts[:count]), number)
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
    return lines


def with_indexes(names: tuple[str, ...], tables: Mapping[tuple[str, ...], int]) -> tuple[str | int, ...]:
    """Put the index of the latest `[[table]]` behind each name that is one."""
    path: list[str | int] = []
    for count, name in enumerate(names, 1):
        path.append(name)
        index = tables.get(names[:count])
        if index is not None:
            path.append(index)
    return tuple(path)


def line_of(lines: Mapping[tuple[str | int, ...], int], path: tuple[str | int, ...]) -> int:
    """Return the line of a path, or the first inside it, else that of the nearest table around it, else 1."""
    while path:
        if path in lines:
            return lines[path]
        if inside := [line for key, line in lines.items() if key[: len(path)] == path]:
            return min(inside)
        path = path[:-1]
    return 1
