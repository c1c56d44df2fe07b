"""A path is what one peer says about any number of prefixes: one object per (peer, attributes), never per prefix."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from pybgp.wire.nlri import format_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: The peer number of everything that this speaker announces by itself.
LOCAL_PEER = 0
#: Preference of paths learned by BGP; local announcements choose theirs around it (spec section 7 step 2).
BGP_PREFERENCE = 100
#: Preference of a local announcement that names none: above every BGP path.
LOCAL_PREFERENCE = 200


class Source(IntEnum):
    """Where a path was learned; decides what iBGP may hear of it (RFC 4271 section 9.2)."""

    LOCAL = 0
    EBGP = 1
    IBGP = 2


class Path:
    """Attributes as one peer gave them (`received`), as import policy left them (`attributes`), and their rank.

    ``order`` packs the decision steps that form a total order (smaller is better); MED stands beside it because it
    does not (RFC 4271 section 9.1.2.2).  A path with a ``rejection`` stays visible but is never selected.
    """

    __slots__ = (
        "attributes",
        "label",
        "med",
        "neighbor_as",
        "next_hop",
        "order",
        "peer",
        "preference",
        "rank",
        "received",
        "rejection",
        "source",
        "teller",
    )

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
    ) -> None:
        """``label`` tells the sources of local announcements apart, or is the tag that import policy gave.

        ``teller`` is the peer that told us, for policies to ask; the rank is given by `rank_by`.
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
        self.rank = 0
        self.order = 0
        self.med = 0
        self.neighbor_as = 0

    @property
    def direction(self) -> str:
        """Next hop and AS path as text."""
        hop = str(ip_address(self.next_hop[:16])) if self.next_hop else "this router"
        return f"via {hop} as-path {self.attributes.as_path}".removesuffix(" as-path ")

    def __repr__(self) -> str:
        """Say who, what, and why not."""
        refused = f" rejected: {self.rejection}" if self.rejection else ""
        return f"<Path {self.source.name.lower()} peer {self.peer} {self.attributes!r}{refused}>"


class Change(NamedTuple):
    """These prefixes are now reached by this path; None: by nobody any more."""

    family: Family
    path: Path | None
    keys: Sequence[bytes]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes as text."""
        return tuple(format_prefix(self.family, key) for key in self.keys)

    def __str__(self) -> str:
        """One line: the prefixes, and where they lead now."""
        where = "withdrawn" if self.path is None else self.path.direction
        return f"{' '.join(self.prefixes)} {where}"
