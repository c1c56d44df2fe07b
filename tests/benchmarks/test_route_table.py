"""The table that benchmarks are measured with: its shape, and that two readers agree on its octets."""

from __future__ import annotations

import random

import pytest

from pybgp.rib.policy import PrefixSet
from pybgp.wire.attribute_store import AttributeStore
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST
from pybgp.wire.negotiated import Negotiated
from pybgp.wire.updates import decode_update
from tests.benchmarks.report import with_section
from tests.benchmarks.tables.feeder import count_prefixes, messages
from tests.benchmarks.tables.route_table import RouteTable, Teller, ipv4_keys

RECEIVER_AS = 64512
ROUTES, ROUTES6 = 20_000, 4_000
EXTERNAL = Teller(65001, bytes([10, 78, 0, 1]), bytes.fromhex("20010db8") + bytes(11) + b"\1")


def test_the_shape_is_that_of_a_full_table() -> None:
    table = RouteTable(ROUTES, ROUTES6)
    sets = table.sets
    assert table.routes == sum(len(one.keys) for one in sets) == ROUTES + ROUTES6
    assert 5.5 < table.routes / len(sets) < 6.3
    assert 0.47 < sum(len(one.keys) == 1 for one in sets) / len(sets) < 0.53
    assert 4.0 < 1 + sum(len(one.further_ases) for one in sets) / len(sets) < 4.4
    assert all(asn > RECEIVER_AS for one in sets for asn in one.further_ases)
    assert 0.47 < sum(bool(one.communities) for one in sets) / len(sets) < 0.53


def test_the_same_seed_gives_the_same_octets() -> None:
    assert RouteTable(500, 100, seed=3).octets(EXTERNAL) == RouteTable(500, 100, seed=3).octets(EXTERNAL)
    assert RouteTable(500, 100, seed=3).octets(EXTERNAL) != RouteTable(500, 100, seed=4).octets(EXTERNAL)


@pytest.mark.parametrize("routes", [1_000_000, 2_000_000])
def test_there_is_room_for_the_greatest_tables(routes: int) -> None:
    keys = ipv4_keys(random.Random(1), routes)
    assert len(set(keys)) == routes


@pytest.mark.parametrize("count", [300, 3000])
def test_a_set_covers_every_route(count: int) -> None:
    table = RouteTable(ROUTES, ROUTES6)
    entries = table.covering(count)
    assert len(entries) == count
    prefixes = PrefixSet.of(*(f"{prefix} le {longest}" for prefix, longest in entries))
    keys = [key for one in table.ipv4_part().sets for key in one.keys]
    assert prefixes.inside(IPV4_UNICAST, keys) is keys
    assert not prefixes.has(IPV4_UNICAST, b"\0")


def test_every_route_arrives_once_without_a_fault() -> None:
    table = RouteTable(ROUTES, ROUTES6)
    families = frozenset({IPV4_UNICAST, IPV6_UNICAST})
    negotiated, store = Negotiated(64512, 65001, 1, 2, families=families), AttributeStore()
    keys: list[bytes] = []
    for _, message, _ in messages(table.octets(EXTERNAL)):
        update = decode_update(message, negotiated, store)
        assert not update.faults
        found = [key for nlri in update.announced for key in nlri.keys]
        assert count_prefixes(message) == len(found)
        keys += found
    assert len(keys) == len(set(keys)) == ROUTES + ROUTES6


def test_parts_add_up_and_an_internal_peer_sends_local_pref() -> None:
    table = RouteTable(ROUTES)
    internal = Teller(64512, EXTERNAL.next_hop, EXTERNAL.next_hop6, local_pref=100)
    parts = [table.octets(internal, part, 3) for part in range(3)]
    assert sum(map(len, parts)) == len(table.octets(internal))
    negotiated, store = Negotiated(64512, 64512, 1, 2), AttributeStore()
    kind, message, _ = next(iter(messages(parts[0])))
    update = decode_update(message, negotiated, store)
    assert kind == 2
    assert update.attributes is not None
    assert update.attributes.local_pref == 100


def test_a_report_leaves_the_other_sections_of_the_page_alone() -> None:
    page = "# Page\n\n## One\n\nold\n\n## Other\n\ntext\n"
    assert with_section(page, "## One", "## One\n\nnew\n") == "# Page\n\n## One\n\nnew\n\n## Other\n\ntext\n"
    assert with_section("# Page\n", "## One", "## One\n\nnew\n") == "# Page\n\n## One\n\nnew\n"
