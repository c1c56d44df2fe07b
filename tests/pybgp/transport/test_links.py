"""Which link a session runs over."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybgp.transport.links import NO_LINK, Link, LinkAddress, find_link, link_addresses, scope_of
from pybgp.wire.nlri import parse_prefix


def on(interface: int, text: str) -> LinkAddress:
    host, _, length = text.partition("/")
    return LinkAddress(interface, ip_address(host).packed, int(length))


def packed(text: str) -> bytes:
    return ip_address(text).packed


ADDRESSES = [
    on(1, "127.0.0.1/8"),
    on(2, "192.0.2.1/24"),
    on(2, "2001:db8::1/64"),
    on(2, "fe80::1/64"),
    on(3, "198.51.100.1/31"),
    on(3, "fe80::1/64"),
]
SECOND = Link((parse_prefix("192.0.2.0/24")[1], parse_prefix("2001:db8::/64")[1]), packed("fe80::1"))
THIRD = Link((parse_prefix("198.51.100.0/31")[1],), packed("fe80::1"))


@pytest.mark.parametrize(
    ("local", "peer", "interface", "expected"),
    [
        ("192.0.2.1", "192.0.2.9", 0, SECOND),
        ("2001:db8::1", "2001:db8::9", 0, SECOND),
        ("198.51.100.1", "198.51.100.0", 0, THIRD),
        ("192.0.2.1", "203.0.113.1", 0, NO_LINK),
        ("192.0.2.77", "192.0.2.9", 0, NO_LINK),
        ("fe80::1", "fe80::9", 3, THIRD),
        ("fe80::1", "fe80::9", 2, SECOND),
        ("192.0.2.1", "2001:db8::9", 0, NO_LINK),
    ],
)
def test_a_link_is_found_by_its_network(local: str, peer: str, interface: int, expected: Link) -> None:
    assert find_link(packed(local), packed(peer), ADDRESSES, interface) == expected


def test_the_kernel_knows_loopback() -> None:
    loopback = on(scope_of("fe80::1%lo"), "127.0.0.1/8")
    assert loopback in link_addresses()
    assert find_link(packed("127.0.0.1"), packed("127.0.0.9"), link_addresses()).networks
    assert scope_of("fe80::1%7") == 7
    assert scope_of("fe80::1%no-such-link") == scope_of("fe80::1") == 0
