"""Octets that are ready to send are packed as attributes are that have yet to be written."""

from __future__ import annotations

from itertools import chain

from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.nlri import parse_prefix
from pybgp.wire.update_encoding import announcements, encode_updates, reaching
from tests.pybgp.wire.samples import EBGP, V6_HOP

VALUES = {1: 0, 2: AsPath.sequence(65001), 8: (7,)}


def test_prefixes_are_packed_behind_their_attributes_up_to_the_limit() -> None:
    found = Attributes.build(VALUES, b"\x0a\0\0\1")
    keys = [parse_prefix(f"10.{number // 256}.{number % 256}.0/24")[1] for number in range(2000)]
    octets = found.encoded(classic_next_hop=True)
    packed = encode_updates(IPV4_UNICAST, keys, found, EBGP)
    assert [len(message) <= 4096 for message in packed] == [True, True]
    assert announcements([(octets, keys)], 4096) == b"".join(packed)
    several = [(octets, keys[:3]), (octets, keys), (octets, keys[3:4])]
    parts = [encode_updates(IPV4_UNICAST, part, found, EBGP) for _, part in several]
    assert announcements(several, 4096) == b"".join(chain.from_iterable(parts))


def test_so_are_those_of_ipv6_in_an_attribute_of_their_own() -> None:
    found = Attributes.build(VALUES, V6_HOP)
    keys = [parse_prefix(f"2001:db8:{number:x}::/48")[1] for number in range(2000)]
    front = b"\0\x02\x01\x10" + V6_HOP + b"\0"
    for part in (keys[:1], keys[:33], keys[:34], keys[:36], keys):
        packed = encode_updates(IPV6_UNICAST, part, found, EBGP)
        assert reaching(front, [(found.encoded(), part)], 4096) == b"".join(packed)
    assert len(packed) > 3
