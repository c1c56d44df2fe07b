"""Who peers with whom: the mesh and BGPPeer resources become peer configurations; pure (spec sections 4.3 and 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.model.durations import parse_duration
from calico_routing.model.selectors import parse_selector
from pybgp.session.config import GracefulRestartConfig, PeerConfig
from pybgp.session.route_options import DEFAULT_ROUTE_OPTIONS, RouteOptions
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from calico_routing.cluster_snapshot import ClusterSnapshot
    from calico_routing.model.bgp import BGPPeer, SecretKey
    from calico_routing.model.nodes import Node
    from pybgp.session.route_options import NextHopMode

MESH: Final = "Mesh"
GLOBAL: Final = "Global"
NODE: Final = "Node"
MANUAL: Final = "Manual"
NO_SOURCE: Final = "None"
#: Calico's sessions are all multihop ones (spec section 4.2).
MULTIHOP_TTL: Final = 64
BGP_PORT: Final = 179
_NEXT_HOP_MODES: Final[Mapping[str, NextHopMode]] = {"Auto": "default", "Self": "self", "Keep": "keep"}
#: The most that a session can have (RFC 4724 section 3, RFC 5082), whatever a resource asks for.
LONGEST_RESTART_SECONDS: Final = 4095
MOST_HOPS: Final = 254


class PeeringDefaults(NamedTuple):
    """What every session of this node has unless a resource says otherwise."""

    router_id: int
    hold_time: int = 240
    connect_retry_time: float = 5.0
    #: None: graceful restart is switched off.
    restart_time: int | None = 120
    hostname: str | None = None
    #: Passwords by "name/key" of the secret that a resource refers to; one that is not there means no password.
    secrets: Mapping[str, str] = {}


class _End(NamedTuple):
    """One remote end of a session, before it is written down as a peer configuration."""

    kind: str
    address: str
    remote_as: int
    port: int | None = None
    passive: bool = False
    local_address: str | None = None
    local_as: int | None = None
    password: str | None = None
    restart_time: str = ""
    ttl_security_hops: int | None = None
    keepalive_time: str = ""
    routes: RouteOptions = DEFAULT_ROUTE_OPTIONS
    description: str = ""

    @property
    def name(self) -> str:
        """Return the session's name: kind, address with underscores, port if one is set."""
        address = self.address.replace(".", "_").replace(":", "_")
        suffix = f"_port_{self.port}" if self.port is not None and self.kind != MESH else ""
        return f"{self.kind}_{address}{suffix}"


def peer_configurations(snapshot: ClusterSnapshot, defaults: PeeringDefaults) -> dict[str, PeerConfig]:
    """Return the sessions of this node by name; a BGPPeer takes the place of a mesh session to the same address."""
    own = snapshot.own_node
    if own is None:
        return {}
    explicit = list(_explicit_ends(snapshot, own, defaults))
    taken = {end.address for end in explicit}
    mesh = [end for end in _mesh_ends(snapshot, own, defaults) if end.address not in taken]
    return {end.name: _configuration(end, snapshot.as_number(own), defaults) for end in (*mesh, *explicit)}


def is_passive(own_address: str, peer_address: str) -> bool:
    """Tell whether we wait for the peer to connect: the side whose address is the greater text connects (4.3)."""
    return peer_address > own_address


def _graceful_restart(seconds: int | None) -> GracefulRestartConfig | None:
    """Offer graceful restart as BIRD does: a silent peer's routes go when the hold time ends, not two minutes later.

    With RFC 8538's N bit a dead node would keep attracting its pods' packets for the whole restart time.
    """
    if seconds is None:
        return None
    return GracefulRestartConfig(min(seconds, LONGEST_RESTART_SECONDS), notification=False)


