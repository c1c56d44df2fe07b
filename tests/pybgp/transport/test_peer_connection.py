"""Connections: how they share the reading of a turn of the loop, and how they end."""

from __future__ import annotations

import asyncio
import socket
import struct

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
