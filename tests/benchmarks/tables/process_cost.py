"""What a running program has cost so far: CPU seconds and memory of it and its children."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")
#: a program that used less than this share of a core over the interval rests.
REST_SHARE = 0.05
REST_SECONDS = 0.4


def family_of(leader: int) -> list[int]:
    """Return the processes of the session that a process leads."""
    found = []
    for path in PROC.iterdir():
        if path.name.isdecimal():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader:
                found.append(int(path.name))
    return found


def cpu_seconds(processes: list[int]) -> float:
    """Return the time that all their threads have run."""
    total = 0
    for process in processes:
        for path in (PROC / str(process) / "task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total / 1e9


def peak_mebibytes(processes: list[int]) -> float:
    """Return the sum of the largest resident sizes."""
    kibibytes = 0
    for process in processes:
        for line in (PROC / str(process) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                kibibytes += int(line.split()[1])
    return kibibytes / 1024


class Rest:
    """Notices when a program has nothing to do any more, and since when."""

    def __init__(self, processes: list[int], clock: Callable[[], float] = time.perf_counter) -> None:
        self._processes = processes
        self._clock = clock
        self._looked_at = self.since = clock()
        self._used = cpu_seconds(processes)

    def is_resting(self) -> bool:
        """Whether it has rested long enough; to be asked again and again."""
        now = self._clock()
        if now - self._looked_at >= 0.05:
            used = cpu_seconds(self._processes)
            if used - self._used > REST_SHARE * (now - self._looked_at):
                self.since = now
            self._used, self._looked_at = used, now
        return now - self.since >= REST_SECONDS
