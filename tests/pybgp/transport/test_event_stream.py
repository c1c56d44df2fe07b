"""Events of running speakers: numbered, by view, and with a gap for who is too slow; and the history of routes."""

from __future__ import annotations

import asyncio

import pytest

from pybgp import ACCEPT_ALL, IPV4_UNICAST, LocalError, Speaker
from pybgp.rib.policy import parse_policies
from pybgp.session.route_options import PrefixLimit, RouteOptions
from pybgp.transport.event_stream import EventStream, Happening
from pybgp.transport.peering import PeerPolicies
from pybgp.wire.nlri import format_prefix, parse_prefix

from .test_speaker import PATIENCE, Town, run, until

PREFIXES = [f"10.{number}.0.0/16" for number in range(4)]
POLICIES = parse_policies("""
[policy.half]
default = "accept"
[[policy.half.clause]]
match.prefix = ["10.0.0.0/16", "10.1.0.0/16"]
then = "reject"
""")


def short(happening: Happening) -> tuple[str, ...]:
    texts = sorted(format_prefix(IPV4_UNICAST, key) for key in happening.keys)
    return happening.view, happening.action, *texts


async def collected(stream: EventStream, last: tuple[str, ...]) -> list[Happening]:
    """Read until an event of routes that looks like this."""
    found: list[Happening] = []
    async with asyncio.timeout(PATIENCE):
        async for happening in stream:
            found.append(happening)
            if short(happening) == last:
                return found
    raise AssertionError(found)


def test_every_view_tells_its_own_story() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        two.set_policies(None, None, {"n1": PeerPolicies(POLICIES["half"], ACCEPT_ALL)})
        one.announce(PREFIXES[:3])
        stream = two.events(("pre", "post", "loc"))
        await place.full_mesh()
        await until(lambda: place.seen(2) == {PREFIXES[2]})
        one.announce(PREFIXES[2], communities=[7])
        one.announce(PREFIXES[3], communities=[7])
        await until(lambda: PREFIXES[3] in place.seen(2))
        one.withdraw(PREFIXES[:3])
        found = await collected(stream, ("post", "withdraw", PREFIXES[2]))
        assert [happening.sequence for happening in found] == list(range(1, len(found) + 1))
        routes = [short(happening) for happening in found if happening.kind == "route"]
        assert ("pre", "add", *PREFIXES[:3]) in routes
        assert ("post", "add", PREFIXES[2]) in routes
        assert ("loc", "add", PREFIXES[2]) in routes
        assert ("pre", "replace", PREFIXES[2]) in routes
        assert ("post", "replace", PREFIXES[2]) in routes
        assert ("loc", "replace", PREFIXES[2]) in routes
        assert ("loc", "add", PREFIXES[3]) in routes
        assert ("pre", "withdraw", *PREFIXES[:3]) in routes
        assert ("loc", "withdraw", PREFIXES[2]) in routes
        assert not any(PREFIXES[0] in route for route in routes if route[0] != "pre")
        states = [happening.detail["to"] for happening in found if happening.kind == "peer" and happening.detail]
        assert states[-1] == "Established"
        assert [happening.family for happening in found if happening.kind == "end-of-rib"] == [IPV4_UNICAST]
        causes = {happening.cause for happening in found if happening.view == "loc"}
        assert {(cause.kind, cause.peer) for cause in causes if cause} == {("update", "n1")}
        stream.close()
        two.announce("192.0.2.0/24")
        assert [short(happening) async for happening in stream if happening.view == "loc"] == []

    run(scenario)


def test_a_slow_reader_gets_a_gap_and_no_more() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        stream, patient = one.events(limit=5), one.events()
        one.announce(PREFIXES[:2])
        one.announce(PREFIXES[2:])
        one.announce("192.0.2.0/24")
        (gap,) = [happening async for happening in stream]
        assert (gap.kind, gap.sequence, gap.detail) == ("gap", 3, {"lost": 2, "first": 1})
        patient.close()
        assert [happening.action async for happening in patient] == ["add", "add", "add"]
        with pytest.raises(LocalError, match="view 'sent': one of pre, post, loc, out expected"):
            one.events(("sent",))

    run(scenario)


def out(happening: Happening) -> tuple[str, ...]:
    return happening.peer, *short(happening)[1:]


