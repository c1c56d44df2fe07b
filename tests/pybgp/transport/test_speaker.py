"""Speakers on loopback addresses: sessions, routes, policies, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from pybgp import (
    ACCEPT_ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    Change,
    GracefulRestartConfig,
    LocalError,
    LongLivedConfig,
    RouteOptions,
    Speaker,
    SpeakerConfig,
)
from pybgp.rib.path import Path
from pybgp.session.events import Event, SessionDown
from pybgp.transport.peer import Peer
from pybgp.wire.attributes import Attributes
from pybgp.wire.communities import format_community
from pybgp.wire.families import Family
from pybgp.wire.iana import AddPathMode
from pybgp.wire.nlri import parse_prefix

PATIENCE = 10.0
RESTART = GracefulRestartConfig(restart_time=60)
OPEN_POLICY = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}


def free_port() -> int:
    """Return a port below the ephemeral ones, which any connection may take between this look and our listening."""
    for port in Random().sample(range(20000, 32000), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no free port")


def key(text: str) -> bytes:
    return parse_prefix(text)[1]


class Town:
    """Speakers at 127.0.1.1, 127.0.1.2, ... that all use one port; number 1 is in AS 64501 if it is external."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.speakers: dict[int, Speaker] = {}
        self.events: dict[int, list[Change]] = {}

    def make(self, number: int, *, asn: int = 64512, **options: Any) -> Speaker:
        # A loopback address is no next hop, so each speaker names another one.
        address = f"10.0.0.{number}"
        listen = ((f"127.0.1.{number}", self.port),)
        defaults = {"next_hops": (address,), **OPEN_POLICY}
        config = SpeakerConfig(asn, address, listen=listen, **{**defaults, **options})
        speaker = self.speakers[number] = Speaker(config)
        self.events[number] = []
        speaker.on_change(self.events[number].extend)
        return speaker

    def join(self, number: int, *others: int, **options: Any) -> None:
        speaker = self.speakers[number]
        peers = {}
        for other in others:
            asn = self.speakers[other].config.local_as if other in self.speakers else 64512
            settings = {"graceful_restart": RESTART, "connect_retry_time": 0.3, "idle_hold_time": 0.1, **options}
            peers[f"n{other}"] = speaker.peer(
                f"127.0.1.{other}", asn, local_address=f"127.0.1.{number}", port=self.port, **settings
            )
        speaker.configure(peers)

    async def full_mesh(self, **options: Any) -> None:
        for number in self.speakers:
            self.join(number, *(other for other in self.speakers if other != number), **options)
        for speaker in self.speakers.values():
            await speaker.start()
        for speaker in self.speakers.values():
            await until(lambda speaker=speaker: all(s.state == "Established" for s in speaker.peers().values()))

    def seen(self, number: int) -> set[str]:
        return set(texts(self.speakers[number]))


def texts(speaker: Speaker) -> list[str]:
    return [Change(IPV4_UNICAST, path, (one,)).prefixes[0] for one, path in speaker.best(IPV4_UNICAST).items()]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (conditions are of many kinds)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    place = Town(free_port())
    try:
        yield place
    finally:
        for speaker in place.speakers.values():
            await speaker.stop()


def run(scenario: Callable[[Town], Awaitable[None]]) -> None:
    async def main() -> None:
        async with town() as place:
            await scenario(place)

    asyncio.run(main())


def test_a_prefix_travels_and_is_withdrawn() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        one.announce("192.0.2.0/24", communities=[5])
        await place.full_mesh()
        await until(lambda: two.best(IPV4_UNICAST))
        (path,) = two.best(IPV4_UNICAST).values()
        assert path.next_hop == bytes([10, 0, 0, 1])
        assert path.attributes.communities == (5,)
        assert set(one.sent("n2", IPV4_UNICAST)) == {key("192.0.2.0/24")}
        one.withdraw("192.0.2.0/24")
        await until(lambda: not two.best(IPV4_UNICAST))

    run(scenario)


def test_changes_and_watch_iterate() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        changes = two.changes()
        await place.full_mesh()
        one.announce(["192.0.2.0/24", "198.51.100.0/24"])
        async with asyncio.timeout(PATIENCE):
            change = await anext(changes)
            assert change.prefixes[0] == "192.0.2.0/24"
            await until(lambda: len(two.best(IPV4_UNICAST)) == 2)
            watched = two.watch("198.51.0.0/16")
            assert (await anext(watched)).prefixes == ("198.51.100.0/24",)
            one.withdraw("198.51.100.0/24")
            assert (await anext(watched)).path is None

    run(scenario)


