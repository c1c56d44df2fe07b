"""How a case of each kind is read: whole messages as a session would, fragments in the place they are made for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from pybgp.errors import BgpError
from pybgp.wire.as_path import decode_as_path
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import ATTRIBUTES, attribute_octets
from pybgp.wire.capabilities import decode_capabilities
from pybgp.wire.framing import Framer
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Message, Update, decode, decode_open
from pybgp.wire.nlri import FAMILIES, NlriContext, format_nlri, split_row
from pybgp.wire.update_encoding import message_octets

from .corpus import WHOLE, Case

#: where we differ from the record on purpose.
DIFFERENT = {
    "fboss-bgp:other-80728df6ca62c09b": "type 0 and length 65535 at once: the length is judged first",
    "odl:update-0502dd7f6ad93067": "wrong flags of MP_REACH are part of its syntax, so 3/9 (RFC 4760 section 7)",
    "exabgp:update-28e715d0c7232545": "an IPv6 route with a next hop of 4 octets",
    "bgp4j:update-2691481c993984d3": "a multicast NEXT_HOP and no NLRI: nothing to withdraw (RFC 7606 section 5.2)",
    "exabgp:update-b28807647ee8d7b3": "a loopback prefix by a loopback next hop: ignored, not withdrawn",
    "frr:attribute-a9a7cbd73d275f3b": "a session inside one administrative domain, which we do not have",
    "routecore:update-c43e3fc245f3b70f": "BGPSEC_PATH instead of AS_PATH; we do not negotiate BGPsec",
    "fboss-bgp:update-a32c31296aa88910": "two labels in a withdrawal: there is one field (RFC 8277 section 2.4)",
    "fboss-bgp:update-c54110b41b54852e": "two labels in a withdrawal: there is one field (RFC 8277 section 2.4)",
    "frr:capability-50d088967cd992dc": "the capability of route refresh has no value (RFC 2918 section 2)",
    "frr:mp-reach-value-ec2c9ff2ab9657c3": "the source's test reads the header alone; its second prefix has 4 bits",
    "frr:mp-reach-value-f762de8333d89d06": "the source's test reads the header alone; its second prefix has 4 bits",
    "frr:mp-unreach-value-ab5ffb7d543b63bf": "the source's test reads the header alone; its second prefix has 4 bits",
    "boofuzzer-rendered:update-39919ec3ed9cb01e": "code 40 is PREFIX_SID, which we know: wrong flags, 3/4 and not 3/2",
    "frr:capability-9878961216a89c2f": "a count of filters beyond the capability ends the session (section 3)",
    "bgpkit:attribute-0a4c9f6a259c3117": "a PMSI_TUNNEL of 3 octets with wrong flags: 5 at least (RFC 6514 section 5)",
    "fboss-bgp:attribute-a70829a624244c27": "an AS 0 in the path (RFC 7607 section 2)",
    "fboss-bgp:update-eec727d8285a5e5f": "two labels in a withdrawal: there is one field (RFC 8277 section 2.4)",
}


def read(case: Case, octets: bytes | None = None) -> Message | None:
    """One message as a session would read it; None if the framer waits for more."""
    negotiated = case.negotiated()
    framer = Framer(negotiated.receive_limit)
    framer.feed(case.octets if octets is None else octets)
    message = framer.next_message()
    return None if message is None else decode(message, negotiated, AttributeStore())


def wrapped(case: Case, octets: bytes) -> bytes:
    """An UPDATE around attributes."""
    nlri = b"\x18\xc0\x00\x02" if case.context.get("has_nlri", True) else b""
    return message_octets(MessageType.UPDATE, b"\0\0" + len(octets).to_bytes(2, "big") + octets + nlri)


def as_update(case: Case, octets: bytes) -> Update:
    """What an UPDATE around attributes says."""
    update = decode(wrapped(case, octets), case.negotiated(), AttributeStore())
    assert isinstance(update, Update)
    return update


def _value(code: int) -> Callable[[Case, bytes], object]:
    return lambda case, octets: as_update(case, attribute_octets(0x80 if code in (14, 15) else 0xC0, code, octets))


def _stream(case: Case, octets: bytes) -> object:
    framer, found = Framer(), []
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        found.append(decode(message, case.negotiated(), AttributeStore()))
    return found


def _body(kind: MessageType) -> Callable[[Case, bytes], object]:
    return lambda case, octets: decode(message_octets(kind, octets), case.negotiated(), AttributeStore())


def _parameters(_: Case, octets: bytes) -> object:
    front = b"\x04\x5b\xa0\x00\x5a\x0a\x00\x00\x01" + bytes([len(octets) & 0xFF])
    return decode_open(message_octets(MessageType.OPEN, front + octets))


def _as_path(case: Case, octets: bytes) -> object:
    return decode_as_path(octets, 4 if case.context.get("asn4", True) else 2)


def _nlri(_: Case, octets: bytes) -> object:
    """The field in every family: at least one of them must be able to say what it is, or all must refuse it."""
    found, refused = [], BgpError("no family")
    for family, row in FAMILIES.items():
        for add_path in (False, True):
            try:
                keys = split_row(row, octets, NlriContext(add_path, 255))
            except BgpError as error:
                refused = error
                continue
            found += [format_nlri(family, key, add_path=add_path) for key in keys]
    if not found:
        raise refused
    return found


def _attribute_value(case: Case, octets: bytes) -> object:
    """The octets as the value of every attribute, and as whole attributes."""
    found, refused = [], BgpError("no attribute")
    for code in (*ATTRIBUTES, 14, 15, 99, 255):
        try:
            found.append(_value(code)(case, octets))
        except BgpError as error:
            refused = error
    if not found:
        raise refused
    return found


def _blob(case: Case, octets: bytes) -> object:
    """The octets as everything."""
    found, refused = [], BgpError("nothing")
    for reader in READERS.values():
        if reader is not _blob:
            try:
                found.append(reader(case, octets))
            except BgpError as error:
                refused = error
    if not found:
        raise refused
    return found


READERS: dict[str, Callable[[Case, bytes], object]] = {
    **dict.fromkeys(WHOLE, read),
    "stream": _stream,
    "update-body": _body(MessageType.UPDATE),
    "open-body": _body(MessageType.OPEN),
    "attribute": as_update,
    "attribute-value": _attribute_value,
    "mp-reach-value": _value(14),
    "mp-unreach-value": _value(15),
    "prefix-sid-value": _value(40),
    "as-path-value": _as_path,
    "capability": lambda _, octets: decode_capabilities(octets),
    "dynamic-capability": read,
    "open-parameters": _parameters,
    "nlri": _nlri,
    "blob": _blob,
}


def damaged(case: Case, chosen: random.Random, count: int) -> Iterator[bytes]:
    """Variants of the octets: one bit flipped, and cut; a message keeps its marker and tells its new length."""
    front = 19 if case.kind in WHOLE else 0
    if len(case.octets) <= front:
        return
    for _ in range(count):
        octets = bytearray(case.octets)
        octets[chosen.randrange(front, len(octets))] ^= 1 << chosen.randrange(8)
        yield bytes(octets)
        cut = case.octets[: chosen.randrange(front, len(octets))]
        yield cut[:16] + len(cut).to_bytes(2, "big") + cut[18:] if front else cut


def every_damage(case: Case) -> Iterator[bytes]:
    """A whole message cut at each octet behind its header, with the length put right, and each bit of it flipped."""
    octets = case.octets
    for place in range(19, len(octets)):
        yield octets[:16] + place.to_bytes(2, "big") + octets[18:place]
        for bit in range(8):
            yield octets[:place] + bytes([octets[place] ^ 1 << bit]) + octets[place + 1 :]
