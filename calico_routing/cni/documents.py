"""Typed look-ups in decoded JSON; keys match without regard to case, as Go's decoder does (CNI section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from calico_routing.cni.errors import CniError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_INTEGER = 2**32 - 1
#: decoded JSON has no narrower type than this.
Document = dict[str, Any]


def find(document: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value under the key, an exact match first; null counts as absent."""
    value = document.get(key)
    if value is None:
        folded = key.casefold()
        value = next((document[name] for name in document if name.casefold() == folded), None)
    return default if value is None else value


def text_at(document: Mapping[str, Any], key: str, default: str = "") -> str:
    """A string."""
    value = find(document, key, default)
    if not isinstance(value, str):
        _refuse(key, value, "a string")
    return value


def integer_at(document: Mapping[str, Any], key: str, default: int = 0) -> int:
    """A whole number that is not negative and that the kernel's 32 bits hold."""
    value = find(document, key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_INTEGER:
        _refuse(key, value, f"a number from 0 to {LARGEST_INTEGER}")
    return value


def flag_at(document: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """A boolean, also spelt as the string "true" or "false" (Calico's assign_ipv4)."""
    value = find(document, key, default)
    if isinstance(value, str) and value.casefold() in {"true", "false", ""}:
        return value.casefold() == "true" if value else default
    if not isinstance(value, bool):
        _refuse(key, value, "true or false")
    return value


def mapping_at(document: Mapping[str, Any], key: str) -> Document:
    """An object; absent means empty."""
    value = find(document, key, {})
    if not isinstance(value, dict):
        _refuse(key, value, "an object")
    return value


def list_at(document: Mapping[str, Any], key: str) -> list[Any]:
    """A list; absent means empty."""
    value = find(document, key, [])
    if not isinstance(value, list):
        _refuse(key, value, "a list")
    return value


def texts_at(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings."""
    values = list_at(document, key)
    if not all(isinstance(value, str) for value in values):
        _refuse(key, values, "a list of strings")
    return tuple(values)


def mappings_at(document: Mapping[str, Any], key: str) -> list[Document]:
    """A list of objects."""
    values = list_at(document, key)
    if not all(isinstance(value, dict) for value in values):
        _refuse(key, values, "a list of objects")
    return values


def _refuse(key: str, value: object, expected: str) -> NoReturn:
    raise CniError(
        ErrorCode.INVALID_CONFIGURATION,
        f"invalid configuration: {key} must be {expected}",
        f"{key} is {value!r}; correct it in the network configuration",
    )
