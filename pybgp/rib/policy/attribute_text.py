"""Attributes as people read them, for explanations."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

from pybgp.wire.attributes import ATTRIBUTES, Aggregator, attribute_to_json
from pybgp.wire.communities import format_community
from pybgp.wire.iana import AttributeCode
from pybgp.wire.text import to_text

if TYPE_CHECKING:
    from pybgp.wire.attributes import Attributes

#: What is text as it is, which saves the commonest attributes the way by their forms.
_PLAIN: Final = frozenset({AttributeCode.AS_PATH, AttributeCode.MED, AttributeCode.LOCAL_PREF})


def attribute_name(code: int) -> str:
    """Return the standard's name in small letters, or the number."""
    row = ATTRIBUTES.get(code)
    return row.name.lower().replace("_", "-") if row else f"attribute-{code}"


def attribute_text(attributes: Attributes, code: int) -> str:
    """Return a value as text, addresses and identifiers in dotted form; empty if it is absent."""
    value = attributes.get(code)
    if value is None:
        return ""
    if code in _PLAIN:
        return str(value)
    if code == AttributeCode.COMMUNITIES:
        return " ".join(map(format_community, value))
    if code == AttributeCode.ORIGIN:
        return str(value.name.lower())
    if isinstance(value, Aggregator):
        return f"{value.asn} {IPv4Address(value.router_id)}"
    data = attribute_to_json(code, value)
    return " ".join(map(to_text, data)) if isinstance(data, list) else to_text(data)


def next_hop_text(attributes: Attributes) -> str:
    """Return the next hop as text; empty: not set, our own address will stand there."""
    return str(ip_address(attributes.next_hop[:16])) if attributes.next_hop else ""


def attribute_texts(attributes: Attributes) -> dict[str, str]:
    """Return every attribute by name, the next hop behind them."""
    found = {attribute_name(code): attribute_text(attributes, code) for code in attributes.codes()}
    return found | {"next-hop": next_hop_text(attributes)}
