"""What a speaker remembers of one peer beside its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.export import ExportProfile
from pybgp.rib.graceful_restart import Retention
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL, Policy
from pybgp.rib.rib_peer import RibPeer
from pybgp.transport.speaker_config import SpeakerConfig, packed_address
from pybgp.wire.nlri import PREFIX_FAMILIES

if TYPE_CHECKING:
    from pybgp.session.config import PeerConfig
    from pybgp.transport.peer import Peer
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated


class PeerPolicies(NamedTuple):
    """The policies of one peer; None: those that all peers have."""

    import_policy: Policy | None = None
    export_policy: Policy | None = None


NO_POLICIES: Final = PeerPolicies()


class Peering:
    """A configured peer: its number in the Rib, what is in force, and what is kept of it while it is away."""

    __slots__ = (
        "address",
        "complete",
        "config",
        "export_policy",
        "import_policy",
        "name",
        "negotiated",
        "number",
        "peer",
        "retention",
        "was_up",
    )

    def __init__(self, name: str, number: int, config: PeerConfig, peer: Peer) -> None:
        """A peering is down at first."""
        self.name = name
        self.number = number
        self.config = config
        self.peer = peer
        self.address = packed_address(config.address)
        self.negotiated: Negotiated | None = None
        self.retention = Retention()
        #: this process has had a session with the peer, so that its routes of ours are no inheritance.
        self.was_up = False
        #: families whose End-of-RIB came in this session.
        self.complete: set[Family] = set()
        #: policies of this peer alone.
        self.import_policy: Policy | None = None
        self.export_policy: Policy | None = None

    @property
    def families(self) -> list[Family]:
        """The families of the session that have tables."""
        return [] if self.negotiated is None else sorted(self.negotiated.families & PREFIX_FAMILIES.keys())


def rib_peer(peering: Peering, negotiated: Negotiated, local_address: bytes) -> RibPeer:
    """Return the facts of a new session for the Rib."""
    return RibPeer(
        number=peering.number,
        address=peering.address,
        local_as=negotiated.local_as,
        remote_as=negotiated.peer_as,
        router_id=negotiated.peer_id,
        local_address=local_address,
        add_path_receive=negotiated.add_path_receive,
        name=peering.name,
    )


def export_profile(
    family: Family, negotiated: Negotiated, policy: Policy | None, local_address: bytes, config: SpeakerConfig
) -> ExportProfile:
    """Return everything that decides what a session is sent (spec section 7.2)."""
    if policy is None:
        refused = config.require_ebgp_policy and not negotiated.internal
        policy = REJECT_ALL if refused else ACCEPT_ALL
    extended = family in negotiated.extended_next_hop
    return ExportProfile(
        family=family,
        internal=negotiated.internal,
        local_as=negotiated.local_as,
        own_next_hop=own_next_hop(family, local_address, extended, config),
        policy=policy,
        asn4=negotiated.asn4,
        add_path=family in negotiated.add_path_send,
        send_limit=negotiated.send_limit,
        extended_next_hop=extended,
    )


def own_next_hop(family: Family, local_address: bytes, extended: bool, config: SpeakerConfig) -> bytes:
    """Return our address as a next hop of a family: the configured one, else that of the session if it fits."""
    addresses = [*map(packed_address, config.next_hops), local_address]
    lengths = (4 if family.afi == 1 else 16, 16 if extended else 0)
    return next((address for length in lengths for address in addresses if len(address) == length), b"")
