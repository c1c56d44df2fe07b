"""Links, addresses and neighbours as rtnetlink bodies, and back (rtnetlink(7))."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

from calico_routing.kernel.netlink.codec import (
    attribute,
    attribute_text,
    attribute_u32,
    attributes,
    malformed,
    number_of,
    text_of,
)
from calico_routing.kernel.netlink.routes import format_address, pack_address, split_prefix
from calico_routing.kernel.netlink.values import InterfaceAddress, Link, Neighbour

INTERFACE: Final = Struct("=BBHiII")
ADDRESS: Final = Struct("=BBBBI")
NEIGHBOUR: Final = Struct("=BBHiHBB")

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_LINK: Final = 5
IFLA_MASTER: Final = 10
IFLA_LINKINFO: Final = 18
IFLA_NET_NS_FD: Final = 28
IFLA_EXT_MASK: Final = 29
IFLA_LINK_NETNSID: Final = 37
IFLA_INFO_KIND: Final = 1
IFLA_INFO_DATA: Final = 2
VETH_INFO_PEER: Final = 1
RTEXT_FILTER_SKIP_STATS: Final = 8

IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_LABEL: Final = 3
IFA_BROADCAST: Final = 4
IFA_FLAGS: Final = 8
IFA_F_NODAD: Final = 0x02

NDA_DST: Final = 1
NDA_LLADDR: Final = 2

IFF_UP: Final = 0x1
IFF_RUNNING: Final = 0x40
IFF_LOWER_UP: Final = 0x10000

#: All links, without their counters.
DUMP_LINKS: Final = INTERFACE.pack(0, 0, 0, 0, 0, 0) + attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


def pack_link_address(text: str) -> bytes:
    """``ee:ee:ee:ee:ee:ee`` as octets."""
    try:
        octets = bytes.fromhex(text.replace(":", ""))
    except ValueError as error:
        raise ValueError(f"link address {text!r}: expected six octets in hex") from error
    if len(octets) != 6 or text.count(":") != 5:
        raise ValueError(f"link address {text!r}: expected six octets in hex")
    return octets


def encode_link(
    *,
    index: int = 0,
    name: str = "",
    up: bool | None = None,
    mtu: int = 0,
    address: str = "",
    namespace: int | None = None,
) -> bytes:
    """An ifinfomsg with what is to be set; ``up=None`` leaves the state alone."""
    wanted, mask = (IFF_UP if up else 0), (0 if up is None else IFF_UP)
    body = INTERFACE.pack(socket.AF_UNSPEC, 0, 0, index, wanted, mask)
    if name:
        body += attribute_text(IFLA_IFNAME, name)
    if mtu:
        body += attribute_u32(IFLA_MTU, mtu)
    if address:
        body += attribute(IFLA_ADDRESS, pack_link_address(address))
    if namespace is not None:
        body += attribute_u32(IFLA_NET_NS_FD, namespace)
    return body


def encode_new_link(link: bytes, kind: str, data: bytes = b"") -> bytes:
    """A link of this kind; ``data`` holds the attributes of the kind."""
    information = attribute_text(IFLA_INFO_KIND, kind)
    if data:
        information += attribute(IFLA_INFO_DATA, data)
    return link + attribute(IFLA_LINKINFO, information)


def encode_veth(link: bytes, peer: bytes) -> bytes:
    """A veth pair: both ends as made by encode_link, the peer in its own namespace from birth."""
    return encode_new_link(link, "veth", attribute(VETH_INFO_PEER, peer))


def decode_link(buffer: bytes, start: int, end: int) -> Link | None:
    """RTM_NEWLINK or RTM_DELLINK; None for what a bridge says about its ports (another family)."""
    if end - start < INTERFACE.size:
        raise malformed("link without its header")
    family, _, _, index, flags, _ = INTERFACE.unpack_from(buffer, start)
    if family != socket.AF_UNSPEC:
        return None
    found = attributes(buffer, start + INTERFACE.size, end)
    information = found.get(IFLA_LINKINFO, b"")
    kind = attributes(information, 0, len(information)).get(IFLA_INFO_KIND, b"")
    namespace = found.get(IFLA_LINK_NETNSID)
    return Link(
        index,
        text_of(found.get(IFLA_IFNAME, b"")),
        text_of(kind),
        bool(flags & IFF_UP),
        bool(flags & IFF_LOWER_UP),
        number_of(found.get(IFLA_MTU)),
        found.get(IFLA_ADDRESS, b"").hex(":"),
        number_of(found.get(IFLA_MASTER)),
        number_of(found.get(IFLA_LINK)),
        None if namespace is None else number_of(namespace),
    )


def encode_address(address: InterfaceAddress) -> bytes:
    """An ifaddrmsg; IPv6 addresses skip duplicate detection, as the pod's own link has no other host."""
    family, packed, length = split_prefix(address.address)
    flags = address.flags | (IFA_F_NODAD if family == socket.AF_INET6 else 0)
    body = ADDRESS.pack(family, length, flags & 0xFF, address.scope, address.ifindex)
    body += attribute(IFA_LOCAL, packed)
    peer = pack_address(family, address.peer.partition("/")[0]) if address.peer else packed
    body += attribute(IFA_ADDRESS, peer)
    if address.broadcast:
        body += attribute(IFA_BROADCAST, pack_address(family, address.broadcast))
    if address.label:
        body += attribute_text(IFA_LABEL, address.label)
    return body


