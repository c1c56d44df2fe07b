"""A small RPKI cache for tests: it serves what it holds, and misbehaves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from pybgp.rpki.pdu import (
    CacheReset,
    CacheResponse,
    EndOfData,
    ErrorReport,
    Intervals,
    Pdu,
    PduReader,
    Record,
    ResetQuery,
    SerialNotify,
    SerialQuery,
    Vrp,
    decode,
    encode,
)

SESSION = 77
#: A fault sees the query and may answer it in its own way; None: the cache answers as it should.
Fault = Callable[[Pdu], bytes | None]


class RtrCache:
    """Serves version 1 and 0 on a loopback port."""

    def __init__(self, highest_version: int = 1) -> None:
        self.history: list[set[Vrp]] = [set()]
        self.highest_version = highest_version
        self.queries: list[Pdu] = []
        self.reports: list[ErrorReport] = []
        self.faults: list[Fault] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._version = highest_version

    @property
    def serial(self) -> int:
        return len(self.history) - 1

    def set(self, vrps: Iterable[Vrp], *, notify: bool = True) -> None:
        """Hold something else from now on, and say that there is news."""
        self.history.append(set(vrps))
        if notify:
            for writer in self._writers:
                writer.write(encode(SerialNotify(SESSION, self.serial), self._version))

    def drop(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.close()

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1") -> AsyncIterator[RtrCache]:
        server = await asyncio.start_server(self._serve, host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.drop()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        pdus = PduReader()
        try:
            while octets := await reader.read(65536):
                pdus.feed(octets)
                while (found := pdus.next_pdu()) is not None:
                    self._answer(writer, *found)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, version: int, octets: bytes) -> None:
        pdu = decode(octets)
        if isinstance(pdu, ErrorReport):
            self.reports.append(pdu)
            return
        self.queries.append(pdu)
        if version > self.highest_version:
            writer.write(encode(ErrorReport(4, octets), self.highest_version))
            writer.close()
            return
        self._version = version
        fault = self.faults.pop(0)(pdu) if self.faults else None
        writer.write(fault if fault is not None else b"".join(encode(each, version) for each in self._reply(pdu)))

    def _reply(self, query: Pdu) -> list[Pdu]:
        now = self.history[-1]
        match query:
            case ResetQuery():
                before: set[Vrp] = set()
            case SerialQuery(session, serial) if session == SESSION and serial <= self.serial:
                before = self.history[serial]
            case _:
                return [CacheReset()]
        changes = [Record(False, vrp) for vrp in before - now] + [Record(True, vrp) for vrp in now - before]
        return [CacheResponse(SESSION), *changes, EndOfData(SESSION, self.serial, Intervals(3600, 1, 7200))]
