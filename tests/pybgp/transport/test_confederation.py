"""Confederations of running speakers (RFC 5065)."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker, SpeakerConfig
from pybgp.rib.path import Path, Source
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.iana import Role
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

CONFEDERATION = 65100
#: Speakers 1 and 2 are member AS 65001, 3 is 65002, 4 is 65003, 5 and 6 are outside.
AS_OF = {1: 65001, 2: 65001, 3: 65002, 4: 65003, 5: 64505, 6: 64506}
MEMBERS = (65001, 65002, 65003)


def settle(place: Town, *links: tuple[int, int], **options: Any) -> None:
    for number in sorted({number for link in links for number in link}):
        inside = {"confederation": CONFEDERATION, "confederation_members": MEMBERS} if number < 5 else {}
        place.make(number, asn=AS_OF[number], **inside)
    for one, two in links:
        for here, there in ((one, two), (two, one)):
            is_border = here > 4 >= there
            connect(place, here, there, CONFEDERATION if is_border else AS_OF[there], **options)


def path_of(place: Town, number: int, prefix: str = "192.0.2.0/24") -> Path | None:
    return place.speakers[number].best(IPV4_UNICAST).get(key(prefix))


def test_a_route_through_the_confederation() -> None:
    """5 - (1 - 2) - (3) - (4) - 6: inside the members are told apart, outside there is one AS."""

    async def scenario(place: Town) -> None:
        settle(place, (5, 1), (1, 2), (2, 3), (3, 4), (4, 6))
        place.speakers[5].announce("192.0.2.0/24", med=7, communities=["65000:1"])
        await start(place)
        await until(lambda: path_of(place, 6))
        seen = {number: path_of(place, number) for number in (1, 2, 3, 4, 6)}
        assert {number: str(path.attributes.as_path) for number, path in seen.items() if path} == {
            1: "64505",
            2: "64505",
            3: "(65001) 64505",
            4: "(65002 65001) 64505",
            6: "65100 64505",
        }
        for number in (2, 3, 4):
            path = seen[number]
            assert path is not None
            assert (path.attributes.local_pref, path.attributes.med) == (100, 7)
            assert path.next_hop == bytes([10, 0, 0, 5]), "next hops pass between members"
        outside = seen[6]
        assert outside is not None
        assert (outside.attributes.local_pref, outside.attributes.med) == (None, None)
        assert [seen[number].source for number in (1, 2, 3)] == [Source.EBGP, Source.IBGP, Source.CONFEDERATION]  # type: ignore[union-attr]

    run(scenario)


def test_own_routes_and_local_preferences_pass_between_members() -> None:
    async def scenario(place: Town) -> None:
        settle(place, (1, 3), (3, 4))
        place.speakers[1].announce("192.0.2.0/24", local_pref=300, attributes={26: Aigp.of(5)})
        await start(place)
        await until(lambda: path_of(place, 4))
        path = path_of(place, 4)
        assert path is not None
        assert str(path.attributes.as_path) == "(65002 65001)"
        assert path.attributes.local_pref == 300
        assert path.attributes.get(26) == Aigp.of(5), "one administration: distances pass"
        assert path.next_hop == bytes([10, 0, 0, 1])

    run(scenario)


def test_a_route_does_not_come_back_into_its_member() -> None:
    async def scenario(place: Town) -> None:
        settle(place, (1, 3), (3, 4), (4, 2))
        place.speakers[1].announce("192.0.2.0/24")
        await start(place)
        two = place.speakers[2]
        await until(lambda: two.received("n4", IPV4_UNICAST))
        (looped,) = two.received("n4", IPV4_UNICAST).values()
        assert str(looped.received.as_path) == "(65003 65002 65001)"
        assert looped.rejection == "own AS 65001 or 65100 in AS_PATH"

    run(scenario)


@pytest.mark.parametrize(
    ("community", "heard_by"), [("no-export", {2, 3}), ("no-export-subconfed", {2}), ("no-advertise", set())]
)
def test_how_far_well_known_communities_let_a_route_go(community: str, heard_by: set[int]) -> None:
    async def scenario(place: Town) -> None:
        settle(place, (1, 2), (1, 3), (1, 5))
        place.speakers[1].announce("192.0.2.0/24", communities=[community])
        place.speakers[1].announce("198.51.100.0/24")
        await start(place)
        await until(lambda: all(path_of(place, number, "198.51.100.0/24") for number in (2, 3, 5)))
        assert {number for number in (2, 3, 5) if path_of(place, number)} == heard_by

    run(scenario)


def test_members_count_as_internal_in_the_decision() -> None:
    """From 5 the route is external, and wins over the longer known one of member 3 only at that step."""

    async def scenario(place: Town) -> None:
        settle(place, (1, 5), (1, 3), (3, 6))
        for number in (5, 6):
            place.speakers[number].announce("192.0.2.0/24", as_path=[64999])
        await start(place)
        one = place.speakers[1]
        await until(lambda: one.received("n3", IPV4_UNICAST) and one.received("n5", IPV4_UNICAST))
        (loss,) = [one.loss for one in one.explain("192.0.2.0/24").candidates if one.loss]
        assert (loss.step, loss.winner_value, loss.loser_value) == ("external", True, False)

    run(scenario)


def test_what_is_configured_for_whom() -> None:
    speaker = Speaker(SpeakerConfig(65001, "10.0.0.1", confederation=CONFEDERATION, confederation_members=MEMBERS))
    configs = [speaker.peer("192.0.2.1", asn) for asn in (65001, 65002, 64505)]
    assert [(one.local_as, one.confederation) for one in configs] == [(65001, True), (65001, True), (65100, False)]
    assert [one.reading.confederation_member for one in configs] == [False, True, False]
    with pytest.raises(LocalError, match="role"):
        speaker.peer("192.0.2.1", 65002, role=Role.PEER)
    with pytest.raises(LocalError, match="reflector_client"):
        speaker.peer("192.0.2.1", 65002, routes=RouteOptions(reflector_client=True))
    with pytest.raises(LocalError, match="confederation_members: need a confederation"):
        SpeakerConfig(65001, "10.0.0.1", confederation_members=MEMBERS)
    with pytest.raises(LocalError, match="confederation_members 0"):
        SpeakerConfig(65001, "10.0.0.1", confederation=1, confederation_members=(0,))
