"""Connections: how they share the reading of a turn of the loop, and how they end."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import weakref

import pytest

from pybgp.transport.peer_connection import PeerConnection, ReadPace, read_pace


def test_many_readers_share_what_one_may_read_alone() -> None:
    async def scenario() -> list[int]:
        pace = ReadPace()
        alone = pace.share()
        await asyncio.sleep(0)
        unforeseen = [pace.share() for _ in range(4)]
        await asyncio.sleep(0)
        among_four = pace.share()
        await asyncio.sleep(0)
        again_alone = pace.share()
        for _ in range(1000):
            pace.share()
        await asyncio.sleep(0)
        return [alone, *unforeseen[:2], among_four, again_alone, pace.share()]

    assert asyncio.run(scenario()) == [65536, 65536, 2048, 16384, 65536, 2048]


def test_each_loop_has_a_pace_of_its_own() -> None:
    async def pace() -> ReadPace:
        assert read_pace() is read_pace()
        return read_pace()

    assert asyncio.run(pace()) is not asyncio.run(pace())


class Owner:
    """Notes the end of a connection."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_made(self, connection: PeerConnection) -> None:
        del connection

    def octets_received(self, connection: PeerConnection, octets: memoryview) -> None:
        del connection, octets

    end_received = writing_resumed = connection_made

    def connection_lost(self, connection: PeerConnection, error: OSError | None) -> None:
        del connection, error
        self.lost.set()


class Watched(PeerConnection):
    """Knows whether its transport is still there, without keeping it."""

    watch: weakref.ref[asyncio.BaseTransport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.watch = weakref.ref(transport)
        super().connection_made(transport)


@pytest.mark.parametrize("ends_by", ["far end", "close", "abort"])
def test_a_lost_connection_needs_no_garbage_collection(ends_by: str) -> None:
    """A peer that flaps all day must not fill the memory of a program that collects seldom."""

    async def lose() -> weakref.ref[asyncio.BaseTransport]:
        owner = Owner()
        connection = Watched(owner)
        near, far = socket.socketpair()
        near.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, near)
        {"abort": connection.abort, "close": connection.close}.get(ends_by, far.close)()
        far.close()
        async with asyncio.timeout(10):
            await owner.lost.wait()
        return connection.watch

    async def scenario() -> None:
        watch = await lose()
        await asyncio.sleep(0)
        assert watch() is None

    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()


def test_a_connection_that_was_reset_unnoticed_closes_all_the_same() -> None:
    async def scenario() -> None:
        loop, owner = asyncio.get_running_loop(), Owner()
        with socket.create_server(("127.0.0.1", 0)) as server:
            connection = PeerConnection(owner)
            await loop.create_connection(lambda: connection, *server.getsockname())
            far, _ = server.accept()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            connection.close()
            async with asyncio.timeout(10):
                await owner.lost.wait()

    asyncio.run(scenario())
