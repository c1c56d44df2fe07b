"""Text and JSON of path attributes, one by one and as a whole set, and both read back (spec section 13)."""

from __future__ import annotations

from typing import Any, Final

from pybgp.errors import LocalError
from pybgp.wire.attributes.row import OPTIONAL_TRANSITIVE, attribute_octets
from pybgp.wire.attributes.table import ATTRIBUTES
from pybgp.wire.attributes.values import Attributes, encode_attribute
from pybgp.wire.forms import OPAQUE, address, checked, format_address, mapping, number
from pybgp.wire.iana import AttributeCode
from pybgp.wire.text import from_text, to_text

_NAMES: Final = {code: row.name.lower().replace("_", "-") for code, row in ATTRIBUTES.items()}
_CODES: Final = {name: code for code, name in _NAMES.items()}
_NEXT_HOP: Final = _NAMES[AttributeCode.NEXT_HOP]
_OPAQUE: Final = "attribute-"
_FLAGS: Final = number(8)
_ADDRESS: Final = address(4, 16)


def attribute_to_json(code: int, value: Any) -> Any:  # the type of a value depends on its code
    """Return a typed value as plain data; octets as ``0x`` and digits for a code without a row."""
    row = ATTRIBUTES.get(code)
    with checked(f"attribute {code} {value!r}"):
        return OPAQUE.to_json(value) if row is None else row.form.to_json(value)


def attribute_from_json(code: int, data: Any) -> Any:  # the type of a value depends on its code
    """Return the typed value of plain data; LocalError if it is none of the attribute."""
    row = ATTRIBUTES.get(code)
    with checked(f"{_NAMES.get(code, _OPAQUE + str(code))} {data!r}"):
        return OPAQUE.from_json(data) if row is None else row.form.from_json(data)


def format_attribute(code: int, value: Any) -> str:  # the type of a value depends on its code
    """Print a typed value on one line."""
    return to_text(attribute_to_json(code, value))


def parse_attribute(code: int, text: str) -> Any:  # the type of a value depends on its code
    """Read what :func:`format_attribute` prints."""
    return attribute_from_json(code, from_text(text))


def attributes_to_json(attributes: Attributes) -> dict[str, Any]:
    """Return a whole set by names, the next hop as a list of addresses, unknown attributes with their flags."""
    found: dict[str, Any] = {}
    if attributes.next_hop:
        hop = attributes.next_hop
        size = min(len(hop), 16)
        found[_NEXT_HOP] = [format_address(hop[start : start + size]) for start in range(0, len(hop), size)]
    for code in attributes.codes():
        if code in _NAMES:
            found[_NAMES[code]] = attribute_to_json(code, attributes.get(code))
        else:
            value = OPAQUE.to_json(attributes.get(code))
            found[f"{_OPAQUE}{code}"] = {"flags": attributes.flags(code), "value": value}
    return found


def attributes_from_json(data: Any) -> Attributes:
    """Return the set of :func:`attributes_to_json`, without partial bits of attributes that have a row."""
    pieces: dict[int, bytes] = {}
    next_hop = b""
    with checked(f"attributes {data!r}"):
        for name, value in mapping(data).items():
            if name == _NEXT_HOP:
                next_hop = b"".join(_ADDRESS.from_json(item) for item in value)
            elif name in _CODES:
                pieces[_CODES[name]] = encode_attribute(_CODES[name], attribute_from_json(_CODES[name], value))
            else:
                code = _opaque_code(name)
                flags = _FLAGS.from_json(value.get("flags", OPTIONAL_TRANSITIVE))
                pieces[code] = attribute_octets(flags, code, OPAQUE.from_json(value["value"]))
    return Attributes(b"".join(pieces[code] for code in sorted(pieces)), next_hop)


def _opaque_code(name: str) -> int:
    digits = name.removeprefix(_OPAQUE)
    if digits == name or not digits.isdecimal() or not 0 <= int(digits) <= 0xFF or int(digits) in _NAMES:
        raise LocalError(f"{name!r} is no attribute: {', '.join(_CODES)}, or {_OPAQUE} and a number without a name")
    return int(digits)


def format_attributes(attributes: Attributes) -> str:
    """Print a whole set on one line."""
    return to_text(attributes_to_json(attributes))


def parse_attributes(text: str) -> Attributes:
    """Read what :func:`format_attributes` prints; LocalError if it is nothing of the kind."""
    return attributes_from_json(from_text(text) if text.strip() else {})
