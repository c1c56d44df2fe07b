"""A speaker in this process whose peers are octets and counters, and what tells how long its turns are."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import structlog

from calico_routing.node_daemon import tune_garbage_collection
from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker, SpeakerConfig
from pybgp.session.config import PeerConfig
from pybgp.transport.dialer import DialError
from pybgp.transport.peer import Peer
from pybgp.transport.peer_connection import PeerConnection
from pybgp.wire.capabilities import Capability, FourOctetAs, MultiprotocolCapability, RouteRefresh
from pybgp.wire.messages import Keepalive, Open, encode

LOCAL_AS = 64512
#: how many turns without anything to do are an end.
QUIET_TURNS = 50


class Pulse:
    """Beats once in every turn of the loop; the CPU time between two beats is what a turn took.

    Wall time would count other programs in, and every machine that measures has some.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._at = time.process_time()
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._beat)

    def _beat(self) -> None:
        now = time.process_time()
        self.longest = max(self.longest, now - self._at)
        self._at = now
        self._handle = self._loop.call_soon(self._beat)

    def stop(self) -> None:
        self._handle.cancel()


class Wire(asyncio.Transport):
    """One connection: what the speaker writes is counted, what a peer says is handed over as from a socket."""

    def __init__(self, config: PeerConfig) -> None:
        super().__init__({"sockname": ("127.0.0.1", 179), "peername": (config.address, 1024)})
        self.octets = 0
        self.is_closed = False
        self._protocol: PeerConnection | None = None

    def connect(self, protocol: PeerConnection) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def say(self, octets: bytes | memoryview) -> int:
        """Let the speaker read once, and return how much it took."""
        protocol = cast("PeerConnection", self._protocol)
        buffer = protocol.get_buffer(-1)
        count = min(len(octets), len(buffer))
        buffer[:count] = octets[:count]
        protocol.buffer_updated(count)
        return count

    async def tell(self, octets: bytes) -> None:
        """Say everything, one read in a turn."""
        left = memoryview(octets)
        while left:
            left = left[self.say(left) :]
            await asyncio.sleep(0)

    def cut(self) -> None:
        """Lose the connection."""
        self.is_closed = True
        cast("PeerConnection", self._protocol).connection_lost(ConnectionResetError())

    # What the speaker does with a transport.

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.octets += len(data)

    def write_eof(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(cast("PeerConnection", self._protocol).connection_lost, None)

    def abort(self) -> None:
        self.close()


class Ground:
    """A speaker and its peers, which are there as soon as they are asked for."""

    def __init__(self, **config: Any) -> None:
        self.wires: dict[str, Wire] = {}
        self.capabilities: dict[str, tuple[Capability, ...]] = {}
        self.speaker = Speaker(
            SpeakerConfig(
                local_as=LOCAL_AS,
                router_id="127.0.0.1",
                listen=(),
                import_policy=ACCEPT_ALL,
                export_policy=ACCEPT_ALL,
                **config,
            ),
            make_peer=partial(Peer, opener=self._open),
        )
        self.configs: dict[str, PeerConfig] = {}
        #: peers that refuse connections.
        self.away: set[str] = set()

    def peer(self, number: int, *capabilities: Capability, asn: int = 0, **options: Any) -> str:
        """Add a peer, and return its name."""
        name = f"127.0.1.{number}"
        self.capabilities[name] = capabilities
        self.configs[name] = self.speaker.peer(
            name, asn or 65000 + number, hold_time=0, families=(IPV4_UNICAST,), idle_hold_time=0.001, **options
        )
        return name

    async def start(self) -> None:
        self.speaker.configure(self.configs)
        await self.speaker.start()
        await self.until(lambda: all(one.negotiated is not None for one in self.speaker.peers().values()))

    async def _open(self, config: PeerConfig, protocol: Callable[[], PeerConnection]) -> None:
        if config.address in self.away:
            raise DialError("not there")
        wire = self.wires[config.address] = Wire(config)
        wire.connect(protocol())
        common = (MultiprotocolCapability(IPV4_UNICAST), RouteRefresh(), FourOctetAs(config.remote_as))
        number = int(config.address.rpartition(".")[2])
        hello = Open(config.remote_as, 0, 0x7F000100 + number, (*common, *self.capabilities[config.address]))
        wire.say(encode(hello) + encode(Keepalive()))

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():  # noqa: ASYNC110  (a benchmark has no event for each of them)
            await asyncio.sleep(0.001)

    def lose(self, name: str) -> None:
        """Lose a peer for good."""
        self.away.add(name)
        self.wires[name].cut()

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        quiet = 0
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            work = self.speaker._work
            # Routes that wait for a peer to come back are no work.
            is_quiet = work._long.is_settled and work.exporter.is_idle and not work.is_judging
            quiet = quiet + 1 if is_quiet else 0

    async def measured(self, name: str, *work: Awaitable[object]) -> None:
        """Do some work until all is at rest, and print what it took."""
        await self.rest()
        octets = self.sent()
        pulse, began = Pulse(), time.process_time()
        await asyncio.sleep(0)
        for one in work:
            await one
        await self.rest()
        seconds = time.process_time() - began
        pulse.stop()
        print(
            f"| {name:<66} | {seconds:7.2f} | {pulse.longest * 1000:7.0f} | {(self.sent() - octets) / 1e6:7.1f} |",
            flush=True,
        )

    def sent(self) -> int:
        return sum(wire.octets for wire in self.wires.values())

    async def stop(self) -> None:
        await self.speaker.stop()
        self.wires.clear()


def run(*scenarios: Callable[[], Awaitable[None]]) -> None:
    """Run scenarios one after the other, the garbage collector tuned as the daemon does."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("| work | CPU s | longest turn ms | sent MB |\n|---|---|---|---|", flush=True)
    for scenario in scenarios:
        tune_garbage_collection()
        asyncio.run(cast("Any", scenario()))
        gc.unfreeze()


async def do(action: Callable[[], object]) -> None:
    """Do something in one turn."""
    action()
