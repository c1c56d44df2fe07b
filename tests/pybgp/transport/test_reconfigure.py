"""Configurations of peers replaced while sessions are up: what only decides what they are sent costs no session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybgp import IPV4_UNICAST, Condition, PrefixLimit, RouteOptions, Speaker
from pybgp.session.tcp_ao import TcpAoKey
from pybgp.transport.dynamic_peers import DynamicPeers
from pybgp.wire.iana import AddPathMode
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


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ({"password": "old"}, {"password": "new"}, True),
        ({"password": "old"}, {}, True),
        ({"password": "old"}, {"password": "new", "hold_time": 30}, False),
        ({"tcp_ao": (TcpAoKey("key", 1, 1),)}, {"tcp_ao": (TcpAoKey("another", 1, 1),)}, False),
        ({}, {"description": "a word", "routes": RouteOptions(next_hop="self", send_limit=9)}, True),
        ({}, {"routes": RouteOptions(allow_own_as=1)}, False),
        ({}, {"routes": RouteOptions(receive_limit=PrefixLimit(9))}, False),
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
