"""The Rib: Adj-RIB-In of every peer, the Loc-RIB, and one transaction per UPDATE (spec section 7).

Work is done per message and per path.  Only prefixes that more than one path wants are looked at one by one.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pybgp.rib.adj_rib_in import AdjRibIn
from pybgp.rib.decision import DecisionOptions, Loss, compare, elect, equal_cost, explain, is_as_good, rank_by, stays
from pybgp.rib.eligibility import refusal
from pybgp.rib.entrance import enter
from pybgp.rib.flow_validation import FLOWS_OF, ROUTES_OF, FlowValidation
from pybgp.rib.glance import Glance
from pybgp.rib.growth import Growth
from pybgp.rib.long_lived import marked, may_stay
from pybgp.rib.measure import measure
from pybgp.rib.path import BGP_PREFERENCE, LOCAL_PEER, Addition, Change, Path, Source, path_as_received
from pybgp.rib.path_choice import Offer
from pybgp.rib.policy.interface import ACCEPT_ALL, Passed, sieve_of
from pybgp.rib.rib_peer import Identity, RibPeer
from pybgp.rib.roles import leak
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.decision import Measure
    from pybgp.rib.policy.interface import Policy
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family

    Buckets = dict[Path | None, list[bytes]]

POLICY_REJECTED = "rejected by import policy"
UNREACHABLE = "next hop unreachable"
NO_NEXT_HOP = "import policy took the next hop away"
NO_POLICY = "no import policy (RFC 8212)"
#: What is true of a prefix that had no path before (see `Rib._settle`).
APPEARED = 2


def same_cost(next_hop: bytes) -> int | None:
    """Every next hop is reachable at no cost: right where one hop is all there is."""
    del next_hop
    return 0


class Table:
    """One family: who says what, and who is believed."""

    __slots__ = ("best", "equals", "family", "flows", "growth", "inbound", "med_in_use", "ranker", "touched")

    def __init__(self, family: Family, ranked: Callable[[Table, Path], None]) -> None:
        """``ranked`` gives a path of the table its rank."""
        self.family = family
        self.ranker: Callable[[Path], None] = partial(ranked, self)
        self.best: dict[bytes, Path] = {}
        self.growth = Growth()
        #: prefixes with several equal-cost paths, best first; only with maximum_paths above 1.
        self.equals: dict[bytes, tuple[Path, ...]] = {}
        self.inbound: dict[int, AdjRibIn] = {}
        #: some path has carried a MED, so that losing paths can influence the choice.
        self.med_in_use = False
        #: prefixes any path of which has changed; None: nobody wants to know, see `Rib.watch_paths`.
        self.touched: dict[bytes, None] | None = None
        #: flow rules that must be believed, once there are any.
        self.flows: FlowValidation | None = None

    def candidates(self, prefix: bytes) -> list[Path]:
        """Return all paths that may be selected for a prefix."""
        found: list[Path] = []
        for inbound in self.inbound.values():
            if inbound.add_path:
                found += inbound.eligible(prefix)
            elif (path := inbound.routes.get(prefix)) is not None and not path.rejection:
                found.append(path)
        return found

    def changes(self, buckets: Buckets) -> list[Change]:
        """Turn what was collected in a transaction into changes."""
        return [Change(self.family, path, keys) for path, keys in buckets.items() if keys]

    def additions(self, buckets: Buckets) -> list[Change]:
        """Do the same for prefixes that nobody had a path to."""
        return [Addition(self.family, path, keys) for path, keys in buckets.items() if keys]


class Rib:
    """Knows peers by number only; it never sees a socket, a session or a clock."""

    def __init__(
        self,
        local_as: int,
        router_id: int,
        *,
        cluster_id: int = 0,
        options: DecisionOptions | None = None,
        maximum_paths: int = 1,
        require_ebgp_policy: bool = False,
        next_hop_cost: Callable[[bytes], int | None] = same_cost,
    ) -> None:
        """``next_hop_cost`` says how far a next hop is, None for out of reach; see `next_hops_changed`.

        ``cluster_id`` is what we call ourselves as a route reflector; 0: the router id (RFC 4456 section 7).
        """
        self.local_as = local_as
        self.identity = Identity(router_id, cluster_id or router_id)
        self.options = options or DecisionOptions()
        self.maximum_paths = maximum_paths
        self.require_ebgp_policy = require_ebgp_policy
        self.next_hop_cost = next_hop_cost
        #: addresses of this router; a route through one of them is never selected (RFC 4271 section 5.1.3).
        self.local_addresses: set[bytes] = set()
        self.policy_failures = 0
        #: there are flow rules whose fate depends on routes: `believe_again` wants to hear of every change.
        self.has_flow_rules = False
        self._tables: dict[Family, Table] = {}
        self._policies: dict[int, Policy] = {}
        self._labels: dict[str, bytes] = {}
        self._peers = {LOCAL_PEER: RibPeer(LOCAL_PEER, b"", local_as, local_as, router_id)}

    # What the Rib knows

    def best(self, family: Family) -> Mapping[bytes, Path]:
        """Return the Loc-RIB of a family; a live view."""
        return self._table(family).best

    def paths(self, family: Family, prefix: bytes) -> tuple[Path, ...]:
        """Return the equal-cost paths of a prefix, best first."""
        table = self._table(family)
        best = table.best.get(prefix)
        return () if best is None else table.equals.get(prefix) or (best,)

    def heard(self, family: Family, prefix: bytes) -> list[Path]:
        """Return all that is said of a prefix, rejected paths included."""
        found: list[Path] = []
        for inbound in self._table(family).inbound.values():
            raw_keys = inbound.raw_keys(prefix) if inbound.add_path else (prefix,)
            found += [inbound.routes[raw] for raw in raw_keys if raw in inbound.routes]
        return found

    def offers(self, family: Family, prefix: bytes) -> list[Offer]:
        """Return the paths of a prefix that may be selected, with who offers each and under which path identifier."""
        found: list[Offer] = []
        for peer, inbound in self._table(family).inbound.items():
            raw_keys = inbound.raw_keys(prefix) if inbound.add_path else (prefix,)
            for raw in raw_keys:
                path = inbound.routes.get(raw)
                if path is not None and not path.rejection:
                    found.append(Offer(peer, raw[: len(raw) - len(prefix)], path))
        return found

    def watch_paths(self, family: Family, *, active: bool = True) -> None:
        """Begin to note which prefixes of a family have other paths, or end it; `take_touched` returns them."""
        self._table(family).touched = {} if active else None

    def take_touched(self, family: Family) -> list[bytes]:
        """Return the prefixes any path of which has changed since the last call."""
        table = self._table(family)
        if not table.touched:
            return []
        touched, table.touched = table.touched, {}
        return list(touched)

    def received(self, peer: int, family: Family) -> Mapping[bytes, Path]:
        """Return what a peer sent, rejected routes included; keys carry its path identifiers if it sends them."""
        inbound = self._table(family).inbound.get(peer)
        return inbound.routes if inbound else {}

    def families_of(self, peer: int) -> list[Family]:
        """Return the families in which a peer has routes."""
        return [table.family for table in self._tables.values() if peer in table.inbound]

    def families(self) -> list[Family]:
        """Return the families that have a table."""
        return list(self._tables)

    def is_stale(self, peer: int, family: Family, raw: bytes) -> bool:
        """Whether a route of a peer waits to be refreshed."""
        inbound = self._table(family).inbound.get(peer)
        return inbound is not None and raw in inbound.stale

    def stale_count(self, peer: int, family: Family) -> int:
        """Return how many routes of a peer wait to be refreshed."""
        inbound = self._table(family).inbound.get(peer)
        return len(inbound.stale) if inbound else 0

    def explain(self, family: Family, prefix: bytes) -> list[Loss]:
        """Say for each path that is not the best of its prefix which step decided (spec section 7)."""
        candidates = self._table(family).candidates(prefix)
        return explain(
            [(path, self._measure(path)) for path in candidates], self.options, self._table(family).best.get(prefix)
        )

    def path_count(self) -> int:
        """Return how many paths are known at most; each needs one or two attribute sets."""
        return sum(inbound.path_count() for table in self._tables.values() for inbound in table.inbound.values())

    def attributes_in_use(self) -> set[Attributes]:
        """Return every attribute set that some route still needs, for the sweep of the attribute stores."""
        used: set[Attributes] = set()
        for table in self._tables.values():
            for inbound in table.inbound.values():
                for path in set(inbound.routes.values()):
                    used.add(path.received)
                    used.add(path.attributes)
        return used

    def sweeps(self) -> Iterator[Callable[[], bool]]:
        """Yield what makes each Adj-RIB-In forget unused paths; it says whether there was enough to do."""
        inbounds = [inbound for table in self._tables.values() for inbound in table.inbound.values()]
        return (inbound.sweep_unused for inbound in inbounds)

    # Peers

    def set_peer(self, peer: RibPeer, policy: Policy | None) -> list[Change]:
        """Enter the facts of a new session; kept routes stay if they mean the same in it."""
        known = self._peers.get(peer.number)
        self._peers[peer.number] = peer
        self._set_policy(peer, policy)
        changes: list[Change] = []
        for table in self._tables.values():
            inbound = table.inbound.get(peer.number)
            if inbound is None:
                continue
            if inbound.add_path != (table.family in peer.add_path_receive):
                changes += self.drop(peer.number, table.family)
                del table.inbound[peer.number]
                continue
            if known != peer:
                inbound.set_peer(peer)
            self._set_glance(table, inbound)
        return changes

    def _set_policy(self, peer: RibPeer, policy: Policy | None) -> None:
        if policy is None and not peer.interior and self.require_ebgp_policy:
            self._policies.pop(peer.number, None)
        else:
            self._policies[peer.number] = policy or ACCEPT_ALL

    def set_import_policy(self, peer: int, policy: Policy | None) -> list[Change]:
        """Replace the import policy of a peer and return what differs (spec section 16)."""
        changes = self.begin_import_policy(peer, policy)
        for family in self.families_of(peer):
            changes += self.judge(peer, family, list(self.received(peer, family)))
        return changes

    def begin_import_policy(self, peer: int, policy: Policy | None) -> list[Change]:
        """Replace the import policy for what comes from now on; what is there is judged by it as `judge` is called."""
        if peer not in self._peers:
            return []
        changes = self.set_peer(self._peers[peer], policy)
        for table in self._tables.values():
            if (inbound := table.inbound.get(peer)) is not None:
                inbound.imported.clear()
        return changes

    def judge(
        self,
        peer: int,
        family: Family,
        raw_keys: Iterable[bytes],
        concerned: Callable[[Family, Sequence[bytes]], Iterable[bytes]] | None = None,
    ) -> list[Change]:
        """Ask the import policy again about some routes of a peer, or about those of them that ``concerned`` picks."""
        table = self._table(family)
        inbound = table.inbound.get(peer)
        if inbound is None:
            return []
        present = [raw for raw in raw_keys if raw in inbound.routes]
        if concerned is not None:
            prefixes = inbound.prefixes(present)
            picked = set(concerned(family, prefixes))
            present = [raw for raw, prefix in zip(present, prefixes, strict=True) if prefix in picked]
        return self._import_again(table, inbound, present)

    def trial(self, peer: int, family: Family) -> AdjRibIn | None:
        """Return a place for what `preview` finds out of a peer's routes; None if it has none."""
        inbound = self._table(family).inbound.get(peer)
        return AdjRibIn(inbound.peer, add_path=inbound.add_path) if inbound is not None else None

    def preview(
        self, trial: AdjRibIn, family: Family, policy: Policy | None, raw_keys: Iterable[bytes]
    ) -> list[tuple[Path, Sequence[bytes]]]:
        """Return what another import policy would make of routes that are there, by the code that imports."""
        table, peer = self._table(family), trial.peer
        inbound = table.inbound.get(peer.number)
        if inbound is None:
            return []
        by_received: dict[Attributes, list[bytes]] = {}
        for raw in raw_keys:
            if (path := inbound.routes.get(raw)) is not None:
                by_received.setdefault(path.received, []).append(raw)
        before, failures = self._policies.get(peer.number), self.policy_failures
        self._set_policy(peer, policy)
        try:
            return [
                answer
                for received, keys in by_received.items()
                for answer in self._import_valid(table, trial, received, keys)
            ]
        finally:
            self.policy_failures = failures
            self._policies.pop(peer.number, None)
            if before is not None:
                self._policies[peer.number] = before

    def prefixes_of(self, peer: int, family: Family, raw_keys: Iterable[bytes]) -> Sequence[bytes]:
        """Return what keys of a peer's routes are called in the Loc-RIB."""
        inbound = self._table(family).inbound.get(peer)
        return list(raw_keys) if inbound is None else inbound.prefixes(raw_keys)

    def elect_among(self, family: Family, prefix: bytes, instead: Mapping[tuple[int, bytes], Path]) -> Path | None:
        """Return the best path of a prefix if these, by peer and key, were there instead of those that are."""
        table = self._table(family)
        candidates = []
        for peer, inbound in table.inbound.items():
            for raw in inbound.raw_keys(prefix) if inbound.add_path else (prefix,):
                path = instead.get((peer, raw)) or inbound.routes.get(raw)
                if path is not None and not path.rejection:
                    candidates.append(path)
        return next(iter(equal_cost(candidates, 1, self.options, table.best.get(prefix))), None)

    def judge_again(self, concerned: Callable[[Family, Sequence[bytes]], Iterable[bytes]]) -> list[Change]:
        """Ask the import policies again about the prefixes that ``concerned`` picks: what they look at has changed."""
        changes: list[Change] = []
        for table in self._tables.values():
            for peer in [peer for peer in table.inbound if peer != LOCAL_PEER]:
                changes += self.judge(peer, table.family, list(table.inbound[peer].routes), concerned)
        return changes

    def believe_again(self, routes: Sequence[Change]) -> list[Change]:
        """Ask again which flow rules may be believed, after changes of the routes to their destinations."""
        changes: list[Change] = []
        for family in {change.family for change in routes} & FLOWS_OF.keys():
            table = self._tables.get(FLOWS_OF[family])
            if table is None or table.flows is None:
                continue
            concerned: set[bytes] = set()
            for changed, path, keys in routes:
                if changed == family:
                    concerned |= table.flows.concerned(path, keys)
            for inbound in table.inbound.values() if concerned else ():
                if _is_validated(table, inbound):
                    raw_keys = list(inbound.routes)
                    rules = zip(raw_keys, inbound.prefixes(raw_keys), strict=True)
                    changes += self._import_again(table, inbound, [raw for raw, rule in rules if rule in concerned])
            if table.flows.is_due(sum(len(inbound.routes) for inbound in table.inbound.values())):
                table.flows.sweep({rule for one in table.inbound.values() for rule in one.prefixes(one.routes)})
        return changes

    def remove_peer(self, peer: int) -> list[Change]:
        """Forget a peer and all that it said."""
        changes: list[Change] = []
        for table in self._tables.values():
            changes += self.drop(peer, table.family)
            table.inbound.pop(peer, None)
        self._peers.pop(peer, None)
        self._policies.pop(peer, None)
        return changes

    # Routes

    def apply(
        self,
        peer: int,
        family: Family,
        withdrawn: Sequence[bytes],
        attributes: Attributes | None,
        announced: Sequence[bytes],
    ) -> list[Change]:
        """Take in one UPDATE of a peer and return what changed in the Loc-RIB (RFC 4271 section 9).

        The sequences are kept, and must not change afterwards.
        """
        table = self._table(family)
        inbound = self._inbound(table, peer)
        changes: list[Change] = []
        if withdrawn:
            if announced:
                both = set(announced)
                withdrawn = [key for key in withdrawn if key not in both]
            inbound.stale.difference_update(withdrawn)
            changes = self._withdraw(table, inbound, withdrawn)
        if announced and attributes is not None:
            if inbound.stale:
                inbound.stale.difference_update(announced)
            if inbound.replaced > inbound.sweep_at:
                inbound.forget_unused()
            for path, keys in self._import_valid(table, inbound, attributes, announced):
                changes += self._announce(table, inbound, path, keys)
        return changes

    def apply_run(self, peer: int, family: Family, run: Sequence[tuple[Attributes, Sequence[bytes]]]) -> list[Change]:
        """Take in what UPDATEs in a row announce, in one transaction where nobody else announces any of it."""
        table = self._table(family)
        inbound = self._inbound(table, peer)
        if inbound.replaced > inbound.sweep_at:
            inbound.forget_unused()
        if inbound.glance is not None and not inbound.add_path and not inbound.stale:
            changes = self._take_run(table, inbound, inbound.glance, run)
            if changes is not None:
                return changes
        return [change for received, keys in run for change in self.apply(peer, family, (), received, keys)]

    def announce_local(
        self, family: Family, prefixes: Sequence[bytes], attributes: Attributes, *, preference: int, label: str = ""
    ) -> list[Change]:
        """Announce prefixes of our own; each label is a source of its own, told apart like path identifiers."""
        table = self._table(family)
        inbound = self._inbound(table, LOCAL_PEER)
        identifier = self._labels.setdefault(label, len(self._labels).to_bytes(4, "big"))
        teller = self._peers[LOCAL_PEER]
        path = Path(LOCAL_PEER, Source.LOCAL, attributes, attributes, preference=preference, label=label, teller=teller)
        path = self._known(table, inbound, path)
        return self._announce(table, inbound, path, [identifier + prefix for prefix in prefixes])

    def withdraw_local(self, family: Family, prefixes: Sequence[bytes], *, label: str = "") -> list[Change]:
        """Take announcements of a label back."""
        table = self._table(family)
        identifier = self._labels.get(label)
        if identifier is None:
            return []
        raw_keys = [identifier + prefix for prefix in prefixes]
        return self._withdraw(table, self._inbound(table, LOCAL_PEER), raw_keys)

    def mark_stale(self, peer: int, family: Family) -> int:
        """Mark all routes of a peer; `sweep_stale` withdraws what is not announced again (RFC 4724 section 4.2)."""
        inbound = self._table(family).inbound.get(peer)
        if inbound is None:
            return 0
        if len(inbound.stale) < len(inbound.routes):
            inbound.stale = set(inbound.routes)
        inbound.unmarked = []
        return len(inbound.stale)

    def begin_long_lived(self, peer: int, family: Family) -> int:
        """What is stale of a peer becomes a last resort, by and by: see `mark_long_lived` (RFC 9494 section 4.2)."""
        inbound = self._table(family).inbound.get(peer)
        if inbound is None:
            return 0
        inbound.unmarked = list(inbound.stale)
        return len(inbound.unmarked)

    def unmarked_count(self, peer: int, family: Family) -> int:
        """Return how many routes of a peer `mark_long_lived` has still to look at."""
        inbound = self._table(family).inbound.get(peer)
        return len(inbound.unmarked) if inbound else 0

    def mark_long_lived(self, peer: int, family: Family, limit: int | None = None) -> list[Change]:
        """Mark what is still stale as a last resort, at most ``limit`` routes at a time, or withdraw what may not stay.

        The marked routes pass the import policy again, which may know the mark.
        """
        table = self._table(family)
        inbound = table.inbound.get(peer)
        if inbound is None:
            return []
        unmarked = inbound.unmarked
        raw_keys = unmarked[-limit:] if limit else list(unmarked)
        del unmarked[len(unmarked) - len(raw_keys) :]
        by_path: dict[Path, list[bytes]] = {}
        for raw in raw_keys:
            if raw in inbound.stale:
                by_path.setdefault(inbound.routes[raw], []).append(raw)
        changes: list[Change] = []
        for path, keys in by_path.items():
            if may_stay(path):
                for now, kept in self._import_valid(table, inbound, marked(path.received), keys):
                    changes += self._announce(table, inbound, now, kept)
            else:
                inbound.stale.difference_update(keys)
                changes += self._withdraw(table, inbound, keys)
        return changes

    def sweep_stale(self, peer: int, family: Family, limit: int | None = None) -> list[Change]:
        """Withdraw what is still stale, at most ``limit`` routes at a time."""
        table = self._table(family)
        inbound = table.inbound.get(peer)
        if inbound is None or not inbound.stale:
            return []
        if limit is None or limit >= len(inbound.stale):
            raw_keys, inbound.stale = list(inbound.stale), set()
        else:
            # In order of announcement neighbours share attributes, and so the UPDATEs that will tell of them.
            everything = len(inbound.stale) == len(inbound.routes)
            raw_keys = list(islice(inbound.routes if everything else inbound.stale, limit))
            inbound.stale.difference_update(raw_keys)
        return self._withdraw(table, inbound, raw_keys)

    def drop(self, peer: int, family: Family) -> list[Change]:
        """Withdraw everything that a peer said in a family."""
        self.mark_stale(peer, family)
        return self.sweep_stale(peer, family)

    def next_hops_changed(self, next_hops: Iterable[bytes]) -> list[Change]:
        """Ask again what these next hops cost, and choose again among the paths that use them."""
        wanted = set(next_hops)
        changes: list[Change] = []
        for table in self._tables.values():
            touched: dict[bytes, None] = {}
            for inbound in table.inbound.values():
                changes += self._measure_out_again(table, inbound, wanted)
                touched.update(dict.fromkeys(self._rank_again(table, inbound, wanted)))
            changes += self._elect_again(table, touched)
        return changes

    # Inside

    def _table(self, family: Family) -> Table:
        table = self._tables.get(family)
        if table is None:
            table = self._tables[family] = Table(family, self._ranked)
        return table

    def _inbound(self, table: Table, peer: int) -> AdjRibIn:
        inbound = table.inbound.get(peer)
        if inbound is None:
            facts = self._peers[peer]
            add_path = peer == LOCAL_PEER or table.family in facts.add_path_receive
            inbound = table.inbound[peer] = AdjRibIn(facts, add_path=add_path)
            self._set_glance(table, inbound)
        return inbound

    def _set_glance(self, table: Table, inbound: AdjRibIn) -> None:
        policy = self._policies.get(inbound.peer.number)
        inbound.sieve = None if policy is None else sieve_of(policy)
        is_simple = policy is ACCEPT_ALL or inbound.sieve is not None
        if is_simple and not _is_validated(table, inbound):
            inbound.glance = Glance(inbound.peer, table.family, self.identity, self.local_addresses)
        else:
            inbound.glance = None

    def _measure(self, path: Path) -> Measure:
        peer = self._peers[path.peer]
        cost = self.next_hop_cost(path.next_hop) or 0
        return measure(path, peer, cost, self.options)[0]

    def _qualify(self, table: Table, path: Path) -> None:
        """Let a path be selected, if its next hop can be reached; its rank is found when it is compared."""
        path.ranker = table.ranker
        if self.next_hop_cost is not same_cost:
            self._ranked(table, path)

    def _ranked(self, table: Table, path: Path) -> None:
        """Measure a path that may be selected, and note whether MEDs play a part from now on."""
        # Flow rules have no next hop.
        is_here = path.source is Source.LOCAL or not path.next_hop
        cost = 0 if is_here else self.next_hop_cost(path.next_hop)
        path.rejection = UNREACHABLE if cost is None else ""
        teller = path.teller or self._peers[path.peer]
        measured, leading_as = measure(path, teller, cost or 0, self.options)
        rank_by(path, measured, self.local_as if leading_as is None else leading_as, self.options)
        table.med_in_use = table.med_in_use or path.med > 0

    def _rank_again(self, table: Table, inbound: AdjRibIn, next_hops: set[bytes]) -> Sequence[bytes]:
        inbound.forget_unused()
        affected = {path for path in inbound.paths() if path.next_hop in next_hops}
        affected = {path for path in affected if path.rejection in {"", UNREACHABLE}}
        for path in affected:
            self._ranked(table, path)
        raw_keys = [raw for raw, path in inbound.routes.items() if path in affected] if affected else []
        return inbound.prefixes(raw_keys)

    def _measure_out_again(self, table: Table, inbound: AdjRibIn, next_hops: set[bytes]) -> list[Change]:
        """Put new paths in place of those that say how far a prefix is, so that peers hear of the new distance.

        RFC 7311 section 3.4.3: they are told the sum of what we heard and our own way.
        """
        moved = {
            path
            for path in inbound.paths()
            if path.next_hop in next_hops
            and AttributeCode.AIGP in path.attributes.codes()
            and path.cost != (self.next_hop_cost(path.next_hop) or 0)
        }
        if not moved:
            return []
        inbound.forget(moved)
        return self._import_again(table, inbound, [raw for raw, path in inbound.routes.items() if path in moved])

    def _elect_again(self, table: Table, prefixes: Iterable[bytes]) -> list[Change]:
        buckets: Buckets = {}
        appeared: Buckets = {}
        for prefix in prefixes:
            if table.touched is not None:
                table.touched[prefix] = None
            there = prefix in table.best
            if self._choose(table, prefix):
                (buckets if there else appeared).setdefault(table.best.get(prefix), []).append(prefix)
        return table.changes(buckets) + table.additions(appeared)

    def _take(self, table: Table, inbound: AdjRibIn, received: Attributes) -> Path:
        """Make the path of a new attribute set that is taken as it came."""
        path = path_as_received(inbound.peer, inbound.source, received, table.ranker)
        inbound.taken[received] = path
        if self.next_hop_cost is not same_cost:
            self._ranked(table, path)
        return path

    def _take_run(
        self, table: Table, inbound: AdjRibIn, glance: Glance, run: Sequence[tuple[Attributes, Sequence[bytes]]]
    ) -> list[Change] | None:
        """Enter a whole run, or return None and enter nothing: it is not as simple as that."""
        family, known, take = table.family, inbound.taken.get, self._take
        are_fine = glance.are_enough([received for received, _ in run])
        accepted: Collection[bytes] | None = None
        if inbound.sieve is not None:
            if not are_fine:
                return None
            all_keys = [key for _, keys in run for key in keys]
            accepted = inbound.sieve(family, all_keys)
            accepted = None if len(accepted) == len(all_keys) else set(accepted)
        entered: dict[bytes, Path] = {}
        changes: list[Change] = []
        count = refused = 0
        for received, keys in run:
            path = known(received)
            if path is None:
                path = take(table, inbound, received) if are_fine else self._import_all(table, inbound, received)
            count += len(keys)
            passed = keys
            if accepted is not None and not path.rejection:
                passed = [key for key in keys if key in accepted]
                if len(passed) < len(keys):
                    refused += 1
                    rejected = self._path(table, inbound, received, received, POLICY_REJECTED)
                    entered.update(dict.fromkeys(keys, rejected))
            for key in passed:
                entered[key] = path
            if path.rejection:
                refused += 1
            elif passed:
                changes.append(Addition(family, path, passed))
        routes, best = inbound.routes, table.best
        is_contested = not best.keys().isdisjoint(entered)
        if len(entered) != count or (is_contested and self.maximum_paths > 1):
            return None
        if table.touched is not None:
            table.touched.update(dict.fromkeys(entered))
        if is_contested:
            return self._contest_run(table, inbound, entered)
        inbound.replaced += count + len(routes)
        routes.update(entered)
        inbound.replaced -= len(routes)
        best.update({key: path for key, path in entered.items() if not path.rejection} if refused else entered)
        if len(best) >= table.growth.due_at:
            table.growth.grow(best)
        return changes

    def _import_all(self, table: Table, inbound: AdjRibIn, received: Attributes) -> Path:
        """Return the path of an attribute set for a peer whose routes all get one verdict."""
        ((path, _),) = self._import(table, inbound, received, ())
        return path

    def _import_valid(
        self, table: Table, inbound: AdjRibIn, received: Attributes, raw_keys: Sequence[bytes]
    ) -> Iterable[tuple[Path, Sequence[bytes]]]:
        """Return what import makes of routes; flow rules that may not be believed are kept but rejected."""
        imported = self._import(table, inbound, received, raw_keys)
        return self._believed(table, inbound, imported) if _is_validated(table, inbound) else imported

    def _believed(
        self, table: Table, inbound: AdjRibIn, imported: Iterable[tuple[Path, Sequence[bytes]]]
    ) -> Iterator[tuple[Path, Sequence[bytes]]]:
        flows = table.flows
        if flows is None:
            flows = table.flows = FlowValidation(table.family, self.best(ROUTES_OF[table.family]))
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
        if path is None and inbound.glance is not None and inbound.sieve is None:
            path = inbound.taken.get(received)
            if path is None and inbound.glance.is_enough(received):
                path = self._take(table, inbound, received)
        if path is not None:
            yield path, raw_keys
            return
        peer = inbound.peer
        policy = self._policies.get(peer.number)
        reason = refusal(received, peer, self.identity, self.local_addresses)
        reason = reason or leak(received, peer, table.family) or ("" if policy else NO_POLICY)
        if reason or policy is None:
            path = inbound.imported[received] = self._path(table, inbound, received, received, reason)
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
        answers = [(self._passed(table, inbound, received, one), one.keys) for one in accepted if one.keys]
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
        peer = inbound.peer
        path = Path(peer.number, peer.source, received, attributes, rejection=rejection, teller=peer)
        return self._known(table, inbound, path)

    def _passed(self, table: Table, inbound: AdjRibIn, received: Attributes, passed: Passed) -> Path:
        """Return the path that import policy made of what a peer sent."""
        peer = inbound.peer
        preference = BGP_PREFERENCE if passed.preference is None else passed.preference
        rejection = NO_NEXT_HOP if received.next_hop and not passed.attributes.next_hop else ""
        path = Path(
            peer.number,
            peer.source,
            received,
            passed.attributes,
            preference=preference,
            label=passed.tag,
            rejection=rejection,
            teller=peer,
        )
        return self._known(table, inbound, path)

    def _known(self, table: Table, inbound: AdjRibIn, path: Path) -> Path:
        """Return the path that means the same already, or this one."""
        known = inbound.intern(path)
        if known is path and not path.rejection:
            self._qualify(table, path)
        return known

    def _import_again(self, table: Table, inbound: AdjRibIn, again: Iterable[bytes]) -> list[Change]:
        by_received: dict[Attributes, list[bytes]] = {}
        for raw in again:
            by_received.setdefault(inbound.routes[raw].received, []).append(raw)
        changes: list[Change] = []
        for received, raw_keys in by_received.items():
            for path, keys in self._import_valid(table, inbound, received, raw_keys):
                changes += self._announce(table, inbound, path, keys)
        return changes

    def _announce(self, table: Table, inbound: AdjRibIn, path: Path, raw_keys: Sequence[bytes]) -> list[Change]:
        fresh = reached = dict.fromkeys(raw_keys, path)
        if inbound.add_path:
            inbound.remember_ids(fresh)
            reached = dict.fromkeys(inbound.prefixes(fresh), path)
        if table.touched is not None:
            table.touched.update(dict.fromkeys(reached))
        if not path.rejection and table.best.keys().isdisjoint(reached):
            inbound.routes.update(fresh)
            table.best.update(reached)
            return [Addition(table.family, path, list(reached))]
        return self._contest(table, inbound, path, zip(fresh, inbound.prefixes(fresh), strict=True))

    def _contest(
        self, table: Table, inbound: AdjRibIn, path: Path, keys: Iterable[tuple[bytes, bytes]]
    ) -> list[Change]:
        """Announce prefixes that others announce too: the only loop over prefixes."""
        routes, best = inbound.routes, table.best
        new = None if path.rejection else path
        single = self.maximum_paths == 1
        buckets: Buckets = {}
        appeared: Buckets = {}
        for raw, prefix in keys:
            old = routes.get(raw)
            if old is path:
                continue
            if old is not None:
                inbound.replaced += 1
            routes[raw] = path
            if old is None and single and new is not None:
                current = best.get(prefix)
                if current is not None and path.rank > current.rank:
                    continue
            settled = self._settle(table, inbound, prefix, old, new)
            if settled:
                (appeared if settled == APPEARED else buckets).setdefault(best.get(prefix), []).append(prefix)
        return table.changes(buckets) + table.additions(appeared)

    def _contest_run(self, table: Table, inbound: AdjRibIn, entered: Mapping[bytes, Path]) -> list[Change]:
        """Announce prefixes that others announce too, each with its path; nearly all of them lose or win outright."""
        routes, best = inbound.routes, table.best
        buckets: Buckets = {}
        for prefix, path in entered.items():
            old = routes.get(prefix)
            if old is path:
                continue
            routes[prefix] = path
            if old is not None:
                inbound.replaced += 1
            elif (current := best.get(prefix)) is not None and path.rank > current.rank:
                continue
            if self._settle(table, inbound, prefix, old, None if path.rejection else path):
                buckets.setdefault(best.get(prefix), []).append(prefix)
        return table.changes(buckets)

    def _withdraw_simply(self, table: Table, inbound: AdjRibIn, prefixes: Sequence[bytes]) -> list[Change]:
        """Withdraw where no peer has several paths to a prefix, and one of them is enough for us."""
        take, best = inbound.routes.pop, table.best
        others = [one.routes.get for one in table.inbound.values() if one is not inbound]
        buckets: Buckets = {}
        for prefix in prefixes:
            old = take(prefix, None)
            if old is None or old.rejection:
                continue
            if best.get(prefix) is not old:
                if self._settle(table, inbound, prefix, old, None):
                    buckets.setdefault(best.get(prefix), []).append(prefix)
                continue
            rivals = [path for find in others if (path := find(prefix)) is not None and not path.rejection]
            winner = rivals[0] if len(rivals) == 1 else elect(rivals)
            if winner is None:
                del best[prefix]
            else:
                best[prefix] = winner
            if winner in buckets:
                buckets[winner].append(prefix)
            else:
                buckets[winner] = [prefix]
        return table.changes(buckets)

    def _withdraw(self, table: Table, inbound: AdjRibIn, raw_keys: Sequence[bytes]) -> list[Change]:
        routes, best = inbound.routes, table.best
        if table.touched is not None:
            table.touched.update(dict.fromkeys(inbound.prefixes(raw_keys)))
        if self.maximum_paths == 1 and not any(one.add_path for one in table.inbound.values()):
            inbound.replaced += len(raw_keys)
            changes = self._withdraw_simply(table, inbound, raw_keys)
            if not routes:
                inbound.forget_all()
            return changes
        buckets: Buckets = {}
        for raw in raw_keys:
            old = routes.pop(raw, None)
            if old is None:
                continue
            inbound.replaced += 1
            prefix = raw
            if inbound.add_path:
                inbound.forget_id(raw)
                prefix = raw[4:]
            if not old.rejection and self._settle(table, inbound, prefix, old, None):
                buckets.setdefault(best.get(prefix), []).append(prefix)
        if not routes:
            inbound.forget_all()
        return table.changes(buckets)

    def _settle(self, table: Table, inbound: AdjRibIn, prefix: bytes, old: Path | None, new: Path | None) -> int:
        """Bring the Loc-RIB up to date after one peer went from ``old`` to ``new``; say whether it changed.

        The answer is APPEARED where there was no path before.
        """
        current = table.best.get(prefix)
        if current is None:
            self._seat(table, prefix, new)
            return APPEARED if new is not None else False
        if self.maximum_paths > 1:
            return self._choose(table, prefix)
        if old is current:
            if new is None or not keeps_seat(new, current, inbound.add_path):
                return self._choose(table, prefix)
            table.best[prefix] = new
            return True
        if old is not None and table.med_in_use and old.rank == current.rank:
            return self._choose(table, prefix)
        if new is None:
            return False
        verdict = compare(new, current)
        if verdict < 0 and self.options.prefer_oldest and is_as_good(current, new):
            return False
        if verdict < 0:
            table.best[prefix] = new
        return verdict < 0 or (verdict == 0 and self._choose(table, prefix))

    def _choose(self, table: Table, prefix: bytes) -> bool:
        """Hold a full election for one prefix."""
        candidates = table.candidates(prefix)
        if self.maximum_paths > 1:
            return self._choose_several(table, prefix, candidates)
        winner = elect(candidates)
        selected = table.best.get(prefix)
        if winner is selected or (self.options.prefer_oldest and stays(selected, winner, candidates)):
            return False
        self._seat(table, prefix, winner)
        return True

    def _choose_several(self, table: Table, prefix: bytes, candidates: Sequence[Path]) -> bool:
        equals = equal_cost(candidates, self.maximum_paths, self.options, table.best.get(prefix))
        if equals == self.paths(table.family, prefix):
            return False
        if len(equals) > 1:
            table.equals[prefix] = equals
        else:
            table.equals.pop(prefix, None)
        self._seat(table, prefix, equals[0] if equals else None)
        return True

    @staticmethod
    def _seat(table: Table, prefix: bytes, winner: Path | None) -> None:
        if winner is None:
            table.best.pop(prefix, None)
        else:
            table.best[prefix] = winner


def _is_validated(table: Table, inbound: AdjRibIn) -> bool:
    return inbound.peer.validate_flow_rules and table.family in ROUTES_OF


def keeps_seat(new: Path, old: Path, add_path: bool) -> bool:
    """Whether the successor of a best path is the best without an election: all others lost to ``old`` already."""
    if new.rank < old.rank:
        return True
    same_role = new.med == old.med and new.neighbor_as == old.neighbor_as
    # Only another path of the same peer can tie completely, and only ADD-PATH brings one.
    return same_role and (new.order < old.order or (new.order == old.order and not add_path))


def by_identifier(raw_keys: Sequence[bytes], add_path: bool) -> Iterable[tuple[bytes, Sequence[bytes]]]:
    """Group ADD-PATH keys by identifier, so that policies see prefixes only."""
    if not add_path:
        return [(b"", raw_keys)]
    groups: dict[bytes, list[bytes]] = {}
    for raw in raw_keys:
        groups.setdefault(raw[:4], []).append(raw[4:])
    return groups.items()
