"""Policies replaced while sessions are up: only differences leave, and no session ends."""

from __future__ import annotations

from collections.abc import Sequence

from pybgp import ACCEPT_ALL, IPV4_UNICAST, Speaker
from pybgp.rib.policy import RoutePolicy, parse_policies
from pybgp.transport.peering import PeerPolicies
from pybgp.wire.nlri import format_prefix

from .test_speaker import Town, run, until

PREFIXES = [f"10.{number}.0.0/16" for number in range(6)]
POLICIES = parse_policies("""
[policy.all]
default = "accept"

[policy.most]
default = "accept"
[[policy.most.clause]]
match.prefix = ["10.0.0.0/16", "10.1.0.0/16"]
then = "reject"

[policy.marked]
default = "accept"
[[policy.marked.clause]]
match.prefix = "10.0.0.0/8 le 16"
match.community = "1:1"
set = { local_pref = 300, community_add = "65000:7" }
then = "accept"
""")


def updates(speaker: Speaker, peer: str) -> int:
    received = speaker.peers()[peer].received
    assert received
    return received["UPDATE"]


def established(speaker: Speaker) -> Sequence[int]:
    return [status.established_count for status in speaker.peers().values()]


def local_prefs(speaker: Speaker) -> dict[str, int | None]:
    best = speaker.best(IPV4_UNICAST)
    return {format_prefix(IPV4_UNICAST, key): path.attributes.local_pref for key, path in best.items()}


async def two_with_routes(place: Town) -> tuple[Speaker, Speaker]:
    one, two = place.make(1), place.make(2)
    one.announce(PREFIXES[:3], communities=[1 << 16 | 1])
    one.announce(PREFIXES[3:])
    await place.full_mesh()
    await until(lambda: place.seen(2) == set(PREFIXES))
    return one, two


def test_an_export_policy_sends_only_what_differs() -> None:
    async def scenario(place: Town) -> None:
        one, two = await two_with_routes(place)
        before = len(place.events[2])
        one.set_policies(None, POLICIES["most"], {})
        await until(lambda: place.seen(2) == set(PREFIXES[2:]))
        changes = place.events[2][before:]
        assert sorted(prefix for change in changes for prefix in change.prefixes) == PREFIXES[:2]
        one.set_policies(None, None, {"n2": PeerPolicies(None, POLICIES["marked"])})
        await until(lambda: local_prefs(two) == dict.fromkeys(PREFIXES[:3], 300) | dict.fromkeys(PREFIXES[3:], 100))
        told = [prefix for change in place.events[2][before:] for prefix in change.prefixes]
        assert not set(told) & set(PREFIXES[3:]), "what is as it was is not told again"
        assert established(one) == established(two) == [1]

    run(scenario)


def test_an_equal_policy_is_not_even_asked() -> None:
    async def scenario(place: Town) -> None:
        _, two = await two_with_routes(place)
        two.set_policies(POLICIES["most"], ACCEPT_ALL, {})
        await until(lambda: place.seen(2) == set(PREFIXES[2:]))
        events, received = len(place.events[2]), updates(two, "n1")
        rib = two._work.rib
        asked: list[object] = []
        rib.begin_import_policy = lambda *given: asked.append(given) or []  # type: ignore[func-returns-value,method-assign]
        same = RoutePolicy("most", POLICIES["most"].clauses, default=POLICIES["most"].default)
        two.set_policies(same, ACCEPT_ALL, {})
        assert not asked
        two.set_policies(POLICIES["all"], ACCEPT_ALL, {})
        assert len(asked) == 1, "another policy is"
        assert (len(place.events[2]), updates(two, "n1")) == (events, received)

    run(scenario)


def test_an_import_policy_judges_again_what_was_kept() -> None:
    async def scenario(place: Town) -> None:
        one, two = await two_with_routes(place)
        received = updates(two, "n1")
        two.set_policies(None, None, {"n1": PeerPolicies(POLICIES["most"], None)})
        assert place.seen(2) == set(PREFIXES[2:])
        two.set_policies(POLICIES["marked"], None, {})
        assert local_prefs(two) == dict.fromkeys(PREFIXES[:3], 300) | dict.fromkeys(PREFIXES[3:], 100)
        assert updates(two, "n1") == received, "nothing was asked for again"
        assert established(one) == established(two) == [1]

    run(scenario)


def test_a_policy_waits_for_a_peer_that_is_declared_later() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        one.announce(PREFIXES)
        two.set_policies(None, None, {"n1": PeerPolicies(POLICIES["most"], None)})
        await place.full_mesh()
        await until(lambda: place.seen(2) == set(PREFIXES[2:]))
        assert len(two.received("n1", IPV4_UNICAST)) == len(PREFIXES)

    run(scenario)
