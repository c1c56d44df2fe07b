"""What a node is to do, worked out of the cluster's state and the configuration: one value; pure."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.configuration import DECISION_SWITCHES
from calico_routing.model.bgp import DEFAULT, NODE_PREFIX
from calico_routing.model.pools import NEVER, TUNNEL
from calico_routing.peering import BGP_PORT, PeeringDefaults, addresses_of, peer_configurations
from pybgp.rib.aggregates import Aggregate
from pybgp.rib.decision import DecisionOptions
from pybgp.session.config import GracefulRestartConfig, LongLivedConfig, PeerConfig
from pybgp.session.route_options import PrefixLimit, RouteOptions
from pybgp.transport.dynamic_peers import DynamicPeers
from pybgp.transport.link_peers import LinkPeer
from pybgp.transport.peering import PeerPolicies
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import AddPathMode, Role
from pybgp.wire.negotiated import UpdateOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calico_routing.cluster_snapshot import ClusterSnapshot
    from calico_routing.configuration import BgpSettings, Configuration, PeerSettings
    from calico_routing.export_policy import ExportRules
    from calico_routing.model.nodes import Node
    from calico_routing.route_plan import PoolRule
    from pybgp.rib.policy import Policy

HASH: Final = "hash"
ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - every address, as BIRD does unless bindMode says otherwise
ANY_IPV6: Final = "::"
BIND_NODE_IP: Final = "NodeIP"
DEFAULT_TUNNEL_MTU: Final = 1440
BLOCK_LABEL: Final = "block"
TUNNEL_LABEL: Final = "tunnel"
NETWORK_LABEL: Final = "network"
#: BIRD's order: device 240, static 200, BGP 100, kernel 10 (spec section 4.6).
PREFERENCES: Final = {TUNNEL_LABEL: 240, BLOCK_LABEL: 200, NETWORK_LABEL: 200}


class SpeakerKey(NamedTuple):
    """What a speaker cannot change while it runs."""

    local_as: int
    router_id: str
    listen: tuple[tuple[str, int], ...]
    addresses: tuple[str, ...] = ()
    #: Of a route reflector; empty: the router id.
    cluster_id: str = ""
    #: The AS that the world sees, and the other member ASes of it; 0: our own AS.
    confederation: int = 0
    confederation_members: tuple[int, ...] = ()
    decision: DecisionOptions = DecisionOptions()


class TunnelWish(NamedTuple):
    """How the tunnel device should be; an mtu of 0 is derived from the host's devices."""

    wanted: bool = False
    address: str = ""
    mtu: int = DEFAULT_TUNNEL_MTU


class PolicyPlan(NamedTuple):
    """The policies of the configuration: for all peers, and for those that have their own."""

    import_policy: Policy | None = None
    export_policy: Policy | None = None
    peers: Mapping[str, PeerPolicies] = {}
    #: What is written to the kernel (None: all that have a way), and what is announced of it (those inside the pools).
    kernel_export: Policy | None = None
    kernel_import: Policy | None = None
    #: Whether a plain router passes routes from one external peer to another where no export policy says.
    transit: bool = False


class NodePlan(NamedTuple):
    """Everything the daemon applies; equal plans need no action."""

    speaker: SpeakerKey
    peers: Mapping[str, PeerConfig] = {}
    #: Prefixes that neighbours may come from unannounced.
    dynamic: Mapping[str, DynamicPeers] = {}
    #: Neighbours that are found on an interface.
    links: Mapping[str, LinkPeer] = {}
    #: (prefix, label) of what is announced whatever the kernel says.
    announcements: frozenset[tuple[str, str]] = frozenset()
    aggregates: tuple[Aggregate, ...] = ()
    #: None: a plain router, whose export policy looks at sources only.
    export: ExportRules | None = None
    policies: PolicyPlan = PolicyPlan()
    pools: tuple[PoolRule, ...] = ()
    own_networks: tuple[str, ...] = ()
    own_addresses: frozenset[str] = frozenset()
    own_blocks: tuple[str, ...] = ()
    tunnel: TunnelWish = TunnelWish()
    ignored_interfaces: tuple[str, ...] = ()
    #: What decides about the tunnel address; a change makes it be looked at again (spec section 2.8).
    tunnel_address_key: tuple[object, ...] = ()

    @property
    def neighbors(self) -> tuple[Mapping[str, object], ...]:
        """Everybody that the speaker may have a session with."""
        return self.peers, self.dynamic, self.links


