"""What is measured: each row runs one receiver from its start to its end and returns what it cost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from examples.demo.namespaces import Namespace
from tests.benchmarks.tables.feeder import Feeder, RawPeer, RawPeerConfig, feeding
from tests.benchmarks.tables.listener import Listener
from tests.benchmarks.tables.receivers import ADDRESS, ASN, Job, OurReceiver, Receiver
from tests.benchmarks.tables.route_table import RouteTable, Teller

FIRST_PEER = IPv4Address("10.78.0.1")
FIRST_AS = 65001
LIMIT_SECONDS = 900
CLIENTS = 10
SET_ENTRIES = 100_000
#: the shortest that there is (RFC 4271 section 4.2), with a KEEPALIVE each second.
SHORTEST_HOLD_SECONDS = 3
IDLE_KEEPALIVE_SECONDS = 30
IDLE_SECONDS = 2 * IDLE_KEEPALIVE_SECONDS


@dataclass(frozen=True)
class Cost:
    """What one receiver needed for one row."""

    wall: float
    cpu: float
    mebibytes: float
    #: CPU seconds of the longest turn of the loop, where that is known.
    longest_block: float | None = None
    #: the share of a core that was used while there was nothing to do, where that is what is measured.
    idle_share: float | None = None


@dataclass(frozen=True)
class Row:
    """A name for the report, and how to run it."""

    name: str
    run: Callable[[type[Receiver], Namespace, RouteTable], Cost]
    exports: bool = False
    filters: bool = False


def raw_peers(count: int, *, ipv6: bool = False, internal: bool = False) -> list[RawPeerConfig]:
    return [
        RawPeerConfig(str(FIRST_PEER + number), ASN if internal else FIRST_AS + number, ipv6=ipv6)
        for number in range(count)
    ]


def teller(peer: RawPeerConfig, prepended: int = 1) -> Teller:
    hop = IPv4Address(peer.address).packed
    hop6 = bytes.fromhex("20010db8") + bytes(8) + hop
    return Teller(peer.asn, hop, hop6, 100 if peer.asn == ASN else None, prepended)


class Run:
    """A running receiver with its raw peers; costs count from `begin`."""

    def __init__(self, receiver: Receiver, feeder: Feeder) -> None:
        self.receiver, self.feeder = receiver, feeder
        self._cpu = self._began = 0.0

    def begin(self) -> None:
        self._cpu = self.receiver.cpu_seconds()
        self._began = time.perf_counter()

    def wait_rest(self) -> float:
        """Wait until all is sent and the receiver does nothing more; return since when."""
        self.feeder.run(self.feeder.all_sent, LIMIT_SECONDS, "sending")
        rest = self.receiver.rest()
        self.feeder.run(rest.is_resting, LIMIT_SECONDS, "resting")
        return rest.since

    def cost(self, ended: float) -> Cost:
        block = (self.receiver.figures()["longest_block"] or None) if isinstance(self.receiver, OurReceiver) else None
        cpu = self.receiver.cpu_seconds() - self._cpu
        return Cost(ended - self._began, cpu, self.receiver.peak_mebibytes(), block)

    def check_held(self, wanted: int) -> None:
        """The receiver must have taken everything in; RuntimeError if not."""
        held = self.receiver.held_routes()
        if held not in (wanted, -1):
            raise RuntimeError(f"{self.receiver.name} holds {held} of {wanted} routes")


@contextmanager
def running(kind: type[Receiver], namespace: Namespace, job: Job) -> Iterator[tuple[Run, list[RawPeer]]]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        receiver = kind(namespace, Path(directory) / "daemon", job)
        with namespace.entered(), feeding(ADDRESS) as feeder:
            receiver.start()
            try:
                peers = feeder.connect(job.peers)
                run = Run(receiver, feeder)
                run.wait_rest()
                yield run, peers
            finally:
                receiver.stop()


def one_peer(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Hold a whole table of one peer."""
    return several_peers(kind, namespace, table.ipv4_part(), 1)


