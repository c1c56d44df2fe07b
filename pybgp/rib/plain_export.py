"""Ordinary paths leave in one step: our number goes in front of the AS path, or our cluster to its place, and no more.

What is done here is what `export.rewrite` does, for the attribute sets that nearly all routes have, and the octets to
send fall out of it.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pybgp.rib.export import OVERHEAD, ExportProfile, may_reflect
from pybgp.rib.exported import Exported, Provenance
from pybgp.rib.measure import DEFAULT_LOCAL_PREF
from pybgp.rib.path import LOCAL_PEER, Source
from pybgp.rib.policy.interface import ACCEPT_ALL
from pybgp.wire.attribute_block import plain_lengths, plain_shape
from pybgp.wire.attributes import Attributes, attribute_octets
from pybgp.wire.attributes.row import OPTIONAL, OPTIONAL_TRANSITIVE, WELL_KNOWN
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pybgp.rib.path import Path
    from pybgp.rib.rib_peer import RibPeer

    #: The attribute field of an UPDATE, but for MP_REACH_NLRI, and who must not hear it.
    Leaving = tuple[bytes, Provenance]

#: How all communities begin that have, or may get, a meaning of their own (RFC 1997).
_WELL_KNOWN: Final = b"\xff\xff"
_FF: Final = 0xFF
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
#: Where AS_PATH's length stands in such a block, its value, the count of its numbers, and these.
_LENGTH_AT: Final = 6
_PATH_AT: Final = 7
_COUNT_AT: Final = 8
_NUMBERS_AT: Final = 9
_PATH_HEAD_AT: Final = 4
#: How attributes begin, and the length of LOCAL_PREF.
_PATH_HEAD: Final = bytes((WELL_KNOWN, AttributeCode.AS_PATH))
_PREFERENCE_HEAD: Final = bytes((WELL_KNOWN, AttributeCode.LOCAL_PREF, 4))
_PREFERENCE_LENGTH: Final = 7
_COMMUNITIES_HEAD: Final = bytes((OPTIONAL_TRANSITIVE, AttributeCode.COMMUNITIES))
#: As many numbers as have room under the short header when one more comes.
_MOST_NUMBERS: Final = 62
#: NEXT_HOP with its head.
_HOP_LENGTH: Final = 7
#: Octets of a next hop that is ordinary in a family.
_ADDRESS: Final = {IPV4_UNICAST: 4, IPV6_UNICAST: 16}
#: How link-local addresses begin, and few others.
_LINK_LOCAL: Final = 0xFE
#: Ways that are remembered at a time.
_MOST_WAYS: Final = 4096


def _matcher(parts: tuple[bytes, ...]) -> Callable[[bytes], re.Match[bytes] | None]:
    return re.compile(b"".join(parts), re.DOTALL).fullmatch


_plain_outside: Final = _matcher(_TO_EXTERNAL)
_plain_from_outside: Final = _matcher(_FROM_EXTERNAL)
_plain_inside: Final = _matcher(_FROM_CLIENT)
_DEFAULT_PREFERENCE: Final = attribute_octets(
    WELL_KNOWN, AttributeCode.LOCAL_PREF, DEFAULT_LOCAL_PREF.to_bytes(4, "big")
)


class Way(NamedTuple):
    """What ordinary paths of one peer with one next hop have in common as they leave."""

    #: there as long as the way is: no other object can have its identity.
    teller: RibPeer
    provenance: Provenance
    #: NEXT_HOP as it leaves, in the family that has it.
    next_hop: bytes
    #: ORIGINATOR_ID and CLUSTER_LIST of what is reflected.
    mark: bytes


class PlainExport:
    """What ordinary paths become for the peers of one profile."""

    __slots__ = ("_address_length", "_asked", "_cluster", "_heads", "_hop_length", "_profile", "_room", "_ways")

    def __init__(self, profile: ExportProfile) -> None:
        """Only for a profile that `leaves_plainly`."""
        self._profile = profile
        asn = profile.local_as.to_bytes(4, "big")
        #: what stands before the numbers that a path of so many had.
        self._heads = [bytes((6 + 4 * count, 2, count + 1)) + asn for count in range(_MOST_NUMBERS + 1)]
        self._cluster = attribute_octets(OPTIONAL, AttributeCode.CLUSTER_LIST, profile.cluster_id.to_bytes(4, "big"))
        self._address_length = _ADDRESS[profile.family]
        self._hop_length = _HOP_LENGTH if profile.family == IPV4_UNICAST else 0
        self._room = profile.send_limit - OVERHEAD + self._hop_length
        #: the last answer of `provenance`, with the teller and next hop that it was for.
        self._asked: tuple[RibPeer | None, bytes, Provenance] = (None, b"", Provenance(LOCAL_PEER, b""))
        #: by teller and next hop as it leaves.
        self._ways: dict[tuple[int, bytes], Way] = {}

    def leaving(self, paths: Iterable[Path | None]) -> Iterator[Leaving | None]:
        """Yield of each path the whole attribute field of an UPDATE, and who must not hear it.

        None: this must be decided by `export.rewrite`, if there is a path.
        """
        rewrite = self._inward if self._profile.internal else self._outward
        own_hop = b"" if self._profile.internal else self._profile.own_next_hop
        room = self._room
        teller = hop = way = provenance = None
        hop_octets = mark = b""
        for path in paths:
            leaving = None
            if path is not None:
                block, next_hop, details = attributes = path.attributes
                if attributes is path.received and not (_FF in block and _WELL_KNOWN in block) and not details:
                    if path.teller is not teller or next_hop != hop:
                        teller, hop = path.teller, next_hop
                        way = self._way(path, own_hop or next_hop)
                        if way is not None:
                            _, provenance, hop_octets, mark = way
                    if way is not None and provenance is not None:
                        behind = _PATH_AT + block[_LENGTH_AT]
                        last, end = behind + _PREFERENCE_LENGTH, len(block)
                        # Most blocks of clients end behind LOCAL_PREF, or behind communities.
                        if (
                            mark
                            and block[_PATH_HEAD_AT:_LENGTH_AT] == _PATH_HEAD
                            and block[behind : behind + 3] == _PREFERENCE_HEAD
                            and (
                                last == end
                                or (block[last : last + 2] == _COMMUNITIES_HEAD and last + 3 + block[last + 2] == end)
                            )
                        ):
                            octets = block[:behind] + hop_octets + block[behind:] + mark
                        else:
                            octets = rewrite(block, way)
                        if octets and len(octets) <= room:
                            leaving = octets, provenance
            yield leaving

    def attributes(self, path: Path) -> Attributes:
        """Return the attributes of a path that leaves plainly."""
        octets, provenance = cast("Leaving", next(self.leaving((path,))))
        behind = _PATH_AT + octets[_LENGTH_AT]
        return Attributes(octets[:behind] + octets[behind + self._hop_length :], provenance.next_hop)

    def front(self, next_hop: bytes) -> bytes:
        """Return what MP_REACH_NLRI says before the prefixes; empty where there is no such attribute."""
        if self._hop_length:
            return b""
        return struct.pack(">HBB", *self._profile.family, len(next_hop)) + next_hop + b"\0"

    def provenance(self, path: Path) -> Provenance:
        """Return who must not hear of a path that leaves plainly."""
        teller, next_hop, provenance = self._asked
        if path.teller is not teller or path.next_hop != next_hop:
            own_hop = b"" if self._profile.internal else self._profile.own_next_hop
            provenance = cast("Way", self._way(path, own_hop or path.next_hop)).provenance
            self._asked = path.teller, path.next_hop, provenance
        return provenance

    def is_same(self, path: Path, provenance: Provenance, other: Path, others: Provenance) -> bool:
        """Say whether two paths that leave plainly, and of whom, make one announcement.

        Most paths to a prefix differ in next hop, ORIGIN or AS path, and whatever leaves plainly shows that.
        """
        mine, theirs = path.attributes.block, other.attributes.block
        if provenance == others and mine == theirs:
            return True
        behind = _PATH_AT + mine[_LENGTH_AT]
        if provenance.next_hop != others.next_hop or mine[:behind] != theirs[:behind]:
            return False
        return self.attributes(path) == self.attributes(other)

    def _outward(self, block: bytes, way: Way) -> bytes:
        """Put our number in front; empty: not ordinary."""
        match = _plain_outside(block)
        if match is None or block[_COUNT_AT] > _MOST_NUMBERS:
            return b""
        behind, place = match.span(1)
        front = block[:_LENGTH_AT] + self._heads[block[_COUNT_AT]] + block[_NUMBERS_AT:behind]
        return front + way.next_hop + block[place:]

    def _inward(self, block: bytes, way: Way) -> bytes:
        """Put our cluster, or LOCAL_PREF, in its place; empty: not ordinary."""
        _, _, hop, mark = way
        behind = _PATH_AT + block[_LENGTH_AT]
        match = _plain_inside(block) if mark else _plain_from_outside(block)
        if match is None:
            return b""
        behind, place = match.span(1)
        if not mark and match[2] is None:
            mark = _DEFAULT_PREFERENCE
        return block[:behind] + hop + block[behind:place] + mark + block[place:]

    def _way(self, path: Path, next_hop: bytes) -> Way | None:
        """Return the way of a path; None if such paths are never ordinary."""
        teller = path.teller
        if teller is None or path.source is Source.LOCAL or len(next_hop) != self._address_length:
            return None
        if not self._hop_length and next_hop[0] == _LINK_LOCAL:
            return None
        way = self._ways.get((id(teller), next_hop))
        if way is not None:
            return way
        originator, mark = None, b""
        if self._profile.internal and path.source is not Source.EBGP:
            if path.source is not Source.IBGP or not may_reflect(path, self._profile):
                return None
            originator = teller.router_id
            mark = attribute_octets(OPTIONAL, AttributeCode.ORIGINATOR_ID, originator.to_bytes(4, "big"))
            mark += self._cluster
        if len(self._ways) >= _MOST_WAYS:
            self._ways.clear()
        hop = attribute_octets(WELL_KNOWN, AttributeCode.NEXT_HOP, next_hop) if self._hop_length else b""
        way = Way(teller, Provenance(path.peer, next_hop, originator), hop, mark)
        self._ways[id(teller), next_hop] = way
        return way


class PlainlyExported(Exported):
    """What is sent of one ordinary path; its attributes are found when somebody asks for them."""

    __slots__ = ("path", "plain")

    def __init__(self, plain: PlainExport, path: Path, provenance: Provenance) -> None:
        """``provenance`` is what `PlainExport.leaving` said."""
        self.plain = plain
        self.path = path
        self.provenance = provenance

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Attributes:
            """Find the attributes."""
            if name != "attributes":
                raise AttributeError(f"what is exported has no {name!r}")
            self.attributes = self.plain.attributes(self.path)
            return self.attributes

    @property
    def details(self) -> bytes:
        """Nothing: what has details does not leave plainly."""
        return b""

    def says_what(self, other: Exported) -> bool:
        """Whether a peer that holds the one need not be told the other."""
        if isinstance(other, PlainlyExported) and self.plain is other.plain:
            return self.plain.is_same(self.path, self.provenance, other.path, other.provenance)
        return self.attributes == other.attributes


def leaves_plainly(profile: ExportProfile) -> bool:
    """Say whether nothing is asked of ordinary paths toward these peers but what the standard asks of all."""
    if profile.policy is not ACCEPT_ALL or profile.family not in _ADDRESS or not profile.asn4 or profile.add_path:
        return False
    if profile.member or profile.router_id or profile.shutting_down or profile.local_role is not None:
        return False
    if profile.transparent or profile.third_party:
        return False
    if profile.internal:
        return profile.next_hop_mode in {"default", "keep"}
    has_address = len(profile.own_next_hop) == _ADDRESS[profile.family]
    return profile.only_prepends and profile.next_hop_mode in {"default", "self"} and has_address
