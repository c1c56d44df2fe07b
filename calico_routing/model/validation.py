"""The rules of each kind of resource, its defaults, and what may not change (spec/calico.md sections 1.2 to 1.6)."""

from __future__ import annotations

from calico_routing.model.allocation import (
    CONFIRMED,
    HOST,
    PENDING,
    PENDING_DELETION,
    VIRTUAL,
    BlockAffinity,
    IPAMBlock,
    IPAMConfig,
    IPAMHandle,
)
from calico_routing.model.bgp import DEFAULT, BGPConfiguration, BGPPeer
from calico_routing.model.blocks import parse_address, parse_network
from calico_routing.model.durations import parse_duration
from calico_routing.model.errors import Problem, ValidationError
from calico_routing.model.fields import field_path
from calico_routing.model.names import LONGEST_NAME, affinity_name, cidr_name, handle_name
from calico_routing.model.nodes import Node
from calico_routing.model.pools import (
    AUTOMATIC,
    BLOCK_SIZES,
    DEFAULT_BLOCK_SIZE,
    ENCAPSULATION_MODES,
    LOAD_BALANCER,
    MANUAL,
    NEVER,
    TUNNEL,
    WORKLOAD,
    IPPool,
    IPReservation,
)
from calico_routing.model.selectors import parse_selector
from calico_routing.model.workloads import WorkloadEndpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Final, TypeVar

    from calico_routing.model.blocks import Network
    from calico_routing.model.resource import Resource

    R = TypeVar("R", bound=Resource)

NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:@+~")
HIGHEST_AS_NUMBER = 0xFFFFFFFF
LINK_LOCAL = (parse_network("169.254.0.0/16"), parse_network("fe80::/10"))


class Problems:
    """Collects what is wrong with one resource."""

    __slots__ = ("found", "kind")

    def __init__(self, resource: Resource) -> None:
        """Start with nothing wrong."""
        self.kind = type(resource)
        self.found: list[Problem] = []

    def add(self, attribute: str, reason: str, value: object) -> None:
        """Say what is wrong with an attribute."""
        self.found.append(Problem(field=field_path(self.kind, attribute), reason=reason, value=value))

    def check(self, attribute: str, value: str, parse: Callable[[str], object], wanted: str) -> bool:
        """Report text that cannot be parsed; empty text is not set."""
        if not value:
            return True
        try:
            parse(value)
        except ValueError:
            self.add(attribute, f"must be {wanted}", value)
            return False
        return True

    def one_of(self, attribute: str, value: str, allowed: Sequence[str]) -> None:
        """Report text that is none of the allowed words; empty text is not set."""
        if value and value not in allowed:
            self.add(attribute, f"must be one of {', '.join(allowed)}", value)

    def number(self, attribute: str, value: int | None, lowest: int, highest: int) -> None:
        """Report a number outside its bounds; None is not set."""
        if value is not None and not lowest <= value <= highest:
            self.add(attribute, f"must be in {lowest}..{highest}", value)

    def exclusive(self, *attributes: tuple[str, object]) -> None:
        """Report the second and later of attributes of which only one may be set."""
        given = [(attribute, value) for attribute, value in attributes if value]
        for attribute, value in given[1:]:
            self.add(attribute, f"cannot be set together with {given[0][0]}", value)


def with_defaults(resource: R) -> R:
    """Fill in the defaults that are applied on write and on read."""
    return resource.replace(**_pool_defaults(resource)) if isinstance(resource, IPPool) else resource


def _pool_defaults(pool: IPPool) -> dict[str, object]:
    changes: dict[str, object] = {}
    if not pool.block_size:
        changes["block_size"] = DEFAULT_BLOCK_SIZE[pool.is_ipv6]
    defaults = {"ipip_mode": NEVER, "vxlan_mode": NEVER, "node_selector": "all()", "assignment_mode": AUTOMATIC}
    changes.update({field: value for field, value in defaults.items() if not getattr(pool, field)})
    if not pool.allowed_uses:
        changes["allowed_uses"] = (WORKLOAD, TUNNEL)
    return changes


