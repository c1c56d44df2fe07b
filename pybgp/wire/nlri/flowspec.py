"""Flow specifications for IPv4 and IPv6, with or without a route distinguisher (RFC 8955 section 4, RFC 8956).

In a key the reserved bits of operators, the AND bit of a first operator and stray bits of prefixes are zero, and the
length has its shortest form, so that two encodings of a rule are one.
"""

from __future__ import annotations

import re
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from pybgp.errors import LocalError
from pybgp.wire.forms import DISTINGUISHER, Form, enumerated, mapping, prefix_octets
from pybgp.wire.nlri.row import NlriContext, NlriError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONG_LENGTH: Final = 240
_LONGEST: Final = 4095
_DISTINGUISHER_LENGTH: Final = 8
_END: Final = 0x80
_AND: Final = 0x40
_NUMERIC: Final = 0x07
_BITMASK: Final = 0x03


class ComponentType(IntEnum):
    """RFC 8955 section 4.2.2, RFC 8956 section 3."""

    DESTINATION = 1
    SOURCE = 2
    PROTOCOL = 3
    PORT = 4
    DESTINATION_PORT = 5
    SOURCE_PORT = 6
    ICMP_TYPE = 7
    ICMP_CODE = 8
    TCP_FLAGS = 9
    PACKET_LENGTH = 10
    DSCP = 11
    FRAGMENT = 12
    FLOW_LABEL = 13


_PREFIXES: Final = (ComponentType.DESTINATION, ComponentType.SOURCE)
_BITMASKS: Final = (ComponentType.TCP_FLAGS, ComponentType.FRAGMENT)
#: the octets that a value may have, where RFC 8955 section 4.2.2 says MUST.
_SIZES: Final = {ComponentType.TCP_FLAGS: (1, 2), ComponentType.DSCP: (1,), ComponentType.FRAGMENT: (1,)}
_OPERATORS: Final = ("false", "=", ">", ">=", "<", "<=", "!=", "true")
#: any of the bits, exactly the bits; the same negated.
_MATCHES: Final = ("any", "=", "not-any", "!=")
_TERM: Final = re.compile(r"([&|]?)(false|true|not-any|any|!=|<=|>=|=|<|>)(0x[0-9a-f]{1,16}|[0-9]{1,20})(?::([1248]))?")


class PrefixMatch(NamedTuple):
    """Bits ``offset`` to ``length`` of an address; ``pattern`` holds them, the first in front."""

    kind: int
    length: int
    pattern: bytes
    offset: int = 0


class Term(NamedTuple):
    """One operator and its value of ``size`` octets; ``operator`` has the comparison bits alone."""

    operator: int
    value: int
    size: int
    is_and: bool = False


class ValueMatch(NamedTuple):
    """Terms of one component; AND binds tighter than OR."""

    kind: int
    terms: tuple[Term, ...]


Component: TypeAlias = PrefixMatch | ValueMatch


class FlowRule(NamedTuple):
    """What a packet must look like."""

    components: tuple[Component, ...]
    distinguisher: bytes | None = None


def _read_prefix(rule: bytes, position: int, kind: int, size: int) -> tuple[bytes, int]:
    """Return the canonical octets of a prefix component and where the next starts."""
    header = 2 if size == 4 else 3
    front = rule[position : position + header]
    if len(front) < header:
        raise NlriError(f"flowspec component {kind} is cut at octet {position} of {len(rule)}")
    length, offset = front[1], front[2] if size == 16 else 0
    if length > 8 * size or (offset >= length and (length or offset)):
        raise NlriError(f"flowspec prefix from bit {offset} to bit {length}")
    bits = length - offset
    stop = position + header + (bits + 7) // 8
    if stop > len(rule):
        raise NlriError(f"flowspec prefix of {bits} bits at octet {position} of {len(rule)}")
    return front + prefix_octets(rule[position + header : stop], bits), stop


def _read_terms(rule: bytes, position: int, kind: int) -> tuple[bytes, int]:
    """Return the canonical octets of operators and values, and where the next component starts."""
    mask = _BITMASK if kind in _BITMASKS else _NUMERIC
    parts = [rule[position : position + 1]]
    at = position + 1
    allowed_and = 0
    while True:
        operator = rule[at] if at < len(rule) else 0
        size = 1 << (operator >> 4 & 3)
        stop = at + 1 + size
        if stop > len(rule):
            raise NlriError(f"flowspec component {kind}: the operator at octet {at} overruns {len(rule)}")
        if size not in _SIZES.get(kind, (size,)):  # type: ignore[call-overload]  # IntEnum keys
            raise NlriError(f"flowspec component {kind} with a value of {size} octets")
        parts.append(bytes([operator & (_END | 0x30 | mask | allowed_and)]) + rule[at + 1 : stop])
        if operator & _END:
            return b"".join(parts), stop
        at, allowed_and = stop, _AND


