"""What routes say about tunnels: PMSI_TUNNEL, TUNNEL_ENCAPSULATION, PE distinguisher labels (RFC 6514, RFC 9012)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.attributes.row import OPTIONAL_TRANSITIVE, AttributeCodec, bad_length, malformed, split_tlvs, write_tlv
from pybgp.wire.forms import Form, address, enumerated, listed, number, octets, record
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from pybgp.wire.negotiated import DecodingContext

#: sub-TLVs of these types and above have a length of two octets (RFC 9012 section 2).
_LONG_SUB_TLV: Final = 128
_ENDPOINT: Final = 6


class PmsiType(IntEnum):
    """Kinds of tunnel (RFC 6514 section 5)."""

    NONE = 0
    RSVP_P2MP = 1
    MLDP_P2MP = 2
    PIM_SSM = 3
    PIM_SM = 4
    BIDIR_PIM = 5
    INGRESS_REPLICATION = 6
    MLDP_MP2MP = 7


class TunnelType(IntEnum):
    """Kinds of tunnel (RFC 9012 section 3, and the registry behind it)."""

    L2TPV3 = 1
    GRE = 2
    IPIP = 7
    VXLAN = 8
    NVGRE = 9
    MPLS_IN_GRE = 11
    VXLAN_GPE = 12
    MPLS_IN_UDP = 13
    SR_POLICY = 15
    GENEVE = 19


class SubTlvType(IntEnum):
    """What a tunnel is described by (RFC 9012 section 3)."""

    ENCAPSULATION = 1
    PROTOCOL = 2
    COLOR = 4
    EGRESS_ENDPOINT = 6
    DS_FIELD = 7
    UDP_PORT = 8
    EMBEDDED_LABEL = 9
    MPLS_STACK = 10
    PREFIX_SID = 11


#: a segment-routing policy has its endpoint in the NLRI; of unknown kinds nothing is expected (RFC 9012 section 13).
_WITH_ENDPOINT: Final = frozenset(TunnelType) - {TunnelType.SR_POLICY}
#: the octets that an identifier of a known kind may have; the two that are missing are checked field by field.
_IDENTIFIER_LENGTHS: Final = {
    PmsiType.NONE: (0,),
    PmsiType.RSVP_P2MP: (12, 24),
    PmsiType.PIM_SSM: (8, 32),
    PmsiType.PIM_SM: (8, 32),
    PmsiType.BIDIR_PIM: (8, 32),
    PmsiType.INGRESS_REPLICATION: (4, 16),
}
_MLDP: Final = (PmsiType.MLDP_P2MP, PmsiType.MLDP_MP2MP)


class PmsiTunnel(NamedTuple):
    """RFC 6514 section 5; the label is its field of three octets."""

    flags: int
    kind: int
    label: int
    identifier: bytes = b""


class SubTlv(NamedTuple):
    """One fact about a tunnel."""

    kind: int
    value: bytes


class Tunnel(NamedTuple):
    """One tunnel and what describes it (RFC 9012 section 2)."""

    kind: int
    facts: tuple[SubTlv, ...]

    @property
    def endpoint(self) -> bytes | None:
        """Where it ends, empty for the next hop; None if that is missing or malformed (RFC 9012 section 3.1)."""
        for kind, value in self.facts:
            if kind == _ENDPOINT:
                afi, size = int.from_bytes(value[4:6], "big"), len(value) - 6
                return value[6:] if (afi, size) in ((0, 0), (1, 4), (2, 16)) else None
        return None


class PeLabel(NamedTuple):
    """An upstream-assigned label of a PE (RFC 6514 section 8)."""

    address: bytes
    label: int


def _check_pmsi(value: bytes, _: DecodingContext) -> bytes:
    if len(value) < 5:
        raise bad_length(value, "at least 5")
    kind, identifier = value[1], value[5:]
    if kind in _MLDP:
        _check_mldp(identifier)
    elif kind in _IDENTIFIER_LENGTHS and len(identifier) not in _IDENTIFIER_LENGTHS[PmsiType(kind)]:
        raise malformed(f"an identifier of {len(identifier)} octets in a tunnel of type {kind}")
    return value


def _check_mldp(identifier: bytes) -> None:
    """An mLDP FEC element: type, address family, counted root, counted opaque value (RFC 6388 section 2.2)."""
    root_length = identifier[3] if len(identifier) > 3 else 0
    opaque_at = 4 + root_length
    opaque_length = int.from_bytes(identifier[opaque_at : opaque_at + 2], "big")
    if root_length not in (4, 16) or len(identifier) != opaque_at + 2 + opaque_length:
        raise malformed(f"{identifier.hex()} is no FEC element of mLDP")


def _decode_pmsi(value: bytes) -> PmsiTunnel:
    return PmsiTunnel(value[0], value[1], int.from_bytes(value[2:5], "big"), value[5:])


def _encode_pmsi(tunnel: PmsiTunnel) -> bytes:
    return bytes((tunnel.flags, tunnel.kind)) + tunnel.label.to_bytes(3, "big") + tunnel.identifier


def _split_facts(value: bytes) -> tuple[SubTlv, ...]:
    found = []
    position = 0
    while position < len(value):
        kind = value[position]
        start = position + (2 if kind < _LONG_SUB_TLV else 3)
        stop = start + int.from_bytes(value[position + 1 : start], "big")
        if stop > len(value) or start > len(value):
            raise malformed(f"sub-TLV {kind} at octet {position} of {len(value)} overruns its tunnel")
        found.append(SubTlv(kind, value[start:stop]))
        position = stop
    return tuple(found)


def _decode_tunnels(value: bytes) -> tuple[Tunnel, ...]:
    return tuple(Tunnel(kind, _split_facts(facts)) for kind, facts in split_tlvs(value, 2, 2))


def _check_tunnels(value: bytes, _: DecodingContext) -> bytes:
    """RFC 9012 section 13: a tunnel ends with its last sub-TLV; one without an endpoint is left out."""
    tunnels = _decode_tunnels(value)
    if not tunnels:
        raise bad_length(value, "at least one tunnel")
    valid = tuple(tunnel for tunnel in tunnels if tunnel.kind not in _WITH_ENDPOINT or tunnel.endpoint is not None)
    if not valid:
        raise malformed("no tunnel has a valid egress endpoint")
    return value if len(valid) == len(tunnels) else _encode_tunnels(valid)


def _encode_tunnels(tunnels: tuple[Tunnel, ...]) -> bytes:
    parts = []
    for tunnel in tunnels:
        facts = [write_tlv(kind, value, 1, 1 if kind < _LONG_SUB_TLV else 2) for kind, value in tunnel.facts]
        parts.append(write_tlv(tunnel.kind, b"".join(facts), 2, 2))
    return b"".join(parts)


def _pe_size(value: bytes) -> int:
    """Return the octets of an address: 16 where the length says so alone."""
    return 4 if len(value) % 7 == 0 else 16


def _check_pe_labels(value: bytes, _: DecodingContext) -> bytes:
    if not value or (len(value) % 7 and len(value) % 19):
        raise bad_length(value, "a multiple of 7 or 19")
    for found in _decode_pe_labels(value):
        if found.address[0] == 0xFF or (len(found.address) == 4 and found.address[0] >= 224):
            raise malformed(f"{found.address.hex()} is no unicast address")
    return value


def _decode_pe_labels(value: bytes) -> tuple[PeLabel, ...]:
    size = _pe_size(value)
    starts = range(0, len(value), size + 3)
    return tuple(
        PeLabel(value[start : start + size], int.from_bytes(value[start + size : start + size + 3], "big"))
        for start in starts
    )


def _encode_pe_labels(labels: tuple[PeLabel, ...]) -> bytes:
    value = b"".join(found.address + found.label.to_bytes(3, "big") for found in labels)
    if not value or _decode_pe_labels(value) != tuple(labels):
        raise LocalError(f"labels {labels}: addresses of one family are expected")
    return value


_SUB_TLV: Final = record(SubTlv, kind=enumerated(SubTlvType), value=octets())
_TUNNEL: Final[Form[Tunnel]] = record(Tunnel, kind=enumerated(TunnelType, 16), facts=listed(_SUB_TLV))
_PE_LABEL: Final = record(PeLabel, address=address(4, 16), label=number(24))
ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.PMSI_TUNNEL,
        "PMSI_TUNNEL",
        OPTIONAL_TRANSITIVE,
        _check_pmsi,
        _decode_pmsi,
        _encode_pmsi,
        record(PmsiTunnel, flags=number(8), kind=enumerated(PmsiType), label=number(24), identifier=octets()),
    ),
    AttributeCodec(
        AttributeCode.TUNNEL_ENCAPSULATION,
        "TUNNEL_ENCAPSULATION",
        OPTIONAL_TRANSITIVE,
        _check_tunnels,
        _decode_tunnels,
        _encode_tunnels,
        listed(_TUNNEL),
    ),
    AttributeCodec(
        AttributeCode.PE_DISTINGUISHER_LABELS,
        "PE_DISTINGUISHER_LABELS",
        OPTIONAL_TRANSITIVE,
        _check_pe_labels,
        _decode_pe_labels,
        _encode_pe_labels,
        listed(_PE_LABEL),
    ),
)
