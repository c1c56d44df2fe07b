"""A policy as a plan: first the prefixes are parted by the sets they are in, then each part has one outcome per path.

What becomes of a route depends on its attributes and on which prefix sets its prefix is in, and on nothing else of the
prefix.  So the sets are asked about all prefixes of a path at once, and the clauses once for each part of them.
Where no clause that matters looks at attributes, not even that: the outcome is known before the first route comes.
"""

from __future__ import annotations

from itertools import accumulate, chain, compress, repeat
from operator import sub
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pybgp.rib.path import BGP_PREFERENCE, path_as_judged
from pybgp.rib.policy.clause import Clause, PythonClause, Verdict
from pybgp.rib.policy.match import FamilyMatch, PrefixMatch
from pybgp.rib.policy.route import Route
from pybgp.rib.policy.splices import edit_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pybgp.rib.policy.action import Action
    from pybgp.rib.policy.match import Match
    from pybgp.rib.policy.prefix_set import PrefixSet
    from pybgp.rib.policy.splices import Edit
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.plain_run import Run


class _Rule(NamedTuple):
    """What is left of a clause where it is known that its prefix sets hold."""

    matches: tuple[Match, ...]
    actions: tuple[Action, ...]
    then: Verdict


class Step(NamedTuple):
    """The same, its actions put together."""

    matches: tuple[Match, ...]
    edit: Edit | None
    then: Verdict


#: What a route that is accepted becomes: attributes, preference and tag.
Outcome: TypeAlias = "tuple[Attributes, int, str]"


class Leaf:
    """Where prefixes end that share one outcome."""

    __slots__ = ("edit", "rejects", "steps", "takes_as_it_comes")

    def __init__(self, steps: tuple[Step, ...] | None) -> None:
        """See the attributes."""
        #: None: the clauses must be asked about each path, with any one of the prefixes.
        self.steps = steps
        only = steps[0] if steps and len(steps) == 1 else None
        #: every route is rejected.
        self.rejects = only is not None and only.then is Verdict.REJECT
        accepts = only is not None and only.then is Verdict.ACCEPT
        #: what is done to every route, all of which are accepted.
        self.edit = only.edit if only is not None and accepts else None
        #: every route is accepted unchanged.
        self.takes_as_it_comes = accepts and self.edit is None

    def outcome(self, received: Attributes, entered: Attributes, teller: RibPeer, family: Family) -> Outcome | None:
        """Return what becomes of a path, None if it is rejected; only for a leaf with steps.

        ``entered`` is what was received after what is done to all routes of the peer.
        """
        attributes, preference, tag = entered, BGP_PREFERENCE, ""
        route: Route | None = None
        for matches, edit, then in self.steps or ():
            if matches:
                if route is None:
                    seen = path_as_judged(teller, teller.source, received, attributes, preference, tag, "")
                    route = Route(seen, family, internal=teller.interior)
                if not holds(matches, route):
                    continue
            if then is Verdict.REJECT:
                return None
            if edit is not None:
                (attributes,) = edit.changed((attributes,), teller)
                if edit.preferences:
                    preference = edit.preference(preference)
                if edit.tag is not None:
                    tag = edit.tag
                route = None
            if then is Verdict.ACCEPT:
                return attributes, preference, tag
        return None


def holds(matches: Sequence[Match], route: Route) -> bool:
    """Say whether every condition holds."""
    for match in matches:  # noqa: SIM110  (a generator takes twice as long)
        if not match.test(route):
            return False
    return True


class Share(NamedTuple):
    """What UPDATEs in a row announce, or a part of it.  Nothing is done prefix by prefix here."""

    attributes: Sequence[Attributes]
    #: of all of them.
    keys: list[bytes]
    #: how many there are of each.
    counts: Sequence[int]

    def split(self, marks: bytes) -> tuple[Share, Share]:
        """Return what there is of prefixes that are marked, and of the others."""
        attributes, keys, counts = self
        ends = [*accumulate(counts)]
        inside = [*map(marks.count, repeat(1), chain((0,), ends), ends)]
        outside = [*map(sub, counts, inside)]
        others = compress(keys, marks.translate(_OTHERS))
        return (
            Share([*compress(attributes, inside)], [*compress(keys, marks)], [*filter(None, inside)]),
            Share([*compress(attributes, outside)], [*others], [*filter(None, outside)]),
        )

    def pieces(self) -> list[list[bytes]]:
        """Return the prefixes of each attribute set."""
        ends = [*accumulate(self.counts)]
        return [*map(self.keys.__getitem__, map(slice, chain((0,), ends), ends))]


#: What turns marks of prefixes that are in a set into marks of those that are not.
_OTHERS: Final = b"\x01\x00" + bytes(254)


class _Fork:
    """A set that must be asked, and where the prefixes go that are in it and those that are not."""

    __slots__ = ("_known", "_plan", "_prefixes", "_sides", "marks")

    def __init__(self, plan: FamilyPlan, prefixes: PrefixSet, known: Mapping[PrefixSet, bool]) -> None:
        self.marks = prefixes.marker(plan.family)
        self._plan = plan
        self._prefixes = prefixes
        self._known = known
        self._sides: dict[bool, _Fork | Leaf] = {}

    def side(self, is_inside: bool) -> _Fork | Leaf:
        node = self._sides.get(is_inside)
        if node is None:
            node = self._sides[is_inside] = self._plan.node({**self._known, self._prefixes: is_inside})
        return node


