"""Import and export policy: which prefixes of a path pass, and with which attributes (spec section 16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family


class Policy(Protocol):
    """A pure function of a path and its prefixes; prefixes that no result names are rejected.

    ``looks_at_prefixes`` False promises that the verdict is the same for all keys, so that it is asked once per path.
    On import ``path.attributes`` is what the peer sent; on export it is the selected path, before the rules of
    RFC 4271 section 9.2 (prepending, next hop) are applied, and ``internal`` tells iBGP from eBGP.
    """

    looks_at_prefixes: bool

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return the prefixes that pass, grouped by the attributes that they pass with."""
        ...


class AcceptAll:
    """Everything passes unchanged."""

    looks_at_prefixes = False

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return all keys with the attributes they have."""
        del family, internal
        return ((path.attributes, keys),)


class RejectAll:
    """Nothing passes."""

    looks_at_prefixes = False

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        """Return no keys."""
        del path, family, keys, internal
        return ()


ACCEPT_ALL = AcceptAll()
REJECT_ALL = RejectAll()
