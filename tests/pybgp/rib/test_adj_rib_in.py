"""What a peer that comes and goes leaves behind: nothing, however often, and however its routes went."""

from __future__ import annotations

import sys

import pytest

from pybgp.rib.tables import Rib
from pybgp.wire.families import IPV4_UNICAST
from tests.pybgp.rib.rib_examples import attributes, key, peer, rib_with

PREFIXES = [key(f"10.{number}.0.0/16") for number in range(4)]


def lose(rib: Rib, slice_of: int | None) -> None:
    rib.begin_drop(1, IPV4_UNICAST)
    while rib.stale_count(1, IPV4_UNICAST):
        rib.sweep_stale(1, IPV4_UNICAST, slice_of)


def test_a_peer_that_comes_and_goes_without_a_route_costs_nothing() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    lose(rib, None)
    before = sys.getallocatedblocks()
    for _ in range(1_000):
        lose(rib, None)
    assert sys.getallocatedblocks() - before < 100


@pytest.mark.parametrize("slice_of", [None, 1, 3, 4, 5])
def test_a_lost_table_is_held_by_nobody_however_it_was_taken_apart(slice_of: int | None) -> None:
    rib, told = rib_with(peer(1)), attributes(65001)
    before = sys.getrefcount(told)
    rib.apply(1, IPV4_UNICAST, (), told, PREFIXES)
    assert sys.getrefcount(told) > before
    lose(rib, slice_of)
    assert sys.getrefcount(told) == before


def test_a_table_that_is_lost_while_another_leaves_leaves_too() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES)
    rib.begin_drop(1, IPV4_UNICAST)
    rib.sweep_stale(1, IPV4_UNICAST, 1)
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002), PREFIXES[:2])
    rib.begin_drop(1, IPV4_UNICAST)
    assert rib.stale_count(1, IPV4_UNICAST) == 5
    lose(rib, 2)
    assert not rib.best(IPV4_UNICAST)
