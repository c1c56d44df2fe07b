"""Opening a TCP connection to a neighbour."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from pybgp.errors import BgpError
from pybgp.transport.tcp_options import prepare, resolve, set_authentication_keys, set_interface, set_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.session.config import PeerConfig


class DialError(BgpError):
    """The connection could not be made now; a later attempt may succeed."""


async def open_connection(config: PeerConfig, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
    """Connect, and give the connection to a protocol, which reports it; errors as of `dial`."""
    connection = await dial(config)
    await asyncio.get_running_loop().create_connection(protocol, sock=connection)


async def dial(config: PeerConfig) -> socket.socket:
    """Return a connected socket; DialError if nobody answers, LocalError if it cannot work as configured."""
    family, address = resolve(config.address, config.port)
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        _set_up(connection, config)
        async with asyncio.timeout(config.connect_timeout):
            await asyncio.get_running_loop().sock_connect(connection, address)
    except TimeoutError as error:
        connection.close()
        raise DialError(_no_answer(config)) from error
    except OSError as error:
        connection.close()
        raise DialError(socket_error_text(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def socket_error_text(error: OSError | None) -> str:
    """Return a socket's error in the words of a status table."""
    if error is None:
        return "Socket: Connection closed"
    return f"Socket: {os.strerror(error.errno) if error.errno else error}"


def _set_up(connection: socket.socket, config: PeerConfig) -> None:
    """Everything that must be set before the SYN leaves (spec section 6.2)."""
    prepare(connection, config)
    if config.password is not None:
        set_password(connection, config.address, config.password)
    set_authentication_keys(connection, config.address, config.tcp_ao)
    if config.interface is not None:
        set_interface(connection, config.interface)
    if config.local_address is not None:
        _, source = resolve(config.local_address, 0)
        try:
            connection.bind(source)
        except OSError as error:
            raise DialError(f"Socket: {os.strerror(error.errno or 0)} ({config.local_address})") from error


def _no_answer(config: PeerConfig) -> str:
    """A wrong key looks like silence, so a configured one is worth a word."""
    hint = ""
    if config.password is not None:
        hint = " (no answer, password configured)"
    elif config.tcp_ao:
        hint = " (no answer, TCP-AO configured)"
    return f"Socket: Connection timed out{hint}"
