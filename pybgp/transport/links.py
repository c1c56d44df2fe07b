"""Which link a session runs over, and which addresses live on it: asked of the kernel (rtnetlink) once per session."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.rib.next_hops import is_link_local, is_on_link
from pybgp.wire.forms import prefix_octets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER: Final = struct.Struct("=IHHII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_GET_ADDRESSES: Final = 22
_NEW_ADDRESS: Final = 20
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_ERROR: Final = 2
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_BUFFER: Final = 1 << 16
_PATIENCE: Final = 1.0


class LinkAddress(NamedTuple):
    """An address of ours: the interface that it is on, its octets, and how long its network's prefix is."""

    interface: int
    address: bytes
    length: int

    @property
    def network(self) -> bytes:
        """The network as a prefix key."""
        return bytes([self.length]) + prefix_octets(self.address, self.length)


class Link(NamedTuple):
    """What we and a peer share: networks as prefix keys, and our own link-local address."""

    networks: tuple[bytes, ...] = ()
    link_local: bytes = b""


NO_LINK: Final = Link()


def find_link(local: bytes, peer: bytes, addresses: Sequence[LinkAddress], interface: int = 0) -> Link:
    """Return the link of a session between two packed addresses; NO_LINK if the peer is not a neighbour on one.

    ``interface`` tells links apart where the addresses are link-local.
    """
    ours = [one for one in addresses if one.address == local and interface in (0, one.interface)]
    for place in ours:
        if is_on_link(peer, [place.network]):
            here = [one for one in addresses if one.interface == place.interface]
            link_local = next((one.address for one in here if is_link_local(one.address)), b"")
            networks = {one.network for one in here if not is_link_local(one.address)}
            return Link(tuple(sorted(networks)), link_local)
    return NO_LINK


def scope_of(address: str) -> int:
    """Return the interface that a link-local address names behind a percent sign, 0 if it names none."""
    name = address.partition("%")[2]
    with contextlib.suppress(OSError):
        return int(name) if name.isdecimal() else socket.if_nametoindex(name) if name else 0
    return 0


def link_addresses() -> list[LinkAddress]:
    """Return every address of this network namespace; nothing where there is no rtnetlink."""
    with contextlib.suppress(OSError, AttributeError):
        return list(_dump())
    return []


def _dump() -> Iterator[LinkAddress]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.bind((0, 0))
        body = _ADDRESS.pack(0, 0, 0, 0, 0)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + body)
        while True:
            answer = kernel.recv(_BUFFER)
            position = 0
            while position + _HEADER.size <= len(answer):
                length, kind, *_ = _HEADER.unpack_from(answer, position)
                if kind in (_DONE, _ERROR) or length < _HEADER.size:
                    return
                if kind == _NEW_ADDRESS:
                    yield from _read_address(answer[position + _HEADER.size : position + length])
                position += (length + 3) & ~3


def _read_address(body: bytes) -> Iterator[LinkAddress]:
    _, length, _, _, interface = _ADDRESS.unpack_from(body)
    found: dict[int, bytes] = {}
    position = _ADDRESS.size
    while position + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, position)
        if size < _ATTRIBUTE.size:
            break
        found[kind] = body[position + _ATTRIBUTE.size : position + size]
        position += (size + 3) & ~3
    # Where a link has two ends, IFA_ADDRESS is the other one.
    address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if address:
        yield LinkAddress(interface, address, length)
