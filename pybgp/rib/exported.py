"""What peers are sent for some prefixes, and which of them must not hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pybgp.wire.attributes import Attributes

#: No members.
NOBODY: Final[frozenset[int]] = frozenset()


class Provenance(NamedTuple):
    """What decides who must not hear a route."""

    #: the peer that told us.
    peer: int
    #: as it leaves: the peer with this address must not hear the route.
    next_hop: bytes
    #: the router that brought a reflected route into the AS, and must not hear it either.
    originator: int | None = None


class Exported:
    """What a group sends for some prefixes."""

    __slots__ = ("attributes", "provenance")
    attributes: Attributes

    def __init__(self, attributes: Attributes, provenance: Provenance) -> None:
        """One object per meaning within a group, so that equality is identity."""
        self.attributes = attributes
        self.provenance = provenance

    @property
    def details(self) -> bytes:
        """What the NLRI says beside the key, which a withdrawal repeats in some families."""
        return self.attributes.details

    def says_what(self, other: Exported) -> bool:
        """Whether a peer that holds the one need not be told the other."""
        return self.attributes == other.attributes


#: Stands for whatever a peer holds that asked for everything again (RFC 2918).
UNKNOWN: Final = Exported.__new__(Exported)


class Audience(NamedTuple):
    """Members: all but these, or only these."""

    everyone: bool
    numbers: frozenset[int]

    def __contains__(self, number: object) -> bool:
        """Say whether a member listens."""
        return (number in self.numbers) != self.everyone

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens, as far as one can say without the list of members."""
        return not (self.everyone or self.numbers)


ALL: Final = Audience(True, NOBODY)
