"""What a speaker remembers of one peer beside its sessions."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.conditions import Conditional
from pybgp.rib.export import ExportProfile
from pybgp.rib.graceful_restart import Retention
from pybgp.rib.next_hops import is_on_link
from pybgp.rib.path_choice import PathChoice
from pybgp.rib.policy import ACCEPT_ALL, REJECT_ALL, Policy
from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.roles import role_in
from pybgp.rib.route_targets import TARGETED_FAMILIES
from pybgp.session.route_options import DEFAULT_ROUTE_OPTIONS, RouteOptions
from pybgp.transport.cause import UPDATE, Cause
from pybgp.transport.links import NO_LINK, Link
from pybgp.transport.prefix_limits import PrefixGuard
from pybgp.transport.speaker_config import SpeakerConfig, packed_address
from pybgp.wire.families import IPV6_LABELLED, IPV6_VPN, ROUTE_TARGET
from pybgp.wire.nlri import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.session.config import PeerConfig
    from pybgp.transport.peer import Peer
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated


class PeerPolicies(NamedTuple):
    """The policies of one peer; None: those that all peers have."""

    import_policy: Policy | None = None
    export_policy: Policy | None = None


NO_POLICIES: Final = PeerPolicies()
_ADDRESS_LENGTHS: Final = {1: 4, 2: 16}
#: IPv6 behind labels over a session of IPv4: the next hop is its address, mapped (RFC 4798 section 2, RFC 4659).
_MAPPED_FAMILIES: Final = (IPV6_LABELLED, IPV6_VPN)
_TWO_ADDRESSES: Final = bytes(32)
_LONGEST_IPV4_KEY: Final = 5
_MAPPED: Final = b"\xff\xff".rjust(12, b"\0")


class Peering:
    """A configured peer: its number in the Rib, what is in force, and what is kept of it while it is away."""

    __slots__ = (
        "address",
        "complete",
        "conditions",
        "config",
        "export_policy",
        "facts",
        "guard",
        "import_policy",
        "is_shut_down",
        "link",
        "name",
        "negotiated",
        "number",
        "peer",
        "retention",
        "shutting_down",
        "targets_deadline",
        "told",
        "update",
        "was_up",
    )

    def __init__(
        self, name: str, number: int, config: PeerConfig, peer: Peer, told: Callable[[Family, str], None]
    ) -> None:
        """A peering is down at first; ``told`` hears of prefix limits: the family, and a text."""
        self.name = name
        self.number = number
        #: the cause of all that its UPDATEs change.
        self.update = Cause(UPDATE, name)
        self.config = config
        self.peer = peer
        self.address = packed_address(config.address)
        self.negotiated: Negotiated | None = None
        #: what the Rib knows of the session, or of the last one.
        self.facts: RibPeer | None = None
        #: what we share with the peer in this session.
        self.link = NO_LINK
        self.retention = Retention()
        #: somebody wants no session with the peer until further notice.
        self.is_shut_down = False
        #: this process has had a session with the peer, so that its routes of ours are no inheritance.
        self.was_up = False
        #: families whose End-of-RIB came in this session.
        self.complete: set[Family] = set()
        #: until when routes with targets wait for the peer to have said which it wants (RFC 4684 section 6).
        self.targets_deadline = inf
        #: watches how many prefixes the peer announces, if it may not announce any number.
        self.told = told
        self.guard: PrefixGuard | None = None
        self.limit_by(config)
        #: our routes to this peer are about to go (RFC 8326).
        self.shutting_down = False
        #: policies of this peer alone.
        self.import_policy: Policy | None = None
        self.export_policy: Policy | None = None
        #: what it is told under conditions only.
        self.conditions = conditions_of(config)

    def limit_by(self, config: PeerConfig) -> None:
        """Watch the number of prefixes as a configuration says; a peer that is held down stays so."""
        limit = config.routes.receive_limit
        if limit is None:
            if self.guard is not None:
                self.guard.cancel()
            self.guard = None
        elif self.guard is None:
            self.guard = PrefixGuard(self.name, self.peer, limit)
            self.guard.told = self.told
        else:
            self.guard.change(limit)

    def next_deadline(self) -> float:
        """Return when time alone will change something about the peer's routes; infinity if never."""
        return min(self.retention.next_deadline(), self.targets_deadline)

    @property
    def families(self) -> list[Family]:
        """The families of the session that have tables."""
        return [] if self.negotiated is None else sorted(self.negotiated.families & FAMILIES.keys())

    @property
    def targeted_families(self) -> list[Family]:
        """The families of which the peer says what it wants."""
        families = self.families
        return [family for family in families if family in TARGETED_FAMILIES] if ROUTE_TARGET in families else []


def conditions_of(config: PeerConfig) -> list[Conditional]:
    """Return the conditions that a peer is told some things under; none of them has seen the tables yet."""
    return [Conditional(one.advertise, one.of, present=one.when == "present") for one in config.routes.conditions]


