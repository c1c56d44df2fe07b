"""RPKI caches on real sockets: asyncio around a session with one cache, which decides everything (RFC 8210)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import structlog

from pybgp.rpki.pdu import Vrp
from pybgp.rpki.session import Close, Connect, Event, Failed, PayloadChanged, Session
from pybgp.transport.dialer import socket_error_text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from pybgp.rpki.pdu import Intervals
    from pybgp.rpki.validation_table import ValidationTable

RTR_PORT: Final = 323
#: Payloads taken into the table in one turn of the loop.
_SLICE: Final = 10_000

log = structlog.get_logger("pybgp")


class _Connection(asyncio.Protocol):
    """One connection to the cache; what it reports counts while the client knows it."""

    def __init__(self, client: RtrClient) -> None:
        self._client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._client.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self._client.octets_received(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._client.connection_lost(self, error)


class _Batch:
    """What one answer of the cache changes, and how much of it is in the table."""

    def __init__(self, announced: list[Vrp], withdrawn: list[Vrp]) -> None:
        self.announced = announced
        self.withdrawn = withdrawn
        self.changed: list[Vrp] = []
        self._position = 0

    def take_slice(self, table: ValidationTable) -> bool:
        """Put some more into the table; True if that was all."""
        start = self._position
        stop = self._position = start + _SLICE
        self.changed += table.apply(self.announced[start:stop], self.withdrawn[start:stop])
        return stop >= max(len(self.announced), len(self.withdrawn))


class RtrClient:
    """Keeps a validation table in step with a cache; several clients may feed one table."""

    def __init__(
        self,
        host: str,
        table: ValidationTable,
        *,
        port: int = RTR_PORT,
        version: int = 1,
        intervals: Intervals | None = None,
        tls: ssl.SSLContext | None = None,
        on_change: Callable[[Sequence[Vrp]], None] | None = None,
    ) -> None:
        """``on_change`` is called once per answer of the cache, when all of it is in the table, with what changed."""
        self.session = Session(version=version, intervals=intervals)
        #: Set when the cache has said all it knows for the first time.
        self.synchronized = asyncio.Event()
        self._address = (host, port)
        self._table = table
        self._tls = tls
        self._on_change = on_change
        self._connection: _Connection | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._batches: deque[_Batch] = deque()

    def start(self) -> None:
        """Connect to the cache, and again whenever the connection is lost; returns at once."""
        self._pump(self.session.start(_now()))

    def stop(self) -> None:
        """Disconnect, and take what this cache said out of the table."""
        self._pump(self.session.stop())
        self._go_on(to_the_end=True)

    async def __aenter__(self) -> RtrClient:
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    # What a connection reports.

    def connection_made(self, connection: _Connection) -> None:
        """Ask the first question."""
        self._connection = connection
        self._attempt = None
        self._pump(self.session.connection_made(_now()))

    def octets_received(self, connection: _Connection, octets: bytes) -> None:
        """Hand what arrived to the session."""
        if connection is self._connection:
            self._pump(self.session.receive_data(octets, _now()))

    def connection_lost(self, connection: _Connection, error: Exception | None) -> None:
        """News only if we did not close it."""
        if connection is self._connection:
            self._connection = None
            cause = "closed by the cache" if error is None else str(error)
            self._pump(self.session.connection_lost(_now(), cause))

    # The pump.

    def _pump(self, events: Iterable[Event]) -> None:
        for event in events:
            self._deliver(event)
        self._flush()
        self._rearm()

    def _flush(self) -> None:
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.write(self.session.data_to_send())

    def _deliver(self, event: Event) -> None:
        match event:
            case Connect():
                self._attempt = asyncio.get_running_loop().create_task(self._dial())
            case Close():
                self._flush()
                self._disconnect()
            case PayloadChanged(announced, withdrawn):
                self._apply(_vrps(announced), _vrps(withdrawn))
            case Failed(text):
                log.warning("rtr_failed", cache=self._address[0], error=text)

    def _apply(self, announced: list[Vrp], withdrawn: list[Vrp]) -> None:
        """Take in an answer in slices, so that other timers of the loop are never late."""
        self._batches.append(_Batch(announced, withdrawn))
        if len(self._batches) == 1:
            self._go_on()

    def _go_on(self, *, to_the_end: bool = False) -> None:
        while self._batches:
            batch = self._batches[0]
            if batch.take_slice(self._table):
                self._batches.popleft()
                self._tell(batch)
            elif not to_the_end:
                asyncio.get_running_loop().call_soon(self._go_on)
                return

    def _tell(self, batch: _Batch) -> None:
        if self.session.serial is not None:
            self.synchronized.set()
        announced, withdrawn = len(batch.announced), len(batch.withdrawn)
        log.info("rtr_data", cache=self._address[0], announced=announced, withdrawn=withdrawn)
        if batch.changed and self._on_change is not None:
            self._on_change(batch.changed)

    def _disconnect(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        connection, self._connection = self._connection, None
        if connection is not None and connection.transport is not None:
            connection.transport.close()

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Connection(self), *self._address, ssl=self._tls)
        except OSError as error:
            self._attempt = None
            self._pump(self.session.connection_lost(_now(), socket_error_text(error)))

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self.session.next_timer()
        loop = asyncio.get_running_loop()
        self._timer = None if at is None else loop.call_at(at, self._handle_timer)

    def _handle_timer(self) -> None:
        self._pump(self.session.handle_timer(_now()))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _vrps(payloads: Iterable[object]) -> list[Vrp]:
    return [payload for payload in payloads if isinstance(payload, Vrp)]
