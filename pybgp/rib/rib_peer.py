"""What the tables need to know of a peer: facts of its session, no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pybgp.rib.path import Source

if TYPE_CHECKING:
    from pybgp.wire.families import Family
    from pybgp.wire.iana import Role


class Identity(NamedTuple):
    """What this router is called in the loop attributes of RFC 4456."""

    router_id: int
    cluster_id: int


@dataclass(frozen=True, slots=True)
class RibPeer:
    """A peer by number, with what import checks, decision and export compare."""

    number: int
    #: packed, 4 or 16 octets; empty for our own announcements.
    address: bytes
    local_as: int
    remote_as: int
    router_id: int
    #: our end of the session, packed: the next hop that we announce as our own.
    local_address: bytes = b""
    add_path_receive: frozenset[Family] = frozenset()
    #: how often our own AS may stand in a received AS_PATH (spec section 7).
    allow_own_as: int = 0
    #: the AS of this router where ``local_as`` is another one that the peer knows us by; 0: the same.
    own_as: int = 0
    #: put ``local_as`` in front of all that an external peer sends.
    prepend_local_as: bool = False
    #: external routes that are about to go come last (RFC 8326 section 4.2).
    heed_graceful_shutdown: bool = True
    #: flow rules must come from where the traffic goes (RFC 8955 section 6).
    validate_flow_rules: bool = False
    #: what we are to an external peer (RFC 9234 section 4.2).
    local_role: Role | None = None
    #: we reflect its routes, and others to it (RFC 4456 section 6).
    reflector_client: bool = False
    #: the peer is in another member AS of our confederation (RFC 5065).
    member: bool = False
    #: the numbers that a confederation has beside those above, none of which may stand in a path.
    other_as: tuple[int, ...] = ()
    #: What policies may call the peer; empty for our own announcements.
    name: str = ""

    @property
    def internal(self) -> bool:
        """Whether the session is iBGP."""
        return self.local_as == self.remote_as

    @property
    def interior(self) -> bool:
        """Whether the peer is in our AS as the world sees it."""
        return self.internal or self.member

    @property
    def own_numbers(self) -> frozenset[int]:
        """Every AS number that is ours."""
        return frozenset(asn for asn in (self.local_as, self.own_as, *self.other_as) if asn)

    @property
    def source(self) -> Source:
        """Where paths of this peer come from."""
        if not self.address:
            return Source.LOCAL
        if self.internal:
            return Source.IBGP
        return Source.CONFEDERATION if self.member else Source.EBGP
