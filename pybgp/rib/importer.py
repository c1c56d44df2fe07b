"""Routes become paths: what may be considered at all, and what import policy makes of it (spec section 7)."""

from __future__ import annotations

from itertools import chain, compress, repeat
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pybgp.rib.eligibility import refusal
from pybgp.rib.entrance import enter
from pybgp.rib.flow_validation import ROUTES_OF, FlowValidation
from pybgp.rib.glance import Glance
from pybgp.rib.path import BGP_PREFERENCE, POLICY_REJECTED, Path, path_as_judged, path_as_received
from pybgp.rib.policy.interface import ACCEPT_ALL, Passed, plan_of
from pybgp.rib.roles import leak
from pybgp.wire.plain_run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.adj_rib_in import AdjRibIn
    from pybgp.rib.policy.interface import Policy
    from pybgp.rib.policy.plan import FamilyPlan, Leaf
    from pybgp.rib.policy.splices import Edit
    from pybgp.rib.ranking import Ranking
    from pybgp.rib.rib_peer import Identity, RibPeer
    from pybgp.rib.table import Table
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

NO_NEXT_HOP: Final = "import policy took the next hop away"
NO_POLICY: Final = "no import policy (RFC 8212)"


class ImportedRun(NamedTuple):
    """What import makes of UPDATEs in a row: a path for each, or several for one whose prefixes fare differently."""

    paths: Sequence[Path]
    #: prefixes of each path.
    keys: Sequence[Sequence[bytes]]
    #: prefixes that are kept but may not be selected ...
    refused: Sequence[bytes] = ()
    #: ... and the path of each, with a rejection.
    refused_paths: Sequence[Path] = ()


