"""A preview of policies says exactly what then happens, and changes nothing by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, Policy, RouteOptions, Speaker
from pybgp.rib.policy import REJECT_ALL, parse_policies
from pybgp.transport.peering import PeerPolicies
from pybgp.transport.policy_preview import Difference
from pybgp.wire.iana import AddPathMode
from pybgp.wire.negotiated import UpdateOptions
from pybgp.wire.nlri import format_prefix

from .test_speaker import Town, run, until

DEFAULT = RouteOptions()
ANY_FIRST_AS = {"update_options": UpdateOptions(check_first_as=False)}
PREFIXES = [f"10.{number}.0.0/16" for number in range(6)]
BOOK = parse_policies("""
[policy.all]
default = "accept"

[policy.half]
default = "accept"
[[policy.half.clause]]
match.prefix = ["10.0.0.0/16", "10.1.0.0/16", "10.5.0.0/16"]
then = "reject"

[policy.marked]
default = "accept"
[[policy.marked.clause]]
match.prefix = ["10.1.0.0/16", "10.2.0.0/16"]
set = { community_add = "65000:7", local_pref = 50 }

[policy.preferred]
default = "reject"
[[policy.preferred.clause]]
match.community = "1:4"
set.local_pref = 300
then = "accept"
[[policy.preferred.clause]]
match.prefix = "10.3.0.0/16"
then = "accept"
""")
POLICIES: dict[str, Policy] = {**BOOK, "reject": REJECT_ALL, "accept": ACCEPT_ALL}


#: Direction, peer, prefix and attributes of each route; None: it is rejected.
State = Counter[tuple[str, str, str, object]]


def state(speaker: Speaker) -> State:
    """Everything that a preview may speak about: what is accepted of whom as what, and what peers hold."""
    found: State = Counter()
    for peer in speaker.peers():
        for key, path in speaker.received(peer, IPV4_UNICAST).items():
            found["import", peer, format_prefix(IPV4_UNICAST, key), None if path.rejection else path.attributes] += 1
        front = 4 if speaker.sends_path_ids(peer, IPV4_UNICAST) else 0
        for raw, exported in speaker.sent(peer, IPV4_UNICAST).items():
            found["export", peer, format_prefix(IPV4_UNICAST, raw[front:]), exported.attributes] += 1
    return found


def predicted(before: State, differences: list[Difference]) -> State:
    after = before.copy()
    for one in differences:
        place = (one.direction, one.peer, format_prefix(one.family, one.key))
        for attributes, count in ((one.before, -1), (one.after, 1)):
            if attributes is not None or one.direction == "import":
                after[*place, attributes] += count
                assert after[*place, attributes] >= 0
    return +after


async def crossroads(place: Town, routes: RouteOptions = DEFAULT, **three_is: Any) -> Speaker:
    """Number 2 hears of 1 and 4, which announce much of the same, and tells 3 and 5."""
    one, two = place.make(1, asn=64501), place.make(2)
    three, four, five = place.make(3, asn=64503), place.make(4), place.make(5)
    one.announce(PREFIXES[:4], communities=[1 << 16 | 1])
    four.announce(PREFIXES[2:], communities=[1 << 16 | 4], as_path=[64700])
    two.announce("192.0.2.0/24")
    for number in (1, 3, 4, 5):
        place.join(number, 2, **(three_is if number == 3 else {}))
    place.join(2, 1, 3, 4, 5)
    peers = {name: peering.config for name, peering in two._peerings.items()}
    three_is = {**three_is, "routes": routes}
    two.configure({**peers, "n3": replace(peers["n3"], **three_is)})
    for speaker in (one, two, three, four, five):
        await speaker.start()
    await until(lambda: all(status.state == "Established" for status in two.peers().values()))
    await until(lambda: place.seen(2) == {*PREFIXES, "192.0.2.0/24"})
    await until(lambda: place.seen(3) >= {*PREFIXES, "192.0.2.0/24"} and two.is_settled)
    return two


async def what_is_predicted_happens(two: Speaker, pairs: Iterable[tuple[str, str]], of_one_peer: str) -> None:
    for imported, exported in pairs:
        peers = {of_one_peer: PeerPolicies(POLICIES[imported], POLICIES[exported])} if of_one_peer else {}
        default = (ACCEPT_ALL, ACCEPT_ALL) if of_one_peer else (POLICIES[imported], POLICIES[exported])
        before = state(two)
        differences = [one for one in two.preview_policies(*default, peers) if one is not None]
        assert state(two) == before, "nothing is changed"
        after = predicted(before, differences)
        two.set_policies(*default, peers)
        await until(lambda: not two.is_judging and two.is_settled)
        assert state(two) == after
        assert [one for one in two.preview_policies(*default, peers) if one is not None] == []


@pytest.mark.parametrize("of_one_peer", ["", "n1"])
def test_what_is_predicted_happens(of_one_peer: str) -> None:
    async def scenario(place: Town) -> None:
        await what_is_predicted_happens(await crossroads(place), permutations(POLICIES, 2), of_one_peer)

    run(scenario)


SEVERAL_PATHS = {"add_path": ((IPV4_UNICAST, AddPathMode.BOTH),)}
KINDS: dict[str, tuple[RouteOptions, dict[str, Any]]] = {
    "all": (RouteOptions(add_path_send="all"), SEVERAL_PATHS),
    "best-2": (RouteOptions(add_path_send="best-2"), SEVERAL_PATHS),
    "all and a default route": (RouteOptions(add_path_send="all", default_originate=True), SEVERAL_PATHS),
    "a default route": (RouteOptions(default_originate=True), {}),
    "the best that may reach it": (RouteOptions(route_server_client=True, per_client_best=True), ANY_FIRST_AS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_predicted_of_a_peer_that_is_not_told_the_best_alone_happens(kind: str) -> None:
    async def scenario(place: Town) -> None:
        options, three_is = KINDS[kind]
        two = await crossroads(place, options, **three_is)
        held = Counter(prefix for direction, peer, prefix, _ in state(two) if (direction, peer) == ("export", "n3"))
        assert (held[PREFIXES[2]], held["0.0.0.0/0"]) == (1 + ("add_path" in three_is), options.default_originate)
        pairs = list(permutations(POLICIES, 2))[::2]
        await what_is_predicted_happens(two, pairs, "")

    run(scenario)


def test_the_words_for_each_difference() -> None:
    async def scenario(place: Town) -> None:
        two = await crossroads(place)

        def told(imported: Policy, exported: Policy) -> set[tuple[str, str, str, str]]:
            found = two.preview_policies(imported, exported, {})
            return {(one.peer, one.direction, one.change, format_prefix(one.family, one.key)) for one in found if one}

        assert told(POLICIES["half"], ACCEPT_ALL) >= {
            ("n1", "import", "rejected", PREFIXES[0]),
            ("n4", "import", "rejected", PREFIXES[5]),
            ("n3", "export", "withdrawn", PREFIXES[0]),
        }
        assert ("n1", "import", "changed", PREFIXES[1]) in told(POLICIES["marked"], ACCEPT_ALL)
        assert ("n3", "export", "changed", PREFIXES[2]) in told(ACCEPT_ALL, POLICIES["marked"])
        assert {(one[0], one[1]) for one in told(ACCEPT_ALL, POLICIES["half"])} == {
            (peer, "export") for peer in ("n1", "n3", "n4", "n5")
        }
        two.set_policies(POLICIES["half"], ACCEPT_ALL, {})
        await until(lambda: PREFIXES[0] not in place.seen(3))
        assert told(ACCEPT_ALL, ACCEPT_ALL) >= {
            ("n1", "import", "accepted", PREFIXES[0]),
            ("n3", "export", "announced", PREFIXES[0]),
        }

    run(scenario)