def subject_of(resource: Resource) -> str:
    """Name a resource in messages."""
    place = f"{resource.namespace}/" if resource.namespace else ""
    return f"{resource.KIND} {place}{resource.name or '(no name)'}"


def validate(resource: Resource, others: Iterable[IPPool] | None = None) -> None:
    """Raise ValidationError with everything that is wrong; ``others`` are the pools that a new one may not overlap."""
    problems = Problems(resource)
    _check_metadata(resource, problems)
    check = CHECKS.get(type(resource))
    if check is not None:
        check(resource, problems)
    if isinstance(resource, IPPool) and others is not None and not problems.found:
        _check_overlap(resource, others, problems)
    if problems.found:
        raise ValidationError(subject_of(resource), problems.found)


def validate_update(old: Resource, new: Resource) -> None:
    """Raise ValidationError if the new value is wrong or changes what cannot change."""
    validate(new)
    problems = Problems(new)
    if isinstance(new, IPPool) and isinstance(old, IPPool):
        if new.cidr != old.cidr:
            problems.add("cidr", "IPPool CIDR cannot be modified", new.cidr)
        if new.block_size != old.block_size:
            problems.add("block_size", "IPPool blockSize cannot be modified", new.block_size)
        if LOAD_BALANCER in old.allowed_uses and LOAD_BALANCER not in new.allowed_uses:
            problems.add("allowed_uses", "cannot be changed away from LoadBalancer", list(new.allowed_uses))
    if problems.found:
        raise ValidationError(subject_of(new), problems.found)


def _check_metadata(resource: Resource, problems: Problems) -> None:
    name = resource.name
    if not name or len(name) > LONGEST_NAME or not NAME_CHARACTERS.issuperset(name):
        reason = f"must be 1..{LONGEST_NAME} letters, digits, '-', '.', '_' and the like"
        problems.add("metadata.name", reason, name)
    if bool(resource.namespace) is not resource.NAMESPACED:
        reason = "is required" if resource.NAMESPACED else "must be empty: the kind is cluster-wide"
        problems.add("metadata.namespace", reason, resource.namespace)
    if not NAME_CHARACTERS.issuperset(resource.namespace):
        problems.add("metadata.namespace", "must be letters, digits and '-'", resource.namespace)


def _parse_cidr(text: str) -> Network:
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length")
    return parse_network(text)


def _parse_host_cidr(text: str, version: int) -> None:
    if "/" not in text or parse_network(text, strict=False).version != version:
        raise ValueError(f"{text!r} is not an IPv{version} address with prefix length")


def _parse_address_of(text: str, version: int) -> None:
    if parse_address(text)[0] != version:
        raise ValueError(f"{text!r} is not IPv{version}")


def _parse_any_cidr(text: str) -> None:
    parse_network(text)


def _check_pool(pool: IPPool, problems: Problems) -> None:
    if not pool.cidr:
        problems.add("cidr", "is required", pool.cidr)
        return
    if not problems.check("cidr", pool.cidr, _parse_cidr, "a CIDR without host bits"):
        return
    network = _parse_cidr(pool.cidr)
    if any(network.overlaps(reserved) for reserved in LINK_LOCAL):
        problems.add("cidr", "must not overlap link-local addresses", pool.cidr)
    sizes = BLOCK_SIZES[network.is_ipv6]
    if pool.block_size not in sizes:
        problems.add("block_size", f"must be in {sizes[0]}..{sizes[-1]} for IPv{network.version}", pool.block_size)
    elif network.length > pool.block_size and not pool.disabled:
        problems.add("block_size", f"must not be less than the prefix length of {pool.cidr}", pool.block_size)
    _check_encapsulation(pool, network, problems)
    problems.check("node_selector", pool.node_selector, parse_selector, "a selector")
    problems.check("namespace_selector", pool.namespace_selector, parse_selector, "a selector")
    if "global()" in pool.node_selector:
        problems.add("node_selector", "must not use global()", pool.node_selector)
    problems.one_of("assignment_mode", pool.assignment_mode, (AUTOMATIC, MANUAL))
    _check_uses(pool, problems)