class Importer:
    """Makes paths of attribute sets, one per meaning; who is told of them is not decided here."""

    __slots__ = (
        "_best",
        "_identity",
        "_local_addresses",
        "_policies",
        "_ranking",
        "_require_ebgp_policy",
        "has_flow_rules",
        "policy_failures",
    )

    def __init__(
        self,
        ranking: Ranking,
        identity: Identity,
        local_addresses: Collection[bytes],
        best: Callable[[Family], Mapping[bytes, Path]],
        *,
        require_ebgp_policy: bool,
    ) -> None:
        """``local_addresses`` may change later; ``best`` returns the live Loc-RIB of a family."""
        self.policy_failures = 0
        #: there are flow rules whose fate depends on routes.
        self.has_flow_rules = False
        self._ranking = ranking
        self._identity = identity
        self._local_addresses = local_addresses
        self._best = best
        self._require_ebgp_policy = require_ebgp_policy
        self._policies: dict[int, Policy] = {}

    def set_policy(self, peer: RibPeer, policy: Policy | None) -> None:
        """Replace the policy of a peer; None: all is accepted, unless a policy must be there (RFC 8212)."""
        if policy is None and not peer.interior and self._require_ebgp_policy:
            self._policies.pop(peer.number, None)
        else:
            self._policies[peer.number] = policy or ACCEPT_ALL

    def remove_peer(self, peer: int) -> None:
        """Forget the policy of a peer."""
        self._policies.pop(peer, None)

    def set_glance(self, table: Table, inbound: AdjRibIn) -> None:
        """Find out for which routes of a peer a glance is enough."""
        policy = self._policies.get(inbound.peer.number)
        plan = None if policy is None or is_validated(table, inbound) else plan_of(policy)
        if plan is not inbound.plan:
            inbound.plan = plan
            inbound.judged.clear()
        is_simple = policy is ACCEPT_ALL or plan is not None
        if is_simple and not is_validated(table, inbound):
            inbound.glance = Glance(inbound.peer, table.family, self._identity, self._local_addresses)
        else:
            inbound.glance = None

    def _take(self, table: Table, inbound: AdjRibIn, received: Attributes) -> Path:
        """Make the path of a new attribute set that is taken as it came."""
        path = path_as_received(inbound.peer, inbound.source, received, table.ranker)
        inbound.taken[received] = path
        if not self._ranking.ranks_late:
            self._ranking.rank(table, path)
        return path

    def _import_all(self, table: Table, inbound: AdjRibIn, received: Attributes) -> Path:
        """Return the path of an attribute set for a peer whose routes all get one verdict."""
        ((path, _),) = self._import(table, inbound, received, ())
        return path

    def import_run(self, table: Table, inbound: AdjRibIn, glance: Glance, run: Run) -> ImportedRun:
        """Return what import makes of UPDATEs in a row."""
        are_fine = glance.are_enough(run.attributes)
        if inbound.plan is not None:
            return self._import_planned(table, inbound, inbound.plan.of(table.family), run, are_fine=are_fine)
        if are_fine:
            return self._take_run(table, inbound, run)
        known = inbound.taken.get
        paths = [known(received) or self._import_all(table, inbound, received) for received in run.attributes]
        return _imported(paths, run.keys, [], [])

    def _take_run(self, table: Table, inbound: AdjRibIn, run: Run) -> ImportedRun:
        """Return what is made of UPDATEs whose routes are taken as they came."""
        paths = self._take_all(table, inbound, run.attributes)
        return ImportedRun(paths, run.keys) if self._ranking.ranks_late else _imported(paths, run.keys, [], [])

    def _take_all(self, table: Table, inbound: AdjRibIn, several: Iterable[Attributes]) -> list[Path]:
        """Return the paths of attribute sets that are taken as they came."""
        taken, peer, source, ranker = inbound.taken, inbound.peer, inbound.source, table.ranker
        known, ranks_late = taken.get, self._ranking.ranks_late
        paths = []
        for received in several:
            path = known(received)
            if path is None:
                path = taken[received] = path_as_received(peer, source, received, ranker)
                if not ranks_late:
                    self._ranking.rank(table, path)
            paths.append(path)
        return paths

    def _import_planned(
        self, table: Table, inbound: AdjRibIn, plan: FamilyPlan, run: Run, *, are_fine: bool
    ) -> ImportedRun:
        """Return what the plan of a policy makes of UPDATEs in a row."""
        if not all(run.keys):
            run = Run([*compress(run.attributes, run.keys)], [*filter(None, run.keys)])
        shares = plan.shares(run)
        if len(shares) == 1 and are_fine and shares[0][0].takes_as_it_comes:
            return self._take_run(table, inbound, run)
        paths: list[Path] = []
        keys: list[Sequence[bytes]] = []
        refused: list[bytes] = []
        refused_paths: list[Path] = []
        for leaf, share in shares:
            if are_fine and leaf.rejects:
                several = self._refuse_all(inbound, share.attributes)
                refused += share.keys or chain.from_iterable(run.keys)
                refused_paths += chain.from_iterable(map(repeat, several, share.counts))
                continue
            pieces = share.pieces() if len(shares) > 1 else run.keys
            keys += pieces
            if are_fine and leaf.takes_as_it_comes:
                paths += self._take_all(table, inbound, share.attributes)
            elif are_fine and leaf.edit is not None:
                paths += self._change_all(table, inbound, leaf, leaf.edit, share.attributes, pieces)
            else:
                known = inbound.paths_at(leaf).get
                paths += [
                    known(received) or self._planned(table, inbound, leaf, received, its_keys, are_fine=are_fine)
                    for received, its_keys in zip(share.attributes, pieces, strict=True)
                ]
        return _imported(paths, keys, refused, refused_paths)

    def _change_all(
        self,
        table: Table,
        inbound: AdjRibIn,
        leaf: Leaf,
        edit: Edit,
        several: Sequence[Attributes],
        pieces: Sequence[Sequence[bytes]],
    ) -> list[Path]:
        """Return the paths of attribute sets that are accepted after some changes."""
        judged, intern, peer, source = inbound.judged[leaf], inbound.interned.setdefault, inbound.peer, inbound.source
        ranks_late = self._ranking.ranks_late
        found = [*map(judged.get, several)]
        unknown = [at for at, path in enumerate(found) if path is None]
        if not unknown:
            return cast("list[Path]", found)
        fresh = [several[at] for at in unknown]
        try:
            changed = edit.changed(fresh, peer)
        except Exception:  # noqa: BLE001  (one of them cannot be written: which one shows below)
            changed = fresh
        preference, tag = edit.preference(BGP_PREFERENCE), edit.tag or ""
        for at, received, attributes in zip(unknown, fresh, changed, strict=True):
            if attributes == received or not attributes.next_hop:
                path = self._planned(table, inbound, leaf, received, pieces[at], are_fine=True)
            else:
                path = path_as_judged(peer, source, received, attributes, preference, tag, "")
                known = intern((received, attributes, "", preference, tag), path)
                if known is path:
                    path.ranker = table.ranker
                    if not ranks_late:
                        self._ranking.rank(table, path)
                judged[received] = path = known
            found[at] = path
        return cast("list[Path]", found)

    def _refuse_all(self, inbound: AdjRibIn, several: Iterable[Attributes]) -> list[Path]:
        """Return the paths of attribute sets that policy rejects."""
        refused, peer, source = inbound.refused, inbound.peer, inbound.source
        known = refused.get
        paths = []
        for received in several:
            path = known(received)
            if path is None:
                path = path_as_judged(peer, source, received, received, BGP_PREFERENCE, "", POLICY_REJECTED)
                refused[received] = path
            paths.append(path)
        return paths

    def _planned(
        self,
        table: Table,
        inbound: AdjRibIn,
        leaf: Leaf,
        received: Attributes,
        keys: Sequence[bytes],
        *,
        are_fine: bool,
    ) -> Path:
        """Return the path of an attribute set for prefixes that end at one leaf; it is made once."""
        paths = inbound.paths_at(leaf)
        if (path := paths.get(received)) is not None:
            return path
        entered = received
        if not are_fine:
            path = inbound.imported.get(received) or self._refused(table, inbound, received)
            if path is not None:
                return path
            entered = enter(received, inbound.peer, table.family)
            if entered is not received and leaf.takes_as_it_comes:
                paths = inbound.judged[leaf]
                if (path := paths.get(received)) is not None:
                    return path
        if entered is received and leaf.takes_as_it_comes:
            return self._take(table, inbound, received)
        path = paths[received] = self._judge(table, inbound, leaf, received, entered, keys)
        return path

    def _judge(
        self,
        table: Table,
        inbound: AdjRibIn,
        leaf: Leaf,
        received: Attributes,
        entered: Attributes,
        keys: Sequence[bytes],
    ) -> Path:
        """Return what the policy makes of an attribute set for prefixes that end at one leaf of its plan."""
        peer = inbound.peer
        if leaf.rejects:
            return path_as_judged(peer, inbound.source, received, received, BGP_PREFERENCE, "", POLICY_REJECTED)
        if leaf.steps is None:
            return self._ask_one(table, inbound, received, keys)
        try:
            outcome = leaf.outcome(received, entered, peer, table.family)
        except Exception:  # noqa: BLE001  (what cannot be written: the policy fails by it when it is asked)
            return self._ask_one(table, inbound, received, keys)
        if outcome is None:
            return self._path(table, inbound, received, received, POLICY_REJECTED)
        return self._passed(table, inbound, received, *outcome)

    def _ask_one(self, table: Table, inbound: AdjRibIn, received: Attributes, keys: Sequence[bytes]) -> Path:
        """Let the policy judge a path by one of the prefixes that all fare alike."""
        policy = self._policies[inbound.peer.number]
        (path, _), *_ = self._ask(policy, table, inbound, received, keys[:1])
        return path

    def _refused(self, table: Table, inbound: AdjRibIn, received: Attributes) -> Path | None:
        """Return the path of an attribute set that may not be considered at all; None if it may."""
        peer = inbound.peer
        reason = refusal(received, peer, self._identity, self._local_addresses) or leak(received, peer, table.family)
        if not reason:
            return None
        path = inbound.imported[received] = self._path(table, inbound, received, received, reason)
        return path

    def preview(
        self,
        table: Table,
        trial: AdjRibIn,
        policy: Policy | None,
        by_received: Mapping[Attributes, Sequence[bytes]],
    ) -> list[tuple[Path, Sequence[bytes]]]:
        """Return what another policy would make of routes."""
        number, failures = trial.peer.number, self.policy_failures
        before = self._policies.get(number)
        self.set_policy(trial.peer, policy)
        self.set_glance(table, trial)
        try:
            return [
                answer
                for received, keys in by_received.items()
                for answer in self.import_valid(table, trial, received, keys)
            ]
        finally:
            self.policy_failures = failures
            self._policies.pop(number, None)
            if before is not None:
                self._policies[number] = before

    def import_valid(
        self, table: Table, inbound: AdjRibIn, received: Attributes, raw_keys: Sequence[bytes]
    ) -> Iterable[tuple[Path, Sequence[bytes]]]:
        """Return what import makes of routes; flow rules that may not be believed are kept but rejected."""
        imported = self._import(table, inbound, received, raw_keys)
        return self._believed(table, inbound, imported) if is_validated(table, inbound) else imported

    def _believed(
        self, table: Table, inbound: AdjRibIn, imported: Iterable[tuple[Path, Sequence[bytes]]]
    ) -> Iterator[tuple[Path, Sequence[bytes]]]:
        flows = table.flows
        if flows is None:
            flows = table.flows = FlowValidation(table.family, self._best(ROUTES_OF[table.family]))
            self.has_flow_rules = True
        for path, raw_keys in imported:
            if path.rejection:
                yield path, raw_keys
                continue
            faults: dict[str, list[bytes]] = {}
            for raw, rule in zip(raw_keys, inbound.prefixes(raw_keys), strict=True):
                faults.setdefault(flows.fault(rule, path.received, inbound.peer), []).append(raw)
            for fault, keys in faults.items():
                yield self._path(table, inbound, path.received, path.attributes, fault) if fault else path, keys

    def _import(
        self, table: Table, inbound: AdjRibIn, received: Attributes, raw_keys: Sequence[bytes]
    ) -> Iterator[tuple[Path, Sequence[bytes]]]:
        """Yield the paths that import makes of an attribute set, each with its raw keys."""
        path = inbound.imported.get(received)
        if path is None and inbound.glance is not None and inbound.plan is None:
            path = inbound.taken.get(received)
            if path is None and inbound.glance.is_enough(received):
                path = self._take(table, inbound, received)
        if path is not None:
            yield path, raw_keys
            return
        if inbound.plan is not None and inbound.glance is not None:
            are_fine = inbound.glance.is_enough(received)
            for identifier, prefixes in by_identifier(raw_keys, inbound.add_path):
                for leaf, keys in inbound.plan.of(table.family).parts(prefixes):
                    path = self._planned(table, inbound, leaf, received, keys, are_fine=are_fine)
                    yield path, [identifier + key for key in keys] if identifier else keys
            return
        peer = inbound.peer
        policy = self._policies.get(peer.number)
        if (path := self._refused(table, inbound, received)) is not None:
            yield path, raw_keys
        elif policy is None:
            path = inbound.imported[received] = self._path(table, inbound, received, received, NO_POLICY)
            yield path, raw_keys
        elif policy is ACCEPT_ALL:
            path = inbound.imported[received] = self._path(
                table, inbound, received, enter(received, peer, table.family), ""
            )
            yield path, raw_keys
        elif policy.looks_at_prefixes:
            for identifier, prefixes in by_identifier(raw_keys, inbound.add_path):
                for path, keys in self._ask(policy, table, inbound, received, prefixes):
                    yield path, [identifier + key for key in keys] if identifier else keys
        else:
            (path, _), *_ = self._ask(policy, table, inbound, received, raw_keys)
            inbound.imported[received] = path
            yield path, raw_keys

    def _ask(
        self, policy: Policy, table: Table, inbound: AdjRibIn, received: Attributes, keys: Sequence[bytes]
    ) -> list[tuple[Path, Sequence[bytes]]]:
        """Let the policy judge; what it does not name, and all if it fails, is kept but rejected."""
        peer = inbound.peer
        question = Path(peer.number, peer.source, received, enter(received, peer, table.family), teller=peer)
        reason = POLICY_REJECTED
        try:
            accepted = [Passed(*one) for one in policy.apply(question, table.family, keys, internal=peer.interior)]
        except Exception as error:  # noqa: BLE001  (a policy is the user's code: its failure rejects, never accepts)
            self.policy_failures += 1
            accepted, reason = [], f"import policy failed: {error!r}"
        answers = [
            (self._passed(table, inbound, received, one.attributes, one.preference, one.tag), one.keys)
            for one in accepted
            if one.keys
        ]
        if len(answers) == 1 and answers[0][1] is keys:
            return answers
        left = keys
        if answers:
            passed = set().union(*(kept for _, kept in answers)) if policy.looks_at_prefixes else set(keys)
            left = [key for key in keys if key not in passed]
        if left:
            answers.append((self._path(table, inbound, received, received, reason), left))
        return answers

    def _path(
        self, table: Table, inbound: AdjRibIn, received: Attributes, attributes: Attributes, rejection: str
    ) -> Path:
        path = path_as_judged(inbound.peer, inbound.source, received, attributes, BGP_PREFERENCE, "", rejection)
        return self.known(table, inbound, path)

    def _passed(
        self,
        table: Table,
        inbound: AdjRibIn,
        received: Attributes,
        attributes: Attributes,
        preference: int | None,
        tag: str,
    ) -> Path:
        """Return the path that import policy made of what a peer sent."""
        if attributes == received:
            attributes = received
        if preference is None:
            preference = BGP_PREFERENCE
        rejection = NO_NEXT_HOP if received.next_hop and not attributes.next_hop else ""
        path = path_as_judged(inbound.peer, inbound.source, received, attributes, preference, tag, rejection)
        return self.known(table, inbound, path)

    def known(self, table: Table, inbound: AdjRibIn, path: Path) -> Path:
        """Return the path that means the same already, or this one."""
        known = inbound.intern(path)
        if known is path and not path.rejection:
            self._ranking.qualify(table, path)
        return known


