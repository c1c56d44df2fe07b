"""How the peers of the benchmarks connect: in small waves, and again where a receiver is not ready for them."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.benchmarks.tables import feeder
from tests.benchmarks.tables.feeder import (
    KEEPALIVE,
    KEEPALIVE_OCTETS,
    OPEN,
    UNANSWERED,
    RawPeerConfig,
    feeding,
    messages,
    open_octets,
)
from tests.benchmarks.tables.route_table import UPDATE, update

RECEIVER = "127.0.0.1"
SILENCE_SECONDS = 0.02
#: how many connections are closed at once.
CLOSED = 3


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.create_server((RECEIVER, 0)) as server:
        monkeypatch.setattr(feeder, "BGP_PORT", server.getsockname()[1])
        monkeypatch.setattr(feeder, "DIAL_SECONDS", SILENCE_SECONDS)
        yield server


def waves(server: socket.socket) -> Iterator[list[socket.socket]]:
    """Accept whatever comes until nothing more does."""
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while selector.select(5):
            wave = [server.accept()[0]]
            while selector.select(SILENCE_SECONDS):
                wave.append(server.accept()[0])
            yield wave


def answer(server: socket.socket, sessions: int) -> tuple[list[socket.socket], list[int]]:
    """Close some connections, end one session; answer all others at once, before what they say is read."""
    opened: list[socket.socket] = []
    sizes = []
    met = 0
    for wave in waves(server):
        sizes.append(len(wave))
        for connection in wave:
            met += 1
            if met <= CLOSED:
                connection.close()
                continue
            connection.sendall(open_octets(RawPeerConfig(RECEIVER, 64512)) + KEEPALIVE_OCTETS)
            if met == CLOSED + 1:
                assert kinds(connection) == [OPEN, KEEPALIVE]
                connection.close()
            else:
                opened.append(connection)
        if len(opened) == sessions:
            break
    return opened, sizes


def kinds(connection: socket.socket) -> list[int]:
    """Read the OPEN and the KEEPALIVE that a peer owes."""
    octets = b""
    while len(found := [kind for kind, _, _ in messages(octets)]) < 2:
        more = connection.recv(4096)
        if not more:
            break
        octets += more
    return found


def test_peers_come_few_at_a_time_and_again_where_they_were_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [RawPeerConfig(f"127.0.9.{number}", 65000 + number) for number in range(1, 11)]
    with listening(monkeypatch) as server, ThreadPoolExecutor(1) as pool, feeding(RECEIVER) as peers:
        answering = pool.submit(answer, server, len(configs))
        assert [peer.config for peer in peers.connect(configs)] == configs
        opened, sizes = answering.result(5)
        assert max(sizes) <= UNANSWERED
        assert sum(sizes) == len(configs) + CLOSED + 1
        peers.run(peers.all_sent, 5, "sending")
        assert [kinds(connection) for connection in opened] == [[OPEN, KEEPALIVE]] * len(configs)
        for connection in opened:
            connection.close()


def test_an_answer_that_comes_before_the_open_is_sent_does_not_replace_it() -> None:
    peer = feeder.RawPeer(RawPeerConfig(RECEIVER, 65001), RECEIVER)
    peer.outgoing = memoryview(open_octets(peer.config))
    peer.take(open_octets(RawPeerConfig(RECEIVER, 64512)))
    assert [kind for kind, _, _ in messages(bytes(peer.outgoing))] == [OPEN, KEEPALIVE]


def test_what_was_announced_is_counted_once_however_it_arrives() -> None:
    peer = feeder.RawPeer(RawPeerConfig(RECEIVER, 65001), RECEIVER)
    peer.is_up = True
    octets = update(b"", bytes([8, 10, 8, 11])) + KEEPALIVE_OCTETS + update(b"", bytes([8, 12]))
    counts = []
    for start in range(0, len(octets), 9):
        peer.take(octets[start : start + 9])
        counts.append(peer.announced())
    assert counts == sorted(counts)
    assert counts[-1] == peer.announced() == 3
    assert [kind for kind, _, _ in messages(b"".join(peer.received))] == [UPDATE, KEEPALIVE, UPDATE]
    peer.forget()
    assert peer.announced() == 0
