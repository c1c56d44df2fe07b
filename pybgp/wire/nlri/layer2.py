"""VPLS (RFC 4761 section 3.2.2): one fixed layout."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pybgp.wire.forms import DISTINGUISHER, Form, number, record
from pybgp.wire.nlri.row import NlriContext, NlriDetails, NlriError

_LENGTH: Final = 17
_KEY_LENGTH: Final = 14


class VplsBlock(NamedTuple):
    """A block of labels for the sites of a VPLS."""

    distinguisher: bytes
    site: int
    offset: int
    size: int
    label_base: int


def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one block."""
    stop = start + 2 + _LENGTH
    if field[start : start + 2] != _LENGTH.to_bytes(2, "big") or stop > len(field):
        raise NlriError(f"VPLS block at octet {start} of {len(field)}: {_LENGTH} octets are expected")
    return field[start:stop], stop


#: label bases and block sizes may change while site and offset name the block (RFC 4761 section 3.2.2).
DETAILS: Final = NlriDetails(
    lambda nlri: (nlri[:_KEY_LENGTH], nlri[_KEY_LENGTH:]),
    lambda key, details: key + details,
    lambda _: bytes(2 + _LENGTH - _KEY_LENGTH),
    lambda _: {"size": 0, "label_base": 0},
)


def decode(nlri: bytes) -> VplsBlock:
    """Take a block apart."""
    site, offset, size = struct.unpack(">HHH", nlri[10:16])
    return VplsBlock(nlri[2:10], site, offset, size, int.from_bytes(nlri[16:], "big"))


def encode(value: VplsBlock) -> bytes:
    """Write a block."""
    numbers = struct.pack(">HHH", value.site, value.offset, value.size)
    return _LENGTH.to_bytes(2, "big") + value.distinguisher + numbers + value.label_base.to_bytes(3, "big")


FORM: Final[Form[VplsBlock]] = record(
    VplsBlock,
    distinguisher=DISTINGUISHER,
    site=number(16),
    offset=number(16),
    size=number(16),
    label_base=number(24),
)