def _imported(
    paths: Sequence[Path], keys: Sequence[Sequence[bytes]], refused: list[bytes], refused_paths: list[Path]
) -> ImportedRun:
    """Put those with a rejection to what is refused already."""
    if not any(path.rejection for path in paths):
        return ImportedRun(paths, keys, refused, refused_paths)
    good: list[Path] = []
    keys_of: list[Sequence[bytes]] = []
    for path, its_keys in zip(paths, keys, strict=True):
        if path.rejection:
            refused += its_keys
            refused_paths += repeat(path, len(its_keys))
        else:
            good.append(path)
            keys_of.append(its_keys)
    return ImportedRun(good, keys_of, refused, refused_paths)


def is_validated(table: Table, inbound: AdjRibIn) -> bool:
    """Say whether flow rules of a peer are believed only where its routes lead (RFC 8955 section 6)."""
    return inbound.peer.validate_flow_rules and table.family in ROUTES_OF


def by_identifier(raw_keys: Sequence[bytes], add_path: bool) -> Iterable[tuple[bytes, Sequence[bytes]]]:
    """Group ADD-PATH keys by identifier, so that policies see prefixes only."""
    if not add_path:
        return [(b"", raw_keys)]
    groups: dict[bytes, list[bytes]] = {}
    for raw in raw_keys:
        groups.setdefault(raw[:4], []).append(raw[4:])
    return groups.items()
