"""What tables and update groups ask of a policy: which prefixes of a path pass, and as what (spec section 16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.policy.plan import Plan
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family


class KernelHints(NamedTuple):
    """What a policy for kernel routes says of the route that a path becomes."""

    #: None: that of every route.
    metric: int | None = None
    #: The address that packets of this host leave from, at most one of each family; none: the kernel's choice.
    sources: tuple[str, ...] = ()


NO_HINTS: Final = KernelHints()


class Passed(NamedTuple):
    """Prefixes that pass with the same outcome; the first two fields alone are an answer too."""

    attributes: Attributes
    keys: Sequence[bytes]
    #: Import only: the preference (weight) in the decision; None: that of every BGP path.
    preference: int | None = None
    #: Import only: a word that later policies can match.
    tag: str = ""
    #: Export only: the next hop was chosen here, and the rules of export leave it as it is.
    keep_next_hop: bool = False
    #: Export only: MED was chosen here, so that external peers hear it.
    keep_med: bool = False
    #: Export to a kernel only.
    kernel: KernelHints = NO_HINTS


class Policy(Protocol):
    """A pure function of a path and its prefixes; prefixes that no result names are rejected.

    ``looks_at_prefixes`` False promises that the verdict is the same for all keys, so that it is asked once per path.
    On import ``path.attributes`` is what the peer sent; on export it is the selected path, before the rules of
    RFC 4271 section 9.2 (prepending, next hop) are applied, and ``internal`` tells iBGP from eBGP.
    """

    @property
    def looks_at_prefixes(self) -> bool:
        """Whether the verdict can differ between prefixes of one path; an attribute will do."""
        ...

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]] | Passed]:
        """Return the prefixes that pass, grouped by the attributes that they pass with."""
        ...


def plan_of(policy: Policy) -> Plan | None:
    """Return what a policy does as a plan, if it has one."""
    plan: Plan | None = getattr(policy, "plan", None)
    return plan


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
