"""From NLRI to the keys of tables and back: labels and the like are details of the path (spec section 5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pybgp.errors import LocalError
from pybgp.wire.forms import checked
from pybgp.wire.nlri.forms import decode_nlri, nlri_from_json
from pybgp.wire.nlri.prefixes import PREFIX_FAMILIES, format_prefix
from pybgp.wire.nlri.row import PATH_ID_LENGTH
from pybgp.wire.nlri.table import FAMILIES
from pybgp.wire.text import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pybgp.wire.families import Family

#: families whose keys are less than their NLRI.
DETAILED_FAMILIES: Final = {family: row.details for family, row in FAMILIES.items() if row.details is not None}


def divide_nlri(family: Family, nlri: Sequence[bytes], *, add_path: bool = False) -> Mapping[bytes, Sequence[bytes]]:
    """Return the keys of NLRI by their details, path identifiers still in front of them."""
    details = DETAILED_FAMILIES.get(family)
    if details is None:
        return {b"": nlri}
    front = PATH_ID_LENGTH if add_path else 0
    groups: dict[bytes, list[bytes]] = {}
    for one in nlri:
        key, rest = details.divide(one[front:])
        groups.setdefault(rest, []).append(one[:front] + key)
    return groups


def join_nlri(family: Family, keys: Sequence[bytes], found: bytes | None, *, add_path: bool = False) -> Sequence[bytes]:
    """Return the NLRI of keys that share their details; None stands for blank ones."""
    details = DETAILED_FAMILIES.get(family)
    if details is None:
        return keys
    front = PATH_ID_LENGTH if add_path else 0
    join, blank = details.join, details.blank
    if front == 0 and found is not None:
        return [join(key, found) for key in keys]
    rests = [key[front:] for key in keys]
    return [
        key[:front] + join(rest, blank(rest) if found is None else found) for key, rest in zip(keys, rests, strict=True)
    ]


def format_key(family: Family, key: bytes, details: bytes | None = None) -> str:
    """Print the key of a table: the whole NLRI if its details are known, else its key fields."""
    if family in PREFIX_FAMILIES:
        return format_prefix(family, key)
    row = FAMILIES.get(family)
    if row is None:
        return key.hex()
    (nlri,) = join_nlri(family, (key,), details)
    data = row.form.to_json(decode_nlri(family, nlri))
    if row.details is not None and details is None:
        hidden = row.details.fields(data)
        data = {name: value for name, value in data.items() if name not in hidden}
    return to_text(data)


def parse_key(family: Family, text: str) -> bytes:
    """Read the key of an NLRI from its text, whole or with its key fields alone; LocalError if it is neither."""
    return key_from_json(family, from_text(text))


def key_from_json(family: Family, data: Any) -> bytes:
    """Return the key of plain data, whole or with key fields alone."""
    row = FAMILIES.get(family)
    if row is None:
        raise LocalError(f"family {family}: its NLRI are not taken apart")
    if row.details is not None:
        with checked(f"{family} NLRI {data!r}"):
            data = {**row.details.fields(data), **data}
    return row.identity(nlri_from_json(family, data))
