"""Many routes that differ in nothing but their destination, as netlink messages: columns of octets, no loop per route.

A key is a destination as BGP writes it: the length octet and the significant octets (RFC 4271 section 4.3).
"""

from __future__ import annotations

from array import array
from itertools import chain
from sys import byteorder
from typing import TYPE_CHECKING, Final, NamedTuple

from calico_routing.kernel.netlink.codec import ATTRIBUTE, HEADER, HEADER_SIZE, NLM_F_ACK, NLM_F_REQUEST
from calico_routing.kernel.netlink.routes import ROUTE, RTA_DST, WIDTHS, decode_route, format_address, split_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calico_routing.kernel.netlink.routes import RouteEncoder
    from calico_routing.kernel.netlink.values import KernelRoute

#: Where a message header has its flags and its sequence number, and how many octets the number takes.
_FLAGS_AT: Final = 6
_SEQUENCE_AT: Final = 8
_SEQUENCE_SIZE: Final = 4
#: Where a dump has the destination, behind rtmsg and RTA_TABLE, within what surrounds its address, and the address.
_DESTINATION_AT: Final = ROUTE.size + 8 - 1
_ADDRESS_AT: Final = ROUTE.size + 8 + ATTRIBUTE.size
#: So many kinds of surroundings are known at most: those of IPv6 routes that are in use have ages in them.
_KNOWN: Final = 4096
#: From so many routes on, columns are faster than loops.
_COLUMNS_FROM: Final = 8
#: In how many passes scattered keys are gone through.
_PASSES: Final = 8
#: Where the length of the destination stands, behind the family.
_LENGTH_AT: Final = HEADER_SIZE + 1


class Request(NamedTuple):
    """What is asked for each of the routes: message type, flags, address family, and the route without destination."""

    kind: int
    flags: int
    family: int
    route: KernelRoute
    deletes: bool


def key_of(destination: str) -> tuple[int, bytes]:
    """``10.0.0.0/8`` as address family and key."""
    family, packed, length = split_prefix(destination)
    return family, bytes((length,)) + packed[: length + 7 >> 3]


def destination_of(family: int, key: bytes) -> str:
    """A key as text."""
    return f"{format_address(family, key[1:].ljust(WIDTHS[family], bytes(1)))}/{key[0]}"


def scattered(keys: Sequence[bytes]) -> Iterator[bytes]:
    """The same keys in passes over the whole, every eighth in each.

    Routes deleted in order make the kernel's trie fold its nodes again and again under each region; deleted like this
    they take half the time, since nodes fold only once they are nearly empty everywhere.
    """
    return chain.from_iterable(keys[start::_PASSES] for start in range(_PASSES))


def by_length(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Keys in groups of equal prefix length, each in the order given."""
    if len({key[0] for key in keys}) < 2:
        return [keys] if keys else []
    groups: dict[int, list[bytes]] = {}
    for key in keys:
        groups.setdefault(key[0], []).append(key)
    return list(groups.values())


def encode_run(encoder: RouteEncoder, request: Request, groups: Sequence[Sequence[bytes]], first: int) -> bytearray:
    """Messages for groups of keys (`by_length`), numbered from ``first``; only the last asks for an acknowledgement."""
    kind, flags, family, route, deletes = request
    flags |= NLM_F_REQUEST
    before, after = encoder.frame(family, route, deletes=deletes)
    before = bytes((family, 0)) + before
    address_at = HEADER_SIZE + len(before)
    size = address_at + WIDTHS[family] + len(after)
    template = bytearray(HEADER.pack(size, kind, flags, 0, 0) + before + bytes(WIDTHS[family]) + after)
    messages = bytearray()
    for keys in groups:
        template[_LENGTH_AT] = keys[0][0]
        fill = _one_by_one if len(keys) < _COLUMNS_FROM else _in_columns
        messages += fill(template, address_at, keys, first)
        first += len(keys)
    at = len(messages) - size + _FLAGS_AT
    messages[at : at + 2] = (flags | NLM_F_ACK).to_bytes(2, byteorder)
    return messages


def _one_by_one(template: bytearray, address_at: int, keys: Sequence[bytes], first: int) -> bytearray:
    block, one = bytearray(), bytearray(template)
    end = address_at + len(keys[0]) - 1
    for number, key in enumerate(keys, first):
        one[_SEQUENCE_AT : _SEQUENCE_AT + _SEQUENCE_SIZE] = number.to_bytes(_SEQUENCE_SIZE, byteorder)
        one[address_at:end] = key[1:]
        block += one
    return block


def _in_columns(template: bytearray, address_at: int, keys: Sequence[bytes], first: int) -> bytearray:
    """Each octet of a number or an address is written for all messages at once."""
    count, width, size = len(keys), len(keys[0]), len(template)
    block = template * count
    numbers = array("I", range(first, first + count)).tobytes()
    for place in range(_SEQUENCE_SIZE):
        block[_SEQUENCE_AT + place :: size] = numbers[place::_SEQUENCE_SIZE]
    octets = b"".join(keys)
    for place in range(1, width):
        block[address_at + place - 1 :: size] = octets[place::width]
    return block


class FoundRoutes:
    """A table by address family and key, the routes without their destination."""

    __slots__ = ("first", "more")

    def __init__(self) -> None:
        """Nothing found yet."""
        #: One route to each destination.
        self.first: dict[int, dict[bytes, KernelRoute]] = {family: {} for family in WIDTHS}
        #: What else there is to the same ones.
        self.more: list[tuple[int, bytes, KernelRoute]] = []

    def add(self, family: int, key: bytes, route: KernelRoute) -> None:
        """Take one more."""
        if self.first[family].setdefault(key, route) is not route:
            self.more.append((family, key, route))

    def forget(self, family: int) -> None:
        """Drop what was found of a family."""
        self.first[family].clear()
        self.more = [one for one in self.more if one[0] != family]

    def by_destination(self) -> Iterator[KernelRoute]:
        """The routes with their destinations, the only or first one of each before all others."""
        for family, table in self.first.items():
            for key, route in table.items():
                yield route._replace(destination=destination_of(family, key))
        for family, key, route in self.more:
            yield route._replace(destination=destination_of(family, key))


class RunDecoder:
    """Decodes routes of one family; what surrounds the address is read once for all routes that share it."""

    __slots__ = ("_family", "_known", "_names")

    def __init__(self, family: int, names: Mapping[int, str]) -> None:
        """Device numbers to names, which must not change meanwhile."""
        self._family = family
        self._names = names
        self._known: dict[bytes, KernelRoute] = {}

    def decode(self, buffer: bytes, start: int, end: int, found: FoundRoutes) -> None:
        """Add what one RTM_NEWROUTE says, unless it is a cached clone or of another family.

        A kernel without IPv6 answers a dump of its routes with those of every family.
        """
        width = WIDTHS[self._family]
        at = start + _ADDRESS_AT
        surroundings = buffer[start : start + 1] + buffer[start + 2 : at] + buffer[at + width : end]
        route = self._known.get(surroundings)
        if route is not None and at + width <= end:
            length = buffer[start + 1]
            key = buffer[start + 1 : start + 2] + buffer[at : at + (length + 7 >> 3)]
            found.add(self._family, key, route)
            return
        decoded = decode_route(buffer, start, end, self._names)
        if decoded is None:
            return
        family, key = key_of(decoded.destination)
        if family != self._family:
            return
        route = decoded._replace(destination="")
        found.add(family, key, route)
        if surroundings[_DESTINATION_AT:].startswith(ATTRIBUTE.pack(width + ATTRIBUTE.size, RTA_DST)):
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[surroundings] = route
