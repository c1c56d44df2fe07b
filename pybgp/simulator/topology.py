"""What a simulation is made of, as a value; common shapes are made by functions, others are read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pybgp.errors import LocalError
from pybgp.session.route_options import RouteOptions
from pybgp.simulator.links import LinkQuality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pybgp.rib.policy import Policy


class SessionSide(NamedTuple):
    """How one end of a session is configured."""

    #: fields of `PeerConfig`; addresses, AS numbers and identifiers follow from the topology.
    options: Mapping[str, Any] = {}
    import_policy: Policy | None = None
    export_policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A speaker."""

    name: str
    local_as: int = 64512
    #: Its one address, which is its router id too; empty: the next one of 10.0.0.0/8.
    address: str = ""
    #: Prefixes that it announces from the beginning.
    networks: tuple[str, ...] = ()
    #: Further fields of `SpeakerConfig`.
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link between two nodes, and the session over it."""

    one: str
    other: str
    quality: LinkQuality = field(default_factory=LinkQuality)
    #: How each end is configured, by the name of its node.
    sides: Mapping[str, SessionSide] = field(default_factory=dict)


class Happening(NamedTuple):
    """Something that is done to the network at a time: seconds, what, and to whom."""

    at: float
    #: "kill", "start", "cut", "heal", "announce" or "withdraw".
    action: str
    #: A node; for links two of them; for routes a node and a prefix.
    operands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes, links, and what will happen to them."""

    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...] = ()
    happenings: tuple[Happening, ...] = ()
    #: Seconds of virtual time that a run takes unless told otherwise.
    duration: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what does not fit together, by name and value."""
        names: set[str] = set()
        for node in self.nodes:
            if node.name in names:
                raise LocalError(f"node {node.name!r}: there are two of this name")
            names.add(node.name)
        owners: dict[str, str] = {}
        for name, address in self.addresses().items():
            if (owner := owners.setdefault(address, name)) != name:
                raise LocalError(f"node {name}: address {address} is {owner}'s")
        pairs: set[frozenset[str]] = set()
        for link in self.links:
            for name in (link.one, link.other, *link.sides):
                if name not in names:
                    raise LocalError(f"link {link.one}-{link.other}: there is no node {name!r}")
            pair = frozenset((link.one, link.other))
            if len(pair) == 1 or pair in pairs:
                raise LocalError(f"link {link.one}-{link.other}: one link between two different nodes expected")
            pairs.add(pair)

    def addresses(self) -> dict[str, str]:
        """Return the address of each node by its name."""
        return {node.name: node.address or numbered_address(number) for number, node in enumerate(self.nodes, 1)}


def numbered_address(number: int) -> str:
    """Return the address of the node of a number, from 1 on."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def numbered_prefix(number: int) -> str:
    """Return the /26 of the node of a number, from 1 on: 172.16.0.0/26 and what follows."""
    first = (172 << 24) + (16 << 16) + (number - 1 << 6)
    return f"{first >> 24}.{first >> 16 & 255}.{first >> 8 & 255}.{first & 255}/26"


def mesh(count: int, *, quality: LinkQuality | None = None, **options: Any) -> Topology:  # fields of PeerConfig
    """Return a full iBGP mesh, each node with a /26, as a Calico cluster is."""
    names = [f"node{number}" for number in range(1, count + 1)]
    nodes = [NodePlan(name, networks=(numbered_prefix(number),)) for number, name in enumerate(names, 1)]
    sides = SessionSide(options)
    links = [
        LinkPlan(one, other, quality or LinkQuality(), {one: sides, other: sides})
        for number, one in enumerate(names)
        for other in names[number + 1 :]
    ]
    return Topology(tuple(nodes), tuple(links))


def reflector_tree(
    count: int, fanout: int, *, quality: LinkQuality | None = None, announcers: int | None = None, **options: Any
) -> Topology:  # fields of PeerConfig
    """Return a tree of route reflectors in one AS: each node reflects for up to ``fanout`` clients (RFC 4456).

    The last ``announcers`` nodes (None: all) have a /26.
    """
    first = 1 if announcers is None else count - announcers + 1
    nodes = [
        NodePlan(f"node{number}", networks=(numbered_prefix(number),) if number >= first else ())
        for number in range(1, count + 1)
    ]
    toward_client = SessionSide({**options, "routes": RouteOptions(reflector_client=True)})
    toward_reflector = SessionSide({**options, "passive": True})
    links = []
    for number in range(2, count + 1):
        reflector, client = f"node{(number - 2) // fanout + 1}", f"node{number}"
        sides = {reflector: toward_client, client: toward_reflector}
        links.append(LinkPlan(reflector, client, quality or LinkQuality(), sides))
    return Topology(tuple(nodes), tuple(links))


def external(
    edges: Iterable[tuple[int, int]], *, quality: LinkQuality | None = None, **options: Any
) -> Topology:  # fields of PeerConfig
    """Return nodes with an AS each, joined as the pairs of numbers from 1 on say; each has a /26."""
    pairs = [(one, other) for one, other in edges if one != other]
    numbers = sorted({number for pair in pairs for number in pair})
    nodes = [
        NodePlan(
            f"node{number}",
            local_as=65000 + number,
            networks=(numbered_prefix(number),),
            options={"require_ebgp_policy": False},
        )
        for number in numbers
    ]
    sides = SessionSide(options)
    links = [
        LinkPlan(f"node{one}", f"node{other}", quality or LinkQuality(), {f"node{n}": sides for n in (one, other)})
        for one, other in sorted({(min(pair), max(pair)) for pair in pairs})
    ]
    return Topology(tuple(nodes), tuple(links))
