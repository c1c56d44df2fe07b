"""Real speakers in virtual time over a simulated network, all of it decided by one seed."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.rib.path import Source
from pybgp.session.events import SessionDown, SessionUp
from pybgp.session.state_machine import State
from pybgp.simulator.links import Link
from pybgp.simulator.network import Network
from pybgp.simulator.topology import NodePlan, SessionSide, Topology
from pybgp.simulator.virtual_loop import VirtualLoop
from pybgp.transport.peer import Peer
from pybgp.transport.peering import PeerPolicies
from pybgp.transport.speaker import Speaker, SpeakerConfig
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import format_prefix, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from pybgp.rib.path import Change, Path
    from pybgp.session.config import PeerConfig
    from pybgp.session.events import Event
    from pybgp.wire.families import Family

#: Speakers do not start in the same instant.
_START_SPREAD: Final = 0.1
#: How long nothing may happen before a network counts as settled; virtual seconds.
_QUIET: Final = 2.0
#: How long the IGP needs to see a change of a link (spec section 7).
_IGP_DELAY: Final = 0.05
#: So many prefixes that change at once are named in the time line; more are counted.
_NAMED_PREFIXES: Final = 3
_FAMILIES: Final = (IPV4_UNICAST, IPV6_UNICAST)


class Moment(NamedTuple):
    """One entry of the time line."""

    time: float
    node: str
    #: "started", "killed", "cut", "healed", "announced", "withdrew", "up", "down" or "routes".
    kind: str
    text: str


class Trace(NamedTuple):
    """The way of a packet."""

    #: names of nodes, the first one included.
    hops: tuple[str, ...]
    #: "delivered", "loop", "black hole", or "no route" at the very first node.
    outcome: str


class SimulatedNode:
    """A node: the machine and what its kernel forwards by stay, its speaker comes and goes."""

    def __init__(self, plan: NodePlan, address: str) -> None:
        """Nothing runs yet."""
        self.plan = plan
        self.name = plan.name
        self.address = address
        self.local_as = plan.local_as
        self.sides: dict[str, tuple[SimulatedNode, SessionSide]] = {}
        self.speaker: Speaker | None = None
        self.peers: dict[str, Peer] = {}
        #: what it announces, and will again after a restart.
        self.networks = dict.fromkeys(plan.networks)
        #: the routes that the kernel was left with when the last speaker ended.
        self.left: dict[Family, dict[bytes, Path]] = {}

    @property
    def is_running(self) -> bool:
        """Whether it has a speaker."""
        return self.speaker is not None

    @property
    def keeps_routes(self) -> bool:
        """Whether it asks some neighbour to keep its routes over a restart (RFC 4724)."""
        return any(side.options.get("graceful_restart") is not None for _, side in self.sides.values())

    def peer_at(self, address: str) -> Peer | None:
        """Return the peer that may connect from an address."""
        return self.peers.get(address)

    def route(self, family: Family, key: bytes) -> Path | None:
        """Return what the kernel forwards a prefix by."""
        if self.speaker is None or not self.speaker.restart_complete.is_set():
            return self.left.get(family, {}).get(key)
        return self.speaker.best(family).get(key)


class Simulation:
    """A network of speakers that talk over IPv4; use it in a ``with`` block."""

    def __init__(self, topology: Topology, *, seed: int = 0, record: bool = True) -> None:
        """Everything random comes from ``seed``: the same one gives the same run.

        ``record``: keep a time line; of big networks it is big.
        """
        self.topology = topology
        self.random = Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self.loop = VirtualLoop()
        self.network = Network(self.loop)
        self.nodes: dict[str, SimulatedNode] = {}
        self.timeline: list[Moment] = []
        self._record = record
        self._watchers: list[Callable[[Moment], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._chosen: dict[str, dict[tuple[Family, bytes], Path | None]] = {}
        self._last_activity = 0.0
        self._igp_waits = False
        try:
            self._build()
        except LocalError:
            self.loop.close()
            raise

    def _build(self) -> None:
        topology, addresses = self.topology, self.topology.addresses()
        for plan in topology.nodes:
            node = self.nodes[plan.name] = SimulatedNode(plan, addresses[plan.name])
            self.network.add(node)
        for link in topology.links:
            one, other = self.nodes[link.one], self.nodes[link.other]
            self.network.connect(one.name, other.name, Link(link.quality, self.loop, self.random))
            one.sides[other.name] = other, link.sides.get(one.name, SessionSide())
            other.sides[one.name] = one, link.sides.get(other.name, SessionSide())
        for name in self.nodes:
            self.loop.call_later(self.random.uniform(0, _START_SPREAD), self.start, name)
        for happening in topology.happenings:
            self.at(happening.at, happening.action, *happening.operands)

    def __enter__(self) -> Simulation:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every speaker and the loop; the time line is closed."""
        self._record = False
        for name in self.nodes:
            self.kill(name)
        while self._tasks:
            self.loop.run_until_complete(asyncio.wait(self._tasks))
        self.loop.close()

    # Time

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.time()

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_for(seconds)

    def run_until(self, time: float) -> None:
        """Let virtual time pass up to a time."""
        self.loop.run_for(max(0.0, time - self.now))

    def settle(self, limit: float = 600.0, quiet: float = _QUIET) -> float:
        """Run until every session that can be up is up and no route changes; return the time of the last change.

        LocalError if that takes longer than ``limit`` virtual seconds; it names what is not settled.
        """
        end = self.now + limit
        while True:
            self.run_for(quiet / 2)
            unsettled = self._unsettled(quiet)
            if not unsettled:
                return self._last_activity
            if self.now >= end:
                raise LocalError(f"simulation: not settled after {limit:g} s: {unsettled}")

    def at(self, time: float, action: str, *operands: str) -> None:
        """Plan for a time to "kill" or "start" a node, "cut" or "heal" two, "announce" or "withdraw" (node, prefix)."""
        actions: Mapping[str, tuple[Callable[..., None], int]] = {
            "kill": (self.kill, 1),
            "start": (self.start, 1),
            "cut": (self.cut, 2),
            "heal": (self.heal, 2),
            "announce": (self.announce, 2),
            "withdraw": (self.withdraw, 2),
        }
        if action not in actions:
            raise LocalError(f"action {action!r}: one of {', '.join(actions)} expected")
        act, count = actions[action]
        if len(operands) != count:
            raise LocalError(f"{action} {' '.join(operands)}: {count} operands expected, not {len(operands)}")
        if action in {"cut", "heal"}:
            self.network.link(*operands)
        else:
            self.node(operands[0])
        if action in {"announce", "withdraw"}:
            parse_prefix(operands[1])
        self.loop.call_at(time, act, *operands)

    def do(self, action: Callable[[], object]) -> None:
        """Call something now, in the loop: what is asked of a speaker may need one that runs."""
        if self.loop.is_running():
            action()
            return

        async def once() -> None:
            action()

        self.loop.run_until_complete(once())

    def on_moment(self, callback: Callable[[Moment], None]) -> None:
        """Call back with every new entry of the time line."""
        self._watchers.append(callback)

    # Nodes and links

    def node(self, name: str) -> SimulatedNode:
        """Return a node; LocalError names one that is not there."""
        if name not in self.nodes:
            raise LocalError(f"node {name!r}: there is none")
        return self.nodes[name]

    def speaker(self, name: str) -> Speaker:
        """Return the speaker of a node that runs."""
        speaker = self.node(name).speaker
        if speaker is None:
            raise LocalError(f"node {name!r}: does not run")
        return speaker

    def start(self, name: str) -> None:
        """Start the speaker of a node that has none; it restarts gracefully if a former one left routes (RFC 4724)."""
        node = self.node(name)
        if node.is_running:
            return
        options = dict(node.plan.options)
        if node.left and node.keeps_routes:
            options |= {"restarting": True, "preserved_families": tuple(node.left)}
        config = SpeakerConfig(node.local_as, node.address, next_hop_cost=partial(self._cost, node), **options)
        speaker = node.speaker = Speaker(config, make_peer=partial(self._make_peer, node))
        speaker.set_policies(
            config.import_policy,
            config.export_policy,
            {other: PeerPolicies(side.import_policy, side.export_policy) for other, (_, side) in node.sides.items()},
        )
        speaker.configure(
            {
                other: speaker.peer(far.address, far.local_as, local_address=node.address, **side.options)
                for other, (far, side) in node.sides.items()
            }
        )
        speaker.on_event(partial(self._heard, node, speaker))
        speaker.on_change(partial(self._changed, node, speaker))
        if node.networks:
            speaker.announce(node.networks)
        self._note(name, "started", "")
        self._spawn(speaker.start())

    def kill(self, name: str) -> None:
        """End the process of a node without a word; its kernel breaks its connections off and forwards as before."""
        node = self.node(name)
        speaker, node.speaker, node.peers = node.speaker, None, {}
        if speaker is None:
            return
        if speaker.restart_complete.is_set():
            node.left = {family: dict(best) for family in _FAMILIES if (best := speaker.best(family))}
        self.network.lose_connections(name)
        self._note(name, "killed", "")
        self._spawn(speaker.stop(graceful=True))

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two nodes; only timers will tell them."""
        self.network.link(one, other).cut()
        self._note(one, "cut", f"from {other}")
        self._tell_igp()

    def heal(self, one: str, other: str) -> None:
        """Let everything through again."""
        self.network.link(one, other).heal()
        self._note(one, "healed", f"to {other}")
        self._tell_igp()

    def announce(self, name: str, prefix: str) -> None:
        """Let a node announce a prefix, now and after restarts."""
        node = self.node(name)
        node.networks[prefix] = None
        self._note(name, "announced", prefix)
        if (speaker := node.speaker) is not None:
            self.do(lambda: speaker.announce(prefix))

    def withdraw(self, name: str, prefix: str) -> None:
        """Let a node take an announcement back."""
        node = self.node(name)
        node.networks.pop(prefix, None)
        self._note(name, "withdrew", prefix)
        if (speaker := node.speaker) is not None:
            self.do(lambda: speaker.withdraw(prefix))

    # What has become of it

    def trace(self, name: str, prefix: str) -> Trace:
        """Follow a packet from a node to a prefix, by what each kernel on the way has."""
        return self._trace(self.node(name), *parse_prefix(prefix))

    def problems(self) -> list[str]:
        """Return a line for each route of a running node that leads nowhere or in circles."""
        found = []
        for node in self.nodes.values():
            if node.speaker is None:
                continue
            for family in _FAMILIES:
                for key in node.speaker.best(family):
                    trace = self._trace(node, family, key)
                    if trace.outcome != "delivered":
                        prefix = format_prefix(family, key)
                        found.append(f"{node.name} to {prefix}: {trace.outcome} ({' '.join(trace.hops)})")
        return found

    def _trace(self, node: SimulatedNode, family: Family, key: bytes) -> Trace:
        hops: list[str] = []
        outcome = ""
        while not outcome:
            looped = node.name in hops
            hops.append(node.name)
            route = node.route(family, key)
            if looped:
                outcome = "loop"
            elif route is None:
                outcome = "no route" if len(hops) == 1 else "black hole"
            elif route.source is Source.LOCAL:
                outcome = "delivered"
            elif (following := self._next_node(node, route.next_hop)) is None:
                outcome = "black hole"
            else:
                node = following
        return Trace(tuple(hops), outcome)

    # Inside

    def _next_node(self, node: SimulatedNode, next_hop: bytes) -> SimulatedNode | None:
        target = self.network.host_at(address_text(next_hop))
        way = self.network.toward(node.name, target) if target is not None else None
        return self.nodes[way[1]] if way is not None else None

    def _cost(self, node: SimulatedNode, next_hop: bytes) -> int | None:
        target = self.network.host_at(address_text(next_hop))
        way = self.network.toward(node.name, target) if target is not None else None
        return way[0] if way is not None else None

    def _make_peer(self, node: SimulatedNode, config: PeerConfig, *arguments: Any, **options: Any) -> Peer:
        # Any: what `Speaker` gives to `Peer`, passed on as it is
        opener = self.network.opener(node.name)
        peer = Peer(config, *arguments, clock=self.loop.time, random=self.random.random, opener=opener, **options)
        node.peers[config.address] = peer
        return peer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell_igp(self) -> None:
        """Nodes learn of changed links by their IGP a little later, all of them."""
        self.network.links_changed()
        if not self._igp_waits:
            self._igp_waits = True
            self.loop.call_later(_IGP_DELAY, self._igp_changed)

    def _igp_changed(self) -> None:
        self._igp_waits = False
        addresses = [node.address for node in self.nodes.values()]
        for node in self.nodes.values():
            if node.speaker is not None:
                node.speaker.next_hops_changed(addresses)

    def _unsettled(self, quiet: float) -> str:
        """Say what is still under way; empty if nothing is."""
        for link in self.topology.links:
            one, other = self.nodes[link.one], self.nodes[link.other]
            can_be_up = one.is_running and other.is_running and self.network.is_adjacent(one.name, other.name)
            for near, far in ((one, other), (other, one)):
                peer = near.peers.get(far.address)
                if peer is None:
                    continue
                is_up = peer.neighbor.state is State.ESTABLISHED
                if is_up != can_be_up and peer.neighbor.is_enabled:
                    return f"{near.name}'s session with {far.name} is {peer.neighbor.state}"
        for node in self.nodes.values():
            if node.speaker is not None and not node.speaker.is_settled:
                return f"{node.name} keeps stale routes or has more to say"
        if self.now - self._last_activity < quiet:
            return f"routes changed {self.now - self._last_activity:.1f} s ago"
        return ""

    def _heard(self, node: SimulatedNode, speaker: Speaker, peer: str, _: Peer, event: Event) -> None:
        if node.speaker is not speaker:
            return
        if isinstance(event, SessionUp):
            self._note(node.name, "up", peer)
        elif isinstance(event, SessionDown):
            self._note(node.name, "down", f"{peer}: {event.text}")

    def _changed(self, node: SimulatedNode, speaker: Speaker, changes: Sequence[Change]) -> None:
        if node.speaker is not speaker:
            return
        self._last_activity = self.now
        if not self._record:
            return
        if node.name not in self._chosen:
            self._chosen[node.name] = {}
            self.loop.call_soon(self._tell_routes, node)
        collected = self._chosen[node.name]
        for change in changes:
            for key in change.keys:
                collected[change.family, key] = change.path

    def _tell_routes(self, node: SimulatedNode) -> None:
        """Note what the turn has changed: a few prefixes by name, many by number."""
        changed = dict(sorted(self._chosen.pop(node.name).items(), key=lambda item: item[0]))
        if len(changed) <= _NAMED_PREFIXES:
            texts = [self._route_text(family, key, path) for (family, key), path in changed.items()]
            self._note(node.name, "routes", ", ".join(texts))
        else:
            lost = sum(path is None for path in changed.values())
            self._note(node.name, "routes", f"{len(changed) - lost} chosen, {lost} lost")

    def _route_text(self, family: Family, key: bytes, path: Path | None) -> str:
        prefix = format_prefix(family, key)
        if path is None:
            return f"{prefix} lost"
        if path.source is Source.LOCAL:
            return f"{prefix} own"
        host = self.network.host_at(address_text(path.next_hop))
        return f"{prefix} via {host.name if host is not None else address_text(path.next_hop)}"

    def _note(self, node: str, kind: str, text: str) -> None:
        self._last_activity = self.now
        if self._record:
            moment = Moment(self.now, node, kind, text)
            self.timeline.append(moment)
            for watcher in self._watchers:
                watcher(moment)


def address_text(packed: bytes) -> str:
    """Return an address of a node as the topology has it."""
    return ".".join(map(str, packed))
