"""Plain prefixes: an NLRI's own octets, split, joined and printed (RFC 4271 section 4.3, RFC 7911 section 3).

A key is the length octet and the significant octets, host bits zero; with ADD-PATH four octets of path identifier
come first.  Splitting takes one regular expression per family; what that does not match exactly takes the careful way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.families import IPV4_MULTICAST, IPV4_UNICAST, IPV6_MULTICAST, IPV6_UNICAST, Family
from pybgp.wire.forms import Form, format_bits, parse_bits, prefix_octets
from pybgp.wire.iana import UpdateSubcode
from pybgp.wire.nlri.row import PATH_ID_LENGTH, NlriContext, NlriError, NlriFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class PrefixFamily:
    """One row: a family whose NLRI are plain prefixes."""

    family: Family
    longest: int
    #: lengths that come first in the expression, because most routes have them.
    common: tuple[int, ...]
    #: (prefix length, octets) of ranges that are no unicast destination; a prefix inside one is ignored on receipt.
    odd: tuple[tuple[int, bytes], ...]


_ROWS: Final = (
    PrefixFamily(
        IPV4_UNICAST,
        32,
        (24, 26, 22, 23, 20, 21, 19, 16, 32, 18, 17, 25),
        ((8, b"\x7f"), (4, b"\xe0"), (4, b"\xf0")),
    ),
    PrefixFamily(
        IPV6_UNICAST,
        128,
        (48, 32, 44, 40, 36, 46, 64, 29, 122, 128),
        ((8, b"\xff"), (128, bytes(16)), (128, bytes(15) + b"\x01")),
    ),
)
#: the prefixes of multicast families are unicast ones too: they say where sources are (RFC 4760 section 6).
PREFIX_FAMILIES: Final = {
    **{row.family: row for row in _ROWS},
    IPV4_MULTICAST: replace(_ROWS[0], family=IPV4_MULTICAST),
    IPV6_MULTICAST: replace(_ROWS[1], family=IPV6_MULTICAST),
}


_IPV4_BITS: Final = 32
_ZERO: Final = b"\0"
#: octets as people write them.
_DECIMAL: Final = tuple(map(str, range(256)))


def _octet_class(octets: Iterable[int]) -> bytes:
    """Match one of some octets; neighbours are written as a range, which is quicker to compile."""
    ranges: list[list[int]] = []
    for octet in octets:
        if ranges and octet == ranges[-1][1] + 1:
            ranges[-1][1] = octet
        else:
            ranges.append([octet, octet])
    return b"[" + b"".join(b"\\x%02x-\\x%02x" % (first, last) for first, last in ranges) + b"]"


def _alternative(row: PrefixFamily, length: int) -> bytes:
    """Match a prefix of this length, but none in an odd range: the careful way then picks that out."""
    whole, bits = divmod(length, 8)
    odd = [(odd_length, octets) for odd_length, octets in row.odd if odd_length <= length]
    last = range(0, 256, 1 << (8 - bits))
    pattern = b"\\x%02x" % length
    for odd_length, octets in odd:
        if odd_length > 8:
            pattern += b"(?!" + b"".join(b"\\x%02x" % octet for octet in octets) + b")"
    strange = {octet for odd_length, octets in odd if odd_length <= 8 for octet in _first_octets(odd_length, octets)}
    if not whole:
        return pattern + (_octet_class([octet for octet in last if octet not in strange]) if bits else b"")
    pattern += _octet_class([octet for octet in range(256) if octet not in strange]) if strange else b"."
    return pattern + b"." * (whole - 1) + (_octet_class(last) if bits else b"")


def _first_octets(length: int, octets: bytes) -> range:
    """Return the first octets that lie in a range of at most 8 bits."""
    return range(octets[0], octets[0] + (1 << (8 - length)))


@lru_cache(maxsize=64)
def prefix_expression(family: Family, add_path: bool, lengths: Sequence[int] = ()) -> re.Pattern[bytes]:
    """Return what matches one ordinary prefix, with its path identifier if it has one; ``lengths``: these only."""
    row = PREFIX_FAMILIES[family]
    every = [*row.common, *(length for length in range(row.longest + 1) if length not in row.common)]
    alternatives = b"|".join(_alternative(row, length) for length in every if not lengths or length in lengths)
    return re.compile((b"." * PATH_ID_LENGTH if add_path else b"") + b"(?:" + alternatives + b")", re.DOTALL)


@lru_cache(maxsize=64)
def prefix_splitter(family: Family, add_path: bool) -> Callable[[bytes], list[bytes]]:
    """Return what splits a field of ordinary prefixes; joined, they are the field, unless one is not ordinary."""
    return prefix_expression(family, add_path).findall


def split_fast(family: Family, field: bytes, add_path: bool = False) -> list[bytes] | None:
    """Split a field of ordinary prefixes, or return None: the careful way must look at it."""
    keys = prefix_splitter(family, add_path)(field)
    return keys if b"".join(keys) == field else None


def split_careful(family: Family, field: bytes, add_path: bool = False) -> list[bytes]:
    """Split a field prefix by prefix, clear stray host bits, and name the first octet that is wrong."""
    longest = PREFIX_FAMILIES[family].longest
    keys = []
    position = 0
    while position < len(field):
        start = position + PATH_ID_LENGTH if add_path else position
        length = field[start] if start < len(field) else 0
        stop = start + 1 + (length + 7) // 8
        if stop > len(field) or length > longest:
            reason = f"{family} prefix of {length} bits at octet {position} of {len(field)}"
            raise RemoteError(ErrorCode.UPDATE_MESSAGE, UpdateSubcode.INVALID_NETWORK, reason=reason)
        key = field[position:stop]
        stray = -length % 8
        keys.append(key[:-1] + bytes([key[-1] >> stray << stray]) if stray else key)
        position = stop
    return keys


def split(family: Family, field: bytes, *, add_path: bool = False) -> list[bytes]:
    """Split an NLRI field into keys; RemoteError 3/10 if it cannot be read (RFC 4271 section 6.3)."""
    keys = split_fast(family, field, add_path)
    return split_careful(family, field, add_path) if keys is None else keys


def is_odd(family: Family, key: bytes, *, add_path: bool = False) -> bool:
    """Say whether a prefix lies in a range that is no unicast destination (multicast, class E, loopback)."""
    prefix = strip_path_id(key) if add_path else key
    length = prefix[0]
    octets = prefix[1:]
    for odd_length, odd in PREFIX_FAMILIES[family].odd:
        if length >= odd_length:
            whole, bits = divmod(odd_length, 8)
            shift = 8 - bits
            if octets[:whole] == odd[:whole] and (not bits or octets[whole] >> shift == odd[whole] >> shift):
                return True
    return False


def path_id(key: bytes) -> int:
    """Return the path identifier of an ADD-PATH key (RFC 7911 section 3)."""
    return int.from_bytes(key[:PATH_ID_LENGTH], "big")


def strip_path_id(key: bytes) -> bytes:
    """Return the prefix of an ADD-PATH key."""
    return key[PATH_ID_LENGTH:]


def with_path_id(key: bytes, identifier: int) -> bytes:
    """Return the ADD-PATH key of a prefix."""
    return identifier.to_bytes(PATH_ID_LENGTH, "big") + key


def parse_prefix(text: str) -> tuple[Family, bytes]:
    """Read ``10.0.0.0/8`` or ``2001:db8::/32``; LocalError if it is no prefix or has host bits."""
    return _read_prefix(text)


@lru_cache(maxsize=1024)
def _read_prefix(text: str) -> tuple[Family, bytes]:
    if "/" not in text:
        raise LocalError(f"prefix {text!r}: an address, a slash and a length are expected")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise LocalError(f"prefix {text!r}: {_what_is_wrong(text)}") from error
    if "%" in text:
        raise LocalError(f"prefix {text!r}: a prefix belongs to no interface; leave the % out")
    family = IPV4_UNICAST if network.version == 4 else IPV6_UNICAST
    significant = (network.prefixlen + 7) // 8
    return family, bytes([network.prefixlen]) + network.network_address.packed[:significant]


def _what_is_wrong(text: str) -> str:
    address, _, length = text.partition("/")
    try:
        widest = ip_address(address).max_prefixlen
    except ValueError:
        return f"{address!r} is no IPv4 or IPv6 address"
    try:
        return f"{text} has host bits set; did you mean {ip_network(text, strict=False)}?"
    except ValueError:
        return f"a length from 0 to {widest} is expected, not {length!r}"


def format_prefix(family: Family, key: bytes, *, add_path: bool = False) -> str:
    """Print a key as people write it; one of another family in hexadecimal."""
    prefix = strip_path_id(key) if add_path else key
    row = PREFIX_FAMILIES.get(family)
    if row is None:
        return prefix.hex()
    if row.longest == _IPV4_BITS:
        length, first, second, third, fourth = prefix.ljust(5, _ZERO)
        text = _DECIMAL
        return f"{text[first]}.{text[second]}.{text[third]}.{text[fourth]}/{text[length]}"
    return f"{IPv6Address(prefix[1:].ljust(16, _ZERO))}/{prefix[0]}"


def reader(family: Family) -> Callable[[bytes, int, NlriContext], tuple[bytes, int]]:
    """Return the reader of one prefix, for the table of families."""
    longest = PREFIX_FAMILIES[family].longest

    def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
        length = field[start]
        stop = start + 1 + (length + 7) // 8
        if stop > len(field) or length > longest:
            raise NlriError(f"{family} prefix of {length} bits at octet {start} of {len(field)}")
        return field[start : start + 1] + prefix_octets(field[start + 1 : stop], length), stop

    return read


def judge(family: Family) -> Callable[[bytes, NlriContext, tuple[bytes, ...]], NlriFault | None]:
    """Return the judge that ignores prefixes nobody can be reached at (spec section 5.3)."""

    def judge_one(nlri: bytes, _: NlriContext, __: tuple[bytes, ...]) -> NlriFault | None:
        if is_odd(family, nlri):
            return NlriFault(f"{family} prefix {nlri.hex()} is no unicast destination, ignored")
        return None

    return judge_one


def prefix_form(family: Family) -> Form[bytes]:
    """Return the plain data of a prefix: its text."""
    size = PREFIX_FAMILIES[family].longest // 8

    def from_json(data: Any) -> bytes:
        octets, length = parse_bits(data, size)
        return bytes([length]) + octets

    return Form(lambda nlri: format_bits(nlri[1:], nlri[0], size), from_json)
