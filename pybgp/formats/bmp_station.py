"""What a monitoring station knows of one router: octets in, messages out, each UPDATE read as its session meant it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import BgpError, FormatError
from pybgp.formats.bmp import (
    BmpFramer,
    BmpMessage,
    MonitoringTlv,
    PeerDown,
    PeerHeader,
    PeerUp,
    RouteMonitoring,
    decode,
)
from pybgp.formats.mrt_routes import EVERY_FAMILY, LENIENT
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.capabilities import AddPath, decode_capabilities
from pybgp.wire.iana import EXTENDED_LIMIT
from pybgp.wire.messages import Update, decode_open, decode_update
from pybgp.wire.negotiated import Negotiated, negotiate

if TYPE_CHECKING:
    from pybgp.wire.families import Family
    from pybgp.wire.messages import Open

_UPDATE: Final = 2
#: The capability of RFC 9234.
_ROLE: Final = 9
_SHORTEST_UPDATE: Final = 23


class Heard(NamedTuple):
    """One message, with the UPDATE that a Route Monitoring carries; ``error`` says why there is none."""

    message: BmpMessage
    update: Update | None = None
    error: FormatError | None = None


def session_of(peer_up: PeerUp) -> Negotiated:
    """Return what both OPENs of a Peer Up agree on, as the monitored router reads its peer (RFC 7854 section 4.10).

    In a Loc-RIB, and in what goes out, path identifiers are where `monitored_session` finds them.
    """
    try:
        sent, received = decode_open(peer_up.sent_open), decode_open(peer_up.received_open)
        # The same OPEN stands on both sides of a Loc-RIB; here nobody refuses anybody for an identifier or a role.
        capabilities = tuple(item for item in sent.capabilities if item.code != _ROLE)
        ours, theirs = replace(sent, router_id=1, capabilities=capabilities), replace(received, router_id=2)
        agreed = negotiate(ours, theirs, require_common_family=False, options=LENIENT)
    except BgpError as error:
        raise FormatError(f"OPENs of a Peer Up: {error}", 0) from error
    if peer_up.peer.is_loc_rib:
        agreed = replace(agreed, add_path_receive=_add_path_families(received) & agreed.families)
    return replace(
        agreed,
        local_id=sent.router_id,
        peer_id=received.router_id,
        receive_limit=EXTENDED_LIMIT,
        families=agreed.families or EVERY_FAMILY,
        # What is in a table may have come on another session.
        extended_next_hop=EVERY_FAMILY,
    )


def _add_path_families(message: Open) -> frozenset[Family]:
    """Presence is enough (RFC 9069 section 5.2)."""
    return frozenset(
        family for item in message.capabilities if isinstance(item, AddPath) for family, _ in item.families
    )


def _unknown_session(peer: PeerHeader) -> Negotiated:
    """Nothing is known of the session: every family, no path identifiers, and LOCAL_PREF is kept."""
    return Negotiated(
        local_as=0,
        peer_as=0,
        local_id=0,
        peer_id=0,
        families=EVERY_FAMILY,
        asn4=peer.asn4,
        receive_limit=EXTENDED_LIMIT,
        extended_next_hop=EVERY_FAMILY,
        options=LENIENT,
    )


def monitored_session(message: RouteMonitoring, session: Negotiated | None) -> Negotiated:
    """Return the session on which the UPDATE has the meaning that its per-peer header gives it."""
    peer = message.peer
    chosen = session or _unknown_session(peer)
    add_path = chosen.add_path_send if peer.is_adj_rib_out else chosen.add_path_receive
    for item in message.tlvs:
        if item.kind == MonitoringTlv.STATELESS_PARSING:
            add_path = _stateless_add_path(item.value)
    if (peer.asn4, add_path) == (chosen.asn4, chosen.add_path_receive):
        return chosen
    return replace(chosen, asn4=peer.asn4, add_path_receive=add_path)


def _stateless_add_path(value: bytes) -> frozenset[Family]:
    """The capabilities that matter travel with the UPDATE (draft-ietf-grow-bmp-tlv section 4.2.1)."""
    try:
        capabilities = decode_capabilities(value)
    except BgpError as error:
        raise FormatError(f"stateless parsing TLV: {error}", 0) from error
    return frozenset(family for item in capabilities if isinstance(item, AddPath) for family, _ in item.families)


def decode_monitored(message: RouteMonitoring, session: Negotiated | None, store: AttributeStore) -> Update:
    """Read the UPDATE of a Route Monitoring; FormatError keeps the wire's own error as its cause."""
    octets = message.update
    length = octets[16] << 8 | octets[17] if len(octets) >= _SHORTEST_UPDATE else 0
    if not length or length != len(octets) or octets[18] != _UPDATE:
        raise FormatError(f"monitored UPDATE says {length} octets, {len(octets)} are there", 0)
    try:
        return decode_update(octets, monitored_session(message, session), store)
    except FormatError:
        raise
    except BgpError as error:
        raise FormatError(f"monitored UPDATE: {error}", 0) from error


class Station:
    """One connection of a router: remembers the sessions it told of, and reads its UPDATEs by them."""

    def __init__(self, *, framer: BmpFramer | None = None, store: AttributeStore | None = None) -> None:
        """A framer with another limit, and a store shared with others, may be given."""
        self.sessions: dict[tuple[int, bytes, bytes], Negotiated] = {}
        self._framer = framer or BmpFramer()
        self._store = store if store is not None else AttributeStore()

    def receive_data(self, data: bytes) -> list[Heard]:
        """Take what arrived; FormatError if the stream itself cannot be followed any more."""
        self._framer.feed(data)
        heard = []
        while (octets := self._framer.next_message()) is not None:
            heard.append(self.hear(decode(octets)))
        return heard

    def hear(self, message: BmpMessage) -> Heard:
        """Note what a message says about sessions; an UPDATE that cannot be read is reported, the stream goes on."""
        try:
            if isinstance(message, PeerUp):
                self.sessions[message.peer.key] = session_of(message)
            elif isinstance(message, PeerDown):
                self.sessions.pop(message.peer.key, None)
            elif isinstance(message, RouteMonitoring):
                session = self.sessions.get(message.peer.key)
                return Heard(message, decode_monitored(message, session, self._store))
        except FormatError as error:
            return Heard(message, None, error)
        return Heard(message)
