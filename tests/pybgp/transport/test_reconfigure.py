"""Configurations of peers replaced while sessions are up: what only decides what they are sent costs no session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, IPV6_UNICAST, Condition, PrefixLimit, RouteOptions, Speaker, SpeakerConfig
from pybgp.rib.path import POLICY_REJECTED
from pybgp.rib.policy import REJECT_ALL
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.testing import FakePeer, MemoryNetwork, run_in_virtual_time
from pybgp.transport.dynamic_peers import DynamicPeers
from pybgp.wire.attributes.measures import Aigp
from pybgp.wire.iana import AddPathMode, AttributeCode, WellKnownCommunity
from pybgp.wire.negotiated import UpdateOptions
from pybgp.wire.nlri import format_prefix
from tests.pybgp.session.session_examples import ours

from .test_speaker import Town, run, until

PREFIX, OTHER, DEFAULT = "198.51.100.0/24", "203.0.113.0/24", "0.0.0.0/0"
EXTERNAL = {"remote_as": 64999}
PER_CLIENT = {**EXTERNAL, "routes": RouteOptions(route_server_client=True, per_client_best=True)}
BOTH_WAYS = {"add_path": ((IPV4_UNICAST, AddPathMode.BOTH),)}


def paths(speaker: Speaker) -> dict[str, str]:
    best = speaker.best(IPV4_UNICAST)
    return {format_prefix(IPV4_UNICAST, key): str(path.attributes.as_path) for key, path in best.items()}


def test_what_a_peer_is_sent_follows_the_configuration_within_its_session() -> None:
    async def scenario(place: Town) -> None:
        one, _ = place.make(1, asn=64501), place.make(2, asn=64502)
        one.announce(PREFIX, as_path=[64777, 64502, 3356])
        one.announce(OTHER)
        with_others, plain = "64501 64777 64502 3356", {OTHER: "64501"}
        place.join(1, 2)
        place.join(2, 1, routes=RouteOptions(allow_own_as=9))
        await one.start()
        await place.speakers[2].start()
        await until(lambda: paths(place.speakers[2]) == {PREFIX: with_others, **plain})
        unmet = Condition((PREFIX,), "present", ("192.0.2.0/24",))
        steps: list[tuple[dict[str, Any], dict[str, str]]] = [
            ({"as_override": True}, {PREFIX: "64501 64777 64501 3356", **plain}),
            ({"private_as": "remove"}, {PREFIX: "64501 64502 3356", **plain}),
            ({"conditions": (unmet,)}, plain),
            ({"conditions": (replace(unmet, when="absent"),)}, {PREFIX: with_others, **plain}),
            ({"default_originate": True}, {PREFIX: with_others, DEFAULT: "64501", **plain}),
            ({}, {PREFIX: with_others, **plain}),
        ]
        for options, expected in steps:
            place.join(1, 2, routes=RouteOptions(**options), description=str(options))
            await until(lambda expected=expected: paths(place.speakers[2]) == expected)  # type: ignore[misc]
        place.join(1, 2, routes=RouteOptions(send_limit=1))
        await until(lambda: len(paths(place.speakers[2])) == 1)
        place.join(1, 2)
        await until(lambda: len(paths(place.speakers[2])) == 2)
        one.announce("192.0.2.0/24")
        await until(lambda: len(paths(place.speakers[2])) == 3)
        assert place.speakers[2].peers()["n1"].established_count == one.peers()["n2"].established_count == 1
        assert one.peers()["n2"].description == ""

    run(scenario)


def test_conditions_that_came_later_follow_the_tables() -> None:
    async def scenario(place: Town) -> None:
        one, _ = place.make(1), place.make(2)
        one.announce(PREFIX)
        await place.full_mesh()
        place.join(1, 2, routes=RouteOptions(conditions=(Condition((PREFIX,), "present", (OTHER,)),)))
        await until(lambda: not place.seen(2))
        one.announce(OTHER)
        await until(lambda: place.seen(2) == {PREFIX, OTHER})
        one.withdraw(OTHER)
        await until(lambda: not place.seen(2))
        place.join(1, 2)
        await until(lambda: place.seen(2) == {PREFIX})
        one.announce(OTHER)
        await until(lambda: place.seen(2) == {PREFIX, OTHER})

    run(scenario)


def established(place: Town) -> set[int]:
    """How often sessions came up, of all peers of all speakers."""
    return {status.established_count for speaker in place.speakers.values() for status in speaker.peers().values()}


async def behind_a_route_server(place: Town, **options: Any) -> Speaker:
    """Speaker 1 hears of speaker 3 through speaker 2, which is not on the paths."""
    one, three = place.make(1, asn=64501), place.make(3, asn=64503)
    place.make(2, asn=64502)
    three.announce(PREFIX, as_path=[64501])
    three.announce(OTHER, communities=[WellKnownCommunity.GRACEFUL_SHUTDOWN])
    place.join(1, 2, **options)
    place.join(2, 1, 3, routes=RouteOptions(route_server_client=True, graceful_shutdown=False))
    place.join(3, 2)
    for speaker in place.speakers.values():
        await speaker.start()
    await until(lambda: len(place.speakers[2].sent("n1", IPV4_UNICAST)) == 2)
    return one


def test_which_routes_are_taken_follows_the_configuration_too() -> None:
    """What is kept rejected is judged again; what was not even kept is asked for."""

    async def scenario(place: Town) -> None:
        one = await behind_a_route_server(place)

        def found() -> dict[str, int | None]:
            best = one.best(IPV4_UNICAST)
            return {format_prefix(IPV4_UNICAST, key): path.attributes.local_pref for key, path in best.items()}

        loose = {"update_options": UpdateOptions(check_first_as=False)}
        steps: list[tuple[dict[str, Any], dict[str, int | None]]] = [
            (loose, {OTHER: 0}),
            ({**loose, "routes": RouteOptions(allow_own_as=1)}, {PREFIX: None, OTHER: 0}),
            ({**loose, "routes": RouteOptions(graceful_shutdown=False)}, {OTHER: None}),
            ({}, {}),
        ]
        await until(lambda: one.peers()["n2"].faults)
        for settings, expected in steps:
            place.join(1, 2, **settings)
            await until(lambda expected=expected: found() == expected)  # type: ignore[misc]
        assert established(place) == {1}

    run(scenario)


def test_a_peer_becomes_a_client_of_a_reflector_and_ceases_to_be_one() -> None:
    async def scenario(place: Town) -> None:
        hub, left, _ = place.make(1), place.make(2), place.make(3)
        left.announce(PREFIX)
        place.join(1, 2, 3)
        place.join(2, 1)
        place.join(3, 1)
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: place.seen(1) == {PREFIX} and established(place) == {1})
        plain = {name: peering.config for name, peering in hub._peerings.items()}
        for client in ("n2", "n3", ""):
            routes = RouteOptions(reflector_client=True)
            hub.configure({name: replace(one, routes=routes) if name == client else one for name, one in plain.items()})
            await until(lambda client=client: place.seen(3) == ({PREFIX} if client else set()))  # type: ignore[misc]
        assert established(place) == {1}

    run(scenario)


def test_distances_are_told_and_taken_once_the_configuration_says_so() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1, asn=64501), place.make(2, asn=64502)
        aigp = RouteOptions(aigp=True)
        two.announce_nlri(IPV4_UNICAST, PREFIX, attributes={AttributeCode.AIGP: Aigp.of(7)})
        place.join(1, 2)
        place.join(2, 1, routes=aigp)
        await one.start()
        await two.start()

        def codes() -> set[int]:
            return {code for path in one.best(IPV4_UNICAST).values() for code in path.attributes.codes()}

        await until(lambda: codes() and AttributeCode.AIGP not in codes())
        place.join(1, 2, routes=aigp)
        await until(lambda: AttributeCode.AIGP in codes())
        place.join(1, 2)
        await until(lambda: AttributeCode.AIGP not in codes())
        place.join(1, 2, routes=aigp)
        await until(lambda: AttributeCode.AIGP in codes())
        place.join(2, 1)
        await until(lambda: AttributeCode.AIGP not in codes())
        assert established(place) == {1}

    run(scenario)


def test_what_was_decided_on_a_peer_holds_in_the_session_that_its_configuration_begins() -> None:
    """Its own policies, the mark of a router that is about to go, and that it was shut down."""

    async def scenario() -> None:
        network = MemoryNetwork()
        speaker = Speaker(SpeakerConfig(64512, "10.0.0.1", import_policy=ACCEPT_ALL), make_peer=network.make_peer)
        speaker.announce("192.0.2.0/24")
        async with FakePeer(64513, remote_as=64512, network=network) as peer, speaker:
            times = iter((90, 60, 30, 15))

            def configure() -> None:
                speaker.configure({"peer": speaker.peer(peer.address, 64513, hold_time=next(times))})

            configure()
            speaker.set_import_policy(REJECT_ALL, peer="peer")
            speaker.set_export_policy(ACCEPT_ALL, peer="peer")
            speaker.graceful_shutdown("peer")
            await peer.established()
            configure()
            await peer.wait_connections(2)
            told = await peer.wait_announced("192.0.2.0/24")
            assert told.communities == (WellKnownCommunity.GRACEFUL_SHUTDOWN,)
            peer.announce("198.51.100.0/24")
            await until(lambda: speaker.received("peer", IPV4_UNICAST))
            assert [path.rejection for path in speaker.received("peer", IPV4_UNICAST).values()] == [POLICY_REJECTED]

            speaker.shut_down_peer("peer")
            await peer.wait_closed()
            configure()
            assert speaker.peers()["peer"].state == "Idle", "one that is started connects at once"
            speaker.start_peer("peer")
            assert speaker.peers()["peer"].state != "Idle"
            await peer.wait_announced("192.0.2.0/24")

    run_in_virtual_time(scenario())


def test_a_peer_that_cannot_be_asked_again_gets_a_new_session() -> None:
    async def scenario(place: Town) -> None:
        one = await behind_a_route_server(place, route_refresh=False)
        await until(lambda: one.peers()["n2"].faults)
        place.join(1, 2, route_refresh=False, update_options=UpdateOptions(check_first_as=False))
        await until(lambda: place.seen(1) == {OTHER})
        assert one.peers()["n2"].established_count == 2

    run(scenario)


def test_another_prefix_limit_counts_at_once() -> None:
    prefixes = [f"10.{number}.0.0/16" for number in range(6)]

    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        two.announce(prefixes)
        place.join(1, 2)
        place.join(2, 1)
        await one.start()
        await two.start()
        await until(lambda: len(place.seen(1)) == 6)

        def limit(maximum: int, **more: Any) -> None:
            place.join(1, 2, routes=RouteOptions(receive_limit=PrefixLimit(maximum, **more)))

        limit(4, discard=True)
        two.announce("192.0.2.0/24")
        await until(lambda: "192.0.2.0/24" in place.seen(2) and one._peerings["n2"].guard is not None)
        guard = one._peerings["n2"].guard
        assert guard is not None
        assert guard.over == {IPV4_UNICAST}, "what is there stays, and nothing more is taken"
        limit(7, discard=True)
        await until(lambda: len(place.seen(1)) == 7)
        limit(5, discard=True)
        two.announce("198.18.0.0/15")
        await until(lambda: one.peers()["n2"].received["UPDATE"] > 2 and len(place.seen(1)) == 7)
        place.join(1, 2)
        await until(lambda: len(place.seen(1)) == 8)
        assert one.peers()["n2"].established_count == 1
        limit(3)
        await until(lambda: one.peers()["n2"].protocol_state == "down")
        assert one.peers()["n2"].info == "Idle Error: more than 3 prefixes of ipv4-unicast"
        limit(8)
        await until(lambda: len(place.seen(1)) == 8)
        limit(7)
        await until(lambda: one.peers()["n2"].protocol_state == "down")
        place.join(1, 2)
        await until(lambda: len(place.seen(1)) == 8)
        limit(7)
        await until(lambda: one.peers()["n2"].protocol_state == "down")
        one.shut_down_peer("n2")
        place.join(1, 2)
        assert one.peers()["n2"].protocol_state == "down", "who was shut down stays down"

    run(scenario)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ({"password": "old"}, {"password": "new"}, True),
        ({"password": "old"}, {}, True),
        ({"password": "old"}, {"password": "new", "hold_time": 30}, False),
        ({"tcp_ao": (TcpAoKey("key", 1, 1),)}, {"tcp_ao": (TcpAoKey("another", 1, 1),)}, False),
        ({}, {"description": "a word", "routes": RouteOptions(next_hop="self", send_limit=9)}, True),
        ({}, {"routes": RouteOptions(allow_own_as=1, aigp=True, graceful_shutdown=False)}, True),
        ({}, {"routes": RouteOptions(receive_limit=PrefixLimit(9), validate_flow_rules=True)}, True),
        ({"remote_as": 65001}, {"remote_as": 65001, "routes": RouteOptions(reflector_client=True)}, True),
        ({}, {"update_options": UpdateOptions(check_first_as=False)}, True),
        ({}, {"families": (IPV4_UNICAST, IPV6_UNICAST)}, False),
        ({}, {"routes": RouteOptions(default_originate=True)}, True),
        (BOTH_WAYS, {**BOTH_WAYS, "routes": RouteOptions(default_originate=True)}, True),
        (PER_CLIENT, {**EXTERNAL, "routes": RouteOptions(route_server_client=True)}, True),
        (PER_CLIENT, EXTERNAL, True),
        (BOTH_WAYS, {**BOTH_WAYS, "routes": RouteOptions(add_path_send="all")}, False),
        (BOTH_WAYS, {**BOTH_WAYS, "routes": RouteOptions(private_as="remove")}, True),
    ],
)
def test_what_needs_no_new_session(old: dict[str, Any], new: dict[str, Any], kept: bool) -> None:
    assert ours(**old).keeps_session(ours(**new)) is kept
    groups = [DynamicPeers("10.0.0.0/8", ours(**options)) for options in (old, new)]
    assert groups[0].keeps_sessions(groups[1]) is kept
    assert not groups[0].keeps_sessions(replace(groups[1], limit=1))
