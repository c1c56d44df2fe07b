"""How long an NLRI is, by family: a generic RIB record does not say it (RFC 6396 section 4.3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pybgp.wire.families import Family


def _bits(octets: bytes, at: int) -> int:
    """A length in bits, then what it counts (RFC 4760 section 5, RFC 8277, RFC 4364, RFC 4684)."""
    return 1 + (octets[at] + 7) // 8


def _type_and_octets(octets: bytes, at: int) -> int:
    """A type and a length in octets (RFC 7432 section 7, RFC 6514 section 4)."""
    return 2 + octets[at + 1]


def _long_type_and_octets(octets: bytes, at: int) -> int:
    """A type and a length, two octets each (RFC 9552 section 5.2)."""
    return 4 + (octets[at + 2] << 8 | octets[at + 3])


def _two_octets(octets: bytes, at: int) -> int:
    """A length of two octets (RFC 4761 section 3.2.2)."""
    return 2 + (octets[at] << 8 | octets[at + 1])


def _flow(octets: bytes, at: int) -> int:
    """One octet below 240, else twelve bits of two (RFC 8955 section 4.1)."""
    if octets[at] < 0xF0:
        return 1 + octets[at]
    return 2 + ((octets[at] & 0x0F) << 8 | octets[at + 1])


def _architecture(octets: bytes, at: int) -> int:
    """An architecture, a type of two octets, a length (draft-ietf-bess-mup-safi section 3.1)."""
    return 4 + octets[at + 3]


_BY_SAFI: Final[Mapping[int, Callable[[bytes, int], int]]] = {
    1: _bits,
    2: _bits,
    4: _bits,
    5: _type_and_octets,
    65: _two_octets,
    70: _type_and_octets,
    71: _long_type_and_octets,
    72: _long_type_and_octets,
    73: _bits,
    85: _architecture,
    128: _bits,
    129: _bits,
    132: _bits,
    133: _flow,
    134: _flow,
}


def nlri_end(family: Family, octets: bytes, at: int) -> int | None:
    """Return where the NLRI that begins at ``at`` ends; None for a family that is not known here."""
    measure = _BY_SAFI.get(family.safi)
    if measure is None:
        return None
    try:
        end = at + measure(octets, at)
    except IndexError as error:
        raise FormatError(f"{family} NLRI is cut off", len(octets)) from error
    if end > len(octets):
        raise FormatError(f"{family} NLRI of {end - at} octets, {len(octets) - at} present", at)
    return end
