"""Communities as a policy writes them: exact, by name, or with * for any number (RFC 1997, RFC 4360, RFC 8092)."""

from __future__ import annotations

import difflib
import ipaddress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.wire.communities import LargeCommunity, parse_community
from pybgp.wire.iana import AttributeCode, WellKnownCommunity

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES: Final = tuple(community.name.lower().replace("_", "-") for community in WellKnownCommunity)
#: RFC 4360 sections 4 and 5: the subtype behind each word.
SUBTYPES: Final = {"rt": 0x02, "soo": 0x03}
#: RFC 4360 section 3.1, RFC 4360 section 3.2, RFC 5668: the type by the form of the administrator.
AS2_TYPE: Final = 0x00
ADDRESS_TYPE: Final = 0x01
AS4_TYPE: Final = 0x02
#: RFC 9012 section 4.3: type and subtype.
COLOR: Final = 0x030B
#: Octets of a member, by attribute.
SIZES: Final = {
    AttributeCode.COMMUNITIES: 4,
    AttributeCode.EXTENDED_COMMUNITIES: 8,
    AttributeCode.LARGE_COMMUNITIES: 12,
}
ANY: Final = "*"
#: Digits of 2^32-1.
LONGEST_NUMBER: Final = 10


class Masked(NamedTuple):
    """A number in which only some bits matter."""

    mask: int
    value: int


class CommunityPattern(NamedTuple):
    """One pattern: the attribute it looks into, and what a member must be one of."""

    code: AttributeCode
    forms: tuple[Masked, ...]
    text: str

    def __str__(self) -> str:
        """Print what was written."""
        return self.text

    def fits(self, member: int) -> bool:
        """Say whether a member is meant, as a number of all its octets."""
        return any(member & mask == value for mask, value in self.forms)

    @property
    def exact(self) -> int | None:
        """The one member that is meant, None if there are several."""
        mask, value = self.forms[0]
        return value if len(self.forms) == 1 and mask == (1 << 8 * SIZES[self.code]) - 1 else None


def parse_pattern(text: str) -> CommunityPattern:
    """Read ``65000:1``, ``65000:*``, ``no-export``, ``65000:1:*``, ``rt:65000:1``, ``soo:192.0.2.1:7``, ``color:5``."""
    word = text.strip().lower()
    name = word.replace("_", "-")
    if name in NAMES:
        return _pattern(AttributeCode.COMMUNITIES, [_exact(parse_community(name), 4)], text)
    kind, _, rest = word.partition(":")
    if kind in SUBTYPES:
        return _pattern(AttributeCode.EXTENDED_COMMUNITIES, _extended(text, SUBTYPES[kind], rest), text)
    if kind == "color":
        forms = [_joined([(0xFFFFFFFF, COLOR << 16, 32), (*_part(text, rest, 0xFFFFFFFF), 32)])]
        return _pattern(AttributeCode.EXTENDED_COMMUNITIES, forms, text)
    parts = word.split(":")
    if len(parts) not in (2, 3) or kind.isalpha():
        raise _unknown(text, name)
    code, bits = (AttributeCode.COMMUNITIES, 16) if len(parts) == 2 else (AttributeCode.LARGE_COMMUNITIES, 32)
    form = _joined([(*_part(text, part, (1 << bits) - 1), bits) for part in parts])
    return _pattern(code, [form], text)


def parse_exact(text: str) -> CommunityPattern:
    """Read one community to add: the same without *."""
    pattern = parse_pattern(text)
    if pattern.exact is None:
        raise LocalError(f"community {text!r}: one community without * is expected here")
    return pattern


def members_as_numbers(code: int, members: Iterable[Any]) -> tuple[int, ...]:  # their type depends on the code
    """Turn the typed members of an attribute into numbers of all their octets."""
    if code == AttributeCode.EXTENDED_COMMUNITIES:
        return tuple(int.from_bytes(member, "big") for member in members)
    if code == AttributeCode.LARGE_COMMUNITIES:
        return tuple(high << 64 | middle << 32 | low for high, middle, low in members)
    return tuple(members)


def numbers_as_members(code: int, numbers: tuple[int, ...]) -> tuple[object, ...]:
    """Turn numbers back into what the attribute's codec takes."""
    if code == AttributeCode.EXTENDED_COMMUNITIES:
        return tuple(number.to_bytes(8, "big") for number in numbers)
    if code == AttributeCode.LARGE_COMMUNITIES:
        low = 0xFFFFFFFF
        return tuple(LargeCommunity(number >> 64, number >> 32 & low, number & low) for number in numbers)
    return numbers


def _pattern(code: AttributeCode, forms: list[Masked], text: str) -> CommunityPattern:
    return CommunityPattern(code, tuple(forms), text.strip())


def _exact(value: int, size: int) -> Masked:
    return Masked((1 << 8 * size) - 1, value)


def _part(text: str, part: str, most: int) -> tuple[int, int]:
    """Return mask and value of a number or *."""
    if part == ANY:
        return 0, 0
    is_number = part.isascii() and part.isdecimal()
    if not is_number or len(part) > LONGEST_NUMBER or int(part) > most:
        hint = "; larger numbers fit into a large community of three" if most == 0xFFFF and is_number else ""
        raise LocalError(f"community {text!r}: a number from 0 to {most} or * is expected, not {part!r}{hint}")
    return most, int(part)


def _joined(fields: list[tuple[int, int, int]]) -> Masked:
    """Put fields of (mask, value, bits) next to each other, the first highest."""
    mask = value = 0
    for field_mask, field_value, bits in fields:
        mask, value = mask << bits | field_mask, value << bits | field_value
    return Masked(mask, value)


def _extended(text: str, subtype: int, rest: str) -> list[Masked]:
    """Return every encoding that the words may mean (RFC 4360 section 3, RFC 5668 section 2)."""
    administrator, _, number = rest.rpartition(":")
    if not administrator:
        raise LocalError(f"community {text!r}: ADMINISTRATOR:NUMBER is expected behind the first colon")
    head = [(0xFFFF, kind << 8 | subtype, 16) for kind in (AS2_TYPE, ADDRESS_TYPE, AS4_TYPE)]
    if "." in administrator:
        try:
            address = int(ipaddress.IPv4Address(administrator))
        except ValueError as error:
            raise LocalError(f"community {text!r}: {administrator!r} is no IPv4 address") from error
        return [_joined([head[1], (0xFFFFFFFF, address, 32), (*_part(text, number, 0xFFFF), 16)])]
    mask, asn = _part(text, administrator, 0xFFFFFFFF)
    if mask and asn > 0xFFFF:
        return [_joined([head[2], (mask, asn, 32), (*_part(text, number, 0xFFFF), 16)])]
    small = _joined([head[0], (mask & 0xFFFF, asn, 16), (*_part(text, number, 0xFFFFFFFF), 32)])
    if mask:
        return [small]
    if number != ANY:
        raise LocalError(f"community {text!r}: * is expected behind *, because every form has another number there")
    return [Masked(0xFFFF << 48, (kind << 8 | subtype) << 48) for kind in (AS2_TYPE, ADDRESS_TYPE, AS4_TYPE)]


def _unknown(text: str, name: str) -> LocalError:
    near = difflib.get_close_matches(name, NAMES, 1)
    forms = f"a name ({', '.join(NAMES)}), A:B, A:B:C, rt:A:B, soo:A:B or color:N is expected"
    return LocalError(f"community {text!r}: no such community; {f'did you mean {near[0]!r}?' if near else forms}")
