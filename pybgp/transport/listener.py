"""Accepting TCP connections, from configured neighbours only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Final

import structlog

from pybgp.errors import LocalError
from pybgp.transport.tcp_options import identity, resolve, set_password, set_ttl

if TYPE_CHECKING:
    from collections.abc import Callable

_BACKLOG: Final = 128
#: Accept no more than this in one turn of the loop, so that a flood leaves time for others.
_ACCEPTS_PER_TURN: Final = 16
#: How long to rest when the process is out of file descriptors or the kernel out of memory.
_REST_SECONDS: Final = 1.0
_LARGEST_TTL: Final = 255

log = structlog.get_logger()


class Listener:
    """One listening socket, shared by all neighbours of a speaker that may come through it."""

    def __init__(self, host: str, port: int = 179) -> None:
        """``host`` is a numeric address, "0.0.0.0" or "::" for all."""
        self.host = host
        self.family, self._address = resolve(host, port)
        self._admitted: dict[tuple[str, int], Callable[[socket.socket], None]] = {}
        self._socket: socket.socket | None = None
        self._rest: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port in use: the kernel's choice where 0 was asked for."""
        return int(self._socket.getsockname()[1]) if self._socket else self._address[1]

    def start(self) -> None:
        """Listen; LocalError names address and cause, such as a port that is taken."""
        listening = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # The SYN-ACK must pass the TTL security of those neighbours that use it (RFC 5082 section 3).
            set_ttl(listening, _LARGEST_TTL)
            listening.bind(self._address)
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            cause = os.strerror(error.errno or 0)
            raise LocalError(f"cannot listen on {self.host} port {self._address[1]}: {cause}") from error
        self._socket = listening
        self._watch()

    def close(self) -> None:
        """Stop listening; connections that were accepted live on."""
        if self._rest is not None:
            self._rest.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def admit(self, address: str, accept: Callable[[socket.socket], None], password: str | None = None) -> None:
        """Hand connections from this address to ``accept``; SocketOptionError if they could not be signed."""
        if self._socket is None:
            raise LocalError(f"listener on {self.host}: not started")
        if password is not None:
            set_password(self._socket, address, password)
        self._admitted[self._key(address)] = accept

    def dismiss(self, address: str, password: str | None = None) -> None:
        """Close connections from this address from now on."""
        if self._admitted.pop(self._key(address), None) is None or self._socket is None:
            return
        if password is not None:
            # The kernel has no key to take away if the interface or namespace is gone; that is what we want.
            with contextlib.suppress(LocalError):
                set_password(self._socket, address, None)

    def _key(self, address: str) -> tuple[str, int]:
        return identity(resolve(address, 0)[1])

    def _watch(self) -> None:
        self._rest = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Take what waits in the backlog, within bounds."""
        for _ in range(_ACCEPTS_PER_TURN):
            if self._socket is None:
                return
            try:
                connection, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._take_a_rest(error)
                return
            accept = self._admitted.get(identity(address))
            if accept is None:
                log.info("connection_refused", address=address[0], reason="no such neighbour")
                connection.close()
            else:
                connection.setblocking(False)
                accept(connection)

    def _take_a_rest(self, error: OSError) -> None:
        """A listening socket that cannot be served stays readable: without a rest the loop would spin."""
        log.warning("accept_failed", host=self.host, error=os.strerror(error.errno or 0))
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
        self._rest = loop.call_later(_REST_SECONDS, self._watch)
