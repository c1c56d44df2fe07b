from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.model import blocks

BLOCKS = st.one_of(
    st.tuples(st.just(4), st.integers(0, 2**32 - 1), st.integers(20, 32)),
    st.tuples(st.just(6), st.integers(0, 2**128 - 1), st.integers(116, 128)),
)


def network_of(parts: tuple[int, int, int]) -> blocks.Network:
    version, number, length = parts
    shift = blocks.ADDRESS_BITS[version] - length
    return blocks.Network(version=version, first=number >> shift << shift, length=length)


def test_fnv1_vector() -> None:
    assert blocks.fnv1_32(b"worker-01") == 3089947889
    assert blocks.fnv1_32(b"") == 2166136261


@given(BLOCKS)
def test_networks_agree_with_ipaddress(parts: tuple[int, int, int]) -> None:
    network = network_of(parts)
    reference = ipaddress.ip_network(str(network))
    assert blocks.parse_network(str(reference)) == network
    assert reference.num_addresses == network.size
    assert int(reference[-1]) == network.last


@given(BLOCKS, st.data())
def test_ordinals_and_addresses_are_a_bijection(parts: tuple[int, int, int], data: st.DataObject) -> None:
    network = network_of(parts)
    ordinal = data.draw(st.integers(0, network.size - 1))
    address = blocks.address_at(network, ordinal)
    assert blocks.ordinal_of(network, address) == ordinal
    assert blocks.block_of(address, network.length) == network


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/-1", "10.0.0.0/255.0.0.0", "fe80::1%1/64"]
)
def test_bad_networks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        blocks.parse_network(text)


def test_ordinals_outside_are_refused() -> None:
    network = blocks.parse_network("10.9.0.64/30")
    with pytest.raises(ValueError, match="no ordinal 4"):
        blocks.address_at(network, 4)
    with pytest.raises(ValueError, match="is not in"):
        blocks.ordinal_of(network, "10.9.0.68")


@given(st.integers(0, 5), st.integers(0, 100))
def test_a_search_visits_every_block_once(extra_bits: int, start: int) -> None:
    pool = blocks.parse_network(f"10.0.0.0/{26 - extra_bits}")
    visited = list(blocks.blocks_from(pool, 26, start))
    assert len(set(map(str, visited))) == len(visited) == blocks.block_count(pool, 26)
    assert blocks.block_index(pool, visited[0]) == start % len(visited)
    assert all(pool.contains(block) for block in visited)


def test_the_search_starts_where_the_host_name_says() -> None:
    assert blocks.search_start("worker-01", 1024) == blocks.search_start("worker-01", 1024)
    starts = {blocks.search_start(f"node-{number:02}", 1024) for number in range(50)}
    assert len(starts) > 40
    assert max(abs(a - b) for a in starts for b in starts) > 500


def test_a_huge_pool_is_not_walked_in_memory() -> None:
    pool = blocks.parse_network("fd00::/48")
    assert str(next(iter(blocks.blocks_from(pool, 122, 1)))) == "fd00::40/122"
