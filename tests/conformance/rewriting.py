"""What we write for what we read: the same octets, or an equivalent message with the reasons by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pybgp.wire.as_path import decode_as_path, joined
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.framing import Framer
from pybgp.wire.iana import AttributeCode
from pybgp.wire.messages import Message, Open, Update, decode, encode
from pybgp.wire.nlri import FAMILIES

from .corpus import Case

MULTIPROTOCOL = (14, 15)
_COMMUNITY_SIZES = {8: 4, 16: 8, 25: 20, 32: 12}


class RawAttribute(NamedTuple):
    flags: int
    code: int
    value: bytes


def attributes_in(octets: bytes) -> list[RawAttribute]:
    """The attributes of a field as they stand, as far as they are whole."""
    found, position = [], 0
    while position + 3 <= len(octets):
        flags, code = octets[position], octets[position + 1]
        size = 2 if flags & 0x10 else 1
        start = position + 2 + size
        position = start + int.from_bytes(octets[position + 2 : start], "big")
        found.append(RawAttribute(flags, code, octets[start:position]))
    return found


def fields(message: bytes) -> tuple[bytes, list[RawAttribute], bytes]:
    """Withdrawn routes, attributes and NLRI of an UPDATE."""
    attributes_at = 23 + int.from_bytes(message[19:21], "big")
    nlri_at = attributes_at + int.from_bytes(message[attributes_at - 2 : attributes_at], "big")
    return message[21 : attributes_at - 2], attributes_in(message[attributes_at:nlri_at]), message[nlri_at:]


def split_messages(octets: bytes) -> list[bytes]:
    framer, found = Framer(65535), []
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        found.append(message)
    return found


def meaning(update: Update) -> tuple[object, ...]:
    """Everything an UPDATE says, with keys as identities and without what only stands beside the routes."""
    announced, withdrawn = [], []
    for item in update.announced:
        assert item.attributes is not None
        attributes = (item.attributes.block, item.attributes.next_hop)
        announced += [(item.family, key, *attributes) for key in item.keys]
    for item in update.withdrawn:
        row = FAMILIES[item.family]
        withdrawn += [(item.family, row.withdrawal(key) if item.family.safi != 1 else key) for key in item.keys]
    opaque = [(item.family, item.field, item.is_withdrawn) for item in update.opaque]
    return sorted(announced), sorted(withdrawn), opaque, update.end_of_rib


def _attribute_reasons(
    before: list[RawAttribute], after: list[RawAttribute], case: Case, update: Update
) -> Iterator[str]:
    written = {attribute.code: attribute for attribute in after}
    codes = [attribute.code for attribute in before]
    if len(set(codes)) < len(codes):
        yield "a repeated attribute is written once"
    kept = [code for code in dict.fromkeys(codes) if code in written]
    if kept != [code for code in written if code in kept]:
        yield "attributes are written in order"
    discarded = {fault.code for fault in update.faults}
    for flags, code, value in before:
        if flags & 0x10 and len(value) < 256:
            yield "a short value has the short header"
        if flags & 0x0F:
            yield "unused flags are cleared"
        if code not in written:
            yield _missing_reason(flags, code, discarded, announced=bool(update.announced or update.opaque))
        elif written[code].value != value and code not in MULTIPROTOCOL:
            yield _value_reason(code, value, written[code].value, case)
        elif (written[code].flags ^ flags) & 0xE0:
            yield "an unknown attribute becomes partial" if flags & 0x40 else "flags are corrected"


def _missing_reason(flags: int, code: int, discarded: set[int], *, announced: bool) -> str:
    if code in discarded:
        return "a discarded attribute is left out"
    if code == AttributeCode.NEXT_HOP:
        return "NEXT_HOP is left out where no IPv4 prefix needs it"
    if code in (17, 18):
        return "AS4_PATH and AS4_AGGREGATOR are merged"
    if not announced:
        return "attributes beside withdrawals alone are left out"
    if not flags & 0x40 and code not in MULTIPROTOCOL:
        return "an unknown non-transitive attribute is left out"
    if code == 15:
        return "withdrawals are a message of their own"
    return f"attribute {code} is missing"


def _value_reason(code: int, before: bytes, after: bytes, case: Case) -> str:
    if code in _COMMUNITY_SIZES:
        size = _COMMUNITY_SIZES[code]
        members = {before[start : start + size] for start in range(0, len(before), size)}
        if b"".join(sorted(members)) == after:
            return "communities are sorted, each once"
    if code == AttributeCode.AS_PATH:
        size = 4 if case.context.get("asn4", True) else 2
        old, new = decode_as_path(before, size), decode_as_path(after, size)
        if joined(old.segments) == joined(new.segments):
            return "neighbouring sequences of AS_PATH are joined"
        return "AS4_PATH and AS4_AGGREGATOR are merged"
    if code in (AttributeCode.AGGREGATOR, 17, 18):
        return "AS4_PATH and AS4_AGGREGATOR are merged"
    return f"the value of attribute {code} differs"


def _nlri_reasons(before: list[RawAttribute], after: list[RawAttribute], case: Case) -> Iterator[str]:
    old = {attribute.code: attribute.value for attribute in before}
    new = {attribute.code: attribute.value for attribute in after}
    for code in MULTIPROTOCOL:
        if code not in old or code not in new or old[code] == new[code]:
            continue
        safi = old[code][2]
        if old[code][:2] == b"\0\1" and safi == 1:
            yield "IPv4 prefixes stand in the classic field"
        elif safi in (133, 134):
            yield "a flow specification has no next hop and the shortest length"
        elif safi in (4, 128, 129):
            yield "labels have the bottom-of-stack bit, withdrawn ones the value for it"
        elif code == 14 and old[code][3] != new[code][3]:
            yield "a second address of the next hop that is not link-local is left out"
        elif code == 14 and old[code][4 + old[code][3]] != 0:
            yield "the reserved octet of MP_REACH is zero"
        else:
            yield "bits behind a prefix are cleared, or an NLRI is ignored"


def reasons(case: Case, octets: bytes, once: bytes, update: Update) -> list[str]:
    """Why an UPDATE is not written octet by octet as it came."""
    messages = [fields(message) for message in split_messages(once)]
    withdrawn, before, nlri = fields(octets)
    found: list[str] = []
    if len(messages) > 1:
        found.append("withdrawals are a message of their own")
    after = [attribute for _, attributes, _ in messages for attribute in attributes]
    found += _attribute_reasons(before, after, case, update)
    found += _nlri_reasons(before, after, case)
    if 14 in {attribute.code for attribute in before} and 14 not in {attribute.code for attribute in after}:
        reach = next(attribute.value for attribute in before if attribute.code == 14)
        found = [reason for reason in found if reason != "attribute 14 is missing"]
        if reach[:3] == b"\0\1\1":
            found.append("IPv4 prefixes stand in the classic field")
        elif has_cost(update) or not update.announced:
            found.append("the routes are withdrawn or ignored")
        else:
            found.append("attribute 14 is missing")
    if (
        b"".join(message[0] for message in messages) != withdrawn
        or b"".join(message[2] for message in messages) != nlri
    ):
        found.append("bits behind a prefix are cleared, or an NLRI is ignored")
    return sorted(set(found))


def has_cost(update: Update) -> bool:
    return any(fault.fault > 1 for fault in update.faults)


class Rewritten(NamedTuple):
    """``verdict`` is equal, equivalent, nothing to write, or different."""

    verdict: str
    reasons: tuple[str, ...] = ()


def rewrite(case: Case, message: Message) -> Rewritten:
    """Write a message that was read, read it again, and say how the two differ."""
    negotiated = case.negotiated()
    if isinstance(message, Update) and not (
        message.announced or message.withdrawn or message.end_of_rib or message.opaque
    ):
        return Rewritten("nothing", ("no routes in it",))
    once = encode(message, negotiated)
    if once == case.octets:
        return Rewritten("equal")
    if not isinstance(message, Update):
        again = decode(once, negotiated, AttributeStore())
        why = "capabilities stand in one parameter" if isinstance(message, Open) else "reserved bits are cleared"
        return Rewritten("equivalent" if again == message else "different", (why,))
    if has_cost(message):
        return Rewritten("equivalent", ("the routes are withdrawn or ignored",))
    store = AttributeStore()
    parts = [decode(octets, negotiated, store) for octets in split_messages(once)]
    said: list[list[object]] = [[], [], [], []]
    for part in parts:
        assert isinstance(part, Update)
        for place, values in zip(said, meaning(part), strict=True):
            place.extend(values if isinstance(values, list) else [values] if values else [])
    stated = [list(values) if isinstance(values, list) else [values] if values else [] for values in meaning(message)]
    same = [sorted(map(repr, values)) for values in said] == [sorted(map(repr, values)) for values in stated]
    why = tuple(reasons(case, case.octets, once, message))
    return Rewritten("equivalent" if same and why else "different", why)
