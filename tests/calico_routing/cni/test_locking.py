"""The host-wide lock: exclusive, bounded, freed by death, best effort."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calico_routing.cni.errors import CniError
from calico_routing.cni.locking import IpamLock

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def held(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_it_is_exclusive_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ipam.lock"
    with IpamLock(str(path)):
        assert held(path)
    assert not held(path)


def test_it_is_let_go_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ipam.lock"
    with pytest.raises(ValueError, match="inside"), IpamLock(str(path)):
        raise ValueError("inside")
    assert not held(path)


def test_the_wait_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "ipam.lock"
    before = signal.getsignal(signal.SIGALRM)
    with IpamLock(str(path)):
        started = time.monotonic()
        with pytest.raises(CniError, match="no turn") as caught, IpamLock(str(path), wait_seconds=0.2):
            pytest.fail("two at once")
        assert 0.1 < time.monotonic() - started < 5
    assert caught.value.code == 107
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not held(path)


def test_a_killed_holder_leaves_no_stale_lock(tmp_path: Path) -> None:
    path = tmp_path / "ipam.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        os.kill(holder.pid, signal.SIGKILL)
        with IpamLock(str(path), wait_seconds=5):
            assert held(path)
    finally:
        holder.kill()
        holder.communicate()


def test_no_place_for_the_file_is_no_obstacle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with IpamLock(str(tmp_path / "file" / "ipam.lock")):
        pass
    assert "warning: no lock" in capsys.readouterr().err
