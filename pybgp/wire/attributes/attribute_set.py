"""ATTR_SET: the attributes of a customer's route, carried through a provider (RFC 6368 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.wire.attributes.row import (
    EXTENDED_LENGTH,
    OPTIONAL_TRANSITIVE,
    AttributeCodec,
    attribute_octets,
    bad_length,
    malformed,
)
from pybgp.wire.forms import listed, number, octets, record
from pybgp.wire.iana import AttributeCode
from pybgp.wire.negotiated import DecodingContext, decoding_context

if TYPE_CHECKING:
    from collections.abc import Mapping

_MULTIPROTOCOL: Final = (AttributeCode.MP_REACH_NLRI, AttributeCode.MP_UNREACH_NLRI)


class InnerAttribute(NamedTuple):
    """One attribute of the customer."""

    flags: int
    code: int
    value: bytes


class AttributeSet(NamedTuple):
    """The customer's AS number and attributes; AS numbers in them have four octets."""

    origin_as: int
    attributes: tuple[InnerAttribute, ...]


def _decode(value: bytes) -> AttributeSet:
    if len(value) < 4:
        raise bad_length(value, "at least 4")
    found = []
    position = 4
    while position < len(value):
        flags = value[position]
        start = position + (4 if flags & EXTENDED_LENGTH else 3)
        stop = start + int.from_bytes(value[position + 2 : start], "big")
        if stop > len(value) or start > len(value):
            raise malformed(f"an attribute at octet {position} of {len(value)} overruns")
        found.append(InnerAttribute(flags & ~EXTENDED_LENGTH, value[position + 1], value[start:stop]))
        position = stop
    return AttributeSet(int.from_bytes(value[:4], "big"), tuple(found))


def _encode(value: AttributeSet) -> bytes:
    return value.origin_as.to_bytes(4, "big") + b"".join(attribute_octets(*inner) for inner in value.attributes)


def row(rows: Mapping[int, AttributeCodec[Any]]) -> AttributeCodec[AttributeSet]:
    """Return the row, which judges what is inside by the other rows."""

    def check(value: bytes, context: DecodingContext) -> bytes:
        """Judge the attributes inside; short values get the short header, so that one set has one form."""
        inside = decoding_context(asn4=True, external=False, first_as=0, options=context.options)
        found = _decode(value)
        for flags, code, content in found.attributes:
            if code in _MULTIPROTOCOL:
                raise malformed(f"attribute {code} inside")
            known = rows.get(code)
            if known is None or code == AttributeCode.NEXT_HOP:
                continue
            if (flags ^ known.flags) & OPTIONAL_TRANSITIVE:
                raise malformed(f"{known.name} with flags {flags:#04x} inside")
            known.canonical(content, inside)
        written = _encode(found)
        return value if written == value else written

    inner = record(InnerAttribute, flags=number(8), code=number(8), value=octets())
    form = record(AttributeSet, origin_as=number(32), attributes=listed(inner))
    return AttributeCodec(
        AttributeCode.ATTRIBUTE_SET, "ATTRIBUTE_SET", OPTIONAL_TRANSITIVE, check, _decode, _encode, form
    )
