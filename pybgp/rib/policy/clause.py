"""A clause of a policy: conditions, actions and a verdict, or a function of the user's (spec section 16)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from pybgp.rib.policy.match import PrefixMatch, ValidationMatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.rib.policy.action import Action
    from pybgp.rib.policy.match import KeyMatch, Match
    from pybgp.rib.policy.route import Route

KEY_MATCHES: Final = (PrefixMatch, ValidationMatch)


class Verdict(Enum):
    """What a clause decides."""

    ACCEPT = "accept"
    REJECT = "reject"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class Clause:
    """Where every condition holds: do all actions, then decide or go on with the next clause."""

    name: str
    matches: tuple[Match | KeyMatch, ...] = ()
    actions: tuple[Action, ...] = ()
    then: Verdict = Verdict.NEXT
    path_matches: tuple[Match, ...] = field(init=False, repr=False, compare=False)
    key_matches: tuple[KeyMatch, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Part the conditions on the path, which are asked first, from those on prefixes."""
        on_keys = tuple(match for match in self.matches if isinstance(match, KEY_MATCHES))
        on_path = tuple(match for match in self.matches if not isinstance(match, KEY_MATCHES))
        object.__setattr__(self, "key_matches", on_keys)
        object.__setattr__(self, "path_matches", on_path)

    @property
    def looks_at_prefixes(self) -> bool:
        """Whether prefixes of one path can fare differently."""
        return bool(self.key_matches)

    def __str__(self) -> str:
        """Print conditions and verdict."""
        conditions = " and ".join(map(str, self.matches)) or "anything"
        return f"{conditions}: {self.then.value}"


@dataclass(frozen=True, slots=True)
class PythonClause:
    """A function of ours decides, and may change the route; None goes on, an exception rejects and is counted."""

    name: str
    function: Callable[[Route], Verdict | None]
    #: whether it reads ``route.prefix``; otherwise it is asked once for all prefixes of a path.
    looks_at_prefixes: bool = False

    def __str__(self) -> str:
        """Name the function."""
        return f"python {getattr(self.function, '__qualname__', self.function)}"
