"""A route server between running speakers (RFC 7947)."""

from __future__ import annotations

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker, SpeakerConfig
from pybgp.rib.policy import parse_policies
from pybgp.wire.negotiated import UpdateOptions
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

CLIENT = RouteOptions(route_server_client=True)
OWN_BEST = RouteOptions(route_server_client=True, per_client_best=True)
ANY_FIRST_AS = UpdateOptions(check_first_as=False)


def test_what_one_client_says_reaches_another_as_it_was_said() -> None:
    """1 is the server, 2 and 3 are clients, 4 is an ordinary peer of it."""

    async def scenario(place: Town) -> None:
        server = place.make(1, asn=64900)
        for number in (2, 3, 4):
            place.make(number, asn=64900 + number)
            connect(place, 1, number, 64900 + number, routes=CLIENT if number < 4 else RouteOptions())
            connect(place, number, 1, 64900, update_options=ANY_FIRST_AS)
        place.speakers[2].announce(
            "192.0.2.0/24", as_path=[65009], med=7, communities=["64900:1"], large_communities=["64900:2:3"]
        )
        server.announce("198.51.100.0/24")
        await start(place)
        for number in (3, 4):
            await until(lambda number=number: len(place.seen(number)) == 2)
        found = {number: place.speakers[number].best(IPV4_UNICAST)[key("192.0.2.0/24")] for number in (3, 4)}
        client, other = found[3].received, found[4].received
        assert (str(client.as_path), client.next_hop, client.med) == ("64902 65009", bytes([10, 0, 0, 2]), 7)
        assert (client.communities, client.large_communities) == ((64900 << 16 | 1,), ((64900, 2, 3),))
        assert client.local_pref is None
        assert (str(other.as_path), other.next_hop, other.med) == ("64900 64902 65009", bytes([10, 0, 0, 1]), None)
        own = place.speakers[3].best(IPV4_UNICAST)[key("198.51.100.0/24")]
        assert str(own.attributes.as_path) == "64900", "a route of the server itself has passed its AS"

    run(scenario)


def test_a_client_that_wants_the_servers_as_in_front_gets_nothing() -> None:
    async def scenario(place: Town) -> None:
        place.make(1, asn=64900)
        for number in (2, 3):
            place.make(number, asn=64900 + number)
            connect(place, 1, number, 64900 + number, routes=CLIENT)
            connect(place, number, 1, 64900)
        place.speakers[2].announce("192.0.2.0/24")
        await start(place)
        three = place.speakers[3]
        await until(lambda: three.peers()["n1"].faults)
        assert place.seen(3) == set()

    run(scenario)


NOT_OF_2 = parse_policies("""
[policy.not-of-2]
default = "accept"
[[policy.not-of-2.clause]]
match.peer = "n2"
then = "reject"
""")["not-of-2"]
PREFIX = "192.0.2.0/24"


async def three_clients(place: Town, options: RouteOptions) -> Speaker:
    """1 is the server; 2 and 3 know a way, that of 2 is shorter; 4 may not hear 2."""
    server = place.make(1, asn=64900)
    for number in (2, 3, 4):
        place.make(number, asn=64900 + number)
        connect(place, 1, number, 64900 + number, routes=options)
        connect(place, number, 1, 64900, update_options=ANY_FIRST_AS)
    server.set_export_policy(NOT_OF_2, peer="n4")
    place.speakers[2].announce(PREFIX)
    place.speakers[3].announce(PREFIX, as_path=[65009])
    await start(place)
    await until(lambda: len(server.received("n2", IPV4_UNICAST)) == len(server.received("n3", IPV4_UNICAST)) == 1)
    await until(lambda: server.is_settled)
    return server


def way(place: Town, number: int) -> str | None:
    """The AS path by which a client reaches the prefix from the server."""
    path = place.speakers[number].received("n1", IPV4_UNICAST).get(key(PREFIX))
    return None if path is None else str(path.received.as_path)


def test_a_policy_hides_the_best_path_and_with_it_all_others() -> None:
    async def scenario(place: Town) -> None:
        await three_clients(place, CLIENT)
        await until(lambda: way(place, 3) == "64902")
        assert (way(place, 2), way(place, 4)) == (None, None)

    run(scenario)


def test_each_client_is_told_the_best_path_that_it_may_hear() -> None:
    """Also 2, whose own path is the best; what it may not hear does not move 4."""

    async def scenario(place: Town) -> None:
        server = await three_clients(place, OWN_BEST)
        two, three = place.speakers[2], place.speakers[3]
        await until(lambda: [way(place, number) for number in (2, 3, 4)] == ["64903 65009", "64902", "64903 65009"])
        assert [one.attributes.as_path.first for one in server.sent("n4", IPV4_UNICAST).values()] == [64903]
        heard = server.explain(PREFIX).exports
        told = [(one.peer, one.path_of, one.reason, one.attributes is not None) for one in heard]
        assert told == [
            ("n2", "n2", "learned from this peer", False),
            ("n2", "n3", "", True),
            ("n3", "n2", "", True),
            ("n4", "n2", "rejected by export policy", False),
            ("n4", "n3", "", True),
        ]
        stream = server.events(("out",))
        two.announce(PREFIX, communities=[5])
        three.withdraw(PREFIX)
        await until(lambda: [way(place, number) for number in (2, 3, 4)] == [None, "64902", None])
        three.announce(PREFIX, as_path=[65009])
        await until(lambda: [way(place, number) for number in (2, 3, 4)] == ["64903 65009", "64902", "64903 65009"])
        two.withdraw(PREFIX)
        await until(lambda: [way(place, number) for number in (2, 3, 4)] == ["64903 65009", None, "64903 65009"])
        two.announce(PREFIX)
        await until(lambda: way(place, 3) == "64902")
        stream.close()
        of_4 = [one.action async for one in stream if one.view == "out" and one.peer == "n4"]
        assert of_4 == ["withdraw", "announce"], "what becomes of the path of 2 is nothing to 4"
        server.set_export_policy(None, peer="n4")
        await until(lambda: way(place, 4) == "64902")

    run(scenario)


def test_a_best_path_of_its_own_is_for_clients() -> None:
    with pytest.raises(LocalError, match="per_client_best: expected beside route_server_client only"):
        RouteOptions(per_client_best=True)


def test_a_client_is_of_another_as() -> None:
    speaker = Speaker(SpeakerConfig(64900, "10.0.0.1"))
    with pytest.raises(LocalError, match="route_server_client: another AS than ours, 64900, expected"):
        speaker.peer("192.0.2.1", 64900, routes=CLIENT)
