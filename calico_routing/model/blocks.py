"""CIDR arithmetic on blocks of addresses (spec/calico.md sections 1.3 and 2.2)."""

from __future__ import annotations

import ipaddress

from calico_routing.model.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS_BITS = {4: 32, 6: 128}


class Network(Record):
    """A CIDR as numbers."""

    version: int
    first: int
    length: int

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return 1 << (ADDRESS_BITS[self.version] - self.length)

    @property
    def last(self) -> int:
        """The greatest address."""
        return self.first + self.size - 1

    @property
    def is_ipv6(self) -> bool:
        """Whether the addresses are IPv6."""
        return self.version == 6

    def contains(self, other: Network) -> bool:
        """Tell whether all of ``other`` lies inside."""
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def overlaps(self, other: Network) -> bool:
        """Tell whether any address is in both."""
        return self.version == other.version and self.first <= other.last and other.first <= self.last

    def holds(self, version: int, address: int) -> bool:
        """Tell whether an address lies inside."""
        return self.version == version and self.first <= address <= self.last

    def __str__(self) -> str:
        """Write the CIDR in its canonical text."""
        return f"{format_address(self.version, self.first)}/{self.length}"


def is_ipv6(text: str) -> bool:
    """Tell the family of an address or CIDR by its text."""
    return ":" in text


def version_of(text: str) -> int:
    """Tell the IP version of an address or CIDR by its text."""
    return 6 if ":" in text else 4


def parse_address(text: str) -> tuple[int, int]:
    """Return version and number of an address; ValueError."""
    if ":" in text:
        if "%" in text:
            raise ValueError(f"{text!r} has a zone")
        return 6, int(ipaddress.IPv6Address(text))
    return 4, int(ipaddress.IPv4Address(text))


def format_address(version: int, number: int) -> str:
    """Write an address in its canonical text."""
    return str(ipaddress.IPv6Address(number) if version == 6 else ipaddress.IPv4Address(number))


def parse_network(text: str, *, strict: bool = True) -> Network:
    """Read a CIDR; a bare address is a network of one, and host bits are an error if ``strict``; ValueError."""
    address, slash, digits = text.partition("/")
    version, number = parse_address(address)
    bits = ADDRESS_BITS[version]
    if slash and not (digits.isascii() and digits.isdigit() and int(digits) <= bits):
        raise ValueError(f"{text!r} has no prefix length in 0..{bits}")
    length = int(digits) if slash else bits
    first = number >> (bits - length) << (bits - length)
    if strict and first != number:
        raise ValueError(f"{text!r} has host bits set")
    return Network(version=version, first=first, length=length)


def block_of(address: str, block_size: int) -> Network:
    """Return the block of the given prefix length around an address."""
    return parse_network(f"{address}/{block_size}", strict=False)


def address_at(block: Network, ordinal: int) -> str:
    """Return the address with an ordinal in a block."""
    if not 0 <= ordinal < block.size:
        raise ValueError(f"{block} has no ordinal {ordinal}")
    return format_address(block.version, block.first + ordinal)


def ordinal_of(block: Network, address: str) -> int:
    """Return the ordinal of an address in its block; ValueError if it is in another."""
    version, number = parse_address(address)
    if not block.holds(version, number):
        raise ValueError(f"{address} is not in {block}")
    return number - block.first


def block_count(pool: Network, block_size: int) -> int:
    """Return how many blocks a pool has."""
    return 1 << max(0, block_size - pool.length)


def blocks_from(pool: Network, block_size: int, start: int) -> Iterator[Network]:
    """Yield every block of a pool once, from the one numbered ``start`` on, around the end."""
    count = block_count(pool, block_size)
    step = 1 << (ADDRESS_BITS[pool.version] - block_size)
    for index in _wrapped(count, start % count):
        yield Network(version=pool.version, first=pool.first + index * step, length=block_size)


def _wrapped(count: int, start: int) -> Iterator[int]:
    yield from range(start, count)
    yield from range(start)


def block_index(pool: Network, block: Network) -> int:
    """Return the number of a block within its pool."""
    return (block.first - pool.first) >> (ADDRESS_BITS[pool.version] - block.length)


def fnv1_32(octets: bytes) -> int:
    """Return the 32-bit FNV-1 hash."""
    value = 2166136261
    for octet in octets:
        value = (value * 16777619 & 0xFFFFFFFF) ^ octet
    return value


def search_start(host: str, count: int) -> int:
    """Return the block at which a host starts to look: the same at every call, and spread over the pool (section 2.2).

    Names that differ in their last letter have neighbouring hashes, so the bits are mixed once more.
    """
    value = fnv1_32(host.encode())
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return (value ^ value >> 16) % count
