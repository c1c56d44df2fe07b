"""What the BGP in MRT records says: attributes of table routes and messages of sessions, by way of the wire layer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import BgpError, FormatError
from pybgp.wire.attributes import OPTIONAL, AttributeFault, Attributes, attribute_octets
from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.iana import EXTENDED_LIMIT, HEADER_LENGTH, AttributeCode
from pybgp.wire.messages import Message, decode
from pybgp.wire.negotiated import Negotiated, UpdateOptions, decoding_context

if TYPE_CHECKING:
    from pybgp.formats.mrt import BgpMessage
    from pybgp.wire.attribute_store import AttributeStore

#: A collector keeps what it heard; whether a speaker would have accepted it is another question.
LENIENT: Final = UpdateOptions(
    allow_as_sets=True,
    check_first_as=False,
    reset_on_unknown_well_known=False,
    confederation=True,
    aigp=True,
    external_prefix_sid=True,
    unspecified_next_hop=True,
)
#: MRT does not say what was negotiated, so every family may come.
EVERY_FAMILY: Final = frozenset(Family(afi, safi) for afi in (1, 2, 25, 16388, 16389, 16397) for safi in range(1, 256))
_REACH: Final = int(AttributeCode.MP_REACH_NLRI)


class RouteAttributes(NamedTuple):
    """The attributes of a table route, and what was wrong with them."""

    attributes: Attributes
    faults: tuple[AttributeFault, ...] = ()


def decode_attributes(octets: bytes, store: AttributeStore, *, asn4: bool = True) -> RouteAttributes:
    """Read the attributes of a table route; the next hop comes from NEXT_HOP or from the short MP_REACH_NLRI.

    ``asn4`` is false for TABLE_DUMP and BGP4MP_ENTRY.  The full MP_REACH_NLRI that some writers put in against
    RFC 6396 section 4.3.4 is read too.
    """
    try:
        block = store.read(octets, decoding_context(asn4, external=False, first_as=0, options=LENIENT))
    except BgpError as error:
        raise FormatError(f"attributes: {error}", 0) from error
    next_hop = block.next_hop or b""
    for attribute in block.multiprotocol:
        if attribute.code == _REACH:
            next_hop = _table_next_hop(attribute.value)
    return RouteAttributes(store.intern(block.canonical, next_hop), block.faults)


def _table_next_hop(value: bytes) -> bytes:
    if value and len(value) == 1 + value[0]:
        return value[1:]
    if len(value) >= 5 and len(value) >= 5 + value[3]:
        return value[4 : 4 + value[3]]
    raise FormatError(f"MP_REACH_NLRI of {len(value)} octets holds no next hop", 0)


def encode_attributes(attributes: Attributes, family: Family) -> bytes:
    """Write the attributes of a TABLE_DUMP_V2 route (RFC 6396 section 4.3.4)."""
    next_hop = attributes.next_hop
    if family == IPV4_UNICAST and len(next_hop) == 4:
        return attributes.encoded(asn4=True, classic_next_hop=True)
    if not next_hop:
        return attributes.encoded(asn4=True)
    reach = attribute_octets(OPTIONAL, _REACH, bytes([len(next_hop)]) + next_hop)
    return reach + attributes.encoded(asn4=True)


@lru_cache(maxsize=4096)
def _session(local_as: int, peer_as: int, asn4: bool, add_path: bool) -> Negotiated:
    return Negotiated(
        local_as=local_as,
        peer_as=peer_as,
        local_id=0,
        peer_id=0,
        families=EVERY_FAMILY,
        asn4=asn4,
        add_path_receive=EVERY_FAMILY if add_path else frozenset(),
        receive_limit=EXTENDED_LIMIT,
        send_limit=EXTENDED_LIMIT,
        extended_next_hop=EVERY_FAMILY,
        options=LENIENT,
    )


def session_of(message: BgpMessage) -> Negotiated:
    """Return a session on which the message has the meaning that its record gives it."""
    return _session(message.ends.local_as, message.ends.peer_as, message.asn4, message.add_path)


def decode_bgp(message: BgpMessage, store: AttributeStore) -> Message:
    """Read the BGP message of a record; FormatError keeps the wire's own error as its cause."""
    octets = message.message
    length = octets[16] << 8 | octets[17] if len(octets) >= HEADER_LENGTH else 0
    if length != len(octets) or length < HEADER_LENGTH:
        raise FormatError(f"BGP message says {length} octets, the record holds {len(octets)}", 0)
    try:
        return decode(octets, session_of(message), store)
    except BgpError as error:
        raise FormatError(f"BGP message: {error}", 0) from error