def test_external_peers_need_a_policy() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1, asn=64501, import_policy=None, export_policy=None)
        two = place.make(2)
        two.announce("192.0.2.0/24")
        one.announce("198.51.100.0/24")
        await place.full_mesh()
        await until(lambda: one.received("n2", IPV4_UNICAST))
        assert {path.rejection for path in one.received("n2", IPV4_UNICAST).values()} == {"no import policy (RFC 8212)"}
        assert not two.received("n1", IPV4_UNICAST)
        one.set_import_policy(ACCEPT_ALL)
        assert "192.0.2.0/24" in place.seen(1)
        one.set_export_policy(ACCEPT_ALL, peer="n2")
        await until(lambda: "198.51.100.0/24" in place.seen(2))
        assert str(two.best(IPV4_UNICAST)[key("198.51.100.0/24")].attributes.as_path) == "64501"

    run(scenario)


def test_what_is_learned_within_the_as_stays_with_who_learned_it() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        place.make(3)
        for number, others in ((1, (2,)), (2, (1, 3)), (3, (2,))):
            place.join(number, *others)
            await place.speakers[number].start()
        one.announce("192.0.2.0/24")
        two.announce("198.51.100.0/24")
        await until(lambda: place.seen(3) and place.seen(2) == {"192.0.2.0/24", "198.51.100.0/24"})
        assert place.seen(3) == {"198.51.100.0/24"}

    run(scenario)


class Inside:
    """Lets prefixes inside one block through."""

    looks_at_prefixes = True

    def __init__(self, *allowed: str) -> None:
        self.allowed = {key(text) for text in allowed}

    def apply(
        self, path: Path, family: Family, keys: Sequence[bytes], *, internal: bool
    ) -> Iterable[tuple[Attributes, Sequence[bytes]]]:
        yield path.attributes, [one for one in keys if one in self.allowed]


def test_a_new_export_policy_sends_the_differences() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        place.make(2)
        one.announce(["192.0.2.0/24", "198.51.100.0/24"])
        await place.full_mesh()
        await until(lambda: len(place.seen(2)) == 2)
        place.events[2].clear()
        one.set_export_policy(Inside("192.0.2.0/24"))
        await until(lambda: len(place.seen(2)) == 1)
        assert [(change.path, change.prefixes) for change in place.events[2]] == [(None, ("198.51.100.0/24",))]

    run(scenario)


def test_add_path_both_ways() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        two = place.make(2)
        one.announce("192.0.2.0/24")
        await place.full_mesh(add_path=((IPV4_UNICAST, AddPathMode.BOTH),))
        await until(lambda: place.seen(2))
        assert list(two.received("n1", IPV4_UNICAST)) == [b"\0\0\0\1" + key("192.0.2.0/24")]
        one.withdraw("192.0.2.0/24")
        await until(lambda: not place.seen(2))

    run(scenario)


def test_a_lost_peer_takes_its_routes_along_without_graceful_restart() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        place.make(2)
        one.announce("192.0.2.0/24")
        await place.full_mesh(graceful_restart=None)
        await until(lambda: place.seen(2))
        await one.stop()
        await until(lambda: not place.seen(2))

    run(scenario)


def test_an_administrative_stop_takes_the_routes_along_even_with_graceful_restart() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        one.announce("192.0.2.0/24")
        await place.full_mesh()
        await until(lambda: place.seen(2))
        await one.stop(communication="maintenance")
        await until(lambda: not place.seen(2))
        assert "shutdown" in two.peers()["n1"].last_error

    run(scenario)


def restarted(place: Town, number: int, **options: Any) -> Speaker:
    return place.make(number, restarting=True, preserved_families=(IPV4_UNICAST,), **options)


