"""A peer that keeps what it is told, read from the octets by other code than that under test; IPv4 unicast."""

from __future__ import annotations

import struct

from tests.benchmarks.tables.feeder import UPDATE, FeederError, RawPeer, messages

#: origin, AS path, communities
Route = tuple[int, tuple[int, ...], bytes]


class Listener:
    """Keeps what a peer is told, from the octets alone."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.table: dict[bytes, Route] = {}
        self.next_hops: set[bytes] = set()
        self._rest = b""

    def read(self) -> None:
        """Take what has come since the last time."""
        octets = self._rest + b"".join(self.peer.received)
        self.peer.forget()
        end = 0
        for kind, message, _ in messages(octets):
            end += len(message)
            if kind == UPDATE:
                self._take(message)
        self._rest = octets[end:]

    def _take(self, message: bytes) -> None:
        withdrawn = message[19] << 8 | message[20]
        at = 23 + withdrawn
        end = at + (message[at - 2] << 8 | message[at - 1])
        for key in prefixes(message[21 : 21 + withdrawn]):
            if self.table.pop(key, None) is None:
                raise FeederError(f"{key.hex()} withdrawn, which was not announced")
        keys = prefixes(message[end:])
        if not keys:
            return
        origin, ases, communities = 0, (), b""
        while at < end:
            is_long = message[at] & 0x10
            length = message[at + 2] << 8 | message[at + 3] if is_long else message[at + 2]
            start = at + (4 if is_long else 3)
            code, value = message[at + 1], message[start : start + length]
            if code == 1:
                origin = value[0]
            elif code == 2:
                ases = struct.unpack(f">{value[1]}I", value[2:])
            elif code == 3:
                self.next_hops.add(value)
            elif code == 8:
                communities = value
            at = start + length
        self.table.update(dict.fromkeys(keys, (origin, ases, communities)))


def prefixes(octets: bytes) -> list[bytes]:
    """Split a field of prefixes."""
    found, at = [], 0
    while at < len(octets):
        length = 1 + (octets[at] + 7 >> 3)
        found.append(octets[at : at + length])
        at += length
    return found
