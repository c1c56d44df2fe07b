"""Segment-routing policies (spec section 5.3, SAFI 73)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.forms import Form, address, number, record
from pybgp.wire.nlri.row import NlriContext, NlriError

if TYPE_CHECKING:
    from collections.abc import Callable


class SrPolicy(NamedTuple):
    """A candidate path: who it is from, its colour, and where it ends."""

    distinguisher: int
    color: int
    endpoint: bytes


def reader(size: int) -> Callable[[bytes, int, NlriContext], tuple[bytes, int]]:
    """Return the reader for endpoints of ``size`` octets."""

    def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
        stop = start + 9 + size
        if field[start] != 8 * (8 + size) or stop > len(field):
            raise NlriError(f"SR policy of {field[start]} bits at octet {start} of {len(field)}")
        return field[start:stop], stop

    return read


def decode(nlri: bytes) -> SrPolicy:
    """Take a policy apart."""
    distinguisher, color = struct.unpack(">II", nlri[1:9])
    return SrPolicy(distinguisher, color, nlri[9:])


def encode(value: SrPolicy) -> bytes:
    """Write a policy."""
    if len(value.endpoint) not in (4, 16):
        raise LocalError(f"endpoint {value.endpoint.hex()}: 4 or 16 octets are expected")
    return struct.pack(">BII", 8 * (8 + len(value.endpoint)), value.distinguisher, value.color) + value.endpoint


def form(size: int) -> Form[SrPolicy]:
    """Return the plain data of a policy."""
    return record(SrPolicy, distinguisher=number(32), color=number(32), endpoint=address(size))
