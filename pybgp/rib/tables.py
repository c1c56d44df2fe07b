"""The Rib: Adj-RIB-In of every peer, the Loc-RIB, and one transaction per UPDATE (spec section 7).

Work is done per message and per path.  Only prefixes that more than one path wants are looked at one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.rib.adj_rib_in import AdjRibIn
from pybgp.rib.decision import DecisionOptions, Loss, equal_cost, explain
from pybgp.rib.flow_validation import FLOWS_OF
from pybgp.rib.importer import Importer, is_validated
from pybgp.rib.long_lived import marked, may_stay
from pybgp.rib.next_hop_move import NextHopMove
from pybgp.rib.path import LOCAL_PEER, Path, Source
from pybgp.rib.path_choice import Offer
from pybgp.rib.ranking import Ranking, same_cost
from pybgp.rib.rib_peer import Identity, RibPeer
from pybgp.rib.selection import Selection
from pybgp.rib.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.path import Change
    from pybgp.rib.policy.interface import Policy
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.plain_run import Run


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
        #: addresses of this router; a route through one of them is never selected (RFC 4271 section 5.1.3).
        self.local_addresses: set[bytes] = set()
        self._options = options or DecisionOptions()
        self._tables: dict[Family, Table] = {}
        self._labels: dict[str, bytes] = {}
        self._peers = {LOCAL_PEER: RibPeer(LOCAL_PEER, b"", local_as, local_as, router_id)}
        self._ranking = Ranking(local_as, self._options, next_hop_cost, self._peers)
        self._selection = Selection(self._options, maximum_paths)
        self._importer = Importer(
            self._ranking,
            Identity(router_id, cluster_id or router_id),
            self.local_addresses,
            self.best,
            require_ebgp_policy=require_ebgp_policy,
        )

    # What the Rib knows

    @property
    def policy_failures(self) -> int:
        """How often an import policy has failed."""
        return self._importer.policy_failures

    @property
    def has_flow_rules(self) -> bool:
        """Whether there are flow rules whose fate depends on routes: `believe_again` wants to hear of every change."""
        return self._importer.has_flow_rules

    def best(self, family: Family) -> Mapping[bytes, Path]:
        """Return the Loc-RIB of a family; a live view."""
        return self._table(family).best

    def paths(self, family: Family, prefix: bytes) -> tuple[Path, ...]:
        """Return the equal-cost paths of a prefix, best first."""
        return self._table(family).equal_paths(prefix)

    def equal_paths(self, family: Family) -> Mapping[bytes, tuple[Path, ...]]:
        """Return the prefixes that have several equal-cost paths, best first; a live view."""
        return self._table(family).equals

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

    def follow(self, family: Family, follower: Callable[[], None]) -> bool:
        """Call once before the Loc-RIB of a family does anything but grow; say whether nobody else is called.

        One is enough: each will want to copy it in that turn.
        """
        table = self._table(family)
        if table.follower is None:
            table.follower = follower
            return True
        return False

    def unfollow(self, family: Family, follower: Callable[[], None]) -> None:
        """Do not call again, if this one was to be called."""
        table = self._table(family)
        if table.follower == follower:
            table.follower = None

    def watch_paths(self, family: Family, *, active: bool = True) -> None:
        """Begin to note which prefixes of a family have other paths, or end it; `take_touched` returns them."""
        self._table(family).watch(active=active)

    def take_touched(self, family: Family) -> list[bytes]:
        """Return the prefixes any path of which has changed since the last call."""
        return self._table(family).take_touched()

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
        """Return how many routes of a peer wait to be refreshed or withdrawn."""
        inbound = self._table(family).inbound.get(peer)
        return len(inbound.stale) + inbound.leaving if inbound else 0

    def explain(self, family: Family, prefix: bytes) -> list[Loss]:
        """Say for each path that is not the best of its prefix which step decided (spec section 7)."""
        table = self._table(family)
        measured = [(path, self._ranking.measure(path)) for path in table.candidates(prefix)]
        return explain(measured, self._options, table.best.get(prefix))

    def attribute_count(self) -> int:
        """Return how many attribute sets all known paths need at most."""
        return sum(inbound.attribute_count() for table in self._tables.values() for inbound in table.inbound.values())

    def next_hops(self) -> set[bytes]:
        """Return the next hops of all paths that are known, also of those that no route uses at the moment."""
        return {
            path.next_hop
            for table in self._tables.values()
            for inbound in table.inbound.values()
            for path in inbound.paths()
        }

    def attributes_in_use(self) -> set[Attributes]:
        """Return every attribute set that some route still needs, for the sweep of the attribute stores."""
        used: set[Attributes] = set()
        for table in self._tables.values():
            for inbound in table.inbound.values():
                for path in inbound.paths_in_use():
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
        self._importer.set_policy(peer, policy)
        changes: list[Change] = []
        for table in self._tables.values():
            inbound = table.inbound.get(peer.number)
            if inbound is not table.sole:
                # Its routes will differ, and the copy that this takes would make the turn long that hears of them.
                table.unshare()
            if inbound is None:
                continue
            if inbound.add_path != (table.family in peer.add_path_receive):
                changes += self.drop(peer.number, table.family)
                del table.inbound[peer.number]
                continue
            if known != peer:
                inbound.set_peer(peer)
            self._importer.set_glance(table, inbound)
        return changes

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
                inbound.forget_judgement()
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
        table = self._table(family)
        inbound = table.inbound.get(trial.peer.number)
        if inbound is None:
            return []
        by_received: dict[Attributes, list[bytes]] = {}
        for raw in raw_keys:
            if (path := inbound.routes.get(raw)) is not None:
                by_received.setdefault(path.received, []).append(raw)
        return self._importer.preview(table, trial, policy, by_received)

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
        return next(iter(equal_cost(candidates, 1, self._options, table.best.get(prefix))), None)

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
                if is_validated(table, inbound):
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
        self._importer.remove_peer(peer)
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
            inbound.refreshed(withdrawn)
            changes = self._selection.withdraw(table, inbound, withdrawn)
        if announced and attributes is not None:
            inbound.refreshed(announced)
            if inbound.replaced > inbound.sweep_at:
                inbound.forget_unused()
            for path, keys in self._importer.import_valid(table, inbound, attributes, announced):
                changes += self._selection.announce(table, inbound, path, keys)
        return changes

    def apply_run(self, peer: int, family: Family, run: Run) -> list[Change]:
        """Take in what UPDATEs in a row announce, in one transaction where nobody else announces any of it."""
        table = self._table(family)
        inbound = self._inbound(table, peer)
        if inbound.replaced > inbound.sweep_at:
            inbound.forget_unused()
        if inbound.glance is not None and not inbound.add_path and not inbound.stale:
            imported = self._importer.import_run(table, inbound, inbound.glance, run)
            changes = self._selection.announce_run(table, inbound, imported)
            if changes is not None:
                return changes
        return [
            change
            for received, keys in zip(*run, strict=True)
            for change in self.apply(peer, family, (), received, keys)
        ]

    def announce_local(
        self, family: Family, prefixes: Sequence[bytes], attributes: Attributes, *, preference: int, label: str = ""
    ) -> list[Change]:
        """Announce prefixes of our own; each label is a source of its own, told apart like path identifiers."""
        table = self._table(family)
        inbound = self._inbound(table, LOCAL_PEER)
        identifier = self._labels.setdefault(label, len(self._labels).to_bytes(4, "big"))
        teller = self._peers[LOCAL_PEER]
        path = Path(LOCAL_PEER, Source.LOCAL, attributes, attributes, preference=preference, label=label, teller=teller)
        path = self._importer.known(table, inbound, path)
        return self._selection.announce(table, inbound, path, [identifier + prefix for prefix in prefixes])

    def withdraw_local(self, family: Family, prefixes: Sequence[bytes], *, label: str = "") -> list[Change]:
        """Take announcements of a label back."""
        table = self._table(family)
        identifier = self._labels.get(label)
        if identifier is None:
            return []
        raw_keys = [identifier + prefix for prefix in prefixes]
        return self._selection.withdraw(table, self._inbound(table, LOCAL_PEER), raw_keys)

    def mark_stale(self, peer: int, family: Family) -> int:
        """Mark all routes of a peer; `sweep_stale` withdraws what is not announced again (RFC 4724 section 4.2)."""
        inbound = self._table(family).inbound.get(peer)
        return inbound.mark_stale() if inbound else 0

    def begin_long_lived(self, peer: int, family: Family) -> int:
        """What is stale of a peer becomes a last resort, by and by: see `mark_long_lived` (RFC 9494 section 4.2)."""
        inbound = self._table(family).inbound.get(peer)
        return inbound.begin_long_lived() if inbound else 0

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
        changes: list[Change] = []
        for path, keys in inbound.take_unmarked(limit).items():
            if may_stay(path):
                for now, kept in self._importer.import_valid(table, inbound, marked(path.received), keys):
                    changes += self._selection.announce(table, inbound, now, kept)
            else:
                inbound.refreshed(keys)
                changes += self._selection.withdraw(table, inbound, keys)
        return changes

    def sweep_stale(self, peer: int, family: Family, limit: int | None = None) -> list[Change]:
        """Withdraw what `begin_drop` has left or is still stale, at most ``limit`` routes at a time."""
        table = self._table(family)
        inbound = table.inbound.get(peer)
        if inbound is None:
            return []
        changes = self._selection.part(table, inbound, limit) if inbound.leaving else []
        if inbound.stale and not inbound.leaving:
            changes += self._selection.withdraw(table, inbound, inbound.take_stale(limit))
        return changes

    def begin_drop(self, peer: int, family: Family) -> None:
        """Everything that a peer said in a family is void; `sweep_stale` takes it out of the Loc-RIB."""
        table = self._table(family)
        if (inbound := table.inbound.get(peer)) is not None:
            self._selection.begin_drop(table, inbound)

    def drop(self, peer: int, family: Family) -> list[Change]:
        """Withdraw everything that a peer said in a family."""
        self.begin_drop(peer, family)
        return self.sweep_stale(peer, family)

    def next_hops_changed(self, next_hops: Iterable[bytes]) -> list[Change]:
        """Ask again what these next hops cost, and choose again among the paths that use them."""
        return self.move_next_hops(next_hops).step()

    def move_next_hops(self, next_hops: Iterable[bytes], budget: int | None = None) -> NextHopMove:
        """Return what does the same in steps; other transactions may come in between.

        In a step of a ``budget`` as many routes are looked at, or a twentieth of them chosen for.
        """
        tables = list(self._tables.values())
        return NextHopMove(self._ranking, self._selection, self._import_again, tables, set(next_hops), budget)

    # Inside

    def _table(self, family: Family) -> Table:
        table = self._tables.get(family)
        if table is None:
            table = self._tables[family] = Table(family, self._ranking.rank)
        return table

    def _inbound(self, table: Table, peer: int) -> AdjRibIn:
        inbound = table.inbound.get(peer)
        if inbound is None:
            facts = self._peers[peer]
            add_path = peer == LOCAL_PEER or table.family in facts.add_path_receive
            inbound = table.inbound[peer] = AdjRibIn(facts, add_path=add_path)
            self._importer.set_glance(table, inbound)
        return inbound

    def _import_again(self, table: Table, inbound: AdjRibIn, again: Iterable[bytes]) -> list[Change]:
        by_received: dict[Attributes, list[bytes]] = {}
        for raw in again:
            by_received.setdefault(inbound.routes[raw].received, []).append(raw)
        changes: list[Change] = []
        for received, raw_keys in by_received.items():
            for path, keys in self._importer.import_valid(table, inbound, received, raw_keys):
                changes += self._selection.announce(table, inbound, path, keys)
        return changes
