"""What a session and the tables look like in BMP: values in, messages out, no connection here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from pybgp.errors import LocalError
from pybgp.formats.bmp import (
    BmpMessage,
    DownReason,
    InformationType,
    Initiation,
    PeerDown,
    PeerFlag,
    PeerHeader,
    PeerType,
    PeerUp,
    RouteMonitoring,
    StatisticType,
    Tlv,
)
from pybgp.session.events import DownReason as SessionDownReason
from pybgp.transport.speaker_config import packed_address
from pybgp.wire.capabilities import Capability, FourOctetAs, MultiprotocolCapability
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.iana import EXTENDED_LIMIT, STANDARD_LIMIT
from pybgp.wire.messages import Open, encode, encode_updates
from pybgp.wire.update_encoding import AttributesTooLongError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pybgp.rib.path import Path
    from pybgp.session.events import SessionDown, SessionUp
    from pybgp.transport.bmp_config import BmpConfig
    from pybgp.transport.peer import Peer
    from pybgp.transport.speaker_config import SpeakerConfig
    from pybgp.wire.attributes import Attributes
    from pybgp.wire.updates import Update

#: What a Loc-RIB is reported of.
TABLE_FAMILIES: Final = (IPV4_UNICAST, IPV6_UNICAST)
_NO_DISTINGUISHER: Final = bytes(8)
_HOLD_TIME: Final = 180
_GLOBAL: Final = Tlv(InformationType.TABLE_NAME, b"global")
#: RFC 4271 section 8.1: the events behind an end that no NOTIFICATION explains.
_EVENTS: Final = {SessionDownReason.STOPPED: 2, SessionDownReason.RESET: 8, SessionDownReason.SUPERSEDED: 17}

log = structlog.get_logger("pybgp")


class _Encoding(NamedTuple):
    """BMP always carries 4-octet AS numbers, whatever the session does (RFC 7854 section 4.2, the A flag)."""

    send_limit: int
    asn4: bool = True


_NARROW: Final = _Encoding(STANDARD_LIMIT)
_WIDE: Final = _Encoding(EXTENDED_LIMIT)


def _split_time(now: float) -> tuple[int, int]:
    return int(now), int(now % 1 * 1_000_000)


def initiation(config: BmpConfig) -> Initiation:
    """Say who we are."""
    return Initiation(
        (
            Tlv(InformationType.SYSTEM_DESCRIPTION, config.system_description.encode()),
            Tlv(InformationType.SYSTEM_NAME, config.system_name.encode()),
        )
    )


def table_header(config: SpeakerConfig, now: float) -> PeerHeader:
    """Return the header of everything about the Loc-RIB (RFC 9069 section 5.1)."""
    identity = (config.local_as, config.router_number)
    return PeerHeader(PeerType.LOC_RIB, 0, _NO_DISTINGUISHER, bytes(4), *identity, *_split_time(now))


def table_up(config: SpeakerConfig, now: float) -> PeerUp:
    """Return the Peer Up of the Loc-RIB, with an OPEN made up twice (RFC 9069 section 5.2)."""
    capabilities: list[Capability] = [MultiprotocolCapability(family) for family in TABLE_FAMILIES]
    capabilities.append(FourOctetAs(config.local_as))
    made_up = encode(Open(config.local_as, _HOLD_TIME, config.router_number, tuple(capabilities)))
    return PeerUp(table_header(config, now), bytes(4), 0, 0, made_up, made_up, (_GLOBAL,))


def _packed(address: str) -> bytes:
    """The zone of a link-local address has no place in BMP."""
    return packed_address(address.partition("%")[0])


def _open_octets(message: Open) -> bytes:
    """Write an OPEN as it was read; one that contradicts itself, with its AS number said once."""
    try:
        return encode(message)
    except LocalError:
        others = tuple(item for item in message.capabilities if not isinstance(item, FourOctetAs))
        return encode(replace(message, capabilities=(*others, FourOctetAs(message.asn))))


def peer_header(peer: Peer, router_id: int, now: float) -> PeerHeader:
    """Return the header of what a peer sent, before policy."""
    address = _packed(peer.config.address)
    flags = PeerFlag.IPV6 if len(address) == 16 else 0
    return PeerHeader(
        PeerType.GLOBAL, flags, _NO_DISTINGUISHER, address, peer.config.remote_as, router_id, *_split_time(now)
    )


def peer_up(peer: Peer, event: SessionUp, now: float) -> PeerUp:
    """Return the Peer Up of a session."""
    header = peer_header(peer, event.open.router_id, now)
    local_port, remote_port = peer.ports
    sent, received = _open_octets(event.sent_open), _open_octets(event.open)
    return PeerUp(header, _packed(peer.local_address), local_port, remote_port, sent, received)


def peer_down(header: PeerHeader, event: SessionDown) -> PeerDown:
    """Return why a session ended (RFC 7854 section 4.9)."""
    if event.sent is not None:
        return PeerDown(header, DownReason.LOCAL_NOTIFICATION, encode(event.sent))
    if event.received is not None:
        return PeerDown(header, DownReason.REMOTE_NOTIFICATION, encode(event.received))
    if event.reason in _EVENTS:
        return PeerDown(header, DownReason.LOCAL_EVENT, _EVENTS[event.reason].to_bytes(2, "big"))
    return PeerDown(header, DownReason.REMOTE_NO_DATA)


def identifier_as_next_hop(router_id: int, family: Family) -> bytes:
    """A route of our own has no next hop: our identifier stands for it, because zero would be no host."""
    identifier = router_id.to_bytes(4, "big")
    return identifier if family.afi == 1 else b"\xff\xff".rjust(12, b"\0") + identifier


def routes(
    header: PeerHeader, family: Family, keys: Sequence[bytes], attributes: Attributes | None
) -> Iterator[BmpMessage]:
    """Yield the Route Monitoring of some prefixes; attributes None withdraws them."""
    if attributes is not None and not attributes.next_hop:
        attributes = attributes.replace(next_hop=identifier_as_next_hop(header.router_id, family))
    try:
        try:
            updates = encode_updates(family, keys, attributes, _NARROW)
        except AttributesTooLongError:
            updates = encode_updates(family, keys, attributes, _WIDE)
    except LocalError as error:
        log.warning("bmp_route_left_out", family=str(family), prefixes=len(keys), error=str(error))
        return
    for update in updates:
        yield RouteMonitoring(header, update)


def update_reports(header: PeerHeader, update: Update) -> Iterator[BmpMessage]:
    """Yield what an UPDATE says, as its verdict left it (RFC 7606)."""
    for family, keys, _ in update.withdrawn:
        yield from routes(header, family, keys, None)
    for family, keys, attributes in update.announced:
        yield from routes(header, family, keys, attributes)


def by_attributes(
    table: Mapping[bytes, Path], keys: Sequence[bytes], *, received: bool
) -> dict[Attributes, list[bytes]]:
    """Group those of the keys that are still in a table by what is said about them."""
    groups: dict[Attributes, list[bytes]] = {}
    for key in keys:
        path = table.get(key)
        if path is not None:
            groups.setdefault(path.received if received else path.attributes, []).append(key)
    return groups


def gauges(total: StatisticType, each: StatisticType, counts: Mapping[Family, int]) -> tuple[Tlv, ...]:
    """Return a gauge over all families and one of each (RFC 7854 section 4.8)."""
    found = [Tlv(total, sum(counts.values()).to_bytes(8, "big"))]
    for family, count in counts.items():
        found.append(Tlv(each, family.afi.to_bytes(2, "big") + bytes([family.safi]) + count.to_bytes(8, "big")))
    return tuple(found)
