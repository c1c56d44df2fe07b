"""What a record of an RTR PDU says, compared with what we read."""

from __future__ import annotations

import json
from ipaddress import ip_interface
from typing import Any

from pybgp.rpki.pdu import EndOfData, Pdu, PduReader, Record, SerialNotify, SerialQuery, Vrp, decode
from pybgp.wire.nlri import format_prefix

from .corpus import CORPUS

#: where our octets differ from the source's.
HOST_BITS = "host bits are set in the prefix, which mean nothing, so they are gone"
DIFFERENT = {"rtr-856b61e2c2a46b70": HOST_BITS, "rtr-ac5c63df6b70f686": HOST_BITS}


def records() -> list[dict[str, Any]]:
    found = []
    for path in sorted((CORPUS / "rtr").glob("*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


RECORDS = records() if CORPUS.is_dir() else []


def read(octets: bytes) -> tuple[int, Pdu] | None:
    reader = PduReader()
    reader.feed(octets)
    found = reader.next_pdu()
    return None if found is None else (found[0], decode(found[1]))


def check(version: int, pdu: Pdu, expect: dict[str, Any]) -> None:
    """Every fact of the record."""
    assert version == expect["version"]
    if isinstance(pdu, SerialNotify | SerialQuery | EndOfData):
        assert (pdu.session, pdu.serial) == (expect["session_or_field"], expect["serial"])
    if isinstance(pdu, EndOfData) and pdu.intervals is not None:
        times = pdu.intervals
        assert [times.refresh, times.retry, times.expire] == expect["refresh_retry_expire"]
    if isinstance(pdu, Record) and isinstance(pdu.payload, Vrp):
        vrp = pdu.payload
        assert (pdu.announce, vrp.max_length, vrp.asn) == (expect["announce"], expect["max_length"], expect["asn"])
        assert format_prefix(vrp.family, vrp.key) == str(ip_interface(expect["prefix"]).network)
