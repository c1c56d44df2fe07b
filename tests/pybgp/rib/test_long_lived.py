"""Routes of a peer that is long gone: marked, last in line, and told to few (RFC 9494 section 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybgp.rib.export import ExportProfile, rewrite, why_silent
from pybgp.rib.path import Path, Source
from pybgp.rib.policy import ACCEPT_ALL, parse_policies
from pybgp.rib.tables import Rib
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.iana import WellKnownCommunity
from pybgp.wire.nlri import with_path_id
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PREFIXES = [key(f"10.{number}.0.0/16") for number in range(6)]
STALE, NO_LLGR, NO_EXPORT = WellKnownCommunity.LLGR_STALE, WellKnownCommunity.NO_LLGR, WellKnownCommunity.NO_EXPORT
INTERNAL = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL)
EXTERNAL = replace(INTERNAL, internal=False)


def lost(rib: Rib, number: int = 1, limit: int | None = None) -> None:
    rib.mark_stale(number, IPV4_UNICAST)
    rib.begin_long_lived(number, IPV4_UNICAST)
    while rib.unmarked_count(number, IPV4_UNICAST):
        rib.mark_long_lived(number, IPV4_UNICAST, limit)


def communities(rib: Rib) -> dict[bytes, tuple[int, ...]]:
    return {one: path.attributes.communities for one, path in rib.best(IPV4_UNICAST).items()}


@pytest.mark.parametrize("limit", [None, 1, 2, 100])
def test_stale_routes_are_marked_and_those_that_may_not_stay_go(limit: int | None) -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, communities=(7,)), PREFIXES[:3])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[3:4])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, communities=(NO_LLGR,)), PREFIXES[4:])
    lost(rib, limit=limit)
    assert communities(rib) == {**dict.fromkeys(PREFIXES[:3], (7, STALE)), PREFIXES[3]: (STALE,)}
    assert rib.stale_count(1, IPV4_UNICAST) == 4
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, communities=(7,)), PREFIXES[:1])
    assert communities(rib)[PREFIXES[0]] == (7,), "the peer is back with this one"
    assert [change.path for change in rib.sweep_stale(1, IPV4_UNICAST)] == [None]
    assert list(communities(rib)) == PREFIXES[:1]


def test_what_the_peer_refreshed_meanwhile_is_not_marked() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:2])
    rib.mark_stale(1, IPV4_UNICAST)
    rib.begin_long_lived(1, IPV4_UNICAST)
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002), PREFIXES[:1])
    rib.mark_long_lived(1, IPV4_UNICAST)
    assert communities(rib) == {PREFIXES[0]: (), PREFIXES[1]: (STALE,)}


def test_path_identifiers_stay() -> None:
    rib = rib_with(peer(1, add_path=True))
    raw = [with_path_id(PREFIXES[0], identifier) for identifier in (1, 2)]
    for one in raw:
        rib.apply(1, IPV4_UNICAST, (), attributes(65001, med=one[3]), [one])
    lost(rib)
    found = rib.received(1, IPV4_UNICAST)
    assert [found[one].attributes.communities for one in raw] == [(STALE,), (STALE,)]


@pytest.mark.parametrize("stale_first", [True, False])
def test_a_last_resort_loses_against_every_other_route(stale_first: bool) -> None:
    rib = rib_with(peer(1), peer(2))
    worse = attributes(65001, 65002, 65003, local_pref=0, origin=2)
    arrivals = [(1, attributes(65001, local_pref=500, communities=(STALE,))), (2, worse)]
    for number, attrs in arrivals if stale_first else reversed(arrivals):
        rib.apply(number, IPV4_UNICAST, (), attrs, PREFIXES[:1])
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].peer == 2
    (loss,) = rib.explain(IPV4_UNICAST, PREFIXES[0])
    assert (loss.step, loss.winner_value, loss.loser_value) == ("long-lived stale", 0, 1)


def test_even_against_the_least_of_our_own() -> None:
    rib = rib_with(peer(1))
    rib.apply(1, IPV4_UNICAST, (), attributes(65001), PREFIXES[:1])
    own = Attributes.build({1: 0, 2: attributes().as_path})
    rib.announce_local(IPV4_UNICAST, PREFIXES[:1], own, preference=10, label="kernel")
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].peer == 1
    lost(rib)
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].label == "kernel"


def test_two_last_resorts_compare_as_usual() -> None:
    rib = rib_with(peer(1), peer(2))
    for number in (1, 2):
        rib.apply(number, IPV4_UNICAST, (), attributes(65001, local_pref=number, communities=(STALE,)), PREFIXES[:1])
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].peer == 2
    assert [loss.step for loss in rib.explain(IPV4_UNICAST, PREFIXES[0])] == ["local preference"]


def test_import_policy_may_know_the_mark_but_not_take_it_away() -> None:
    policies = parse_policies("""
[policy.strip]
default = "accept"
[[policy.strip.clause]]
match.prefix = "10.1.0.0/16"
match.community = "llgr-stale"
then = "reject"
[[policy.strip.clause]]
set.community_set = []
then = "accept"
""")
    rib = rib_with(peer(2))
    rib.set_peer(peer(1), policies["strip"])
    rib.apply(1, IPV4_UNICAST, (), attributes(65001, communities=(7,)), PREFIXES[:2])
    lost(rib)
    assert list(rib.best(IPV4_UNICAST)) == PREFIXES[:1]
    path = rib.best(IPV4_UNICAST)[PREFIXES[0]]
    assert path.attributes.communities == ()
    leaving = rewrite(path, path.attributes, replace(EXTERNAL, long_lived=True))
    assert leaving is not None
    assert leaving.communities == (STALE,)
    rib.apply(2, IPV4_UNICAST, (), attributes(65001, 65002, 65003, local_pref=1), PREFIXES[:1])
    assert rib.best(IPV4_UNICAST)[PREFIXES[0]].peer == 2
    rib.set_import_policy(1, None)
    assert rib.received(1, IPV4_UNICAST)[PREFIXES[1]].attributes.communities == (7, STALE), "judged again, still stale"


STRAYS = attributes(65001, local_pref=300, communities=(7, STALE), large_communities=((65535, 6, 1),))


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (replace(INTERNAL, long_lived=True), ((7, STALE), 300)),
        (replace(EXTERNAL, long_lived=True), ((7, STALE), None)),
        (INTERNAL, None),
        (EXTERNAL, None),
        (replace(EXTERNAL, send_stale=True), None),
        (replace(INTERNAL, send_stale=True), ((7, STALE, NO_EXPORT), 0)),
        (replace(INTERNAL, send_stale=True, long_lived=True), ((7, STALE), 300)),
    ],
)
def test_who_is_told_of_a_last_resort(profile: ExportProfile, said: tuple[object, object] | None) -> None:
    path = Path(1, Source.EBGP, STRAYS, STRAYS)
    leaving = rewrite(path, STRAYS, profile)
    assert (leaving and (leaving.communities, leaving.local_pref)) == said
    if said is None:
        assert why_silent(path, STRAYS, profile) == "long-lived stale, which the peer does not know of (RFC 9494)"


def test_the_octets_of_the_mark_in_another_place_mean_nothing() -> None:
    other = attributes(65001, large_communities=((0xFFFF0006, 1, 1),), communities=(0xFFFF << 16, 6 << 16))
    assert rewrite(Path(1, Source.EBGP, other, other), other, INTERNAL) is not None
