"""Which pools a request may take from (spec/calico.md section 2.1)."""

from __future__ import annotations

from calico_routing.datastore.interface import NotFoundError
from calico_routing.ipam.errors import NoPoolError
from calico_routing.model.blocks import parse_address, parse_network
from calico_routing.model.nodes import Node
from calico_routing.model.pools import AUTOMATIC, IPPool, IPReservation
from calico_routing.model.selectors import parse_selector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calico_routing.datastore.interface import Datastore
    from calico_routing.model.blocks import Network


def load_pools(datastore: Datastore) -> tuple[IPPool, ...]:
    """Return all pools in name order."""
    return datastore.list(IPPool).items


def load_reservations(datastore: Datastore) -> list[Network]:
    """Return the ranges that are not handed out automatically; a bare address is one, too."""
    return [
        parse_network(cidr, strict=False)
        for reservation in datastore.list(IPReservation).items
        for cidr in reservation.reserved_cidrs
    ]


def labels_of(datastore: Datastore, host: str) -> Mapping[str, str]:
    """Return the labels of a node; one that is not there has none."""
    try:
        return datastore.get(Node, host).metadata.labels
    except NotFoundError:
        return {}


def is_usable(pool: IPPool, version: int) -> bool:
    """Tell whether new addresses of a family may come from the pool."""
    bits = 128 if version == 6 else 32
    return not pool.disabled and pool.is_ipv6 is (version == 6) and pool.block_size <= bits


def selects_node(pool: IPPool, labels: Mapping[str, str]) -> bool:
    """Tell whether the pool is for nodes with these labels."""
    return parse_selector(pool.node_selector).matches(labels)


def selects_namespace(pool: IPPool, labels: Mapping[str, str]) -> bool:
    """Tell whether the pool is for namespaces with these labels."""
    return parse_selector(pool.namespace_selector).matches(labels)


def pool_holding(pools: Iterable[IPPool], address: str) -> IPPool | None:
    """Return the pool that an address (or the first one of a CIDR) belongs to."""
    version, number = parse_address(address.partition("/")[0])
    return next((pool for pool in pools if parse_network(pool.cidr, strict=False).holds(version, number)), None)


def choose_pools(
    pools: Sequence[IPPool],
    version: int,
    requested: Sequence[str],
    *,
    host: str,
    use: str,
    node_labels: Mapping[str, str],
    namespace_labels: Mapping[str, str],
) -> list[IPPool]:
    """Return the pools for a request; those asked for by name or CIDR are taken whatever they select; NoPoolError."""
    usable = [pool for pool in pools if is_usable(pool, version)]
    if requested:
        chosen = [_requested_pool(usable, wanted) for wanted in requested]
    else:
        chosen = [
            pool
            for pool in usable
            if pool.assignment_mode == AUTOMATIC
            and selects_node(pool, node_labels)
            and selects_namespace(pool, namespace_labels)
        ]
    if not chosen:
        raise NoPoolError(f"no configured Calico pools for node {host}")
    allowed = [pool for pool in chosen if use in pool.allowed_uses]
    if not allowed:
        raise NoPoolError(f"no configured Calico pools for node {host} allow use {use}")
    return allowed


def _requested_pool(usable: Sequence[IPPool], wanted: str) -> IPPool:
    for pool in usable:
        if wanted in {pool.name, pool.cidr}:
            return pool
    raise NoPoolError(f"the given pool ({wanted}) does not exist, or is not enabled")
