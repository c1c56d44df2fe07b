"""Accepting TCP connections, from configured neighbours only."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from pybgp.errors import LocalError
from pybgp.transport.tcp_options import (
    identity,
    remove_authentication_keys,
    resolve,
    set_authentication_keys,
    set_password,
    set_ttl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pybgp.session.tcp_ao import TcpAoKey
    from pybgp.transport.tcp_options import SocketAddress

#: room for a burst of strangers, so that a neighbour among them is not left to try again in a second.
_BACKLOG: Final = 1024
#: Accept no more than this in one turn of the loop, so that a flood leaves time for others.
_ACCEPTS_PER_TURN: Final = 16
#: How long to rest when the process is out of file descriptors or the kernel out of memory, and between two lines
#: about refused connections.
_REST_SECONDS: Final = 1.0
_LARGEST_TTL: Final = 255

log = structlog.get_logger()


class _Range(NamedTuple):
    """Neighbours that are known by prefix only, on one link if it is link-local."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    scope: int
    accept: Callable[[socket.socket, str], str]

    def holds(self, host: str, scope: int) -> bool:
        """Say whether a connection from there is one of these."""
        return scope == self.scope and ipaddress.ip_address(host) in self.network


class Listener:
    """One listening socket, shared by all neighbours of a speaker that may come through it."""

    def __init__(self, host: str, port: int = 179) -> None:
        """``host`` is a numeric address, "0.0.0.0" or "::" for all."""
        self.host = host
        self.family, self._address = resolve(host, port)
        self._admitted: dict[tuple[str, int], Callable[[socket.socket], None]] = {}
        self._ranges: dict[str, _Range] = {}
        self._socket: socket.socket | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._refused = 0
        self._quiet_until = 0.0

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

    def admit(
        self,
        address: str,
        accept: Callable[[socket.socket], None],
        password: str | None = None,
        tcp_ao: Sequence[TcpAoKey] = (),
    ) -> None:
        """Hand connections from this address to ``accept``; SocketOptionError if they could not be signed."""
        self._sign(address, password, tcp_ao)
        self._admitted[self._key(address)] = accept

    def admit_range(
        self,
        prefix: str,
        accept: Callable[[socket.socket, str], str],
        password: str | None = None,
        tcp_ao: Sequence[TcpAoKey] = (),
    ) -> None:
        """Hand connections from a prefix, and the address they come from, to ``accept``; single addresses go first.

        ``accept`` returns why it does not take a connection, or nothing if it does.
        A link-local prefix has a scope behind its address: "fe80::%eth0/64".
        """
        self._sign(prefix, password, tcp_ao)
        host, _, length = prefix.partition("/")
        name, scope = self._key(host)
        network = ipaddress.ip_network(f"{name}/{length}")
        ranges = {**self._ranges, prefix: _Range(network, scope, accept)}
        by_length = sorted(ranges.items(), key=lambda item: item[1].network.prefixlen, reverse=True)
        self._ranges = dict(by_length)

    def dismiss(self, address: str, password: str | None = None, tcp_ao: Sequence[TcpAoKey] = ()) -> None:
        """Close connections from this address, or prefix, from now on."""
        if "/" in address:
            known = self._ranges.pop(address, None) is not None
        else:
            known = self._admitted.pop(self._key(address), None) is not None
        if known and self._socket is not None:
            # The kernel has no key to take away if the interface or namespace is gone; that is what we want.
            with contextlib.suppress(LocalError):
                remove_authentication_keys(self._socket, address, tcp_ao)
                if password is not None:
                    set_password(self._socket, address, None)

    def change_password(self, address: str, old: str | None, new: str | None) -> None:
        """Sign with another key from now on; a prefix means the key of all of it."""
        if self._socket is not None and (old, new) != (None, None):
            set_password(self._socket, address, new)

    def _sign(self, address: str, password: str | None, tcp_ao: Sequence[TcpAoKey]) -> None:
        if self._socket is None:
            raise LocalError(f"listener on {self.host}: not started")
        if password is not None:
            set_password(self._socket, address, password)
        set_authentication_keys(self._socket, address, tcp_ao)

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
            self._hand_over(connection, address)

    def _hand_over(self, connection: socket.socket, address: SocketAddress) -> None:
        connection.setblocking(False)
        host, scope = identity(address)
        accept = self._admitted.get((host, scope))
        if accept is not None:
            accept(connection)
            return
        for group in self._ranges.values():
            if group.holds(host, scope):
                reason = group.accept(connection, f"{host}%{socket.if_indextoname(scope)}" if scope else host)
                break
        else:
            reason = "no neighbour of this address, or one that is held down"
        if reason:
            connection.close()
            self._note_refusal(host, reason)

    def _note_refusal(self, host: str, reason: str) -> None:
        """A flood of connections must not become a flood of lines in the log."""
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            log.info("connection_refused", address=host, reason=reason, connections=self._refused)
            self._refused = 0
            self._quiet_until = now + _REST_SECONDS

    def _take_a_rest(self, error: OSError) -> None:
        """A listening socket that cannot be served stays readable: without a rest the loop would spin."""
        log.warning("accept_failed", host=self.host, error=os.strerror(error.errno or 0))
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
        self._rest = loop.call_later(_REST_SECONDS, self._watch)
