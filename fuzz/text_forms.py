"""Any text as plain data, as an NLRI of any family and as attributes: a value that prints again, or LocalError."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.nlri_values import ALL_FAMILIES, any_keys
from fuzz.strategies import any_octets, attributes
from fuzz.target import Target
from pybgp.errors import LocalError
from pybgp.wire.attributes import format_attributes, parse_attributes
from pybgp.wire.nlri import format_nlri, parse_nlri
from pybgp.wire.text import from_text, to_text


def check(octets: bytes) -> None:
    """The first octet chooses the family."""
    text = octets[1:].decode("utf-8", "replace")
    try:
        data = from_text(text)
    except LocalError:
        return
    assert to_text(from_text(to_text(data))) == to_text(data), text
    check_nlri(octets[0], text)
    try:
        found = parse_attributes(text)
    except LocalError:
        return
    if all(len(item) == 2 for item in found.pieces()):
        assert parse_attributes(format_attributes(found)) == found


def check_nlri(choice: int, text: str) -> None:
    family = ALL_FAMILIES[choice % len(ALL_FAMILIES)]
    try:
        key = parse_nlri(family, text)
    except LocalError:
        return
    assert parse_nlri(family, format_nlri(family, key)) == key


def _texts() -> st.SearchStrategy[bytes]:
    made = [
        any_keys(family).map(lambda key, place=place, family=family: bytes([place]) + format_nlri(family, key).encode())
        for place, family in enumerate(ALL_FAMILIES)
    ]
    return st.one_of([*made, attributes().map(lambda found: b"\0" + format_attributes(found).encode())])


TARGET = Target("text-forms", any_octets(_texts()).filter(bool), check)
