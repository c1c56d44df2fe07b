"""MRT files of the daemon: tables now and then or on request, and a log of what peers say (RFC 6396).

A full or broken disk is told in the log and loses what could not be written; it stops neither a session nor the next
file.  Whatever is written is written by a thread, and collected in turns that are short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from calico_routing.time_slices import SLICE_SECONDS
from pybgp.tools.recorder import MrtRecorder
from pybgp.transport.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from calico_routing.configuration import MrtSettings
    from pybgp.formats.mrt import Ends
    from pybgp.transport.speaker import Speaker

#: What a file is called until it is whole.
PART: Final = ".part"
#: How long a message waits at most until it is written.
FLUSH_SECONDS: Final = 1.0
#: Octets that may wait for a disk that does not take them.
MOST_WAITING: Final = 64 * 1024 * 1024
#: How long the end of the daemon waits for a disk.
GOODBYE_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Dumped(NamedTuple):
    """A table that was written."""

    file: str
    octets: int
    seconds: float


def file_at(pattern: str, seconds: float) -> Path:
    """Return the name of a file that begins at a time: UTC, by the directives of strftime."""
    return Path(datetime.fromtimestamp(seconds, UTC).strftime(pattern))


async def write_table(speaker: Speaker, families: Sequence[str], path: Path) -> Dumped:
    """Write the tables into a file that appears under its name once it is whole; raises OSError."""
    began = time.monotonic()
    pieces = speaker.dump_tables(families)
    part = Path(f"{path}{PART}")
    file = await asyncio.to_thread(_open, part)
    try:
        octets = 0
        for bundle in _bundles(pieces):
            octets += len(bundle)
            await asyncio.to_thread(_write, file, bundle)
        await asyncio.to_thread(_finish, file, part, path)
    except BaseException:
        _discard(file, part)
        raise
    return Dumped(str(path), octets, time.monotonic() - began)


def _bundles(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield as much at a time as one turn can make."""
    bundle: list[bytes] = []
    began = thread_time()
    for piece in pieces:
        bundle.append(piece)
        if thread_time() - began >= SLICE_SECONDS:
            yield b"".join(bundle)
            bundle.clear()
            began = thread_time()
    yield b"".join(bundle)