def _check_encapsulation(pool: IPPool, network: Network, problems: Problems) -> None:
    problems.one_of("ipip_mode", pool.ipip_mode, ENCAPSULATION_MODES)
    problems.one_of("vxlan_mode", pool.vxlan_mode, ENCAPSULATION_MODES)
    if network.is_ipv6 and pool.ipip_mode != NEVER:
        problems.add("ipip_mode", "must be Never for IPv6", pool.ipip_mode)
    if NEVER not in {pool.ipip_mode, pool.vxlan_mode}:
        problems.add("vxlan_mode", "must be Never when ipipMode is not", pool.vxlan_mode)


def _check_uses(pool: IPPool, problems: Problems) -> None:
    uses = list(pool.allowed_uses)
    if not set(uses) <= {WORKLOAD, TUNNEL, LOAD_BALANCER}:
        problems.add("allowed_uses", "must be of Workload, Tunnel, LoadBalancer", uses)
    if TUNNEL in uses and pool.namespace_selector:
        problems.add("namespace_selector", "cannot be used with allowedUses Tunnel", pool.namespace_selector)
    if LOAD_BALANCER not in uses:
        return
    if len(uses) > 1:
        problems.add("allowed_uses", "LoadBalancer cannot be combined with other uses", uses)
    if (pool.ipip_mode, pool.vxlan_mode) != (NEVER, NEVER):
        problems.add("allowed_uses", "LoadBalancer cannot be combined with ipipMode or vxlanMode", uses)
    if pool.disable_bgp_export:
        problems.add("disable_bgp_export", "cannot be used with allowedUses LoadBalancer", pool.disable_bgp_export)
    if pool.node_selector != "all()":
        problems.add("node_selector", "must be all() with allowedUses LoadBalancer", pool.node_selector)


def _check_overlap(pool: IPPool, others: Iterable[IPPool], problems: Problems) -> None:
    network = parse_network(pool.cidr)
    for other in others:
        if other.name != pool.name and network.overlaps(parse_network(other.cidr, strict=False)):
            problems.add("cidr", f"overlaps IPPool {other.name} ({other.cidr})", pool.cidr)


def _check_reservation(reservation: IPReservation, problems: Problems) -> None:
    for cidr in reservation.reserved_cidrs:
        problems.check("reserved_cidrs", cidr, _parse_any_cidr, "CIDRs without host bits")


def _check_block(block: IPAMBlock, problems: Problems) -> None:
    if not problems.check("cidr", block.cidr, _parse_cidr, "a CIDR without host bits"):
        return
    if block.name != cidr_name(block.cidr):
        problems.add("metadata.name", f"must be {cidr_name(block.cidr)}", block.name)
    kind, _, owner = (block.affinity or "host:x").partition(":")
    if kind not in {HOST, VIRTUAL} or not owner:
        problems.add("affinity", "must be host:<node> or virtual:<name>", block.affinity)


def _check_affinity(affinity: BlockAffinity, problems: Problems) -> None:
    if not problems.check("cidr", affinity.cidr, _parse_cidr, "a CIDR without host bits"):
        return
    if affinity.name != affinity_name(affinity.node, affinity.cidr):
        problems.add("metadata.name", f"must be {affinity_name(affinity.node, affinity.cidr)}", affinity.name)
    problems.one_of("state", affinity.state, (PENDING, CONFIRMED, PENDING_DELETION))
    problems.one_of("type", affinity.type, (HOST, VIRTUAL))


def _check_handle(handle: IPAMHandle, problems: Problems) -> None:
    if handle.name != handle_name(handle.handle_id):
        problems.add("metadata.name", f"must be {handle_name(handle.handle_id)}", handle.name)
    for cidr, count in handle.block.items():
        if count < 0:
            problems.add("block", f"must not count less than none for {cidr}", count)


def _check_ipam_config(config: IPAMConfig, problems: Problems) -> None:
    if config.name != DEFAULT:
        problems.add("metadata.name", f"must be {DEFAULT}", config.name)
    if not config.strict_affinity and not config.auto_allocate_blocks:
        problems.add("auto_allocate_blocks", "cannot be false unless strictAffinity is true", False)
    if config.max_blocks_per_host and not config.strict_affinity:
        problems.add("max_blocks_per_host", "needs strictAffinity", config.max_blocks_per_host)
    if config.max_blocks_per_host < 0:
        problems.add("max_blocks_per_host", "must not be negative", config.max_blocks_per_host)


