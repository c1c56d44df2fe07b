"""Any octets give a value or a clean protocol error; any split of a stream gives the same messages; time is linear."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import (
    almost_valid,
    attribute_forms,
    attributes,
    capabilities,
    families,
    framing,
    messages,
    nlri,
    strategies,
    text_forms,
)
from fuzz.__main__ import TARGETS, main, run_batch
from fuzz.finds import read
from fuzz.target import Target
from pybgp.errors import RemoteError
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Fault
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import MessageType
from pybgp.wire.messages import Update, decode, encode_updates
from pybgp.wire.nlri import is_odd, split_careful
from pybgp.wire.update_encoding import message_octets


@given(messages.TARGET.inputs)
def test_messages(octets: bytes) -> None:
    messages.check(octets)


@given(attributes.TARGET.inputs)
def test_attribute_blocks(octets: bytes) -> None:
    attributes.check(octets)


@given(nlri.TARGET.inputs)
def test_nlri_fields(octets: bytes) -> None:
    nlri.check(octets)


@given(capabilities.TARGET.inputs)
def test_capability_lists(octets: bytes) -> None:
    capabilities.check(octets)


@given(framing.TARGET.inputs)
def test_streams(octets: bytes) -> None:
    framing.check(octets)


@given(st.lists(messages.VALID, max_size=5).map(b"".join), st.data())
def test_any_split_gives_the_same_messages(stream: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    bounds = zip([0, *places], [*places, len(stream)], strict=True)
    whole, error = framing.outcome([stream])
    assert error == ""
    assert b"".join(whole) == stream
    assert framing.outcome(stream[start:stop] for start, stop in bounds) == (whole, "")


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(strategies.keys(IPV4_UNICAST), max_size=6))
def test_a_withdrawn_message_names_every_prefix(block: bytes, withdrawn: bytes, keys: list[bytes]) -> None:
    """Treat-as-withdraw lists exactly the prefixes that a lenient reader sees (spec section 13)."""
    fields = len(withdrawn).to_bytes(2, "big") + withdrawn + len(block).to_bytes(2, "big") + block
    octets = message_octets(MessageType.UPDATE, fields + b"".join(keys))
    try:
        update = decode(octets, messages.SESSION, AttributeStore())
    except RemoteError:
        return
    assert isinstance(update, Update)
    if any(fault.fault == Fault.WITHDRAW for fault in update.faults):
        gone = [key for item in update.withdrawn if item.family == IPV4_UNICAST for key in item.keys]
        assert not update.announced
        assert gone == split_careful(IPV4_UNICAST, withdrawn) + [key for key in keys if not is_odd(IPV4_UNICAST, key)]


@pytest.mark.parametrize(
    "field",
    [
        b"\x21" * 65000,
        b"\x18\x0a\x00" * 21000 + b"\x18",
        b"\x08\x7f" * 32000,
        b"\x01\xff" * 32000,
        b"\x00" * 65000,
        b"\xff" * 65000,
    ],
    ids=["too long", "misaligned", "odd", "stray bits", "default routes", "noise"],
)
@pytest.mark.parametrize("place", ["nlri", "withdrawn", "attributes"])
def test_the_worst_messages_take_linear_time(field: bytes, place: str) -> None:
    lengths = len(field).to_bytes(2, "big")
    body = {
        "nlri": b"\0\0\0\0" + field,
        "withdrawn": lengths + field + b"\0\0",
        "attributes": b"\0\0" + lengths + field,
    }[place]
    octets = message_octets(MessageType.UPDATE, body[: 65535 - 19])
    begin = time.process_time()
    with contextlib.suppress(RemoteError):
        decode(octets, messages.SESSION, AttributeStore())
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("attribute", [b"\xc0\x63\x00", b"\xc0%c\x00", b"\x40\x01\x01\x00"])
def test_many_attributes_take_linear_time(attribute: bytes) -> None:
    block = b"".join(attribute.replace(b"%c", bytes([code])) for code in range(256))
    block = (block * 100)[:64000]
    octets = message_octets(MessageType.UPDATE, b"\0\0" + len(block).to_bytes(2, "big") + block + b"\x08\x0a")
    begin = time.process_time()
    with contextlib.suppress(RemoteError):
        decode(octets, messages.SESSION, AttributeStore())
    assert time.process_time() - begin < 2


def test_a_message_that_repeats_one_prefix_is_read() -> None:
    values = strategies.Attributes.build({1: 0, 2: strategies.AsPath()}, b"\x0a\0\0\x01")
    octets = encode_updates(IPV4_UNICAST, [b"\x08\x0a"] * 1000, values, messages.SESSION)[0]
    update = decode(octets, messages.SESSION, AttributeStore())
    assert isinstance(update, Update)
    assert list(update.announced[0].keys) == [b"\x08\x0a"] * 1000


def test_the_fuzzer_runs_every_target_for_a_bounded_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzz.__main__.BATCH", 20)  # the properties of each target have tests of their own
    assert main(["--seconds", "1", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in TARGETS)


def test_the_fuzzer_finds_a_broken_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(octets: bytes) -> None:
        assert b"\x7f" not in octets

    monkeypatch.setattr("fuzz.__main__.FINDS", tmp_path)
    with pytest.raises(AssertionError):
        for number in range(20):
            run_batch(Target("broken", st.binary(max_size=9), check), number)
    (kept,) = tmp_path.iterdir()
    assert read(kept) == ("broken", b"\x7f"), "minimised"


@given(families.TARGET.inputs)
def test_fields_of_every_family(octets: bytes) -> None:
    families.check(octets)


@given(attribute_forms.TARGET.inputs)
def test_values_of_every_attribute(octets: bytes) -> None:
    attribute_forms.check(octets)


@given(text_forms.TARGET.inputs)
def test_any_text(octets: bytes) -> None:
    text_forms.check(octets)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(almost_valid.TARGET.inputs)
def test_one_broken_rule_has_its_verdict(octets: bytes) -> None:
    almost_valid.check(octets)


@pytest.mark.parametrize("number", range(len(almost_valid.RULES)), ids=[rule[0] for rule in almost_valid.RULES])
def test_each_rule_alone(number: int) -> None:
    draft = almost_valid.Draft(
        {1: (0x40, b"\0"), 2: (0x40, almost_valid.PATH), 3: (0x40, almost_valid.HOP)}, b"\x08\x0a"
    )
    almost_valid.RULES[number][1](draft)
    octets = bytes([number]) + draft.octets()
    almost_valid.check(octets)
    others = [place for place, rule in enumerate(almost_valid.RULES) if rule[2] != almost_valid.RULES[number][2]]
    with pytest.raises(AssertionError):
        almost_valid.check(bytes([others[0]]) + octets[1:])
