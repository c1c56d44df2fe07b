"""Interning: one object per content, one judgement per received block and context."""

from __future__ import annotations

import sys

import pytest

from pybgp.wire import attribute_store
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.attributes import Attributes
from pybgp.wire.messages import decode_update

from .samples import EBGP, GOOD, IBGP, OTHER_PREFIX, PREFIX, session, update_message


def test_one_object_per_content() -> None:
    store = AttributeStore()
    first = store.intern(b"\x40\x01\x01\x00", b"\x0a\0\0\x01")
    assert store.intern(bytes(first.block), bytes(first.next_hop)) is first
    assert store.intern(first.block, b"\x0a\0\0\x02") is not first
    assert len(store) == 2


def test_adopting_a_built_set() -> None:
    store = AttributeStore()
    built = Attributes.build({1: 0})
    assert store.adopt(built) is built
    assert store.adopt(Attributes.build({1: 0})) is built


def test_two_updates_share_their_attributes() -> None:
    store = AttributeStore()
    one = decode_update(update_message(GOOD, PREFIX), EBGP, store)
    two = decode_update(update_message(GOOD, OTHER_PREFIX), EBGP, store)
    assert one.attributes is two.attributes is not None
    assert len(store.blocks(EBGP.context)) == 1


def test_sessions_of_one_context_share_what_is_known() -> None:
    other = session(external=True, hold_time=3, send_limit=65535)
    assert other.context is EBGP.context
    assert IBGP.context is not EBGP.context
    assert session(external=True, asn4=False).context is not EBGP.context


def test_a_block_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = attribute_store.read_plain
    monkeypatch.setattr(attribute_store, "read_plain", lambda *given: seen.append(given) or real(*given))
    store = AttributeStore()
    for _ in range(3):
        decode_update(update_message(GOOD, PREFIX), EBGP, store)
    assert len(seen) == 1


def test_a_sweep_keeps_what_is_in_use() -> None:
    store = AttributeStore()
    kept = store.intern(b"kept")
    store.intern(b"lost")
    decode_update(update_message(GOOD, PREFIX), EBGP, store)
    store.sweep([kept])
    assert len(store) == 1
    assert store.intern(b"kept") is kept
    assert not store.blocks(EBGP.context)


def test_unused_sets_are_forgotten_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_store, "_PART", 30)
    store = AttributeStore()
    kept = [store.intern(number.to_bytes(4, "big")) for number in range(50)]
    for number in range(50, 100):
        store.intern(number.to_bytes(4, "big"))
    seen_by_a_cache = decode_update(update_message(GOOD, PREFIX), EBGP, store).attributes
    assert list(store.sweeps(101)) == []
    parts = store.sweeps(51)
    for count, forget in enumerate(parts):
        assert forget()
        if not count:
            kept.append(store.intern(b"new in the middle of it"))
    assert count == 3
    assert set(store.known) == {*kept, seen_by_a_cache}
    assert all(store.intern(one.block) is one for one in kept)
    assert list(store.sweeps(1)) == []


def test_a_sweep_is_due_when_the_store_has_doubled() -> None:
    store = AttributeStore()
    for number in range(10_000):
        store.intern(number.to_bytes(4, "big"))
    assert not store.is_due
    store.intern(b"one more")
    assert store.is_due
    store.sweep([store.intern(number.to_bytes(4, "big")) for number in range(8_000)])
    assert not store.is_due


def test_the_cache_of_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_store, "_LONGEST_CACHE", 3)
    store = AttributeStore()
    for number in range(10):
        store.read(GOOD + b"\xc0\x63\x01" + bytes([number]), EBGP.context)
        assert len(store.blocks(EBGP.context)) <= 3


def test_a_store_full_of_what_is_needed_is_not_swept() -> None:
    store = AttributeStore()
    kept = [store.intern(number.to_bytes(4, "big")) for number in range(10_001)]
    assert store.is_due
    store.tidy(len(kept), lambda: kept[:1])
    assert (len(store), store.is_due) == (10_001, False)
    for number in range(10_002):
        store.intern(b"new" + number.to_bytes(4, "big"))
    assert store.is_due
    store.tidy(3, lambda: kept[:1])
    assert len(store) == 1


def test_a_store_that_could_be_needed_is_looked_at_again_soon() -> None:
    """What could be needed at most is more than what is: were it left to double, most of it could be garbage."""
    store = AttributeStore()
    for number in range(10_001):
        store.intern(number.to_bytes(4, "big"))
    store.tidy(10_000, list)
    for number in range(2_501):
        assert not store.is_due
        store.intern(b"new" + number.to_bytes(4, "big"))
    assert store.is_due
    store.tidy(10_000, list)
    assert len(store) == 0


def test_room_that_is_not_needed_any_more_is_given_back() -> None:
    store = AttributeStore()
    kept = [store.intern(number.to_bytes(4, "big")) for number in range(100)]
    small = sys.getsizeof(store.known)
    for number in range(5_000):
        store.intern(b"new" + number.to_bytes(4, "big"))
    for forget in store.sweeps(len(kept)):
        forget()
    assert set(store.known) == {*kept}
    assert sys.getsizeof(store.known) == small
