"""Two policies of which the second sees only what the first lets through, as the first has left it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pybgp.rib.path import Path
from pybgp.rib.policy.interface import Passed
from pybgp.rib.policy.overlays import WithDefaultRoute, Without
from pybgp.rib.policy.route_policy import Explanation, RoutePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pybgp.rib.policy.interface import Policy
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class InOrder:
    """A route passes if both let it pass."""

    first: Policy
    second: Policy

    @property
    def looks_at_prefixes(self) -> bool:
        """Whether either does."""
        return self.first.looks_at_prefixes or self.second.looks_at_prefixes

    def apply(self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool) -> Iterator[Passed]:
        """Ask the first, then the second about each group that the first made."""
        for passed in (Passed(*one) for one in self.first.apply(path, family, keys, internal=internal)):
            for answer in self.second.apply(halfway(path, passed), family, passed.keys, internal=internal):
                yield chosen_by_both(passed, Passed(*answer))


def chosen_by_both(first: Passed, last: Passed) -> Passed:
    """Return the last answer, with what the first policy chose and the second left as it was."""
    return last._replace(
        keep_next_hop=last.keep_next_hop
        or (first.keep_next_hop and last.attributes.next_hop == first.attributes.next_hop),
        keep_med=last.keep_med or (first.keep_med and last.attributes.med == first.attributes.med),
    )


def halfway(path: Path, passed: Passed) -> Path:
    """Return the path as a first policy leaves it to a second."""
    return Path(
        path.peer,
        path.source,
        path.received,
        passed.attributes,
        preference=path.preference if passed.preference is None else passed.preference,
        label=passed.tag or path.label,
        teller=path.teller,
    )


def explain_policy(policy: Policy, path: Path, family: Family, key: bytes, *, internal: bool) -> Explanation:
    """Say how any policy judges one prefix; of one that is not made of clauses only the verdict is known."""
    if isinstance(policy, WithDefaultRoute) and path is not policy.default:
        return explain_policy(policy.policy, path, family, key, internal=internal)
    if isinstance(policy, InOrder) and isinstance(policy.first, Without):
        if policy.first.hidden.has(family, key):
            return Explanation("aggregates and conditions", False, (), None)
        return explain_policy(policy.second, path, family, key, internal=internal)
    if isinstance(policy, RoutePolicy):
        return policy.explain(path, family, key, internal=internal)
    if not isinstance(policy, InOrder):
        answers = [Passed(*one) for one in policy.apply(path, family, (key,), internal=internal)]
        return Explanation(type(policy).__name__, bool(answers), (), answers[0] if answers else None)
    first = explain_policy(policy.first, path, family, key, internal=internal)
    if first.outcome is None:
        return first
    second = explain_policy(policy.second, halfway(path, first.outcome), family, key, internal=internal)
    outcome = second.outcome
    if outcome is not None:
        outcome = chosen_by_both(first.outcome, outcome)
    return Explanation(f"{first.policy}, {second.policy}", second.accepted, (*first.hits, *second.hits), outcome)