def test_a_graceful_restart_is_felt_by_nobody() -> None:
    """Three in a mesh; one goes and comes back; the others see no change of routes at all."""

    async def scenario(place: Town) -> None:
        for number in (1, 2, 3):
            place.make(number).announce([f"10.{number}.0.0/26", f"10.{number}.0.64/26"])
        await place.full_mesh()
        for number in (1, 2, 3):
            await until(lambda number=number: len(place.seen(number)) == 6)
        await place.speakers[1].stop(graceful=True)
        place.events[2].clear()
        place.events[3].clear()
        await until(lambda: place.speakers[2].peers()["n1"].state != "Established")
        again = restarted(place, 1)
        again.announce(["10.1.0.0/26", "10.1.0.64/26"])
        place.join(1, 2, 3)
        await again.start()
        assert not again.restart_complete.is_set()
        async with asyncio.timeout(PATIENCE):
            await again.restart_complete.wait()
        await until(lambda: len(place.seen(1)) == 6)
        await until(lambda: not place.speakers[2]._work.rib.stale_count(1, IPV4_UNICAST))
        await until(lambda: not place.speakers[3]._work.rib.stale_count(1, IPV4_UNICAST))
        assert place.events[2] == place.events[3] == []

    run(scenario)


def test_a_neighbour_that_calls_again_at_once_is_refused_by_a_speaker_that_stops() -> None:
    """Taken in by the kernel and then cut off, OpenBGPD begins its next connection with two OPENs, which ends it."""

    async def scenario(place: Town) -> None:
        one, answers = place.make(1), []

        def call(_name: str, _peer: Peer, event: Event) -> None:
            if isinstance(event, SessionDown):
                with socket.socket() as caller:
                    answers.append(caller.connect_ex(("127.0.1.1", place.port)))

        place.make(2)
        await place.full_mesh()
        one.on_event(call)
        await one.stop(graceful=True)
        assert answers == [errno.ECONNREFUSED]

    run(scenario)


def test_a_prefix_that_did_not_come_back_is_withdrawn_at_end_of_rib() -> None:
    async def scenario(place: Town) -> None:
        place.make(1).announce(["10.1.0.0/26", "10.1.0.64/26"])
        place.make(2)
        await place.full_mesh()
        await until(lambda: len(place.seen(2)) == 2)
        await place.speakers[1].stop(graceful=True)
        again = restarted(place, 1)
        again.announce("10.1.0.64/26")
        place.join(1, 2)
        assert len(place.seen(2)) == 2
        await again.start()
        await until(lambda: place.seen(2) == {"10.1.0.64/26"})

    run(scenario)


def test_new_routes_need_not_wait_for_an_absent_peer() -> None:
    """One configured peer never answers: routes and announcements flow at once, the end of the restart comes later."""

    async def scenario(place: Town) -> None:
        place.make(2).announce("10.2.0.0/26")
        place.join(2, 1)
        await place.speakers[2].start()
        again = restarted(place, 1, absent_peer_time=0.5)
        again.announce("10.1.0.0/26")
        place.join(1, 2, 9)
        await again.start()
        await until(lambda: place.seen(1) == {"10.1.0.0/26", "10.2.0.0/26"})
        await until(lambda: "10.1.0.0/26" in place.seen(2))
        assert not again.restart_complete.is_set()
        async with asyncio.timeout(PATIENCE):
            await again.restart_complete.wait()

    run(scenario)


def test_two_restarting_speakers_do_not_wait_for_each_other() -> None:
    async def scenario(place: Town) -> None:
        for number in (1, 2):
            restarted(place, number).announce(f"10.{number}.0.0/26")
        await place.full_mesh()
        for number in (1, 2):
            async with asyncio.timeout(5):
                await place.speakers[number].restart_complete.wait()
            await until(lambda number=number: len(place.seen(number)) == 2)

    run(scenario)


def test_a_learned_route_is_held_back_until_the_restart_is_over() -> None:
    """A restarting speaker may not tell an external peer its first guess (RFC 4724 section 4.1)."""

    async def scenario(place: Town) -> None:
        place.make(1).announce("10.1.0.0/26")
        outside = place.make(3, asn=64503)
        restarted(place, 2, absent_peer_time=1.0).announce("10.2.0.0/26")
        place.join(1, 2)
        place.join(3, 2)
        place.join(2, 1, 3, 9)
        for speaker in place.speakers.values():
            await speaker.start()
        await until(lambda: "10.2.0.0/26" in texts(outside) and len(place.seen(2)) == 2)
        assert not place.speakers[2].restart_complete.is_set()
        assert "10.1.0.0/26" not in texts(outside)
        await until(lambda: "10.1.0.0/26" in texts(outside))

    run(scenario)


def test_the_restart_time_ends_the_patience() -> None:
    async def scenario(place: Town) -> None:
        place.make(1).announce("10.1.0.0/26")
        place.make(2)
        await place.full_mesh(graceful_restart=GracefulRestartConfig(restart_time=1))
        await until(lambda: place.seen(2))
        await place.speakers[1].stop(graceful=True)
        await until(lambda: place.speakers[2].peers()["n1"].state != "Established")
        assert place.seen(2)
        await until(lambda: not place.seen(2))

    run(scenario)


@pytest.mark.parametrize("restart_time", [0, 1])
def test_routes_of_a_peer_that_is_long_gone_are_a_last_resort_for_those_who_know(restart_time: int) -> None:
    """3 knows long-lived graceful restart, 4 does not and is told nothing, 5 is told in other words."""
    restart = GracefulRestartConfig(restart_time=restart_time)
    long_lived = {"graceful_restart": restart, "long_lived": LongLivedConfig(stale_time=2)}

    async def scenario(place: Town) -> None:
        place.make(1, asn=64501).announce(["10.1.0.0/26", "10.1.0.64/26"])
        place.speakers[1].announce("10.1.0.128/26", communities=["no-llgr"])
        two = place.make(2)
        for number in (3, 4, 5):
            place.make(number)
            place.join(number, 2, **(long_lived if number == 3 else {}))
        place.join(1, 2, **long_lived)
        place.join(2, 1, 3, 4, 5, **long_lived)
        known = {name: peering.config for name, peering in two._peerings.items()}
        two.configure({**known, "n5": replace(known["n5"], routes=RouteOptions(send_stale=True))})
        for speaker in place.speakers.values():
            await speaker.start()
        for number in (3, 4, 5):
            await until(lambda number=number: len(place.seen(number)) == 3)
        await place.speakers[1].stop(graceful=True)
        kept = {"10.1.0.0/26", "10.1.0.64/26"}
        await until(lambda: not place.seen(4))
        for number, told in ((2, ("llgr-stale",)), (3, ("llgr-stale",)), (5, ("llgr-stale", "no-export"))):
            await until(lambda number=number: place.seen(number) == kept)
            (path,) = set(place.speakers[number].best(IPV4_UNICAST).values())
            assert tuple(map(format_community, path.attributes.communities)) == told
        (path,) = set(place.speakers[5].best(IPV4_UNICAST).values())
        assert path.attributes.local_pref == 0
        reasons = {export.peer: export.reason for export in two.explain("10.1.0.0/26").exports}
        assert (reasons["n3"], reasons["n5"]) == ("", "")
        assert reasons["n4"] == "long-lived stale, which the peer does not know of (RFC 9494)"
        for number in (2, 3, 5):
            await until(lambda number=number: not place.seen(number))

    run(scenario)


def test_a_peer_that_returns_in_its_long_lived_time_takes_its_routes_back() -> None:
    long_lived = {
        "graceful_restart": GracefulRestartConfig(restart_time=0),
        "long_lived": LongLivedConfig(stale_time=60),
    }

    async def scenario(place: Town) -> None:
        place.make(1).announce(["10.1.0.0/26", "10.1.0.64/26"])
        two = place.make(2)
        await place.full_mesh(**long_lived)
        await until(lambda: len(place.seen(2)) == 2)
        await place.speakers[1].stop(graceful=True)
        await until(lambda: all(path.attributes.communities for path in two.best(IPV4_UNICAST).values()))
        again = restarted(place, 1)
        again.announce("10.1.0.64/26")
        place.join(1, 2, **long_lived)
        assert len(place.seen(2)) == 2
        await again.start()
        await until(lambda: place.seen(2) == {"10.1.0.64/26"})
        assert [path.attributes.communities for path in two.best(IPV4_UNICAST).values()] == [()]

    run(scenario)


def test_a_peer_that_lost_its_forwarding_state_loses_its_routes() -> None:
    """F=0 in the new OPEN: what was kept is deleted at once (RFC 4724 section 4.2)."""

    async def scenario(place: Town) -> None:
        place.make(1).announce("10.1.0.0/26")
        place.make(2)
        await place.full_mesh()
        await until(lambda: place.seen(2))
        await place.speakers[1].stop(graceful=True)
        place.make(1)
        place.join(1, 2)
        assert place.seen(2)
        await place.speakers[1].start()
        await until(lambda: not place.seen(2))

    run(scenario)


