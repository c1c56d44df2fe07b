"""What a user writes, for the type checker alone: types are as promised, and misuse is an error (see the ignores)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_type

from pybgp import (
    IPV4_UNICAST,
    AsPath,
    Attributes,
    Change,
    Family,
    Keepalive,
    Negotiated,
    NlriSet,
    Notification,
    Open,
    Path,
    PeerConfig,
    PeerStatus,
    PythonClause,
    Route,
    RoutePolicy,
    RouteRefresh,
    Session,
    SessionDown,
    SessionUp,
    Speaker,
    SpeakerConfig,
    Update,
    UpdateReceived,
    Verdict,
    attributes_to_json,
    decode_message,
    decode_open,
    decode_update,
    encode_message,
    encode_updates,
    parse_nlri,
    parse_prefix,
)
from pybgp.testing import FakePeer, MemoryNetwork, ScriptedPeer, SessionPair, run_in_virtual_time


def codecs(octets: bytes) -> None:
    negotiated = Negotiated(local_as=64512, peer_as=64513)
    update = decode_update(octets, negotiated)
    assert_type(update, Update)
    assert_type(update.announced, Sequence[NlriSet])
    assert_type(decode_open(octets), Open)
    assert_type(decode_message(octets, negotiated), Open | Update | Notification | Keepalive | RouteRefresh)
    assert_type(encode_message(Keepalive()), bytes)
    family, key = parse_prefix("198.51.100.0/24")
    assert_type(family, Family)
    attributes = Attributes.build({1: 0, 2: AsPath.sequence(64512)}, next_hop=bytes(4))
    assert_type(encode_updates(family, [key], attributes, negotiated), list[bytes])
    assert_type(attributes.as_path, AsPath)
    assert_type(attributes.med, int | None)
    assert_type(attributes_to_json(attributes)["origin"], object)  # type: ignore[assert-type]  # plain data is Any
    assert_type(parse_nlri(IPV4_UNICAST, "198.51.100.0/24"), bytes)
    negotiated.hold_time = 3  # type: ignore[misc]  # values are frozen
    Negotiated(64512)  # type: ignore[call-arg]


def events(session: Session, octets: bytes) -> str:
    for event in session.receive_data(octets, now=0.0):
        if isinstance(event, SessionUp):
            return str(event.negotiated.families)
        if isinstance(event, UpdateReceived):
            assert_type(event.update, Update)
        if isinstance(event, SessionDown):
            event.text = ""  # type: ignore[misc]  # values are frozen
            return event.reason.value
    session.receive_data(octets)  # type: ignore[call-arg]  # time is an argument
    return ""


async def speaker() -> None:
    def judge(route: Route) -> Verdict | None:
        return Verdict.REJECT if route.as_path.length > 50 else None

    policy = RoutePolicy("short", [PythonClause("long", judge)], default=Verdict.ACCEPT)
    one = Speaker(SpeakerConfig(64512, "192.0.2.1", import_policy=policy))
    one.configure({"router": one.peer("192.0.2.2", 64513)})
    assert_type(one.peer("192.0.2.2", 64513), PeerConfig)
    one.announce("198.51.100.0/24", communities=["64512:1"], med=5)
    one.announce("198.51.100.0/24", med="5")  # type: ignore[arg-type]
    one.announce("198.51.100.0/24", meds=5)  # type: ignore[call-arg]
    assert_type(one.peers(), Mapping[str, PeerStatus])
    assert_type(one.best(IPV4_UNICAST), Mapping[bytes, Path])
    assert_type(one.routes("evpn"), Iterator[tuple[str, Path]])
    async for change in one.changes():
        assert_type(change, Change)


def testing() -> None:
    async def scenario() -> int:
        network = MemoryNetwork()
        async with FakePeer(64513, remote_as=64512, address="192.0.2.2", network=network) as peer:
            assert_type(peer, FakePeer)
            assert_type(await peer.established(), Negotiated)
            assert_type(await peer.wait_announced("198.51.100.0/24"), Attributes)
            assert_type(await peer.wait_notification(), Notification)
            assert_type(peer.received, list[Update])
            peer.announce("198.51.100.0/24", local_pref="100")  # type: ignore[arg-type]
            return peer.connections

    assert_type(run_in_virtual_time(scenario()), int)
    pair = SessionPair(Session(PeerConfig("192.0.2.2", 64513, 64512, 1)), ScriptedPeer(64513, 64512))
    assert_type(pair.establish(), SessionUp)
    assert_type(pair.run_until(lambda: True), float)
