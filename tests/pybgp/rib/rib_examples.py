"""Short ways to write peers, attributes and prefixes in the tests of the rib."""

from __future__ import annotations

from pybgp.rib.rib_peer import RibPeer
from pybgp.rib.tables import Rib
from pybgp.wire.as_path import AsPath
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import AttributeCode
from pybgp.wire.nlri import parse_prefix

LOCAL_AS = 64512
ROUTER_ID = 0x0A0000FE


def key(text: str) -> bytes:
    return parse_prefix(text)[1]


def peer(number: int, remote_as: int = LOCAL_AS, *, add_path: bool = False, router_id: int | None = None) -> RibPeer:
    return RibPeer(
        number,
        bytes([10, 0, 0, number]),
        LOCAL_AS,
        remote_as,
        number if router_id is None else router_id,
        bytes([10, 0, 0, 254]),
        frozenset({IPV4_UNICAST}) if add_path else frozenset(),
    )


def attributes(*asns: int, hop: int = 1, **values: object) -> Attributes:
    named = {AttributeCode[name.upper()]: value for name, value in values.items()}
    return Attributes.build(
        {AttributeCode.ORIGIN: 0, AttributeCode.AS_PATH: AsPath.sequence(*asns), **named}, bytes([10, 0, 0, hop])
    )


def rib_with(*peers: RibPeer, **options: object) -> Rib:
    rib = Rib(LOCAL_AS, ROUTER_ID, **options)  # type: ignore[arg-type]  (forwarded keyword arguments)
    for one in peers:
        rib.set_peer(one, None)
    return rib
