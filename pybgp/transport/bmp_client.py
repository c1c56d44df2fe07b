"""A monitoring station fed with what this speaker hears and selects (RFC 7854 section 3.2).

A station must never slow BGP down: what it does not take is kept up to a limit, then the connection is dropped, and
the next one begins with everything anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from pybgp.formats.bmp import (
    BmpMessage,
    PeerHeader,
    RouteMonitoring,
    StatisticsReport,
    StatisticType,
    Termination,
    TerminationReason,
    Tlv,
    encode,
)
from pybgp.session.events import SessionDown, SessionUp, UpdateReceived
from pybgp.transport import bmp_reports
from pybgp.wire.messages import end_of_rib
from pybgp.wire.nlri import join_nlri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pybgp.rib.path import Change, Path
    from pybgp.session.events import Event
    from pybgp.transport.bmp_config import BmpConfig
    from pybgp.transport.peer import Peer
    from pybgp.transport.speaker import Speaker
    from pybgp.wire.families import Family

#: Prefixes of a dump that are written in one turn of the loop.
_SLICE: Final = 1000
_CLOSE_SECONDS: Final = 2.0
_GOOD_BYE: Final = Termination((Tlv(1, TerminationReason.ADMINISTRATIVE.to_bytes(2, "big")),))

log = structlog.get_logger("pybgp")


class _Monitored(NamedTuple):
    """A session that is up."""

    peer: Peer
    event: SessionUp


class BmpClient:
    """Keeps one station informed; give it to the speaker by ``SpeakerConfig.bmp_stations``."""

    def __init__(self, speaker: Speaker, config: BmpConfig, clock: Callable[[], float] = time.time) -> None:
        """Nothing is opened before ``start``; sessions that come up from now on are known."""
        self.config = config
        #: How often the station was dropped because it did not read.
        self.overflows = 0
        self._speaker = speaker
        self._clock = clock
        self._up: dict[str, _Monitored] = {}
        #: Sessions that this connection has told of, and whether it has told of the Loc-RIB.
        self._told: dict[str, _Monitored] = {}
        self._has_table = False
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        speaker.on_event(self._heard)
        if config.loc_rib:
            speaker.on_change(self._changed)

    def start(self) -> None:
        """Connect, and connect again, until ``stop``."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Say good-bye and close."""
        self._send(_GOOD_BYE)
        self._forget()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @property
    def is_connected(self) -> bool:
        """Whether a connection is up."""
        return self._writer is not None

    # What the speaker reports, in its own turns.

    def _heard(self, name: str, peer: Peer, event: Event) -> None:
        if isinstance(event, UpdateReceived):
            told = self._told.get(name)
            if told is not None:
                self._report_update(told, event)
        elif isinstance(event, SessionUp):
            self._up[name] = _Monitored(peer, event)
            if self._writer is not None and self.config.adj_rib_in:
                self._tell_up(name)
        elif isinstance(event, SessionDown):
            monitored = self._up.pop(name, None)
            if monitored is not None and self._told.pop(name, None) is not None:
                self._send(bmp_reports.peer_down(self._header(monitored), event))

    def _report_update(self, told: _Monitored, event: UpdateReceived) -> None:
        header = self._header(told)
        for message in bmp_reports.update_reports(header, event.update):
            self._send(message)
        if event.update.end_of_rib is not None:
            self._send(RouteMonitoring(header, end_of_rib(event.update.end_of_rib)))

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._has_table:
            return
        header = bmp_reports.table_header(self._speaker.config, self._clock())
        for family, path, keys in changes:
            if family in bmp_reports.TABLE_FAMILIES:
                for message in bmp_reports.routes(header, family, keys, path.attributes if path else None):
                    self._send(message)

    def _header(self, monitored: _Monitored) -> PeerHeader:
        return bmp_reports.peer_header(monitored.peer, monitored.event.open.router_id, self._clock())

    def _tell_up(self, name: str) -> None:
        monitored = self._told[name] = self._up[name]
        self._send(bmp_reports.peer_up(monitored.peer, monitored.event, self._clock()))

    # The connection.

    def _send(self, message: BmpMessage) -> None:
        """Write, or give the station up if it has left too much unread."""
        writer = self._writer
        if writer is None:
            return
        writer.write(encode(message))
        if writer.transport.get_write_buffer_size() > self.config.queue_limit:
            self.overflows += 1
            log.warning("bmp_station_too_slow", station=self.config.host, limit=self.config.queue_limit)
            self._forget()
            writer.transport.abort()

    def _forget(self) -> None:
        self._writer = None
        self._told.clear()
        self._has_table = False

    async def _run(self) -> None:
        delay = self.config.first_retry_time
        while True:
            try:
                async with asyncio.timeout(self.config.connect_timeout):
                    reader, writer = await asyncio.open_connection(self.config.host, self.config.port)
            except OSError as error:
                log.info("bmp_station_unreachable", station=self.config.host, error=str(error) or "timeout")
            else:
                delay = self.config.first_retry_time
                await self._serve(reader, writer)
            await asyncio.sleep(delay)
            delay = min(2 * delay, self.config.longest_retry_time)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell everything, then what changes, until the connection ends."""
        log.info("bmp_station_up", station=self.config.host)
        self._writer = writer
        writer.transport.set_write_buffer_limits(self.config.queue_limit // 2, self.config.queue_limit // 4)
        watch = asyncio.get_running_loop().create_task(_until_closed(reader))
        try:
            self._send(bmp_reports.initiation(self.config))
            await self._dump(writer)
            await self._report_until(watch)
        except OSError as error:
            log.info("bmp_station_down", station=self.config.host, error=str(error))
        finally:
            watch.cancel()
            if self._writer is writer:
                self._forget()
            await _close(writer)

    async def _report_until(self, closed: asyncio.Task[None]) -> None:
        """Report statistics at each interval, until the station closes."""
        interval = self.config.statistics_interval or None
        while not closed.done():
            await asyncio.wait((closed,), timeout=interval)
            if not closed.done():
                self._report_statistics()
        log.info("bmp_station_down", station=self.config.host, error="closed by the station")

    def _report_statistics(self) -> None:
        speaker = self._speaker
        for name, told in self._told.items():
            families = sorted(told.event.negotiated.families)
            counts = {family: len(speaker.received(name, family)) for family in families}
            found = bmp_reports.gauges(StatisticType.ADJ_RIB_IN, StatisticType.FAMILY_ADJ_RIB_IN, counts)
            self._send(StatisticsReport(self._header(told), found))
        if self._has_table:
            counts = {family: len(speaker.best(family)) for family in bmp_reports.TABLE_FAMILIES}
            found = bmp_reports.gauges(StatisticType.LOC_RIB, StatisticType.FAMILY_LOC_RIB, counts)
            self._send(StatisticsReport(bmp_reports.table_header(speaker.config, self._clock()), found))

    # The dump: slices of what the tables hold at that moment, while changes go out beside it.

    def _is_filling(self, writer: asyncio.StreamWriter) -> bool:
        """A dump takes half of the queue; the rest is for changes."""
        return writer.transport.get_write_buffer_size() > self.config.queue_limit // 2

    async def _dump(self, writer: asyncio.StreamWriter) -> None:
        speaker = self._speaker
        if self.config.loc_rib:
            self._send(bmp_reports.table_up(speaker.config, self._clock()))
            self._has_table = True
            header = bmp_reports.table_header(speaker.config, self._clock())
            for family in bmp_reports.TABLE_FAMILIES:
                await self._dump_table(writer, header, family, speaker.best(family), lambda: True)
        for name in tuple(self._up) if self.config.adj_rib_in else ():
            if name in self._up and name not in self._told and self._writer is writer:
                self._tell_up(name)
                await self._dump_peer(writer, name, self._told[name])

    async def _dump_peer(self, writer: asyncio.StreamWriter, name: str, told: _Monitored) -> None:
        header = self._header(told)
        for family in sorted(told.event.negotiated.families):
            if self._told.get(name) is told:
                table = self._speaker.received(name, family)
                add_path = family in told.event.negotiated.add_path_receive
                await self._dump_table(
                    writer, header, family, table, lambda: self._told.get(name) is told, add_path=add_path
                )

    async def _dump_table(
        self,
        writer: asyncio.StreamWriter,
        header: PeerHeader,
        family: Family,
        table: Mapping[bytes, Path],
        is_wanted: Callable[[], bool],
        *,
        add_path: bool = False,
    ) -> None:
        """Write a table and its End-of-RIB; what changes meanwhile was written already, so it may come twice."""
        keys = list(table)
        while keys:
            part = keys[-_SLICE:]
            del keys[-_SLICE:]
            groups = list(bmp_reports.by_attributes(table, part, received=not header.is_loc_rib).items())
            while groups and not self._is_filling(writer):
                attributes, found = groups.pop()
                nlri = join_nlri(family, found, attributes.details, add_path=add_path)
                for message in bmp_reports.routes(header, family, nlri, attributes):
                    self._send(message)
            # What found no room is looked up again when there is some: it may have changed by then.
            keys += [key for _, found in groups for key in found]
            await writer.drain()
            await asyncio.sleep(0)
            if self._writer is not writer or not is_wanted():
                return
        self._send(RouteMonitoring(header, end_of_rib(family)))


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close after what is queued, but not later than in a short time."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await writer.wait_closed()
    writer.transport.abort()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    """A station has nothing to say (RFC 7854 section 3.2); wait for the end."""
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass
