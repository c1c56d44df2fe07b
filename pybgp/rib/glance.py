"""Most routes show by their octets alone that import has nothing to say to them and nothing to change."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from pybgp.rib.entrance import SHUTDOWN_OCTETS
from pybgp.rib.roles import role_in
from pybgp.wire.attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pybgp.rib.rib_peer import Identity, RibPeer
    from pybgp.wire.families import Family

_block: Final = itemgetter(Attributes._fields.index("block"))
_next_hop: Final = itemgetter(Attributes._fields.index("next_hop"))


class Glance:
    """What to look for in the routes of one peer in one family.

    Octets found by chance cost a closer look, never a wrong answer: where a glance is enough, `refusal` and `leak` have
    no reason and `enter` changes nothing.
    """

    __slots__ = ("_is_enough", "_local_address", "_local_addresses", "_suspicious")

    def __init__(self, peer: RibPeer, family: Family, own: Identity, local_addresses: Collection[bytes]) -> None:
        """``local_addresses`` may change later."""
        numbers = set(peer.own_numbers)
        #: False where every route is looked at closely, because it may be marked or gets a number in front.
        self._is_enough = role_in(family, peer.local_role) is None and (peer.interior or not peer.prepend_local_as)
        if peer.internal:
            numbers |= {*own}
        suspicious = [number.to_bytes(4, "big") for number in sorted(numbers)]
        if peer.heed_graceful_shutdown and not peer.interior:
            suspicious.append(SHUTDOWN_OCTETS)
        self._suspicious = tuple(suspicious)
        self._local_address = peer.local_address
        self._local_addresses = local_addresses

    def is_enough(self, attributes: Attributes) -> bool:
        """Say whether a route may be considered as it is."""
        return self.are_enough((attributes,))

    def are_enough(self, several: Sequence[Attributes]) -> bool:
        """Say whether all of these may: one search through all octets, which is quicker than one for each."""
        if not self._is_enough:
            return False
        blocks = b"".join(map(_block, several))
        for octets in self._suspicious:
            if octets in blocks:
                return False
        hops = set(map(_next_hop, several))
        return all(hop[:16] != self._local_address and hop[:16] not in self._local_addresses for hop in hops)
