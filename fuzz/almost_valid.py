"""UPDATEs in which one rule is broken, and the verdict that must follow (RFC 7606, spec section 14).

An input is the number of a rule and a message; the message is valid but for that rule, whatever else is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from fuzz.attribute_values import VALUES
from fuzz.strategies import keys, optional_values
from fuzz.target import Target
from pybgp.errors import RemoteError
from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import ATTRIBUTES, Fault, attribute_octets
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.update_encoding import message_octets

FAMILIES = frozenset({IPV4_UNICAST, IPV6_UNICAST})
OPTIONS = UpdateOptions(aigp=True, external_prefix_sid=True)
SESSION = Negotiated(65000, 65000, 1, 2, families=FAMILIES, options=OPTIONS, receive_limit=65535)
HOP = b"\x0a\0\0\1"
PATH = ATTRIBUTES[2].encode(AsPath.sequence(65001, 65002))
REACH = b"\0\2\1\x10\x20\1\x0d\xb8" + bytes(11) + b"\1\0\x20\x20\1\x0d\xb8"


@dataclass
class Draft:
    """A message before it is written."""

    attributes: dict[int, tuple[int, bytes]]
    nlri: bytes
    #: whole attributes behind the others.
    behind: list[bytes] = field(default_factory=list)
    surplus: int = 0

    def change(self, code: int, value: bytes) -> None:
        self.attributes[code] = (ATTRIBUTES[code].flags, value)

    def octets(self) -> bytes:
        found = [attribute_octets(flags, code, value) for code, (flags, value) in sorted(self.attributes.items())]
        block = b"".join([*found, *self.behind])
        lengths = b"\0\0" + (len(block) + self.surplus).to_bytes(2, "big")
        return message_octets(MessageType.UPDATE, lengths + block + self.nlri)


Verdict = Fault | tuple[int, int] | None
Breaker = Callable[[Draft], Any]


def _value(code: int, value: bytes) -> Breaker:
    return lambda draft: draft.change(code, value)


def _flags(code: int, change: int, value: bytes) -> Breaker:
    return lambda draft: draft.attributes.update({code: (ATTRIBUTES[code].flags ^ change, value)})


def _behind(*octets: str) -> Breaker:
    return lambda draft: draft.behind.extend(map(bytes.fromhex, octets))


def _without(code: int) -> Breaker:
    return lambda draft: draft.attributes.pop(code)


def _surplus(draft: Draft) -> None:
    draft.surplus = len(draft.nlri) + 1


def _nlri(octets: bytes) -> Breaker:
    def append(draft: Draft) -> None:
        draft.nlri += octets

    return append


_GOOD = {1: b"\0", 2: PATH, 3: HOP, 4: bytes(4), 5: bytes(4), 6: b"", 7: b"\0\0\0\1" + HOP, 9: HOP, 10: HOP, 8: HOP}
RULES: list[tuple[str, Breaker, Verdict]] = [
    ("nothing", lambda _: None, None),
    ("two octets of ORIGIN", _value(1, b"\0\0"), Fault.WITHDRAW),
    ("an ORIGIN that is none", _value(1, b"\3"), Fault.WITHDRAW),
    ("AS 0", _value(2, b"\2\1\0\0\0\0"), Fault.WITHDRAW),
    ("an empty segment", _value(2, b"\2\0" + PATH), Fault.WITHDRAW),
    ("an unknown segment", _value(2, b"\5\1\0\0\0\1"), Fault.WITHDRAW),
    ("a cut path", _value(2, PATH[:-1]), Fault.WITHDRAW),
    ("a set", _value(2, b"\1\1\0\0\0\1"), Fault.WITHDRAW),
    ("a confederation", _value(2, b"\3\1\0\0\0\1"), Fault.WITHDRAW),
    ("a short NEXT_HOP", _value(3, HOP[:3]), Fault.WITHDRAW),
    ("a multicast NEXT_HOP", _value(3, b"\xe0\0\0\1"), Fault.WITHDRAW),
    ("no ORIGIN", _without(1), Fault.WITHDRAW),
    ("no AS_PATH", _without(2), Fault.WITHDRAW),
    ("no NEXT_HOP", _without(3), Fault.WITHDRAW),
    ("a long MED", _value(4, bytes(5)), Fault.WITHDRAW),
    ("a short LOCAL_PREF", _value(5, bytes(3)), Fault.WITHDRAW),
    ("ATOMIC_AGGREGATE with a value", _value(6, b"\0"), Fault.DISCARD),
    ("aggregator AS 0", _value(7, bytes(4) + HOP), Fault.DISCARD),
    ("a short AGGREGATOR", _value(7, HOP + HOP[:3]), Fault.DISCARD),
    ("half a community", _value(8, bytes(6)), Fault.WITHDRAW),
    ("no community", _value(8, b""), Fault.WITHDRAW),
    ("half a large community", _value(32, bytes(13)), Fault.WITHDRAW),
    ("an unknown well-known attribute", _behind("40630100"), (3, 2)),
    ("an unknown optional attribute", _behind("c0630100"), None),
    ("an attribute that overruns", _behind("c00805 00000000"), Fault.WITHDRAW),
    ("half a header", _behind("c008"), Fault.WITHDRAW),
    ("a second ORIGIN", _behind("40010102"), None),
    ("two MP_REACH", _behind(*[attribute_octets(0x80, 14, REACH).hex()] * 2), (3, 1)),
    ("transitive MP_REACH", _behind(attribute_octets(0xC0, 14, REACH).hex()), (3, 9)),
    ("a next hop of 5 octets", _behind("800e0d 000201 05 0a00000001 00 18 2001"), (3, 9)),
    ("a cut IPv6 prefix", _behind(attribute_octets(0x80, 14, REACH[:-1]).hex()), (3, 9)),
    ("MP_UNREACH of 2 octets", _behind("800f02 0002"), (3, 9)),
    ("attributes longer than the message", _surplus, (3, 1)),
    ("a prefix of 33 bits", _nlri(b"\x21\x0a\0\0\0\0"), (3, 10)),
    ("a cut prefix", _nlri(b"\x20\x0a\0\0"), (3, 10)),
    *((f"wrong flags of {code}", _flags(code, 0xC0, _GOOD[code]), ATTRIBUTES[code].on_flags) for code in (4, 6, 7, 8)),
    *((f"nothing in {code}", _value(code, b""), ATTRIBUTES[code].on_malformed) for code in VALUES),
]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """A valid UPDATE with any optional attributes."""
    values = draw(st.fixed_dictionaries({}, optional={**optional_values, **VALUES}))
    found = {code: (ATTRIBUTES[code].flags, ATTRIBUTES[code].encode(value)) for code, value in values.items()}
    found |= {code: (ATTRIBUTES[code].flags, _GOOD[code]) for code in (1, 2, 3)}
    announced = draw(st.lists(keys(IPV4_UNICAST), min_size=1, max_size=5))
    return Draft(found, b"".join(announced))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A rule's number and a message that breaks it."""
    number = draw(st.integers(0, len(RULES) - 1))
    draft = draw(drafts())
    RULES[number][1](draft)
    return bytes([number]) + draft.octets()


def verdict(message: bytes) -> Verdict:
    """What a message costs: an error pair, or the worst fault."""
    try:
        update = decode(message, SESSION, AttributeStore())
    except RemoteError as error:
        return (error.code, error.subcode)
    assert isinstance(update, Update)
    worst = max((fault.fault for fault in update.faults), default=None)
    assert bool(update.announced) == (worst != Fault.WITHDRAW)
    assert bool(update.withdrawn) == (worst == Fault.WITHDRAW)
    return worst


def check(octets: bytes) -> None:
    name, _, expected = RULES[octets[0]]
    assert verdict(octets[1:]) == expected, name


TARGET = Target("almost-valid", broken(), check)
