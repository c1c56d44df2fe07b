"""What a speaker is; its peers are declared later."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pybgp.errors import LocalError
from pybgp.rib.decision import DecisionOptions
from pybgp.rib.ranking import same_cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.rib.policy import Policy
    from pybgp.transport.bmp_config import BmpConfig
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class SpeakerConfig:
    """Times are seconds; every value is checked where it enters."""

    local_as: int
    #: In dotted form, as routers print it.
    router_id: str
    #: What we call ourselves and our fellows when we reflect routes, in dotted form; empty: the router id (RFC 4456).
    cluster_id: str = ""
    #: The AS that the world sees in place of ``local_as``, which is one of its member ASes then (RFC 5065); 0: none.
    confederation: int = 0
    #: The other member ASes of it.
    confederation_members: tuple[int, ...] = ()
    #: Where to listen; empty: only connect.
    listen: tuple[tuple[str, int], ...] = ()
    #: Addresses of this router beside those of its sessions: routes through them are never selected.
    local_addresses: tuple[str, ...] = ()
    #: What we call our own next hop, one address per family at most; without one it is our address on the session.
    next_hops: tuple[str, ...] = ()
    #: None accepts and offers everything within the AS; toward external peers see ``require_ebgp_policy``.
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    #: Without a policy nothing passes between us and an external peer (RFC 8212).
    require_ebgp_policy: bool = True
    decision: DecisionOptions = field(default_factory=DecisionOptions)
    #: How far a next hop is, None for out of reach; tell `Speaker.next_hops_changed` when an answer changes.
    next_hop_cost: Callable[[bytes], int | None] = same_cost
    #: How many equal-cost paths `Speaker.paths` may return for a prefix (ECMP).
    maximum_paths: int = 1
    #: This process takes over from one whose routes are still in the kernel (RFC 4724 section 4.1).
    restarting: bool = False
    #: Families whose routes the kernel kept meanwhile (the F bits of the first OPEN to each peer).
    preserved_families: tuple[Family, ...] = ()
    selection_deferral_time: float = 120.0
    #: How long a restart waits for a configured peer that does not come up at all.
    absent_peer_time: float = 15.0
    #: After a change was sent at once, its followers are gathered for this long.
    batch_time: float = 0.010
    #: How many of the latest changes of prefixes `Speaker.history` keeps; 0: none.
    history: int = 0
    #: Monitoring stations that are told what we hear and select (RFC 7854).
    bmp_stations: tuple[BmpConfig, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name and value."""
        if not 0 < self.local_as < 2**32:
            raise LocalError(f"local_as {self.local_as}: 1 to 4294967295 expected")
        if not self.router_number:
            raise LocalError(f"router_id {self.router_id!r}: an address other than 0.0.0.0 expected")
        if not 0 <= self.confederation < 2**32:
            raise LocalError(f"confederation {self.confederation}: 1 to 4294967295 expected, or 0 for none")
        for asn in self.confederation_members:
            if not 0 < asn < 2**32:
                raise LocalError(f"confederation_members {asn}: 1 to 4294967295 expected")
        if self.confederation_members and not self.confederation:
            raise LocalError("confederation_members: need a confederation")
        if self.cluster_id and not self.cluster_number:
            raise LocalError(f"cluster_id {self.cluster_id!r}: an address other than 0.0.0.0 expected")
        if self.history < 0:
            raise LocalError(f"history {self.history}: 0 or more changes expected")
        if self.maximum_paths < 1:
            raise LocalError(f"maximum_paths {self.maximum_paths}: at least 1 expected")
        for name in ("selection_deferral_time", "absent_peer_time", "batch_time"):
            if getattr(self, name) < 0:
                raise LocalError(f"{name} {getattr(self, name)}: 0 or more seconds expected")
        for host, port in self.listen:
            if not 0 <= port <= 65535:
                raise LocalError(f"listen {host} port {port}: 0 to 65535 expected")
        for address in (*self.local_addresses, *self.next_hops):
            packed_address(address)

    @property
    def router_number(self) -> int:
        """The router id as it stands in an OPEN."""
        return _dotted_number("router_id", self.router_id)

    def relation_to(self, remote_as: int) -> tuple[int, bool]:
        """Return the AS that a peer knows us by, by its own AS, and whether it is in our confederation (RFC 5065)."""
        is_member = bool(self.confederation) and remote_as in {self.local_as, *self.confederation_members}
        return self.confederation if self.confederation and not is_member else self.local_as, is_member

    @property
    def cluster_number(self) -> int:
        """The cluster id as it stands in a CLUSTER_LIST."""
        return _dotted_number("cluster_id", self.cluster_id) if self.cluster_id else self.router_number


def _dotted_number(name: str, text: str) -> int:
    try:
        return int(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise LocalError(f"{name} {text!r}: an IPv4 address expected") from error


def packed_address(text: str) -> bytes:
    """Return the octets of an address; LocalError if it is none."""
    try:
        return ipaddress.ip_address(text).packed
    except ValueError as error:
        raise LocalError(f"address {text!r}: an IP address expected") from error
