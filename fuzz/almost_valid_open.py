"""OPENs in which one rule is broken, and the NOTIFICATION that must follow (spec sections 2 and 3).

An input is the number of a rule and a message; the message is valid but for that rule, whatever else is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from fuzz.session import OURS
from fuzz.target import Target
from pybgp.session.session import Session
from pybgp.session.state_machine import State
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Notification, decode
from pybgp.wire.update_encoding import message_octets

Answer = tuple[int, int] | None


@dataclass
class Draft:
    """An OPEN before it is written; ``capabilities`` are whole ones."""

    capabilities: list[bytes]
    version: int = 4
    asn: int = OURS.remote_as
    hold_time: int = 90
    router_id: int = 2
    extended: bool = False
    #: other parameters, whole.
    behind: list[bytes] = field(default_factory=list)
    surplus: int = 0

    def parameter(self, kind: int, value: bytes) -> bytes:
        return bytes([kind]) + len(value).to_bytes(2 if self.extended else 1, "big") + value

    def octets(self) -> bytes:
        fixed = bytes([self.version]) + self.asn.to_bytes(2, "big") + self.hold_time.to_bytes(2, "big")
        fixed += self.router_id.to_bytes(4, "big")
        parameters = b"".join(self.parameter(2, capability) for capability in self.capabilities) + b"".join(self.behind)
        length = len(parameters) + self.surplus
        counted = b"\xff\xff" + length.to_bytes(2, "big") if self.extended else bytes([length])
        return message_octets(MessageType.OPEN, fixed + counted + parameters)


def _set(**changes: Any) -> Callable[[Draft], Any]:
    return lambda draft: [setattr(draft, name, value) for name, value in changes.items()]


def _offer(*octets: str) -> Callable[[Draft], Any]:
    return lambda draft: draft.capabilities.extend(map(bytes.fromhex, octets))


def _parameter(kind: int) -> Callable[[Draft], Any]:
    return lambda draft: draft.behind.append(draft.parameter(kind, b"\1"))


RULES: list[tuple[str, Callable[[Draft], Any], Answer]] = [
    ("nothing", lambda _: None, None),
    ("version 3", _set(version=3), (2, 1)),
    ("four octets", _offer("4104 0000fdea"), None),
    ("another AS", _set(asn=64999), (2, 2)),
    ("AS 0", _set(asn=0), (2, 2)),
    ("another AS in the capability", _offer("4104 0000fde7"), (2, 2)),
    ("AS 0 in the capability", _offer("4104 00000000"), (2, 2)),
    ("identifier 0", _set(router_id=0), (2, 3)),
    ("our identifier, outside", _set(router_id=OURS.router_id), None),
    ("hold time 1", _set(hold_time=1), (2, 6)),
    ("hold time 2", _set(hold_time=2), (2, 6)),
    ("hold time 0", _set(hold_time=0), None),
    ("parameter 1", _parameter(1), (2, 4)),
    ("parameter 255 behind others", _parameter(255), (2, 4)),
    ("a parameter that overruns", _set(surplus=1), (2, 0)),
    ("a capability that overruns", _offer("4104 0000fd"), (2, 0)),
    ("half a capability", _offer("41"), (2, 0)),
    ("four octets in three", _offer("4103 00fdea"), (2, 0)),
    ("a family of three octets", _offer("0103 000100"), (2, 0)),
    ("restart of three octets", _offer("4003 000000"), (2, 0)),
    ("ADD-PATH of three octets", _offer("4503 000101"), (2, 0)),
    ("long-lived of eight octets", _offer("4708 0001018000000a00"), (2, 0)),
    ("next hops of five octets", _offer("0505 0001000100"), (2, 0)),
    ("filters beyond their capability", _offer("0307 00010001 02 4003"), (2, 0)),
    ("a hostname that overruns", _offer("4902 0961"), None),
    ("a version that overruns", _offer("4b02 ff61"), None),
    ("unknown and empty", _offer("c800"), None),
]

_good = st.sampled_from(
    ["0104 0002 00 01", "0200", "8000", "0600", "4600", "4002 0078", "4504 0001 01 03", "4700", "4a00"]
).map(bytes.fromhex)
_unknown = st.builds(
    lambda code, value: bytes([code, len(value)]) + value, st.integers(200, 255), st.binary(max_size=8)
)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A rule's number and an OPEN that breaks it."""
    number = draw(st.integers(0, len(RULES) - 1))
    others = draw(st.lists(st.one_of(_good, _unknown), max_size=6))
    draft = Draft([bytes.fromhex("0104 0001 00 01"), *others], extended=draw(st.booleans()))
    RULES[number][1](draft)
    return bytes([number]) + draft.octets()


def check(octets: bytes) -> None:
    name, _, expected = RULES[octets[0]]
    session = Session(OURS, random=lambda: 1.0)
    session.start(0.0)
    session.connection_made(0.0)
    session.data_to_send()
    session.receive_data(octets[1:], 1.0)
    framer, said = Framer(), []
    framer.feed(session.data_to_send())
    while (message := framer.next_message()) is not None:
        said.append(decode(message))
    answers = [(item.code, item.subcode) for item in said if isinstance(item, Notification)]
    assert answers == ([] if expected is None else [expected]), name
    assert session.state is (State.OPEN_CONFIRM if expected is None else State.IDLE), name


TARGET = Target("almost-valid-open", broken(), check)