class PlanError(Exception):
    """The cluster's state gives this node nothing to work with."""


def router_id(setting: str, node_name: str, ipv4_address: str) -> str:
    """Return the router id: as set, a hash of the node's name, or its IPv4 address (spec section 4.2)."""
    if setting == HASH:
        octets = bytearray(hashlib.sha256(node_name.encode()).digest()[:4])
        if octets[0] > 223:
            octets[0] -= 32
        return str(ipaddress.IPv4Address(bytes(octets)))
    address = setting or ipv4_address.partition("/")[0]
    if not address:
        raise PlanError('node.router_id (CALICO_ROUTER_ID): expected an IPv4 address or "hash" on a node without IPv4')
    return address


def plan_node(snapshot: ClusterSnapshot, configuration: Configuration) -> NodePlan:
    """Plan a Calico node."""
    own = snapshot.own_node
    if own is None:
        raise PlanError(f"node {snapshot.node_name} is not in the datastore")
    key = SpeakerKey(
        snapshot.as_number(own),
        router_id(configuration.node.router_id, own.name, own.ipv4_address),
        _listen(snapshot, own, configuration),
        addresses_of(own),
        own.route_reflector_cluster_id or configuration.bgp.cluster_id,
        configuration.bgp.confederation or 0,
        configuration.bgp.confederation_members,
        decision_options(configuration.bgp),
    )
    networks = frozenset(configuration.bgp.networks)
    rules = snapshot.export_rules()
    return NodePlan(
        key,
        peers=_node_peers(snapshot, configuration, key),
        dynamic=_dynamic_peers(configuration, key),
        links=_link_peers(configuration, key),
        announcements=_announcements(snapshot, own) | {(network, NETWORK_LABEL) for network in networks},
        aggregates=_aggregates(configuration),
        export=rules._replace(pools=rules.pools | networks),
        policies=policy_plan(configuration),
        pools=snapshot.pool_rules(),
        own_networks=tuple(text for text in (own.ipv4_address, own.ipv6_address) if text),
        own_addresses=frozenset((*addresses_of(own), own.ipv4_ipip_tunnel_address)) - {""},
        own_blocks=snapshot.blocks(),
        tunnel=_tunnel(snapshot, own, configuration),
        ignored_interfaces=(*snapshot.bgp.ignored_interfaces, *configuration.kernel.ignored_interfaces),
        tunnel_address_key=_tunnel_address_key(snapshot, own),
    )


def plan_router(configuration: Configuration, ipv4_address: str) -> NodePlan:
    """Plan a plain BGP router of `[[peer]]` tables."""
    settings = [*configuration.peers, *configuration.templates]
    first = next((peer.local_as for peer in settings if peer.local_as is not None), None)
    local_as = configuration.node.as_number or first
    if local_as is None:
        raise PlanError("node.as_number (AS): expected an AS number, because there is no datastore")
    port = configuration.bgp.listen_port or BGP_PORT
    ipv6 = any(":" in peer.address for peer in settings)
    identity = router_id(configuration.node.router_id, configuration.node.name, ipv4_address)
    listen = _listen_at(configuration.bgp.listen_addresses, port, ipv6=ipv6)
    bgp = configuration.bgp
    confederation = (bgp.confederation or 0, bgp.confederation_members)
    key = SpeakerKey(local_as, identity, listen, (), bgp.cluster_id, *confederation, decision_options(bgp))
    return NodePlan(
        key,
        peers=_static_peers(configuration, key),
        dynamic=_dynamic_peers(configuration, key),
        links=_link_peers(configuration, key),
        announcements=frozenset((network, NETWORK_LABEL) for network in bgp.networks),
        aggregates=_aggregates(configuration),
        policies=policy_plan(configuration),
        own_addresses=frozenset((ipv4_address.partition("/")[0],)) - {""},
    )


def policy_plan(configuration: Configuration) -> PolicyPlan:
    """Return the policies that the configuration names."""
    known, bgp = configuration.policies, configuration.bgp
    peers = {
        peer_name(peer): PeerPolicies(known.get(peer.import_policy), known.get(peer.export_policy))
        for peer in (*configuration.peers, *configuration.templates)
        if peer.import_policy or peer.export_policy
    }
    kernel = configuration.kernel
    return PolicyPlan(
        known.get(bgp.import_policy),
        known.get(bgp.export_policy),
        peers,
        known.get(kernel.export_policy),
        known.get(kernel.import_policy),
        bgp.transit,
    )


