"""One line of text for any plain data, and back: ``type=mac-ip tag=0 labels=[100 200]``.

A dict is ``key=value`` pairs with spaces between, in braces inside another value; a list stands in brackets; a string
stands bare unless it would read as something else, and then as JSON writes it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pybgp.errors import LocalError

_BARE: Final = re.compile(r"[!-~]+")
_SPECIAL: Final = re.compile(r"[\s\[\]{}\"]")
_KEY: Final = re.compile(r"([a-z0-9][a-z0-9_-]*)=")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|-?Infinity|NaN")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_TOKEN: Final = re.compile(r"[^\s\[\]{}\"]+")
_WORDS: Final = {"null": None, "true": True, "false": False}
_DEEPEST: Final = 16


def to_text(data: Any) -> str:
    """Write plain data as one line."""
    if isinstance(data, dict) and data:
        return _pairs(data)
    text = _value(data)
    return json.dumps(text) if isinstance(data, str) and _KEY.match(text) else text


def _pairs(data: dict[str, Any]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in data.items())


def _value(data: Any) -> str:
    if isinstance(data, dict):
        return "{" + _pairs(data) + "}"
    if isinstance(data, list):
        return "[" + " ".join(map(_value, data)) + "]"
    if isinstance(data, str):
        is_bare = _BARE.fullmatch(data) and not _SPECIAL.search(data)
        return data if is_bare and data not in _WORDS and not _NUMBER.fullmatch(data) else json.dumps(data)
    return json.dumps(data)


class _Reader:
    """A position in a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Any:
        self._skip()
        found = self._mapping("", 0) if _KEY.match(self._text, self._at) else self._value(0)
        self._skip()
        if self._at != len(self._text):
            raise self._error("nothing more")
        return found

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _error(self, expected: str) -> LocalError:
        return LocalError(f"text {self._text[:80]!r}: {expected} is expected at character {self._at}")

    def _mapping(self, end: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            self._skip()
            if self._at == len(self._text) or (end and self._text[self._at] == end):
                break
            key = _KEY.match(self._text, self._at)
            if key is None or key[1] in found:
                raise self._error("a new key and an equals sign")
            self._at = key.end()
            found[key[1]] = self._value(depth)
        self._close(end)
        return found

    def _list(self, depth: int) -> list[Any]:
        found = []
        while True:
            self._skip()
            if self._text[self._at : self._at + 1] in ("", "]"):
                break
            found.append(self._value(depth))
        self._close("]")
        return found

    def _close(self, end: str) -> None:
        if self._text[self._at : self._at + len(end)] != end:
            raise self._error(end)
        self._at += len(end)

    def _value(self, depth: int) -> Any:
        opening = self._text[self._at : self._at + 1]
        if depth >= _DEEPEST:
            raise self._error("less depth")
        if opening and opening in "{[":
            self._at += 1
            return self._mapping("}", depth + 1) if opening == "{" else self._list(depth + 1)
        if opening == '"':
            return self._quoted()
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            raise self._error("a value")
        self._at = token.end()
        if token[0] in _WORDS:
            return _WORDS[token[0]]
        return self._number(token[0]) if _NUMBER.fullmatch(token[0]) else token[0]

    def _number(self, token: str) -> Any:
        try:
            return json.loads(token)
        except ValueError as error:
            raise LocalError(f"text {self._text[:80]!r}: {token[:40]} is no number: {error}") from error

    def _quoted(self) -> Any:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            raise self._error("an end of the quotation")
        self._at = quoted.end()
        try:
            return json.loads(quoted[0])
        except ValueError as error:
            raise LocalError(f"text {quoted[0]}: {error}") from error


def from_text(text: str) -> Any:
    """Read what :func:`to_text` wrote; LocalError if it is nothing of the kind."""
    return _Reader(text).whole()
