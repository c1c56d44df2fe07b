"""JSON forms of typed values: how each kind of field becomes plain data, and how it is read back.

A form never meets octets of a message: it turns a typed value into strings, numbers, lists and dicts, and those back
into the value.  What is wrong with plain data shows as ValueError, TypeError or KeyError; :func:`checked` makes a
LocalError of them, once, at the edge.
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pybgp.errors import BgpError, LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from enum import IntEnum

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """One kind of value and its plain data."""

    to_json: Callable[[T], Any]
    from_json: Callable[[Any], T]


@contextmanager
def checked(what: str) -> Iterator[None]:
    """Turn whatever plain data does wrong into one LocalError that names it."""
    try:
        yield
    except BgpError as error:
        raise LocalError(f"{what}: {error}") from error
    except KeyError as error:
        raise LocalError(f"{what}: {error} is missing or unknown") from error
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError, struct.error) as error:
        raise LocalError(f"{what}: {error}") from error


def _number(data: Any, bits: int) -> int:
    if not isinstance(data, int) or isinstance(data, bool) or not 0 <= data < 1 << bits:
        raise ValueError(f"{data!r} is no number of {bits} bits")
    return data


def number(bits: int) -> Form[int]:
    """Return the form of an unsigned number."""
    return Form(int, lambda data: _number(data, bits))


def _octets(data: Any, lengths: tuple[int, ...]) -> bytes:
    if not isinstance(data, str) or not data.startswith("0x") or not data[2:].isascii() or " " in data:
        raise ValueError(f"{data!r} is no string of hexadecimal digits behind 0x")
    found = bytes.fromhex(data[2:])
    if lengths and len(found) not in lengths:
        raise ValueError(f"{data} has {len(found)} octets, {lengths} are allowed")
    return found


def octets(*lengths: int) -> Form[bytes]:
    """Return the form of octets that are not taken apart."""
    return Form(lambda value: "0x" + value.hex(), lambda data: _octets(data, lengths))


def format_address(packed: bytes) -> str:
    """Print 4 or 16 octets as an address."""
    return str(ip_address(packed))


def address(*lengths: int) -> Form[bytes]:
    """Return the form of a packed address; null stands for an empty one where length 0 is allowed."""

    def from_json(data: Any) -> bytes:
        packed = b"" if data is None else ip_address(_text(data)).packed
        if len(packed) not in lengths:
            raise ValueError(f"{data!r} has {len(packed)} octets, {lengths} are allowed")
        return packed

    return Form(lambda value: format_address(value) if value else None, from_json)


def _text(data: Any) -> str:
    if not isinstance(data, str):
        raise TypeError(f"{data!r} is no string")
    return data


def colon_octets(length: int) -> Form[bytes]:
    """Return the form of a MAC address or an Ethernet segment identifier."""

    def from_json(data: Any) -> bytes:
        parts = _text(data).split(":")
        if len(parts) != length or any(len(part) != 2 for part in parts):
            raise ValueError(f"{data!r}: {length} octets with colons between are expected")
        return bytes.fromhex("".join(parts))

    return Form(lambda value: value.hex(":"), from_json)


def enumerated(kind: type[IntEnum], bits: int = 8) -> Form[int]:
    """Return the form of a number that has names; one without a name stays a number."""
    names = {member.value: member.name.lower().replace("_", "-") for member in kind}
    values = {name: value for value, name in names.items()}
    return Form(
        lambda value: names.get(value, int(value)),
        lambda data: values[data] if isinstance(data, str) else _number(data, bits),
    )


def optional(form: Form[Any]) -> Form[Any]:
    """Return the form of a value that may be None."""
    return Form(
        lambda value: None if value is None else form.to_json(value),
        lambda data: None if data is None else form.from_json(data),
    )


def listed(form: Form[Any]) -> Form[tuple[Any, ...]]:
    """Return the form of a tuple of values of one kind."""

    def from_json(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple):
            raise TypeError(f"{data!r} is no list")
        return tuple(form.from_json(item) for item in data)

    return Form(lambda value: [form.to_json(item) for item in value], from_json)


def mapping(data: Any) -> Mapping[str, Any]:
    """Return data that has named fields as it is."""
    if not isinstance(data, Mapping):
        raise TypeError("fields with names are expected")
    return data


def record(kind: type[T], /, **fields: Form[Any]) -> Form[T]:
    """Return the form of a NamedTuple or dataclass as a dict of its fields."""

    def from_json(data: Any) -> T:
        strange = mapping(data).keys() - fields.keys()
        if strange:
            raise ValueError(f"{sorted(map(str, strange))} are no fields of {kind.__name__}")
        if absent := [name for name in fields if name not in data]:
            known = inspect.signature(kind).parameters
            missing = [name for name in absent if known[name].default is inspect.Parameter.empty]
            if missing:
                raise ValueError(f"{', '.join(missing)} missing")
        return kind(**{name: form.from_json(data[name]) for name, form in fields.items() if name in data})

    return Form(lambda value: {name: form.to_json(getattr(value, name)) for name, form in fields.items()}, from_json)


def tagged(kinds: Mapping[str, tuple[type[Any], Form[Any]]]) -> Form[Any]:
    """Return the form of one of several records, told apart by ``type``."""
    names: Final = {kind: name for name, (kind, _) in kinds.items()}

    def to_json(value: Any) -> Any:
        name = names[type(value)]
        return {"type": name, **kinds[name][1].to_json(value)}

    def from_json(data: Any) -> Any:
        rest = dict(mapping(data))
        name = rest.pop("type")
        if name not in kinds:
            raise ValueError(f"type {name!r} is none of {', '.join(kinds)}")
        return kinds[name][1].from_json(rest)

    return Form(to_json, from_json)


def _distinguisher_text(value: bytes) -> str:
    kind = int.from_bytes(value[:2], "big")
    if kind == 0:
        return f"{int.from_bytes(value[2:4], 'big')}:{int.from_bytes(value[4:], 'big')}"
    if kind == 1:
        return f"{format_address(value[2:6])}:{int.from_bytes(value[6:], 'big')}"
    if kind == 2:
        asn = int.from_bytes(value[2:6], "big")
        return f"{asn}{'' if asn > 0xFFFF else 'L'}:{int.from_bytes(value[6:], 'big')}"
    return "0x" + value.hex()


def _distinguisher(data: Any) -> bytes:
    text = _text(data)
    if text.startswith("0x"):
        return _octets(text, (8,))
    administrator, _, assigned = text.rpartition(":")
    if not assigned.isdecimal():
        raise ValueError(f"{text!r} is no route distinguisher")
    if "." in administrator:
        return b"\0\x01" + ip_address(administrator).packed + int(assigned).to_bytes(2, "big")
    asn = int(administrator.removesuffix("L"))
    if administrator.endswith("L") or asn > 0xFFFF:
        return b"\0\x02" + asn.to_bytes(4, "big") + int(assigned).to_bytes(2, "big")
    return b"\0\0" + asn.to_bytes(2, "big") + int(assigned).to_bytes(4, "big")


def prefix_octets(packed: bytes, bits: int) -> bytes:
    """Return the significant octets of the first ``bits`` of an address, the bits behind them zero."""
    kept = packed[: (bits + 7) // 8]
    stray = -bits % 8
    return kept[:-1] + bytes([kept[-1] >> stray << stray]) if stray else kept


def format_bits(octets_of_prefix: bytes, bits: int, size: int) -> str:
    """Print a prefix of an address of ``size`` octets."""
    return f"{format_address(octets_of_prefix.ljust(size, bytes(1)))}/{bits}"


def parse_bits(data: Any, size: int) -> tuple[bytes, int]:
    """Read a prefix of an address of ``size`` octets: its significant octets and its length."""
    text, slash, length = _text(data).partition("/")
    packed = ip_address(text).packed
    bits = int(length) if slash and length.isdecimal() else -1
    if len(packed) != size or not 0 <= bits <= 8 * size:
        raise ValueError(f"{data!r} is no prefix of an address of {size} octets")
    significant = prefix_octets(packed, bits)
    if significant.ljust(size, b"\0") != packed:
        raise ValueError(f"{data!r} has bits behind its length")
    return significant, bits


#: an 8-octet route distinguisher (RFC 4364 section 4.2); ``L`` marks a small AS number in the 4-octet form.
DISTINGUISHER: Final[Form[bytes]] = Form(_distinguisher_text, _distinguisher)
MAC: Final = colon_octets(6)
ESI: Final = colon_octets(10)
STRING: Final[Form[str]] = Form(str, _text)
#: the value is octets that no rule of ours reads.
OPAQUE: Final = octets()
