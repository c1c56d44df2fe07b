"""Route-target membership (RFC 4684 section 4)."""

from __future__ import annotations

from typing import Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.forms import Form, number, octets, prefix_octets, record
from pybgp.wire.nlri.row import NlriContext, NlriError


class RouteTargetMembership(NamedTuple):
    """Who wants routes of a target; ``length`` bits of AS number and target count, 0 wants all of them."""

    length: int
    origin_as: int = 0
    target: bytes = b""


def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one membership."""
    length = field[start]
    stop = start + 1 + (length + 7) // 8
    if stop > len(field) or 0 < length < 32 or length > 96:
        raise NlriError(f"route target of {length} bits at octet {start} of {len(field)}")
    return field[start : start + 1] + prefix_octets(field[start + 1 : stop], length), stop


def decode(nlri: bytes) -> RouteTargetMembership:
    """Take a membership apart."""
    return RouteTargetMembership(nlri[0], int.from_bytes(nlri[1:5], "big"), nlri[5:])


def encode(value: RouteTargetMembership) -> bytes:
    """Write a membership."""
    nlri = bytes([value.length]) + (value.origin_as.to_bytes(4, "big") if value.length else b"") + value.target
    try:
        again, stop = read(nlri, 0, NlriContext())
    except NlriError as error:
        raise LocalError(f"{value}: {error}") from error
    if stop != len(nlri) or decode(again) != value:
        raise LocalError(f"{value}: the target does not fit its length")
    return nlri


FORM: Final[Form[RouteTargetMembership]] = record(
    RouteTargetMembership, length=number(8), origin_as=number(32), target=octets()
)
