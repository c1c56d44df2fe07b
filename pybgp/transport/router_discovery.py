"""Routers on a link without addresses find each other by router advertisements (RFC 4861 section 6)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

import structlog

from pybgp.rib.next_hops import is_link_local

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between advertisements, and after each of the first ones.
ADVERTISEMENT_SECONDS: Final = 10.0
_FIRST_SECONDS: Final = (1.0, 2.0)
_SOLICITATION: Final = 133
_ADVERTISEMENT: Final = 134
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
#: What came from this far away came from the link (RFC 4861 section 6.1).
_HOP_LIMIT: Final = 255
_SHORTEST_ADVERTISEMENT: Final = 16
_ICMPV6_FILTER: Final = 1
_LONGEST: Final = 2048
_MESSAGES_PER_TURN: Final = 16

log = structlog.get_logger("pybgp")


def advertisement() -> bytes:
    """Return an advertisement by a router that is nobody's default: hosts on the link change nothing (lifetime 0)."""
    return struct.pack(">BBHBBHII", _ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)


def solicitation() -> bytes:
    """Return the question who is a router here."""
    return struct.pack(">BBHI", _SOLICITATION, 0, 0, 0)


def is_advertisement(message: bytes, hop_limit: int, source: bytes) -> bool:
    """Say whether a message is an advertisement of a router on this link (RFC 4861 section 6.1.2)."""
    is_valid = len(message) >= _SHORTEST_ADVERTISEMENT and message[0] == _ADVERTISEMENT and message[1] == 0
    return is_valid and hop_limit == _HOP_LIMIT and is_link_local(source)


def _only(*kinds: int) -> bytes:
    """Return a filter that keeps all other kinds of message away (RFC 3542 section 3.2; Linux blocks by set bits)."""
    words = [0xFFFFFFFF] * 8
    for kind in kinds:
        words[kind // 32] &= ~(1 << kind % 32)
    return struct.pack("=8I", *words)


class RouterDiscovery:
    """One link: says that we are there, and calls back with the link-local address of whoever else is."""

    def __init__(self, interface: str, found: Callable[[str], None]) -> None:
        """``found`` is given addresses with their zone, "fe80::1%eth0", each time one is heard."""
        self._interface = interface
        self._found = found
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self._problem = ""

    def start(self) -> None:
        """Begin; an interface that is not there yet is looked for again and again."""
        self._sent = 0
        self._tick()

    def stop(self) -> None:
        """Be silent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _tick(self) -> None:
        try:
            link = self._socket or self._open()
            self._send(link, _ALL_NODES, advertisement())
            self._send(link, _ALL_ROUTERS, solicitation())
            self._problem = ""
        except OSError as error:
            self._close()
            self._note(error)
        seconds = _FIRST_SECONDS[self._sent] if self._sent < len(_FIRST_SECONDS) else ADVERTISEMENT_SECONDS
        self._sent += 1
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _note(self, error: OSError) -> None:
        problem = os.strerror(error.errno or 0)
        if problem != self._problem:
            self._problem = problem
            log.warning("router_discovery_failed", interface=self._interface, error=problem)

    def _open(self) -> socket.socket:
        index = socket.if_nametoindex(self._interface)
        link = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            link.setblocking(False)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode() + b"\0")
            link.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, _only(_SOLICITATION, _ADVERTISEMENT))
            for option, value in (
                (socket.IPV6_MULTICAST_IF, index),
                (socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT),
                (socket.IPV6_UNICAST_HOPS, _HOP_LIMIT),
                (socket.IPV6_MULTICAST_LOOP, 0),
                (socket.IPV6_RECVHOPLIMIT, 1),
            ):
                link.setsockopt(socket.IPPROTO_IPV6, option, value)
            for group in (_ALL_NODES, _ALL_ROUTERS):
                membership = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index)
                link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        except OSError:
            link.close()
            raise
        self._socket = link
        asyncio.get_running_loop().add_reader(link, self._read)
        return link

    def _send(self, link: socket.socket, group: str, message: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            link.sendto(message, (group, 0, 0, socket.if_nametoindex(self._interface)))

    def _read(self) -> None:
        for _ in range(_MESSAGES_PER_TURN):
            link = self._socket
            if link is None:
                return
            try:
                message, ancillary, _, address = link.recvmsg(_LONGEST, socket.CMSG_SPACE(4))
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._close()
                self._note(error)
                return
            self._hear(link, message, ancillary, address[0].partition("%")[0])

    def _hear(self, link: socket.socket, message: bytes, ancillary: list[tuple[int, int, bytes]], host: str) -> None:
        limits = [
            struct.unpack("=i", data[:4])[0]
            for level, kind, data in ancillary
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
        ]
        source = socket.inet_pton(socket.AF_INET6, host)
        if message[:1] == bytes([_SOLICITATION]):
            with contextlib.suppress(OSError):
                self._send(link, _ALL_NODES, advertisement())
        elif limits and is_advertisement(message, limits[0], source):
            self._found(f"{host}%{self._interface}")
