"""Routes as rtnetlink bodies, and back (rtnetlink(7))."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address
from struct import Struct
from sys import byteorder
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.kernel.netlink.codec import ATTRIBUTE, attribute, attribute_u32, attributes, malformed, number_of
from calico_routing.kernel.netlink.errors import KernelError
from calico_routing.kernel.netlink.values import (
    DEVICELESS_KINDS,
    ROUTE_KINDS,
    SCOPE_UNIVERSE,
    KernelRoute,
    NextHop,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUTE: Final = Struct("=BBBBBBBBI")
NEXT_HOP: Final = Struct("=HBBi")

RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_PRIORITY: Final = 6
RTA_PREFSRC: Final = 7
RTA_MULTIPATH: Final = 9
RTA_TABLE: Final = 15
RTA_VIA: Final = 18

RTNH_F_ONLINK: Final = 4
RTM_F_CLONED: Final = 0x200
SCOPE_NOWHERE: Final = 255

ENODEV: Final = 19

#: Octets of an address, by family.
WIDTHS: Final[Mapping[int, int]] = {socket.AF_INET: 4, socket.AF_INET6: 16}
_IPV4_STARTS: Final = {str(length): bytes((socket.AF_INET, length)) for length in range(33)}
KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(ROUTE_KINDS)}


def pack_address(family: int, text: str) -> bytes:
    """An address as octets."""
    try:
        return socket.inet_pton(family, text)
    except OSError as error:
        raise ValueError(
            f"address {text!r}: not an {'IPv6' if family == socket.AF_INET6 else 'IPv4'} address"
        ) from error


def format_address(family: int, packed: bytes) -> str:
    """Octets as an address."""
    if len(packed) != WIDTHS.get(family):
        raise malformed(f"address of {len(packed)} octets in family {family}")
    text = socket.inet_ntop(family, packed)
    if family == socket.AF_INET6 and "." in text:
        return str(IPv6Address(packed))  # libc prints ::1:0 as ::0.1.0.0, nobody else does
    return text


def split_prefix(text: str) -> tuple[int, bytes, int]:
    """``10.0.0.0/8`` as family, octets and length; without a length it is a host."""
    address, slash, length_text = text.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = pack_address(family, address)
    bits = len(packed) * 8
    if not slash:
        return family, packed, bits
    if not length_text.isdecimal() or int(length_text) > bits:
        raise ValueError(f"prefix {text!r}: the length must be a number from 0 to {bits}")
    return family, packed, int(length_text)


def _family_start_and_octets(destination: str) -> tuple[int, bytes, bytes]:
    """A destination as family, the first two octets of its rtmsg, and its address."""
    address, _, length = destination.partition("/")
    start = _IPV4_STARTS.get(length)
    if start is not None and ":" not in address:
        return socket.AF_INET, start, pack_address(socket.AF_INET, address)
    family, packed, bits = split_prefix(destination)
    return family, bytes((family, bits)), packed


class Frame(NamedTuple):
    """What surrounds the address of a destination in the body of a request."""

    before: bytes
    after: bytes


_NO_FRAME: Final[tuple[int, tuple[object, ...], Frame]] = (0, (), Frame(b"", b""))


class RouteEncoder:
    """Routes to rtmsg bodies; what surrounds the address is made once for all routes that share it.

    Tables change in runs of routes that differ in nothing but their destination: the frame of the last one is tried
    first, since to compare two equal tuples of the same values is cheaper than to hash one.
    """

    __slots__ = ("_addition", "_deletion", "_frames", "_indexes")

    def __init__(self, indexes: Mapping[str, int]) -> None:
        """Device names to numbers; the mapping may change, then call forget()."""
        self._indexes = indexes
        self._frames: dict[tuple[bool, int, tuple[object, ...]], Frame] = {}
        self._addition = self._deletion = _NO_FRAME

    def forget(self) -> None:
        """Device numbers have changed."""
        self._frames.clear()
        self._addition = self._deletion = _NO_FRAME

    def encode(self, route: KernelRoute) -> bytes:
        """The body of RTM_NEWROUTE."""
        family, start, packed = _family_start_and_octets(route.destination)
        shape = route[1:]
        last_family, last_shape, frame = self._addition
        if shape != last_shape or family != last_family:
            frame = self.frame(family, route, deletes=False)
            self._addition = family, shape, frame
        return start + frame.before + packed + frame.after

    def encode_deletion(self, route: KernelRoute) -> bytes:
        """The body of RTM_DELROUTE: only a route of this protocol, and of this kind and only next hop where named."""
        family, start, packed = _family_start_and_octets(route.destination)
        shape = route[1:]
        last_family, last_shape, frame = self._deletion
        if shape != last_shape or family != last_family:
            frame = self.frame(family, route, deletes=True)
            self._deletion = family, shape, frame
        return start + frame.before + packed + frame.after

    def frame(self, family: int, route: KernelRoute, *, deletes: bool) -> Frame:
        """What surrounds the address in routes like this one, but for the first two octets of the rtmsg."""
        key = deletes, family, route[1:]
        frame = self._frames.get(key)
        if frame is None:
            rest, after = self._encode_deletion(family, route) if deletes else self._encode_addition(family, route)
            before = rest[2:] + ATTRIBUTE.pack(WIDTHS[family] + ATTRIBUTE.size, RTA_DST)
            frame = self._frames[key] = Frame(before, after)
        return frame

    def _encode_deletion(self, family: int, route: KernelRoute) -> tuple[bytes, bytes]:
        table = route.table if route.table < 256 else 0
        number = 0 if route.kind == "unicast" else KIND_NUMBERS[route.kind]
        header = ROUTE.pack(family, 0, 0, route.type_of_service, table, route.protocol, SCOPE_NOWHERE, number, 0)
        after = attribute_u32(RTA_TABLE, route.table) if route.table > 255 else b""
        if route.metric:
            after += attribute_u32(RTA_PRIORITY, route.metric)
        return header, after + (self._encode_hop(family, route.next_hops[0]) if len(route.next_hops) == 1 else b"")

    def _encode_addition(self, family: int, route: KernelRoute) -> tuple[bytes, bytes]:
        hops = () if route.kind in DEVICELESS_KINDS else route.next_hops
        flags = RTNH_F_ONLINK if len(hops) == 1 and hops[0].onlink else 0
        table = route.table if route.table < 256 else 0
        number = KIND_NUMBERS[route.kind]
        header = ROUTE.pack(family, 0, 0, route.type_of_service, table, route.protocol, route.scope, number, flags)
        tail = attribute_u32(RTA_TABLE, route.table) if route.table > 255 else b""
        if route.metric:
            tail += attribute_u32(RTA_PRIORITY, route.metric)
        if route.preferred_source:
            tail += attribute(RTA_PREFSRC, pack_address(family, route.preferred_source))
        if len(hops) == 1:
            return header, tail + self._encode_hop(family, hops[0])
        if hops:
            tail += attribute(RTA_MULTIPATH, b"".join(self._encode_leg(family, hop) for hop in hops))
        return header, tail

    def _encode_hop(self, family: int, hop: NextHop) -> bytes:
        body = _encode_gateway(family, hop.gateway) if hop.gateway else b""
        return body + (attribute_u32(RTA_OIF, self._index(hop.device)) if hop.device else b"")

    def _encode_leg(self, family: int, hop: NextHop) -> bytes:
        gateway = _encode_gateway(family, hop.gateway) if hop.gateway else b""
        index = self._index(hop.device) if hop.device else 0
        flags = RTNH_F_ONLINK if hop.onlink else 0
        return NEXT_HOP.pack(NEXT_HOP.size + len(gateway), flags, hop.weight - 1, index) + gateway

    def _index(self, device: str) -> int:
        try:
            return self._indexes[device]
        except KeyError:
            raise KernelError(ENODEV, f"find device {device}", "no such device") from None


def _encode_gateway(family: int, gateway: str) -> bytes:
    """RTA_GATEWAY, or RTA_VIA where an IPv4 route has an IPv6 gateway (RFC 8950)."""
    if ":" in gateway and family == socket.AF_INET:
        return attribute(RTA_VIA, int(socket.AF_INET6).to_bytes(2, byteorder) + pack_address(socket.AF_INET6, gateway))
    return attribute(RTA_GATEWAY, pack_address(family, gateway))


def dump_routes(family: int, *, protocol: int | None = None, table: int = 0) -> bytes:
    """A request for the routes of a family, which the kernel filters by protocol and table."""
    body = ROUTE.pack(family, 0, 0, 0, table if table < 256 else 0, protocol or 0, SCOPE_UNIVERSE, 0, 0)
    return body + (attribute_u32(RTA_TABLE, table) if table else b"")


def decode_route(buffer: bytes, start: int, end: int, names: Mapping[int, str]) -> KernelRoute | None:
    """RTM_NEWROUTE or RTM_DELROUTE; None for cached clones and for families other than IPv4 and IPv6."""
    if end - start < ROUTE.size:
        raise malformed("route without its header")
    family, length, _, service, table, protocol, scope, number, flags = ROUTE.unpack_from(buffer, start)
    if family not in WIDTHS or flags & RTM_F_CLONED:
        return None
    found = attributes(buffer, start + ROUTE.size, end)
    kind = ROUTE_KINDS[number] if number < len(ROUTE_KINDS) else str(number)
    packed = found.get(RTA_DST, bytes(WIDTHS[family]))
    source = found.get(RTA_PREFSRC)
    return KernelRoute(
        f"{format_address(family, packed)}/{length}",
        kind,
        () if kind in DEVICELESS_KINDS else _next_hops(family, found, flags, names),
        protocol,
        number_of(found[RTA_TABLE]) if RTA_TABLE in found else table,
        number_of(found.get(RTA_PRIORITY)),
        scope,
        format_address(family, source) if source else None,
        service,
    )


def _next_hops(family: int, found: Mapping[int, bytes], flags: int, names: Mapping[int, str]) -> tuple[NextHop, ...]:
    if RTA_MULTIPATH in found:
        return _legs(family, found[RTA_MULTIPATH], names)
    if RTA_OIF not in found and RTA_GATEWAY not in found:
        return ()
    index = number_of(found.get(RTA_OIF))
    return (NextHop(_gateway(family, found), _device(names, index), bool(flags & RTNH_F_ONLINK)),)


def _legs(family: int, payload: bytes, names: Mapping[int, str]) -> tuple[NextHop, ...]:
    legs: list[NextHop] = []
    offset = 0
    while offset + NEXT_HOP.size <= len(payload):
        length, flags, hops, index = NEXT_HOP.unpack_from(payload, offset)
        if length < NEXT_HOP.size or offset + length > len(payload):
            raise malformed(f"next hop of {length} octets, {len(payload) - offset} left")
        gateway = _gateway(family, attributes(payload, offset + NEXT_HOP.size, offset + length))
        legs.append(NextHop(gateway, _device(names, index), bool(flags & RTNH_F_ONLINK), hops + 1))
        offset += (length + 3) & ~3
    return tuple(sorted(legs, key=_leg_order))


def _leg_order(hop: NextHop) -> tuple[str, str]:
    return hop.gateway or "", hop.device or ""


def _gateway(family: int, found: Mapping[int, bytes]) -> str | None:
    if RTA_GATEWAY in found:
        return format_address(family, found[RTA_GATEWAY])
    via = found.get(RTA_VIA)
    if via is None:
        return None
    return format_address(number_of(via[:2]), via[2:])


def _device(names: Mapping[int, str], index: int) -> str | None:
    return names.get(index, f"#{index}") if index else None