def _check_node(node: Node, problems: Problems) -> None:
    problems.check("ipv4_address", node.ipv4_address, lambda text: _parse_host_cidr(text, 4), "an IPv4 CIDR")
    problems.check("ipv6_address", node.ipv6_address, lambda text: _parse_host_cidr(text, 6), "an IPv6 CIDR")
    for attribute in ("ipv4_ipip_tunnel_address", "ipv4_vxlan_tunnel_address", "route_reflector_cluster_id"):
        value: str = getattr(node, attribute)
        problems.check(attribute, value, lambda text: _parse_address_of(text, 4), "an IPv4 address")
    problems.number("as_number", node.as_number, 1, HIGHEST_AS_NUMBER)


def _check_bgp_configuration(configuration: BGPConfiguration, problems: Problems) -> None:
    if configuration.name != DEFAULT and not configuration.name.startswith("node."):
        problems.add("metadata.name", "must be default or node.<nodename>", configuration.name)
    _check_default_only(configuration, problems)
    problems.number("as_number", configuration.as_number, 1, HIGHEST_AS_NUMBER)
    problems.number("listen_port", configuration.listen_port, 1, 65535)
    problems.one_of("bind_mode", configuration.bind_mode, ("None", "NodeIP"))
    aggregation = configuration.service_load_balancer_aggregation
    problems.one_of("service_load_balancer_aggregation", aggregation, ("Enabled", "Disabled"))
    for attribute in ("service_cluster_ips", "service_external_ips", "service_load_balancer_ips"):
        for cidr in getattr(configuration, attribute):
            problems.check(attribute, cidr or "(empty)", _parse_any_cidr, "CIDRs without host bits")
    _check_communities(configuration, problems)
    restart_time = configuration.node_mesh_max_restart_time
    problems.check("node_mesh_max_restart_time", restart_time, parse_duration, "a duration")


def _check_default_only(configuration: BGPConfiguration, problems: Problems) -> None:
    if configuration.name != DEFAULT:
        if configuration.as_number is not None:
            problems.add("as_number", f"can only be set on {DEFAULT}", configuration.as_number)
        if configuration.node_to_node_mesh_enabled is not None:
            mesh = configuration.node_to_node_mesh_enabled
            problems.add("node_to_node_mesh_enabled", f"can only be set on {DEFAULT}", mesh)
    elif not configuration.mesh_enabled:
        for attribute in ("node_mesh_password", "node_mesh_max_restart_time"):
            if value := getattr(configuration, attribute):
                problems.add(attribute, "needs nodeToNodeMeshEnabled", value)


def _check_communities(configuration: BGPConfiguration, problems: Problems) -> None:
    names = {community.name for community in configuration.communities}
    for community in configuration.communities:
        if not community.name or not is_community_value(community.value):
            value = f"{community.name}={community.value}"
            problems.add("communities", "must have a name and a value aa:nn or aa:nn:mm", value)
    if configuration.communities and not configuration.prefix_advertisements:
        problems.add("communities", "needs prefixAdvertisements", sorted(names))
    for advertisement in configuration.prefix_advertisements:
        problems.check("prefix_advertisements", advertisement.cidr or "(empty)", _parse_any_cidr, "CIDRs")
        for community_name in advertisement.communities:
            if community_name not in names and not is_community_value(community_name):
                problems.add("prefix_advertisements", "names a community that is not defined", community_name)


def is_community_value(text: str) -> bool:
    """Tell whether text is a community ``aa:nn`` (16 bits each) or a large one ``aa:nn:mm`` (32 bits each)."""
    parts = text.split(":")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return False
    highest = {2: 0xFFFF, 3: 0xFFFFFFFF}.get(len(parts))
    return highest is not None and all(int(part) <= highest for part in parts)


