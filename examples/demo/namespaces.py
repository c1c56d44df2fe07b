"""Network namespaces by name: programs, sockets and `ip -json` inside them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DIRECTORY: Final = Path("/run/netns")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM_LIMIT_SECONDS: Final = 30
CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class CommandError(Exception):
    """A program failed; says which and its own last words."""


def find_program(name: str) -> str | None:
    """Find a program as root would, whoever we are."""
    return shutil.which(name, path=PATH)


def run(
    *words: str,
    check: bool = True,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = PROGRAM_LIMIT_SECONDS,
) -> str:
    """Run a program to its end and return its standard output (with `check=False`, followed by its standard error)."""
    done = subprocess.run(
        words,
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        errors="replace",
        env={**os.environ, **(environment or {})},
    )
    if not check:
        return done.stdout + done.stderr
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise CommandError(f"{' '.join(words)}: exit {done.returncode}: {said}")
    return done.stdout


class Namespace:
    """A named network namespace that this object made and deletes."""

    def __init__(self, name: str) -> None:
        """Remember the name; `create` makes it."""
        self.name = name
        self.path = DIRECTORY / name

    def create(self) -> Namespace:
        """Make the namespace, with its loopback device up."""
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def delete(self) -> None:
        """Delete the namespace if it is there, and with it its devices and routes."""
        if self.path.exists():
            run("ip", "netns", "delete", self.name, check=False)

    def run(
        self,
        *words: str,
        check: bool = True,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = PROGRAM_LIMIT_SECONDS,
    ) -> str:
        """Run a program inside."""
        return run(*self._prefix(), *words, check=check, stdin=stdin, environment=environment, seconds=seconds)

    def spawn(self, *words: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside; the returned process is the program itself, not a wrapper."""
        return subprocess.Popen([*self._prefix(), *words], stdin=subprocess.DEVNULL, **options)

    def ip(self, *words: str, check: bool = True) -> str:
        """Run iproute2's `ip` on this namespace."""
        return run("ip", "-netns", self.name, *words, check=check)

    def ip_json(self, *words: str) -> list[dict[str, Any]]:
        """Return what `ip -json` says, decoded."""
        found: list[dict[str, Any]] = json.loads(self.ip("-json", *words) or "[]")
        return found

    def write_sysctl(self, name: str, value: object) -> None:
        """Set one kernel parameter of this namespace."""
        with self.entered():
            Path("/proc/sys", *name.split(".")).write_text(f"{value}\n")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread inside for a moment; sockets opened meanwhile stay there for good."""
        with Path("/proc/thread-self/ns/net").open("rb") as home, self.path.open("rb") as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def _prefix(self) -> tuple[str, ...]:
        return ("nsenter", f"--net={self.path}", "--")


def _enter(descriptor: int) -> None:
    """Call setns(2), which Python has from 3.12 on."""
    if _LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def join(one: Namespace, one_device: str, other: Namespace, other_device: str, other_address: str = "") -> None:
    """Lay a veth cable between two namespaces; a hardware address must be there before IPv6 makes its own out of it."""
    address = ("address", other_address) if other_address else ()
    one.ip("link", "add", one_device, "type", "veth", "peer", "name", other_device, "netns", other.name, *address)
    one.ip("link", "set", one_device, "up")
    other.ip("link", "set", other_device, "up")


def wait_until(condition: Callable[[], object], seconds: float, what: str, interval_seconds: float = 0.05) -> float:
    """Wait for a condition and return how long it took; TimeoutError names what was awaited."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(interval_seconds)
    return time.monotonic() - started
