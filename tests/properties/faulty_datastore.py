"""Stores with injected faults, and clients that take turns at one store in any order that a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence

from calico_routing.datastore.interface import ConflictError, Datastore, DatastoreError, Listing, R
from calico_routing.model.resource import Resource


class Crash(BaseException):
    """The process is gone: nothing of ours may catch this."""


class FaultyDatastore(Datastore):
    """Passes everything on; counts writes, and fails or crashes at chosen ones.

    ``crash_after`` is the number of the write after which the client dies, ``conflicts`` and ``failures`` are numbers
    of writes that are refused; ``before`` is called ahead of every access.
    """

    def __init__(
        self,
        inner: Datastore,
        *,
        crash_after: int | None = None,
        conflicts: Collection[int] = (),
        failures: Collection[int] = (),
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._crash_after = crash_after
        self._conflicts = conflicts
        self._failures = failures
        self._before = before
        self.writes = 0
        self.written: list[str] = []

    def get(self, kind: type[R], name: str, namespace: str = "") -> R:
        self._before()
        return self._inner.get(kind, name, namespace)

    def list(self, kind: type[R], *, prefix: str = "", namespace: str | None = None) -> Listing[R]:
        self._before()
        return self._inner.list(kind, prefix=prefix, namespace=namespace)

    def create(self, resource: R) -> R:
        self._begin("create", resource)
        return self._end(self._inner.create(resource))

    def update(self, resource: R) -> R:
        self._begin("update", resource)
        return self._end(self._inner.update(resource))

    def delete(self, resource: Resource) -> None:
        self._begin("delete", resource)
        self._inner.delete(resource)
        self._end(resource)

    def _begin(self, verb: str, resource: Resource) -> None:
        self._before()
        self.writes += 1
        self.written.append(f"{verb} {resource.KIND} {resource.name}")
        if self.writes in self._conflicts:
            raise ConflictError("injected")
        if self.writes in self._failures:
            raise DatastoreError("injected")

    def _end(self, result: R) -> R:
        if self.writes == self._crash_after:
            raise Crash
        return result


class Client:
    """A program in a thread that stops before every access to the store until it is its turn."""

    def __init__(self, run: Callable[[Client], None]) -> None:
        self._turn = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._run = run
        self._abandoned = False
        self.alive = True
        self.crashed = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._main)
        self._thread.start()
        self._stopped.acquire()

    def _main(self) -> None:
        self.pause()
        try:
            self._run(self)
        except Crash:
            self.crashed = True
        except BaseException as error:  # noqa: BLE001 - the test raises it again
            self.error = error
        self.alive = False
        self._stopped.release()

    def pause(self) -> None:
        """Wait for the next turn (called inside the program)."""
        self._stopped.release()
        self._turn.acquire()
        if self._abandoned:
            raise Crash

    def step(self) -> None:
        """Let the program run up to its next access or its end."""
        self._turn.release()
        self._stopped.acquire()
        if not self.alive:
            self._thread.join()

    def abandon(self) -> None:
        """End a program that a failed test has left waiting."""
        self._abandoned = True
        while self.alive:
            self.step()


def interleave(clients: Sequence[Client], schedule: Iterator[int]) -> Generator[None, None, None]:
    """Run clients to their ends, each next turn chosen by the schedule; yields after every turn."""
    try:
        while running := [client for client in clients if client.alive]:
            running[next(schedule) % len(running)].step()
            yield
    finally:
        for client in clients:
            client.abandon()
    for client in clients:
        if client.error is not None:
            raise client.error
