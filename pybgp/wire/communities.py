"""The three community kinds: values, text and canonical order (RFC 1997, RFC 4360, RFC 8092)."""

from __future__ import annotations

import struct
from operator import lt
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import LocalError, MalformedAttributeError
from pybgp.wire.iana import UpdateSubcode, WellKnownCommunity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WELL_KNOWN: Final = {community.name.lower().replace("_", "-"): int(community) for community in WellKnownCommunity}
_NAMES: Final = {number: name for name, number in _WELL_KNOWN.items()}
_NON_TRANSITIVE: Final = 0x40
#: how to read numbers of so many octets.
_LETTERS: Final = {4: "I", 8: "Q"}


class LargeCommunity(NamedTuple):
    """A community of three 4-octet numbers (RFC 8092 section 3)."""

    administrator: int
    data1: int
    data2: int

    def __str__(self) -> str:
        """Print the three numbers with colons between."""
        return f"{self.administrator}:{self.data1}:{self.data2}"


def _numbers(text: str, count: int, limit: int) -> list[int]:
    parts = text.split(":")
    numbers = [int(part) if part.isdecimal() else -1 for part in parts]
    if len(parts) != count or not all(0 <= number <= limit for number in numbers):
        raise LocalError(f"community {text!r}: {count} numbers from 0 to {limit} with colons between are expected")
    return numbers


def parse_community(text: str) -> int:
    """Read ``65000:100`` or a well-known name such as ``no-export``."""
    if text in _WELL_KNOWN:
        return _WELL_KNOWN[text]
    high, low = _numbers(text, 2, 0xFFFF)
    return high << 16 | low


def format_community(community: int) -> str:
    """Print a community by its well-known name or as ``65000:100``."""
    return _NAMES.get(community) or f"{community >> 16}:{community & 0xFFFF}"


def parse_large_community(text: str) -> LargeCommunity:
    """Read ``65000:1:2``."""
    return LargeCommunity(*_numbers(text, 3, 0xFFFFFFFF))


def is_transitive(extended: bytes) -> bool:
    """Say whether an extended community may leave the AS (RFC 4360 section 2)."""
    return not extended[0] & _NON_TRANSITIVE


def sorted_values(value: bytes, size: int) -> bytes:
    """Return the value with its members of ``size`` octets sorted, each once; the same object if it is so already."""
    count, rest = divmod(len(value), size)
    if rest or not count:
        reason = f"{len(value)} octets of communities of {size}"
        raise MalformedAttributeError(reason, subcode=UpdateSubcode.ATTRIBUTE_LENGTH)
    if count == 1:
        return value
    members = list(_members(value, size))
    in_order = sorted(set(members))
    return value if in_order == members else b"".join(in_order)


def is_sorted(counted: bytes, size: int) -> bool:
    """Say whether members of ``size`` octets behind a length octet ascend, each once."""
    if len(counted) <= 1 + size:
        return True
    letter = _LETTERS.get(size)
    if letter is None:
        members: Sequence[int | bytes] = list(_members(counted[1:], size))
    else:
        members = struct.unpack_from(f">{(len(counted) - 1) // size}{letter}", counted, 1)
    return all(map(lt, members, members[1:]))


def _members(value: bytes, size: int) -> Iterator[bytes]:
    return (value[start : start + size] for start in range(0, len(value), size))


def decode_communities(value: bytes) -> tuple[int, ...]:
    """Read COMMUNITIES (RFC 1997)."""
    return struct.unpack(f">{len(value) // 4}I", value)


def encode_communities(communities: Iterable[int]) -> bytes:
    """Write COMMUNITIES, sorted, each once."""
    members = sorted(set(communities))
    return struct.pack(f">{len(members)}I", *members)


def decode_extended_communities(value: bytes) -> tuple[bytes, ...]:
    """Read EXTENDED COMMUNITIES as blocks of eight octets (RFC 4360 section 2)."""
    return tuple(_members(value, 8))


def encode_extended_communities(communities: Iterable[bytes]) -> bytes:
    """Write EXTENDED COMMUNITIES, sorted, each once."""
    return _joined(communities, 8)


def decode_ipv6_extended_communities(value: bytes) -> tuple[bytes, ...]:
    """Read IPv6 EXTENDED COMMUNITIES as blocks of twenty octets (RFC 5701 section 2)."""
    return tuple(_members(value, 20))


def encode_ipv6_extended_communities(communities: Iterable[bytes]) -> bytes:
    """Write IPv6 EXTENDED COMMUNITIES, sorted, each once."""
    return _joined(communities, 20)


def _joined(communities: Iterable[bytes], size: int) -> bytes:
    members = sorted(set(communities))
    for member in members:
        if len(member) != size:
            raise LocalError(f"extended community {member.hex()}: {size} octets are expected")
    return b"".join(members)


def decode_large_communities(value: bytes) -> tuple[LargeCommunity, ...]:
    """Read LARGE_COMMUNITY (RFC 8092 section 3)."""
    return tuple(LargeCommunity(*numbers) for numbers in struct.iter_unpack(">III", value))


def encode_large_communities(communities: Iterable[tuple[int, int, int]]) -> bytes:
    """Write LARGE_COMMUNITY, sorted, each once (RFC 8092 section 5)."""
    return b"".join(struct.pack(">III", *community) for community in sorted(set(communities)))