def _aggregates(configuration: Configuration) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(one.prefix, one.summary_only, one.communities) for one in configuration.aggregates)


def decision_options(bgp: BgpSettings) -> DecisionOptions:
    """Return the switches of the decision process."""
    return DecisionOptions(**{name: getattr(bgp, name) for name in DECISION_SWITCHES})


def peer_name(peer: PeerSettings) -> str:
    """Return what a static peer is called."""
    return peer.name or peer.address


def _listen(snapshot: ClusterSnapshot, own: Node, configuration: Configuration) -> tuple[tuple[str, int], ...]:
    port = snapshot.listen_port(own.name) or configuration.bgp.listen_port or BGP_PORT
    if snapshot.bgp.bind_mode == BIND_NODE_IP:
        return tuple((address, port) for address in addresses_of(own))
    return _listen_at(configuration.bgp.listen_addresses, port, ipv6=bool(own.ipv6_address))


def _listen_at(addresses: tuple[str, ...], port: int, *, ipv6: bool) -> tuple[tuple[str, int], ...]:
    chosen = addresses or ((ANY_IPV4, ANY_IPV6) if ipv6 else (ANY_IPV4,))
    return tuple((address, port) for address in chosen)


def _announcements(snapshot: ClusterSnapshot, own: Node) -> frozenset[tuple[str, str]]:
    """Own blocks, and the tunnel address, which may be borrowed (BIRD learns it from the device)."""
    announced = {(block, BLOCK_LABEL) for block in snapshot.blocks()}
    if own.ipv4_ipip_tunnel_address:
        announced.add((f"{own.ipv4_ipip_tunnel_address}/32", TUNNEL_LABEL))
    return frozenset(announced)


def peering_defaults(configuration: Configuration, node_name: str, identity: str) -> PeeringDefaults:
    """Return what every session has unless a resource says otherwise."""
    bgp = configuration.bgp
    return PeeringDefaults(
        router_id=int(ipaddress.IPv4Address(identity)),
        hold_time=bgp.hold_time,
        connect_retry_time=bgp.connect_retry_time,
        restart_time=bgp.restart_time if bgp.graceful_restart else None,
        hostname=node_name or None,
        secrets=configuration.secrets,
    )


def _node_peers(snapshot: ClusterSnapshot, configuration: Configuration, key: SpeakerKey) -> dict[str, PeerConfig]:
    """A static peer takes the place of whatever the cluster says about its address."""
    defaults = peering_defaults(configuration, snapshot.node_name, key.router_id)
    static = _static_peers(configuration, key)
    taken = {peer.address for peer in static.values()}
    found = peer_configurations(snapshot, defaults)
    return {name: _in_confederation(peer, key) for name, peer in found.items() if peer.address not in taken} | static


def _static_peers(configuration: Configuration, key: SpeakerKey) -> dict[str, PeerConfig]:
    return {
        peer_name(peer): _in_confederation(_static_peer(peer, configuration, key), key) for peer in configuration.peers
    }


def _dynamic_peers(configuration: Configuration, key: SpeakerKey) -> dict[str, DynamicPeers]:
    return {
        one.name: DynamicPeers(
            one.prefix, _in_confederation(_static_peer(one.peer, configuration, key), key), limit=one.limit
        )
        for one in configuration.dynamic
    }


def _link_peers(configuration: Configuration, key: SpeakerKey) -> dict[str, LinkPeer]:
    """Both families run over a link, IPv4 with next hops of IPv6 (RFC 8950), unless the table names others."""
    found = {}
    for one in configuration.links:
        families = one.peer.families or ("ipv4-unicast", "ipv6-unicast")
        template = _static_peer(replace(one.peer, families=families), configuration, key)
        extended = tuple(family for family in template.families if family == IPV4_UNICAST)
        template = _in_confederation(replace(template, extended_next_hop=extended), key)
        found[one.name] = LinkPeer(one.interface, template)
    return found


def _in_confederation(peer: PeerConfig, key: SpeakerKey) -> PeerConfig:
    """Show the confederation to peers outside, the member AS to those inside (RFC 5065 section 4)."""
    if not key.confederation or peer.local_as != key.local_as:
        return peer
    if peer.remote_as in {key.local_as, *key.confederation_members}:
        return replace(peer, confederation=True)
    return replace(peer, local_as=key.confederation)