def dump_addresses(family: int = socket.AF_UNSPEC) -> bytes:
    """A request for all addresses of a family."""
    return ADDRESS.pack(family, 0, 0, 0, 0)


def decode_address(buffer: bytes, start: int, end: int) -> InterfaceAddress | None:
    """RTM_NEWADDR or RTM_DELADDR; None for a family other than IPv4 and IPv6."""
    if end - start < ADDRESS.size:
        raise malformed("address without its header")
    family, length, flags, scope, index = ADDRESS.unpack_from(buffer, start)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(buffer, start + ADDRESS.size, end)
    remote = found.get(IFA_ADDRESS, b"")
    local = found.get(IFA_LOCAL, remote)
    peer = None if remote in (local, b"") else f"{format_address(family, remote)}/{length}"
    if IFA_FLAGS in found:
        flags = number_of(found[IFA_FLAGS])
    label = text_of(found.get(IFA_LABEL, b""))
    own_length = length if peer is None else len(local) * 8
    broadcast = format_address(family, found[IFA_BROADCAST]) if IFA_BROADCAST in found else None
    return InterfaceAddress(
        f"{format_address(family, local)}/{own_length}", index, scope, label, flags, peer, broadcast
    )


def encode_neighbour(neighbour: Neighbour) -> bytes:
    """An ndmsg."""
    family = socket.AF_INET6 if ":" in neighbour.address else socket.AF_INET
    body = NEIGHBOUR.pack(family, 0, 0, neighbour.ifindex, neighbour.state, neighbour.flags, 0)
    body += attribute(NDA_DST, pack_address(family, neighbour.address))
    if neighbour.link_address:
        body += attribute(NDA_LLADDR, pack_link_address(neighbour.link_address))
    return body


def dump_neighbours(family: int = socket.AF_INET) -> bytes:
    """A request for all neighbours of a family."""
    return NEIGHBOUR.pack(family, 0, 0, 0, 0, 0, 0)


def decode_neighbour(buffer: bytes, start: int, end: int) -> Neighbour | None:
    """RTM_NEWNEIGH; None for a family other than IPv4 and IPv6."""
    if end - start < NEIGHBOUR.size:
        raise malformed("neighbour without its header")
    family, _, _, index, state, flags, _ = NEIGHBOUR.unpack_from(buffer, start)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(buffer, start + NEIGHBOUR.size, end)
    address = format_address(family, found[NDA_DST]) if NDA_DST in found else ""
    return Neighbour(address, index, found.get(NDA_LLADDR, b"").hex(":"), state, flags)