def parse_peer_address(text: str) -> tuple[str, int | None]:
    """Return address and port of a BGPPeer's peerIP: ``1.2.3.4``, ``1.2.3.4:1179``, ``[fd00::1]:1179``; ValueError."""
    address, port = text, ""
    if text.startswith("["):
        address, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")) or parse_address(address)[0] != 6:
            raise ValueError(f"{text!r} is not an address with port")
        port = port.removeprefix(":") or ("bad" if port else "")
    elif text.count(":") == 1:
        address, port = text.split(":")
        port = port or "bad"
    parse_address(address)
    if not port:
        return address, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} has no port in 1..65535")
    return address, int(port)


def _check_bgp_peer(peer: BGPPeer, problems: Problems) -> None:
    problems.exclusive(("node", peer.node), ("node_selector", peer.node_selector))
    workload = peer.local_workload_selector
    problems.exclusive(("local_workload_selector", workload), ("peer_ip", peer.peer_ip))
    problems.exclusive(("local_workload_selector", workload), ("peer_selector", peer.peer_selector))
    problems.exclusive(("peer_selector", peer.peer_selector), ("peer_ip", peer.peer_ip))
    problems.exclusive(("peer_selector", peer.peer_selector), ("as_number", peer.as_number))
    problems.exclusive(("keep_original_next_hop", peer.keep_original_next_hop), ("next_hop_mode", peer.next_hop_mode))
    if not (peer.peer_ip or peer.peer_selector or workload):
        problems.add("peer_ip", "is required unless peerSelector or localWorkloadSelector is set", peer.peer_ip)
    if peer.as_number is None and (peer.peer_ip or workload):
        problems.add("as_number", "is required with peerIP or localWorkloadSelector", None)
    problems.check("peer_ip", peer.peer_ip, parse_peer_address, "an address, with a port if it is not 179")
    for attribute in ("node_selector", "peer_selector", "local_workload_selector"):
        problems.check(attribute, getattr(peer, attribute), parse_selector, "a selector")
    for attribute in ("as_number", "local_as_number"):
        problems.number(attribute, getattr(peer, attribute), 1, HIGHEST_AS_NUMBER)
    _check_session_options(peer, problems)


def _check_session_options(peer: BGPPeer, problems: Problems) -> None:
    problems.one_of("next_hop_mode", peer.next_hop_mode, ("Auto", "Self", "Keep"))
    problems.one_of("source_address", peer.source_address, ("UseNodeIP", "None"))
    problems.one_of("reverse_peering", peer.reverse_peering, ("Auto", "Manual"))
    problems.check("max_restart_time", peer.max_restart_time, parse_duration, "a duration")
    problems.check("keepalive_time", peer.keepalive_time, parse_duration, "a duration")
    problems.number("ttl_security", peer.ttl_security, 1, 255)
    problems.number("num_allowed_local_as_numbers", peer.num_allowed_local_as_numbers, 0, 255)
    if peer.password and not (peer.password.name and peer.password.key):
        problems.add("password", "needs secretKeyRef.name and secretKeyRef.key", peer.password)
    if peer.reachable_by and not peer.peer_ip:
        problems.add("reachable_by", "needs peerIP", peer.reachable_by)
    elif peer.reachable_by and (":" in peer.reachable_by) is not (peer.peer_ip.count(":") > 1):
        problems.add("reachable_by", "must be of the family of peerIP", peer.reachable_by)
    problems.check("reachable_by", peer.reachable_by, parse_address, "an address")


def _check_endpoint(endpoint: WorkloadEndpoint, problems: Problems) -> None:
    for cidr in endpoint.ip_networks:
        try:
            single = parse_network(cidr).size == 1
        except ValueError:
            single = False
        if not single:
            problems.add("ip_networks", "must be /32 and /128 CIDRs", cidr)
    if len(endpoint.interface_name) > 15:
        problems.add("interface_name", "must have at most 15 characters", endpoint.interface_name)


CHECKS: Final[dict[type[Resource], Callable[[Any, Problems], None]]] = {  # Any: the kind that is the key
    IPPool: _check_pool,
    IPReservation: _check_reservation,
    IPAMBlock: _check_block,
    BlockAffinity: _check_affinity,
    IPAMHandle: _check_handle,
    IPAMConfig: _check_ipam_config,
    Node: _check_node,
    BGPConfiguration: _check_bgp_configuration,
    BGPPeer: _check_bgp_peer,
    WorkloadEndpoint: _check_endpoint,
}