def rib_peer(peering: Peering, negotiated: Negotiated, local_address: bytes, config: SpeakerConfig) -> RibPeer:
    """Return the facts of a new session for the Rib."""
    options, speaker_as = peering.config.routes, config.local_as
    is_other = speaker_as != negotiated.local_as
    validated = options.validate_flow_rules
    return RibPeer(
        number=peering.number,
        address=peering.address,
        local_as=negotiated.local_as,
        remote_as=negotiated.peer_as,
        router_id=negotiated.peer_id,
        local_address=local_address,
        add_path_receive=negotiated.add_path_receive,
        allow_own_as=options.allow_own_as,
        own_as=shown_as(options, negotiated, speaker_as),
        prepend_local_as=is_other and options.local_as_mode == "prepend",
        heed_graceful_shutdown=options.graceful_shutdown,
        validate_flow_rules=not negotiated.interior if validated is None else validated,
        local_role=negotiated.local_role,
        reflector_client=options.reflector_client,
        member=negotiated.member,
        other_as=(config.confederation, speaker_as) if config.confederation else (),
        name=peering.name,
    )


def shown_as(options: RouteOptions, negotiated: Negotiated, speaker_as: int) -> int:
    """Return the speaker's own AS if the peer sees it behind the one that it knows us by; 0: it does not."""
    return speaker_as if speaker_as != negotiated.local_as and options.local_as_mode != "replace" else 0


def export_profile(
    family: Family,
    negotiated: Negotiated,
    policy: Policy | None,
    local_address: bytes,
    config: SpeakerConfig,
    options: RouteOptions = DEFAULT_ROUTE_OPTIONS,
    *,
    shutting_down: bool = False,
    link: Link = NO_LINK,
) -> ExportProfile:
    """Return everything that decides what a session is sent (spec section 7.2)."""
    if policy is None:
        refused = config.require_ebgp_policy and not negotiated.interior
        policy = REJECT_ALL if refused else ACCEPT_ALL
    extended = family in negotiated.extended_next_hop
    return ExportProfile(
        family=family,
        internal=negotiated.internal,
        local_as=negotiated.local_as,
        own_next_hop=own_next_hop(family, local_address, extended, config, link),
        policy=policy,
        asn4=negotiated.asn4,
        add_path=family in negotiated.add_path_send,
        path_choice=path_choice(options.paths_to_send(family)) if family in negotiated.add_path_send else None,
        send_limit=negotiated.send_limit,
        extended_next_hop=extended,
        label_limit=dict(negotiated.peer_label_limits).get(family, 1),
        own_as=shown_as(options, negotiated, config.local_as),
        overridden_as=negotiated.peer_as if options.as_override else 0,
        private_as=options.private_as,
        peer_as=negotiated.peer_as if options.private_as != "keep" else 0,
        next_hop_mode=next_hop_mode(family, options),
        link_networks=link_networks(family, extended, options, link),
        third_party=options.third_party_next_hop,
        shutting_down=shutting_down,
        local_role=role_in(family, negotiated.local_role),
        prefix_limit=options.send_limit or 0,
        reflector_client=options.reflector_client,
        router_id=config.router_number if family == ROUTE_TARGET and options.reflector_client else 0,
        next_best=family == ROUTE_TARGET and negotiated.internal and not options.reflector_client,
        cluster_id=config.cluster_number if negotiated.internal else 0,
        long_lived=negotiated.long_lived is not None,
        send_stale=options.send_stale,
        aigp=negotiated.options.aigp,
        member=negotiated.member,
        transparent=options.route_server_client,
    )


def path_choice(text: str) -> PathChoice | None:
    """Read what `RouteOptions.add_path_send` says; None: only the best."""
    if text in ("best", "best-1"):
        return None
    if text == "best-per-as":
        return PathChoice(per_as=True)
    return PathChoice(0 if text == "all" else int(text.removeprefix("best-")))


def next_hop_mode(family: Family, options: RouteOptions) -> str:
    """Return how next hops leave; labels and tunnel ends of others stay with their own, unless configured otherwise."""
    row = FAMILIES.get(family)
    is_bound = row is not None and row.bound_to_next_hop
    return "keep" if is_bound and options.next_hop == "default" else options.next_hop


def link_networks(family: Family, extended: bool, options: RouteOptions, link: Link) -> tuple[bytes, ...]:
    """Return in which networks of a link next hops of a family are looked for; peers that differ in none are alike."""
    if options.third_party_next_hop:
        return link.networks
    takes_two = (row := FAMILIES.get(family)) is not None and row.takes_next_hop(_TWO_ADDRESSES, extended=extended)
    return tuple(network for network in link.networks if len(network) > _LONGEST_IPV4_KEY) if takes_two else ()


def own_next_hop(
    family: Family, local_address: bytes, extended: bool, config: SpeakerConfig, link: Link = NO_LINK
) -> bytes:
    """Return our address as a next hop of a family: the configured one, else that of the session if it fits.

    A global one on the link with the peer has our link-local one behind it (RFC 2545 section 3).
    """
    row = FAMILIES.get(family)
    if row is None or row.next_hop_ignored:
        return b""
    addresses = [*map(packed_address, config.next_hops), local_address]
    own = len(local_address) if family.afi not in _ADDRESS_LENGTHS else _ADDRESS_LENGTHS[family.afi]
    for length in (own, 20 - own):
        for address in addresses:
            if len(address) == length and row.takes_next_hop(address, extended=extended):
                both = address + link.link_local if is_on_link(address, link.networks) else address
                return both if row.takes_next_hop(both, extended=extended) else address
    if family in _MAPPED_FAMILIES and len(local_address) == 4:
        return _MAPPED + local_address
    return b""
