"""Link-state NLRI (RFC 9552 section 5.2): order and lengths of descriptors are checked, as a relay does."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.forms import DISTINGUISHER, OPAQUE, Form, enumerated, listed, number, octets, optional, record, tagged
from pybgp.wire.nlri.row import NlriContext, NlriError, NlriFault

if TYPE_CHECKING:
    from collections.abc import Callable

_FRONT: Final = 9
_DISTINGUISHER_LENGTH: Final = 8


class LinkStateKind(IntEnum):
    """NLRI types that have descriptors (RFC 9552 section 5.2, RFC 9514 section 6)."""

    NODE = 1
    LINK = 2
    IPV4_PREFIX = 3
    IPV6_PREFIX = 4
    SRV6_SID = 6


class LinkStateProtocol(IntEnum):
    """Where the facts come from (RFC 9552 section 5.2)."""

    ISIS_LEVEL_1 = 1
    ISIS_LEVEL_2 = 2
    OSPF_V2 = 3
    DIRECT = 4
    STATIC = 5
    OSPF_V3 = 6
    BGP = 7


class Descriptor(IntEnum):
    """Descriptor TLVs (RFC 9552 sections 5.2.1 to 5.2.3)."""

    LOCAL_NODE = 256
    REMOTE_NODE = 257
    LINK_IDENTIFIERS = 258
    IPV4_INTERFACE = 259
    IPV4_NEIGHBOR = 260
    IPV6_INTERFACE = 261
    IPV6_NEIGHBOR = 262
    MULTI_TOPOLOGY = 263
    OSPF_ROUTE_TYPE = 264
    IP_REACHABILITY = 265
    AUTONOMOUS_SYSTEM = 512
    LINK_STATE_IDENTIFIER = 513
    OSPF_AREA = 514
    IGP_ROUTER = 515
    BGP_ROUTER = 516
    SRV6_SID = 518


_KNOWN: Final = frozenset(LinkStateKind)
_NODES: Final = (Descriptor.LOCAL_NODE, Descriptor.REMOTE_NODE)


class Tlv(NamedTuple):
    """A type and its octets."""

    kind: int
    value: bytes


class LinkState(NamedTuple):
    """A node, link, prefix or SID."""

    kind: int
    protocol: int
    identifier: int
    descriptors: tuple[Tlv, ...]
    distinguisher: bytes | None = None


class OpaqueLinkState(NamedTuple):
    """An NLRI of a type that we do not know, or with descriptors that do not sum."""

    kind: int
    body: bytes
    distinguisher: bytes | None = None


def read_tlvs(value: bytes) -> tuple[Tlv, ...]:
    """Take TLVs of two-octet type and length apart; NlriError where one overruns."""
    found = []
    position = 0
    while position < len(value):
        start = position + 4
        stop = start + int.from_bytes(value[position + 2 : start], "big")
        if stop > len(value) or start > len(value):
            raise NlriError(f"a TLV at octet {position} of {len(value)} overruns")
        found.append(Tlv(value[position] << 8 | value[position + 1], value[start:stop]))
        position = stop
    return tuple(found)


def write_tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    """Write TLVs of two-octet type and length."""
    return b"".join(struct.pack(">HH", kind, len(value)) + value for kind, value in tlvs)


def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
    """Read one NLRI by its outer length."""
    stop = start + 4 + int.from_bytes(field[start + 2 : start + 4], "big")
    if start + 4 > len(field) or stop > len(field):
        raise NlriError(f"link-state NLRI at octet {start} of {len(field)} overruns the field")
    return field[start:stop], stop


def read_vpn(field: bytes, start: int, context: NlriContext) -> tuple[bytes, int]:
    """Read one NLRI with a route distinguisher behind its length."""
    nlri, stop = read(field, start, context)
    if len(nlri) < 4 + _DISTINGUISHER_LENGTH:
        raise NlriError(f"link-state VPN NLRI of {len(nlri) - 4} octets holds no route distinguisher")
    return nlri, stop


def _check_order(tlvs: tuple[Tlv, ...]) -> None:
    kinds = [tlv.kind for tlv in tlvs]
    if kinds != sorted(kinds):
        raise NlriError(f"descriptors {kinds} are out of order")
    for tlv in tlvs:
        if tlv.kind in _NODES:
            inner = [part.kind for part in read_tlvs(tlv.value)]
            if inner != sorted(set(inner)):
                raise NlriError(f"node descriptors {inner} are out of order or repeated")


def _parse(nlri: bytes, *, vpn: bool) -> LinkState | OpaqueLinkState:
    """Take an NLRI apart; NlriError if it is of a known type and its descriptors break a rule."""
    kind = int.from_bytes(nlri[:2], "big")
    body_at = 4 + _DISTINGUISHER_LENGTH if vpn else 4
    distinguisher, body = nlri[4:body_at] if vpn else None, nlri[body_at:]
    if kind not in _KNOWN:
        return OpaqueLinkState(kind, body, distinguisher)
    if len(body) < _FRONT:
        raise NlriError(f"link-state NLRI with a body of {len(body)} octets")
    tlvs = read_tlvs(body[_FRONT:])
    _check_order(tlvs)
    return LinkState(kind, body[0], int.from_bytes(body[1:_FRONT], "big"), tlvs, distinguisher)


def judge(*, vpn: bool) -> Callable[[bytes, NlriContext, tuple[bytes, ...]], NlriFault | None]:
    """Return the judge: broken descriptors in a right outer length cost that NLRI alone (RFC 9552 section 8.2.2)."""

    def judge_one(nlri: bytes, _: NlriContext, __: tuple[bytes, ...]) -> NlriFault | None:
        try:
            _parse(nlri, vpn=vpn)
        except NlriError as error:
            return NlriFault(f"{error}, ignored")
        return None

    return judge_one


def decoder(*, vpn: bool) -> Callable[[bytes], LinkState | OpaqueLinkState]:
    """Return the decoder, which keeps as octets what breaks a rule."""

    def decode(nlri: bytes) -> LinkState | OpaqueLinkState:
        try:
            return _parse(nlri, vpn=vpn)
        except NlriError:
            body_at = 4 + _DISTINGUISHER_LENGTH if vpn else 4
            distinguisher = nlri[4:body_at] if vpn else None
            return OpaqueLinkState(int.from_bytes(nlri[:2], "big"), nlri[body_at:], distinguisher)

    return decode


def encoder(*, vpn: bool) -> Callable[[LinkState | OpaqueLinkState], bytes]:
    """Return the encoder, with or without a route distinguisher."""

    def encode(value: LinkState | OpaqueLinkState) -> bytes:
        if (value.distinguisher is not None and len(value.distinguisher) == _DISTINGUISHER_LENGTH) != vpn:
            raise LocalError(f"{value}: a route distinguisher stands in the VPN family, and only there")
        if isinstance(value, OpaqueLinkState):
            body = value.body
        else:
            front = struct.pack(">BQ", value.protocol, value.identifier)
            body = front + write_tlvs(value.descriptors)
        inner = (value.distinguisher or b"") + body
        nlri = struct.pack(">HH", value.kind, len(inner)) + inner
        if isinstance(value, LinkState):
            try:
                _parse(nlri, vpn=vpn)
            except NlriError as error:
                raise LocalError(f"{value}: {error}") from error
        return nlri

    return encode


TLVS: Final = listed(record(Tlv, kind=number(16), value=octets()))
_DESCRIPTORS: Final = listed(record(Tlv, kind=enumerated(Descriptor, 16), value=octets()))
FORM: Final[Form[LinkState | OpaqueLinkState]] = tagged(
    {
        "link-state": (
            LinkState,
            record(
                LinkState,
                kind=enumerated(LinkStateKind, 16),
                protocol=enumerated(LinkStateProtocol),
                identifier=number(64),
                descriptors=_DESCRIPTORS,
                distinguisher=optional(DISTINGUISHER),
            ),
        ),
        "opaque": (
            OpaqueLinkState,
            record(OpaqueLinkState, kind=number(16), body=OPAQUE, distinguisher=optional(DISTINGUISHER)),
        ),
    }
)
