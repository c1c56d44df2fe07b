"""Text and JSON of an NLRI of any family, and both read back (spec section 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pybgp.errors import LocalError
from pybgp.wire.forms import checked, number
from pybgp.wire.nlri.prefixes import path_id, strip_path_id, with_path_id
from pybgp.wire.nlri.row import PATH_ID_LENGTH, NlriContext, NlriError, NlriFamily
from pybgp.wire.nlri.table import FAMILIES
from pybgp.wire.text import from_text, to_text

if TYPE_CHECKING:
    from pybgp.wire.families import Family

_PATH_ID: Final = number(8 * PATH_ID_LENGTH)
_ANY_LABELS: Final = NlriContext(labels=255)


def _row(family: Family) -> NlriFamily:
    row = FAMILIES.get(family)
    if row is None:
        raise LocalError(f"family {family}: its NLRI are not taken apart")
    return row


def decode_nlri(family: Family, key: bytes, *, add_path: bool = False) -> Any:
    """Return the typed value of a key: for a plain prefix the key itself; LocalError if it is none of the family."""
    row = _row(family)
    nlri = strip_path_id(key) if add_path else key
    try:
        _, stop = row.read(nlri, 0, _ANY_LABELS)
        if stop == len(nlri):
            return row.decode(nlri)
    except (NlriError, IndexError) as error:
        raise LocalError(f"{family} key {key.hex()}: {error}") from error
    raise LocalError(f"{family} key {key.hex()}: {len(nlri) - stop} octets stand behind it")


def encode_nlri(family: Family, value: Any) -> bytes:
    """Return the key of a typed value; LocalError if it breaks a rule of the family."""
    with checked(f"{family} NLRI {value!r}"):
        return _row(family).encode(value)


def nlri_to_json(family: Family, key: bytes, *, add_path: bool = False) -> Any:
    """Return a key as plain data; an ADD-PATH key has its identifier beside it."""
    data = _row(family).form.to_json(decode_nlri(family, key, add_path=add_path))
    return {"path_id": path_id(key), "nlri": data} if add_path else data


def nlri_from_json(family: Family, data: Any, *, add_path: bool = False) -> bytes:
    """Return the key of plain data; LocalError names what is wrong."""
    row = _row(family)
    with checked(f"{family} NLRI {data!r}"):
        if add_path:
            return with_path_id(row.encode(row.form.from_json(data["nlri"])), _PATH_ID.from_json(data["path_id"]))
        return row.encode(row.form.from_json(data))


def format_nlri(family: Family, key: bytes, *, add_path: bool = False) -> str:
    """Print a key of any family on one line."""
    return to_text(nlri_to_json(family, key, add_path=add_path))


def parse_nlri(family: Family, text: str, *, add_path: bool = False) -> bytes:
    """Read what :func:`format_nlri` prints; LocalError if it is no NLRI of the family."""
    return nlri_from_json(family, from_text(text), add_path=add_path)
