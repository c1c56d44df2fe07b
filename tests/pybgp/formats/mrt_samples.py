"""Strategies for every MRT value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pybgp.formats.mrt import (
    Bgp4mpEntry,
    BgpMessage,
    Ends,
    IndexedPeer,
    OpaqueRecord,
    PeerIndexTable,
    Rib,
    RibEntry,
    StateChange,
    TableEntry,
)
from pybgp.wire.families import Family

octets = st.integers(0, 0xFF)
shorts = st.integers(0, 0xFFFF)
longs = st.integers(0, 0xFFFFFFFF)
blobs = st.binary(max_size=40)
IPV4 = Family(1, 1)


def addresses(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


@st.composite
def nlri(draw: st.DrawFn, family: Family) -> bytes:
    longest = 32 if family.afi == 1 else 128
    length = draw(st.integers(0, longest))
    number = draw(st.integers(0, 2**longest - 1)) >> (longest - length) << (longest - length) if length else 0
    return bytes([length]) + number.to_bytes(longest // 8, "big")[: (length + 7) // 8]


@st.composite
def ends(draw: st.DrawFn, *, asn4: bool) -> Ends:
    length = draw(st.sampled_from([4, 16]))
    asns = longs if asn4 else shorts
    return Ends(draw(asns), draw(asns), draw(addresses(length)), draw(addresses(length)), draw(shorts))


@st.composite
def bgp_messages(draw: st.DrawFn) -> BgpMessage:
    asn4 = draw(st.booleans())
    return BgpMessage(draw(ends(asn4=asn4)), draw(blobs), asn4, draw(st.booleans()), draw(st.booleans()))


@st.composite
def state_changes(draw: st.DrawFn) -> StateChange:
    asn4 = draw(st.booleans())
    return StateChange(draw(ends(asn4=asn4)), draw(shorts), draw(shorts), asn4)


@st.composite
def indexed_peers(draw: st.DrawFn) -> IndexedPeer:
    asn4 = draw(st.booleans())
    return IndexedPeer(
        draw(longs), draw(addresses(draw(st.sampled_from([4, 16])))), draw(longs if asn4 else shorts), asn4
    )


@st.composite
def ribs(draw: st.DrawFn) -> Rib:
    family = draw(st.sampled_from([Family(1, 1), Family(1, 2), Family(2, 1), Family(2, 2)]))
    ids: st.SearchStrategy[Any] = draw(st.sampled_from([st.none(), longs]))
    # A record without entries does not show which kind it is.
    entries = st.lists(st.builds(RibEntry, shorts, longs, blobs, ids), min_size=1, max_size=4).map(tuple)
    return Rib(draw(longs), family, draw(nlri(family)), draw(entries))


def _bits(body: bytes) -> bytes:
    return bytes([8 * len(body)]) + body


def _typed(body: bytes) -> bytes:
    return b"\x02" + bytes([len(body)]) + body


GENERIC = {
    Family(1, 4): _bits,
    Family(1, 128): _bits,
    Family(1, 132): _bits,
    Family(25, 70): _typed,
    Family(1, 5): _typed,
    Family(25, 65): lambda body: len(body).to_bytes(2, "big") + body,
    Family(16388, 71): lambda body: b"\0\x01" + len(body).to_bytes(2, "big") + body,
    Family(1, 133): lambda body: bytes([len(body)]) + body,
    Family(2, 134): lambda body: bytes([0xF0, len(body)]) + body,
    Family(1, 85): lambda body: b"\x01\0\x01" + bytes([len(body)]) + body,
}


@st.composite
def generic_ribs(draw: st.DrawFn) -> Rib:
    family = draw(st.sampled_from(sorted(GENERIC)))
    has_path_id = draw(st.booleans())
    found = GENERIC[family](draw(st.binary(max_size=30)))
    entries = draw(st.lists(st.builds(RibEntry, shorts, longs, blobs, st.none()), max_size=4).map(tuple))
    front = draw(addresses(4)) if has_path_id else b""
    return Rib(draw(longs), family, front + found, entries, is_generic=True, has_path_id=has_path_id)


@st.composite
def table_entries(draw: st.DrawFn) -> TableEntry:
    family = draw(st.sampled_from([Family(1, 1), Family(2, 1)]))
    peer = draw(addresses(4 if family.afi == 1 else 16))
    return TableEntry(
        draw(shorts),
        draw(shorts),
        family,
        draw(nlri(family)),
        draw(octets),
        draw(longs),
        peer,
        draw(shorts),
        draw(blobs),
    )


@st.composite
def bgp4mp_entries(draw: st.DrawFn) -> Bgp4mpEntry:
    family = draw(st.sampled_from([Family(1, 1), Family(1, 2), Family(2, 1)]))
    return Bgp4mpEntry(
        draw(ends(asn4=False)),
        draw(shorts),
        draw(shorts),
        draw(longs),
        family,
        draw(blobs),
        draw(nlri(family)),
        draw(blobs),
    )


tables = st.builds(PeerIndexTable, longs, blobs, st.lists(indexed_peers(), max_size=4).map(tuple))
opaque = st.builds(OpaqueRecord, st.sampled_from([11, 32, 48, 64511]), shorts, blobs)
values = st.one_of(
    bgp_messages(), state_changes(), tables, ribs(), generic_ribs(), table_entries(), bgp4mp_entries(), opaque
)
