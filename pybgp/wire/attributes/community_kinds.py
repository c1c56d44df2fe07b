"""The four kinds of communities as attributes (RFC 1997, RFC 4360, RFC 5701, RFC 8092)."""

from __future__ import annotations

from typing import Any, Final

from pybgp.wire.attributes.row import OPTIONAL_TRANSITIVE, AttributeCodec
from pybgp.wire.communities import (
    LargeCommunity,
    decode_communities,
    decode_extended_communities,
    decode_ipv6_extended_communities,
    decode_large_communities,
    encode_communities,
    encode_extended_communities,
    encode_ipv6_extended_communities,
    encode_large_communities,
    format_community,
    parse_community,
    parse_large_community,
    sorted_values,
)
from pybgp.wire.extended_communities import (
    format_extended_community,
    format_ipv6_extended_community,
    parse_extended_community,
    parse_ipv6_extended_community,
)
from pybgp.wire.forms import Form, listed
from pybgp.wire.iana import AttributeCode

_LARGE: Final[Form[LargeCommunity]] = Form(str, parse_large_community)
ROWS: Final[tuple[AttributeCodec[Any], ...]] = (
    AttributeCodec(
        AttributeCode.COMMUNITIES,
        "COMMUNITIES",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 4),
        decode_communities,
        encode_communities,
        listed(Form(format_community, parse_community)),
    ),
    AttributeCodec(
        AttributeCode.EXTENDED_COMMUNITIES,
        "EXTENDED_COMMUNITIES",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 8),
        decode_extended_communities,
        encode_extended_communities,
        listed(Form(format_extended_community, parse_extended_community)),
    ),
    AttributeCodec(
        AttributeCode.IPV6_EXTENDED_COMMUNITIES,
        "IPV6_EXTENDED_COMMUNITIES",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 20),
        decode_ipv6_extended_communities,
        encode_ipv6_extended_communities,
        listed(Form(format_ipv6_extended_community, parse_ipv6_extended_community)),
    ),
    AttributeCodec(
        AttributeCode.LARGE_COMMUNITIES,
        "LARGE_COMMUNITY",
        OPTIONAL_TRANSITIVE,
        lambda value, _: sorted_values(value, 12),
        decode_large_communities,
        encode_large_communities,
        listed(_LARGE),
    ),
)
