"""EVPN routes (RFC 7432 section 7, RFC 9136 section 3.1, RFC 9251 section 9): types 1 to 6 typed, 7 to 11 opaque.

A label field is three octets as they stand: a VNI, or a label of 20 bits and four bits behind it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from pybgp.errors import LocalError
from pybgp.wire.forms import (
    DISTINGUISHER,
    ESI,
    MAC,
    OPAQUE,
    Form,
    address,
    format_address,
    number,
    optional,
    prefix_octets,
    record,
    tagged,
)
from pybgp.wire.nlri.row import NlriContext, NlriDetails, NlriError, NlriFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAC_BITS: Final = 48
_NO_ESI: Final = bytes(10)
#: IANA's EVPN route types that we keep as octets.
_OPAQUE_TYPES: Final = range(7, 12)
_ROUTER_MAC: Final = b"\x06\x03"


class EthernetAutoDiscovery(NamedTuple):
    """Route type 1 (RFC 7432 section 7.1)."""

    distinguisher: bytes
    esi: bytes
    tag: int
    label: int


class MacIp(NamedTuple):
    """Route type 2 (RFC 7432 section 7.2); ``address`` is empty where only the MAC is told."""

    distinguisher: bytes
    esi: bytes
    tag: int
    mac: bytes
    address: bytes
    label: int
    second_label: int | None = None


class InclusiveMulticast(NamedTuple):
    """Route type 3 (RFC 7432 section 7.3)."""

    distinguisher: bytes
    tag: int
    address: bytes


class EthernetSegment(NamedTuple):
    """Route type 4 (RFC 7432 section 7.4)."""

    distinguisher: bytes
    esi: bytes
    address: bytes


class IpPrefix(NamedTuple):
    """Route type 5 (RFC 9136 section 3.1); address and gateway have all their 4 or 16 octets."""

    distinguisher: bytes
    esi: bytes
    tag: int
    length: int
    address: bytes
    gateway: bytes
    label: int


class SelectiveMulticast(NamedTuple):
    """Route type 6 (RFC 9251 section 9.1)."""

    distinguisher: bytes
    tag: int
    source: bytes
    group: bytes
    originator: bytes
    flags: int


class OpaqueRoute(NamedTuple):
    """Any other route type, as it came."""

    kind: int
    body: bytes


EvpnRoute: TypeAlias = (
    EthernetAutoDiscovery | MacIp | InclusiveMulticast | EthernetSegment | IpPrefix | SelectiveMulticast | OpaqueRoute
)


def _number(body: bytes, start: int, size: int) -> int:
    return int.from_bytes(body[start : start + size], "big")


def _counted_address(body: bytes, at: int, *lengths: int) -> bytes:
    """Return the address behind its length in bits."""
    bits = body[at] if at < len(body) else -1
    found = body[at + 1 : at + 1 + bits // 8]
    if bits not in lengths or len(found) != bits // 8:
        raise NlriError(f"an address of {bits} bits in {body.hex()}")
    return found


def _exactly(body: bytes, *lengths: int) -> None:
    if len(body) not in lengths:
        raise NlriError(f"{len(body)} octets, {lengths} are allowed")


def _decode_auto_discovery(body: bytes) -> EthernetAutoDiscovery:
    _exactly(body, 25)
    return EthernetAutoDiscovery(body[:8], body[8:18], _number(body, 18, 4), _number(body, 22, 3))


def _decode_mac_ip(body: bytes) -> MacIp:
    _exactly(body, 33, 36, 37, 40, 49, 52)
    if body[22] != _MAC_BITS:
        raise NlriError(f"a MAC address of {body[22]} bits")
    ip = _counted_address(body, 29, 0, 32, 128)
    labels = body[30 + len(ip) :]
    if len(labels) not in (3, 6):
        raise NlriError(f"{len(labels)} octets of labels")
    second = int.from_bytes(labels[3:], "big") if len(labels) == 6 else None
    return MacIp(body[:8], body[8:18], _number(body, 18, 4), body[23:29], ip, _number(labels, 0, 3), second)


def _decode_inclusive_multicast(body: bytes) -> InclusiveMulticast:
    _exactly(body, 17, 29)
    ip = _counted_address(body, 12, 8 * len(body[13:]))
    return InclusiveMulticast(body[:8], _number(body, 8, 4), ip)


def _decode_ethernet_segment(body: bytes) -> EthernetSegment:
    _exactly(body, 23, 35)
    return EthernetSegment(body[:8], body[8:18], _counted_address(body, 18, 8 * len(body[19:])))


def _decode_ip_prefix(body: bytes) -> IpPrefix:
    _exactly(body, 34, 58)
    size = 4 if len(body) == 34 else 16
    gateway_at = 23 + size
    ip, gateway = body[23:gateway_at], body[gateway_at : gateway_at + size]
    return IpPrefix(body[:8], body[8:18], _number(body, 18, 4), body[22], ip, gateway, _number(body, len(body) - 3, 3))


def _decode_selective_multicast(body: bytes) -> SelectiveMulticast:
    source = _counted_address(body, 12, 0, 32, 128)
    group_at = 13 + len(source)
    group = _counted_address(body, group_at, 0, 32, 128)
    originator_at = group_at + 1 + len(group)
    originator = _counted_address(body, originator_at, 32, 128)
    _exactly(body, originator_at + 2 + len(originator))
    return SelectiveMulticast(body[:8], _number(body, 8, 4), source, group, originator, body[-1])


def _counted(packed: bytes) -> bytes:
    return bytes([8 * len(packed)]) + packed


def _encode_auto_discovery(route: EthernetAutoDiscovery) -> bytes:
    return route.distinguisher + route.esi + route.tag.to_bytes(4, "big") + route.label.to_bytes(3, "big")


def _encode_mac_ip(route: MacIp) -> bytes:
    front = route.distinguisher + route.esi + route.tag.to_bytes(4, "big") + _counted(route.mac)
    second = b"" if route.second_label is None else route.second_label.to_bytes(3, "big")
    return front + _counted(route.address) + route.label.to_bytes(3, "big") + second


def _encode_inclusive_multicast(route: InclusiveMulticast) -> bytes:
    return route.distinguisher + route.tag.to_bytes(4, "big") + _counted(route.address)


def _encode_ethernet_segment(route: EthernetSegment) -> bytes:
    return route.distinguisher + route.esi + _counted(route.address)


def _encode_ip_prefix(route: IpPrefix) -> bytes:
    front = route.distinguisher + route.esi + route.tag.to_bytes(4, "big") + bytes([route.length])
    return front + route.address + route.gateway + route.label.to_bytes(3, "big")


def _encode_selective_multicast(route: SelectiveMulticast) -> bytes:
    addresses = _counted(route.source) + _counted(route.group) + _counted(route.originator)
    return route.distinguisher + route.tag.to_bytes(4, "big") + addresses + bytes([route.flags])


#: route type -> (value, reader of the body, writer of the body).
_TYPES: Final[dict[int, tuple[type, Callable[[bytes], EvpnRoute], Callable[..., bytes]]]] = {
    1: (EthernetAutoDiscovery, _decode_auto_discovery, _encode_auto_discovery),
    2: (MacIp, _decode_mac_ip, _encode_mac_ip),
    3: (InclusiveMulticast, _decode_inclusive_multicast, _encode_inclusive_multicast),
    4: (EthernetSegment, _decode_ethernet_segment, _encode_ethernet_segment),
    5: (IpPrefix, _decode_ip_prefix, _encode_ip_prefix),
    6: (SelectiveMulticast, _decode_selective_multicast, _encode_selective_multicast),
}
_CODES: Final = {kind: code for code, (kind, _, _) in _TYPES.items()}


def decode(nlri: bytes) -> EvpnRoute:
    """Take a route apart; NlriError if its body is not of its type."""
    known = _TYPES.get(nlri[0])
    return known[1](nlri[2:]) if known else OpaqueRoute(nlri[0], nlri[2:])


def encode(route: EvpnRoute) -> bytes:
    """Write a route, and read it again: what cannot be read is not sent."""
    if isinstance(route, OpaqueRoute):
        nlri = bytes((route.kind, len(route.body))) + route.body
    else:
        code = _CODES[type(route)]
        body = _TYPES[code][2](route)
        nlri = bytes((code, len(body))) + body
    try:
        again = decode(nlri)
    except (NlriError, struct.error) as error:
        raise LocalError(f"{route}: {error}") from error
    if again != route:
        raise LocalError(f"{route}: it would be read as {again}")
    return nlri


def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one route; host bits of an IP prefix are cleared."""
    stop = start + 2 + field[start + 1] if start + 1 < len(field) else len(field) + 1
    if stop > len(field):
        raise NlriError(f"EVPN route at octet {start} of {len(field)} overruns the field")
    nlri = field[start:stop]
    route = decode(nlri)
    if isinstance(route, IpPrefix) and route.length <= 8 * len(route.address):
        kept = prefix_octets(route.address, route.length)
        nlri = nlri[:25] + kept.ljust(len(route.address), b"\0") + nlri[25 + len(route.address) :]
    return nlri, stop