def _open(path: Path) -> FileIO:
    """Open without a buffer, whose rest could still fail when the file is closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileIO(path, "wb")


def _write(file: FileIO, octets: bytes) -> None:
    written = 0
    while written < len(octets):
        written += file.write(memoryview(octets)[written:])


def _finish(file: FileIO, part: Path, path: Path) -> None:
    os.fsync(file.fileno())
    file.close()
    part.replace(path)


def _discard(file: FileIO, part: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
    part.unlink(missing_ok=True)


class MessageLog:
    """What peers say, in files that begin at multiples of an interval; to a recorder it is one file."""

    def __init__(self, pattern: str, interval: int, clock: Callable[[], float] = time.time) -> None:
        """Nothing is opened before the first `flush`; ``interval`` in seconds."""
        self._pattern = pattern
        self._interval = interval
        self._clock = clock
        #: what waits, by the number of the interval that it belongs to, and how many octets that are.
        self._waiting: dict[int, list[bytes]] = {}
        self._size = 0
        self._file: FileIO | None = None
        self._path = Path()
        self._period = 0
        #: how much of the file is whole records.
        self._whole = 0
        #: the interval whose file cannot be written, and the records that were lost.
        self._failed = -1
        self._lost = 0

    def write(self, octets: bytes) -> None:
        """Take a record; one that finds too much waiting is lost."""
        if self._size > MOST_WAITING:
            self._lost += 1
            return
        self._size += len(octets)
        self._waiting.setdefault(self._now(), []).append(octets)

    async def flush(self, *, finish: bool = False) -> None:
        """Write what waits, and give a file its name whose time is over, or that is the last."""
        taken, self._waiting, self._size = self._waiting, {}, 0
        lost = await asyncio.to_thread(self._store, taken, self._now(), finish)
        self._lost += lost
        if self._lost and self._failed < self._now():
            log.error("mrt_messages_lost", messages=self._lost)
            self._lost = 0

    def _now(self) -> int:
        return int(self._clock() // self._interval)

    # In a thread, one call at a time.

    def _store(self, taken: dict[int, list[bytes]], now: int, finish: bool) -> int:
        """Return how many records were lost."""
        lost = 0
        for period, records in taken.items():
            if period == self._failed:
                lost += len(records)
                continue
            try:
                self._append(period, b"".join(records))
            except OSError as error:
                lost += len(records)
                self._give_up(period, error)
        if finish or self._period < now:
            self._close()
        return lost

    def _append(self, period: int, octets: bytes) -> None:
        if self._file is None or period != self._period:
            self._close()
            self._path, self._period = file_at(self._pattern, period * self._interval), period
            part = Path(f"{self._path}{PART}")
            if part.exists():
                # An earlier life left it that had no time to say goodbye.
                part.rename(free_name(self._path))
            self._file, self._whole = _open(part), 0
        _write(self._file, octets)
        self._whole += len(octets)

    def _close(self) -> None:
        """Give the file its name; one of that name that is there already stays."""
        file, self._file = self._file, None
        if file is not None:
            try:
                _finish(file, Path(f"{self._path}{PART}"), free_name(self._path))
            except OSError as error:
                self._give_up(self._period, error)

    def _give_up(self, period: int, error: OSError) -> None:
        """Leave the rest of an interval out; what is whole of it stays readable."""
        log.error("mrt_messages_failed", file=str(self._path), error=error.strerror or str(error))
        self._failed = period
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(self._whole)
            self._close()


def free_name(path: Path) -> Path:
    """Return the path, or with the first number behind it that makes it a new one."""
    number, found = 0, path
    while found.exists():
        number += 1
        found = Path(f"{path}.{number}")
    return found


class MrtFiles:
    """All that `[mrt]` asks for."""

    def __init__(self, settings: MrtSettings, speaker: Callable[[], Speaker | None]) -> None:
        """``speaker`` returns the one that runs."""
        self._settings = settings
        self._speaker = speaker
        self._messages = MessageLog(settings.message_file, settings.message_interval) if settings.message_file else None
        self._tasks: list[asyncio.Task[None]] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()

    def start(self) -> None:
        """Begin; a first table is written at the next multiple of its interval."""
        if self._messages is not None:
            self._keepers.append(asyncio.create_task(self._keep_messages(self._messages)))
        if self._settings.table_file:
            self._tasks.append(asyncio.create_task(self._keep_tables()))

    async def stop(self) -> None:
        """Write what waits, and end; a disk that hangs is not waited for."""
        self._ending.set()
        for task in self._tasks:
            task.cancel()
        if running := {*self._tasks, *self._keepers}:
            await asyncio.wait(running, timeout=GOODBYE_SECONDS)

    def make_peer(self, *arguments: Any, **options: Any) -> Peer:  # Any: what a Speaker gives a Peer
        """Return a peer whose connections are recorded, if messages are."""
        peer = Peer(*arguments, **options)
        if self._messages is not None:
            peer.open_tap = self._recorder
        return peer

    def _recorder(self, ends: Ends) -> MrtRecorder | None:
        if self._messages is None:
            return None
        return MrtRecorder(self._messages, ends, time.time, both_ways=self._settings.sent_messages)

    async def dump(self, path: Path, families: Sequence[str] = ()) -> Dumped | None:
        """Write the tables now; None without a speaker.  Raises OSError."""
        speaker = self._speaker()
        return None if speaker is None else await write_table(speaker, families or self._settings.families, path)

    async def _keep_messages(self, messages: MessageLog) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._ending.wait()
            await messages.flush(finish=self._ending.is_set())

    async def _keep_tables(self) -> None:
        interval = self._settings.table_interval
        while True:
            now = time.time()
            begins = (now // interval + 1) * interval
            await asyncio.sleep(begins - now)
            path = file_at(self._settings.table_file, begins)
            try:
                done = await self.dump(path)
            except OSError as error:
                log.error("mrt_table_failed", file=str(path), error=error.strerror or str(error))  # noqa: TRY400 - disk
                continue
            if done is not None:
                log.info("mrt_table_written", file=done.file, octets=done.octets, seconds=round(done.seconds, 3))
