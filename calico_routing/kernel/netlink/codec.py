"""Netlink framing: messages, attributes, acknowledgements (netlink(7), RFC 3549 section 2.3)."""

from __future__ import annotations

from struct import Struct
from sys import byteorder
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.kernel.netlink.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLMSG_OVERRUN: Final = 4

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200

NLMSGERR_ATTR_MSG: Final = 1
NLA_TYPE_MASK: Final = 0x3FFF

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26
RTM_NEWNEIGH: Final = 28
RTM_DELNEIGH: Final = 29
RTM_GETNEIGH: Final = 30

HEADER: Final = Struct("=IHHII")
HEADER_SIZE: Final = HEADER.size
ATTRIBUTE: Final = Struct("=HH")
U32: Final = Struct("=I")
I32: Final = Struct("=i")


class Message(NamedTuple):
    """One netlink message within a received buffer: ``start`` and ``end`` bound its body."""

    kind: int
    flags: int
    sequence: int
    port: int
    start: int
    end: int


class Acknowledgement(NamedTuple):
    """The answer to one request: error number 0 means done."""

    sequence: int
    error_number: int
    text: str


def pad(size: int) -> int:
    """The next multiple of four."""
    return (size + 3) & ~3


def attribute(kind: int, payload: bytes) -> bytes:
    """One type-length-value, padded."""
    size = len(payload) + 4
    return ATTRIBUTE.pack(size, kind) + payload + bytes(-size & 3)


def attribute_u32(kind: int, value: int) -> bytes:
    """An attribute that holds a 32-bit number in host order."""
    return ATTRIBUTE.pack(8, kind) + U32.pack(value)


def attribute_text(kind: int, value: str) -> bytes:
    """An attribute that holds a zero-terminated text."""
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One request as octets; the kernel fills in our port."""
    size = len(body)
    octets = HEADER.pack(HEADER_SIZE + size, kind, flags, sequence, 0) + body
    return octets + bytes(-size & 3) if size & 3 else octets


def split_messages(buffer: bytes) -> Iterator[Message]:
    """The messages of one datagram; one that lies about its length ends in a KernelError."""
    offset = 0
    size = len(buffer)
    while offset + HEADER_SIZE <= size:
        length, kind, flags, sequence, port = HEADER.unpack_from(buffer, offset)
        if length < HEADER_SIZE or offset + length > size:
            raise malformed(f"message of {length} octets at {offset} of {size}")
        yield Message(kind, flags, sequence, port, offset + HEADER_SIZE, offset + length)
        offset += pad(length)
    if offset < size:
        raise malformed(f"{size - offset} stray octets after the last message")


def attributes(buffer: bytes, start: int, end: int) -> dict[int, bytes]:
    """Type to payload; the last of equal types wins, flag bits of the type are dropped."""
    found: dict[int, bytes] = {}
    while start + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(buffer, start)
        if length < 4 or start + length > end:
            raise malformed(f"attribute {kind} of {length} octets, {end - start} left")
        found[kind & NLA_TYPE_MASK] = buffer[start + 4 : start + length]
        start += pad(length)
    return found


def decode_acknowledgement(buffer: bytes, answer: Message) -> Acknowledgement:
    """NLMSG_ERROR with its extended text, or NLMSG_DONE of a dump, which may carry an error too."""
    if answer.end - answer.start < 4:
        return Acknowledgement(answer.sequence, 0, "")
    (negative,) = I32.unpack_from(buffer, answer.start)
    text_start = answer.start + 4
    if answer.kind == NLMSG_ERROR:
        text_start = _after_echo(buffer, answer)
    text = ""
    if answer.flags & NLM_F_ACK_TLVS and text_start < answer.end:
        text = text_of(attributes(buffer, text_start, answer.end).get(NLMSGERR_ATTR_MSG, b""))
    return Acknowledgement(answer.sequence, -negative, text)


def _after_echo(buffer: bytes, answer: Message) -> int:
    """Where the extended attributes begin: behind the echoed header, or the whole echoed request."""
    if answer.flags & NLM_F_CAPPED or answer.end - answer.start < 4 + HEADER_SIZE:
        return answer.start + 4 + HEADER_SIZE
    (echoed,) = U32.unpack_from(buffer, answer.start + 4)
    return answer.start + 4 + pad(int(echoed))


def text_of(payload: bytes) -> str:
    """A zero-terminated text."""
    return payload.partition(b"\0")[0].decode(errors="replace")


def number_of(payload: bytes | None) -> int:
    """A number in host order of whatever width; 0 where the attribute is absent."""
    return int.from_bytes(payload, byteorder) if payload else 0


def malformed(what: str) -> KernelError:
    """The kernel, or a test, sent octets that are no netlink message."""
    return KernelError(74, "decode netlink message", f"malformed: {what}")
