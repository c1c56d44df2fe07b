"""Peers that cost next to nothing: plain sockets that open sessions, send ready octets and count what comes back."""

from __future__ import annotations

import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.tables.route_table import MARKER, UPDATE

OPEN, NOTIFICATION, KEEPALIVE = 1, 3, 4
HEADER = 19
AS_TRANS = 23456
BGP_PORT = 179
READ_SIZE = 1 << 20
KEEPALIVE_OCTETS = MARKER + struct.pack(">HB", HEADER, KEEPALIVE)
SESSION_SECONDS = 90
#: how long who was refused or closed waits before the next try; GoBGP closes on neighbours it has not set up yet.
DIAL_SECONDS = 0.2
#: how many connections at most have not been answered yet.  The shortest queue of connections not yet accepted is 5,
#: OpenBGPD's (BIRD has 8); the kernel drops what comes beyond it, and who was dropped tries again after a second.
UNANSWERED = 4
#: how often we look whether a KEEPALIVE is due.
KEEPALIVE_STEP = 0.25
#: how long nothing must happen before what came is counted.
QUIET_SECONDS = 1.0
#: ... and how long before that counts as an end.
STALL_SECONDS = 30.0
#: how often a long wait says how far it has come.
PROGRESS_SECONDS = 10.0


class FeederError(Exception):
    """A session did not come up, or ended."""


@dataclass(frozen=True)
class RawPeerConfig:
    """One end of a session with the receiver."""

    address: str
    asn: int
    hold_time: int = 240
    ipv6: bool = False


def open_octets(config: RawPeerConfig) -> bytes:
    """Return an OPEN with multiprotocol, route refresh and 4-octet AS numbers."""
    families = [b"\x01\x04\0\x01\0\x01"] + [b"\x01\x04\0\x02\0\x01"] * config.ipv6
    capabilities = b"".join(families) + b"\x02\0" + b"\x41\x04" + config.asn.to_bytes(4, "big")
    short_as = config.asn if config.asn < 1 << 16 else AS_TRANS
    body = struct.pack(">BHH", 4, short_as, config.hold_time) + socket.inet_aton(config.address)
    body += bytes([len(capabilities) + 2, 2, len(capabilities)]) + capabilities
    return MARKER + struct.pack(">HB", HEADER + len(body), OPEN) + body


class RawPeer:
    """One session; what arrives after the handshake is kept and looked at later."""

    def __init__(self, config: RawPeerConfig, receiver: str) -> None:
        self.config = config
        self.received: list[bytes] = []
        self.received_at = 0.0
        self.is_up = False
        #: when to try (again) to connect, and whether anything has come back since.
        self.dial_at = 0.0
        self.is_answered = False
        self.outgoing = memoryview(b"")
        self._keepalive_at = 0.0
        #: the longest time in which nothing came, and since when that is the case now.
        self.longest_silence = 0.0
        self.heard_at = 0.0
        self._receiver = receiver
        self.socket: socket.socket | None = None
        self._handshake = b""
        self._announced = self._counted = 0

    def owes_keepalive(self, now: float) -> bool:
        """Say whether one is due, each third of the hold time; nothing is owed while other octets wait."""
        if not self.is_up or self.socket is None or self.outgoing or now < self._keepalive_at:
            return False
        self._keepalive_at = now + self.config.hold_time / 3
        return True

    def dial(self) -> socket.socket:
        """Begin to connect; whether that worked is seen when octets come."""
        self.socket = connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((self.config.address, 0))
        connection.connect_ex((self._receiver, BGP_PORT))
        self.outgoing, self._handshake = memoryview(open_octets(self.config)), b""
        self.is_answered = False
        return connection

    def take(self, octets: bytes) -> None:
        """Note what arrived; answer the OPEN, and be up with the first KEEPALIVE."""
        if self.is_up:
            now = time.perf_counter()
            self.longest_silence = max(self.longest_silence, now - (self.heard_at or now))
            self.heard_at = now
            if octets != KEEPALIVE_OCTETS:
                self.received.append(octets)
                self.received_at = time.perf_counter()
            return
        self.is_answered = True
        self._handshake += octets
        for kind, message, rest in messages(self._handshake):
            self._handshake = rest
            if kind == OPEN:
                self.outgoing = memoryview(bytes(self.outgoing) + KEEPALIVE_OCTETS)
            elif kind == KEEPALIVE:
                self.is_up = True
                self.received.append(rest)
                return
            elif kind == NOTIFICATION:
                raise FeederError(f"{self.config.address}: NOTIFICATION {message[HEADER:].hex()}")

    def announced(self) -> int:
        """Return how many prefixes were announced, by counting through what has come since the last time."""
        kept = b"".join(self.received)
        self.received = [kept]
        for kind, message, _ in messages(kept[self._counted :]):
            self._counted += len(message)
            if kind == UPDATE:
                self._announced += count_prefixes(message)
        return self._announced

    def last_words(self) -> str:
        """Return the NOTIFICATION that ends what was kept, if there is one, for a message."""
        last = b"".join(self.received).rpartition(MARKER)[2]
        is_notification = last[2:3] == bytes([NOTIFICATION])
        return f": NOTIFICATION {last[3:].hex()}" if is_notification else ""

    def forget(self) -> None:
        """Begin to count anew."""
        self.received = []
        self.received_at = self.heard_at = self.longest_silence = 0.0
        self._announced = self._counted = 0