def test_a_refresh_is_answered_between_marks_and_changes_nothing() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        one.announce(["192.0.2.0/24", "198.51.100.0/24"])
        await place.full_mesh()
        await until(lambda: len(place.seen(2)) == 2)
        place.events[2].clear()
        status = two.peers()["n1"]
        assert status.received is not None
        before = status.received["ROUTE_REFRESH"]
        for _ in range(5):
            two.refresh_peer("n1")
        await until(lambda: (two.peers()["n1"].received or {})["ROUTE_REFRESH"] >= before + 4)
        await until(lambda: not two._work.rib.stale_count(1, IPV4_UNICAST))
        assert (two.peers()["n1"].received or {})["ROUTE_REFRESH"] <= before + 4
        assert place.events[2] == []
        assert len(place.seen(2)) == 2

    run(scenario)


def test_a_refresh_that_cannot_be_asked_for_is_refused() -> None:
    async def scenario(place: Town) -> None:
        one, two = place.make(1), place.make(2)
        place.join(1, 2)
        place.join(2, 1, route_refresh=False)
        with pytest.raises(LocalError, match=r"^peer 'n2': no session$"):
            one.refresh_peer("n2")
        await one.start()
        await two.start()
        await until(lambda: one.peers()["n2"].state == "Established")
        with pytest.raises(LocalError, match=r"^peer 'n2': route refresh was not negotiated$"):
            one.refresh_peer("n2")
        place.join(2, 1)
        await until(lambda: two.peers()["n1"].state == one.peers()["n2"].state == "Established")
        with pytest.raises(LocalError, match=r"^peer 'n1': ipv6-unicast is no family of the session$"):
            two.refresh_peer("n1", [IPV6_UNICAST])

    run(scenario)


def test_a_peer_that_stops_reading_holds_up_nobody_and_gets_the_latest_state() -> None:
    async def scenario(place: Town) -> None:
        one, slow = place.make(1), place.make(2)
        place.make(3)
        await place.full_mesh(hold_time=0)
        reading, writing = transport_of(slow, "n1"), transport_of(one, "n2")
        reading.pause_reading()
        reading.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        writing.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        writing.set_write_buffer_limits(high=4096, low=1024)
        prefixes = [f"10.{high}.{low}.0/24" for high in range(10) for low in range(200)]
        for turn in range(12):
            one.announce(prefixes, communities=range(turn, turn + 300))
            await until(lambda turn=turn: is_told(place, 3, turn, len(prefixes)))
        waiting = one._work.exporter._exits[1, IPV4_UNICAST]
        assert waiting.member.paused
        assert len(waiting.member.behind) <= len(prefixes)
        one.withdraw(prefixes[0])
        reading.resume_reading()
        await until(lambda: is_told(place, 2, 11, len(prefixes) - 1))

    run(scenario)


def transport_of(speaker: Speaker, peer: str) -> asyncio.Transport:
    (connection,) = speaker._peerings[peer].peer._connections.values()
    assert connection._transport is not None
    return connection._transport


def is_told(place: Town, number: int, turn: int, count: int) -> bool:
    best = place.speakers[number].best(IPV4_UNICAST)
    return len(best) == count and all(path.attributes.communities[0] == turn for path in set(best.values()))


def test_configure_touches_only_what_changed() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        place.make(2)
        place.make(3)
        await place.full_mesh()
        peers = {name: peering.config for name, peering in one._peerings.items()}
        one.configure({"n2": peers["n2"], "n3": replace(peers["n3"], hold_time=60)})
        assert one.peers()["n2"].state == "Established"
        assert one.peers()["n3"].state != "Established"
        await until(lambda: one.peers()["n3"].state == "Established")
        one.configure({"n2": peers["n2"]})
        await until(lambda: place.speakers[3].peers()["n1"].state != "Established")
        assert set(one.peers()) == {"n2"}
        assert one.peers()["n2"].established_count == 1

    run(scenario)


def test_peer_callbacks_hear_of_states() -> None:
    async def scenario(place: Town) -> None:
        heard: list[tuple[str, str]] = []
        place.make(1).on_peer(lambda name, status: heard.append((name, status.state)))
        place.make(2)
        await place.full_mesh()
        assert ("n2", "Established") in heard

    run(scenario)


def test_a_failing_callback_disturbs_nobody() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)

        def fail(_: Sequence[Change]) -> None:
            raise ZeroDivisionError

        one.on_change(fail)
        one.announce("192.0.2.0/24")
        place.make(2)
        await place.full_mesh()
        await until(lambda: place.seen(2))

    run(scenario)


