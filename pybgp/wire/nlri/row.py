"""One row per address family: how NLRI are split, told apart, judged, shown and sent (spec sections 5.2 and 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import BgpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.wire.families import Family
    from pybgp.wire.forms import Form

PATH_ID_LENGTH: Final = 4


class NlriError(BgpError):
    """An NLRI field that cannot be split; the caller says what that costs (RFC 7606 section 5.3)."""


class NlriContext(NamedTuple):
    """What of the session the reading of a field depends on."""

    add_path: bool = False
    #: how many labels we announced to take (RFC 8277 section 2.1); 0: one label, whose S bit says nothing.
    labels: int = 0
    withdrawn: bool = False


class NlriFault(NamedTuple):
    """What is wrong with one NLRI that was read: it is ignored, or its route is withdrawn."""

    reason: str
    is_withdrawn: bool = False


def _itself(key: bytes) -> bytes:
    return key


@dataclass(frozen=True, slots=True)
class NlriFamily:
    """One row.  An NLRI here is what the key is: canonical octets without a path identifier."""

    family: Family
    #: (field, where the NLRI starts, context) -> (its canonical octets, where the next starts); NlriError.
    read: Callable[[bytes, int, NlriContext], tuple[bytes, int]]
    #: next-hop lengths of MP_REACH, and those that RFC 8950 adds.
    next_hops: tuple[int, ...]
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    form: Form[Any]
    extended_next_hops: tuple[int, ...] = ()
    #: the octets by which two NLRI are one route: labels and the like are facts about the path.
    identity: Callable[[bytes], bytes] = _itself
    #: (NLRI, context, extended communities) -> what is wrong with an announced one.
    judge: Callable[[bytes, NlriContext, tuple[bytes, ...]], NlriFault | None] | None = None
    #: what stands in MP_UNREACH for an NLRI.
    withdrawal: Callable[[bytes], bytes] = _itself
    #: the next hop carries a route distinguisher of zero in front of each address (RFC 4364 section 4.3.2).
    distinguished_next_hop: bool = False
    #: the next hop says nothing, and none is sent (RFC 8955 section 4).
    next_hop_ignored: bool = False


def split_row(row: NlriFamily, field: bytes, context: NlriContext) -> list[bytes]:
    """Split a field into keys, NLRI by NLRI; NlriError names the first that cannot be read."""
    keys = []
    position = 0
    skipped = PATH_ID_LENGTH if context.add_path else 0
    while position < len(field):
        start = position + skipped
        if start >= len(field):
            raise NlriError(f"{row.family}: a path identifier and nothing behind it at octet {position}")
        nlri, stop = row.read(field, start, context)
        keys.append(field[position:start] + nlri if skipped else nlri)
        position = stop
    return keys


def split_address(next_hop: bytes) -> tuple[bytes, ...]:
    """Return the addresses of a next hop of 12, 24 or 48 octets behind their distinguishers."""
    size = 24 if len(next_hop) == 48 else len(next_hop)
    return tuple(next_hop[start + 8 : start + size] for start in range(0, len(next_hop), size))
