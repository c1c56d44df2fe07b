"""Who a speaker's peers are: those configured by name, those that come from a prefix, those found on a link."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pybgp.errors import LocalError
from pybgp.session.config import PeerConfig, RestartState
from pybgp.transport.dynamic_peers import DynamicGroup, DynamicPeers, member_of
from pybgp.transport.link_peers import LinkGuest, LinkPeer
from pybgp.transport.listener import Listener
from pybgp.transport.peering import NO_POLICIES, Peering, PeerPolicies
from pybgp.wire.iana import CeaseSubcode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pybgp.session.events import Event
    from pybgp.session.state_machine import State
    from pybgp.transport.bfd_watch import BfdWatch
    from pybgp.transport.event_stream import EventHub
    from pybgp.transport.peer import Peer
    from pybgp.transport.route_work import RouteWork
    from pybgp.transport.speaker_config import SpeakerConfig


class Roster:
    """Every peer of a speaker, the addresses that they may come to, and what becomes of those who leave."""

    def __init__(
        self,
        config: SpeakerConfig,
        work: RouteWork,
        hub: EventHub,
        bfd: BfdWatch,
        *,
        make_peer: Callable[..., Peer],
        heard: Callable[[Peer, Event], None],
    ) -> None:
        """``heard`` is told everything that a session reports; nothing is opened before ``listen`` and ``start``."""
        self.peerings: dict[str, Peering] = {}
        #: Policies by the name of a peer, or of a group of dynamic ones; they are found there when it is added.
        self.declared: Mapping[str, PeerPolicies] = {}
        self.is_running = False
        self._config = config
        self._work = work
        self._hub = hub
        self._bfd = bfd
        self._make_peer = make_peer
        self._heard = heard
        self._by_peer: dict[Peer, Peering] = {}
        self._next_number = 1
        self._listeners = [Listener(host, port) for host, port in config.listen]
        self._leaving: list[Peer] = []
        self._dynamic: dict[str, DynamicGroup] = {}
        self._links: dict[str, LinkGuest] = {}

    # Life

    def listen(self) -> None:
        """Listen on every address; LocalError, and nothing is listened on, if one of them cannot be had."""
        try:
            for listener in self._listeners:
                listener.start()
        except LocalError:
            self.stop_listening()
            raise
        self.is_running = True

    def stop_listening(self) -> None:
        """Free the addresses."""
        for listener in self._listeners:
            listener.close()

    def expect_guests(self) -> None:
        """Let in who comes from a prefix, and look for who is on a link."""
        for group in self._dynamic.values():
            group.start()
        for guest in self._links.values():
            guest.start()

    def refuse_guests(self) -> None:
        """Let nobody in any more; those who are in stay."""
        self.is_running = False
        for group in self._dynamic.values():
            group.stop()
        for guest in self._links.values():
            guest.stop()

    def start(self) -> None:
        """Start every peer."""
        for peering in self.peerings.values():
            peering.peer.start()

    def stop(self, communication: str, *, graceful: bool) -> None:
        """End every session."""
        for peering in self.peerings.values():
            peering.peer.stop(communication, graceful=graceful)

    async def wait_closed(self) -> None:
        """Wait until every connection is closed, also those of peers that were removed."""
        for peer in (*(peering.peer for peering in self.peerings.values()), *self._leaving):
            await peer.wait_closed()
        self._leaving.clear()

    # Who is wanted

    def configure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Declare the peers by name; what can keep its session does."""
        addresses = [config.address for config in peers.values()]
        if len(set(addresses)) != len(addresses):
            twice = sorted({address for address in addresses if addresses.count(address) > 1})
            raise LocalError(f"peers: address {twice[0]} is configured twice")
        for group in self._dynamic.values():
            for address in addresses:
                group.forget(address)
        former: dict[str, Peering] = {}
        for name, peering in tuple(self.peerings.items()):
            if member_of(self._dynamic.values(), peering) is not None or self._is_linked(peering):
                continue
            if name not in peers:
                self._remove(peering, CeaseSubcode.PEER_DECONFIGURED)
            elif peers[name] != peering.config:
                if peering.config.keeps_session(peers[name]):
                    self.reconfigure(peering, peers[name])
                else:
                    self._remove(peering, CeaseSubcode.CONFIGURATION_CHANGE)
                    former[name] = peering
        for name, config in peers.items():
            if name not in self.peerings:
                self._add(name, config, self._listeners, former.get(name))

    def configure_dynamic(self, groups: Mapping[str, DynamicPeers]) -> None:
        """Declare the prefixes that neighbours may come from; what can keep its sessions does."""
        for name, group in tuple(self._dynamic.items()):
            wanted = groups.get(name)
            if wanted == group.settings:
                continue
            if wanted is not None and group.settings.keeps_sessions(wanted):
                group.reconfigure(wanted)
            else:
                del self._dynamic[name]
                group.close()
        for name, settings in groups.items():
            if name not in self._dynamic:
                self._dynamic[name] = DynamicGroup(name, settings, self, self._listeners)
                if self.is_running:
                    self._dynamic[name].start()

    def configure_links(self, links: Mapping[str, LinkPeer]) -> None:
        """Declare the links that neighbours are found on; what can keep its session does."""
        if twice := sorted(links.keys() & self.peerings.keys() - self._links.keys()):
            raise LocalError(f"links: {twice[0]} is the name of another peer")
        for name, guest in tuple(self._links.items()):
            wanted = links.get(name)
            if wanted == guest.settings:
                continue
            if wanted is not None and guest.settings.keeps_session(wanted):
                guest.reconfigure(wanted)
            else:
                guest.close()
                del self._links[name]
        for name, settings in links.items():
            if name not in self._links:
                self._links[name] = LinkGuest(name, settings, self)
                if self.is_running:
                    self._links[name].start()

    def link(self, name: str) -> LinkGuest:
        """Return one of the links by name; LocalError: there is none."""
        if name not in self._links:
            raise LocalError(f"link {name!r}: not configured")
        return self._links[name]

    # Who is there

    def named(self, name: str) -> Peering:
        """Return a peer by name; LocalError: there is none."""
        try:
            return self.peerings[name]
        except KeyError as error:
            raise LocalError(f"peer {name!r}: not configured") from error

    def concerned(self, name: str | None) -> list[Peering]:
        """Return one peer by name, or all of them."""
        return list(self.peerings.values()) if name is None else [self.named(name)]

    def of_peer(self, peer: Peer) -> Peering | None:
        """Return whom a session belongs to; None: to nobody any more."""
        return self._by_peer.get(peer)

    def policies_for(self, name: str) -> PeerPolicies:
        """Return the policies of a peer; a dynamic neighbour has those that its group was given."""
        group = name.rpartition("/")[0]
        return self.declared.get(name) or self.declared.get(group if group in self._dynamic else "", NO_POLICIES)

    def state_changed(self, peering: Peering, state: State) -> None:
        """Let the group of a neighbour know that it went or came back."""
        if (group := member_of(self._dynamic.values(), peering)) is not None:
            group.state_changed(peering, state)

    def forget_restart(self) -> None:
        """No OPEN may claim a restart any more (RFC 4724 section 4.1)."""
        preserved = frozenset(self._config.preserved_families)
        for peering in self.peerings.values():
            if not peering.was_up:
                peering.peer.set_restart_state(RestartState(restarting=False, preserved=preserved))

    # Who comes and goes

    def add_dynamic(self, name: str, config: PeerConfig) -> Peering:
        """Take a neighbour in that connects from a prefix; its group hands it connections."""
        return self._add(name, config, ())

    def add_linked(self, name: str, config: PeerConfig) -> Peering:
        """Take in a neighbour that was found on a link."""
        return self._add(name, config, self._listeners)

    def reconfigure(self, peering: Peering, config: PeerConfig) -> None:
        """Give a neighbour a configuration that needs no new session.

        One that its prefix limit holds down comes back if that is another one now.
        """
        is_held = peering.guard is not None and peering.guard.holds_down
        is_new_limit = config.routes.receive_limit != peering.config.routes.receive_limit
        peering.peer.reconfigure(config)
        self._work.reconfigure(peering, config)
        if is_held and is_new_limit and self.is_running:
            if peering.guard is not None:
                peering.guard.cancel()
            peering.peer.start()

    def remove_dynamic(self, peering: Peering) -> None:
        """Forget a neighbour that came from a prefix, or was found on a link."""
        self._remove(peering, CeaseSubcode.PEER_DECONFIGURED)

    def _add(
        self, name: str, config: PeerConfig, listeners: Sequence[Listener], former: Peering | None = None
    ) -> Peering:
        """Take a neighbour in; what was decided on ``former``, the same one before, goes on to hold."""
        preserved = frozenset(self._config.preserved_families)
        state = RestartState(not self._work.restart_complete.is_set(), preserved)
        number, self._next_number = self._next_number, self._next_number + 1
        store = self._work.store
        peer = self._make_peer(config, self._heard, listeners=listeners, store=store, restart_state=state, gathers=True)
        peering = Peering(name, number, config, peer, partial(self._hub.limit, name))
        self.peerings[name] = self._by_peer[peer] = peering
        peering.import_policy, peering.export_policy = self.policies_for(name)
        peer.on_sent = partial(self._sent, peering)
        self._work.add(peering)
        if former is not None:
            peering.import_policy, peering.export_policy = former.import_policy, former.export_policy
            peering.shutting_down, peering.is_shut_down = former.shutting_down, former.is_shut_down
        if self.is_running and not peering.is_shut_down:
            peer.start()
        return peering

    def _sent(self, peering: Peering, octets: bytes) -> None:
        """Tell who watches; what a peer is told is looked at for nobody else."""
        if self._hub.is_watched:
            self._hub.sent(peering, octets)

    def _remove(self, peering: Peering, subcode: CeaseSubcode) -> None:
        if self.is_running:
            peering.peer.stop(subcode=subcode)
            self._leaving = [peer for peer in self._leaving if not peer.is_closed]
            self._leaving.append(peering.peer)
        self._bfd.forget(peering.peer)
        del self.peerings[peering.name], self._by_peer[peering.peer]
        self._work.remove(peering)

    def _is_linked(self, peering: Peering) -> bool:
        guest = self._links.get(peering.name)
        return guest is not None and guest.peering is peering
