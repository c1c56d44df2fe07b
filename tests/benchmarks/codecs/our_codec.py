"""pybgp as the codec benchmark uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybgp.formats.mrt import Bgp4mpEntry, BgpMessage, Rib, TableEntry, decode
from pybgp.formats.mrt_file import MrtReader, decompressed
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.forms import format_address
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import format_prefix
from pybgp.wire.update_encoding import encode_update, encode_updates
from pybgp.wire.updates import Update, decode_update
from tests.benchmarks.codecs.stream_file import RECEIVER_AS, SENDER_AS, Stream

FAMILIES = frozenset({IPV4_UNICAST, IPV6_UNICAST})
#: a collector's: the paths of many neighbours, and of times when sets were usual.
COLLECTOR = UpdateOptions(allow_as_sets=True, check_first_as=False)


def session_of(stream: Stream) -> Negotiated:
    options = UpdateOptions() if stream.one_peer else COLLECTOR
    sender = RECEIVER_AS if stream.is_internal else SENDER_AS
    return Negotiated(RECEIVER_AS, sender, 1, 2, families=FAMILIES, asn4=stream.asn4, options=options)


class OurCodec:
    """A session with an empty store."""

    def __init__(self, stream: Stream) -> None:
        self.session = session_of(stream)
        self.store = AttributeStore()

    def decode(self, message: bytes) -> Update:
        return decode_update(message, self.session, self.store)

    def read(self, update: Update) -> list[Any]:
        """Every value of the attributes, typed."""
        return [(attributes.values(), attributes.next_hop) for _, _, attributes in update.announced if attributes]

    def texts(self, update: Update) -> list[Any]:
        found: list[Any] = self.read(update)
        for family, keys, attributes in (*update.announced, *update.withdrawn):
            found += [format_prefix(family, key) for key in keys]
            if attributes:
                found.append(format_address(attributes.next_hop[:16]))
        return found

    def prefixes(self, update: Update) -> int:
        return sum(len(nlri.keys) for nlri in (*update.announced, *update.withdrawn))

    def encode(self, update: Update) -> bytes:
        return encode_update(update, self.session)

    def values(self, update: Update) -> Any:
        """What a caller has who begins with values."""
        if not update.announced or update.withdrawn:
            return None
        family, keys, attributes = update.announced[0]
        return attributes and (family, keys, attributes.values(), attributes.next_hop)

    def build(self, values: Any) -> bytes:
        family, keys, by_code, next_hop = values
        return b"".join(encode_updates(family, keys, Attributes.build(by_code, next_hop), self.session))

    @staticmethod
    def mrt_records(path: Path) -> int:
        """Every record, and every message and attribute in it judged."""
        store = AttributeStore()
        records = 0
        with path.open("rb") as file:
            for record in MrtReader(decompressed(file)):
                records += 1
                value = decode(record)
                if isinstance(value, BgpMessage):
                    decode_bgp(value, store)
                elif isinstance(value, Rib):
                    for entry in value.entries:
                        decode_attributes(entry.attributes, store)
                elif isinstance(value, TableEntry | Bgp4mpEntry):
                    decode_attributes(value.attributes, store, asn4=False)
        return records
