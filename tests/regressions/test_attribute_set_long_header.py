"""An attribute of a customer with a long header and a short value changed its octets on the way through its text."""

from __future__ import annotations

from pybgp.wire.attribute_block import walk_block
from pybgp.wire.attributes import Attributes, attribute_octets, format_attributes, parse_attributes
from pybgp.wire.negotiated import UpdateOptions, decoding_context


def test_a_long_header_inside_is_written_short() -> None:
    context = decoding_context(asn4=True, external=False, first_as=0, options=UpdateOptions())
    block = walk_block(attribute_octets(0xC0, 128, bytes.fromhex("00000000 d0 63 0001 ff")), context)
    kept = Attributes(block.canonical)
    assert kept.value_octets(128) == bytes.fromhex("00000000 c0 63 01 ff")
    assert parse_attributes(format_attributes(kept)) == kept
