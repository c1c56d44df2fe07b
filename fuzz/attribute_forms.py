"""Any octets as the value of any attribute: what is kept has a text and plain data that are read back."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from fuzz.attribute_values import VALUES
from fuzz.strategies import any_octets
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.attribute_block import walk_block
from pybgp.wire.attributes import (
    ATTRIBUTES,
    Attributes,
    attribute_octets,
    attributes_from_json,
    attributes_to_json,
    format_attributes,
    parse_attributes,
)
from pybgp.wire.negotiated import UpdateOptions, decoding_context

OPTIONS = UpdateOptions(allow_as_sets=True, confederation=True, aigp=True, external_prefix_sid=True)
CONTEXT = decoding_context(asn4=True, external=False, first_as=0, options=OPTIONS)
CODES = tuple(ATTRIBUTES)


def check(octets: bytes) -> None:
    """The first octet chooses the attribute."""
    if not octets:
        return
    code = CODES[octets[0] % len(CODES)]
    row = ATTRIBUTES[code]
    try:
        block = walk_block(attribute_octets(row.flags, code, octets[1:]), CONTEXT)
    except RemoteError:
        return
    assert all(fault.fault in (row.on_malformed, 1, 2) for fault in block.faults)
    kept = Attributes(block.canonical)
    assert parse_attributes(format_attributes(kept)) == kept
    assert attributes_from_json(json.loads(json.dumps(attributes_to_json(kept)))) == kept


VALID = st.one_of(
    [
        strategy.map(lambda value, code=code: bytes([CODES.index(code)]) + ATTRIBUTES[code].encode(value))
        for code, strategy in VALUES.items()
    ]
)
SEEDS = [bytes([place]) + octets for octets in seeds("attribute-value")[:200] for place in range(len(CODES))]
TARGET = Target("attribute-forms", any_octets(VALID, SEEDS), check)
