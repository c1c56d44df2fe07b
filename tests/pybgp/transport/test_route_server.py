"""A route server between running speakers (RFC 7947)."""

from __future__ import annotations

import pytest

from pybgp import IPV4_UNICAST, LocalError, RouteOptions, Speaker, SpeakerConfig
from pybgp.wire.negotiated import UpdateOptions
from tests.pybgp.transport.test_peer_options import connect, start
from tests.pybgp.transport.test_speaker import Town, key, run, until

CLIENT = RouteOptions(route_server_client=True)
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


def test_a_client_is_of_another_as() -> None:
    speaker = Speaker(SpeakerConfig(64900, "10.0.0.1"))
    with pytest.raises(LocalError, match="route_server_client: another AS than ours, 64900, expected"):
        speaker.peer("192.0.2.1", 64900, routes=CLIENT)
