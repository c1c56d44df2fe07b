"""Peers that get the same octets: policy, duplicates and encoding are done once for all of them (spec section 7.2).

A group keeps its Adj-RIB-Out (``sent``) and what has yet to be sent (`waiting.Waiting`).
A member that cannot keep up, has just joined, or asked for a refresh, is *behind*: for each prefix it has missed, the
group notes what the member holds, and nothing else, until `UpdateGroup.catch_up` brings it to the present.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pybgp.rib.adj_rib_out import AdjRibOut
from pybgp.rib.export import ExportProfile, is_returned, longest_nlri, rewrite
from pybgp.rib.exported import ALL, NOBODY, UNKNOWN, Audience, Exported, Provenance
from pybgp.rib.growth import copied
from pybgp.rib.outbox import Outbox
from pybgp.rib.path import LOCAL_PEER, Addition, Change, Path, Source
from pybgp.rib.plain_export import PlainExport, PlainlyExported, leaves_plainly
from pybgp.rib.policy.interface import REJECT_ALL, Passed
from pybgp.rib.waiting import Waiting
from pybgp.wire.nlri import PREFIX_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.adj_rib_out import Told
    from pybgp.rib.member import Member
    from pybgp.rib.waiting import Batch, Bucket
    from pybgp.wire.attributes import Attributes

#: The one path identifier that we use: only the best path is sent, so a new best replaces it (RFC 7911 section 3).
OUR_PATH_ID = b"\0\0\0\1"
#: Prefixes handled in one turn, so that KEEPALIVEs are never late.
SLICE = 20_000
#: The same where each path is judged or rewritten with care.
POLICY_SLICE = 4_000
#: The same of those that a single member has missed.
CATCH_UP_SLICE = 8_000
#: How many prefixes can be noted in the time that it takes to bring a member up to date about one.
SEEN_FOR_ONE = 4
#: What a prefix of a whole table costs together with its share of a path, in prefixes.
TABLE_COST = 3
#: What is remembered at most of what paths became, and of who must not hear what.  Whoever asks again after that gets
#: an equal answer that is another object, which costs a comparison where it comes to replace the first.
MOST_EXPORTS = 4096
MOST_PROVENANCES = 4096


class _Step(NamedTuple):
    """Ordinary routes that go to one audience and come in place of what had one provenance."""

    #: attribute fields with prefixes, and what these were before.
    routes: list[tuple[bytes, Sequence[bytes]]]
    held: list[Told | None]


def everything(best: Mapping[bytes, Path], told: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield each prefix that there is or that was told of; both may change meanwhile.

    A prefix that was there already is None, so that the next one is never far.
    """
    return chain(list(best), (None if key in best else key for key in list(told)))


