"""Ordinary paths leave in one step: our number goes in front of the AS path, or our cluster to its place, and no more.

What is done here is what `export.rewrite` does, for the attribute sets that nearly all routes have, and the octets to
send fall out of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.export import OVERHEAD, ExportProfile, may_reflect
from pybgp.rib.measure import DEFAULT_LOCAL_PREF
from pybgp.rib.path import Path, Source
from pybgp.rib.policy.interface import ACCEPT_ALL
from pybgp.wire.attribute_block import plain_lengths, plain_shape
from pybgp.wire.attributes import Attributes, attribute_octets
from pybgp.wire.attributes.row import OPTIONAL, WELL_KNOWN
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Callable

#: How all communities begin that have, or may get, a meaning of their own (RFC 1997).
_WELL_KNOWN: Final = b"\xff\xff"
_MED: Final = rb"(?:\x80\x04\x04.{4})?"
_LOCAL_PREF: Final = rb"\x40\x05\x04.{4}"
_UP_TO_COMMUNITIES: Final = (
    rb"(?:\x40\x06\x00)?(?:[\xc0\xe0]\x07\x08.{8})?(?:[\xc0\xe0]\x08(?:" + plain_lengths(4) + rb"))?"
)
_EXTENDED: Final = rb"(?:[\xc0\xe0]\x10(?:" + plain_lengths(8) + rb"))?"
_LARGE: Final = rb"(?:[\xc0\xe0]\x20(?:" + plain_lengths(12) + rb"))?"
#: One AS sequence; the group is what does not leave the AS.
_TO_EXTERNAL: Final = (
    plain_shape(external=True)[0],
    b"((?:",
    _MED,
    b")(?:",
    _LOCAL_PREF,
    b")?)",
    _UP_TO_COMMUNITIES,
    _LARGE,
)
#: The group ends where LOCAL_PREF stands, or would stand.
_FROM_EXTERNAL: Final = (
    plain_shape(external=True)[0],
    b"(",
    _MED,
    b")(",
    _LOCAL_PREF,
    b")?",
    _UP_TO_COMMUNITIES,
    _EXTENDED,
    _LARGE,
)
#: The group ends where ORIGINATOR_ID and CLUSTER_LIST go.
_FROM_CLIENT: Final = (
    plain_shape(external=False)[0],
    b"(",
    _MED,
    _LOCAL_PREF,
    _UP_TO_COMMUNITIES,
    b")",
    _EXTENDED,
    _LARGE,
)
#: Where AS_PATH's length stands in such a block, the count of its numbers, and these.
_LENGTH_AT: Final = 6
_COUNT_AT: Final = 8
_NUMBERS_AT: Final = 9
#: As many numbers as have room under the short header when one more comes.
_MOST_NUMBERS: Final = 62


def _matcher(parts: tuple[bytes, ...]) -> Callable[[bytes], re.Match[bytes] | None]:
    return re.compile(b"".join(parts), re.DOTALL).fullmatch


_plain_outside: Final = _matcher(_TO_EXTERNAL)
_plain_from_outside: Final = _matcher(_FROM_EXTERNAL)
_plain_inside: Final = _matcher(_FROM_CLIENT)
_DEFAULT_PREFERENCE: Final = attribute_octets(
    WELL_KNOWN, AttributeCode.LOCAL_PREF, DEFAULT_LOCAL_PREF.to_bytes(4, "big")
)


class Leaving(NamedTuple):
    """A path as it leaves."""

    attributes: Attributes
    #: the whole attribute field of an UPDATE, NEXT_HOP in its place.
    octets: bytes
    #: the router that brought a reflected route into the AS.
    originator: int | None


class PlainExport:
    """What ordinary paths become for the peers of one profile."""

    __slots__ = ("_cluster", "_heads", "_next_hop", "_own_hop", "_profile", "_room")

    def __init__(self, profile: ExportProfile) -> None:
        """Only for a profile that `leaves_plainly`."""
        self._profile = profile
        self._next_hop = profile.own_next_hop
        self._own_hop = attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, profile.own_next_hop)
        asn = profile.local_as.to_bytes(4, "big")
        #: what stands before the numbers that a path of so many had.
        self._heads = [bytes((6 + 4 * count, 2, count + 1)) + asn for count in range(_MOST_NUMBERS + 1)]
        self._cluster = attribute_octets(OPTIONAL, AttributeCode.CLUSTER_LIST, profile.cluster_id.to_bytes(4, "big"))
        self._room = profile.send_limit - OVERHEAD

    def leaving(self, path: Path) -> Leaving | None:
        """Return a path as it leaves; None: see `export.rewrite`."""
        attributes = path.attributes
        if attributes is not path.received or attributes.details or _WELL_KNOWN in attributes.block:
            return None
        if not self._profile.internal:
            return self._to_external(path, attributes)
        if len(attributes.next_hop) != 4:
            return None
        if path.source is Source.EBGP:
            return self._from_external(attributes)
        if path.source is Source.IBGP and path.teller is not None and may_reflect(path, self._profile):
            return self._reflected(attributes, path.teller.router_id)
        return None

    def _to_external(self, path: Path, attributes: Attributes) -> Leaving | None:
        block = attributes.block
        match = _plain_outside(block)
        if match is None or path.source is Source.LOCAL or block[_COUNT_AT] > _MOST_NUMBERS:
            return None
        behind, place = match.span(1)
        front = block[:_LENGTH_AT] + self._heads[block[_COUNT_AT]] + block[_NUMBERS_AT:behind]
        return self._made(front, self._own_hop, block[place:], self._next_hop, None)

    def _from_external(self, attributes: Attributes) -> Leaving | None:
        block = attributes.block
        match = _plain_from_outside(block)
        if match is None:
            return None
        behind, place = match.span(1)
        rest = block[behind:]
        if match[2] is None:
            rest = block[behind:place] + _DEFAULT_PREFERENCE + block[place:]
        hop = attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, attributes.next_hop)
        return self._made(block[:behind], hop, rest, attributes.next_hop, None)

    def _reflected(self, attributes: Attributes, originator: int) -> Leaving | None:
        block = attributes.block
        match = _plain_inside(block)
        if match is None:
            return None
        behind, place = match.span(1)
        mark = attribute_octets(OPTIONAL, AttributeCode.ORIGINATOR_ID, originator.to_bytes(4, "big"))
        rest = block[behind:place] + mark + self._cluster + block[place:]
        hop = attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, attributes.next_hop)
        return self._made(block[:behind], hop, rest, attributes.next_hop, originator)

    def _made(self, front: bytes, hop: bytes, rest: bytes, next_hop: bytes, originator: int | None) -> Leaving | None:
        if len(front) + len(rest) > self._room:
            return None
        return Leaving(Attributes(front + rest, next_hop), front + hop + rest, originator)


def leaves_plainly(profile: ExportProfile) -> bool:
    """Say whether nothing is asked of ordinary paths toward these peers but what the standard asks of all."""
    if profile.policy is not ACCEPT_ALL or profile.family != IPV4_UNICAST or not profile.asn4 or profile.add_path:
        return False
    if profile.member or profile.router_id or profile.shutting_down or profile.local_role is not None:
        return False
    if profile.transparent or profile.third_party:
        return False
    if profile.internal:
        return profile.next_hop_mode in {"default", "keep"}
    return profile.only_prepends and profile.next_hop_mode in {"default", "self"} and len(profile.own_next_hop) == 4
