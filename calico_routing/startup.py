"""What a node does before it routes: its name, its Node resource, the first pools, the defaults (spec section 5)."""

from __future__ import annotations

import ipaddress
import random
import re
import socket
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.autodetection import (
    Detected,
    MethodError,
    Surroundings,
    default_devices,
    detect,
    find_address,
    is_global_unicast,
    parse_method,
    with_host_length,
)
from calico_routing.configuration import Configuration, NodeSettings, PoolSettings, overlap
from calico_routing.datastore.interface import AlreadyExistsError, ConflictError, Datastore, NotFoundError
from calico_routing.model.bgp import DEFAULT, NODE_PREFIX, BGPConfiguration
from calico_routing.model.names import cidr_name
from calico_routing.model.pools import NEVER
from calico_routing.model.resources import (
    ClusterInformation,
    FelixConfiguration,
    IPAMConfig,
    IPPool,
    Metadata,
    Node,
    NodeInterface,
    OrchRef,
    Resource,
)
from calico_routing.model.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DEFAULT_POOL_NAMES: Final = {4: "default-ipv4-ippool", 6: "default-ipv6-ippool"}
#: The default IPv4 pool is the first of these that no address of the host lies in.
DEFAULT_IPV4_POOLS: Final = ("192.168.0.0/16", *(f"172.{second}.0.0/16" for second in range(16, 32)))
WRITE_ATTEMPTS: Final = 20
#: Nothing is ever sent there; the kernel only chooses a source address (spec section 5, can-reach).
REACH_PORT: Final = 80


class StartupError(Exception):
    """The node cannot start; one line says why, and nothing was written."""


class IdentityError(StartupError):
    """The node's name or address is missing or belongs to another node."""


class PoolError(StartupError):
    """A pool that was asked for cannot be made."""


def node_name(settings: NodeSettings, host_name: Callable[[], str] = socket.gethostname) -> str:
    """Return NODENAME, else what the nodename file says, else HOSTNAME or the host's name in lower case (D2)."""
    name = settings.name.strip() or _name_in_file(settings.nodename_file)
    name = name or settings.host_name.strip().lower() or host_name().strip().lower()
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", name):
        reason = f"{name!r} is no host name" if name else "the host has no name"
        raise IdentityError(f"node name: {reason}; set node.name (NODENAME) to letters, digits, dots and dashes")
    return name


def _name_in_file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise IdentityError(f"node name: {path} cannot be read: {error}") from error


def write_node_name(path: str, name: str) -> None:
    """Leave the node's name where CNI plugins look for it."""
    target = Path(path)
    with suppress(OSError, UnicodeDecodeError):
        if target.read_text("utf-8").strip() == name:
            return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.new")
        temporary.write_text(name, "utf-8")
        temporary.rename(target)
    except OSError as error:
        raise StartupError(f"node.nodename_file: {path} cannot be written: {error.strerror}") from error


def source_address(destination: str, version: int) -> str | None:
    """Return the address that the kernel would send from towards a host, or None if it knows no way."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((destination, REACH_PORT))
        except OSError:
            return None
        return str(probe.getsockname()[0])


class Addresses(NamedTuple):
    """The node's addresses with prefix lengths; empty text where it has none."""

    ipv4: str = ""
    ipv6: str = ""


def choose_addresses(settings: NodeSettings, stored: Addresses, around: Surroundings) -> Addresses:
    """Settle both addresses by IP and IP6; raises IdentityError if there is none at all."""
    ipv4 = _choose("IP", settings.ip, settings.ip_autodetection_method, 4, stored.ipv4, around)
    ipv6 = _choose("IP6", settings.ip6, settings.ip6_autodetection_method, 6, stored.ipv6, around)
    if not ipv4 and not ipv6:
        raise IdentityError("node address: none; set node.ip (IP) to an address or to autodetect")
    return Addresses(ipv4, ipv6)


def _choose(variable: str, text: str, method: str, version: int, stored: str, around: Surroundings) -> str:
    text = text.strip()
    if text == "none":
        return ""
    if not text and (stored or version == 6):
        return stored
    if text and text != "autodetect":
        return _given_address(variable, text, version, around)
    found = detect_address(variable, method, version, around)
    if found is None and not stored:
        raise IdentityError(f"node address: {variable}_AUTODETECTION_METHOD {method} finds no IPv{version} address")
    return stored if found is None else found.address


def detect_address(variable: str, method: str, version: int, around: Surroundings) -> Detected | None:
    """Detect by a method given as text; raises IdentityError for a method that does not exist."""
    try:
        return detect(parse_method(method), version, around)
    except MethodError as error:
        raise IdentityError(f"node address: {variable}_AUTODETECTION_METHOD: {error}") from error


@contextmanager
def _placed(configuration: Configuration, key: str) -> Iterator[None]:
    """Say in front of a complaint about a setting where it stands."""
    try:
        yield
    except IdentityError as error:
        place = configuration.sources.get(key)
        raise IdentityError(f"{place}: {error}" if place else str(error)) from error


