"""Reads the YAML that Calico's tool prints: block maps and lists, plain and quoted scalars, ``{}``."""

from __future__ import annotations

import json
from typing import Any


def load(text: str) -> Any:
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]
    value, rest = _value(lines, 0)
    assert rest == len(lines), lines[rest]
    return value


def _value(lines: list[tuple[int, str]], at: int) -> tuple[Any, int]:
    indent, text = lines[at]
    return _list(lines, at, indent) if text.startswith("- ") else _map(lines, at, indent)


def _list(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[list[Any], int]:
    items = []
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("- "):
        body = lines[at][1][2:]
        if not _is_entry(body):
            items.append(_scalar(body))
            at += 1
            continue
        lines[at] = (indent + 2, body)
        item, at = _map(lines, at, indent + 2)
        items.append(item)
    return items, at


def _map(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[dict[str, Any], int]:
    result: dict[str, Any] = {}
    while at < len(lines) and lines[at][0] == indent and _is_entry(lines[at][1]):
        key, _, scalar = lines[at][1].partition(":")
        at += 1
        if scalar.strip():
            result[key] = _scalar(scalar.strip())
        else:
            result[key], at = _value(lines, at)
    return result, at


def _is_entry(text: str) -> bool:
    return not text.startswith(('"', "- ")) and (": " in text or text.endswith(":"))


def _scalar(text: str) -> Any:
    if text.startswith('"') or text in {"{}", "[]", "true", "false"} or text.isdigit():
        return json.loads(text)
    return text
