"""What an operator may tell a speaker about single peers, seen from both ends."""

from __future__ import annotations

from typing import Any

import pytest

from pybgp import IPV4_UNICAST, RouteOptions, Speaker
from pybgp.wire.iana import WellKnownCommunity
from pybgp.wire.nlri import parse_prefix
from tests.pybgp.transport.test_speaker import Town, run, until

PREFIX = "192.0.2.0/24"
LEAVING = WellKnownCommunity.GRACEFUL_SHUTDOWN


async def start(place: Town) -> None:
    for speaker in place.speakers.values():
        await speaker.start()


def path_at(speaker: Speaker) -> str:
    best = speaker.best(IPV4_UNICAST).get(parse_prefix(PREFIX)[1])
    return "" if best is None else str(best.attributes.as_path)


def connect(place: Town, one: int, two: int, remote: int, **options: Any) -> None:
    """Configure one side, with the AS that it believes the other to have."""
    speaker = place.speakers[one]
    settings: dict[str, Any] = {"local_address": f"127.0.1.{one}", "port": place.port, "connect_retry_time": 0.3}
    config = speaker.peer(f"127.0.1.{two}", remote, idle_hold_time=0.1, **settings, **options)
    known = {name: peering.config for name, peering in speaker._peerings.items()}
    speaker.configure({**known, f"n{two}": config})


@pytest.mark.parametrize(
    ("mode", "sent", "taken"),
    [
        ("replace", "64999", "65002 65003"),
        ("no-prepend", "64999 64512", "65002 65003"),
        ("prepend", "64999 64512", "64999 65002 65003"),
    ],
)
def test_another_as_for_one_peer(mode: Any, sent: str, taken: str) -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2, asn=65002)
        connect(place, 2, 1, 64999)
        config = one.peer("127.0.1.2", 65002, local_address="127.0.1.1", port=place.port)
        from_another_as = type(config)(
            config.address,
            65002,
            64999,
            config.router_id,
            local_address=config.local_address,
            port=config.port,
            routes=RouteOptions(local_as_mode=mode),
        )
        one.configure({"n2": from_another_as})
        one.announce(PREFIX)
        two.announce("198.51.100.0/24", as_path=[65003])
        await start(place)
        await until(lambda: path_at(two))
        await until(lambda: "198.51.100.0/24" in place.seen(1))
        assert path_at(two) == sent
        (path,) = (path for path in one.best(IPV4_UNICAST).values() if path.peer)
        assert str(path.attributes.as_path) == taken

    run(scenario)


def test_our_own_as_can_be_allowed_in_a_path() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2, asn=65002)
        connect(place, 1, 2, 65002, routes=RouteOptions(allow_own_as=1))
        connect(place, 2, 1, 64512)
        two.announce(PREFIX, as_path=[64512])
        await start(place)
        await until(lambda: path_at(one) == "65002 64512")

    run(scenario)


def test_sites_of_one_as_hear_of_each_other_by_override() -> None:
    async def scenario(place: Town) -> None:
        hub, left, right = place.make(1, asn=65100), place.make(2, asn=65002), place.make(3, asn=65002)
        for number in (2, 3):
            connect(place, 1, number, 65002, routes=RouteOptions(as_override=True))
            connect(place, number, 1, 65100)
        left.announce(PREFIX)
        await start(place)
        await until(lambda: path_at(hub) == "65002")
        await until(lambda: path_at(right) == "65100 65100")

    run(scenario)


def test_a_router_that_is_about_to_go_says_so_and_may_change_its_mind() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2, asn=65002)
        connect(place, 1, 2, 65002)
        connect(place, 2, 1, 64512)
        one.announce(PREFIX, communities=[5])
        await start(place)
        await until(lambda: path_at(two))

        def seen() -> tuple[Any, ...]:
            path = two.best(IPV4_UNICAST)[parse_prefix(PREFIX)[1]]
            return path.attributes.communities, path.attributes.local_pref

        assert seen() == ((5,), None)
        one.graceful_shutdown()
        await until(lambda: seen() == ((5, LEAVING), 0))
        one.graceful_shutdown("n2", active=False)
        await until(lambda: seen() == ((5,), None))

    run(scenario)


def test_a_peer_is_shut_down_with_a_reason_and_started_again() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        await place.full_mesh()
        one.shut_down_peer("n2", "moving to rack 7")
        assert one.peers()["n2"].protocol_state == "down"
        await until(lambda: two.peers()["n1"].last_error.endswith("Administrative shutdown: moving to rack 7"))
        one.start_peer("n2")
        await until(lambda: two.peers()["n1"].state == "Established")
        one.reset_peer("n2", "new filters")
        await until(lambda: "Administrative reset: new filters" in two.peers()["n1"].last_error)
        await until(lambda: two.peers()["n1"].established_count == 3)

    run(scenario)


def test_next_hops_can_be_tracked() -> None:
    """RFC 4271 section 9.1.2.1: a route whose next hop cannot be reached is not selected."""
    lost: set[bytes] = set()

    async def scenario(place: Town) -> None:
        one = place.make(1, next_hop_cost=lambda next_hop: None if next_hop in lost else 10)
        two = place.make(2)
        two.announce(PREFIX, next_hop="10.0.0.77")
        await place.full_mesh()
        await until(lambda: place.seen(1) == {PREFIX})
        lost.add(bytes([10, 0, 0, 77]))
        one.next_hops_changed(["10.0.0.77"])
        assert place.seen(1) == set()
        (path,) = one.received("n2", IPV4_UNICAST).values()
        assert path.rejection == "next hop unreachable"
        lost.clear()
        one.next_hops_changed(["10.0.0.77"])
        assert place.seen(1) == {PREFIX}

    run(scenario)
