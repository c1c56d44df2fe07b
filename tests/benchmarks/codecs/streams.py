"""The streams of the codec benchmark: tables of realistic shape, and what collectors and captures recorded."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path

from pybgp.errors import BgpError
from pybgp.formats.mrt import BgpMessage, decode
from pybgp.formats.mrt_file import MrtReader, decompressed
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.updates import decode_update
from tests.benchmarks.codecs.our_codec import session_of
from tests.benchmarks.codecs.stream_file import SENDER_AS, Stream
from tests.benchmarks.tables.feeder import messages
from tests.benchmarks.tables.route_table import MARKER, UPDATE, RouteTable, Teller
from tests.conformance.corpus import CORPUS, cases

TELLER = Teller(SENDER_AS, bytes([10, 78, 0, 1]), bytes.fromhex("20010db8") + bytes(11) + b"\1")
#: updates of collectors, those with AS numbers of four octets first.
MRT_FILES = (
    "bgpdump__test_data__updates.20160811.1600.gz",
    "bgpkit__tests__fixtures__ripe__rrc15__2010.02__updates.20100227.1600.gz",
    "os-ken__os_ken__tests__packet_data__mrt__updates.20161101.0000.bz2",
    "libbgpstream__test__routeviews.route-views.jinx.updates.1427846400.bz2",
    "bgpdump__test_data__updates.20070211.0141.gz",
)
_PCAP_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}


def generated(routes: int) -> list[Stream]:
    """Every attribute set once, with several routes or with one; sets that come again; and IPv6."""
    table = RouteTable(routes)
    single = RouteTable(routes // 6, single=True)
    return [
        Stream("a table: 5.9 routes per UPDATE, each attribute set new", updates(table)),
        Stream("one route per UPDATE, each attribute set new", updates(single)),
        Stream("one route per UPDATE, attribute sets come again", again(table)),
        Stream("a table of IPv6, each attribute set new", updates(RouteTable(0, routes))),
    ]


def updates(table: RouteTable) -> tuple[bytes, ...]:
    return tuple(message for _, message, _ in messages(table.octets(TELLER)))


def again(table: RouteTable) -> tuple[bytes, ...]:
    """The routes of a table one by one, in any order: what comes after the table, when routes change."""
    flat = copy(table)
    flat.sets = [replace(one, keys=[key]) for one in table.sets for key in one.keys]
    random.Random(1).shuffle(flat.sets)
    flat.sets = flat.sets[: len(table.sets)]
    return updates(flat)


def recorded() -> list[Stream]:
    """What is in the corpus beside the repository, if it is there."""
    if not CORPUS.is_dir():
        return []
    new, old = [], []
    for name in MRT_FILES:
        for message in mrt_updates(CORPUS / "mrt" / name):
            (new if message.asn4 else old).append(message.message)
    streams = [
        Stream("recorded by collectors, AS numbers of 4 octets", tuple(new), one_peer=False),
        Stream("recorded by collectors, AS numbers of 2 octets", tuple(old), asn4=False, one_peer=False),
    ]
    name = "captures, and examples of other implementations, unicast"
    found = Stream(name, tuple(captured()), one_peer=False, is_internal=True)
    return [acceptable(stream) for stream in (*streams, found)]


def mrt_updates(path: Path) -> Iterator[BgpMessage]:
    with path.open("rb") as file:
        for record in MrtReader(decompressed(file)):
            value = decode(record)
            if isinstance(value, BgpMessage) and value.message[18] == UPDATE and not value.add_path:
                yield value


def captured() -> Iterator[bytes]:
    """UPDATEs that lie whole in one captured packet, or are a case of the corpus."""
    for path in sorted((CORPUS / "pcap").glob("*.*cap")):
        for packet in packets(path.read_bytes()):
            yield from whole_updates(packet)
    for case in cases("update"):
        if case.valid is True and case.negotiated().asn4 and not case.negotiated().add_path_receive:
            yield case.octets


def packets(octets: bytes) -> Iterator[bytes]:
    """The packets of a pcap file in the classic format; none of another one."""
    order = _PCAP_MAGIC.get(octets[:4])
    position = 24
    while order is not None and position + 16 <= len(octets):
        (length,) = struct.unpack_from(f"{order}I", octets, position + 8)
        yield octets[position + 16 : position + 16 + length]
        position += 16 + length


def whole_updates(packet: bytes) -> Iterator[bytes]:
    for match in re.finditer(re.escape(MARKER) + rb"(?s:(..))\x02", packet):
        message = packet[match.start() : match.start() + int.from_bytes(match[1], "big")]
        if len(message) == int.from_bytes(match[1], "big"):
            yield message


def acceptable(stream: Stream) -> Stream:
    """The stream without messages that end a session or carry no unicast route: others cannot read them, or not so."""
    store, kept = AttributeStore(), []
    session = session_of(stream)
    for message in stream.messages:
        try:
            update = decode_update(message, session, store)
        except BgpError:
            continue
        if update.announced or update.withdrawn:
            kept.append(message)
    return replace(stream, messages=tuple(kept))