def judge(nlri: bytes, _: NlriContext, extended_communities: tuple[bytes, ...]) -> NlriFault | None:
    """RFC 7432 section 7 for unknown types, RFC 9136 section 3.1 for IP prefixes."""
    if nlri[0] not in _TYPES and nlri[0] not in _OPAQUE_TYPES:
        return NlriFault(f"EVPN route type {nlri[0]} is unknown, ignored")
    route = decode(nlri)
    if not isinstance(route, IpPrefix):
        return None
    router_macs = [community[2:] for community in extended_communities if community[:2] == _ROUTER_MAC]
    has_esi, has_gateway = route.esi != _NO_ESI, any(route.gateway)
    if route.length > 8 * len(route.address):
        return NlriFault(f"IP prefix of {route.length} bits", is_withdrawn=True)
    if has_esi and has_gateway:
        return NlriFault("an IP prefix with both a segment and a gateway", is_withdrawn=True)
    if not (route.label or has_esi or has_gateway or router_macs):
        return NlriFault("an IP prefix with neither label nor overlay index", is_withdrawn=True)
    if any(mac[0] & 1 for mac in router_macs):
        return NlriFault("a router MAC that is multicast", is_withdrawn=True)
    return None


def divide(nlri: bytes) -> tuple[bytes, bytes]:
    """Return the key fields; and label, segment of a MAC or a prefix, and gateway, which are facts about the path."""
    kind = nlri[0]
    if kind == 1:
        return nlri[:24], nlri[24:]
    if kind == 2:
        stop = 32 + nlri[31] // 8
        return nlri[:1] + nlri[2:10] + nlri[20:stop], nlri[10:20] + nlri[stop:]
    if kind == 5:
        stop = 25 + (4 if nlri[1] == 34 else 16)
        return nlri[:1] + nlri[2:10] + nlri[20:stop], nlri[10:20] + nlri[stop:]
    return (nlri[:-1], nlri[-1:]) if kind == 6 else (nlri, b"")


