"""The rest of the corpus in the same table: BMP messages, RTR PDUs, MRT files and captures of whole sessions."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from pybgp.errors import BgpError, FormatError
from pybgp.formats.bmp import decode as decode_bmp
from pybgp.formats.bmp import encode as encode_bmp
from pybgp.formats.bmp_station import Station
from pybgp.rpki.pdu import RtrError
from pybgp.rpki.pdu import encode as encode_pdu
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.framing import Framer
from pybgp.wire.iana import UpdateSubcode
from pybgp.wire.messages import Message, Update, decode, decode_open
from pybgp.wire.negotiated import Negotiated, negotiate
from pybgp.wire.nlri import FAMILIES

from . import test_corpus_bmp as bmp
from . import test_corpus_mrt as mrt
from .captures import Stream, streams
from .corpus import CORPUS, LENIENT
from .rewriting import has_cost
from .rtr_cases import DIFFERENT as OTHER_OCTETS
from .rtr_cases import check as check_pdu
from .rtr_cases import read as read_pdu
from .runner import Row

Rows = dict[tuple[str, str], Row]
CAPTURES = CORPUS / "pcap"
_NAMES = {1: "open", 2: "update", 3: "notification", 4: "keepalive", 5: "route-refresh"}
#: an OPEN of 25 octets, which its source calls malformed.
MALFORMED = {"pcapplusplus__Tests__Packet++Test__PacketExamples__Bgp_open_malformed.pcap": {"open": 1}}
#: what a monitored session's own octets do not allow, by the error.
UNREADABLE = {
    "MP_REACH_NLRI: next hop of 16 octets": "monitored: a next hop of VPN-IPv6 without distinguisher (RFC 4659)",
    "bits do not hold its labels": "monitored: path identifiers, and no Peer Up that says so",
    "ipv4-unicast prefix of 1 bits": "monitored: its TLV announces path identifiers, its NLRI has none",
    "OPEN_MESSAGE/2: AS number 0": "monitored: a fabricated OPEN of AS 0 (RFC 7607)",
}


def lines(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of a folder with the name of its source."""
    for path in sorted((CORPUS / folder).glob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield path.stem, json.loads(line)


def damaged(octets: bytes, chosen: random.Random, count: int, *, at: int = 0) -> Iterator[bytes]:
    """Octets with one bit flipped, and cut."""
    for _ in range(count if len(octets) > at else 0):
        copy = bytearray(octets)
        copy[chosen.randrange(at, len(octets))] ^= 1 << chosen.randrange(8)
        yield bytes(copy)
        yield octets[: chosen.randrange(at, len(octets))]


def _attempt(row: Row, name: str, check: Callable[[], None]) -> None:
    row.cases += 1
    try:
        check()
    except (AssertionError, BgpError, RtrError) as error:
        row.wrong.append(f"{name}: {type(error).__name__} {str(error).splitlines()[:1]}")


def _survive(row: Row, read: Callable[[bytes], object], variants: Iterator[bytes]) -> None:
    for octets in variants:
        row.variants += 1
        try:
            read(octets)
        except (BgpError, RtrError):
            continue


def run_bmp(rows: Rows, chosen: random.Random, variants: int) -> None:
    """Each message by itself, then each capture's messages in their order, so that UPDATEs have their sessions."""
    for source, record in lines("bmp"):
        row, octets = rows["bmp", source], bytes.fromhex(record["hex"])
        _attempt(row, record["id"], lambda row=row, record=record, octets=octets: _bmp_case(row, record, octets))
        front = b"\x03" + (len(octets) + 6).to_bytes(4, "big") + b"\x00" if record["kind"] == "bmp-part" else b""
        _survive(row, bmp.survives, damaged(front + octets, chosen, variants))
    sources = {record["id"]: source for source, record in lines("bmp")}
    for stream in bmp.streams():
        station = Station()
        for record in stream:
            if record["id"] not in bmp.NO_MESSAGES:
                (heard,) = station.receive_data(bytes.fromhex(record["hex"]))
                row = rows["bmp", sources[record["id"]]]
                if heard.error is not None and record["id"] in bmp.UNREADABLE:
                    row.reasons[f"{record['id']}: {bmp.UNREADABLE[record['id']]}"] += 1
                elif heard.error is not None:
                    row.wrong.append(f"{record['id']}: {heard.error}")


def _bmp_case(row: Row, record: dict[str, Any], octets: bytes) -> None:
    if record["kind"] == "bmp-part" or record["id"] in bmp.NO_MESSAGES:
        row.refused += 1
        bmp.survives(octets)
        return
    message = decode_bmp(octets)
    row.decoded += 1
    bmp.check_peer(message, record["expect"])
    bmp.check_content(message, record["expect"])
    row.facts += 1
    assert encode_bmp(message, octets[0]) == octets
    row.equal += 1


def run_rtr(rows: Rows, chosen: random.Random, variants: int) -> None:
    """Each PDU."""
    for source, record in lines("rtr"):
        row, octets = rows["rtr", source], bytes.fromhex(record["hex"])
        _attempt(row, record["id"], lambda row=row, record=record, octets=octets: _rtr_case(row, record, octets))
        _survive(row, read_pdu, damaged(octets, chosen, variants))


def _rtr_case(row: Row, record: dict[str, Any], octets: bytes) -> None:
    try:
        found = read_pdu(octets)
    except RtrError:
        row.refused += 1
        assert record["valid"] is not True
        return
    assert record["valid"] is not False
    if found is None:
        row.waiting += 1
        return
    row.decoded += 1
    if record["valid"] is not True:
        return
    version, pdu = found
    check_pdu(version, pdu, record["expect"])
    row.facts += 1
    again = encode_pdu(pdu, version)
    assert read_pdu(again) == found
    is_equal = again == octets
    assert is_equal is (record["id"] not in OTHER_OCTETS)
    row.equal += is_equal
    row.equivalent += not is_equal
    if not is_equal:
        row.reasons[OTHER_OCTETS[record["id"]]] += 1


def run_mrt(rows: Rows, chosen: random.Random, variants: int) -> None:
    """Each file against its facts; every record but those of the deprecated type 5 is written as it was."""
    for entry in mrt.FILES:
        row = rows["mrt", entry["file"].split("__")[0]]
        _attempt(row, entry["file"], lambda row=row, entry=entry: _mrt_case(row, entry))
        for number, record in enumerate(mrt.records(entry)):
            if number < 10 * variants:
                bodies = damaged(record.body, chosen, 1)
                _survive(row, lambda body, record=record: mrt.survives(record._replace(body=body)), bodies)
    for source, record in lines("mrt"):
        row, octets = rows["mrt", source], bytes.fromhex(record["hex"])
        row.cases += 1
        row.refused += 1
        for kind, subtype in mrt.SHAPES:
            _survive(row, lambda body, of=(kind, subtype): mrt.survives(mrt.Record(0, *of, body)), iter([octets]))


def _mrt_case(row: Row, entry: dict[str, Any]) -> None:
    tally = mrt.check_file(entry)
    row.decoded += 1
    row.facts += 1
    row.equal += 1
    row.reasons["records of MRT files, each written as it was read"] += sum(tally.types.values()) - tally.unreadable


def run_captures(rows: Rows, chosen: random.Random, variants: int) -> None:
    """Each capture: TCP put in order, every message of BGP and BMP in it read, and some octets damaged."""
    for entry in json.loads((CAPTURES / "FILES.json").read_text()):
        row = rows["pcap", entry["file"].split("__")[0]]
        _attempt(row, entry["file"], lambda row=row, entry=entry: _capture_case(row, entry))
        found = streams(CAPTURES / entry["file"])
        for stream in found[:2]:
            _survive(row, _read_stream, damaged(stream.runs[0][:8192], chosen, variants))


def _is_bgp(stream: Stream) -> bool:
    return b"\xff" * 16 in stream.runs[0][:64] and stream.runs[0][0] not in (3, 4)


def _read_stream(octets: bytes) -> None:
    if octets[:1] in (b"\3", b"\4"):
        bmp.survives(octets)
        return
    framer = Framer(65535)
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        _decode(message, _contexts(None, None)[0])


def _capture_case(row: Row, entry: dict[str, Any]) -> None:
    found = streams(CAPTURES / entry["file"])
    counts, monitored = Counter[str](), Counter[str]()
    opens = {stream[:2]: _open_of(stream) for stream in found if _is_bgp(stream)}
    for stream in found:
        if _is_bgp(stream):
            ours = opens.get((stream.destination, stream.source))
            counts += _read_bgp(row, stream, _contexts(ours, opens[stream[:2]]))
        else:
            monitored += _read_bmp(row, stream)
    facts = entry["facts"]
    refused = Counter(MALFORMED.get(entry["file"], {}))
    assert not Counter(facts["bgp_messages"]) - counts - refused, dict(counts)
    assert not Counter(facts["bmp_messages"]) - monitored, dict(monitored)
    row.decoded += 1
    row.facts += 1
    row.refused += bool(refused)
    row.reasons["messages of captures, read on their sessions"] += counts.total() + monitored.total()


def _messages(run: bytes) -> Iterator[bytes]:
    """The messages of a run from the first marker on; an error ends it."""
    framer = Framer(65535)
    framer.feed(run[max(run.find(b"\xff" * 16), 0) :])
    try:
        while (message := framer.next_message()) is not None:
            yield message
    except BgpError:
        return


def _open_of(stream: Stream) -> Any:
    """The first OPEN that can be read."""
    for run in stream.runs:
        for message in _messages(run):
            if message[18] == 1:
                return decode_open(message)
    return None


def _contexts(ours: Any, theirs: Any) -> list[Negotiated]:
    """The session both OPENs agree on; where the capture lacks one, whatever it can have been."""
    if ours is not None and theirs is not None:
        return [negotiate(ours, theirs, require_common_family=False, options=LENIENT)]
    every = frozenset(FAMILIES)
    return [
        Negotiated(
            65000, 65000, 1, 2, every, asn4=asn4, add_path_receive=paths, extended_next_hop=every, options=LENIENT
        )
        for asn4 in (True, False)
        for paths in (frozenset[Any](), every)
    ]


def _decode(octets: bytes, session: Negotiated) -> Message:
    return decode(octets, session, AttributeStore())


def _read_bgp(row: Row, stream: Stream, contexts: list[Negotiated]) -> Counter[str]:
    counts = Counter[str]()
    for run in stream.runs:
        position = max(run.find(b"\xff" * 16), 0)
        for octets in _messages(run):
            position += len(octets)
            name = _NAMES[octets[18]]
            counts[name] += 1
            if not any(_is_clean(octets, session) for session in contexts):
                why = _missing(octets, contexts[0])
                if why:
                    row.reasons[why] += 1
                else:
                    row.wrong.append(f"{name} of {stream.source[0]}: {octets.hex()[:120]}")
        # The facts count a message that the capture cuts, by its header.
        if len(run) - position >= 19 and run[position + 18] in _NAMES:
            counts[_NAMES[run[position + 18]]] += 1
    return counts


def _is_clean(octets: bytes, session: Negotiated) -> bool:
    try:
        message = _decode(octets, session)
    except BgpError:
        return False
    return not has_cost(message) if isinstance(message, Update) else True


def _missing(octets: bytes, session: Negotiated) -> str:
    """Why an UPDATE is treated as withdrawn, if all that it lacks are mandatory attributes."""
    message = _decode(octets, session)
    faults = message.faults if isinstance(message, Update) else ()
    lacking = bool(faults) and all(fault.subcode == UpdateSubcode.MISSING_WELL_KNOWN for fault in faults)
    return "a mandatory attribute is missing in a capture: withdrawn (RFC 7606 section 3)" if lacking else ""


def _read_bmp(row: Row, stream: Stream) -> Counter[str]:
    counts = Counter[str]()
    for run in stream.runs:
        station = Station()
        try:
            heard = station.receive_data(run)
        except FormatError as error:
            row.wrong.append(f"BMP of {stream.source[0]}: {error}")
            continue
        for item in heard:
            counts[str(_kind_of(item.message))] += 1
            if item.error is not None:
                known = next((why for text, why in UNREADABLE.items() if text in str(item.error)), None)
                if known is None:
                    row.wrong.append(f"BMP of {stream.source[0]}: {item.error}")
                else:
                    row.reasons[known] += 1
    return counts


def _kind_of(message: Any) -> int:
    return encode_bmp(message)[5]


def run_files(*, variants: int, seed: int = 7606) -> Rows:
    """Run everything that is not a message of BGP by itself."""
    rows: Rows = defaultdict(Row)
    chosen = random.Random(seed)
    for run in (run_bmp, run_rtr, run_mrt, run_captures):
        run(rows, chosen, variants)
    return dict(rows)