def through_a_prefix_set(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Hold a whole table of one peer, every route of which is looked up in a big set and found there."""
    return several_peers(kind, namespace, table.ipv4_part(), 1, table.covering(SET_ENTRIES))


def beside_a_short_hold_time(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Hold a whole table of one peer while another gives up after three seconds of silence."""
    table = table.ipv4_part()
    config, short = raw_peers(2)
    short = replace(short, hold_time=SHORTEST_HOLD_SECONDS)
    octets = table.octets(teller(config))
    with running(kind, namespace, Job([config, short])) as (run, (peer, watcher)):
        watcher.forget()
        run.begin()
        run.feeder.send(peer, octets)
        ended = run.wait_rest()
        cost = run.cost(ended)
        run.check_held(table.routes)
        # Whoever is silent for longer than this has lost the session, and the feeder complains of that itself.
        silence = max(watcher.longest_silence, time.perf_counter() - watcher.heard_at if watcher.heard_at else 0.0)
        if silence > SHORTEST_HOLD_SECONDS:
            raise RuntimeError(f"silent for {silence:.1f} s of {SHORTEST_HOLD_SECONDS}")
        return cost


def both_families(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """The same with a fifth more routes, of IPv6."""
    return several_peers(kind, namespace, table, 1)


def ten_peers(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Hold a tenth of the table of each of ten peers."""
    return several_peers(kind, namespace, table.ipv4_part(), CLIENTS)


def several_peers(
    kind: type[Receiver],
    namespace: Namespace,
    table: RouteTable,
    count: int,
    taken: Sequence[tuple[str, int]] = (),
) -> Cost:
    configs = raw_peers(count, ipv6=table.ipv6_routes > 0)
    streams = [table.octets(teller(config), part, count) for part, config in enumerate(configs)]
    with running(kind, namespace, Job(configs, taken=taken)) as (run, peers):
        run.begin()
        for peer, octets in zip(peers, streams, strict=True):
            run.feeder.send(peer, octets)
        ended = run.wait_rest()
        cost = run.cost(ended)
        run.check_held(table.routes)
        return cost


def propagate(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Pass a table on to ten external peers."""
    return pass_on(kind, namespace, table.ipv4_part(), raw_peers(1 + CLIENTS))


def reflect(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """Reflect a client's table to ten other clients."""
    return pass_on(kind, namespace, table.ipv4_part(), raw_peers(1 + CLIENTS, internal=True))


def pass_on(kind: type[Receiver], namespace: Namespace, table: RouteTable, configs: Sequence[RawPeerConfig]) -> Cost:
    octets = table.octets(teller(configs[0]))
    with running(kind, namespace, Job(configs, exports=True)) as (run, peers):
        source, *listeners = peers
        for peer in listeners:
            peer.forget()
        run.begin()
        run.feeder.send(source, octets)
        ended = run.feeder.wait_announced(listeners, table.routes, LIMIT_SECONDS)
        return run.cost(ended)


def many_peers(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """One route from each of many peers, told to all the others."""
    count = many(table)
    small = RouteTable(count, seed=2, single=True)
    configs = raw_peers(count)
    streams = [small.octets(teller(config), number, count) for number, config in enumerate(configs)]
    with running(kind, namespace, Job(configs, exports=True)) as (run, peers):
        for peer in peers:
            peer.forget()
        run.begin()
        for peer, octets in zip(peers, streams, strict=True):
            run.feeder.send(peer, octets)
        ended = run.feeder.wait_announced(peers, count - 1, LIMIT_SECONDS)
        cost = run.cost(ended)
        check_told(peers, [one.keys[0] for one in small.sets])
        return cost


def check_told(peers: Sequence[RawPeer], keys: Sequence[bytes]) -> None:
    """Each peer must know the route of every other; RuntimeError if one does not."""
    every = set(keys)
    for peer, own in zip(peers, keys, strict=True):
        listener = Listener(peer)
        listener.read()
        missing = every - listener.table.keys() - {own}
        if missing:
            raise RuntimeError(f"{peer.config.address} was not told {len(missing)} of {len(every) - 1} routes")


def many_idle_peers(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """As many peers, nothing to say, and a KEEPALIVE from each side every 30 seconds."""
    configs = [replace(peer, hold_time=3 * IDLE_KEEPALIVE_SECONDS) for peer in raw_peers(many(table))]
    with running(kind, namespace, Job(configs, exports=True, times_turns=False)) as (run, _):
        run.begin()
        over = time.perf_counter() + IDLE_SECONDS
        run.feeder.run(lambda: time.perf_counter() >= over, LIMIT_SECONDS, "idling")
        cost = run.cost(over)
        return replace(cost, idle_share=cost.cpu / cost.wall)


def many(table: RouteTable) -> int:
    """Return how many peers are many: a thousand for a table of a million."""
    return max(10, table.ipv4_routes // 1000)


def peer_lost(kind: type[Receiver], namespace: Namespace, table: RouteTable) -> Cost:
    """The better of two peers with the whole table goes away; a third one is told the other's routes."""
    table, configs = table.ipv4_part(), raw_peers(3)
    with running(kind, namespace, Job(configs, exports=True)) as (run, peers):
        best, second, listener = peers
        listener.forget()
        run.feeder.send(best, table.octets(teller(best.config)))
        run.feeder.wait_announced([listener], table.routes, LIMIT_SECONDS)
        run.feeder.send(second, table.octets(teller(second.config, prepended=3)))
        run.wait_rest()
        listener.forget()
        run.begin()
        run.feeder.disconnect(best)
        ended = run.feeder.wait_announced([listener], table.routes, LIMIT_SECONDS)
        return run.cost(ended)


ROWS: tuple[Row, ...] = (
    Row("all routes from one peer, held", one_peer),
    Row("the same beside a session of 3 s hold time", beside_a_short_hold_time),
    Row("a fifth more, of IPv6, held", both_families),
    Row("a tenth from each of ten peers, held", ten_peers),
    Row("one peer's routes to ten others (eBGP)", propagate, exports=True),
    Row("one client's routes reflected to ten others (iBGP)", reflect, exports=True),
    Row("one route from each of many peers, to all", many_peers, exports=True),
    Row("the better of two full tables lost", peer_lost, exports=True),
    Row("many peers, nothing but KEEPALIVEs each 30 s, for a minute", many_idle_peers, exports=True),
    Row(
        f"all routes from one peer through a set of {SET_ENTRIES:,} prefixes, held", through_a_prefix_set, filters=True
    ),
)
