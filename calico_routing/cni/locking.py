"""The host-wide lock around address assignment (CNI section 6, Calico section 3.6)."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import TYPE_CHECKING

from calico_routing.cni.errors import CniError, ErrorCode

if TYPE_CHECKING:
    from types import FrameType, TracebackType

WAIT_SECONDS = 15.0


class IpamLock:
    """`with IpamLock(path):` one process of the host at a time; the kernel frees it when the holder dies.

    Where the file cannot be made the work goes on without the lock: compare-and-swap protects the data, the lock
    only saves retries.
    """

    def __init__(self, path: str, wait_seconds: float = WAIT_SECONDS) -> None:
        """Name the file; nothing is touched yet."""
        self._path = path
        self._wait_seconds = wait_seconds
        self._descriptor = -1

    def __enter__(self) -> None:
        """Take the lock; code 107 when others hold it for too long."""
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib costs 3 ms
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            sys.stderr.write(f"warning: no lock at {self._path}: {error.strerror}\n")
            return
        try:
            self._wait()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _wait(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for_the_others()

    def _wait_for_the_others(self) -> None:
        """Block in the kernel, woken by the lock or by the alarm, whichever comes first."""
        import signal  # noqa: PLC0415 - half a millisecond that only a busy host needs

        previous = signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, self._wait_seconds)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def _give_up(self, _signal_number: int, _frame: FrameType | None) -> None:
        raise CniError(
            ErrorCode.LOCK_TIMEOUT,
            f"no turn at {self._path} within {self._wait_seconds:g} s",
            "another plugin process holds it; see which with fuser, the runtime tries again",
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the next one in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
