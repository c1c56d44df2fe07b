"""A path is what one peer says about any number of prefixes: one object per (peer, attributes), never per prefix."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import ip_address
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.wire.nlri import format_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: The peer number of everything that this speaker announces by itself.
LOCAL_PEER = 0
#: Preference of paths learned by BGP; local announcements choose theirs around it (spec section 7 step 2).
BGP_PREFERENCE = 100
#: Preference of a local announcement that names none: above every BGP path.
LOCAL_PREFERENCE = 200
#: The rejection of a path that import policy did not accept.
POLICY_REJECTED: Final = "rejected by import policy"
_new: Final = object.__new__
_RANK: Final = frozenset({"order", "rank", "med", "neighbor_as", "cost"})


class Source(IntEnum):
    """Where a path was learned; decides what iBGP may hear of it (RFC 4271 section 9.2)."""

    LOCAL = 0
    EBGP = 1
    IBGP = 2
    #: another member AS of our confederation (RFC 5065).
    CONFEDERATION = 3


class Path:
    """Attributes as one peer gave them (`received`), as import policy left them (`attributes`), and their rank.

    ``order`` packs the decision steps that form a total order (smaller is better); MED stands beside it because it
    does not (RFC 4271 section 9.1.2.2).  A path with a ``rejection`` stays visible but is never selected.

    Most paths are the only ones of their prefixes and are never compared, so ``order``, ``rank``, ``med``,
    ``neighbor_as`` and ``cost`` are found when somebody first asks for one of them.
    """

    __slots__ = (
        "attributes",
        "cost",
        "label",
        "med",
        "neighbor_as",
        "next_hop",
        "order",
        "peer",
        "preference",
        "rank",
        "ranker",
        "received",
        "rejection",
        "source",
        "teller",
    )
    order: int
    rank: int
    med: int
    neighbor_as: int
    #: of the way to the next hop, when the rank was found.
    cost: int

    def __init__(
        self,
        peer: int,
        source: Source,
        received: Attributes,
        attributes: Attributes,
        *,
        preference: int = BGP_PREFERENCE,
        label: str = "",
        rejection: str = "",
        teller: RibPeer | None = None,
        ranker: Callable[[Path], None] | None = None,
    ) -> None:
        """``label`` tells the sources of local announcements apart, or is the tag that import policy gave.

        ``teller`` is the peer that told us, for policies to ask; ``ranker`` gives the rank, by `rank_by`.
        """
        self.peer = peer
        self.source = source
        self.received = received
        self.attributes = attributes
        self.next_hop: bytes = attributes.next_hop
        self.preference = preference
        self.label = label
        self.rejection = rejection
        self.teller = teller
        self.ranker = ranker

    if not TYPE_CHECKING:  # else a name that is misspelt would be a number to the type checker

        def __getattr__(self, name: str) -> int:
            """Find the rank; without a ranker all paths are equal."""
            if name not in _RANK:
                raise AttributeError(f"a path has no {name!r}")
            if self.ranker is None:
                self.order = self.rank = self.med = self.neighbor_as = self.cost = 0
            else:
                self.ranker(self)
            return object.__getattribute__(self, name)

    @property
    def direction(self) -> str:
        """Next hop and AS path as text; flow rules have no next hop."""
        hop = str(ip_address(self.next_hop[:16])) if self.next_hop else ""
        where = f"via {hop or 'this router'} " if hop or self.source is Source.LOCAL else ""
        return f"{where}as-path {self.attributes.as_path}".removesuffix("as-path ").rstrip()

    def __repr__(self) -> str:
        """Say who, what, and why not."""
        refused = f" rejected: {self.rejection}" if self.rejection else ""
        return f"<Path {self.source.name.lower()} peer {self.peer} {self.attributes!r}{refused}>"


def path_as_received(teller: RibPeer, source: Source, received: Attributes, ranker: Callable[[Path], None]) -> Path:
    """Return the path of a route that import takes as it came: what the constructor does, in half the time."""
    path = _new(Path)
    path.peer = teller.number
    path.source = source
    path.received = path.attributes = received
    path.next_hop = received.next_hop
    path.preference = BGP_PREFERENCE
    path.label = path.rejection = ""
    path.teller = teller
    path.ranker = ranker
    return path


def path_as_judged(
    teller: RibPeer,
    source: Source,
    received: Attributes,
    attributes: Attributes,
    preference: int,
    label: str,
    rejection: str,
) -> Path:
    """Return the path that import policy made of a route, without a ranker as yet."""
    path = _new(Path)
    path.peer = teller.number
    path.source = source
    path.received = received
    path.attributes = attributes
    path.next_hop = attributes.next_hop
    path.preference = preference
    path.label = label
    path.rejection = rejection
    path.teller = teller
    path.ranker = None
    return path


class Change(NamedTuple):
    """These prefixes are now reached by this path; None: by nobody any more."""

    family: Family
    path: Path | None
    keys: Sequence[bytes]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes, or NLRI of other kinds, as text; of withdrawn ones the key fields."""
        details = None if self.path is None else self.path.attributes.details
        return tuple(format_key(self.family, key, details) for key in self.keys)

    def __str__(self) -> str:
        """One line: the prefixes, and where they lead now."""
        where = "withdrawn" if self.path is None else self.path.direction
        return f"{' '.join(self.prefixes)} {where}"


class Addition(Change):
    """A change of prefixes that nobody had a path to."""

    __slots__ = ()


def additions_of(family: Family, paths: Iterable[Path], keys: Iterable[Sequence[bytes]]) -> list[Change]:
    """Return additions of these paths with the keys of each: what the constructor does, in a third of the time."""
    return [*map(tuple.__new__, repeat(Addition), zip(repeat(family), paths, keys))]
