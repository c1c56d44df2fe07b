"""A bounded reader that names what is missing and where."""

from __future__ import annotations

from pybgp.errors import FormatError, LocalError

ADDRESS_LENGTHS = (4, 16)


class Octets:
    """Takes values off the front of some octets, and never more than there are."""

    __slots__ = ("_octets", "position")

    def __init__(self, octets: bytes, position: int = 0) -> None:
        """Begin at ``position``."""
        self._octets = octets
        self.position = position

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return len(self._octets) - self.position

    def take(self, length: int, what: str) -> bytes:
        """Return so many octets; FormatError names ``what`` if there are fewer."""
        if length > self.remaining:
            raise FormatError(f"{what}: {length} octets announced, {self.remaining} present", self.position)
        start, self.position = self.position, self.position + length
        return self._octets[start : self.position]

    def number(self, size: int, what: str) -> int:
        """Return a big-endian number of ``size`` octets."""
        return int.from_bytes(self.take(size, what), "big")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.remaining, "rest")

    def finish(self, what: str) -> None:
        """Refuse octets that nobody asked for."""
        if self.remaining:
            raise FormatError(f"{what}: {self.remaining} octets left over", self.position)


def number_octets(value: int, size: int, what: str) -> bytes:
    """Write a number of ours; LocalError names it if it does not fit."""
    if not 0 <= value < 1 << 8 * size:
        raise LocalError(f"{what} {value}: 0 to {(1 << 8 * size) - 1} expected")
    return value.to_bytes(size, "big")


def sized_octets(octets: bytes, what: str) -> bytes:
    """Write octets of ours behind their two-octet length."""
    return number_octets(len(octets), 2, f"{what} length") + octets