def test_what_each_peer_is_told() -> None:
    """The hub reflects to whom did not tell it; a policy withholds; a withdrawal goes to who heard the route."""

    async def scenario(place: Town) -> None:
        hub, teller, _ = place.make(1), place.make(2), place.make(3)
        hub.set_policies(None, None, {"n3": PeerPolicies(None, POLICIES["half"])})
        place.join(1, 2, 3, routes=RouteOptions(reflector_client=True))
        place.join(2, 1)
        place.join(3, 1)
        stream = hub.events(("out",))
        teller.announce(PREFIXES, communities=[7])
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: place.seen(3) == set(PREFIXES[2:]))
        hub.announce(PREFIXES[1], med=3)
        await until(lambda: place.seen(2) == set(PREFIXES))
        teller.withdraw(PREFIXES[2:])
        await until(lambda: not place.seen(3) and len(place.seen(2)) == 2)
        stream.close()
        told = [one async for one in stream if one.view == "out"]
        ends = {(one.peer, one.family) for one in told if one.kind == "end-of-rib"}
        assert ends == {("n2", IPV4_UNICAST), ("n3", IPV4_UNICAST)}
        routes = [one for one in told if one.kind == "route"]
        assert {out(one) for one in routes} == {
            ("n3", "announce", *PREFIXES[2:]),
            ("n2", "announce", PREFIXES[1]),
            ("n3", "withdraw", *PREFIXES[2:]),
        }
        assert [one.attributes is None for one in routes] == [one.action == "withdraw" for one in routes]
        attributes = next(one.attributes for one in routes if out(one)[:2] == ("n3", "announce"))
        assert attributes is not None
        assert (attributes.communities, attributes.next_hop) == ((7,), bytes([10, 0, 0, 2]))

    run(scenario)


def test_what_many_peers_are_told_at_once_counts_once() -> None:
    """The prefixes of an update group are in memory once, however many peers are told."""

    async def scenario(place: Town) -> None:
        hub, peers = place.make(1), (2, 3, 4)
        place.join(1, *peers)
        for number in peers:
            place.make(number)
            place.join(number, 1)
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: all(one.state == "Established" for one in hub.peers().values()) and hub.is_settled)
        stream, narrow = hub.events(("out",), limit=60), hub.events(("out",), limit=52)
        many = [f"10.1.{number}.0/24" for number in range(50)]
        hub.announce(many)
        await until(lambda: all(place.seen(number) == set(many) for number in peers))
        assert [one.kind async for one in narrow] == ["gap"]
        hub.withdraw(many[:3])
        await until(lambda: all(place.seen(number) == set(many[3:]) for number in peers))
        stream.close()
        assert [(out(one)[:2], len(one.keys)) async for one in stream] == [
            *((("n2", "announce"), 50), (("n3", "announce"), 50), (("n4", "announce"), 50)),
            *((("n2", "withdraw"), 3), (("n3", "withdraw"), 3), (("n4", "withdraw"), 3)),
        ]

    run(scenario)


def test_a_limit_is_told() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        stream = two.events(())
        place.join(1, 2)
        place.join(2, 1, routes=RouteOptions(receive_limit=PrefixLimit(3, discard=True)))
        one.announce(PREFIXES)
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: len(place.seen(2)) == 3)
        stream.close()
        limits = [(one.peer, one.detail) async for one in stream if one.kind == "limit"]
        assert limits == [
            ("n1", {"text": "4 prefixes, the limit is 3"}),
            ("n1", {"text": "more than 3 prefixes: the others are discarded"}),
        ]

    run(scenario)


async def history_of(speaker: Speaker, prefix: str) -> list[tuple[str, str, bool]]:
    assert speaker.history is not None
    found = [one for one in speaker.history.of_prefix(*parse_prefix(prefix)) if one is not None]
    return [(entry.cause.kind, entry.cause.peer, change.path is not None) for entry, change in found]


def test_the_history_names_who_changed_what() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2, history=1000)
        one.announce(PREFIXES[:2])
        await place.full_mesh()
        await until(lambda: place.seen(2) == set(PREFIXES[:2]))
        two.set_import_policy(POLICIES["half"])
        two.set_import_policy(ACCEPT_ALL)
        two.announce(PREFIXES[0])
        two.withdraw(PREFIXES[0])
        one.withdraw(PREFIXES[1])
        await until(lambda: place.seen(2) == {PREFIXES[0]})
        one.shut_down_peer("n2")
        await until(lambda: not place.seen(2))
        assert await history_of(two, PREFIXES[0]) == [
            ("update", "n1", True),
            ("import-policy", "n1", False),
            ("import-policy", "n1", True),
            ("local", "", True),
            ("local", "", True),
            ("session-down", "n1", False),
        ]
        assert (await history_of(two, PREFIXES[1]))[-1] == ("update", "n1", False)
        assert two.history is not None
        caused = [one for one in two.history.of_peer("n1", two.names()) if one is not None]
        assert [entry.cause.kind for entry, _ in caused].count("local") == 1, "its path came back"

    run(scenario)


def test_the_history_is_bounded() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1, history=10)
        for number in range(100):
            one.announce([f"10.{number}.{other}.0/24" for other in range(4)])
        assert one.history is not None
        assert len(one.history) == 8
        one.announce([f"10.0.{other}.0/24" for other in range(100, 150)])
        assert [len(change.keys) for entry in one.history.entries() for change in entry.changes] == [50]
        with pytest.raises(LocalError, match="history -1: 0 or more changes expected"):
            place.make(2, history=-1)

    run(scenario)
