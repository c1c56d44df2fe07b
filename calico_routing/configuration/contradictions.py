"""What no table shows alone: names that stand twice, tables that contradict each other, policies that are missing."""

from __future__ import annotations

import difflib
import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from calico_routing.configuration.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calico_routing.configuration.problems import Origins
    from calico_routing.configuration.settings import (
        BgpSettings,
        Configuration,
        KernelSettings,
        MrtSettings,
        PeerSettings,
        PoolSettings,
    )


def contradictions(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    """Yield every contradiction of a configuration that was read."""
    yield from _overlapping_pools(origins, configuration)
    yield from _pool_contradictions(origins, configuration)
    yield from _repeated_names(origins, configuration)
    yield from _peer_contradictions(origins, configuration)
    yield from _unknown_policies(origins, configuration)
    for section, index, peer in _peers(configuration):
        if peer.per_client_best and not peer.route_server_client:
            text = f"{section}.per_client_best: expected route_server_client = true beside it"
            yield Problem(origins.place((section, index, "per_client_best")), text)
        hold_time = peer.hold_time if peer.hold_time is not None else configuration.bgp.hold_time
        if peer.keepalive_time is not None and peer.keepalive_time >= hold_time:
            text = f"expected less than the hold time, {hold_time}, not {peer.keepalive_time}"
            yield Problem(origins.place((section, index, "keepalive_time")), f"{section}.keepalive_time: {text}")
    yield from _file_names(origins, configuration.mrt)
    for key in ("track_by_default_route", "track_by_bgp_routes"):
        if getattr(configuration.kernel, key) and not configuration.kernel.track_next_hops:
            where = origins.place(("kernel", key))
            yield Problem(where, f"kernel.{key}: expected kernel.track_next_hops = true beside it")
    if configuration.bgp.confederation_members and configuration.bgp.confederation is None:
        where = origins.place(("bgp", "confederation_members"))
        yield Problem(where, "bgp.confederation_members: expected bgp.confederation beside it, but it is missing")
    if configuration.no_default_pools and (configuration.ipv4_pool.cidr or configuration.ipv6_pool.cidr):
        where = origins.source("no_default_pools")
        yield Problem(where, "no_default_pools: expected no default pool prefix beside it, but one is set")
    if configuration.datastore_url is None and configuration.node.as_number is None:
        sections = _peers(configuration)
        for section, index, peer in sections:
            if peer.local_as is None:
                text = f"{section}.local_as: expected here, or node.as_number (AS), because there is no datastore"
                yield Problem(origins.place((section, index)), text)
                break
        if not sections:
            text = "node.as_number (AS): expected an AS number, because there is no datastore"
            yield Problem(origins.source("datastore.url"), text)


def _peers(configuration: Configuration) -> list[tuple[str, int, PeerSettings]]:
    """Return what is said of neighbours, with table and index."""
    found = [("peer", index, peer) for index, peer in enumerate(configuration.peers)]
    found += [("dynamic", index, one.peer) for index, one in enumerate(configuration.dynamic)]
    return [*found, *(("link", index, one.peer) for index, one in enumerate(configuration.links))]


def _file_names(origins: Origins, mrt: MrtSettings) -> Iterator[Problem]:
    """Files that follow each other need names of their own; of tables the latest may be all that is wanted."""
    for key, interval in (("message_file", mrt.message_interval), ("table_file", mrt.table_interval)):
        pattern = getattr(mrt, key)
        first, second = (datetime.fromtimestamp(at, UTC).strftime(pattern) for at in (0, interval))
        if pattern and first == second and (key == "message_file" or "%" in pattern):
            text = f"expected a time that differs every {interval} seconds, not {pattern!r}"
            yield Problem(origins.place(("mrt", key)), f"mrt.{key}: {text}")
    if mrt.table_file and mrt.table_file == mrt.message_file:
        where = origins.place(("mrt", "message_file"))
        yield Problem(where, f"mrt.message_file: expected another name than mrt.table_file, not {mrt.table_file!r}")


def _named_pools(origins: Origins, configuration: Configuration) -> Iterator[tuple[str, str, PoolSettings]]:
    """Every pool that may be created, with the key and the place it came from."""
    for key in ("ipv4_pool", "ipv6_pool"):
        pool = getattr(configuration, key)
        if pool.cidr not in {"", "none"}:
            yield key, origins.source(f"{key}.cidr"), pool
    for index, pool in enumerate(configuration.pools):
        yield "pool", origins.place(("pool", index, "cidr")), pool


def _overlapping_pools(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    seen: list[tuple[str, str, PoolSettings]] = []
    for key, where, pool in _named_pools(origins, configuration):
        if not pool.cidr:
            yield Problem(where, f"{key}.cidr: missing; a pool needs a prefix")
            continue
        for _, other_where, other in seen:
            if overlap(pool.cidr, other.cidr):
                text = f"{key}.cidr: expected a prefix apart from other pools, but {pool.cidr} overlaps {other.cidr}"
                yield Problem(where, f"{text} ({other_where})")
        seen.append((key, where, pool))


def _two_encapsulations(key: str, pool: PoolSettings) -> str:
    return f'{key}.vxlan: expected "Never" beside ipip = "{pool.ipip}", not "{pool.vxlan}"'


def _pool_contradictions(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    ipv4 = configuration.ipv4_pool
    if not ipv4.cidr and ipv4.ipip != "Never" and ipv4.vxlan != "Never":
        where = origins.source("ipv4_pool.vxlan")
        yield Problem(where, _two_encapsulations("ipv4_pool", ipv4))
    for key, where, pool in _named_pools(origins, configuration):
        if not pool.cidr:
            continue
        low, high, default = (116, 128, 122) if pool.version == 6 else (20, 32, 26)
        size = pool.block_size if pool.block_size is not None else default
        if not low <= size <= high:
            yield Problem(where, f"{key}.block_size: expected a whole number from {low} to {high}, not {size}")
        elif ipaddress.ip_network(pool.cidr).prefixlen > size:
            text = f"{key}.cidr: expected a prefix of /{size} or shorter to hold a block, not {pool.cidr}"
            yield Problem(where, text)
        if pool.ipip != "Never" and pool.vxlan != "Never":
            yield Problem(where, _two_encapsulations(key, pool))
        if pool.version == 6 and pool.ipip != "Never":
            yield Problem(where, f'{key}.ipip: expected "Never" for an IPv6 pool, not "{pool.ipip}"')


def _repeated_names(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    peers = ("peer", [peer.name for peer in configuration.peers])
    dynamic = ("dynamic", [one.name for one in configuration.dynamic])
    links = ("link", [one.name for one in configuration.links])
    for section, names in (peers, dynamic, links, ("pool", [pool.name for pool in configuration.pools])):
        for index, name in enumerate(names):
            if name and name in names[:index]:
                text = f"{section}.name: expected each name once, but {name!r} stands twice"
                yield Problem(origins.place((section, index, "name")), text)


def _peer_contradictions(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, peer in enumerate(configuration.peers):
        if peer.address in seen:
            text = f"peer.address: expected each peer once, but {peer.address} stands twice"
            yield Problem(origins.place(("peer", index, "address")), text)
        seen.add(peer.address)
        local_as = peer.local_as or configuration.node.as_number
        if peer.reflector_client and local_as not in {None, peer.remote_as}:
            text = f"peer.reflector_client: expected our own AS, {local_as}, as remote_as, not {peer.remote_as}"
            yield Problem(origins.place(("peer", index, "reflector_client")), text)
        if peer.route_server_client and local_as == peer.remote_as:
            text = f"peer.route_server_client: expected another remote_as than our own, {local_as}"
            yield Problem(origins.place(("peer", index, "route_server_client")), text)
        if peer.role and local_as == peer.remote_as:
            text = f"peer.role: expected another remote_as than our own, {local_as}: there are roles between ASes only"
            yield Problem(origins.place(("peer", index, "role")), text)
        if ipaddress.ip_address(peer.address).is_multicast or ipaddress.ip_address(peer.address).is_unspecified:
            text = f"peer.address: expected the address of a host, not {peer.address!r}"
            yield Problem(origins.place(("peer", index, "address")), text)
        if is_without_interface(peer.address):
            text = (
                f"expected the interface behind a link-local address, such as {peer.address}%eth0, not {peer.address!r}"
            )
            yield Problem(origins.place(("peer", index, "address")), f"peer.address: {text}")
        if peer.local_address is not None and (":" in peer.local_address) is not (":" in peer.address):
            version = 6 if ":" in peer.address else 4
            text = f"expected an IPv{version} address as {peer.address} is, not {peer.local_address}"
            yield Problem(origins.place(("peer", index, "local_address")), f"peer.local_address: {text}")


def is_without_interface(text: str) -> bool:
    """Say whether an address means nothing without an interface, and names none (RFC 4007 section 6)."""
    address = ipaddress.ip_address(text)
    return isinstance(address, ipaddress.IPv6Address) and address.is_link_local and not address.scope_id


def _unknown_policies(origins: Origins, configuration: Configuration) -> Iterator[Problem]:
    places: list[tuple[tuple[str | int, ...], BgpSettings | PeerSettings | KernelSettings]] = [
        (("bgp",), configuration.bgp),
        (("kernel",), configuration.kernel),
    ]
    places += [(("peer", index), peer) for index, peer in enumerate(configuration.peers)]
    places += [(("dynamic", index), one.peer) for index, one in enumerate(configuration.dynamic)]
    places += [(("link", index), one.peer) for index, one in enumerate(configuration.links)]
    for path, settings in places:
        for key in ("import_policy", "export_policy"):
            name = getattr(settings, key)
            if name and name not in configuration.policies:
                near = difflib.get_close_matches(name, list(configuration.policies), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                text = f"{path[0]}.{key}: expected the name of a [policy.NAME] table, not {name!r}{hint}"
                yield Problem(origins.place((*path, key)), text)


def overlap(one: str, other: str) -> bool:
    """Tell whether two prefixes share an address."""
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    if isinstance(first, ipaddress.IPv4Network):
        return isinstance(second, ipaddress.IPv4Network) and first.overlaps(second)
    return isinstance(second, ipaddress.IPv6Network) and first.overlaps(second)
