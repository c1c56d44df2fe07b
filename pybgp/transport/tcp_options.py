"""Socket options of BGP connections: MD5 signatures, TTL security, source and interface (spec section 6.2)."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybgp.session.config import PeerConfig
    from pybgp.session.tcp_ao import TcpAoKey

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

#: linux/tcp.h and linux/in.h, in6.h: the socket module has no names for these.
_TCP_MD5SIG: Final = 14
_IP_MINTTL: Final = 21
_IPV6_MINHOPCOUNT: Final = 73
_LARGEST_TTL: Final = 255
_TCP_MD5SIG_EXT: Final = 32
_TCP_AO_ADD_KEY: Final = 38
_TCP_AO_DEL_KEY: Final = 39
_KEY_LENGTH: Final = 80
#: The key counts for a whole prefix (TCP_MD5SIG_FLAG_PREFIX).
_MD5_PREFIX: Final = 1
#: The first key of a connection is the one that we sign with, and ask the peer to sign with.
_AO_CURRENT_AND_NEXT: Final = 0b11
#: Only listening sockets let a key go without a look at who uses it.
_AO_DELETE_LATER: Final = 0b100
#: struct tcp_md5sig: address 128, flags, prefix length, key length, interface, key 80.
_MD5_SIGNATURE: Final = struct.Struct("=128sBBHi80s")
#: struct tcp_ao_add: address 128, algorithm 64, interface, bits, reserved, prefix length, ids, MAC length, flags, key.
_AO_KEY: Final = struct.Struct("=128s64siI2xBBBBBB80s")
#: struct tcp_ao_del: address 128, interface, bits, reserved, prefix length, ids, current and next key, flags.
_AO_REMOVAL: Final = struct.Struct("=128siI2xBBBBBB")
_LINGER_RESET: Final = struct.pack("ii", 1, 0)


class SocketOptionError(LocalError):
    """The kernel refused an option without which the connection must not be made."""


def resolve(address: str, port: int) -> tuple[socket.AddressFamily, SocketAddress]:
    """Return family and socket address of a numeric address, with its scope if it is link-local."""
    try:
        found = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise LocalError(f"address {address!r}: {error.strerror}") from error
    family, _, _, _, socket_address = found[0]
    return family, socket_address  # type: ignore[return-value]  # the stub allows what only raw sockets have


def identity(socket_address: SocketAddress) -> tuple[str, int]:
    """Return what makes two socket addresses the same neighbour: host and scope."""
    return (socket_address[0].split("%")[0], socket_address[3] if len(socket_address) == 4 else 0)


def sending_ttl(config: PeerConfig) -> int:
    """Return the TTL of what we send: 1 towards an external neighbour, unless told otherwise (RFC 5082)."""
    if config.ttl_security_hops is not None:
        return _LARGEST_TTL
    if config.ttl is not None:
        return config.ttl
    return _LARGEST_TTL if config.internal else 1


def prepare(connection: socket.socket, config: PeerConfig) -> None:
    """Set what concerns the octets of a connection: no delay, TTL, and TTL security."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    set_ttl(connection, sending_ttl(config))
    if config.ttl_security_hops is not None:
        _set_minimum_ttl(connection, _LARGEST_TTL + 1 - config.ttl_security_hops)


def set_ttl(connection: socket.socket, ttl: int) -> None:
    """Set the TTL or hop limit of what is sent."""
    if connection.family == socket.AF_INET6:
        _set(connection, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl, f"hop limit {ttl}")
    else:
        _set(connection, socket.IPPROTO_IP, socket.IP_TTL, ttl, f"TTL {ttl}")


def _set_minimum_ttl(connection: socket.socket, ttl: int) -> None:
    """Let the kernel drop what came from further away (RFC 5082 section 3)."""
    if connection.family == socket.AF_INET6:
        _set(connection, socket.IPPROTO_IPV6, _IPV6_MINHOPCOUNT, ttl, f"minimum hop limit {ttl}")
    else:
        _set(connection, socket.IPPROTO_IP, _IP_MINTTL, ttl, f"minimum TTL {ttl}")


def set_password(connection: socket.socket, address: str, password: str | None) -> None:
    """Sign what goes to and check what comes from a neighbour, or all of a prefix (RFC 2385); None removes the key.

    On a connection that is up the new key counts from the next segment on.
    """
    key = (password or "").encode()
    if len(key) > _KEY_LENGTH:
        raise SocketOptionError(f"TCP MD5 password of {len(key)} octets: at most {_KEY_LENGTH} fit")
    host, _, length = address.partition("/")
    option, flags = (_TCP_MD5SIG_EXT, _MD5_PREFIX) if length else (_TCP_MD5SIG, 0)
    value = _MD5_SIGNATURE.pack(_packed_address(host), flags, int(length or 0), len(key), 0, key)
    _set(connection, socket.IPPROTO_TCP, option, value, f"TCP MD5 password for {address}")


def set_authentication_keys(connection: socket.socket, address: str, keys: Sequence[TcpAoKey]) -> None:
    """Authenticate every segment by TCP-AO, the first key being the one we use (RFC 5925)."""
    packed, prefix_length = _packed_prefix(address)
    is_listening = bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    for number, key in enumerate(keys):
        value = _AO_KEY.pack(
            packed,
            key.algorithm.encode(),
            0,
            0 if number or is_listening else _AO_CURRENT_AND_NEXT,
            prefix_length,
            key.send_id,
            key.receive_id,
            key.mac_length,
            0,
            len(key.key.encode()),
            key.key.encode(),
        )
        _set(connection, socket.IPPROTO_TCP, _TCP_AO_ADD_KEY, value, f"TCP-AO key {key.send_id} for {address}")


def remove_authentication_keys(listening: socket.socket, address: str, keys: Sequence[TcpAoKey]) -> None:
    """Take the TCP-AO keys of a neighbour away from a listening socket."""
    packed, prefix_length = _packed_prefix(address)
    for key in keys:
        value = _AO_REMOVAL.pack(packed, 0, _AO_DELETE_LATER, prefix_length, key.send_id, key.receive_id, 0, 0, 0)
        _set(listening, socket.IPPROTO_TCP, _TCP_AO_DEL_KEY, value, f"TCP-AO key {key.send_id} for {address}")


def set_interface(connection: socket.socket, interface: str) -> None:
    """Bind to an interface, a VRF for example."""
    value = interface.encode() + b"\0"
    _set(connection, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, value, f"interface {interface}")


def set_reset_on_close(connection: socket.socket) -> None:
    """Let close send a reset and forget what is still queued."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)


def _packed_prefix(address: str) -> tuple[bytes, int]:
    """Return address and length of a prefix; an address alone is the longest one."""
    host, _, length = address.partition("/")
    family, _ = resolve(host, 0)
    longest = 32 if family == socket.AF_INET else 128
    return _packed_address(host), int(length) if length else longest


def _packed_address(address: str) -> bytes:
    """struct sockaddr_storage, whose port is ignored."""
    family, socket_address = resolve(address, 0)
    packed = socket.inet_pton(family, socket_address[0].split("%")[0])
    if family == socket.AF_INET:
        return struct.pack("=HH", family, 0) + packed
    scope = socket_address[3] if len(socket_address) == 4 else 0
    return struct.pack("=HHI", family, 0, 0) + packed + struct.pack("=I", scope)


def _set(connection: socket.socket, level: int, option: int, value: int | bytes, what: str) -> None:
    try:
        connection.setsockopt(level, option, value)
    except OSError as error:
        raise SocketOptionError(f"{what} cannot be set: {os.strerror(error.errno or 0)}") from error
