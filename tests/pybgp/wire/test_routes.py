"""NLRI of an UPDATE and routes of a table: what an NLRI says beside its key goes with the attributes."""

from __future__ import annotations

from pybgp.wire.as_path import AsPath
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_LABELLED, IPV4_UNICAST
from pybgp.wire.routes import encode_routes, routes_of
from pybgp.wire.updates import NlriSet, decode_update
from tests.pybgp.wire.samples import PREFIX, session

ATTRIBUTES = Attributes.build({1: 0, 2: AsPath.sequence(65001)}, b"\x0a\0\0\1")
#: labels 16 and 17, bottom of the stack, in front of 192.0.2.0/24 and 198.51.100.0/24.
FIRST, SECOND = b"\x30\0\x01\x01\xc0\0\x02", b"\x30\0\x01\x11\xc6\x33\x64"


def test_plain_prefixes_are_routes_as_they_are() -> None:
    given = NlriSet(IPV4_UNICAST, [PREFIX], ATTRIBUTES)
    assert [*routes_of([given], ())] == [given]


def test_labels_part_the_routes_of_one_update_and_are_written_again() -> None:
    on = session(external=True, families=frozenset({IPV4_LABELLED}))
    one, two = routes_of([NlriSet(IPV4_LABELLED, [FIRST, SECOND], ATTRIBUTES)], ())
    assert one.attributes is not None
    assert two.attributes is not None
    assert (one.attributes.details, two.attributes.details) == (b"\0\x01\x01", b"\0\x01\x11")
    (octets,) = encode_routes(IPV4_LABELLED, [*one.keys], one.attributes, on)
    (announced,) = decode_update(octets, on, AttributeStore()).announced
    assert [*announced.keys] == [FIRST]
    (gone,) = routes_of([NlriSet(IPV4_LABELLED, [FIRST])], ())
    (octets,) = encode_routes(IPV4_LABELLED, [*gone.keys], None, on, details=b"\0\x01\x01")
    (withdrawn,) = decode_update(octets, on, AttributeStore()).withdrawn
    (again,) = routes_of([withdrawn], ())
    assert again.keys == gone.keys
