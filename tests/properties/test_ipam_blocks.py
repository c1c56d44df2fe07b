"""Operations on one block keep invariants 1 to 4 and 9 of spec/calico.md section 11."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.ipam.block_operations import (
    ReservedEnds,
    assign,
    attribute_at,
    count_by_handle,
    free_ordinals,
    is_empty,
    new_block,
    ordinals_of_handle,
    release,
)
from calico_routing.ipam.check import block_problems
from calico_routing.ipam.errors import AlreadyAssignedError, IpamError
from calico_routing.model.blocks import parse_network
from calico_routing.model.etcd_codec import decode_etcd, encode_etcd
from calico_routing.model.kdd_codec import decode_kdd, encode_kdd
from calico_routing.model.resources import IPAMBlock
from calico_routing.model.v3_codec import decode_v3, encode_v3

BLOCK = new_block(parse_network("10.0.0.8/29"), "host:a", claim_time="2026-01-01T00:00:00Z", sequence_number=100)
HANDLES = st.sampled_from(["h1", "h2", "h3"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), HANDLES, st.integers(1, 4)),
        st.tuples(st.just("release"), HANDLES, st.integers(1, 4)),
    ),
    max_size=30,
)


def walk(steps: list[tuple[str, str, int]]) -> list[IPAMBlock]:
    blocks = [BLOCK]
    for verb, handle, count in steps:
        block = blocks[-1]
        if verb == "assign":
            blocks.append(assign(block, free_ordinals(block, ())[:count], handle, {"node": "a"}))
        else:
            blocks.append(release(block, ordinals_of_handle(block, handle)[:count]))
    return blocks


@given(STEPS)
def test_invariants_1_to_4_hold_after_every_step(steps: list[tuple[str, str, int]]) -> None:
    blocks = walk(steps)
    for before, after in pairwise(blocks):
        assert list(block_problems(after)) == []
        assert after.sequence_number > before.sequence_number or after == before
    assert is_empty(blocks[-1]) is (count_by_handle(blocks[-1]) == {})


@given(STEPS)
def test_a_model_with_two_queues_agrees(steps: list[tuple[str, str, int]]) -> None:
    queue = list(range(8))
    taken: dict[str, list[int]] = {"h1": [], "h2": [], "h3": []}
    for verb, handle, count in steps:
        if verb == "assign":
            taken[handle] += queue[:count]
            queue = queue[count:]
        else:
            freed = sorted(taken[handle])[:count]
            taken[handle] = [ordinal for ordinal in taken[handle] if ordinal not in freed]
            queue += freed
    block = walk(steps)[-1]
    assert block.unallocated == tuple(queue)
    assert {handle: ordinals_of_handle(block, handle) for handle in taken} == {
        handle: sorted(ordinals) for handle, ordinals in taken.items()
    }


@given(STEPS, HANDLES)
def test_invariant_9_assigning_and_releasing_restores_the_count(steps: list[tuple[str, str, int]], handle: str) -> None:
    block = walk(steps)[-1]
    ordinals = free_ordinals(block, ())[:3]
    again = release(assign(block, ordinals, handle, {}), ordinals)
    assert sorted(again.unallocated) == sorted(block.unallocated)
    assert count_by_handle(again) == count_by_handle(block)
    if ordinals:
        with pytest.raises(IpamError, match="is free already"):
            release(again, ordinals)


@given(STEPS)
def test_every_form_of_a_block_is_read_back(steps: list[tuple[str, str, int]]) -> None:
    block = walk(steps)[-1]
    assert decode_etcd(*encode_etcd(block)) == block
    assert decode_v3(encode_v3(block)) == block
    written = encode_kdd(block)
    assert encode_kdd(decode_kdd(written)) == written


def test_a_taken_ordinal_is_refused_and_named() -> None:
    block = assign(BLOCK, [3], "h", {})
    with pytest.raises(AlreadyAssignedError, match=r"already assigned in block: 10\.0\.0\.11 of 10\.0\.0\.8/29"):
        assign(block, [3], "h", {})


@given(st.integers(0, 9), st.integers(0, 9))
def test_reserved_ends_never_make_a_block_unsound(first: int, last: int) -> None:
    network = parse_network("10.0.0.8/29")
    reserved = ReservedEnds(first=first, last=last)
    block = new_block(network, "host:a", claim_time="", sequence_number=1, reserved=reserved)
    assert list(block_problems(block)) == []
    assert len(block.unallocated) == max(0, 8 - first - last)
    assert is_empty(block)
    assert (attribute_at(block, 0) is None) is (first == 0 and last < 8)
