"""How a path leaves, by the options of the peers that it is for (spec section 7.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybgp.rib.export import ExportProfile, rewrite
from pybgp.rib.path import LOCAL_PEER, Path, Source
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import WellKnownCommunity
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, peer

OWN_HOP, THEIR_HOP = bytes([10, 0, 0, 254]), bytes([10, 0, 0, 1])
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, OWN_HOP, ACCEPT_ALL)
EXTERNAL = replace(INTERNAL, internal=False)


def leaving(attrs: Attributes, profile: ExportProfile, source: Source = Source.EBGP) -> Attributes:
    path = Path(LOCAL_PEER if source is Source.LOCAL else 1, source, attrs, attrs)
    result = rewrite(path, attrs, profile)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "64512 65001 65009 65001"),
        ({"own_as": 3333}, "64512 3333 65001 65009 65001"),
        ({"overridden_as": 65009}, "64512 65001 64512 65001"),
        ({"overridden_as": 65009, "own_as": 3333}, "64512 3333 65001 3333 65001"),
        ({"private_as": "remove"}, "64512"),
        ({"private_as": "remove", "peer_as": 65009}, "64512 65009"),
        ({"private_as": "replace", "own_as": 3333}, "64512 3333 3333 3333 3333"),
    ],
)
def test_as_numbers_toward_an_external_peer(changes: dict[str, Any], path: str) -> None:
    assert str(leaving(attributes(65001, 65009, 65001), replace(EXTERNAL, **changes)).as_path) == path


def test_a_client_of_a_route_server_sees_our_as_only_where_there_is_no_other() -> None:
    """What an internal peer began would reach it with an empty path, which external peers refuse."""
    client = replace(EXTERNAL, transparent=True)
    found = [str(leaving(attributes(*asns), client, Source.IBGP).as_path) for asns in ((), (65001, 65009))]
    assert found == ["64512", "65001 65009"]


@pytest.mark.parametrize("changes", [{"own_as": 3333}, {"overridden_as": 65001}, {"private_as": "remove"}])
def test_as_numbers_within_the_as_are_left_alone(changes: dict[str, Any]) -> None:
    assert str(leaving(attributes(65001), replace(INTERNAL, **changes)).as_path) == "65001"


@pytest.mark.parametrize(
    ("profile", "mode", "source", "hop"),
    [
        (EXTERNAL, "default", Source.EBGP, OWN_HOP),
        (EXTERNAL, "self", Source.EBGP, OWN_HOP),
        (EXTERNAL, "keep", Source.EBGP, THEIR_HOP),
        (EXTERNAL, "default", Source.LOCAL, THEIR_HOP),
        (INTERNAL, "default", Source.EBGP, THEIR_HOP),
        (INTERNAL, "self", Source.EBGP, OWN_HOP),
        (INTERNAL, "self", Source.LOCAL, THEIR_HOP),
        (INTERNAL, "keep", Source.EBGP, THEIR_HOP),
    ],
)
def test_next_hop(profile: ExportProfile, mode: str, source: Source, hop: bytes) -> None:
    assert leaving(attributes(65001), replace(profile, next_hop_mode=mode), source).next_hop == hop


@pytest.mark.parametrize("clusters", [(), (5,), tuple(range(1, 64)), tuple(range(1, 65)), tuple(range(1, 300))])
@pytest.mark.parametrize("originator", [None, 77])
@pytest.mark.parametrize(
    "more", [{}, {"communities": (9,)}, {"extended_communities": (b"\0\2\0\1\0\0\0\1",), "med": 7}]
)
def test_a_reflected_set_is_what_replacing_gives(
    clusters: tuple[int, ...], originator: int | None, more: dict[str, Any]
) -> None:
    given = {"cluster_list": clusters} if clusters else {}
    received = attributes(65001, local_pref=5, **given, **({"originator_id": originator} if originator else {}), **more)
    expected = received.replace({9: originator or 8, 10: (6, *clusters)}, next_hop=OWN_HOP)
    assert received.reflected(8, 6, OWN_HOP) == expected


@pytest.mark.parametrize(
    ("from_client", "to_client", "heard"), [(True, True, True), (True, False, True), (False, True, True), (False,) * 3]
)
def test_one_side_of_a_reflection_is_a_client(from_client: bool, to_client: bool, heard: bool) -> None:
    teller = replace(peer(1), reflector_client=from_client)
    said = attributes(65001, local_pref=5)
    path = Path(1, Source.IBGP, said, said, teller=teller)
    reflected = rewrite(path, said, replace(INTERNAL, reflector_client=to_client, cluster_id=6))
    assert (reflected is not None) is heard
    assert reflected is None or (reflected.originator_id, reflected.cluster_list) == (1, (6,))


def test_before_we_go_everything_is_marked() -> None:
    marked = leaving(attributes(65001, communities=(9,), local_pref=200), replace(INTERNAL, shutting_down=True))
    assert (marked.communities, marked.local_pref) == ((9, WellKnownCommunity.GRACEFUL_SHUTDOWN), 0)
    outside = leaving(attributes(65001), replace(EXTERNAL, shutting_down=True))
    assert (outside.communities, outside.local_pref) == ((WellKnownCommunity.GRACEFUL_SHUTDOWN,), None)


@pytest.mark.parametrize("count", [1, 3, 63, 64, 254, 255, 256])
@pytest.mark.parametrize(
    "more", [{}, {"communities": (7, 65001 << 16)}, {"med": 5}, {"local_pref": 7, "communities": (9,)}]
)
def test_the_short_way_out_says_what_the_careful_one_says(count: int, more: dict[str, Any]) -> None:
    received = attributes(*range(1, count + 1), **more)
    # An AS that stands nowhere is looked for, so that the path is taken apart and put together again.
    careful = leaving(received, replace(EXTERNAL, overridden_as=4200000000))
    assert leaving(received, EXTERNAL) == careful


@pytest.mark.parametrize(
    ("inherited", "leaving_with", "heard"),
    [
        ((), WellKnownCommunity.NO_EXPORT, True),
        ((), WellKnownCommunity.NO_ADVERTISE, True),
        ((WellKnownCommunity.NO_EXPORT,), WellKnownCommunity.NO_EXPORT, False),
        ((WellKnownCommunity.NO_EXPORT,), WellKnownCommunity.NO_ADVERTISE, True),
        ((WellKnownCommunity.NO_EXPORT,), 7, True),
    ],
)
def test_what_export_policy_adds_binds_the_peer_and_not_us(
    inherited: tuple[int, ...], leaving_with: int, heard: bool
) -> None:
    before, after = attributes(65001, communities=inherited), attributes(65001, communities=(leaving_with,))
    left = rewrite(Path(1, Source.EBGP, before, before), after, EXTERNAL)
    assert (left is not None and left.communities == (leaving_with,)) == heard
    assert (left is None) == (not heard)
