"""The evaluator: the same code judges live and explains (spec section 16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.policy.attribute_text import attribute_name, attribute_text, next_hop_text
from pybgp.rib.policy.clause import Clause, PythonClause, Verdict
from pybgp.rib.policy.plan import Plan, can_be_planned
from pybgp.rib.policy.route import Route, not_validated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.policy.interface import Passed
    from pybgp.rib.policy.route import Validator
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

#: The clause that stands behind all others in an explanation.
DEFAULT: Final = "default"


class AttributeChange(NamedTuple):
    """One attribute before and after, as text; empty: absent."""

    name: str
    before: str
    after: str


class Hit(NamedTuple):
    """A clause that matched: what it decided and what it changed."""

    clause: str
    condition: str
    verdict: Verdict
    changes: tuple[AttributeChange, ...]
    #: the exception of a Python clause.
    failure: str = ""


class Explanation(NamedTuple):
    """How a policy judged one prefix."""

    policy: str
    accepted: bool
    hits: tuple[Hit, ...]
    outcome: Passed | None


class _Judged(NamedTuple):
    verdict: Verdict
    route: Route
    keys: Sequence[bytes]


class RoutePolicy:
    """Clauses in order; what no clause decides fares as ``default`` says.  Equal clauses make equal policies."""

    __slots__ = ("clauses", "default", "failures", "last_failure", "looks_at_prefixes", "name", "plan", "validator")

    def __init__(
        self,
        name: str,
        clauses: Iterable[Clause | PythonClause],
        *,
        default: Verdict = Verdict.REJECT,
        validator: Validator = not_validated,
    ) -> None:
        """``validator`` tells the origin validation state of a prefix and its origin AS."""
        self.name = name
        self.clauses = tuple(clauses)
        self.default = default
        self.validator = validator
        self.looks_at_prefixes = any(clause.looks_at_prefixes for clause in self.clauses)
        #: see `interface.plan_of`.
        self.plan = Plan(self.clauses, default) if all(map(can_be_planned, self.clauses)) else None
        #: exceptions of Python clauses, and the latest one.
        self.failures = 0
        self.last_failure = ""

    def __eq__(self, other: object) -> bool:
        """Compare what decides."""
        if not isinstance(other, RoutePolicy):
            return NotImplemented
        return self is other or self._meaning() == other._meaning()

    def __hash__(self) -> int:
        """Return something cheap that is equal for equal policies."""
        return hash((self.name, len(self.clauses), self.default))

    def __repr__(self) -> str:
        """Print the name."""
        return f"<RoutePolicy {self.name}: {len(self.clauses)} clauses, then {self.default.value}>"

    def _meaning(self) -> tuple[object, ...]:
        return self.name, self.default, self.clauses, self.validator

    def validated_by(self, validator: Validator) -> RoutePolicy:
        """Return the same policy with another source of validation states."""
        return RoutePolicy(self.name, self.clauses, default=self.default, validator=validator)

    def apply(self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool) -> Sequence[Passed]:
        """Return the prefixes that pass, grouped by what becomes of them."""
        route = Route(path, family, internal=internal, validator=self.validator)
        passed = [judged.route.passed(judged.keys) for judged in self._judge(route, keys, None)]
        return passed if len(passed) < 2 else merged(passed)

    def explain(self, path: Path, family: Family, key: bytes, *, internal: bool) -> Explanation:
        """Judge one prefix and say which clauses matched."""
        route = Route(path, family, internal=internal, validator=self.validator)
        hits: list[Hit] = []
        passed = [judged.route.passed(judged.keys) for judged in self._judge(route, (key,), hits)]
        return Explanation(self.name, bool(passed), tuple(hits), passed[0] if passed else None)

    def _judge(self, route: Route, keys: Sequence[bytes], hits: list[Hit] | None) -> list[_Judged]:
        """Take prefixes through the clauses; those that a clause does not match go on as they are."""
        passed: list[_Judged] = []
        groups: list[tuple[Route, Sequence[bytes]]] = [(route, keys)]
        for clause in self.clauses:
            left: list[tuple[Route, Sequence[bytes]]] = []
            for current, group in groups:
                for judged in self._ask(clause, current, group, left, hits):
                    if judged.verdict is Verdict.ACCEPT:
                        passed.append(judged)
                    elif judged.verdict is Verdict.NEXT:
                        left.append((judged.route, judged.keys))
            groups = left
            if not groups:
                return passed
        if hits is not None:
            hits.append(Hit(DEFAULT, "anything", self.default, ()))
        if self.default is Verdict.ACCEPT:
            passed += [_Judged(self.default, *group) for group in groups]
        return passed

    def _ask(
        self,
        clause: Clause | PythonClause,
        route: Route,
        keys: Sequence[bytes],
        left: list[tuple[Route, Sequence[bytes]]],
        hits: list[Hit] | None,
    ) -> Iterable[_Judged]:
        if isinstance(clause, PythonClause):
            if not clause.looks_at_prefixes:
                return (self._call(clause, route, keys, hits),)
            return [self._call(clause, with_key(route, key), (key,), hits) for key in keys]
        inside = select(clause, route, keys)
        if not inside:
            left.append((route, keys))
            return ()
        if len(inside) != len(keys):
            chosen = set(inside)
            left.append((route, [key for key in keys if key not in chosen]))
            route = route if clause.then is Verdict.REJECT else route.copy()
        before = route.copy() if hits is not None else None
        if clause.then is not Verdict.REJECT:
            for action in clause.actions:
                action.perform(route)
        if hits is not None and before is not None:
            hits.append(Hit(clause.name, str(clause), clause.then, changes(before, route)))
        return (_Judged(clause.then, route, inside),)

    def _call(self, clause: PythonClause, route: Route, keys: Sequence[bytes], hits: list[Hit] | None) -> _Judged:
        before = route.copy() if hits is not None else None
        failure = ""
        try:
            verdict = clause.function(route) or Verdict.NEXT
            route.attributes  # noqa: B018  (a value that cannot be encoded shows now)
        except Exception as error:  # noqa: BLE001  (the user's code: its failure rejects, never accepts or crashes)
            self.failures += 1
            self.last_failure = failure = f"{clause.name}: {error!r}"
            verdict = Verdict.REJECT
        if hits is not None and before is not None and (verdict is not Verdict.NEXT or changes(before, route)):
            found = () if failure else changes(before, route)
            hits.append(Hit(clause.name, str(clause), verdict, found, failure))
        return _Judged(verdict, route, keys)


def with_key(route: Route, key: bytes) -> Route:
    """Return a copy of a route for one of its prefixes."""
    twin = route.copy()
    twin.key = key
    return twin


def select(clause: Clause, route: Route, keys: Sequence[bytes]) -> Sequence[bytes]:
    """Return the prefixes for which every condition of a clause holds."""
    for match in clause.path_matches:
        if not match.test(route):
            return ()
    for condition in clause.key_matches:
        keys = condition.inside(route, keys)
    return keys


def merged(passed: Sequence[Passed]) -> Sequence[Passed]:
    """Join groups that came to the same outcome on different ways."""
    groups: dict[tuple[object, ...], list[Passed]] = {}
    for one in passed:
        groups.setdefault((one.attributes, *one[2:]), []).append(one)
    return [
        found[0] if len(found) == 1 else found[0]._replace(keys=[key for one in found for key in one.keys])
        for found in groups.values()
    ]


def changes(before: Route, after: Route) -> tuple[AttributeChange, ...]:
    """Say what differs between two states of a route."""
    found = attribute_changes(before.attributes, after.attributes)
    facts: list[tuple[str, object, object]] = [
        ("preference", before.preference, after.preference),
        ("tag", before.tag, after.tag),
    ]
    if after.kernel is not before.kernel:
        facts += [
            ("kernel-metric", before.kernel.metric or "", after.kernel.metric or ""),
            ("kernel-source", " ".join(before.kernel.sources), " ".join(after.kernel.sources)),
        ]
    return (*found, *(AttributeChange(name, str(old), str(new)) for name, old, new in facts if old != new))


def attribute_changes(before: Attributes, after: Attributes) -> tuple[AttributeChange, ...]:
    """Say which attributes differ, each as text."""
    found = [
        AttributeChange(attribute_name(code), attribute_text(before, code), attribute_text(after, code))
        for code in sorted({*before.codes(), *after.codes()})
        if before.value_octets(code) != after.value_octets(code)
    ]
    if before.next_hop != after.next_hop:
        found.append(AttributeChange("next-hop", next_hop_text(before), next_hop_text(after)))
    return tuple(found)
