"""A BGP speaker for users: peers are declared, prefixes announced, routes watched."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakSet

import structlog

from pybgp.errors import LocalError
from pybgp.rib.path import LOCAL_PEER, LOCAL_PREFERENCE, Change, Path
from pybgp.session.config import PeerConfig
from pybgp.session.events import Event, RunReceived, SessionUp, StateChanged
from pybgp.transport.announcements import RouteWords, by_family, known_family, own_attributes, own_keys, own_routes
from pybgp.transport.bfd_endpoint import BfdEndpoint, BfdStatus
from pybgp.transport.bfd_watch import BfdWatch
from pybgp.transport.bmp_client import BmpClient
from pybgp.transport.event_stream import DEFAULT_LIMIT, LOC, EventHub, EventStream
from pybgp.transport.explanation import OURSELVES, PrefixExplanation, explain_prefix
from pybgp.transport.peer import Peer, PeerStatus
from pybgp.transport.peering import NO_POLICIES, Peering, PeerPolicies, path_choice
from pybgp.transport.policy_preview import Difference, preview
from pybgp.transport.roster import Roster
from pybgp.transport.route_history import RouteHistory
from pybgp.transport.route_watch import RouteWatch, inside
from pybgp.transport.route_work import RouteWork
from pybgp.transport.speaker_config import SpeakerConfig, packed_address
from pybgp.transport.table_dump import TableDump
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.messages import RouteRefresh, encode
from pybgp.wire.nlri import format_key, parse_key, parse_prefix

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pybgp.formats.mrt import Ends
    from pybgp.rib.aggregates import Aggregate
    from pybgp.rib.exported import Exported
    from pybgp.rib.policy import Policy
    from pybgp.transport.cause import Cause
    from pybgp.transport.dynamic_peers import DynamicPeers
    from pybgp.transport.link_peers import LinkPeer
    from pybgp.transport.tap import Tap
    from pybgp.wire.families import Family

__all__ = ["Speaker", "SpeakerConfig"]

log = structlog.get_logger("pybgp")


class Speaker:
    """A BGP speaker: declare peers, announce prefixes, watch routes."""

    def __init__(self, config: SpeakerConfig, *, make_peer: Callable[..., Peer] = Peer) -> None:
        """Nothing is opened before ``start``; peers and announcements may be given before (in a restart: must be).

        ``make_peer`` takes the arguments of `Peer`; a partial of it may say how connections are opened.
        """
        self.config = config
        self._work = RouteWork(config, self._changed)
        #: Set when a restart is over: every kept route was refreshed or is withdrawn now (RFC 4724 section 4.1).
        #: Set from the beginning when the speaker is not restarting.
        self.restart_complete: asyncio.Event = self._work.restart_complete
        self._change_callbacks: list[Callable[[Sequence[Change]], None]] = []
        self._peer_callbacks: list[Callable[[str, PeerStatus], None]] = []
        self._event_callbacks: list[Callable[[str, Peer, Event], None]] = []
        self._watches: WeakSet[RouteWatch] = WeakSet()
        self._hub = EventHub(self._work.rib, time.time)
        self._bfd = BfdWatch(BfdEndpoint())
        self._roster = Roster(config, self._work, self._hub, self._bfd, make_peer=make_peer, heard=self._heard)
        self._peerings: Mapping[str, Peering] = self._roster.peerings
        #: The latest changes, if ``history`` of the configuration says how many.
        self.history = RouteHistory(config.history) if config.history else None
        #: One for each of ``bmp_stations``.
        self.bmp_clients = tuple(BmpClient(self, station) for station in config.bmp_stations)
        self.on_restart_complete(self._roster.forget_restart)

    # Life

    async def start(self) -> None:
        """Listen, and start every configured peer; LocalError if an address cannot be listened on."""
        self._roster.listen()
        self._work.start()
        self._roster.expect_guests()
        for client in self.bmp_clients:
            client.start()
        self._roster.start()

    async def __aenter__(self) -> Speaker:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def stop(self, *, communication: str = "", graceful: bool = False) -> None:
        """End all sessions; ``graceful`` just closes them, so that helpers keep our routes (spec section 15.2)."""
        self._roster.refuse_guests()
        self._work.exporter.flush()
        # Before the sessions end: the kernel would take in who calls again at once, and we would cut it off.  OpenBGPD
        # then begins its next connection with the OPEN that it could not send on that one.
        self._roster.stop_listening()
        self._roster.stop(communication, graceful=graceful)
        self._bfd.close()
        self._work.close()
        await self._roster.wait_closed()
        self._hub.close()
        for client in self.bmp_clients:
            await client.stop()

    # Peers

    def peer(self, address: str, remote_as: int, **options: Any) -> PeerConfig:  # the fields of PeerConfig
        """Return the configuration of a peer that speaks to this speaker as it is."""
        local_as, is_member = self.config.relation_to(remote_as)
        return PeerConfig(
            address=address,
            remote_as=remote_as,
            local_as=local_as,
            router_id=self.config.router_number,
            confederation=is_member,
            **options,
        )

    def configure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Declare the wanted set of peers by name; only what changed is restarted, the rest is left alone."""
        self._roster.configure(peers)

    def configure_dynamic(self, groups: Mapping[str, DynamicPeers]) -> None:
        """Declare from which prefixes neighbours may come unannounced; each appears in `peers` as "group/address"."""
        self._roster.configure_dynamic(groups)

    def configure_links(self, links: Mapping[str, LinkPeer]) -> None:
        """Declare neighbours by the interface that they are found on; each is a peer of that name once it is found.

        Both sides need no addresses but the link-local ones that the kernel gives them (unnumbered peering).
        """
        self._roster.configure_links(links)

    def link_neighbor(self, name: str, address: str) -> None:
        """Say who is on a link of `configure_links`, "fe80::1%eth0", where the speaker does not look by itself."""
        self._roster.link(name).found(address)

    def peers(self) -> Mapping[str, PeerStatus]:
        """Return the status of every configured peer by name."""
        return {name: peering.peer.status() for name, peering in self._peerings.items()}

    def bfd(self, peer: str) -> BfdStatus | None:
        """Return what BFD sees of the path to a peer; None before its first session, or without ``bfd``."""
        return self._bfd.status(self._roster.named(peer).peer)

    def shut_down_peer(self, name: str, communication: str = "") -> None:
        """End a peer's session, telling it why (RFC 9003), and keep it down until `start_peer`."""
        peering = self._cancel_restart(name)
        peering.is_shut_down = True
        peering.peer.stop(communication)

    def reset_peer(self, name: str, communication: str = "") -> None:
        """End a peer's session, telling it why; it comes back after its idle hold time."""
        self._roster.named(name).peer.reset(communication=communication)

    def refresh_peer(self, name: str, families: Iterable[Family] | None = None) -> None:
        """Ask a peer to send all its routes again, in these families or in all; the session stays up (RFC 2918)."""
        peering = self._roster.named(name)
        negotiated = peering.negotiated
        if negotiated is None or not negotiated.route_refresh:
            reason = "no session" if negotiated is None else "route refresh was not negotiated"
            raise LocalError(f"peer {name!r}: {reason}")
        wanted = negotiated.families if families is None else set(families)
        if unknown := wanted - negotiated.families:
            raise LocalError(f"peer {name!r}: {', '.join(map(str, sorted(unknown)))} is no family of the session")
        for family in sorted(wanted):
            peering.peer.send(encode(RouteRefresh(family)))

    def start_peer(self, name: str) -> None:
        """Let a peer come up that was shut down, or went down over its prefix limit."""
        peering = self._cancel_restart(name)
        peering.is_shut_down = False
        if self._roster.is_running:
            peering.peer.start()

    def send_again(self, name: str) -> None:
        """Send a peer everything that it should hold, as if it had asked (RFC 2918 section 4)."""
        peering = self._roster.named(name)
        if peering.negotiated is None:
            raise LocalError(f"peer {name!r}: no session")
        for family in peering.families:
            self._work.exporter.refresh(peering.number, family)

    def graceful_shutdown(self, peer: str | None = None, *, active: bool = True) -> None:
        """Mark all that one peer, or every peer, is sent as about to go, so that traffic leaves first (RFC 8326).

        External peers that honour the community, and internal ones by LOCAL_PREF 0, choose other routes; ``active``
        False takes the mark back.
        """
        if peer is None:
            self._work.shutting_down = active
        self._work.set_shutting_down(self._roster.concerned(peer), active=active)

    def _cancel_restart(self, name: str) -> Peering:
        peering = self._roster.named(name)
        if peering.guard is not None:
            peering.guard.cancel()
        return peering

    def on_peer(self, callback: Callable[[str, PeerStatus], None]) -> None:
        """Call back with the name and status of a peer whenever its state changes."""
        self._peer_callbacks.append(callback)

    def events(self, views: Collection[str] = (LOC,), *, limit: int = DEFAULT_LIMIT) -> EventStream:
        """Return a stream of numbered events from now on: states of peers, End-of-RIB, limits, and routes.

        ``views`` are those of routes: "pre" (what peers sent), "post" (behind the import policy), "loc" (what was
        chosen), "out" (what each peer is told, read from the messages themselves).  Iterate over it, and
        `EventStream.close` it; a reader for whom more than ``limit`` prefixes wait gets a gap as its last event.
        """
        return self._hub.subscribe(views, limit)

    def on_event(self, callback: Callable[[str, Peer, Event], None]) -> None:
        """Call back with everything that a session reports, by the name of its peer, after the routes heard of it."""
        self._event_callbacks.append(callback)

    def record(self, peer: str, open_tap: Callable[[Ends], Tap | None] | None) -> None:
        """Call ``open_tap`` for each new connection of a peer; what it returns, a recorder, is told every octet."""
        self._roster.named(peer).peer.open_tap = open_tap

    # Announcements and policies

    def announce(
        self,
        prefixes: str | Iterable[str],
        *,
        next_hop: str | None = None,
        preference: int = LOCAL_PREFERENCE,
        label: str = "",
        **words: Unpack[RouteWords],
    ) -> None:
        """Announce prefixes; several labels may announce one prefix, and the higher preference wins.

        BGP paths have preference 100, so a local announcement of 10 yields to them and one of 200 does not.  Without a
        next hop each peer is told our own address.
        """
        attributes = own_attributes(next_hop, words)
        rib, announced = self._work.rib, by_family(prefixes)
        if next_hop and ":" not in next_hop and IPV6_UNICAST in announced:
            raise LocalError(f"next_hop {next_hop!r}: an IPv6 address expected for IPv6 prefixes")
        for family, keys in announced.items():
            self._work.publish(rib.announce_local(family, keys, attributes, preference=preference, label=label))

    def withdraw(self, prefixes: str | Iterable[str], *, label: str = "") -> None:
        """Take announcements back; unknown ones are ignored."""
        for family, keys in by_family(prefixes).items():
            self._work.publish(self._work.rib.withdraw_local(family, keys, label=label))

    def announce_nlri(
        self,
        family: Family | str,
        nlri: Any,
        *,
        next_hop: str | None = None,
        preference: int = LOCAL_PREFERENCE,
        label: str = "",
        **words: Unpack[RouteWords],
    ) -> None:
        """Announce routes of any family of `pybgp.wire.nlri`: one NLRI or an iterable of them.

        Each is the text that `format_nlri` prints, the plain data of `nlri_to_json`, or the typed value of the family.
        What is no key field of it, such as a label, belongs to the path: the same key announced again replaces it.
        """
        family = known_family(family)
        for attributes, keys in list(own_routes(family, nlri, own_attributes(next_hop, words))):
            changes = self._work.rib.announce_local(family, keys, attributes, preference=preference, label=label)
            self._work.publish(changes)

    def withdraw_nlri(self, family: Family | str, nlri: Any, *, label: str = "") -> None:
        """Take routes back, named as `announce_nlri` has them or by their key fields alone."""
        family = known_family(family)
        self._work.publish(self._work.rib.withdraw_local(family, own_keys(family, nlri), label=label))

    def set_aggregates(self, aggregates: Iterable[Aggregate]) -> None:
        """Declare every aggregate; each is announced while the Loc-RIB has something inside it (RFC 4271)."""
        self._work.set_aggregates(aggregates)

    def set_import_policy(self, policy: Policy | None, *, peer: str | None = None) -> None:
        """Replace the import policy of one peer, or of all that have none of their own; only differences are felt."""
        if peer is None:
            self._work.import_policy = policy
        else:
            self._roster.named(peer).import_policy = policy
        self._work.set_import_policy(self._roster.concerned(peer))

    def judge_again(self, concerned: Callable[[Family, Sequence[bytes]], Iterable[bytes]]) -> None:
        """Ask the import policies again about the prefixes that ``concerned`` picks, by family.

        For policies that look at more than routes; `AffectedRoutes.among` picks what a change of RPKI data concerns.
        """
        self._work.judge_again(concerned)

    @property
    def is_judging(self) -> bool:
        """Whether routes are yet to be judged by a policy that is in force already: big tables take many turns."""
        return self._work.is_judging

    def set_export_policy(self, policy: Policy | None, *, peer: str | None = None) -> None:
        """Replace the export policy of one peer, or of all that have none of their own; only differences are sent."""
        if peer is None:
            self._work.export_policy = policy
        else:
            self._roster.named(peer).export_policy = policy
        self._work.set_export_policy(self._roster.concerned(peer))

    def set_policies(
        self, import_policy: Policy | None, export_policy: Policy | None, peers: Mapping[str, PeerPolicies]
    ) -> None:
        """Declare all policies: those of peers, or groups of dynamic ones, by name, and those of all others.

        A peer whose policies mean what they meant is left alone; of the others only differences are felt and sent.
        """
        work, self._roster.declared = self._work, dict(peers)
        before = {name: work.import_policy_of(peering) for name, peering in self._peerings.items()}
        work.import_policy, work.export_policy = import_policy, export_policy
        for name, peering in self._peerings.items():
            peering.import_policy, peering.export_policy = self._roster.policies_for(name)
        changed = [one for name, one in self._peerings.items() if before[name] != work.import_policy_of(one)]
        work.set_import_policy(changed)
        work.set_export_policy(self._peerings.values())

    def preview_policies(
        self, import_policy: Policy | None, export_policy: Policy | None, peers: Mapping[str, PeerPolicies]
    ) -> Iterator[Difference | None]:
        """Yield what `set_policies` with the same arguments would change, without changing anything.

        None comes now and then, where big tables leave time for something else.
        """

        def own(peering: Peering) -> PeerPolicies:
            return peers.get(peering.name) or peers.get(peering.name.rpartition("/")[0], NO_POLICIES)

        return preview(
            self._work,
            self._peerings.values(),
            lambda peering: own(peering).import_policy or import_policy,
            lambda peering: own(peering).export_policy or export_policy,
        )

    # Routes

    def on_change(self, callback: Callable[[Sequence[Change]], None]) -> None:
        """Call back with every change of the Loc-RIB, synchronously in the turn that made it, also during a restart."""
        self._change_callbacks.append(callback)

    def on_restart_complete(self, callback: Callable[[], None]) -> None:
        """Call back once when `restart_complete` is set, before the exports that were held leave."""
        self._work.restart_callbacks.append(callback)

    def next_hops_changed(self, next_hops: Iterable[str]) -> None:
        """Ask `SpeakerConfig.next_hop_cost` again about these addresses, and choose again among their paths.

        Where many routes use them that takes many turns of the loop; `is_settled` says whether all is chosen.
        """
        self._work.next_hops_changed(map(packed_address, next_hops))

    def next_hops(self) -> set[bytes]:
        """Return the next hops of all paths that are known, packed, as policies left them."""
        return self._work.rib.next_hops()

    def best(self, family: Family) -> Mapping[bytes, Path]:
        """Return the Loc-RIB of a family: key to best path; a live view."""
        return self._work.rib.best(family)

    def paths(self, family: Family, key: bytes) -> tuple[Path, ...]:
        """Return the equal-cost paths of one prefix, best first (at most ``maximum_paths``)."""
        return self._work.rib.paths(family, key)

    def heard(self, family: Family, key: bytes) -> list[Path]:
        """Return all paths that peers, or we, have to a prefix, rejected ones included."""
        return self._work.rib.heard(family, key)

    def equal_paths(self, family: Family) -> Mapping[bytes, tuple[Path, ...]]:
        """Return the prefixes that have several equal-cost paths, best first; a live view."""
        return self._work.rib.equal_paths(family)

    def routes(self, family: Family | str) -> Iterator[tuple[str, Path]]:
        """Iterate over the Loc-RIB of a family as text: each NLRI with its best path."""
        family = known_family(family)
        for key, path in list(self._work.rib.best(family).items()):
            yield format_key(family, key, path.attributes.details), path

    def received(self, peer: str, family: Family) -> Mapping[bytes, Path]:
        """Return what a peer sent, rejected routes with their reason included; a live view."""
        return self._work.rib.received(self._roster.named(peer).number, family)

    def sent(self, peer: str, family: Family) -> Mapping[bytes, Exported]:
        """Return what a peer holds of us: its part of the Adj-RIB-Out; see `sends_path_ids` for the keys."""
        return self._work.exporter.holds(self._roster.named(peer).number, family)

    def dump_tables(
        self, families: Sequence[Family | str] = (IPV4_UNICAST, IPV6_UNICAST), *, view: str = ""
    ) -> Iterator[bytes]:
        """Yield the usable routes of all peers as MRT records, a few prefixes at a time, to be written in their order.

        Routes stand there as the import policy left them, our own as those of peer 0; they may change meanwhile.
        Families are unicast or multicast (RFC 6396 section 4.3, RFC 8050).
        """
        wanted = [known_family(family) for family in families]
        return TableDump(self._work.rib, self.config, self._peerings.values(), wanted, int(time.time())).octets(view)

    def families(self) -> list[Family]:
        """Return the families that have a table."""
        return self._work.rib.families()

    def stale_count(self, peer: str, family: Family) -> int:
        """Return how many routes of a peer wait to be refreshed (RFC 4724 section 4.2)."""
        return self._work.rib.stale_count(self._roster.named(peer).number, family)

    def is_stale(self, peer: str, family: Family, key: bytes) -> bool:
        """Whether a route of a peer, named as in `received`, waits to be refreshed."""
        return self._work.rib.is_stale(self._roster.named(peer).number, family, key)

    def has_path_ids(self, peer: str, family: Family) -> bool:
        """Whether the keys of `received` carry path identifiers (RFC 7911 section 3)."""
        negotiated = self._roster.named(peer).negotiated
        return negotiated is not None and family in negotiated.add_path_receive

    def sends_path_ids(self, peer: str, family: Family) -> bool:
        """Whether the keys of `sent` carry path identifiers: the peer is sent several paths to a prefix."""
        peering = self._roster.named(peer)
        is_in_use = peering.negotiated is not None and family in peering.negotiated.add_path_send
        return is_in_use and path_choice(peering.config.routes.paths_to_send(family)) is not None

    def names(self) -> dict[int, str]:
        """Return what the tellers of paths are called, by `Path.peer`; "local" is this speaker."""
        return {LOCAL_PEER: OURSELVES} | {peering.number: name for name, peering in self._peerings.items()}

    def sent_keys(self, peer: str, family: Family) -> list[bytes]:
        """Return every key that `sent` may have; `sent_for` tells which it has."""
        return self._work.exporter.keys(self._roster.named(peer).number, family)

    def sent_for(self, peer: str, family: Family) -> Callable[[bytes], Exported | None]:
        """Return what tells what a peer holds of us under one key; for tables that are too big for `sent`."""
        return partial(self._work.exporter.held, self._roster.named(peer).number, family)

    def backlog(self, peer: str) -> int:
        """Return how many prefixes a peer has yet to be told about, at most."""
        return self._work.exporter.backlog(self._roster.named(peer).number)

    def explain(self, prefix: str, family: Family | str | None = None) -> PrefixExplanation:
        """Say for one prefix, or NLRI of a family, why each path won or lost, and what each peer hears of it."""
        if family is None:
            family, key = parse_prefix(prefix)
        else:
            family = known_family(family)
            key = parse_key(family, prefix)
        return explain_prefix(self._work, self._peerings.values(), family, key)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: no restart, no stale route, nothing that a peer could take and has not got."""
        return self.restart_complete.is_set() and self._work.is_settled

    def changes(self) -> AsyncIterator[Change]:
        """Iterate over changes of the Loc-RIB from now on; a slow reader is given the latest state of each prefix."""
        return self._watch(RouteWatch())

    def watch(self, prefix: str) -> AsyncIterator[Change]:
        """Iterate over everything inside a prefix: what is there now, then every change."""
        family, outer = parse_prefix(prefix)
        watch = RouteWatch(inside(family, outer))
        watch.put(Change(family, path, (key,)) for key, path in self.best(family).items())
        return self._watch(watch)

    # Inside

    def _heard(self, peer: Peer, event: Event) -> None:
        """Pass a session's event on to the routes; a change of state to whoever wants to know."""
        peering = self._roster.of_peer(peer)
        if peering is None:
            return
        if self._hub.is_watched:
            heard = self._hub.before(peering, event)
            self._work.handle(peering, event)
            self._hub.after(peering, event, heard)
        else:
            self._work.handle(peering, event)
        if isinstance(event, SessionUp):
            self._bfd.session_up(peer)
        if self._event_callbacks:
            for one in event.updates() if isinstance(event, RunReceived) else (event,):
                self._notify(peering.name, peer, one)
        if isinstance(event, StateChanged):
            self._roster.state_changed(peering, event.new)
            for callback in self._peer_callbacks:
                callback(peering.name, peer.status())

    def _notify(self, name: str, peer: Peer, event: Event) -> None:
        for notify in self._event_callbacks:
            try:
                notify(name, peer, event)
            except Exception:
                log.exception("event_callback_failed")

    def _watch(self, watch: RouteWatch) -> AsyncIterator[Change]:
        self._watches.add(watch)
        return watch.read()

    def _changed(self, changes: Sequence[Change], cause: Cause) -> None:
        if self.history is not None:
            self.history.note(time.time(), cause, changes)
        if self._hub.is_watched:
            self._hub.changed(changes, cause)
        for callback in self._change_callbacks:
            try:
                callback(changes)
            except Exception:
                log.exception("change_callback_failed")
        for watch in self._watches:
            watch.put(changes)