def test_a_callback_may_change_the_routes_that_it_hears_of() -> None:
    async def scenario(place: Town) -> None:
        one = place.make(1)
        place.make(2)
        await place.full_mesh()
        one.announce("192.0.2.0/24")
        await until(lambda: place.seen(2) == {"192.0.2.0/24"})

        def meddle(changes: Sequence[Change]) -> None:
            if changes[0].prefixes == ("198.51.100.0/24",) and changes[0].path is not None:
                one.announce("203.0.113.0/24")
                one.withdraw("192.0.2.0/24")

        one.on_change(meddle)
        one.announce("198.51.100.0/24")
        await until(lambda: place.seen(2) == {"198.51.100.0/24", "203.0.113.0/24"})
        one.withdraw("198.51.100.0/24")
        await until(lambda: place.seen(2) == {"203.0.113.0/24"})

    run(scenario)


def test_what_costs_a_peer_s_routes_is_logged_once_per_session() -> None:
    async def scenario(place: Town) -> None:
        for number in (1, 2):
            place.make(number, next_hops=())
        await place.full_mesh()
        place.speakers[1].announce(["192.0.2.0/24", "198.51.100.0/24"], med=1)
        place.speakers[1].announce("203.0.113.0/24", med=2)
        status = place.speakers[2].peers
        await until(lambda: sum((status()["n1"].faults or {}).values()) >= 2)

    with capture_logs() as logs:
        run(scenario)
    faulty = [entry for entry in logs if entry["event"] == "update_faulty"]
    assert [(entry["peer"], entry["treatment"]) for entry in faulty] == [("127.0.1.1", "withdraw")]
    assert "127.0.1.1" in faulty[0]["reason"]


def test_announcements_that_nobody_could_use_are_refused() -> None:
    speaker = Speaker(SpeakerConfig(64512, "10.0.0.1"))
    with pytest.raises(LocalError, match=r"next_hop '192\.0\.2\.1': an IPv6 address"):
        speaker.announce("2001:db8::/32", next_hop="192.0.2.1")
    with pytest.raises(LocalError, match="origin 7"):
        speaker.announce("192.0.2.0/24", origin=7)  # type: ignore[arg-type]  # a caller without a type checker
    with pytest.raises(LocalError, match=r"^as_path 0: 1 to 4294967295 expected \(RFC 7607\)$"):
        speaker.announce("192.0.2.0/24", as_path=[64999, 0])
    with pytest.raises(LocalError, match="port 65536"):
        SpeakerConfig(64512, "10.0.0.1", listen=(("127.0.0.1", 65536),))


def test_bad_values_are_named() -> None:
    with pytest.raises(LocalError, match="local_as 0"):
        SpeakerConfig(0, "10.0.0.1")
    with pytest.raises(LocalError, match="router_id 'x'"):
        SpeakerConfig(1, "x")
    with pytest.raises(LocalError, match=r"router_id '0\.0\.0\.0'"):
        SpeakerConfig(1, "0.0.0.0")
    with pytest.raises(LocalError, match="absent_peer_time -1"):
        SpeakerConfig(1, "10.0.0.1", absent_peer_time=-1)
    with pytest.raises(LocalError, match="maximum_paths 0"):
        SpeakerConfig(1, "10.0.0.1", maximum_paths=0)
    with pytest.raises(LocalError, match="address 'y'"):
        SpeakerConfig(1, "10.0.0.1", local_addresses=("y",))
    speaker = Speaker(SpeakerConfig(64512, "10.0.0.1"))
    with pytest.raises(LocalError, match="prefix 'nonsense'"):
        speaker.announce("nonsense")
    peer = speaker.peer("127.0.0.9", 64512)
    with pytest.raises(LocalError, match=r"127\.0\.0\.9 is configured twice"):
        speaker.configure({"a": peer, "b": peer})
    with pytest.raises(LocalError, match="peer 'z': not configured"):
        speaker.received("z", IPV4_UNICAST)


def test_a_taken_port_is_one_clear_error() -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            speaker = Speaker(SpeakerConfig(64512, "10.0.0.1", listen=(("127.0.0.1", port),)))
            with pytest.raises(LocalError, match=f"cannot listen on 127.0.0.1 port {port}"):
                await speaker.start()

    asyncio.run(scenario())
