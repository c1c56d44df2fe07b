"""MRT files of other implementations against the facts that come with them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from pybgp.errors import FormatError
from pybgp.formats.mrt import Bgp4mpEntry, BgpMessage, Record, Rib, TableEntry, Value, decode, encode, record_octets
from pybgp.formats.mrt_file import MrtReader, decompressed
from pybgp.formats.mrt_routes import decode_attributes, decode_bgp
from pybgp.formats.nlri_length import nlri_end
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.messages import Message, OpaqueNlri, Update
from tests.conformance.corpus import CORPUS

FOLDER = CORPUS / "mrt"
INDEX = FOLDER / "FILES.json"
FILES: list[dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else []
pytestmark = pytest.mark.skipif(not FILES, reason="the MRT corpus is not beside the repository")

#: BIRD wrote messages with path identifiers under the plain subtypes before RFC 8050 gave it others.
EARLY_ADD_PATH = {"mrtparse__samples__bird_bgp", "mrtparse__samples__bird6_bgp"}
#: An early collector wrote session records without addresses: "AS 0, AS 0" and then the states or the message.
WITHOUT_ADDRESSES = {"bgpkit__tests__fixtures__ripe__rrc01__2000.11__updates.20001104.0124.gz": 63}
#: The reader behind the facts did not open the messages of the deprecated type 5.
OLD_TYPE = "5/1"
#: what a fragment is tried as.
SHAPES = [(5, 1), (12, 1), (12, 2), (13, 1), (13, 2), (13, 6), (13, 8), (16, 0), (16, 2), (16, 4)]


def records(entry: dict[str, Any]) -> Iterator[Record]:
    with (FOLDER / entry["file"]).open("rb") as file:
        yield from MrtReader(decompressed(file))


def count_opaque(items: tuple[OpaqueNlri, ...]) -> Counter[str]:
    """How many NLRI stand in fields that the wire layer does not take apart."""
    counts: Counter[str] = Counter()
    for item in items:
        position = 0
        while position < len(item.field):
            end = nlri_end(item.family, item.field, position)
            if end is None:  # damaged, or of a family that damage has made up; a file's facts would not be met
                break
            position = end
            counts["withdrawn" if item.is_withdrawn else "announced"] += 1
    return counts


def count(update: Update) -> Counter[str]:
    """Announced and withdrawn prefixes as the sender meant them, before RFC 7606 judged."""
    counts = count_opaque(update.opaque)
    counts["announced"] += sum(len(item.keys) for item in update.announced)
    counts["withdrawn"] += sum(len(item.keys) for item in update.withdrawn)
    return counts


class Tally:
    """What a whole file holds."""

    def __init__(self, *, add_path: bool) -> None:
        self.add_path = add_path
        self.types: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.prefixes: Counter[str] = Counter()
        self.unreadable = 0
        self.treated_as_withdrawn = 0
        self.store = AttributeStore()

    def take(self, record: Record) -> None:
        self.types[f"{record.kind}/{record.subtype}"] += 1
        try:
            value = decode(record)
        except FormatError:
            self.unreadable += 1
            return
        if record.kind != 5:
            assert encode(value, record.seconds, record.microseconds) == record
        self.open(value)

    def open(self, value: Value) -> None:
        if isinstance(value, Rib):
            for entry in value.entries:
                decode_attributes(entry.attributes, self.store)
        elif isinstance(value, TableEntry | Bgp4mpEntry):
            decode_attributes(value.attributes, self.store, asn4=False)
        elif isinstance(value, BgpMessage):
            self.open_message(decode_bgp(value._replace(add_path=value.add_path or self.add_path), self.store))

    def open_message(self, message: Message) -> None:
        name = type(message).__name__.replace("RouteRefresh", "route-refresh").lower()
        self.messages[name] += 1
        if isinstance(message, Update):
            self.prefixes += count(message)
            if any(fault.fault >= 1 and fault.code == 14 for fault in message.faults):
                self.treated_as_withdrawn += 1


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["file"]).split("__", 1)[1])
def test_a_file_holds_what_its_facts_say(entry: dict[str, Any]) -> None:
    assert check_file(entry).types


def check_file(entry: dict[str, Any]) -> Tally:
    """Read a whole file and compare it with its facts."""
    facts = entry["facts"]
    tally = Tally(add_path=entry["file"] in EARLY_ADD_PATH)
    for record in records(entry):
        tally.take(record)
    assert sum(tally.types.values()) == facts["records"]
    assert dict(tally.types) == facts["types"]
    assert tally.unreadable == WITHOUT_ADDRESSES.get(entry["file"], 0)
    if OLD_TYPE in facts["types"]:
        assert tally.messages["update"] == facts["types"][OLD_TYPE]
        return tally
    assert dict(tally.messages) == facts["bgp_types"]
    # A prefix with a next hop that is no host counts as announced there and as withdrawn here (RFC 7606).
    moved = tally.prefixes["withdrawn"] - facts["withdrawn"]
    assert moved == facts["announced"] - tally.prefixes["announced"] == tally.treated_as_withdrawn
    return tally


def test_fragments_are_values_or_format_errors() -> None:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            octets = bytes.fromhex(json.loads(line)["hex"])
            for kind, subtype in SHAPES:
                survives(Record(0, kind, subtype, octets))


def survives(record: Record) -> None:
    try:
        Tally(add_path=False).open(decode(record))
    except FormatError:
        return


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["file"]).split("__", 1)[1])
def test_cut_and_flipped_records_fail_cleanly(entry: dict[str, Any]) -> None:
    chosen = random.Random(6396)
    for number, record in enumerate(records(entry)):
        if number >= 40:
            break
        for _ in range(4):
            octets = bytearray(record_octets(record)[12:])
            if octets:
                octets[chosen.randrange(len(octets))] ^= 1 << chosen.randrange(8)
            survives(record._replace(body=bytes(octets[: chosen.randrange(len(octets) + 1)])))
            survives(record._replace(body=bytes(octets)))
