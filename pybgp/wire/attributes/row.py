"""One row per path attribute: what it must look like, what it is, and what it costs where it is wrong (section 5.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.iana import AttributeFlag, UpdateSubcode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.wire.forms import Form
    from pybgp.wire.negotiated import DecodingContext

T = TypeVar("T")
WELL_KNOWN: Final = int(AttributeFlag.TRANSITIVE)
OPTIONAL: Final = int(AttributeFlag.OPTIONAL)
OPTIONAL_TRANSITIVE: Final = OPTIONAL | WELL_KNOWN
PARTIAL: Final = int(AttributeFlag.PARTIAL)
EXTENDED_LENGTH: Final = int(AttributeFlag.EXTENDED_LENGTH)


class Fault(IntEnum):
    """What a malformed attribute costs, mildest first, so that max() picks the winner (RFC 7606 section 2)."""

    DISCARD = 1
    WITHDRAW = 2
    DISABLE_FAMILY = 3
    RESET = 4


class AttributeFault(NamedTuple):
    """One thing that was wrong in an UPDATE; ``attribute`` is its octets with header, as a NOTIFICATION quotes them."""

    code: int
    fault: Fault
    subcode: int
    reason: str
    attribute: bytes = b""


class ProhibitedSetError(MalformedAttributeError):
    """An AS_SET, which costs the routes in whichever attribute it stands (RFC 9774 section 3)."""


@dataclass(frozen=True, slots=True)
class AttributeCodec(Generic[T]):
    """One row: ``canonical`` checks what a peer sent and returns what we keep; the other two read and write that.

    It returns the very object it was given where nothing has to change.
    """

    code: int
    name: str
    flags: int
    canonical: Callable[[bytes, DecodingContext], bytes]
    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]
    #: the plain data of a value.
    form: Form[T]
    on_malformed: Fault = Fault.WITHDRAW
    on_flags: Fault = Fault.WITHDRAW
    #: from an external peer it is discarded, whatever it says (RFC 7606 sections 7.5, 7.9, 7.10).
    internal_only: bool = False


def bad_length(value: bytes, expected: str) -> MalformedAttributeError:
    """Return the error of a value that has the wrong length (RFC 4271 section 6.3)."""
    reason = f"{len(value)} octets, {expected} expected"
    return MalformedAttributeError(reason, subcode=UpdateSubcode.ATTRIBUTE_LENGTH)


def attribute_octets(flags: int, code: int, value: bytes) -> bytes:
    """Write one attribute, with the extended length only where it is needed (RFC 4271 section 4.3)."""
    flags &= ~EXTENDED_LENGTH
    if len(value) < 256:
        return bytes((flags, code, len(value))) + value
    if len(value) > 0xFFFF:
        raise LocalError(f"attribute {code} of {len(value)} octets: at most 65535 fit")
    return struct.pack(">BBH", flags | EXTENDED_LENGTH, code, len(value)) + value


def malformed(reason: str) -> MalformedAttributeError:
    """Return the error of a value that is wrong in itself (RFC 4271 section 6.3)."""
    return MalformedAttributeError(reason, subcode=UpdateSubcode.OPTIONAL_ATTRIBUTE)


def split_tlvs(value: bytes, kind_size: int, length_size: int) -> list[tuple[int, bytes]]:
    """Take TLVs apart; MalformedAttributeError where one overruns."""
    found = []
    position, header = 0, kind_size + length_size
    while position < len(value):
        start = position + header
        stop = start + int.from_bytes(value[position + kind_size : start], "big")
        if stop > len(value) or start > len(value):
            raise malformed(f"a TLV at octet {position} of {len(value)} overruns")
        found.append((int.from_bytes(value[position : position + kind_size], "big"), value[start:stop]))
        position = stop
    return found


def write_tlv(kind: int, value: bytes, kind_size: int, length_size: int) -> bytes:
    """Write one TLV."""
    return kind.to_bytes(kind_size, "big") + len(value).to_bytes(length_size, "big") + value