class UpdateGroup:
    """Sans-I/O: changes go in; octets with their audience come out."""

    def __init__(self, profile: ExportProfile, best: Mapping[bytes, Path]) -> None:
        """``best`` is the live Loc-RIB; nothing of it is sent before `enqueue` or `enqueue_all`."""
        self.profile = profile
        self.members: dict[int, Member] = {}
        self._out = AdjRibOut()
        #: nothing passes, so there is nothing to note; what members were told in another group they still hear of.
        self._is_silent = profile.policy is REJECT_ALL
        self._best = best
        self._by_address: dict[bytes, int] = {}
        self._by_router_id: dict[int, frozenset[int]] = {}
        #: who must not hear what has such a provenance, as long as the members stay the same.
        self._hidden_by: dict[Provenance, frozenset[int]] = {}
        #: what became of paths of late.
        self._exports: dict[tuple[Path, Attributes, bool, bool], Exported | None] = {}
        #: the same for paths that leave plainly.
        self._plain = PlainExport(profile) if leaves_plainly(profile) else None
        #: and of those that left so before the policy changed.
        self._left_plainly = self._plain
        self._plainly: dict[Path, PlainlyExported] = {}
        self._interned: dict[tuple[Attributes, int], Exported] = {}
        self._waiting = Waiting(SLICE)
        #: prefixes to be looked at anew; None for one that was there already.
        self._backlog: Iterator[bytes | None] | None = None
        #: prefixes beyond the limit of the profile; they are announced once there is room.
        self.held_back: dict[bytes, None] = {}
        self.policy_failures = 0
        self.last_policy_failure = ""

    # What has been told

    @property
    def sent(self) -> dict[bytes, Told]:
        """The Adj-RIB-Out of members that keep up and may hear everything; `exported` says what an entry means."""
        self.settle()
        return self._out.entries

    def exported(self, told: Told | None) -> Exported | None:
        """Return what an entry of the Adj-RIB-Out says."""
        if not isinstance(told, Path):
            return told
        plain = cast("PlainExport", self._left_plainly)
        return self._plainly.get(told) or self._as_it_left(told, plain.provenance(told))

    def _as_it_left(self, path: Path, provenance: Provenance) -> PlainlyExported:
        found = self._plainly.get(path)
        if found is None:
            if len(self._plainly) >= MOST_EXPORTS:
                # Those of the few paths that leave otherwise are as old, and of paths that may be gone as well.
                self.forget_paths()
            plain = cast("PlainExport", self._left_plainly)
            found = self._plainly[path] = PlainlyExported(plain, path, provenance)
        return found

    def may_follow(self, changes: Sequence[Change]) -> bool:
        """Whether `follow` is possible: ordinary paths leave plainly, and these changes are the first there are."""
        if self._plain is None or not (self._out.is_empty and self.is_idle):
            return False
        if self.profile.prefix_limit or self.profile.default_route is not None:
            return False
        are_additions = all(isinstance(change, Addition) for change in changes)
        return are_additions and sum(len(change.keys) for change in changes) == len(self._best)

    def follow(self) -> None:
        """Let the Loc-RIB stand for the Adj-RIB-Out as long as it only grows.

        Until `settle` additions alone are enqueued, and all that there are, in the order in which they were made.
        """
        self._out.follow(self._best)

    def settle(self) -> None:
        """The Loc-RIB is about to change in other ways, or somebody wants to see the Adj-RIB-Out."""
        if self._out.is_following:
            self._out.settle(self._waiting.keys())

    # Members

    def add(self, member: Member, holds: dict[bytes, Told | None] | None = None) -> None:
        """Take a member in; ``holds`` is what it brings along from another group (only differences follow).

        It is kept, and must not be used afterwards.
        """
        self.members[member.number] = member
        self._by_address[member.address] = member.number
        self._by_router_id[member.router_id] = self._by_router_id.get(member.router_id, NOBODY) | {member.number}
        self._hidden_by.clear()
        member.behind = {} if holds is None else holds
        member.is_new, member.unseen = (True, iter(list(self.sent))) if self.sent else (False, None)

    def remove(self, number: int) -> None:
        """Let a member go."""
        member = self.members.pop(number)
        self._by_address.pop(member.address, None)
        self._by_router_id[member.router_id] -= {number}
        self._hidden_by.clear()

    def hand_over(self, number: int) -> dict[bytes, Told | None]:
        """Let a member go; return what it holds, for `add` to another group, also what it has asked for again.

        What it must not hear is among it: any group that it is in knows that it was not told.
        """
        member = self.members[number]
        if not member.is_new:
            self._see(member)
        self.remove(number)
        if member.is_new:
            return member.behind
        holds = copied(cast("dict[bytes, Told | None]", self.sent))
        holds.update((key, self._meant(member, held)) for key, held in member.behind.items())
        member.told_by = self.exported
        return holds

    def refresh(self, number: int) -> None:
        """Send the member everything again (RFC 2918 section 4)."""
        member = self.members[number]
        if member.is_new:
            self._see(member)
        member.unseen = iter(list(self.sent))

    def holds(self, number: int) -> dict[bytes, Exported]:
        """Return what a member was sent and not told otherwise: its Adj-RIB-Out."""
        member = self.members[number]
        if member.is_new:
            meant = ((key, self._meant(member, held)) for key, held in member.behind.items())
            return {key: held for key, held in meant if held is not None and number not in self._hidden(held)}
        exports = {told: self.exported(told) for told in set(self.sent.values())}
        heard = {told: one for told, one in exports.items() if one is not None and number not in self._hidden(one)}
        table = {key: heard[told] for key, told in self.sent.items() if told in heard}
        for key, missed in member.behind.items():
            held = self._meant(member, missed)
            if held is None or (held is not UNKNOWN and number in self._hidden(held)):
                table.pop(key, None)
            elif held is not UNKNOWN:
                table[key] = held
        return table

    def held(self, number: int, key: bytes) -> Exported | None:
        """Return what a member holds for one prefix, as far as is known."""
        member = self.members[number]
        exported = self._meant(member, member.behind.get(key, None if member.is_new else UNKNOWN))
        if exported is UNKNOWN:
            exported = self.exported(self.sent.get(key))
        return None if number in self._hidden(exported) else exported

    def held_best(self, number: int, prefix: bytes) -> Exported | None:
        """Return what a member holds of the best path to a prefix: all there is here."""
        return self.held(number, prefix)

    def keys_of(self, number: int) -> list[bytes]:
        """Return every prefix that a member may hold, each once."""
        sent = self.sent
        return [*sent, *(key for key in self.members[number].behind if key not in sent)]

    def backlog(self, number: int) -> int:
        """Return how many prefixes wait for a member, at most; a table that is looked at anew is not counted."""
        return len(self._waiting) + self._missed(number)

    # Changes

    def enqueue(self, path: Path | None, keys: Sequence[bytes]) -> None:
        """Note the new best path of prefixes; only the latest of each will be sent."""
        self.settle()
        self.enqueue_changes((Change(self.profile.family, path, keys),))

    def enqueue_changes(self, changes: Sequence[Change]) -> None:
        """Do the same with several changes of the family, the latest last."""
        if not self._is_silent:
            self._out.published += self._waiting.add(changes)

    def enqueue_all(self) -> None:
        """Look at the whole Loc-RIB again, slice by slice; what was sent already is not repeated."""
        if self._is_silent:
            return
        self._backlog = everything(self._best, self.sent)

    @property
    def slice(self) -> int:
        """How many prefixes one turn has time for."""
        return SLICE if self._plain is not None else POLICY_SLICE

    def can_judge_by(self, profile: ExportProfile) -> bool:
        """Whether `change_policy` will do: only the policy differs, and neither of the two rejects all unasked."""
        differs_in_policy = replace(self.profile, policy=profile.policy) == profile
        return differs_in_policy and not self._is_silent and profile.policy is not REJECT_ALL

    def change_policy(self, profile: ExportProfile) -> None:
        """Judge everything by another policy, slice by slice; the members are told the differences only."""
        self.settle()
        self.profile = profile
        self._plain = None
        if leaves_plainly(profile):
            self._plain = self._left_plainly = self._left_plainly or PlainExport(profile)
        self.held_back.clear()
        self.enqueue_all()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent to members that keep up."""
        return not self._waiting and self._backlog is None

    def flush(self, limit: int = SLICE) -> Iterator[tuple[int, bytes]]:
        """Turn at most about ``limit`` waiting prefixes into octets for the members that keep up."""
        self._refill(limit)
        members, outbox = self._begin()
        batch = self._waiting.take(limit)
        buckets = batch.buckets
        if self._plain is not None and not self.profile.prefix_limit:
            buckets = self._send_plainly(self._plain, outbox, batch)
        for path, keys in buckets:
            for exported, group in self.decide(path, keys):
                self._store(outbox, exported, self._within_limit(exported, group))
        self._out.make_room()
        self._fill_up()
        return outbox.deliveries(members)

    def catch_up(self, number: int, limit: int = CATCH_UP_SLICE) -> bytes:
        """Return octets that bring a member nearer to the present; empty if it is there or cannot take them now.

        They are also empty while it is yet to be noted what there is for the member, which may take several calls.
        """
        member = self.members[number]
        self._see(member, SEEN_FOR_ONE * limit)
        if member.paused or member.unseen is not None or not member.behind or not self.is_idle:
            return b""
        outbox = self._outbox()
        behind, find = member.behind, self._out.get
        steps: dict[tuple[Told | None, Told | None], list[bytes]] = {}
        for key in list(islice(behind, limit)):
            steps.setdefault((behind.pop(key), find(key)), []).append(key)
        for (missed, told), keys in steps.items():
            held, now = self._meant(member, missed), self.exported(told)
            had = held is not None and (held is UNKNOWN or number not in self._hidden(held))
            if now is not None and number not in self._hidden(now):
                if not had or held is UNKNOWN or held is None or held.attributes != now.attributes:
                    outbox.announce(now.attributes, ALL, keys)
            elif had:
                outbox.withdraw(ALL, keys, held)
        if not member.behind:
            # A dict that was big stays so.
            member.behind, member.told_by = {}, None
        return b"".join(octets for _, octets in outbox.deliveries([number]))

    # Inside

    @staticmethod
    def _meant(member: Member, held: Told | None) -> Exported | None:
        """Return what an entry of ``behind`` says."""
        if isinstance(held, Path):
            return None if member.told_by is None else member.told_by(held)
        return held

    def _missed(self, number: int) -> int:
        """Return how many prefixes a member has missed, at most."""
        member = self.members[number]
        return len(member.behind) + (len(self.sent) if member.unseen is not None else 0)

    def _see(self, member: Member, limit: int | None = None) -> None:
        """Note of some of the prefixes that there are that a member has missed them, or is to be sent them again."""
        if member.unseen is None:
            return
        keys, behind, sent = list(islice(member.unseen, limit)), member.behind, self.sent
        if member.is_new:
            for key in keys:
                behind.setdefault(key, None)
        else:
            for key in keys:
                if key in sent and behind.get(key, UNKNOWN) is not None:
                    behind[key] = UNKNOWN
        if limit is None or len(keys) < limit:
            member.is_new, member.unseen = False, None

    def _begin(self) -> tuple[list[int], Outbox]:
        """Return who takes what is said in a flush, and what collects that."""
        outbox = self._outbox()
        members = self.members.values()
        outbox.lagging = [member for member in members if not member.current]
        return [member.number for member in members if member.current], outbox

    def _outbox(self) -> Outbox:
        return Outbox(self.profile, path_id=OUR_PATH_ID if self.profile.add_path else b"")

    def _refill(self, limit: int) -> None:
        """Take a part of the backlog up, unless there is enough to do without it."""
        if self._backlog is None or self._waiting:
            return
        best = self._best
        room = 1 + limit // TABLE_COST
        keys = list(islice(self._backlog, room))
        buckets: dict[Path | None, list[bytes]] = {}
        for key in keys:
            if key is not None:
                buckets.setdefault(best.get(key), []).append(key)
        for path, group in buckets.items():
            self.enqueue(path, group)
        if len(keys) < room:
            self._backlog = None

    def _send_plainly(self, plain: PlainExport, outbox: Outbox, batch: Batch) -> Sequence[Bucket]:
        """Send what leaves as nearly all does; return what must be decided with care."""
        buckets = batch.buckets
        are_new = is_following = self._out.is_following
        sent = self._out.entries
        if not is_following:
            are_new = batch.are_new or sent.keys().isdisjoint(chain.from_iterable([keys for _, keys in buckets]))
        rest: list[Bucket] = []
        told: dict[tuple[Provenance | None, Provenance], _Step] = {}
        old: Told | None = None
        before: Provenance | None = None
        now: Provenance | None = None
        for bucket, left in zip(buckets, plain.leaving([path for path, _ in buckets]), strict=True):
            path, keys = bucket
            if path is None or left is None:
                rest.append(bucket)
                continue
            octets, provenance = left
            was: Provenance | None = None
            if not are_new:
                old, *others = set(map(sent.get, keys))
                if old is path and not others:
                    continue
                is_same = False
                if isinstance(old, Path):
                    was = plain.provenance(old)
                    is_same = plain.is_same(path, provenance, old, was)
                elif old is not None:
                    was = old.provenance
                    is_same = self._as_it_left(path, provenance).says_what(old)
                if others or is_same:
                    self._store(outbox, self._as_it_left(path, provenance), keys)
                    continue
            if not is_following:
                for key in keys:
                    sent[key] = path
            if provenance is not now or was is not before:
                now, before = provenance, was
                step = told.setdefault((before, now), _Step([], []))
            step.routes.append((octets, keys))
            step.held.append(old)
        for (was, now), (routes, olds) in told.items():
            self._tell_plainly(plain, outbox, was, now, routes, olds)
        return rest

    def decide(self, path: Path | None, keys: Sequence[bytes]) -> Iterator[tuple[Exported | None, Sequence[bytes]]]:
        """Ask the policy and the rules of export; prefixes that do not pass come back with None.

        So does what is too long for a message beside its attributes (RFC 8654 section 4), which no prefix is.
        """
        if self.profile.family in PREFIX_FAMILIES:
            yield from self._judge(path, keys)
            return
        for exported, group in self._judge(path, keys):
            longest = longest_nlri(exported.attributes, self.profile) if exported is not None else 0
            fitting = [key for key in group if len(key) <= longest]
            yield exported, fitting
            if len(fitting) < len(group):
                yield None, [key for key in group if len(key) > longest]

    def _judge(self, path: Path | None, keys: Sequence[bytes]) -> Iterator[tuple[Exported | None, Sequence[bytes]]]:
        if path is None or not keys:
            yield None, keys
            return
        answers = self._ask(path, keys)
        if len(answers) == 1 and answers[0].keys is keys:
            yield self._export(path, answers[0]), keys
            return
        left = dict.fromkeys(keys)
        for passed in answers:
            yield self._export(path, passed), passed.keys
            for key in passed.keys:
                left.pop(key, None)
        yield None, list(left)

    def _ask(self, path: Path, keys: Sequence[bytes]) -> Sequence[Passed]:
        profile = self.profile
        try:
            answers = profile.policy.apply(path, profile.family, keys, internal=profile.interior)
            return [Passed(*answer) for answer in answers]
        except Exception as error:  # noqa: BLE001  (a policy is the user's code: its failure rejects, never accepts)
            self.policy_failures += 1
            self.last_policy_failure = repr(error)
            return []

    def _export(self, path: Path, passed: Passed) -> Exported | None:
        question = (path, passed.attributes, passed.keep_next_hop, passed.keep_med)
        if question in self._exports:
            return self._exports[question]
        if len(self._exports) >= MOST_EXPORTS:
            self._exports.clear()
            self._interned.clear()
        kept = {"keep_next_hop": passed.keep_next_hop, "keep_med": passed.keep_med}
        rewritten = rewrite(path, passed.attributes, self.profile, **kept)
        exported = None
        if rewritten is not None:
            returns = is_returned(path, self.profile)
            teller = LOCAL_PEER if returns else path.peer
            originator = rewritten.originator_id if path.source is Source.IBGP and not returns else None
            provenance = Provenance(teller, rewritten.next_hop, originator)
            exported = self._interned.setdefault((rewritten, teller), Exported(rewritten, provenance))
        self._exports[question] = exported
        return exported

    def forget_paths(self) -> bool:
        """Forget what paths became, which may be gone by now, and say whether there was anything."""
        caches: tuple[dict[Any, Any], ...] = (self._exports, self._interned, self._plainly)
        is_worth_it = any(caches)
        for cache in caches:
            cache.clear()
        return is_worth_it

    def _within_limit(self, exported: Exported | None, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Hold back what would be too much for these peers (spec section 7.2)."""
        limit = self.profile.prefix_limit
        if not limit:
            return keys
        for key in keys:
            self.held_back.pop(key, None)
        fresh = [key for key in keys if key not in self.sent] if exported is not None else []
        surplus = dict.fromkeys(fresh[max(0, limit - len(self.sent)) :])
        self.held_back.update(surplus)
        return [key for key in keys if key not in surplus] if surplus else keys

    def _fill_up(self) -> None:
        """Announce what was held back, as far as there is room now."""
        if not self.held_back or self._waiting:
            return
        room = self.profile.prefix_limit - len(self.sent)
        if room > 0:
            for key in list(islice(self.held_back, room)):
                del self.held_back[key]
                self.enqueue(self._best.get(key), (key,))

    def _store(self, outbox: Outbox, exported: Exported | None, keys: Sequence[bytes]) -> None:
        """Enter prefixes into the Adj-RIB-Out and say what differs."""
        if self._out.is_following:
            self._out.except_for(keys, exported)
            if exported is not None:
                self._tell(outbox, None, exported, keys)
            return
        sent = self._out.entries
        told = exported.path if isinstance(exported, PlainlyExported) else exported
        before = set(map(sent.get, keys))
        if told is not None and len(before) == 1:
            (old,) = before
            if old is not told:
                for key in keys:
                    sent[key] = told
                self._tell(outbox, self.exported(old), exported, keys)
            return
        moved: dict[Told | None, list[bytes]] = {}
        for key in keys:
            old = sent.get(key)
            if old is told:
                continue
            moved.setdefault(old, []).append(key)
            if told is None:
                del sent[key]
            else:
                sent[key] = told
        for old, group in moved.items():
            self._tell(outbox, self.exported(old), exported, group)

    def _tell_plainly(
        self,
        plain: PlainExport,
        outbox: Outbox,
        was: Provenance | None,
        now: Provenance,
        routes: Sequence[tuple[bytes, Sequence[bytes]]],
        held: Sequence[Told | None],
    ) -> None:
        """Say what is new or means another thing than before, all of it of one provenance, as it was before."""
        hidden = self._hidden_from(now)
        outbox.written(Audience(True, hidden), plain.front(now.next_hop)).extend(routes)
        if was is not None:
            lost = Audience(False, hidden - self._hidden_from(was))
            outbox.withdraw(lost, chain.from_iterable([keys for _, keys in routes]), self.exported(held[0]))
        for member in outbox.lagging:
            for old, (_, keys) in zip(map(self.exported, held), routes, strict=True):
                member.miss(old, keys)

    def _tell(self, outbox: Outbox, old: Exported | None, new: Exported | None, keys: Sequence[bytes]) -> None:
        """Say to whom a step from ``old`` to ``new`` means an announcement, a withdrawal, or nothing."""
        hidden_before, hidden_now = self._hidden(old), self._hidden(new)
        is_repeated = old is not None and new is not None and new.says_what(old)
        if is_repeated and hidden_before == hidden_now:
            return
        for member in outbox.lagging:
            member.miss(old, keys)
        if new is None:
            outbox.withdraw(Audience(True, hidden_before), keys, old)
            return
        if is_repeated:
            outbox.announce(new.attributes, Audience(False, hidden_before - hidden_now), keys)
        else:
            outbox.announce(new.attributes, Audience(True, hidden_now), keys)
        if old is not None:
            outbox.withdraw(Audience(False, hidden_now - hidden_before), keys, old)

    def is_heard(self, exported: Exported, number: int) -> bool:
        """Whether a member may hear this: it did not tell us, did not originate it, and is not its next hop."""
        return number not in self._hidden(exported)

    def _hidden(self, exported: Exported | None) -> frozenset[int]:
        """Return the members that must not hear this: who told us, its originator, and who is its next hop."""
        return NOBODY if exported is None else self._hidden_from(exported.provenance)

    def _hidden_from(self, provenance: Provenance) -> frozenset[int]:
        hidden = self._hidden_by.get(provenance)
        if hidden is None:
            if len(self._hidden_by) >= MOST_PROVENANCES:
                self._hidden_by.clear()
            hidden = self._hidden_by[provenance] = self._must_not_hear(provenance)
        return hidden

    def _must_not_hear(self, provenance: Provenance) -> frozenset[int]:
        peer, next_hop, originator = provenance
        teller = peer if peer in self.members else None
        hop = self._by_address.get(next_hop[:16])
        others = NOBODY if originator is None else self._by_router_id.get(originator, NOBODY)
        if hop is None and not others:
            return NOBODY if teller is None else frozenset((teller,))
        return others.union(number for number in (teller, hop) if number is not None)