def _components(rule: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the canonical octets of each component (RFC 8955 section 4.2)."""
    position, last = 0, 0
    highest = ComponentType.FRAGMENT if size == 4 else ComponentType.FLOW_LABEL
    while position < len(rule):
        kind = rule[position]
        if not last < kind <= highest:
            raise NlriError(f"flowspec component {kind} behind {last}")
        octets, position = (
            _read_prefix(rule, position, kind, size) if kind in _PREFIXES else _read_terms(rule, position, kind)
        )
        yield kind, octets
        last = kind
    if not last:
        raise NlriError("a flowspec rule without components")


def _with_length(rule: bytes) -> bytes:
    if len(rule) < _LONG_LENGTH:
        return bytes([len(rule)]) + rule
    return (0xF000 | len(rule)).to_bytes(2, "big") + rule


def reader(size: int, *, vpn: bool) -> Callable[[bytes, int, NlriContext], tuple[bytes, int]]:
    """Return the reader for rules about addresses of ``size`` octets."""
    front = _DISTINGUISHER_LENGTH if vpn else 0

    def read(field: bytes, start: int, _: NlriContext) -> tuple[bytes, int]:
        rule_at, length = start + 1, field[start]
        if length >= _LONG_LENGTH and rule_at < len(field):
            length = (length & 0x0F) << 8 | field[rule_at]
            rule_at += 1
        stop = rule_at + length
        if stop > len(field) or length < front:
            raise NlriError(f"flowspec rule of {length} octets at octet {start} of {len(field)}")
        rule = b"".join([octets for _, octets in _components(field[rule_at + front : stop], size)])
        return _with_length(field[rule_at : rule_at + front] + rule), stop

    return read


def _rule_octets(nlri: bytes) -> bytes:
    return nlri[2 if nlri[0] >= _LONG_LENGTH else 1 :]


def _decode_terms(octets: bytes) -> tuple[Term, ...]:
    terms, position = [], 1
    while position < len(octets):
        operator = octets[position]
        size = 1 << (operator >> 4 & 3)
        value = int.from_bytes(octets[position + 1 : position + 1 + size], "big")
        terms.append(Term(operator & _NUMERIC, value, size, bool(operator & _AND)))
        position += 1 + size
    return tuple(terms)


def _decode_component(kind: int, octets: bytes, size: int) -> Component:
    if kind not in _PREFIXES:
        return ValueMatch(kind, _decode_terms(octets))
    if size == 4:
        return PrefixMatch(kind, octets[1], octets[2:])
    return PrefixMatch(kind, octets[1], octets[3:], octets[2])


def decoder(size: int, *, vpn: bool) -> Callable[[bytes], FlowRule]:
    """Return the decoder for rules about addresses of ``size`` octets."""

    def decode(nlri: bytes) -> FlowRule:
        rule = _rule_octets(nlri)
        front = _DISTINGUISHER_LENGTH if vpn else 0
        parts = tuple(_decode_component(kind, octets, size) for kind, octets in _components(rule[front:], size))
        return FlowRule(parts, rule[:front] if vpn else None)

    return decode


def destination(nlri: bytes, size: int, *, vpn: bool = False) -> bytes | None:
    """Return the destination of a rule as the key of a route, None if it has none or begins inside the address."""
    front = _DISTINGUISHER_LENGTH if vpn else 0
    rule = _rule_octets(nlri)
    kind, octets = next(_components(rule[front:], size))
    if kind != ComponentType.DESTINATION or (size == 16 and octets[2]):
        return None
    pattern = octets[2 if size == 4 else 3 :]
    return bytes([8 * front + octets[1]]) + rule[:front] + pattern


def _encode_component(component: Component, size: int) -> bytes:
    if isinstance(component, PrefixMatch):
        offset = bytes([component.offset]) if size == 16 else b""
        return bytes([component.kind, component.length]) + offset + component.pattern
    parts = [bytes([component.kind])]
    for place, term in enumerate(component.terms):
        flags = _END * (place == len(component.terms) - 1) | _AND * term.is_and | (term.size.bit_length() - 1) << 4
        parts.append(bytes([flags | term.operator]) + term.value.to_bytes(term.size, "big"))
    return b"".join(parts)


def encoder(size: int, *, vpn: bool) -> Callable[[FlowRule], bytes]:
    """Return the encoder, which reads what it wrote: a rule that nobody could read is refused."""
    read, decode = reader(size, vpn=vpn), decoder(size, vpn=vpn)

    def encode(value: FlowRule) -> bytes:
        rule = (value.distinguisher or b"") + b"".join(_encode_component(part, size) for part in value.components)
        if len(rule) > _LONGEST:
            raise LocalError(f"a flowspec rule of {len(rule)} octets: at most {_LONGEST} fit")
        nlri = _with_length(rule)
        try:
            again, stop = read(nlri, 0, NlriContext())
            known = decode(again)
        except NlriError as error:
            raise LocalError(f"{value}: {error}") from error
        if stop != len(nlri) or known != value:
            raise LocalError(f"{value}: it would be read as {known}")
        return nlri

    return encode


def precedence(nlri: bytes, size: int, *, vpn: bool = False) -> tuple[Any, ...]:
    """Return what a rule sorts by: the smaller comes first (RFC 8955 section 5.1, RFC 8956 section 4)."""
    front = _DISTINGUISHER_LENGTH if vpn else 0
    places: list[tuple[Any, ...]] = []
    for kind, octets in _components(_rule_octets(nlri)[front:], size):
        match = _decode_component(kind, octets, size)
        if isinstance(match, PrefixMatch):
            bits = f"{int.from_bytes(match.pattern, 'big'):0{8 * len(match.pattern)}b}"[: match.length - match.offset]
            # "2" sorts behind every bit: of two that agree, the longer comes first.
            places.append((kind, match.offset, bits + "2"))
        else:
            places.append((kind, 0, (*octets[1:], 0x100)))
    return (*places, (0x100,))


def _prefix_text(match: PrefixMatch, size: int) -> str:
    bits = match.length - match.offset
    pattern = int.from_bytes(match.pattern, "big") >> (-bits % 8)
    number = pattern << (8 * size - match.length)
    shown = IPv4Address(number) if size == 4 else IPv6Address(number)
    return f"{shown}/{match.offset}-{match.length}" if match.offset else f"{shown}/{match.length}"


def _parse_prefix(kind: int, text: str, size: int) -> PrefixMatch:
    shown, _, bits_text = text.partition("/")
    first, dash, last = bits_text.partition("-")
    lengths = (first, last) if dash else ("0", first)
    if not all(part.isdecimal() and int(part) <= 8 * size for part in lengths):
        raise ValueError(f"{text!r}: an address, a slash and a length up to {8 * size} are expected")
    offset, length = map(int, lengths)
    number = int(IPv4Address(shown) if size == 4 else IPv6Address(shown))
    kept, bits = number >> (8 * size - length), length - offset
    if kept << (8 * size - length) != number or not bits >= 0 or kept >> bits or (size == 4 and offset):
        raise ValueError(f"{text!r} has bits outside its range")
    octets = (bits + 7) // 8
    return PrefixMatch(kind, length, (kept << (8 * octets - bits)).to_bytes(octets, "big"), offset)


def _smallest(value: int) -> int:
    for size in (1, 2, 4, 8):
        if value < 1 << 8 * size:
            return size
    raise ValueError(f"{value} does not fit eight octets")


def _term_text(kind: int, term: Term, first: bool) -> str:
    joint = "" if first else "&" if term.is_and else "|"
    width = "" if term.size == _smallest(term.value) else f":{term.size}"
    if kind in _BITMASKS:
        return f"{joint}{_MATCHES[(term.operator & 1) | (term.operator & 2)]}{term.value:#x}{width}"
    return f"{joint}{_OPERATORS[term.operator]}{term.value}{width}"


def _parse_terms(kind: int, text: str) -> tuple[Term, ...]:
    terms: list[Term] = []
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None or bool(found[1]) != bool(terms):
            raise ValueError(f"{text!r}: no term at character {position}")
        value = int(found[3], 0) if found[3].startswith("0x") else int(found[3])
        names = _MATCHES if kind in _BITMASKS else _OPERATORS
        size = int(found[4]) if found[4] else _smallest(value)
        terms.append(Term(names.index(found[2]), value, size, found[1] == "&"))
        position = found.end()
    if not terms:
        raise ValueError("a match without terms")
    return tuple(terms)


_KIND: Final = enumerated(ComponentType)


def form(size: int) -> Form[FlowRule]:
    """Return the plain data of a rule: component names and what they must match."""

    def shown(part: Component) -> str:
        if isinstance(part, PrefixMatch):
            return _prefix_text(part, size)
        return "".join(_term_text(part.kind, term, place == 0) for place, term in enumerate(part.terms))

    def to_json(value: FlowRule) -> Any:
        rule: dict[str, Any] = {str(_KIND.to_json(part.kind)): shown(part) for part in value.components}
        if value.distinguisher is not None:
            rule["distinguisher"] = DISTINGUISHER.to_json(value.distinguisher)
        return rule

    def from_json(data: Any) -> FlowRule:
        parts: list[Component] = []
        for name, text in mapping(data).items():
            if name != "distinguisher":
                if not isinstance(text, str):
                    raise TypeError(f"{name} {text!r}: a text is expected")
                kind = _KIND.from_json(name)
                is_prefix = kind in _PREFIXES
                parts.append(
                    _parse_prefix(kind, text, size) if is_prefix else ValueMatch(kind, _parse_terms(kind, text))
                )
        parts.sort(key=lambda part: part.kind)
        distinguisher = DISTINGUISHER.from_json(data["distinguisher"]) if "distinguisher" in data else None
        return FlowRule(tuple(parts), distinguisher)

    return Form(to_json, from_json)
