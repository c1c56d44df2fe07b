"""Validated ROA payloads by prefix, and what they say about a route (RFC 6811)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pybgp.rpki.pdu import Vrp
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ValidationState(StrEnum):
    """RFC 6811 section 2."""

    VALID = "valid"
    INVALID = "invalid"
    NOT_FOUND = "not-found"


_WIDTHS: Final = {IPV4_UNICAST: 32, IPV6_UNICAST: 128}
#: Who may originate: maximum length and AS in one number (so that the garbage collector has nothing to visit) to the
#: number of sources that say so.
_Origins = dict[int, int]
_ASN_BITS: Final = 32
_ASN_MASK: Final = 0xFFFFFFFF


class _FamilyTable:
    """The payloads of one family: length to network number to origins."""

    __slots__ = ("by_length", "lengths", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.by_length: dict[int, dict[int, _Origins]] = {}
        #: The lengths that occur, shortest first, each with the shift that makes a network number of an address.
        self.lengths: list[tuple[int, int, dict[int, _Origins]]] = []

    def network(self, key: bytes) -> int:
        """Return the prefix as a number, host bits zero."""
        return int.from_bytes(key[1:], "big") << (self.width - 8 * (len(key) - 1))

    def origins(self, key: bytes) -> _Origins:
        length = key[0]
        networks = self.by_length.get(length)
        if networks is None:
            networks = self.by_length[length] = {}
            self._index()
        number = self.network(key) >> (self.width - length)
        origins = networks.get(number)
        if origins is None:
            origins = networks[number] = {}
        return origins

    def remove(self, key: bytes) -> None:
        """Forget a prefix that no payload names any more."""
        length = key[0]
        networks = self.by_length[length]
        del networks[self.network(key) >> (self.width - length)]
        if not networks:
            del self.by_length[length]
            self._index()

    def covering(self, key: bytes) -> Iterator[_Origins]:
        """Yield the origins of every payload prefix that covers a route."""
        network, longest = self.network(key), key[0]
        for length, shift, networks in self.lengths:
            if length > longest:
                return
            origins = networks.get(network >> shift)
            if origins is not None:
                yield origins

    def _index(self) -> None:
        self.lengths = [(length, self.width - length, self.by_length[length]) for length in sorted(self.by_length)]


class ValidationTable:
    """The payloads of all sources together; asking costs one lookup for each prefix length that occurs.

    A payload that several caches name stays until the last of them has taken it back.
    """

    def __init__(self) -> None:
        """Begin with no payload: every route is not found."""
        self._families = {family: _FamilyTable(width) for family, width in _WIDTHS.items()}
        self._size = 0

    def __len__(self) -> int:
        """How many different payloads there are."""
        return self._size

    def __iter__(self) -> Iterator[Vrp]:
        """Iterate over the different payloads, in no order."""
        for family, table in self._families.items():
            for length, shift, networks in table.lengths:
                for number, origins in networks.items():
                    octets = (number << shift).to_bytes(table.width // 8, "big")[: (length + 7) // 8]
                    for origin in origins:
                        yield Vrp(family, bytes((length,)) + octets, origin >> _ASN_BITS, origin & _ASN_MASK)

    def apply(self, announced: Iterable[Vrp], withdrawn: Iterable[Vrp]) -> list[Vrp]:
        """Take in what one source announces and withdraws; return the payloads that came or went altogether."""
        changed = [vrp for vrp in withdrawn if self._withdraw(vrp)]
        changed += [vrp for vrp in announced if self._announce(vrp)]
        return changed

    def validate(self, family: Family, key: bytes, origin: int | None) -> ValidationState:
        """Judge a route: its prefix key without path identifier, and its origin AS.

        ``origin`` is None where the AS path ends in a set (RFC 6811 section 2: NONE), our own AS number where it is
        empty.  Families other than IPv4 and IPv6 unicast are not found.
        """
        table = self._families.get(family)
        if table is None:
            return ValidationState.NOT_FOUND
        state = ValidationState.NOT_FOUND
        for origins in table.covering(key):
            for allowed in origins:
                if allowed & _ASN_MASK == origin and origin and key[0] <= allowed >> _ASN_BITS:
                    return ValidationState.VALID
            state = ValidationState.INVALID
        return state

    def _announce(self, vrp: Vrp) -> bool:
        origins = self._families[vrp.family].origins(vrp.key)
        origin = vrp.max_length << _ASN_BITS | vrp.asn
        count = origins[origin] = origins.get(origin, 0) + 1
        self._size += count == 1
        return count == 1

    def _withdraw(self, vrp: Vrp) -> bool:
        table = self._families[vrp.family]
        origins = table.origins(vrp.key)
        origin = vrp.max_length << _ASN_BITS | vrp.asn
        count = origins.get(origin, 0)
        if count > 1:
            origins[origin] = count - 1
        elif count == 1:
            del origins[origin]
            self._size -= 1
        if not origins:
            table.remove(vrp.key)
        return count == 1


class AffectedRoutes:
    """Which routes a change of payloads may concern: those inside the prefix of one that came or went."""

    def __init__(self, changed: Iterable[Vrp]) -> None:
        """Only the prefixes of what changed matter."""
        self._families = {family: _Prefixes(width) for family, width in _WIDTHS.items()}
        for family, key in {(vrp.family, vrp.key) for vrp in changed}:
            self._families[family].add(key)

    def __contains__(self, route: tuple[Family, bytes]) -> bool:
        """Whether a route, as family and prefix key, may have another state now."""
        family, key = route
        prefixes = self._families.get(family)
        return prefixes is not None and prefixes.cover(key)

    def among(self, family: Family, keys: Iterable[bytes]) -> list[bytes]:
        """Return those of many prefix keys that may have another state now."""
        prefixes = self._families.get(family)
        if prefixes is None or not prefixes.by_length:
            return []
        stop = 1 + min(prefixes.by_length) // 8
        heads = prefixes.heads(stop - 1)
        return [key for key in keys if key[1:stop] in heads and prefixes.cover(key)]


class _Prefixes:
    """Prefixes of one family: length to network numbers."""

    __slots__ = ("_width", "by_length")

    def __init__(self, width: int) -> None:
        self._width = width
        self.by_length: dict[int, set[int]] = {}

    def add(self, key: bytes) -> None:
        self.by_length.setdefault(key[0], set()).add(self._network(key) >> (self._width - key[0]))

    def cover(self, key: bytes) -> bool:
        """Whether one of them is the prefix of a route or contains it."""
        network, longest, width = self._network(key), key[0], self._width
        return any(
            length <= longest and network >> (width - length) in numbers for length, numbers in self.by_length.items()
        )

    def heads(self, octets: int) -> set[bytes]:
        """Return the first octets of all of them, which sort out most routes by one look each."""
        return {
            (number >> (length - 8 * octets)).to_bytes(octets, "big")
            for length, numbers in self.by_length.items()
            for number in numbers
        }

    def _network(self, key: bytes) -> int:
        return int.from_bytes(key[1:], "big") << (self._width - 8 * (len(key) - 1))
