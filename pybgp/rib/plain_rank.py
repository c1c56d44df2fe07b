"""The rank of an ordinary path is found from a few of its octets, and the rest from its peer (RFC 4271 section 9.1.2).

Of what peers tell, nearly everything has one AS sequence, perhaps a MED and a LOCAL_PREF, and nothing else that the
decision process compares.  All else that goes into such a rank is a fact of the peer, and packed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.rib.aigp import WITHOUT
from pybgp.rib.decision import MAXIMUM_MED, STEPS, TAIL_BITS, Measure, pack
from pybgp.rib.long_lived import STALE_OCTETS
from pybgp.rib.measure import DEFAULT_LOCAL_PREF, address_rank
from pybgp.rib.path import BGP_PREFERENCE, Source
from pybgp.wire.iana import AttributeCode, AttributeFlag, Origin, SegmentType

if TYPE_CHECKING:
    from pybgp.rib.decision import DecisionOptions
    from pybgp.rib.path import Path
    from pybgp.rib.rib_peer import RibPeer


def _bits_below(name: str) -> int:
    """Return how many bits of a rank are less significant than those of a step."""
    at = next(at for at, step in enumerate(STEPS) if step.name == name)
    return sum(step.bits for step in STEPS[at + 1 :])


_LENGTH_AT: Final = _bits_below("AS path length")
_ORIGIN_AT: Final = _bits_below("origin")
_MED_AT: Final = _bits_below("MED")
_MOST_ORIGIN: Final = int(Origin.INCOMPLETE)
#: How many ranks of that kind are remembered.
_MOST_BASES: Final = 4096
_TRANSITIVE: Final = int(AttributeFlag.TRANSITIVE)
_EXTENDED_LENGTH: Final = int(AttributeFlag.EXTENDED_LENGTH)
_SEQUENCE: Final = int(SegmentType.SEQUENCE)
_AS_PATH: Final = int(AttributeCode.AS_PATH)
_MED: Final = int(AttributeCode.MED)
_LOCAL_PREF: Final = int(AttributeCode.LOCAL_PREF)
#: What the decision looks at beside these.
_OTHERS: Final = frozenset({AttributeCode.ORIGINATOR_ID, AttributeCode.CLUSTER_LIST, AttributeCode.AIGP})
#: A canonical block begins with ORIGIN, whose value stands here, and AS_PATH ...
_FRONT: Final = b"\x40\x01\x01"
_ORIGIN_VALUE_AT: Final = 3
#: ... whose flags, code, length, segment type and count are followed by the first AS number.
_PATH_FLAGS_AT: Final = 4
_PATH_AT: Final = 7
_FIRST_AS_AT: Final = 9


class PlainRank:
    """Gives ordinary paths the rank that `decision.rank_by` would give them."""

    __slots__ = ("_bases", "_missing_med", "_options")

    def __init__(self, options: DecisionOptions) -> None:
        """No peer has been compared yet."""
        self._options = options
        self._missing_med = MAXIMUM_MED if options.missing_med_is_worst else 0
        #: by number of a peer, LOCAL_PREF and cost: the facts of the peer, and the rank of a path with nothing else.
        self._bases: dict[tuple[int, bytes, int], tuple[RibPeer, int]] = {}

    def rank(self, path: Path, teller: RibPeer, cost: int) -> bool:
        """Write the rank into a path if it is an ordinary one, and say whether it is."""
        block = path.attributes.block
        if path.preference != BGP_PREFERENCE or len(block) < _FIRST_AS_AT or not block.startswith(_FRONT):
            return False
        if block[_PATH_FLAGS_AT] != _TRANSITIVE or block[_PATH_FLAGS_AT + 1] != _AS_PATH:
            return False
        at = _PATH_AT + block[_PATH_AT - 1]
        count = block[_PATH_AT + 1]
        origin = block[_ORIGIN_VALUE_AT]
        if at != _FIRST_AS_AT + 4 * count or block[_PATH_AT] != _SEQUENCE or origin > _MOST_ORIGIN:
            return False
        if STALE_OCTETS in block or (path.received is not path.attributes and STALE_OCTETS in path.received.block):
            return False
        med, local_pref = self._missing_med, b""
        end = len(block)
        while at < end:
            code, start = block[at + 1], at + 3
            if block[at] & _EXTENDED_LENGTH:
                at = start + 1 + (block[at + 2] << 8 | block[start])
            else:
                at = start + block[at + 2]
            if code == _MED:
                med = int.from_bytes(block[start:at], "big")
            elif code == _LOCAL_PREF:
                local_pref = block[start:at]
            elif code in _OTHERS:
                return False
        base = self._bases.get((path.peer, local_pref, cost))
        if base is None or base[0] is not teller:
            if len(self._bases) >= _MOST_BASES:
                self._bases.clear()
            base = teller, self._base(path.source, teller, local_pref, cost)
            self._bases[path.peer, local_pref, cost] = base
        options = self._options
        order = base[1] | origin << _ORIGIN_AT
        if not options.ignore_as_path_length:
            order |= count << _LENGTH_AT
        if options.always_compare_med:
            order |= med << _MED_AT
            med = 0
        path.order = order
        path.rank = order >> TAIL_BITS
        path.med = med
        path.neighbor_as = int.from_bytes(block[_FIRST_AS_AT : _FIRST_AS_AT + 4], "big")
        path.cost = cost
        return True

    def _base(self, source: Source, teller: RibPeer, local_pref: bytes, cost: int) -> int:
        """Return the rank of a path of this peer that has neither ORIGIN, AS_PATH nor MED."""
        measured = Measure(
            last_resort=False,
            preference=BGP_PREFERENCE,
            local_pref=int.from_bytes(local_pref, "big") if local_pref else DEFAULT_LOCAL_PREF,
            local=source is Source.LOCAL,
            aigp=WITHOUT,
            as_path_length=0,
            origin=0,
            med=0,
            external=source is Source.EBGP,
            cost=cost,
            router_id=teller.router_id,
            cluster_list_length=0,
            peer_address=address_rank(teller.address),
        )
        return pack(measured, self._options)
