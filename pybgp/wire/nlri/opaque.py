"""Families whose route types are kept as octets: MCAST-VPN (RFC 6514 section 4) and MUP (draft-mpmz-bess-mup-safi)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pybgp.wire.forms import OPAQUE, Form, number, record
from pybgp.wire.nlri.row import NlriContext, NlriError, NlriFault

#: RFC 6514 section 4.
_MCAST_VPN_TYPES: Final = range(1, 8)


class McastVpnRoute(NamedTuple):
    """A route type of MCAST-VPN and its body."""

    kind: int
    body: bytes


class MupRoute(NamedTuple):
    """An architecture and route type of MUP, and the body."""

    architecture: int
    kind: int
    body: bytes


def _counted(field: bytes, start: int, header: int) -> tuple[bytes, int]:
    """Return the NLRI whose length stands in the last octet of its header."""
    length_at = start + header - 1
    stop = length_at + 1 + field[length_at] if length_at < len(field) else len(field) + 1
    if stop > len(field):
        raise NlriError(f"route at octet {start} of {len(field)} overruns the field")
    return field[start:stop], stop


def read_mcast_vpn(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one MCAST-VPN route."""
    return _counted(field, start, 2)


def judge_mcast_vpn(nlri: bytes, _: NlriContext, __: tuple[bytes, ...]) -> NlriFault | None:
    """Ignore a route type that nobody has defined."""
    return None if nlri[0] in _MCAST_VPN_TYPES else NlriFault(f"MCAST-VPN route type {nlri[0]} is unknown, ignored")


def decode_mcast_vpn(nlri: bytes) -> McastVpnRoute:
    """Take a route apart."""
    return McastVpnRoute(nlri[0], nlri[2:])


def encode_mcast_vpn(value: McastVpnRoute) -> bytes:
    """Write a route."""
    return struct.pack(">BB", value.kind, len(value.body)) + value.body


def read_mup(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one MUP route."""
    return _counted(field, start, 4)


def decode_mup(nlri: bytes) -> MupRoute:
    """Take a route apart."""
    return MupRoute(nlri[0], int.from_bytes(nlri[1:3], "big"), nlri[4:])


def encode_mup(value: MupRoute) -> bytes:
    """Write a route."""
    return struct.pack(">BHB", value.architecture, value.kind, len(value.body)) + value.body


MCAST_VPN_FORM: Final[Form[McastVpnRoute]] = record(McastVpnRoute, kind=number(8), body=OPAQUE)
MUP_FORM: Final[Form[MupRoute]] = record(MupRoute, architecture=number(8), kind=number(16), body=OPAQUE)
