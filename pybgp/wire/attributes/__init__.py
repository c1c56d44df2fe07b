"""Path attributes: one file per kind, one table of all of them, and the set of them that a route carries."""

from __future__ import annotations

from pybgp.wire.attributes.basic import Aggregator, is_host_address, is_next_hop
from pybgp.wire.attributes.forms import (
    attribute_from_json,
    attribute_to_json,
    attributes_from_json,
    attributes_to_json,
    format_attribute,
    format_attributes,
    parse_attribute,
    parse_attributes,
)
from pybgp.wire.attributes.row import (
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    PARTIAL,
    WELL_KNOWN,
    AttributeCodec,
    AttributeFault,
    Fault,
    ProhibitedSetError,
    attribute_octets,
)
from pybgp.wire.attributes.table import ATTRIBUTES
from pybgp.wire.attributes.values import OUTSIDE_THE_BLOCK, Attributes, encode_attribute

__all__ = [
    "ATTRIBUTES",
    "EXTENDED_LENGTH",
    "OPTIONAL",
    "OPTIONAL_TRANSITIVE",
    "OUTSIDE_THE_BLOCK",
    "PARTIAL",
    "WELL_KNOWN",
    "Aggregator",
    "AttributeCodec",
    "AttributeFault",
    "Attributes",
    "Fault",
    "ProhibitedSetError",
    "attribute_from_json",
    "attribute_octets",
    "attribute_to_json",
    "attributes_from_json",
    "attributes_to_json",
    "encode_attribute",
    "format_attribute",
    "format_attributes",
    "is_host_address",
    "is_next_hop",
    "parse_attribute",
    "parse_attributes",
]
