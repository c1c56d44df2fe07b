"""What `ip monitor route` says in a namespace, line by line with the time of each."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from examples.demo.namespaces import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from examples.demo.namespaces import Namespace

STAMPED_LINE: Final = re.compile(r"\[([0-9T:.-]+)\]\s*(.*?)\s*$")


class RouteEvent(NamedTuple):
    """One change of a routing table; `seconds` is wall-clock time."""

    seconds: float
    text: str

    @property
    def deleted(self) -> bool:
        """Whether a route went away."""
        return self.text.startswith("Deleted ")


class RouteMonitor:
    """Collects a namespace's IPv4 route events in a thread of its own, from `with` until its end."""

    def __init__(self, namespace: Namespace) -> None:
        """Remember the namespace; entering the context starts to listen."""
        self.namespace = namespace
        self._events: list[RouteEvent] = []
        self._changed = threading.Condition()

    def __enter__(self) -> RouteMonitor:
        """Start, and return once it listens."""
        self._process = subprocess.Popen(
            # IPv6 tells of the link-local addresses of pods as well, which the kernel enters in its own time.
            ["ip", "-4", "-netns", self.namespace.name, "-timestamp", "-tshort", "monitor", "route"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        wait_until(self._listening, 10, f"ip monitor route in {self.namespace.name}", 0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._process.kill()
        self._process.wait()
        self._thread.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def events(self) -> list[RouteEvent]:
        """All events so far, oldest first."""
        with self._changed:
            return list(self._events)

    def wait_for(
        self, matches: Callable[[str], object], seconds: float, what: str, *, since: float = 0.0
    ) -> RouteEvent:
        """Return the first event after the wall-clock time `since` whose text matches."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for event in self._events[seen:]:
                    if event.seconds >= since and matches(event.text):
                        return event
                seen = len(self._events)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what}: no such route event on {self.namespace.name} within {seconds:g} s")
                self._changed.wait(left)

    def _listening(self) -> bool:
        """Tell whether `ip` listens, which it does not say by itself.

        It joins the multicast groups, then lists the devices on the same socket and drops what happens meanwhile; its
        second socket, for the names of namespaces, comes after that.
        """
        try:
            targets = [str(path.readlink()) for path in Path(f"/proc/{self._process.pid}/fd").iterdir()]
        except FileNotFoundError:  # one was closed in between
            return False
        return sum(target.startswith("socket:") for target in targets) >= 2

    def _collect(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("started without a pipe")
        for line in self._process.stdout:
            found = STAMPED_LINE.match(line)
            if found is None:
                continue
            moment = dt.datetime.fromisoformat(found[1]).timestamp()
            with self._changed:
                self._events.append(RouteEvent(moment, found[2]))
                self._changed.notify_all()
