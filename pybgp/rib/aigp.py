"""The accumulated IGP metric: how far a route's prefix is, over the borders of ASes of one hand (RFC 7311)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.wire.attributes import ATTRIBUTES
from pybgp.wire.attributes.measures import Aigp, Tlv
from pybgp.wire.iana import AttributeCode

if TYPE_CHECKING:
    from pybgp.wire.attributes import Attributes

#: No sum is greater (RFC 7311 section 3.4.3).
MOST: Final = 2**64 - 1
#: What a route without a metric counts as: any metric is better (RFC 7311 section 4.1).
WITHOUT: Final = MOST + 1
_METRIC: Final = 1


def total(octets: bytes | None, cost: int) -> int:
    """Return what the decision compares: the metric and the way to the next hop (RFC 7311 section 4.1)."""
    value = None if octets is None else ATTRIBUTES[AttributeCode.AIGP].decode(octets).metric
    return WITHOUT if value is None else min(value + cost, MOST)


def farther(attributes: Attributes, cost: int) -> Attributes:
    """Return the attributes as told by a router that puts itself in the way: farther than before (section 3.4.3)."""
    value: Aigp = attributes.get(AttributeCode.AIGP)
    at = next((index for index, tlv in enumerate(value.tlvs) if tlv.kind == _METRIC), None)
    if at is None:
        return attributes
    metric = min(int.from_bytes(value.tlvs[at].value, "big") + max(cost, 1), MOST)
    tlvs = (*value.tlvs[:at], Tlv(_METRIC, metric.to_bytes(8, "big")), *value.tlvs[at + 1 :])
    octets = b"".join(bytes((kind,)) + (3 + len(body)).to_bytes(2, "big") + body for kind, body in tlvs)
    return attributes.with_value(AttributeCode.AIGP, octets, attributes.next_hop)