def check_settings(configuration: Configuration) -> None:
    """Refuse what cannot be right wherever the node stands; raises IdentityError or ValidationError."""
    settings = configuration.node
    if settings.name.strip():
        with _placed(configuration, "node.name"):
            node_name(settings)
    if configuration.datastore_url is None:
        return  # a plain router has no address of its own to register, and no pools
    for variable, text, version in (("IP", settings.ip.strip(), 4), ("IP6", settings.ip6.strip(), 6)):
        if text not in {"", "none", "autodetect"}:
            with _placed(configuration, f"node.{variable.lower()}"):
                _parse_given_address(variable, text, version)
    for pool in _configured_pools(configuration):
        validate(pool)


def _configured_pools(configuration: Configuration) -> Iterator[IPPool]:
    """Yield every pool that is described; a default one whose prefix is found later has one that is good."""
    for settings in configuration.pools:
        yield pool_resource(settings, _pool_name(settings), settings.cidr)
    defaults = ((4, configuration.ipv4_pool, "10.0.0.0/8"), (6, configuration.ipv6_pool, "fd00::/48"))
    for version, settings, example in defaults:
        if settings.cidr != "none":
            yield pool_resource(settings, settings.name or DEFAULT_POOL_NAMES[version], settings.cidr or example)


def _parse_given_address(variable: str, text: str, version: int) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise IdentityError(
            f"node address: {variable}: expected an address, autodetect or none, not {text!r}"
        ) from error
    if address.version != version:
        raise IdentityError(f"node address: {variable}: expected an IPv{version} address, not {text!r}")
    if not is_global_unicast(text, version):
        expected = "expected an address that other nodes can reach"
        raise IdentityError(f"node address: {variable}: {expected}, not {text!r}")
    return address


def _given_address(variable: str, text: str, version: int, around: Surroundings) -> str:
    """Return the address as given; a bare one gets the prefix length of the device that has it."""
    address = _parse_given_address(variable, text, version)
    if "/" in text:
        return str(address)
    found = find_address(str(address.ip), around.devices)
    return found.address if found is not None else with_host_length(str(address.ip))


def check_conflicts(name: str, addresses: Addresses, nodes: Iterable[Node]) -> None:
    """Refuse an address that another node has, and name that node (D4)."""
    for node in nodes:
        if node.name == name:
            continue
        for ours, theirs in ((addresses.ipv4, node.ipv4_address), (addresses.ipv6, node.ipv6_address)):
            address = ours.partition("/")[0]
            if address and address == theirs.partition("/")[0]:
                text = f"node address: {address} is already the address of node {node.name}"
                raise IdentityError(f"{text}; set node.ip (IP), or delete that node if it is gone")


def describe_node(node: Node, settings: NodeSettings, addresses: Addresses, around: Surroundings) -> Node:
    """Return the Node resource as it should be; what is not ours to say stays as it is."""
    references = tuple(ref for ref in node.orch_refs if ref.orchestrator != "k8s")
    if settings.kubernetes_node:
        references += (OrchRef(node_name=settings.kubernetes_node, orchestrator="k8s"),)
    else:
        references = node.orch_refs
    return node.replace(
        ipv4_address=addresses.ipv4,
        ipv6_address=addresses.ipv6,
        as_number=settings.as_number if settings.as_number is not None else node.as_number,
        orch_refs=references,
        interfaces=tuple(_interfaces(around)),
    )


def _interfaces(around: Surroundings) -> Iterator[NodeInterface]:
    for device in default_devices(around.devices):
        addresses = tuple(address.partition("/")[0] for address in device.addresses)
        yield NodeInterface(name=device.name, addresses=addresses)


def save_node(datastore: Datastore, name: str, configuration: Configuration, around: Surroundings) -> Node:
    """Create or update the Node; other nodes' writes in between are retried over (spec section 5 steps 4 to 9)."""
    settings = configuration.node
    for _ in range(WRITE_ATTEMPTS):
        stored = _stored(datastore, name)
        base = stored or Node(metadata=Metadata(name=name))
        addresses = choose_addresses(settings, Addresses(base.ipv4_address, base.ipv6_address), around)
        if not settings.disable_ip_check:
            check_conflicts(name, addresses, datastore.list(Node).items)
        wanted = describe_node(base, settings, addresses, around)
        with suppress(ConflictError, AlreadyExistsError, NotFoundError):
            if stored is None:
                return datastore.create(wanted)
            return stored if wanted == stored else datastore.update(wanted)
    raise StartupError(f"node {name}: somebody else keeps changing it in the datastore")


def _stored(datastore: Datastore, name: str) -> Node | None:
    try:
        return datastore.get(Node, name)
    except NotFoundError:
        return None


