"""Notes when routes appear in and vanish from the kernels of several namespaces, on one clock."""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.connection import Connection
    from types import TracebackType

    from examples.demo.namespaces import Namespace

RTM_NEWROUTE, RTM_DELROUTE = 24, 25
IPV4_ROUTE_GROUP = 0x40
RTA_DST = 1


class Seen(NamedTuple):
    """One route event."""

    place: str
    prefix: str
    deleted: bool


class RouteClock:
    """Listens in every namespace, in a process that does nothing else, so that no work of ours delays a time stamp."""

    def __init__(self, places: Mapping[str, Namespace]) -> None:
        self._listeners = {name: listen(namespace) for name, namespace in places.items()}
        self._here, self._there = multiprocessing.Pipe()
        # A fork inherits the sockets, which belong to namespaces that a new process would have to enter again.
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=watch, args=(self._listeners, self._there), daemon=True)

    def __enter__(self) -> RouteClock:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()
        self._here.close()
        self._there.close()
        for listener in self._listeners.values():
            listener.close()

    def wait_for(self, wanted: set[Seen], seconds: float = 10) -> dict[Seen, float]:
        """Return the `time.perf_counter()` of each wanted event once all have been seen; others are forgotten.

        The process is asked for all of them at once: an answer to each would take a processor from who is measured.
        """
        self._here.send(wanted)
        if not self._here.poll(seconds):
            raise TimeoutError(f"not within {seconds:g} s: one of {sorted(wanted)}")
        found: dict[Seen, float] = self._here.recv()
        return found


def listen(namespace: Namespace) -> socket.socket:
    """Open a socket that hears of every IPv4 route of a namespace."""
    with namespace.entered():
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    listener.bind((0, IPV4_ROUTE_GROUP))
    return listener


def watch(listeners: Mapping[str, socket.socket], questions: Connection) -> None:
    """Stamp every event for ever; answer each question once all that it asks for have been seen since the last."""
    # Whoever is measured keeps the processors busy: an ordinary process would see two events in one late look.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    selector = selectors.DefaultSelector()
    selector.register(questions, selectors.EVENT_READ, ("", None))
    for place, listener in listeners.items():
        selector.register(listener, selectors.EVENT_READ, (place, listener))
    wanted: set[Seen] = set()
    found: dict[Seen, float] = {}
    while True:
        ready = selector.select()
        moment = time.perf_counter()
        for key, _ in ready:
            place, listener = key.data
            if listener is None:
                wanted = questions.recv()
            else:
                for event in read_events(place, listener.recv(65536)):
                    found.setdefault(event, moment)
        if wanted and wanted <= found.keys():
            questions.send({event: found[event] for event in wanted})
            wanted, found = set(), {}


def read_events(place: str, datagram: bytes) -> Iterator[Seen]:
    """Yield the IPv4 route events of one netlink datagram (rtnetlink(7))."""
    offset = 0
    while offset + 28 <= len(datagram):
        length, kind = struct.unpack_from("=IH", datagram, offset)
        prefix_length = datagram[offset + 17]
        position = offset + 28
        while position + 4 <= offset + length:
            size, attribute = struct.unpack_from("=HH", datagram, position)
            if attribute == RTA_DST and kind in (RTM_NEWROUTE, RTM_DELROUTE):
                address = socket.inet_ntoa(datagram[position + 4 : position + 8])
                yield Seen(place, f"{address}/{prefix_length}", kind == RTM_DELROUTE)
            position += max((size + 3) & ~3, 4)
        offset += max((length + 3) & ~3, 16)
