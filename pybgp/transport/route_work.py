"""The order of work on routes: what a session's events do to the Rib, to our callers, and to the other peers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import structlog

from pybgp.rib.aggregates import Aggregates
from pybgp.rib.conditions import withheld
from pybgp.rib.graceful_restart import SelectionDeferral
from pybgp.rib.member import Member
from pybgp.rib.path import LOCAL_PEER, LOCAL_PREFERENCE, Change, Path, Source
from pybgp.rib.policy import REJECT_ALL, InOrder
from pybgp.rib.policy.overlays import WithDefaultRoute, Without
from pybgp.rib.route_targets import MEMBERSHIP_TIME, WantedTargets
from pybgp.rib.tables import Rib
from pybgp.session.events import (
    Event,
    RefreshReceived,
    RunReceived,
    SessionDown,
    SessionUp,
    UpdateReceived,
    WritingResumed,
)
from pybgp.transport.cause import IMPORT_POLICY, LOCAL, SESSION_DOWN, SESSION_UP, STALE, Cause
from pybgp.transport.exporter import Exporter
from pybgp.transport.housekeeping import Housekeeping
from pybgp.transport.links import find_link, link_addresses, scope_of
from pybgp.transport.long_work import LongWork
from pybgp.transport.peering import conditions_of, export_profile, rib_peer
from pybgp.transport.speaker_config import SpeakerConfig, packed_address
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, ROUTE_TARGET
from pybgp.wire.iana import AttributeCode, CeaseSubcode, Origin, RefreshSubtype
from pybgp.wire.messages import RouteRefresh, encode
from pybgp.wire.nlri import PATH_ID_LENGTH
from pybgp.wire.routes import routes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pybgp.rib.aggregates import Aggregate, News
    from pybgp.rib.export import ExportProfile
    from pybgp.rib.policy import Policy
    from pybgp.rib.policy.prefix_set import PrefixSet
    from pybgp.rib.rib_peer import RibPeer
    from pybgp.session.config import PeerConfig
    from pybgp.transport.long_work import Concerned
    from pybgp.transport.peering import Peering
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Update
    from pybgp.wire.negotiated import Negotiated
    from pybgp.wire.plain_run import Run

#: Whose announcements aggregates are.
AGGREGATE_LABEL = "aggregate"

log = structlog.get_logger("pybgp")


class RouteWork:
    """Tables, exports and graceful restart of one speaker; all of it runs in the turn of the event that caused it."""

    def __init__(self, config: SpeakerConfig, on_changes: Callable[[Sequence[Change], Cause], None]) -> None:
        """``on_changes`` hears of every change and its cause before the other peers do."""
        self.rib = Rib(
            config.local_as,
            config.router_number,
            cluster_id=config.cluster_number,
            options=config.decision,
            maximum_paths=config.maximum_paths,
            require_ebgp_policy=config.require_ebgp_policy,
            next_hop_cost=config.next_hop_cost,
        )
        self.rib.local_addresses.update(map(packed_address, (*config.local_addresses, *config.next_hops)))
        self.store = AttributeStore()
        self.exporter = Exporter(self.rib, config.batch_time, holding=config.restarting)
        self._housekeeping = Housekeeping(self.rib, self.exporter, self.store)
        self.restart_complete = asyncio.Event()
        self.import_policy = config.import_policy
        self.export_policy = config.export_policy
        #: this router is about to go: peers that are configured later hear so too.
        self.shutting_down = False
        self.restart_callbacks: list[Callable[[], None]] = []
        self._config = config
        self._on_changes = on_changes
        self._is_telling = False
        self._peerings: dict[int, Peering] = {}
        #: those that are told some things under conditions.
        self._conditional: list[Peering] = []
        #: those with routes that only time may have to end: of a thousand peers very few.
        self._timed: dict[Peering, None] = {}
        self._deferral: SelectionDeferral | None = None
        self._long = LongWork(self.rib, self._peerings, self._publish_slice, self._touched)
        #: the default routes that peers are sent on request, by family.
        self._default_routes: dict[Family, Path] = {}
        self.aggregates = Aggregates(config.confederation or config.local_as, config.router_number)
        self._hidden: PrefixSet | None = None
        self._retarget_soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        if not config.restarting:
            self.restart_complete.set()

    # Life

    def start(self) -> None:
        """Begin to wait for the peers that knew us before, if we are restarting."""
        if not self.restart_complete.is_set():
            config, now = self._config, _now()
            self._deferral = SelectionDeferral(config.selection_deferral_time, config.absent_peer_time, now)
            for number in self._peerings:
                self._deferral.expect(number, now)
            self._settle()

    def close(self) -> None:
        """Cancel every timer."""
        self.exporter.close()
        self._housekeeping.close()
        for peering in self._peerings.values():
            if peering.guard is not None:
                peering.guard.cancel()
        self._long.close()
        for handle in (self._timer, self._retarget_soon):
            if handle is not None:
                handle.cancel()
        self._timer = self._retarget_soon = None

    def add(self, peering: Peering) -> None:
        """A peer is configured."""
        peering.shutting_down = self.shutting_down
        self._look_at_conditions(peering)
        self._peerings[peering.number] = peering
        if self._deferral is not None:
            self._deferral.expect(peering.number, _now())

    def reconfigure(self, peering: Peering, config: PeerConfig) -> None:
        """Do with the routes of a peer, and send it, what another configuration says, while the session lives.

        What was not kept of what the peer said it is asked for again (RFC 2918); a peer that cannot be asked gets a new
        session.
        """
        before, peering.config = peering.config, config
        peering.conditions = conditions_of(config)
        self._look_at_conditions(peering)
        if peering.negotiated is not None and (negotiated := peering.peer.negotiated) is not None:
            peering.negotiated = negotiated
            facts = self._facts(peering, negotiated)
            if facts != peering.facts:
                peering.facts = facts
                changes = self.rib.set_peer(facts, self.import_policy_of(peering))
                self.publish(changes, Cause(IMPORT_POLICY, peering.name))
                self._judge_all(peering)
                self._long.begin()
        self.set_export_policy([peering])
        missing = set(peering.families) if before.reading != config.reading else set()
        if before.routes.receive_limit != config.routes.receive_limit:
            if peering.guard is not None:
                missing |= peering.guard.over
            peering.limit_by(config)
            for family in peering.families if peering.guard is not None else ():
                if peering.guard is not None:
                    peering.guard.look_at(family, len(self.rib.received(peering.number, family)))
        self._ask_again(peering, missing)

    def _ask_again(self, peering: Peering, families: Iterable[Family]) -> None:
        """Ask a peer for all that it has to say."""
        if (negotiated := peering.negotiated) is None:
            return
        for family in sorted(families):
            if not negotiated.route_refresh:
                peering.peer.reset(CeaseSubcode.CONFIGURATION_CHANGE)
                return
            peering.peer.send(encode(RouteRefresh(family)))

    def _facts(self, peering: Peering, negotiated: Negotiated) -> RibPeer:
        return rib_peer(peering, negotiated, packed_address(peering.peer.local_address), self._config)

    def remove(self, peering: Peering) -> None:
        """A peer is no longer configured: all that it said goes, the first slice now, the others in turns to come."""
        number = peering.number
        del self._peerings[number]
        self._conditional = [one for one in self._conditional if one is not peering]
        self._timed.pop(peering, None)
        self.exporter.leave(number)
        if peering.guard is not None:
            peering.guard.cancel()
        for family in self.rib.families_of(number):
            self.rib.begin_drop(number, family)
        self._long.remove(number, peering.name)
        if self._deferral is not None:
            self._deferral.forget(number)
            self._settle()

    @property
    def is_settled(self) -> bool:
        """Whether no route is stale, about to go or in doubt, and nothing is left to be sent."""
        return not self._timed and self._long.is_settled and self.exporter.is_idle

    # Events of sessions

    def handle(self, peering: Peering, event: Event) -> None:
        """Do what an event means for routes."""
        match event:
            case RunReceived(family=family, run=run):
                self._run(peering, family, run)
            case UpdateReceived(update=update):
                self._update(peering, update)
            case SessionUp():
                self._session_up(peering, event)
            case SessionDown():
                self._session_down(peering, event)
            case RefreshReceived(refresh=refresh):
                self._refresh(peering, refresh)
            case WritingResumed():
                self.exporter.resume(peering.number)
            case _:
                pass

    def publish(self, changes: Sequence[Change], cause: Cause = LOCAL) -> None:
        """Tell our callers, then the peers."""
        if changes:
            if self._is_telling:
                # A caller who was told of a change has made this one, which overtakes it.
                self.exporter.settle()
            was_telling, self._is_telling = self._is_telling, True
            self._on_changes(changes, cause)
            self._is_telling = was_telling
            self.exporter.publish(changes)
            if self.aggregates:
                self._aggregate(self.aggregates.heed(changes))
            if self._conditional:
                self._see_conditions(changes)
            if self.rib.has_flow_rules:
                self.publish(self.rib.believe_again(changes), cause)
        elif self.exporter.wants_paths:
            self.exporter.publish(())

    def _publish_slice(self, changes: Sequence[Change], cause: Cause) -> None:
        """Do the same with a part of long work, which is no pause for whoever waits for one."""
        if changes:
            self._housekeeping.changed()
        self.publish(changes, cause)

    def set_aggregates(self, wanted: Iterable[Aggregate]) -> None:
        """Declare all aggregates."""
        news = self.aggregates.declare(wanted)
        self._aggregate([*news, *self.aggregates.heed(self._everything(self.aggregates.families))])

    def _aggregate(self, news: Iterable[News]) -> None:
        """Announce and withdraw aggregates; then, where they stand for what is inside them, that is withdrawn too."""
        for family, key, attributes in news:
            if attributes is None:
                self.publish(self.rib.withdraw_local(family, [key], label=AGGREGATE_LABEL))
            else:
                announce = self.rib.announce_local
                self.publish(announce(family, [key], attributes, preference=LOCAL_PREFERENCE, label=AGGREGATE_LABEL))
        if (hidden := self.aggregates.hidden) != self._hidden:
            self._hidden = hidden
            self.set_export_policy(self._peerings.values())

    def _look_at_conditions(self, peering: Peering) -> None:
        """Show the tables to the conditions of a peer."""
        for condition in peering.conditions:
            condition.heed(self._everything(condition.families))
        others = [one for one in self._conditional if one is not peering]
        self._conditional = [*others, peering] if peering.conditions else others

    def _see_conditions(self, changes: Sequence[Change]) -> None:
        """Tell or withdraw what these peers are told under conditions."""
        flipped = [one for one in self._conditional if True in [each.heed(changes) for each in one.conditions]]
        if flipped:
            self.set_export_policy(flipped)

    def _everything(self, families: Iterable[Family]) -> list[Change]:
        """Return the Loc-RIB of some families as changes."""
        changes = []
        for family in families:
            by_path: dict[Path, list[bytes]] = {}
            for key, path in self.rib.best(family).items():
                by_path.setdefault(path, []).append(key)
            changes += [Change(family, path, keys) for path, keys in by_path.items()]
        return changes

    def _default_route(self, family: Family) -> Path:
        """Return the path of the default route that peers are sent on request."""
        if family not in self._default_routes:
            attributes = Attributes.build({AttributeCode.ORIGIN: Origin.IGP, AttributeCode.AS_PATH: AsPath()})
            self._default_routes[family] = Path(
                LOCAL_PEER, Source.LOCAL, attributes, attributes, preference=LOCAL_PREFERENCE
            )
        return self._default_routes[family]

    def _update(self, peering: Peering, update: Update) -> None:
        number, apply, guard = peering.number, self.rib.apply, peering.guard
        negotiated = peering.negotiated
        add_path = negotiated.add_path_receive if negotiated is not None else ()
        changes: list[Change] = []
        for nlri in routes_of(update.withdrawn, add_path):
            changes += apply(number, nlri.family, nlri.keys, None, ())
        for nlri in routes_of(update.announced, add_path):
            keys = nlri.keys
            if guard is not None:
                keys = guard.admit(nlri.family, self.rib.received(number, nlri.family).keys(), keys)
            changes += apply(number, nlri.family, (), nlri.attributes, keys)
        self.publish(changes, peering.update)
        if negotiated is not None and ROUTE_TARGET in negotiated.families:
            self._retarget_if(nlri.family == ROUTE_TARGET for nlri in (*update.withdrawn, *update.announced))
        if update.end_of_rib is not None:
            self._end_of_rib(peering, update.end_of_rib)
        for family in update.disabled:
            self._drop(peering, [family])
            self._end_of_rib(peering, family)
        self._tidy()

    def _run(self, peering: Peering, family: Family, run: Run) -> None:
        number, guard = peering.number, peering.guard
        if guard is None:
            self.publish(self.rib.apply_run(number, family, run), peering.update)
        else:
            for attributes, keys in zip(*run, strict=True):
                admitted = guard.admit(family, self.rib.received(number, family).keys(), keys)
                self.publish(self.rib.apply(number, family, (), attributes, admitted), peering.update)
        self._tidy()

    def _tidy(self) -> None:
        self._housekeeping.changed()
        if self.store.is_due:
            self.store.tidy(self.rib.attribute_count(), self.rib.attributes_in_use)

    def _session_up(self, peering: Peering, event: SessionUp) -> None:
        negotiated, number = event.negotiated, peering.number
        peering.negotiated = negotiated
        peering.was_up = True
        peering.complete.clear()
        if peering.guard is not None:
            peering.guard.session_up()
        local_address = packed_address(peering.peer.local_address)
        peering.link = find_link(local_address, peering.address, link_addresses(), scope_of(peering.config.address))
        peering.facts = facts = self._facts(peering, negotiated)
        self.publish(self.rib.set_peer(facts, self.import_policy_of(peering)), Cause(SESSION_UP, peering.name))
        gone = peering.retention.returned(negotiated.graceful_restart, negotiated.families, negotiated.long_lived)
        self._drop(peering, gone)
        waiting = peering.targeted_families
        peering.targets_deadline = _now() + MEMBERSHIP_TIME if waiting else inf
        self._timed[peering] = None
        self._join(peering, negotiated, [family for family in peering.families if family not in waiting])
        if self._deferral is not None:
            self._deferral.session_up(number, peering.families, negotiated.graceful_restart, _now())
        self._settle()

    def _join(self, peering: Peering, negotiated: Negotiated, families: Iterable[Family]) -> None:
        for family in families:
            profile = self.profile_of(peering, negotiated, family)
            member = Member(peering.number, peering.address, negotiated.peer_id)
            self.exporter.join(member, peering.peer, profile, enhanced=negotiated.enhanced_refresh)

    def _send_targeted(self, peering: Peering) -> None:
        """The peer has said which targets it wants, or has had its time."""
        peering.targets_deadline = inf
        if peering.negotiated is not None:
            self._join(peering, peering.negotiated, peering.targeted_families)

    def _retarget_if(self, reasons: Iterable[bool]) -> None:
        """Memberships may have changed: look at all of them once the events of this turn are over."""
        if self._retarget_soon is None and any(reasons):
            self._retarget_soon = asyncio.get_running_loop().call_soon(self._retarget)

    def _touched(self, family: Family) -> None:
        self._retarget_if([family == ROUTE_TARGET])

    def _retarget(self) -> None:
        """Send, or withdraw, what peers want by now that have changed their minds (RFC 4684 section 6)."""
        self._retarget_soon = None
        for peering in self._peerings.values():
            if (negotiated := peering.negotiated) is not None and peering.targets_deadline == inf:
                for family in peering.targeted_families:
                    self.exporter.change_profile(peering.number, self.profile_of(peering, negotiated, family))

    def _session_down(self, peering: Peering, event: SessionDown) -> None:
        number, negotiated = peering.number, peering.negotiated
        kept = event.retained.union(family for family, _ in event.long_lived)
        if kept:
            log.info("routes_retained", peer=peering.name, families=sorted(map(str, kept)))
        self.exporter.leave(number)
        again = negotiated is not None and negotiated.notification_in_force
        for family in kept.intersection(self.rib.families_of(number)):
            is_sweeping = self._long.end_sweep(number, family)
            if is_sweeping or (family in peering.retention.stale and not again):
                self.publish(self.rib.sweep_stale(number, family), Cause(SESSION_DOWN, peering.name))
            self.rib.mark_stale(number, family)
        now = _now()
        peering.negotiated = None
        peering.targets_deadline = inf
        retention, times = peering.retention, dict(event.long_lived)
        begun = retention.lost(event.retained, event.restart_time, event.stale_time, now, times)
        self._timed[peering] = None
        self._drop(peering, set(self.rib.families_of(number)) - kept)
        self._begin_long_lived(peering, begun)
        if self._deferral is not None:
            self._deferral.session_down(number, now)
        self._settle()

    def _end_of_rib(self, peering: Peering, family: Family) -> None:
        peering.complete.add(family)
        if family == ROUTE_TARGET and peering.targets_deadline < inf:
            self._send_targeted(peering)
        if peering.retention.end_of_rib(family):
            self._sweep(peering, [family])
        if self._deferral is not None:
            self._deferral.end_of_rib(peering.number, family)
        self._settle()

    def _refresh(self, peering: Peering, refresh: RouteRefresh) -> None:
        """RFC 2918 section 4, RFC 7313 section 4."""
        negotiated, family = peering.negotiated, refresh.family
        if negotiated is None or family not in negotiated.families:
            return
        if refresh.subtype == RefreshSubtype.REQUEST:
            self.exporter.refresh(peering.number, family)
        elif refresh.subtype == RefreshSubtype.BEGIN and negotiated.enhanced_refresh:
            if negotiated.graceful_restart is None or family in peering.complete:
                if self._long.end_sweep(peering.number, family):
                    # What is left of it would not be told from what is marked now, and yet to come again.
                    self.publish(self.rib.sweep_stale(peering.number, family), Cause(STALE, peering.name))
                self.rib.mark_stale(peering.number, family)
                peering.retention.begin_refresh(family, _now())
                self._timed[peering] = None
                self._settle()
        elif refresh.subtype == RefreshSubtype.END and peering.retention.end_refresh(family):
            self._sweep(peering, [family])
            self._settle()

    # Policies

    def set_import_policy(self, peerings: Iterable[Peering]) -> None:
        """Judge again what these peers have sent."""
        for peering in peerings:
            changes = self.rib.begin_import_policy(peering.number, self.import_policy_of(peering))
            self.publish(changes, Cause(IMPORT_POLICY, peering.name))
            self._judge_all(peering)
        self._long.begin()

    def _judge_all(self, peering: Peering) -> None:
        """Note that all routes of a peer are to be judged again."""
        self._long.drop_judgements(peering.number)
        self._long.judge_later(peering.number, None)

    def judge_again(self, concerned: Concerned) -> None:
        """Ask the import policies again about the prefixes that ``concerned`` picks."""
        for number in self._peerings:
            self._long.judge_later(number, concerned)
        self._long.begin()

    @property
    def is_judging(self) -> bool:
        """Whether routes are yet to be judged by a policy that is in force already."""
        return self._long.is_judging or self.exporter.is_moving

    def set_export_policy(self, peerings: Iterable[Peering]) -> None:
        """Judge again what these peers are sent."""
        wanted = {}
        for peering in peerings:
            if (negotiated := peering.negotiated) is not None:
                for family in peering.families:
                    wanted[peering.number, family] = self.profile_of(peering, negotiated, family)
        self.exporter.change_profiles(wanted)

    def set_shutting_down(self, peerings: Iterable[Peering], *, active: bool) -> None:
        """Mark what these peers are sent as about to go, or take the mark away (RFC 8326 section 4.1)."""
        concerned = list(peerings)
        for peering in concerned:
            peering.shutting_down = active
        self.set_export_policy(concerned)

    def import_policy_of(self, peering: Peering) -> Policy | None:
        """Return the peer's own, else that of all."""
        return peering.import_policy or self.import_policy

    def profile_of(self, peering: Peering, negotiated: Negotiated, family: Family) -> ExportProfile:
        """Return everything that decides what a session is sent."""
        return self.profile_by(peering, negotiated, family, peering.export_policy or self.export_policy)

    def profile_by(
        self, peering: Peering, negotiated: Negotiated, family: Family, policy: Policy | None
    ) -> ExportProfile:
        """Return everything that would decide with this export policy."""
        profile = export_profile(
            family,
            negotiated,
            policy,
            packed_address(peering.peer.local_address),
            self._config,
            peering.config.routes,
            shutting_down=peering.shutting_down,
            link=peering.link,
        )
        if peering.config.routes.per_client_best and profile.path_choice is None:
            profile = replace(profile, next_best=True, client=peering.number)
        profile = self._overlaid(peering, profile)
        if profile.policy is REJECT_ALL or family not in peering.targeted_families:
            return profile
        front = PATH_ID_LENGTH if ROUTE_TARGET in negotiated.add_path_receive else 0
        members = self.rib.received(peering.number, ROUTE_TARGET)
        wanted = WantedTargets.of(raw[front:] for raw, path in members.items() if not path.rejection)
        return replace(profile, policy=InOrder(profile.policy, wanted))

    def why_withheld(self, peering: Peering, family: Family, key: bytes) -> str:
        """Say why a peer is not told of a prefix before its policy is asked; empty if it is."""
        if self._hidden is not None and self._hidden.has(family, key):
            return "an aggregate stands for it"
        unmet = withheld(peering.conditions)
        return "the condition that it is told under does not hold" if unmet and unmet.has(family, key) else ""

    def _overlaid(self, peering: Peering, profile: ExportProfile) -> ExportProfile:
        """Return a profile with what stands above its policy: aggregates, conditions, a default route."""
        policy = profile.policy
        for hidden in (self._hidden, withheld(peering.conditions)):
            if hidden is not None and policy is not REJECT_ALL:
                policy = InOrder(Without(hidden), policy)
        if peering.config.routes.default_originate and profile.family in (IPV4_UNICAST, IPV6_UNICAST):
            default = self._default_route(profile.family)
            return replace(profile, policy=WithDefaultRoute(policy, default), default_route=default)
        return profile if policy is profile.policy else replace(profile, policy=policy)

    # Next hops, stale routes and time

    def next_hops_changed(self, next_hops: Iterable[bytes]) -> None:
        """Choose again where paths lead by these: the first slice now, the others in turns of their own."""
        self._long.follow(next_hops)

    def _drop(self, peering: Peering, families: Iterable[Family]) -> None:
        for family in families:
            self.rib.begin_drop(peering.number, family)
            self._sweep(peering, [family])

    def _sweep(self, peering: Peering, families: Iterable[Family]) -> None:
        """Withdraw what is stale: the first slice now, the others in turns of their own."""
        self._long.sweep(peering.number, families)

    def _begin_long_lived(self, peering: Peering, families: Iterable[Family]) -> None:
        """Keep what is stale as a last resort (RFC 9494): the first slice now, the others in turns of their own."""
        begun = [family for family in families if self.rib.begin_long_lived(peering.number, family)]
        if begun:
            log.info("long_lived_stale", peer=peering.name, families=sorted(map(str, begun)))
            self._long.mark(peering.number, begun)

    def _settle(self) -> None:
        """End the restart if nobody is waited for any more, and set the timer for what only time will tell."""
        now = _now()
        if self._deferral is not None and self._deferral.check(now):
            self._deferral = None
            self._end_restart()
        due = {peering: at for peering in self._timed if (at := peering.next_deadline()) < inf}
        self._timed = dict.fromkeys(due)
        deadlines = list(due.values())
        if self._deferral is not None:
            deadlines.append(self._deferral.next_deadline())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := min(deadlines, default=inf)) < inf:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        now = _now()
        for peering in tuple(self._timed):
            gone, long_lived = peering.retention.expire(now)
            if gone:
                log.info("stale_routes_expired", peer=peering.name, families=sorted(map(str, gone)))
                self._sweep(peering, gone)
            self._begin_long_lived(peering, long_lived)
            if peering.targets_deadline <= now:
                log.warning("targets_incomplete", peer=peering.name, seconds=MEMBERSHIP_TIME)
                self._send_targeted(peering)
        self._settle()

    def _end_restart(self) -> None:
        """Selection is final: withdraw what nobody claimed, export what was held (spec section 15.2)."""
        log.info("restart_complete")
        self.restart_complete.set()
        for callback in self.restart_callbacks:
            callback()
        self.exporter.release()


def _now() -> float:
    return asyncio.get_running_loop().time()
