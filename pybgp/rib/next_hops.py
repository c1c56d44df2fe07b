"""Next hops and the links that they are on (RFC 4271 section 5.1.3, RFC 2545 section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybgp.wire.forms import prefix_octets

if TYPE_CHECKING:
    from collections.abc import Iterable

ADDRESS: Final = 16


def is_on_link(address: bytes, networks: Iterable[bytes]) -> bool:
    """Say whether an address is in one of these networks, given as prefix keys."""
    return any(
        (len(network) <= 5) == (len(address) == 4) and prefix_octets(address, network[0]) == network[1:]
        for network in networks
    )


def is_link_local(address: bytes) -> bool:
    """Say whether an address means something on its link only (RFC 4291 section 2.5.6)."""
    return len(address) == ADDRESS and address[0] == 0xFE and address[1] & 0xC0 == 0x80


def has_only_link_local(next_hop: bytes) -> bool:
    """Say whether a next hop names no global address: none, or a link-local one in its place."""
    return is_link_local(next_hop[:ADDRESS]) or (len(next_hop) > ADDRESS and not any(next_hop[:ADDRESS]))


def for_peers(next_hop: bytes, networks: Iterable[bytes]) -> bytes:
    """Leave the link-local address out for peers that do not share the link of the global one (RFC 2545 section 3)."""
    if len(next_hop) <= ADDRESS or is_on_link(next_hop[:ADDRESS], networks):
        return next_hop
    return next_hop[:ADDRESS]
