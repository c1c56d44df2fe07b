"""A stream of UPDATEs as a file that any interpreter reads: facts of the session, then each message and its length."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

RECEIVER_AS, SENDER_AS = 64512, 65001


@dataclass(frozen=True)
class Stream:
    """UPDATEs with their headers, and what must be known to read them."""

    name: str
    messages: tuple[bytes, ...]
    asn4: bool = True
    #: all from one neighbour, whose number leads each path.
    one_peer: bool = True
    #: between two speakers of one AS.
    is_internal: bool = False

    def write(self, path: Path) -> None:
        facts = asdict(self)
        del facts["messages"]
        parts = [json.dumps(facts).encode() + b"\n"]
        for message in self.messages:
            parts += [struct.pack(">H", len(message)), message]
        path.write_bytes(b"".join(parts))


def read_stream(path: Path) -> Stream:
    head, _, octets = path.read_bytes().partition(b"\n")
    messages, position = [], 0
    while position < len(octets):
        (length,) = struct.unpack_from(">H", octets, position)
        messages.append(octets[position + 2 : position + 2 + length])
        position += 2 + length
    return Stream(messages=tuple(messages), **json.loads(head))