def _static_peer(peer: PeerSettings, configuration: Configuration, key: SpeakerKey) -> PeerConfig:
    bgp = configuration.bgp
    families = tuple({"ipv4-unicast": IPV4_UNICAST, "ipv6-unicast": IPV6_UNICAST}[name] for name in peer.families)
    families = families or (IPV6_UNICAST if ":" in peer.address else IPV4_UNICAST,)
    add_path = AddPathMode.RECEIVE * peer.add_path_receive | AddPathMode.SEND * bool(peer.add_path_send)
    return PeerConfig(
        address=peer.address,
        remote_as=peer.remote_as,
        local_as=peer.local_as or key.local_as,
        router_id=int(ipaddress.IPv4Address(key.router_id)),
        local_address=peer.local_address,
        port=peer.port,
        passive=peer.passive,
        families=families,
        add_path=tuple((family, AddPathMode(add_path)) for family in families) if add_path else (),
        description=peer.description,
        hold_time=peer.hold_time if peer.hold_time is not None else bgp.hold_time,
        connect_retry_time=bgp.connect_retry_time,
        graceful_restart=GracefulRestartConfig(bgp.restart_time) if bgp.graceful_restart else None,
        long_lived=_long_lived(peer, bgp),
        password=peer.password,
        ttl_security_hops=peer.ttl_security_hops,
        keepalive_time=_keepalive_time(peer, bgp.hold_time),
        routes=_route_options(peer),
        role=Role[peer.role.upper().replace("-", "_")] if peer.role else None,
        strict_role=peer.strict_role,
        update_options=UpdateOptions(check_first_as=peer.enforce_first_as),
    )


def _long_lived(peer: PeerSettings, bgp: BgpSettings) -> LongLivedConfig | None:
    """Long-lived graceful restart needs the short-lived one; a peer's 0 switches it off for that peer.

    The time is what is asked for our routes, and the most that theirs are kept.
    """
    seconds = peer.long_lived_stale_time if peer.long_lived_stale_time is not None else bgp.long_lived_stale_time
    return LongLivedConfig(seconds, maximum_stale_time=seconds) if seconds and bgp.graceful_restart else None


def _keepalive_time(peer: PeerSettings, hold_time: int) -> int | None:
    """A time that the hold time has no room for counts for nothing: after a reload the file may have another one."""
    seconds = peer.keepalive_time
    limit = peer.hold_time if peer.hold_time is not None else hold_time
    return seconds if seconds is not None and seconds < limit else None


def _route_options(peer: PeerSettings) -> RouteOptions:
    limit = None
    if peer.prefix_limit is not None:
        limit = PrefixLimit(
            peer.prefix_limit, discard=peer.prefix_limit_discard, restart_time=peer.prefix_limit_restart_time
        )
    return RouteOptions(
        allow_own_as=peer.allow_own_as,
        local_as_mode=peer.local_as_mode,
        as_override=peer.as_override,
        private_as=peer.private_as,
        next_hop=peer.next_hop,
        reflector_client=peer.reflector_client,
        route_server_client=peer.route_server_client,
        per_client_best=peer.per_client_best,
        default_originate=peer.default_originate,
        conditions=peer.conditions,
        send_stale=peer.send_stale,
        aigp=peer.aigp,
        receive_limit=limit,
        send_limit=peer.send_limit,
        third_party_next_hop=peer.third_party_next_hop,
        validate_flow_rules=peer.validate_flow_rules,
        add_path_send=peer.add_path_send or "best",
    )


def _tunnel(snapshot: ClusterSnapshot, own: Node, configuration: Configuration) -> TunnelWish:
    wanted = any(pool.ipip_mode != NEVER and not pool.is_ipv6 for pool in snapshot.pools.values())
    mtu = configuration.kernel.tunnel_mtu
    for name in (NODE_PREFIX + own.name, DEFAULT):
        felix = snapshot.felix_configurations.get(name)
        if mtu is None and felix is not None:
            mtu = felix.ipip_mtu
    return TunnelWish(wanted, own.ipv4_ipip_tunnel_address, DEFAULT_TUNNEL_MTU if mtu is None else mtu)


def _tunnel_address_key(snapshot: ClusterSnapshot, own: Node) -> tuple[object, ...]:
    pools = sorted(
        (pool.cidr, pool.ipip_mode, pool.disabled, pool.node_selector, TUNNEL in pool.allowed_uses)
        for pool in snapshot.pools.values()
        if not pool.is_ipv6
    )
    return (*pools, own.ipv4_ipip_tunnel_address, tuple(sorted(own.metadata.labels.items())))