def join(key: bytes, details: bytes) -> bytes:
    """Put what :func:`divide` returned together again."""
    if key[0] not in (2, 5):
        return key + details
    body = key[1:9] + details[:10] + key[9:] + details[10:]
    return bytes((key[0], len(body))) + body


def blank(key: bytes) -> bytes:
    """Return details of zeros, as many as the key needs."""
    kind = key[0]
    if kind == 5:
        return bytes(13 + len(key) - 14)
    return bytes({1: 3, 2: 13, 6: 1}.get(kind, 0))


def detail_fields(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a route that are no key fields, with blank values."""
    match data.get("type"):
        case "ethernet-auto-discovery":
            return {"label": 0}
        case "mac-ip":
            return {"esi": _NO_ESI.hex(":"), "label": 0, "second_label": None}
        case "ip-prefix":
            gateway = bytes(16 if ":" in str(data.get("address")) else 4)
            return {"esi": _NO_ESI.hex(":"), "gateway": format_address(gateway), "label": 0}
        case "selective-multicast":
            return {"flags": 0}
        case _:
            return {}


DETAILS: Final = NlriDetails(divide, join, blank, detail_fields)
_TAG: Final = number(32)
_LABEL: Final = number(24)
FORM: Final[Form[EvpnRoute]] = tagged(
    {
        "ethernet-auto-discovery": (
            EthernetAutoDiscovery,
            record(EthernetAutoDiscovery, distinguisher=DISTINGUISHER, esi=ESI, tag=_TAG, label=_LABEL),
        ),
        "mac-ip": (
            MacIp,
            record(
                MacIp,
                distinguisher=DISTINGUISHER,
                esi=ESI,
                tag=_TAG,
                mac=MAC,
                address=address(0, 4, 16),
                label=_LABEL,
                second_label=optional(_LABEL),
            ),
        ),
        "inclusive-multicast": (
            InclusiveMulticast,
            record(InclusiveMulticast, distinguisher=DISTINGUISHER, tag=_TAG, address=address(4, 16)),
        ),
        "ethernet-segment": (
            EthernetSegment,
            record(EthernetSegment, distinguisher=DISTINGUISHER, esi=ESI, address=address(4, 16)),
        ),
        "ip-prefix": (
            IpPrefix,
            record(
                IpPrefix,
                distinguisher=DISTINGUISHER,
                esi=ESI,
                tag=_TAG,
                length=number(8),
                address=address(4, 16),
                gateway=address(4, 16),
                label=_LABEL,
            ),
        ),
        "selective-multicast": (
            SelectiveMulticast,
            record(
                SelectiveMulticast,
                distinguisher=DISTINGUISHER,
                tag=_TAG,
                source=address(0, 4, 16),
                group=address(0, 4, 16),
                originator=address(4, 16),
                flags=number(8),
            ),
        ),
        "opaque": (OpaqueRoute, record(OpaqueRoute, kind=number(8), body=OPAQUE)),
    }
)
