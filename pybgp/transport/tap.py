"""Somebody who listens in on a connection, to record it for example."""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """What is told of one connection, in its order; the recorders of ``pybgp.tools`` have this shape."""

    def received(self, octets: bytes) -> None:
        """The peer sent this."""

    def sent(self, octets: bytes) -> None:
        """We sent this."""

    def ended(self) -> None:
        """TCP is over."""
