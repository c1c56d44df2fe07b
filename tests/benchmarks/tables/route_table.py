"""A routing table of realistic shape, the same for the same seed, and the octets in which a peer tells it.

About 5.9 routes share an attribute set, half of the sets have one route, AS paths have 4.2 numbers on average, half of
the sets carry communities.  The encoder here is not the one under test.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from ipaddress import IPv4Address

MARKER = b"\xff" * 16
UPDATE = 2
MESSAGE_LIMIT = 4096
#: prefix length -> weight, roughly as in the tables of 2025.
IPV4_LENGTHS = {24: 60, 22: 11, 23: 10, 21: 5, 20: 5, 19: 2.5, 18: 1.4, 16: 1.3, 17: 0.8, 15: 0.2, 14: 0.1}
#: a table of more routes than there are has no room for its biggest blocks.
FULL_TABLE, LONGER_THAN = 1_200_000, 19
IPV6_LENGTHS = {48: 47, 32: 14, 44: 10, 40: 9, 36: 6, 29: 4, 46: 3, 42: 2, 33: 2, 45: 1, 47: 1, 64: 1}
SINGLE_SHARE = 0.5
#: mean routes of the sets that have several, so that all sets together have 5.9.
SEVERAL_MEAN = 10.8
#: numbers behind the peer's own on an AS path.
FURTHER_ASES = ((1, 12), (2, 22), (3, 28), (4, 20), (5, 10), (6, 5), (7, 3))
#: above the numbers of the receiver, which would see a loop, and of its peers.
FIRST_FURTHER_AS = 70_000
COMMUNITY_COUNTS = ((1, 30), (2, 25), (4, 20), (8, 15), (16, 10))
FIRST_IPV4_SLOT, LAST_IPV4_SLOT = 1 << 16, 223 << 16
#: 10/8 and 127/8, in which benchmarks and loopbacks live.
LONGEST_IPV4, LONGEST_COVER = 24, 20
RESERVED_OCTETS = (10, 127)


@dataclass(frozen=True)
class AttributeSet:
    """What several routes share; the path lacks the number of the peer that tells it."""

    further_ases: tuple[int, ...]
    origin: int
    communities: bytes
    keys: Sequence[bytes]
    is_ipv6: bool


@dataclass(frozen=True)
class Teller:
    """The peer in whose name the octets speak."""

    asn: int
    next_hop: bytes
    next_hop6: bytes
    #: LOCAL_PREF is for peers within the AS; None: an external peer, whose number stands first on each path.
    local_pref: int | None = None
    #: how often an external peer prepends its number.
    prepended: int = 1


class RouteTable:
    """Attribute sets with their prefixes."""

    def __init__(self, ipv4_routes: int, ipv6_routes: int = 0, seed: int = 1, *, single: bool = False) -> None:
        """``single`` gives each route a set of its own."""
        chance = random.Random(seed)
        share = 1.0 if single else SINGLE_SHARE
        self.ipv4_routes, self.ipv6_routes = ipv4_routes, ipv6_routes
        self.sets = [*_sets(chance, ipv4_keys(chance, ipv4_routes), share, is_ipv6=False)]
        self.sets += _sets(chance, _ipv6_keys(chance, ipv6_routes), share, is_ipv6=True)
        chance.shuffle(self.sets)

    def ipv4_part(self) -> RouteTable:
        """Return the same table without its IPv6 routes."""
        part = copy(self)
        part.ipv6_routes = 0
        part.sets = [one for one in self.sets if not one.is_ipv6]
        return part

    @property
    def routes(self) -> int:
        return self.ipv4_routes + self.ipv6_routes

    def covering(self, count: int) -> list[tuple[str, int]]:
        """Return so many IPv4 prefixes, each with the longest length that it stands for, that cover all routes.

        What is left over of the number is prefixes of /24 that no route has.
        """
        keys = [key for one in self.sets if not one.is_ipv6 for key in one.keys]
        for length in range(LONGEST_COVER, 0, -1):
            covers = {(min(length, key[0]), _network(key, length)) for key in keys}
            if len(covers) <= count:
                break
        spare = itertools.product(RESERVED_OCTETS, range(256), range(256))
        found = [(f"{IPv4Address(network)}/{bits}", LONGEST_IPV4) for bits, network in sorted(covers)]
        rest = itertools.islice(spare, count - len(found))
        return found + [(f"{first}.{second}.{third}.0/24", LONGEST_IPV4) for first, second, third in rest]

    def octets(self, teller: Teller, part: int = 0, parts: int = 1) -> bytes:
        """Return the UPDATEs for the whole table, or for one of several equal parts of its sets."""
        return b"".join(message for one in self.sets[part::parts] for message in _updates(one, teller))

    def shape(self) -> str:
        """Return the figures of its shape in words."""
        sets = len(self.sets)
        single = sum(len(one.keys) == 1 for one in self.sets) / sets
        ases = 1 + sum(len(one.further_ases) for one in self.sets) / sets
        marked = sum(bool(one.communities) for one in self.sets) / sets
        return (
            f"{self.ipv4_routes} IPv4 and {self.ipv6_routes} IPv6 routes, {self.routes / sets:.1f} per attribute set, "
            f"{single:.0%} of the sets with one, {ases:.1f} numbers per AS path, {marked:.0%} with communities"
        )


def _network(key: bytes, length: int) -> int:
    """Return the address of what covers a prefix at a length, or of the prefix itself."""
    mask = 0xFFFFFFFF << (32 - min(length, key[0])) & 0xFFFFFFFF
    return int.from_bytes(key[1:].ljust(4, b"\0"), "big") & mask


def ipv4_keys(chance: random.Random, count: int) -> list[bytes]:
    """Walk through the address space, big blocks first, so that none overlap and nothing is wasted."""
    weights = {length: one for length, one in IPV4_LENGTHS.items() if count <= FULL_TABLE or length > LONGER_THAN}
    lengths = chance.choices(list(weights), list(weights.values()), k=count)
    keys, slot = [], FIRST_IPV4_SLOT
    for length in sorted(lengths):
        size = 1 << max(24 - length, 0)
        slot = -(-slot // size) * size
        while slot >> 16 in RESERVED_OCTETS or (slot + size - 1) >> 16 in RESERVED_OCTETS:
            slot = ((slot >> 16) + 1) << 16
        if slot + size > LAST_IPV4_SLOT:
            raise ValueError(f"{count} IPv4 routes: the address space is full after {len(keys)}")
        keys.append(bytes([length]) + (slot << 8).to_bytes(4, "big")[: (length + 7) // 8])
        slot += size
    chance.shuffle(keys)
    return keys


def _ipv6_keys(chance: random.Random, count: int) -> list[bytes]:
    lengths = chance.choices(list(IPV6_LENGTHS), list(IPV6_LENGTHS.values()), k=count)
    keys, slot = [], 0x2400_0000_0000_0000
    for length in sorted(lengths):
        size = 1 << (64 - length)
        slot = -(-slot // size) * size
        keys.append(bytes([length]) + slot.to_bytes(8, "big")[: (length + 7) // 8])
        slot += size
    chance.shuffle(keys)
    return keys


def _weighted(chance: random.Random, rows: Sequence[tuple[int, int]]) -> int:
    return chance.choices([value for value, _ in rows], [weight for _, weight in rows])[0]


def _sets(
    chance: random.Random, keys: Sequence[bytes], single_share: float, *, is_ipv6: bool
) -> Iterator[AttributeSet]:
    start = 0
    while start < len(keys):
        count = 1
        if chance.random() >= single_share:
            count = 2 + int(chance.expovariate(1 / (SEVERAL_MEAN - 1.5)))
        ases = tuple(chance.randrange(FIRST_FURTHER_AS, 400_000) for _ in range(_weighted(chance, FURTHER_ASES)))
        origin = chance.choices((0, 2, 1), (85, 13, 2))[0]
        yield AttributeSet(ases, origin, _communities(chance), keys[start : start + count], is_ipv6)
        start += count


def _communities(chance: random.Random) -> bytes:
    """Half have none; the others ascend, as most speakers send them."""
    if chance.random() < 0.5:
        return b""
    values = {chance.randrange(1 << 16, 64_000 << 16) for _ in range(_weighted(chance, COMMUNITY_COUNTS))}
    return struct.pack(f">{len(values)}I", *sorted(values))


def _attribute(flags: int, code: int, value: bytes) -> bytes:
    if len(value) < 256:
        return bytes((flags, code, len(value))) + value
    return struct.pack(">BBH", flags | 0x10, code, len(value)) + value


def _attributes(one: AttributeSet, teller: Teller) -> bytes:
    ases = one.further_ases
    if teller.local_pref is None:
        ases = (teller.asn,) * teller.prepended + ases
    path = struct.pack(f">BB{len(ases)}I", 2, len(ases), *ases)
    parts = [_attribute(0x40, 1, bytes([one.origin])), _attribute(0x40, 2, path)]
    if not one.is_ipv6:
        parts.append(_attribute(0x40, 3, teller.next_hop))
    if teller.local_pref is not None:
        parts.append(_attribute(0x40, 5, teller.local_pref.to_bytes(4, "big")))
    if one.communities:
        parts.append(_attribute(0xC0, 8, one.communities))
    return b"".join(parts)


def _updates(one: AttributeSet, teller: Teller) -> Iterator[bytes]:
    attributes = _attributes(one, teller)
    room = MESSAGE_LIMIT - 23 - len(attributes) - 30
    for keys in _packed(one.keys, room):
        if one.is_ipv6:
            hop = teller.next_hop6
            reach = _attribute(0x80, 14, b"\0\x02\x01" + bytes([len(hop)]) + hop + b"\0" + keys)
            yield update(reach + attributes, b"")
        else:
            yield update(attributes, keys)


def _packed(keys: Sequence[bytes], room: int) -> Iterator[bytes]:
    waiting = b""
    for key in keys:
        if len(waiting) + len(key) > room:
            yield waiting
            waiting = b""
        waiting += key
    yield waiting


def update(attributes: bytes, keys: bytes) -> bytes:
    """Return a whole UPDATE that announces prefixes in the classic field, or whatever the attributes announce."""
    length = 23 + len(attributes) + len(keys)
    return MARKER + struct.pack(">HBHH", length, UPDATE, 0, len(attributes)) + attributes + keys
