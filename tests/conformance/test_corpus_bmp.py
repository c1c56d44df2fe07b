"""BMP messages of other implementations against the facts that come with them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest

from pybgp.errors import FormatError
from pybgp.formats.bmp import (
    BmpMessage,
    Initiation,
    PeerDown,
    RouteMonitoring,
    StatisticsReport,
    Termination,
    decode,
    encode,
)
from pybgp.formats.bmp_station import Station
from tests.conformance.corpus import CORPUS

RECORDS: list[dict[str, Any]] = [
    json.loads(line) for path in sorted((CORPUS / "bmp").glob("*.jsonl")) for line in path.read_text().splitlines()
]
pytestmark = pytest.mark.skipif(not RECORDS, reason="the BMP corpus is not beside the repository")

MESSAGES = [record for record in RECORDS if record["kind"] == "bmp"]
#: Headers of other projects' framing tests with nothing, or noise, behind them.
NO_MESSAGES = {"bmp-473cd1d084ad70d7", "bmp-b4d2de3ac71f7820", "bmp-29162e72bd05accb"}
UNREADABLE = {
    "bmp-fe1db1a3a6f6d56e": "its TLV announces path identifiers, its NLRI has none",
    "bmp-b120ca15822cb090": "its TLV announces path identifiers, its NLRI has none",
    "bmp-432cae2ea40a48ef": "a fabricated OPEN of AS 0 (RFC 7607)",
    "bmp-a0590faa522e856d": "labelled with a path identifier that nothing announces",
    "bmp-b5d065304711527e": "VPN with a path identifier, from a capture without the Peer Up",
}


def number_in_capture(record: dict[str, Any]) -> int:
    found = re.search(r"message (\d+)", record["source"].get("name", ""))
    return int(found[1]) if found else 0


def streams() -> Iterator[list[dict[str, Any]]]:
    """The messages of each capture in their order."""
    by_path: dict[str, list[dict[str, Any]]] = {}
    for record in MESSAGES:
        by_path.setdefault(record["source"]["path"], []).append(record)
    for found in by_path.values():
        yield sorted(found, key=number_in_capture)


def check_peer(message: BmpMessage, expect: dict[str, Any]) -> None:
    if "peer_type" not in expect:
        return
    assert not isinstance(message, Initiation | Termination)
    peer = message.peer
    assert (peer.kind, peer.flags, peer.asn) == (expect["peer_type"], expect["peer_flags"], expect["peer_as"])
    assert peer.distinguisher.hex() == expect["distinguisher"]
    assert str(IPv4Address(peer.router_id)) == expect["peer_bgp_id"]
    assert [peer.seconds, peer.microseconds] == expect["timestamp"]
    assert int.from_bytes(peer.address, "big") == int(ip_address(expect["peer_address"]))


def check_content(message: BmpMessage, expect: dict[str, Any]) -> None:
    if "tlvs" in expect:
        assert isinstance(message, Initiation | Termination)
        assert [[item.kind, item.value.hex()] for item in message.information] == expect["tlvs"]
    if "stats" in expect:
        assert isinstance(message, StatisticsReport)
        assert [[item.kind, item.value.hex()] for item in message.statistics] == expect["stats"]
    if "reason" in expect:
        assert isinstance(message, PeerDown)
        assert message.reason == expect["reason"]
    if "bgp_message_lengths" in expect:
        assert isinstance(message, RouteMonitoring)
        assert [len(message.update)] == expect["bgp_message_lengths"]


def test_messages_mean_what_their_records_say_and_are_written_again() -> None:
    for record in MESSAGES:
        octets = bytes.fromhex(record["hex"])
        if record["id"] in NO_MESSAGES:
            assert record["valid"] == "unknown"
            with pytest.raises(FormatError):
                decode(octets)
            continue
        message = decode(octets)
        assert octets[0] == record["expect"]["version"]
        check_peer(message, record["expect"])
        check_content(message, record["expect"])
        assert encode(message, octets[0]) == octets, record["id"]
    assert len(MESSAGES) > 800


def test_every_update_is_read_on_its_session() -> None:
    updates, errors = 0, {}
    for stream in streams():
        station = Station()
        for record in stream:
            if record["id"] in NO_MESSAGES:
                continue
            (heard,) = station.receive_data(bytes.fromhex(record["hex"]))
            if heard.error is not None:
                errors[record["id"]] = str(heard.error)
            updates += heard.update is not None
    assert errors.keys() == UNREADABLE.keys(), errors
    assert updates > 700


def survives(octets: bytes) -> None:
    try:
        Station().receive_data(octets)
    except FormatError:
        return


def test_fragments_cuts_and_flips_fail_cleanly() -> None:
    chosen = random.Random(7854)
    for record in RECORDS:
        octets = bytes.fromhex(record["hex"])
        survives(b"\x03" + (len(octets) + 6).to_bytes(4, "big") + b"\x00" + octets)
    for record in chosen.sample(MESSAGES, min(200, len(MESSAGES))):
        for _ in range(8):
            octets = bytearray.fromhex(record["hex"])
            octets[chosen.randrange(5, len(octets))] ^= 1 << chosen.randrange(8)
            cut = bytes(octets[: chosen.randrange(6, len(octets) + 1)])
            survives(cut[:1] + len(cut).to_bytes(4, "big") + cut[5:])
            survives(bytes(octets))
