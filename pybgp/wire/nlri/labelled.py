"""Prefixes with MPLS labels, with and without a route distinguisher (RFC 8277 section 2, RFC 4364 section 4.3.4).

A label here is its whole field of three octets: 20 bits of label, three of traffic class, and the bottom-of-stack bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.forms import DISTINGUISHER, Form, format_bits, parse_bits, prefix_octets
from pybgp.wire.nlri.row import NlriContext, NlriDetails, NlriError, NlriFault

if TYPE_CHECKING:
    from collections.abc import Callable

_LABEL_LENGTH: Final = 3
_DISTINGUISHER_LENGTH: Final = 8
#: RFC 8277 section 2.4: stands for any label in a withdrawal.
WITHDRAWN_LABEL: Final = b"\x80\x00\x00"
_ANY_NUMBER: Final = 255


class LabelledPrefix(NamedTuple):
    """A prefix and its label stack (RFC 8277 section 2.3); ``address`` holds the significant octets."""

    labels: tuple[int, ...]
    length: int
    address: bytes


class VpnPrefix(NamedTuple):
    """A prefix of a VPN and its label stack (RFC 4364 section 4.3.4)."""

    labels: tuple[int, ...]
    distinguisher: bytes
    length: int
    address: bytes


def label(number: int, *, bottom: bool = True) -> int:
    """Return the field of a label."""
    return number << 4 | bottom


def _stack_end(field: bytes, start: int, stop: int) -> int:
    """Return where a stack ends: at its bottom, at a withdrawn label, or -1 if it has no end."""
    position = start
    while position + _LABEL_LENGTH <= stop:
        position += _LABEL_LENGTH
        is_first_withdrawn = position == start + _LABEL_LENGTH and field[start:position] == WITHDRAWN_LABEL
        if field[position - 1] & 1 or is_first_withdrawn:
            return position
    return -1


def reader(size: int, front: int) -> Callable[[bytes, int, NlriContext], tuple[bytes, int]]:
    """Return the reader for addresses of ``size`` octets behind ``front`` octets of distinguisher."""

    def read(field: bytes, start: int, context: NlriContext) -> tuple[bytes, int]:
        length = field[start]
        stop = start + 1 + (length + 7) // 8
        if stop > len(field):
            raise NlriError(f"labelled prefix of {length} bits at octet {start} of {len(field)}")
        labels_at = start + 1
        if context.labels and not context.withdrawn:
            labels_end = _stack_end(field, labels_at, stop)
        else:
            labels_end = labels_at + _LABEL_LENGTH
        bits = length - 8 * (labels_end - labels_at + front)
        if labels_end < 0 or bits < 0 or bits > 8 * size:
            raise NlriError(f"labelled prefix {field[start:stop].hex()}: {length} bits do not hold its labels")
        stack = field[labels_at:labels_end]
        if context.withdrawn:
            stack = WITHDRAWN_LABEL
        elif not context.labels:
            stack = stack[:2] + bytes([stack[2] | 1])
        address_at = labels_end + front
        address = prefix_octets(field[address_at:stop], bits)
        return bytes([length]) + stack + field[labels_end:address_at] + address, stop

    return read


def judge(nlri: bytes, context: NlriContext, _: tuple[bytes, ...]) -> NlriFault | None:
    """Refuse more labels than we said we take (RFC 8277 section 2.1)."""
    count = (_stack_end(nlri, 1, len(nlri)) - 1) // _LABEL_LENGTH
    if context.labels in (0, _ANY_NUMBER) or count <= context.labels:
        return None
    return NlriFault(f"{count} labels, we take {context.labels}", is_withdrawn=True)


def divide(nlri: bytes) -> tuple[bytes, bytes]:
    """Return the NLRI without its labels, which begins with the length of the rest; and the labels."""
    end = max(_stack_end(nlri, 1, len(nlri)), 1)
    return bytes([nlri[0] - 8 * (end - 1)]) + nlri[end:], nlri[1:end]


def join(key: bytes, stack: bytes) -> bytes:
    """Return the NLRI of a prefix behind labels."""
    return bytes([key[0] + 8 * len(stack)]) + stack + key[1:]


def withdrawal(nlri: bytes) -> bytes:
    """Return the NLRI with the one label of a withdrawal (RFC 8277 section 2.4)."""
    return join(divide(nlri)[0], WITHDRAWN_LABEL)


DETAILS: Final = NlriDetails(
    divide, join, lambda _: WITHDRAWN_LABEL, lambda _: {"labels": [f"0x{WITHDRAWN_LABEL.hex()}"]}
)


def _labels(nlri: bytes) -> tuple[tuple[int, ...], int]:
    end = max(_stack_end(nlri, 1, len(nlri)), 1)
    starts = range(1, end, _LABEL_LENGTH)
    return tuple(int.from_bytes(nlri[start : start + _LABEL_LENGTH], "big") for start in starts), end


def decode_labelled(nlri: bytes) -> LabelledPrefix:
    """Take a labelled prefix apart."""
    labels, end = _labels(nlri)
    return LabelledPrefix(labels, nlri[0] - 8 * (end - 1), nlri[end:])


def decode_vpn(nlri: bytes) -> VpnPrefix:
    """Take a VPN prefix apart."""
    labels, end = _labels(nlri)
    address_at = end + _DISTINGUISHER_LENGTH
    return VpnPrefix(labels, nlri[end:address_at], nlri[0] - 8 * (address_at - 1), nlri[address_at:])


def _encode(labels: tuple[int, ...], distinguisher: bytes, length: int, address: bytes) -> bytes:
    stack = b"".join(field.to_bytes(_LABEL_LENGTH, "big") for field in labels)
    if _stack_end(stack, 0, len(stack)) != len(stack):
        raise LocalError(f"labels {labels}: the last, and no other, has the bottom-of-stack bit")
    bits = length + 8 * (len(stack) + len(distinguisher))
    if bits > 0xFF or len(address) != (length + 7) // 8:
        raise LocalError(f"labelled prefix {address.hex()}/{length} behind {len(labels)} labels does not fit")
    return bytes([bits]) + stack + distinguisher + prefix_octets(address, length)


def encode_labelled(value: LabelledPrefix) -> bytes:
    """Write a labelled prefix."""
    return _encode(value.labels, b"", value.length, value.address)


def encode_vpn(value: VpnPrefix) -> bytes:
    """Write a VPN prefix."""
    if len(value.distinguisher) != _DISTINGUISHER_LENGTH:
        raise LocalError(f"route distinguisher {value.distinguisher.hex()}: 8 octets are expected")
    return _encode(value.labels, value.distinguisher, value.length, value.address)


def _stack_json(stack: tuple[int, ...]) -> list[int | str]:
    """Print labels as their numbers, and whole fields where a class or a strange bottom of the stack would be lost."""
    last = len(stack) - 1
    return [
        field >> 4 if field & 0xF == (position == last) else f"0x{field:06x}" for position, field in enumerate(stack)
    ]


def _stack(data: Any) -> tuple[int, ...]:
    """Read labels; the bottom of the stack is where it belongs unless whole fields say otherwise."""
    if not isinstance(data, list | tuple):
        raise TypeError(f"{data!r} is no list")
    last = len(data) - 1
    return tuple(_label_field(item, is_last=position == last) for position, item in enumerate(data))


def _label_field(data: Any, *, is_last: bool) -> int:
    is_whole = isinstance(data, str) and data.startswith("0x")
    found = int(data, 16) if is_whole else label(data, bottom=is_last)
    if not 0 <= found <= 0xFFFFFF:
        raise ValueError(f"label {data!r} does not fit three octets")
    return found


LABELS: Final = Form(_stack_json, _stack)


def labelled_form(size: int) -> Form[LabelledPrefix]:
    """Return the plain data of a labelled prefix: its text and its labels."""

    def from_json(data: Any) -> LabelledPrefix:
        address, length = parse_bits(data["prefix"], size)
        return LabelledPrefix(LABELS.from_json(data["labels"]), length, address)

    def to_json(value: LabelledPrefix) -> Any:
        text = format_bits(value.address, value.length, size)
        return {"prefix": text, "labels": LABELS.to_json(value.labels)}

    return Form(to_json, from_json)


def vpn_form(size: int) -> Form[VpnPrefix]:
    """Return the plain data of a VPN prefix: its distinguisher, its text and its labels."""

    def from_json(data: Any) -> VpnPrefix:
        address, length = parse_bits(data["prefix"], size)
        labels = LABELS.from_json(data["labels"])
        return VpnPrefix(labels, DISTINGUISHER.from_json(data["distinguisher"]), length, address)

    def to_json(value: VpnPrefix) -> Any:
        text = format_bits(value.address, value.length, size)
        distinguisher = DISTINGUISHER.to_json(value.distinguisher)
        return {"distinguisher": distinguisher, "prefix": text, "labels": LABELS.to_json(value.labels)}

    return Form(to_json, from_json)
