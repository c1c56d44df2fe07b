"""Any octets as an MRT file: records or a format error; what was read is written as the same octets."""

from __future__ import annotations

import io
from contextlib import suppress

from hypothesis import strategies as st

from fuzz.strategies import any_octets
from fuzz.target import CORPUS, Target
from pybgp.errors import FormatError
from pybgp.formats.mrt import (
    Bgp4mpEntry,
    BgpMessage,
    Ends,
    IndexedPeer,
    PeerIndexTable,
    Rib,
    RibEntry,
    StateChange,
    TableEntry,
    Value,
    decode,
    encode,
    record_octets,
)
from pybgp.formats.mrt_file import MrtReader
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family

ENDS = Ends(65001, 65000, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
ATTRIBUTES = bytes.fromhex("4001010040020602010000fde9400304c0000201")
UPDATE = b"\xff" * 16 + b"\0\x2f\x02\0\0\0\x14" + ATTRIBUTES + b"\x18\xcb\0\x71"
EXAMPLES: list[Value] = [
    BgpMessage(ENDS, UPDATE),
    BgpMessage(ENDS, UPDATE, asn4=False, add_path=True),
    StateChange(ENDS, 5, 6),
    PeerIndexTable(1, b"view", (IndexedPeer(2, bytes(4), 65001), IndexedPeer(3, bytes(16), 65002, asn4=False))),
    Rib(1, IPV4_UNICAST, b"\x18\xcb\0\x71", (RibEntry(0, 5, ATTRIBUTES), RibEntry(1, 6, ATTRIBUTES))),
    Rib(2, IPV6_UNICAST, b"\x20\x20\x01\x0d\xb8", (RibEntry(0, 5, ATTRIBUTES, 9),)),
    Rib(3, Family(1, 128), b"\x58" + bytes(11), (RibEntry(0, 5, ATTRIBUTES),), is_generic=True),
    TableEntry(0, 1, IPV4_UNICAST, b"\x18\xcb\0\x71", 1, 5, bytes(4), 65001, ATTRIBUTES),
    Bgp4mpEntry(ENDS, 0, 1, 5, IPV4_UNICAST, bytes(4), b"\x18\xcb\0\x71", ATTRIBUTES),
]
VALID = st.lists(st.sampled_from([record_octets(encode(value, 1)) for value in EXAMPLES]), min_size=1, max_size=3)


def open_value(value: Value, store: AttributeStore) -> None:
    """Read the BGP in a record too."""
    with suppress(FormatError):
        if isinstance(value, BgpMessage):
            decode_bgp(value, store)
        elif isinstance(value, Rib):
            for entry in value.entries:
                decode_attributes(entry.attributes, store)
        elif isinstance(value, TableEntry | Bgp4mpEntry):
            decode_attributes(value.attributes, store, asn4=False)


def check(octets: bytes) -> None:
    reader, store = MrtReader(io.BytesIO(octets), longest=4096), AttributeStore()
    written = b""
    with suppress(FormatError):
        for record in reader:
            written += record_octets(record)
            assert octets.startswith(written)
            with suppress(FormatError):
                value = decode(record)
                open_value(value, store)
                if record.kind != 5:
                    again = encode(value, record.seconds, record.microseconds)
                    assert decode(again) == value
    assert len(written) <= reader.offset


SEEDS = [path.read_bytes()[:1024] for path in sorted((CORPUS / "mrt").glob("mrtparse__*"))]
TARGET = Target("mrt", any_octets(VALID.map(b"".join), SEEDS), check)