def _configuration(end: _End, own_as: int, defaults: PeeringDefaults) -> PeerConfig:
    seconds = int(parse_duration(end.restart_time)) if end.restart_time else defaults.restart_time
    return PeerConfig(
        address=end.address,
        remote_as=end.remote_as,
        local_as=end.local_as or own_as,
        router_id=defaults.router_id,
        local_address=end.local_address,
        port=end.port or BGP_PORT,
        passive=end.passive,
        call_at_start=end.passive,
        families=(IPV6_UNICAST if ":" in end.address else IPV4_UNICAST,),
        description=end.description,
        hostname=defaults.hostname,
        hold_time=defaults.hold_time,
        keepalive_time=_keepalive_time(end.keepalive_time, defaults.hold_time),
        routes=end.routes,
        connect_retry_time=defaults.connect_retry_time,
        graceful_restart=_graceful_restart(seconds) if defaults.restart_time is not None else None,
        password=end.password,
        ttl=None if end.ttl_security_hops is not None else MULTIHOP_TTL,
        ttl_security_hops=end.ttl_security_hops,
    )


def addresses_of(node: Node) -> tuple[str, ...]:
    """Return a node's addresses without prefix length, IPv4 first."""
    return tuple(text.partition("/")[0] for text in (node.ipv4_address, node.ipv6_address) if text)


def _own_address(own: Node, peer_address: str) -> str | None:
    """Return our address of the peer's family; without one there is no session (4.2)."""
    return next((address for address in addresses_of(own) if (":" in address) == (":" in peer_address)), None)


def _mesh_ends(snapshot: ClusterSnapshot, own: Node, defaults: PeeringDefaults) -> Iterator[_End]:
    bgp = snapshot.bgp
    if not bgp.mesh_enabled or own.route_reflector_cluster_id:
        return
    for node in snapshot.nodes.values():
        if node.name == own.name or node.route_reflector_cluster_id:
            continue
        for address in addresses_of(node):
            local = _own_address(own, address)
            if local is None or local == address:
                continue
            yield _End(
                MESH,
                address,
                snapshot.as_number(node),
                port=snapshot.listen_port(node.name),
                passive=is_passive(local, address),
                local_address=local,
                password=_password(bgp.node_mesh_password, defaults),
                restart_time=bgp.node_mesh_max_restart_time,
                description=node.name,
            )


def _explicit_ends(snapshot: ClusterSnapshot, own: Node, defaults: PeeringDefaults) -> Iterator[_End]:
    """Global peers before node peers, each as written before its mirror image; the first of an address wins (4.4)."""
    peers = [peer for peer in snapshot.bgp_peers.values() if not peer.local_workload_selector]
    everywhere = [peer for peer in peers if peer.is_global]
    somewhere = [peer for peer in peers if not peer.is_global]
    addressed: set[str] = set()
    for kind, group in ((GLOBAL, everywhere), (NODE, somewhere)):
        for expand in (_forward_ends, _reverse_ends):
            for peer in group:
                for end in expand(snapshot, own, peer, kind):
                    local = _own_address(own, end.address)
                    if local is None or end.address == local or end.address in addressed:
                        continue
                    addressed.add(end.address)
                    yield _dressed(end, peer, local, snapshot, defaults)


def _route_options(peer: BGPPeer, *, internal: bool, reflected: bool) -> RouteOptions:
    """Return what the resource says of next hops and own AS numbers (4.6); the old flag is for external peers only."""
    mode: NextHopMode = "keep" if peer.keep_original_next_hop and not internal else "default"
    mode = _NEXT_HOP_MODES.get(peer.next_hop_mode, mode)
    own_as_count = peer.num_allowed_local_as_numbers or 0
    return RouteOptions(allow_own_as=own_as_count, next_hop=mode, reflector_client=internal and reflected)


def _keepalive_time(text: str, hold_time: int) -> int | None:
    """Return the seconds of a duration; one that the hold time has no room for counts for nothing."""
    seconds = int(parse_duration(text)) if text else 0
    return seconds if 0 < seconds < hold_time else None


