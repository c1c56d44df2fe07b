"""A bounded reader for the slow, careful paths."""

from __future__ import annotations


class EndOfDataError(Exception):
    """A read went past the end; each caller says what that means on the wire."""


class Cursor:
    """Reads big-endian fields and never passes its end."""

    __slots__ = ("_data", "_end", "position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        """Read ``data`` from ``start`` to ``end``."""
        self._data = data
        self._end = len(data) if end is None else end
        self.position = start

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return self._end - self.position

    def take(self, count: int) -> bytes:
        """Return the next ``count`` octets."""
        stop = self.position + count
        if stop > self._end:
            raise EndOfDataError(f"{count} octets wanted at {self.position}, {self.remaining} left")
        octets = self._data[self.position : stop]
        self.position = stop
        return octets

    def number(self, count: int) -> int:
        """Return the next ``count`` octets as an unsigned number."""
        return int.from_bytes(self.take(count), "big")

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(self.remaining)

    def within(self, count: int) -> Cursor:
        """Return a reader of the next ``count`` octets alone and step over them."""
        start = self.position
        self.take(count)
        return Cursor(self._data, start, start + count)
