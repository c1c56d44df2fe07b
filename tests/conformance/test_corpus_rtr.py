"""RTR PDUs that others wrote: their facts, the same octets again, and no other error when they are damaged."""

from __future__ import annotations

import json
import random
from ipaddress import ip_interface
from typing import Any

import pytest

from pybgp.rpki.pdu import EndOfData, Pdu, PduReader, Record, RtrError, SerialNotify, SerialQuery, Vrp, decode, encode
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
if not RECORDS:
    pytest.skip("the byte corpus is not beside the repository", allow_module_level=True)


def read(octets: bytes) -> tuple[int, Pdu] | None:
    reader = PduReader()
    reader.feed(octets)
    found = reader.next_pdu()
    return None if found is None else (found[0], decode(found[1]))


def of_validity(valid: bool) -> list[dict[str, Any]]:
    return [record for record in RECORDS if record["valid"] is valid]


@pytest.mark.parametrize("record", of_validity(False), ids=lambda record: record["id"])
def test_an_invalid_pdu_is_an_error_for_the_cache(record: dict[str, Any]) -> None:
    with pytest.raises(RtrError):
        read(bytes.fromhex(record["hex"]))


@pytest.mark.parametrize("record", of_validity(True), ids=lambda record: record["id"])
def test_a_valid_pdu_says_what_its_source_says(record: dict[str, Any]) -> None:
    octets, expect = bytes.fromhex(record["hex"]), record["expect"]
    found = read(octets)
    assert found is not None
    version, pdu = found
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
    again = encode(pdu, version)
    assert read(again) == found
    assert (again == octets) is (record["id"] not in DIFFERENT)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_damage_raises_nothing_else(record: dict[str, Any]) -> None:
    octets = bytes.fromhex(record["hex"])
    chance = random.Random(record["id"])
    damaged = [octets[:length] for length in range(len(octets))]
    for _ in range(300):
        copy = bytearray(octets)
        copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(copy))
    for each in damaged:
        try:
            read(each)
        except RtrError as error:
            assert each.startswith(error.pdu)
