"""Small builders that several test files share: attributes, blocks and UPDATEs octet by octet."""

from __future__ import annotations

import struct

from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode_update
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.update_encoding import message_octets

BOTH = frozenset({IPV4_UNICAST, IPV6_UNICAST})
IBGP = Negotiated(65000, 65000, 1, 2, families=BOTH)
EBGP = Negotiated(65000, 65001, 1, 2, families=BOTH)


def session(*, external: bool = False, options: UpdateOptions | None = None, **facts: object) -> Negotiated:
    """A session with some facts changed."""
    values: dict[str, object] = {"families": BOTH, "options": options or UpdateOptions(), **facts}
    return Negotiated(65000, 65001 if external else 65000, 1, 2, **values)  # type: ignore[arg-type]  # test input


def attribute(flags: int, code: int, value: bytes) -> bytes:
    """One attribute with the short header, or the long one if the flags ask for it."""
    length = struct.pack(">H" if flags & 0x10 else ">B", len(value))
    return bytes([flags, code]) + length + value


ORIGIN = attribute(0x40, 1, b"\0")
EMPTY_PATH = attribute(0x40, 2, b"")
PATH = attribute(0x40, 2, b"\x02\x01" + (65001).to_bytes(4, "big"))
NEXT_HOP = attribute(0x40, 3, b"\x0a\0\0\x01")
GOOD = ORIGIN + PATH + NEXT_HOP
PREFIX = b"\x18\xc0\x00\x02"
OTHER_PREFIX = b"\x18\xc6\x33\x64"
V6_PREFIX = b"\x20\x20\x01\x0d\xb8"
V6_HOP = bytes.fromhex("20010db8000000000000000000000001")
REACH = attribute(0x80, 14, b"\0\x02\x01\x10" + V6_HOP + b"\0" + V6_PREFIX)
UNREACH = attribute(0x80, 15, b"\0\x02\x01" + V6_PREFIX)


def update_message(attributes: bytes = b"", nlri: bytes = b"", withdrawn: bytes = b"") -> bytes:
    """A whole UPDATE from its three fields."""
    lengths = struct.pack(">H", len(withdrawn)), struct.pack(">H", len(attributes))
    return message_octets(MessageType.UPDATE, lengths[0] + withdrawn + lengths[1] + attributes + nlri)


def read_update(attributes: bytes = b"", nlri: bytes = b"", withdrawn: bytes = b"", *, on: Negotiated = EBGP) -> Update:
    """What such an UPDATE says."""
    return decode_update(update_message(attributes, nlri, withdrawn), on, AttributeStore())