class Plan:
    """The plan of some clauses, by family."""

    __slots__ = ("_clauses", "_default", "_families")

    def __init__(self, clauses: Sequence[Clause | PythonClause], default: Verdict) -> None:
        """Every clause must be one that `can_be_planned`."""
        self._clauses = clauses
        self._default = default
        self._families: dict[Family, FamilyPlan] = {}

    def of(self, family: Family) -> FamilyPlan:
        """Return the plan of one family."""
        found = self._families.get(family)
        if found is None:
            found = self._families[family] = FamilyPlan(family, self._clauses, self._default)
        return found


class FamilyPlan:
    """A tree that parts prefixes of a family; it grows as prefixes come to its forks."""

    __slots__ = ("_clauses", "_default", "_leaves", "_root", "family")

    def __init__(self, family: Family, clauses: Sequence[Clause | PythonClause], default: Verdict) -> None:
        """Begin with what is known before any set is asked."""
        self.family = family
        self._clauses = clauses
        self._default = default
        self._leaves: dict[tuple[Verdict, tuple[Action, ...]], Leaf] = {}
        self._root = self.node({})

    def parts(self, keys: Sequence[bytes]) -> list[tuple[Leaf, Sequence[bytes]]]:
        """Part prefixes by what becomes of them; if that is the same for all, ``keys`` itself is the only part."""
        return self._parts_at(self._root, keys) if keys else []

    def _parts_at(self, node: _Fork | Leaf, keys: Sequence[bytes]) -> list[tuple[Leaf, Sequence[bytes]]]:
        while isinstance(node, _Fork):
            marks = node.marks(keys)
            if 0 in marks and 1 in marks:
                inside, outside = [*compress(keys, marks)], [*compress(keys, marks.translate(_OTHERS))]
                return [*self._parts_at(node.side(True), inside), *self._parts_at(node.side(False), outside)]
            node = node.side(1 in marks)
        return [(node, keys)]

    def shares(self, run: Run) -> list[tuple[Leaf, Share]]:
        """Part UPDATEs in a row likewise; each set is asked once about all prefixes."""
        keys = [key for its_keys in run.keys for key in its_keys] if isinstance(self._root, _Fork) else []
        return self._shares_at(self._root, Share(run.attributes, keys, [*map(len, run.keys)]))

    def _shares_at(self, node: _Fork | Leaf, share: Share) -> list[tuple[Leaf, Share]]:
        while isinstance(node, _Fork):
            marks = node.marks(share.keys)
            if 0 in marks and 1 in marks:
                inside, outside = share.split(marks)
                return [*self._shares_at(node.side(True), inside), *self._shares_at(node.side(False), outside)]
            node = node.side(1 in marks)
        return [(node, share)]

    def node(self, known: Mapping[PrefixSet, bool]) -> _Fork | Leaf:
        """Return what comes next when it is known of some sets whether the prefixes are in them."""
        rules: list[_Rule] = []
        must_ask = False
        for clause in (*self._clauses, Clause("default", then=self._default)):
            if isinstance(clause, PythonClause):
                must_ask = True
                continue
            if not all(
                self.family in match.families for match in clause.path_matches if isinstance(match, FamilyMatch)
            ):
                continue
            sets = [match.prefixes for match in clause.key_matches if isinstance(match, PrefixMatch)]
            if not all(known.get(prefixes, True) for prefixes in sets):
                continue
            unknown = next((prefixes for prefixes in sets if prefixes not in known), None)
            if unknown is not None:
                return _Fork(self, unknown, known)
            matches = tuple(match for match in clause.path_matches if not isinstance(match, FamilyMatch))
            rules.append(_Rule(matches, clause.actions, clause.then))
            if not matches and clause.then is not Verdict.NEXT:
                break
        return Leaf(None) if must_ask else self._leaf(rules)

    def _leaf(self, rules: Sequence[_Rule]) -> Leaf:
        """Return the leaf of some rules; those that ask nothing are one step, and equal ones are one leaf."""
        if any(rule.matches for rule in rules):
            return Leaf(steps_of(rules))
        last = rules[-1].then
        actions = tuple(action for rule in rules for action in rule.actions) if last is Verdict.ACCEPT else ()
        steps = steps_of([_Rule((), actions, last)])
        return Leaf(None) if steps is None else self._leaves.setdefault((last, actions), Leaf(steps))


def steps_of(rules: Iterable[_Rule]) -> tuple[Step, ...] | None:
    """Put rules into steps; None if something that they do cannot be."""
    steps = []
    for matches, actions, then in rules:
        done = actions if then is not Verdict.REJECT else ()
        try:
            edit = edit_of(done) if done else None
        except Exception:  # noqa: BLE001  (a value that cannot be: the clauses fail by it when they are asked)
            return None
        if done and edit is None:
            return None
        steps.append(Step(matches, edit, then))
    return tuple(steps)


def can_be_planned(clause: Clause | PythonClause) -> bool:
    """Say whether a clause asks of prefixes nothing but which sets they are in."""
    if isinstance(clause, PythonClause):
        return not clause.looks_at_prefixes
    return all(isinstance(condition, PrefixMatch) for condition in clause.key_matches)
