"""One row per address family: how NLRI are split, told apart, judged, shown and sent (spec sections 5.2 and 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import BgpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
class NlriDetails:
    """How an NLRI divides into its key and facts about the path: a newer route of the same key replaces both."""

    #: NLRI -> (key, details).
    divide: Callable[[bytes], tuple[bytes, bytes]]
    #: (key, details) -> NLRI.
    join: Callable[[bytes, bytes], bytes]
    #: key -> details that say nothing, for an NLRI of which only the key is known.
    blank: Callable[[bytes], bytes]
    #: plain data of an NLRI -> the fields that are details, with the data of blank ones.
    fields: Callable[[Mapping[str, Any]], Mapping[str, Any]]


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
    #: what of an NLRI is a fact about the path, labels and the like; None: every octet belongs to the key.
    details: NlriDetails | None = None
    #: (NLRI, context, extended communities) -> what is wrong with an announced one.
    judge: Callable[[bytes, NlriContext, tuple[bytes, ...]], NlriFault | None] | None = None
    #: what stands in MP_UNREACH for an NLRI.
    withdrawal: Callable[[bytes], bytes] = _itself
    #: the next hop carries a route distinguisher of zero in front of each address (RFC 4364 section 4.3.2).
    distinguished_next_hop: bool = False
    #: the next hop says nothing, and none is sent (RFC 8955 section 4).
    next_hop_ignored: bool = False
    #: labels or tunnels end at the next hop, so that who forwards nothing passes it on (RFC 8277 section 3.2).
    bound_to_next_hop: bool = False

    def identity(self, nlri: bytes) -> bytes:
        """Return the key: the octets by which two NLRI are one route."""
        return nlri if self.details is None else self.details.divide(nlri)[0]

    def takes_next_hop(self, next_hop: bytes, *, extended: bool = False) -> bool:
        """Say whether a next hop of this many addresses can be written; ``extended`` as RFC 8950 has it."""
        if self.next_hop_ignored:
            return True
        length = len(next_hop)
        if self.distinguished_next_hop and length:
            length += 16 if length > 16 else 8
        return length in self.next_hops or (extended and length in self.extended_next_hops)


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
