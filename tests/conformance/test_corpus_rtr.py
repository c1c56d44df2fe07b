"""RTR PDUs that others wrote: their facts, the same octets again, and no other error when they are damaged."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pybgp.rpki.pdu import RtrError, encode

from .rtr_cases import DIFFERENT, RECORDS, check, read

if not RECORDS:
    pytest.skip("the byte corpus is not beside the repository", allow_module_level=True)


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
    check(version, pdu, expect)
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