def messages(octets: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield type and octets of each whole message, and, while that is cheap, what is left."""
    position, is_short = 0, len(octets) < 1 << 16
    while position + HEADER <= len(octets):
        length = octets[position + 16] << 8 | octets[position + 17]
        if position + length > len(octets):
            return
        message = octets[position : position + length]
        position += length
        yield message[18], message, octets[position:] if is_short else b""


def count_prefixes(message: bytes) -> int:
    """Return how many prefixes an UPDATE announces, classic or by MP_REACH of IPv6."""
    withdrawn = message[19] << 8 | message[20]
    at = 23 + withdrawn
    end = at + (message[at - 2] << 8 | message[at - 1])
    count = _count(message, end, len(message))
    while at < end:
        is_long = message[at] & 0x10
        length = message[at + 2] << 8 | message[at + 3] if is_long else message[at + 2]
        value = at + (4 if is_long else 3)
        if message[at + 1] == 14:
            count += _count(message, value + 5 + message[value + 3], value + length)
        at = value + length
    return count


def _count(message: bytes, at: int, end: int) -> int:
    count = 0
    while at < end:
        at += 1 + (message[at] + 7 >> 3)
        count += 1
    return count


class Feeder:
    """All raw peers of a benchmark, driven by one loop."""

    def __init__(self, receiver: str) -> None:
        self.peers: list[RawPeer] = []
        self._receiver = receiver
        self._connecting: list[RawPeer] = []
        self._selector = selectors.DefaultSelector()
        self._look_at = self._tell_at = self._heard_at = 0.0
        self._octets = 0

    def connect(self, configs: Iterable[RawPeerConfig]) -> list[RawPeer]:
        """Open sessions, few at a time and each until it works, and return once all are up.

        Until then one that was up may end: FRR closes some while its start timers run out.
        """
        new = self._connecting = [RawPeer(config, self._receiver) for config in configs]
        self.peers += new
        began = self._begin_wait()
        while waiting := [peer for peer in new if not peer.is_up]:
            if time.perf_counter() - began > SESSION_SECONDS:
                raise FeederError(f"{len(waiting)} of {len(new)} sessions did not come up")
            self._dial(waiting)
            self._turn(0.05)
            self._tell(lambda: f"{sum(peer.is_up for peer in new)} of {len(new)} sessions are up")
        self._connecting = []
        return new

    def _dial(self, waiting: Sequence[RawPeer]) -> None:
        room = UNANSWERED - sum(peer.socket is not None and not peer.is_answered for peer in waiting)
        now = time.perf_counter()
        for peer in waiting:
            if room <= 0:
                return
            if peer.socket is None and now >= peer.dial_at:
                self._selector.register(peer.dial(), selectors.EVENT_READ | selectors.EVENT_WRITE, peer)
                room -= 1

    def send(self, peer: RawPeer, octets: bytes) -> None:
        """Send ready octets as fast as they are taken."""
        peer.outgoing = memoryview(bytes(peer.outgoing) + octets)
        assert peer.socket is not None
        self._selector.modify(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)

    def run(self, is_over: Callable[[], bool], seconds: float, what: str) -> None:
        """Work until a condition holds; TimeoutError if it does not come true."""
        began = self._begin_wait()
        while not is_over():
            if time.perf_counter() - began > seconds:
                raise TimeoutError(f"{what}: not within {seconds:g} s")
            self._turn(0.02)
            self._tell(lambda: what)

    def all_sent(self) -> bool:
        """Whether everything has left our hands."""
        return not any(peer.outgoing for peer in self.peers)

    def wait_announced(self, listeners: Sequence[RawPeer], wanted: int, seconds: float) -> float:
        """Return when the last octet came after which every listener had been told so many prefixes."""
        began = self._begin_wait()
        counted_at = 0.0
        while time.perf_counter() - began < seconds:
            self._turn(0.02)
            quiet = time.perf_counter() - max(self._heard_at, began)
            if quiet > QUIET_SECONDS and self._heard_at > counted_at:
                counted_at = self._heard_at
                if all(peer.announced() >= wanted for peer in listeners):
                    return max(peer.received_at for peer in listeners)
            if quiet > STALL_SECONDS:
                break
            self._tell(lambda: f"{self._octets / 2**20:.0f} MiB heard")
        told = sorted(peer.announced() for peer in listeners)
        raise TimeoutError(f"told {told[0]} to {told[-1]} of {wanted} routes")

    def disconnect(self, peer: RawPeer) -> None:
        """Close a session without a word."""
        self.peers.remove(peer)
        self._close(peer)

    def close(self) -> None:
        for peer in self.peers:
            self._close(peer)
        self._selector.close()

    def _close(self, peer: RawPeer) -> None:
        connection, peer.socket = peer.socket, None
        if connection is not None:
            self._selector.unregister(connection)
            connection.close()

    def _begin_wait(self) -> float:
        """Return the time, and let the first word of progress be said a while from now."""
        began = time.perf_counter()
        self._tell_at = began + PROGRESS_SECONDS
        self._octets = 0
        return began

    def _tell(self, progress: Callable[[], str]) -> None:
        now = time.perf_counter()
        if now > self._tell_at:
            self._tell_at = now + PROGRESS_SECONDS
            print(f"  ... {progress()}", file=sys.stderr, flush=True)

    def _turn(self, seconds: float) -> None:
        for key, ready in self._selector.select(seconds):
            peer = key.data
            if ready & selectors.EVENT_READ:
                self._read(peer)
            if peer.socket is not None and peer.outgoing:
                self._write(peer)
        now = time.perf_counter()
        if now > self._look_at:
            self._look_at = now + KEEPALIVE_STEP
            for peer in self.peers:
                if peer.owes_keepalive(now):
                    self.send(peer, KEEPALIVE_OCTETS)

    def _read(self, peer: RawPeer) -> None:
        assert peer.socket is not None
        try:
            octets = peer.socket.recv(READ_SIZE)
        except ConnectionError:
            octets = b""
        if octets:
            self._octets += len(octets)
            peer.take(octets)
            self._heard_at = max(self._heard_at, peer.received_at)
        else:
            self._lose(peer)

    def _lose(self, peer: RawPeer) -> None:
        """Take note that a connection has ended: no session ever may, whoever still connects tries again."""
        if peer not in self._connecting:
            raise FeederError(f"{peer.config.address}: the receiver closed the session{peer.last_words()}")
        self._close(peer)
        peer.is_up, peer.received = False, []
        peer.dial_at = time.perf_counter() + DIAL_SECONDS

    def _write(self, peer: RawPeer) -> None:
        assert peer.socket is not None
        try:
            sent = peer.socket.send(peer.outgoing[:READ_SIZE])
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            self._lose(peer)
            return
        peer.outgoing = peer.outgoing[sent:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outgoing else 0)
        self._selector.modify(peer.socket, wanted, peer)


@contextmanager
def feeding(receiver: str) -> Iterator[Feeder]:
    """Lend a feeder and close its sessions."""
    feeder = Feeder(receiver)
    try:
        yield feeder
    finally:
        feeder.close()
