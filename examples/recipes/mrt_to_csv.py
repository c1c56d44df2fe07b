"""Turn MRT files into CSV, one route a line: tables and UPDATEs, compressed or not, in constant memory.

python mrt_to_csv.py rib.20260101.0000.bz2 updates.*.gz > routes.csv
"""

import argparse
import csv
import signal
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from pybgp import Attributes, AttributeStore, BgpError, Family, Update, attributes_to_json, format_nlri
from pybgp.formats.mrt import (
    Bgp4mpEntry,
    BgpMessage,
    IndexedPeer,
    PeerIndexTable,
    Record,
    Rib,
    TableEntry,
    decode,
)
from pybgp.formats.mrt_file import MrtReader, decompressed
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp
from pybgp.wire.nlri import path_id, strip_path_id


class Row(NamedTuple):
    """One line: kind is ``table``, ``announce`` or ``withdraw``."""

    time: str
    kind: str
    peer: str
    peer_as: int
    family: str
    nlri: str
    path_id: int | None = None
    next_hop: str = ""
    as_path: str = ""
    origin: str = ""
    local_pref: int | None = None
    med: int | None = None
    communities: str = ""
    large_communities: str = ""


def said(attributes: Attributes) -> dict[str, Any]:
    """Return the columns of a set of attributes."""
    names = attributes_to_json(attributes)
    return {
        "next_hop": " ".join(names.get("next-hop", ())),
        "as_path": str(attributes.as_path),
        "origin": attributes.origin.name.lower(),
        "local_pref": attributes.local_pref,
        "med": attributes.med,
        "communities": " ".join(names.get("communities", ())),
        "large_communities": " ".join(names.get("large-community", ())),
    }


class Reader:
    """Reads one file; what a table says about its peers is known from its first record on."""

    def __init__(self) -> None:
        self.unread = 0
        self._peers: tuple[IndexedPeer, ...] = ()
        self._store = AttributeStore()

    def rows(self, records: Iterable[Record]) -> Iterator[Row]:
        """Yield the rows of all records; what cannot be read is counted, and the rest goes on."""
        for record in records:
            if self._store.is_due:
                self._store.sweep(())
            try:
                yield from self._rows(record)
            except (BgpError, IndexError) as error:
                self.unread += 1
                print(f"mrt_to_csv: record of {record.time:.6f}: {error}", file=sys.stderr)

    def _rows(self, record: Record) -> Iterator[Row]:
        value, time = decode(record), f"{record.time:.6f}"
        if isinstance(value, PeerIndexTable):
            self._peers = value.peers
        elif isinstance(value, Rib):
            for entry in value.entries:
                peer = self._peers[entry.peer_index]
                found = decode_attributes(entry.attributes, self._store)
                nlri, number = self._nlri(value.family, value.nlri, value.has_path_id)
                chosen = entry.path_id if number is None else number
                address = str(ip_address(peer.address))
                yield Row(time, "table", address, peer.asn, str(value.family), nlri, chosen, **said(found.attributes))
        elif isinstance(value, TableEntry):
            found = decode_attributes(value.attributes, self._store, asn4=False)
            nlri, _ = self._nlri(value.family, value.nlri, False)
            address = str(ip_address(value.peer_address))
            yield Row(time, "table", address, value.peer_as, str(value.family), nlri, **said(found.attributes))
        elif isinstance(value, Bgp4mpEntry):
            found = decode_attributes(value.attributes, self._store, asn4=False)
            nlri, _ = self._nlri(value.family, value.nlri, False)
            address = str(ip_address(value.ends.peer_address))
            columns = {**said(found.attributes), "next_hop": str(ip_address(value.next_hop))}
            yield Row(time, "table", address, value.ends.peer_as, str(value.family), nlri, **columns)
        elif isinstance(value, BgpMessage):
            message = decode_bgp(value, self._store)
            if isinstance(message, Update):
                yield from self._changes(time, value, message)

    def _changes(self, time: str, value: BgpMessage, update: Update) -> Iterator[Row]:
        address, asn = str(ip_address(value.ends.peer_address)), value.ends.peer_as
        for family, keys, _ in update.withdrawn:
            for key in keys:
                yield Row(time, "withdraw", address, asn, str(family), *self._nlri(family, key, value.add_path))
        for family, keys, attributes in update.announced:
            columns = said(attributes) if attributes is not None else {}
            for key in keys:
                nlri, number = self._nlri(family, key, value.add_path)
                yield Row(time, "announce", address, asn, str(family), nlri, number, **columns)

    def _nlri(self, family: Family, key: bytes, add_path: bool) -> tuple[str, int | None]:
        if add_path:
            return format_nlri(family, strip_path_id(key)), path_id(key)
        return format_nlri(family, key), None


def convert(paths: Iterable[Path]) -> int:
    """Write the rows of all files; return how many records could not be read."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Row._fields)
    unread = 0
    for path in paths:
        reader = Reader()
        with path.open("rb") as file:
            writer.writerows(reader.rows(MrtReader(decompressed(file))))
        unread += reader.unread
    return unread


def main() -> None:
    parser = argparse.ArgumentParser(description="Turn MRT files into CSV.")
    parser.add_argument("files", nargs="+", type=Path, help="MRT files, also those of gzip and bzip2")
    options = parser.parse_args()
    # As other filters do: end at once, and quietly, when whoever reads has had enough.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        unread = convert(options.files)
    except (BgpError, OSError) as error:
        sys.exit(f"mrt_to_csv: {error}")
    sys.exit(f"mrt_to_csv: {unread} records could not be read" if unread else 0)


if __name__ == "__main__":
    main()