def _dressed(end: _End, peer: BGPPeer, local: str, snapshot: ClusterSnapshot, defaults: PeeringDefaults) -> _End:
    """Add what the resource says of the session, and which side connects."""
    own = snapshot.own_node
    own_as = snapshot.as_number(own) if own is not None else 0
    own_cluster = own.route_reflector_cluster_id if own is not None else ""
    at_address = [node for node in snapshot.nodes.values() if end.address in addresses_of(node)]
    in_cluster = any(node.route_reflector_cluster_id == own_cluster for node in at_address)
    internal = end.remote_as == (peer.local_as_number or own_as)
    return end._replace(
        passive=end.kind == GLOBAL and bool(at_address) and is_passive(local, end.address),
        local_address=None if peer.source_address == NO_SOURCE else local,
        local_as=peer.local_as_number,
        password=_password(peer.password, defaults),
        restart_time=peer.max_restart_time,
        ttl_security_hops=None if peer.ttl_security is None else min(peer.ttl_security, MOST_HOPS),
        keepalive_time=peer.keepalive_time,
        routes=_route_options(peer, internal=internal, reflected=bool(own_cluster) and not in_cluster),
        description=peer.name,
    )


def selected_nodes(snapshot: ClusterSnapshot, peer: BGPPeer) -> list[Node]:
    """Return the nodes that the resource is for."""
    if peer.node:
        return [node for node in snapshot.nodes.values() if node.name == peer.node]
    return list(matching(peer.node_selector, snapshot.nodes.values()))


def matching(selector: str, nodes: Iterable[Node]) -> Iterator[Node]:
    """Return the nodes whose labels a selector matches; an empty one matches all."""
    expression = parse_selector(selector)
    return (node for node in nodes if expression.matches(node.metadata.labels))


def _forward_ends(snapshot: ClusterSnapshot, own: Node, peer: BGPPeer, kind: str) -> Iterator[_End]:
    if own.name not in {node.name for node in selected_nodes(snapshot, peer)}:
        return
    if peer.peer_selector:
        for node in matching(peer.peer_selector, snapshot.nodes.values()):
            yield from _ends_at(snapshot, node, kind)
        return
    address, port = split_address(peer.peer_ip)
    remote_as = peer.as_number or snapshot.bgp.effective_as_number
    if port is None:
        found = _node_at(snapshot, address, remote_as)
        port = snapshot.listen_port(found.name) if found is not None else None
    yield _End(kind, address, remote_as, port)


def _reverse_ends(snapshot: ClusterSnapshot, own: Node, peer: BGPPeer, kind: str) -> Iterator[_End]:
    """If we are the remote end, the mirror image towards each node that the resource is for (4.4 step 3)."""
    if peer.reverse_peering != MANUAL and _is_remote_end(snapshot, own, peer):
        for node in selected_nodes(snapshot, peer):
            if node.name != own.name:
                yield from _ends_at(snapshot, node, kind)


def _is_remote_end(snapshot: ClusterSnapshot, own: Node, peer: BGPPeer) -> bool:
    if peer.peer_selector:
        return any(matching(peer.peer_selector, [own]))
    address, port = split_address(peer.peer_ip)
    remote_as = peer.as_number or snapshot.bgp.effective_as_number
    at_port = port is None or port == (snapshot.listen_port(own.name) or BGP_PORT)
    return at_port and address in addresses_of(own) and remote_as == snapshot.as_number(own)


def _ends_at(snapshot: ClusterSnapshot, node: Node, kind: str) -> Iterator[_End]:
    for address in addresses_of(node):
        yield _End(kind, address, snapshot.as_number(node), snapshot.listen_port(node.name))


def _node_at(snapshot: ClusterSnapshot, address: str, as_number: int) -> Node | None:
    nodes = (node for node in snapshot.nodes.values() if address in addresses_of(node))
    return next((node for node in nodes if snapshot.as_number(node) == as_number), None)


def _password(secret: SecretKey | None, defaults: PeeringDefaults) -> str | None:
    return None if secret is None else defaults.secrets.get(f"{secret.name}/{secret.key}")


def split_address(text: str) -> tuple[str, int | None]:
    """Split ``1.2.3.4:1179`` or ``[fd00::1]:1179`` into address and port."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, int(rest[1:]) if rest else None
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, int(port)
    return text, None