def create_pools(
    datastore: Datastore, configuration: Configuration, around: Surroundings, addresses: Addresses
) -> None:
    """Create the pools that are configured and, for a family without any, the default one (D1)."""
    for settings in configuration.pools:
        _create(datastore, pool_resource(settings, _pool_name(settings), settings.cidr))
    if configuration.no_default_pools:
        return
    for version, settings in ((4, configuration.ipv4_pool), (6, configuration.ipv6_pool)):
        existing = datastore.list(IPPool).items
        if settings.cidr == "none" or any(pool.is_ipv6 is (version == 6) for pool in existing):
            continue
        cidr = settings.cidr or default_cidr(version, around, addresses)
        if cidr:
            _create(datastore, pool_resource(settings, settings.name or DEFAULT_POOL_NAMES[version], cidr))


def wants_tunnel(datastore: Datastore, configuration: Configuration) -> bool:
    """Tell whether IPIP is asked for, by a pool that exists or by one that is about to be made."""
    pools = [pool for pool in datastore.list(IPPool).items if not pool.is_ipv6]
    if any(pool.ipip_mode != NEVER for pool in pools):
        return True
    if any(settings.ipip != NEVER for settings in configuration.pools):
        return True
    default = configuration.ipv4_pool
    makes_default = not pools and not configuration.no_default_pools and default.cidr != "none"
    replaced = any(settings.version == 4 for settings in configuration.pools)
    return makes_default and not replaced and default.ipip != NEVER


def check_named_pools(datastore: Datastore, configuration: Configuration) -> None:
    """Refuse a pool that is to be made and overlaps a stored one of another name; raises PoolError."""
    existing = datastore.list(IPPool).items
    names = {pool.name for pool in existing}
    for settings in configuration.pools:
        name = _pool_name(settings)
        for pool in existing if name not in names else ():
            if overlap(pool.cidr, settings.cidr):
                raise PoolError(f"pool.cidr: {settings.cidr} of pool {name} overlaps {pool.cidr} of pool {pool.name}")


def _pool_name(settings: PoolSettings) -> str:
    return settings.name or cidr_name(settings.cidr)


def pool_resource(settings: PoolSettings, name: str, cidr: str) -> IPPool:
    """Return the pool as calico/node would make it: NAT on for IPv4 and off for IPv6 unless said otherwise."""
    ipv6 = ":" in cidr
    return IPPool(
        metadata=Metadata(name=name),
        cidr=cidr,
        ipip_mode=settings.ipip,
        vxlan_mode=settings.vxlan,
        block_size=settings.block_size if settings.block_size is not None else (122 if ipv6 else 26),
        nat_outgoing=settings.nat_outgoing if settings.nat_outgoing is not None else not ipv6,
        node_selector=settings.node_selector,
        disable_bgp_export=settings.disable_bgp_export,
    )


def default_cidr(version: int, around: Surroundings, addresses: Addresses) -> str:
    """Return a prefix for the default pool: apart from the host (IPv4), random and local (IPv6, RFC 4193)."""
    if version == 6:
        bits = random.SystemRandom().getrandbits(40)
        return str(ipaddress.IPv6Network((0xFD << 120 | bits << 80, 48))) if addresses.ipv6 else ""
    hosts = [address for device in around.devices for address in device.addresses if ":" not in address]
    networks = [str(ipaddress.ip_interface(address).network) for address in hosts]
    for candidate in DEFAULT_IPV4_POOLS:
        if not any(overlap(candidate, network) for network in networks):
            return candidate
    raise PoolError(
        f"ipv4_pool.cidr: all of {DEFAULT_IPV4_POOLS[0]} to {DEFAULT_IPV4_POOLS[-1]} overlap the host; set one"
    )


def create_defaults(datastore: Datastore, name: str, cluster_type: str) -> None:
    """Create what calico/node creates once per cluster and once per node; what exists is left alone (step 11)."""
    default = Metadata(name=DEFAULT)
    guid = uuid.uuid4().hex
    _create(
        datastore,
        ClusterInformation(metadata=default, cluster_guid=guid, cluster_type=cluster_type, datastore_ready=True),
    )
    felix = {"spec": {"logSeverityScreen": "Info", "reportingInterval": "0s"}}
    _create(datastore, FelixConfiguration(metadata=default, extra=felix))
    own = {"spec": {"defaultEndpointToHostAction": "Return"}}
    _create(datastore, FelixConfiguration(metadata=Metadata(name=NODE_PREFIX + name), extra=own))
    _create(datastore, BGPConfiguration(metadata=default, log_severity_screen="Info"))
    _create(datastore, IPAMConfig(metadata=default))


def _create(datastore: Datastore, resource: Resource) -> None:
    with suppress(AlreadyExistsError):
        datastore.create(resource)


def start_up(datastore: Datastore, configuration: Configuration, name: str, around: Surroundings) -> Node:
    """Do all of it in calico/node's order; the second time nothing changes."""
    check_settings(configuration)
    check_named_pools(datastore, configuration)
    node = save_node(datastore, name, configuration, around)
    create_pools(datastore, configuration, around, Addresses(node.ipv4_address, node.ipv6_address))
    create_defaults(datastore, name, configuration.node.cluster_type)
    write_node_name(configuration.node.nodename_file, name)
    return node
