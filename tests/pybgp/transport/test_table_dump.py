"""The tables of a speaker as MRT, read by our own reader: peers, attributes, path identifiers, what is left out."""

from __future__ import annotations

import io
from ipaddress import ip_address

import pytest

from pybgp import IPV4_UNICAST, LocalError, Speaker, SpeakerConfig
from pybgp.formats.mrt import PeerIndexTable, Rib, decode
from pybgp.formats.mrt_file import MrtReader
from pybgp.formats.mrt_routes import decode_attributes
from pybgp.formats.mrt_table import TableRecords, entry_of
from pybgp.rib.policy import parse_policies
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import EVPN
from pybgp.wire.nlri import format_prefix

from .test_add_path import FAR, HUB, PREFIX, held, star
from .test_speaker import Town, run, until

REFUSE_ONE = parse_policies("""
[policy.one]
default = "accept"
[[policy.one.clause]]
match.prefix = "198.51.100.0/24"
then = "reject"
""")


def records(speaker: Speaker) -> tuple[PeerIndexTable, list[Rib]]:
    octets = b"".join(speaker.dump_tables(view="test"))
    index, *ribs = map(decode, MrtReader(io.BytesIO(octets)))
    assert isinstance(index, PeerIndexTable)
    assert index.view_name == b"test"
    assert [rib.sequence for rib in ribs if isinstance(rib, Rib)] == list(range(len(ribs)))
    return index, [rib for rib in ribs if isinstance(rib, Rib)]


def told(index: PeerIndexTable, rib: Rib) -> list[tuple[str, int, int | None, str, str]]:
    """Address and AS of the peer, path identifier, AS path and next hop of each entry."""
    found = []
    for entry in rib.entries:
        peer = index.peers[entry.peer_index]
        attributes = decode_attributes(entry.attributes, AttributeStore()).attributes
        hop = str(ip_address(attributes.next_hop))
        found.append((str(ip_address(peer.address)), peer.asn, entry.path_id, str(attributes.as_path), hop))
    return found


def test_what_every_peer_says() -> None:
    async def scenario(place: Town) -> None:
        await star(place, 1, 2)
        hub, far = place.speakers[HUB], place.speakers[FAR]
        hub.set_import_policy(REFUSE_ONE["one"])
        place.speakers[1].announce("198.51.100.0/24")
        hub.announce(["203.0.113.0/24", "2001:db8::/32"], communities=[7])
        await until(lambda: len(held(far)) == 2 and len(hub.received("n1", IPV4_UNICAST)) == 2)

        index, ribs = records(hub)
        assert index.collector_id == index.peers[0].router_id == int(ip_address("10.0.0.5"))
        assert [(format_prefix(rib.family, rib.nlri), told(index, rib)) for rib in ribs] == [
            ("203.0.113.0/24", [("0.0.0.0", 64505, None, "", "10.0.0.5")]),
            (
                PREFIX,
                [
                    ("127.0.1.1", 64501, None, "64501", "10.0.0.1"),
                    ("127.0.1.2", 64502, None, "64502", "10.0.0.2"),
                ],
            ),
            ("2001:db8::/32", [("0.0.0.0", 64505, None, "", "::ffff:a00:5")]),
        ]
        index, ribs = records(far)
        (several,) = (rib for rib in ribs if format_prefix(rib.family, rib.nlri) == PREFIX)
        assert {path_id: path for _, _, path_id, path, _ in told(index, several)} == held(far)

    run(scenario)


def test_a_family_without_records_is_refused_at_once() -> None:
    speaker = Speaker(SpeakerConfig(64512, "10.0.0.1"))
    with pytest.raises(LocalError, match="family 'ipv5-unicast'"):
        speaker.dump_tables(["ipv5-unicast"])
    with pytest.raises(LocalError, match=r"family evpn: one of ipv4-unicast, .* expected"):
        speaker.dump_tables([EVPN])


def test_attributes_that_no_record_holds_and_more_entries_than_one_holds() -> None:
    assert entry_of(0, 0, bytes(65536)) is None
    entry = entry_of(1, 2, b"")
    assert entry is not None
    octets = TableRecords(5).prefix(IPV4_UNICAST, b"\0", [entry.front + entry.rest] * 65537)
    found = [decode(record) for record in MrtReader(io.BytesIO(octets))]
    assert [(rib.sequence, len(rib.entries)) for rib in found if isinstance(rib, Rib)] == [(0, 65535), (1, 2)]
