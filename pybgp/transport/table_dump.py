"""The tables of a speaker as MRT: every route that may be used, prefix by prefix (RFC 6396 section 4.3, RFC 8050)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from pybgp.formats.mrt import IndexedPeer, PeerIndexTable
from pybgp.formats.mrt_routes import encode_attributes
from pybgp.formats.mrt_table import Entry, TableRecords, check_families, entry_of
from pybgp.rib.path import LOCAL_PEER
from pybgp.transport.bmp_reports import identifier_as_next_hop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.rib.path import Path
    from pybgp.rib.tables import Rib
    from pybgp.transport.peering import Peering
    from pybgp.transport.speaker_config import SpeakerConfig
    from pybgp.wire.families import Family

#: Prefixes in one item: little enough for a look at the clock behind each.
_BUNDLE: Final = 32
#: Entries that are kept for the prefixes to come; neighbours in a table share attributes.
_MOST_KEPT: Final = 50_000


class TableDump:
    """One walk over the tables, which may change meanwhile: each prefix is written as it is when its turn comes."""

    def __init__(
        self, rib: Rib, config: SpeakerConfig, peerings: Iterable[Peering], families: Sequence[Family], seconds: int
    ) -> None:
        """Peers are those of now; no route has a time of its own, so all have ``seconds`` since 1970.

        LocalError for a family that these records do not know.
        """
        check_families(families)
        self._rib = rib
        self._config = config
        self._families = families
        self._seconds = seconds
        self._records = TableRecords(seconds)
        self._peers = [IndexedPeer(config.router_number, bytes(4), config.local_as)]
        self._indexes = {LOCAL_PEER: 0}
        for peering in peerings:
            self._indexes[peering.number] = len(self._peers)
            self._peers.append(indexed(peering))
        self._entries: dict[Path, Entry | None] = {}

    def octets(self, view: str) -> Iterator[bytes]:
        """Yield records, some prefixes at a time."""
        name = view.encode()
        yield self._records.peers(PeerIndexTable(self._config.router_number, name, tuple(self._peers)))
        for family in self._families:
            keys = iter(list(self._rib.best(family)))
            while bundle := list(islice(keys, _BUNDLE)):
                yield b"".join([self._prefix(family, key) for key in bundle])
            self._entries.clear()

    def _prefix(self, family: Family, key: bytes) -> bytes:
        plain: list[bytes] = []
        identified: list[bytes] = []
        for peer, identifier, path in self._rib.offers(family, key):
            entry = self._entries[path] if path in self._entries else self._entry(family, path)
            if entry is None:
                continue
            if identifier and peer != LOCAL_PEER:
                identified.append(entry.front + identifier + entry.rest)
            else:
                plain.append(entry.front + entry.rest)
        octets = self._records.prefix(family, key, plain) if plain else b""
        return octets + self._records.prefix(family, key, identified, add_path=True) if identified else octets

    def _entry(self, family: Family, path: Path) -> Entry | None:
        """Return what stands for a path; None for a peer that came later, and for attributes that no record holds."""
        if len(self._entries) >= _MOST_KEPT:
            self._entries.clear()
        index, entry = self._indexes.get(path.peer), None
        if index is not None:
            attributes = path.attributes
            if not attributes.next_hop:
                own = identifier_as_next_hop(self._config.router_number, family)
                attributes = attributes.replace(next_hop=own)
            entry = entry_of(index, self._seconds, encode_attributes(attributes, family))
        self._entries[path] = entry
        return entry


def indexed(peering: Peering) -> IndexedPeer:
    """Return a peer as the index names it; its identifier is known while there is a session."""
    negotiated = peering.negotiated
    if negotiated is None:
        return IndexedPeer(0, peering.address, peering.config.remote_as)
    return IndexedPeer(negotiated.peer_id, peering.address, negotiated.peer_as)
