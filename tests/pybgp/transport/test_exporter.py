"""What many peers are told leaves in several turns, and each is told all of it, in order, in its own session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from pybgp.rib.export import ExportProfile
from pybgp.rib.member import Member
from pybgp.rib.policy import ACCEPT_ALL
from pybgp.transport import exporter as exporter_module
from pybgp.transport.exporter import Exporter
from pybgp.wire.attributes import Attributes
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.messages import end_of_rib
from tests.pybgp.rib.rib_examples import LOCAL_AS, attributes, key, peer, rib_with

PROFILE = ExportProfile(IPV4_UNICAST, True, LOCAL_AS, bytes([10, 0, 0, 254]), ACCEPT_ALL)
END = end_of_rib(IPV4_UNICAST)
PREFIX = key("10.1.0.0/16")
MEMBERS = range(10, 16)


class Outlet:
    """Keeps what a session was sent."""

    can_write = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, octets: bytes) -> None:
        self.sent.append(octets)


class Yard:
    """An exporter with sessions, and what each was sent."""

    def __init__(self) -> None:
        self.rib = rib_with(peer(1, 65001))
        self.exporter = Exporter(self.rib, 0.0, holding=False)
        self.outlets: dict[int, Outlet] = {}

    def join(self, number: int, profile: ExportProfile = PROFILE) -> Outlet:
        self.outlets[number] = outlet = Outlet()
        self.exporter.join(Member(number, bytes([10, 0, 0, number])), outlet, profile, enhanced=False)
        return outlet

    def say(self, attrs: Attributes | None) -> None:
        self.exporter.publish(
            self.rib.apply(1, IPV4_UNICAST, () if attrs else [PREFIX], attrs, [PREFIX] if attrs else ())
        )

    def told(self) -> list[int]:
        return [number for number, outlet in self.outlets.items() if len(outlet.sent) > 1]

    async def settle(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
            if self.exporter.is_idle:
                return
        raise AssertionError("not idle")


def in_a_yard(
    story: Callable[[Yard, pytest.MonkeyPatch], Coroutine[None, None, None]],
) -> Callable[[pytest.MonkeyPatch], None]:
    """Tell a story in which all members have joined, and a turn has time for two of them."""

    async def told(monkeypatch: pytest.MonkeyPatch) -> None:
        home = Yard()
        for number in MEMBERS:
            home.join(number)
        await home.settle()
        assert [outlet.sent for outlet in home.outlets.values()] == [[END]] * len(MEMBERS)
        monkeypatch.setattr(exporter_module, "WRITE_COST", exporter_module.TURN_OCTETS // 2)
        await story(home, monkeypatch)
        home.exporter.close()

    return lambda monkeypatch: asyncio.run(told(monkeypatch))


@in_a_yard
async def test_many_members_are_told_in_several_turns(home: Yard, _: pytest.MonkeyPatch) -> None:
    home.say(attributes(65001))
    assert home.told() == [10, 11]
    assert not home.exporter.is_idle
    assert home.exporter.is_moving
    home.say(None)
    await home.settle()
    first = home.outlets[10].sent
    assert len(first) == 3
    assert all(outlet.sent == first for outlet in home.outlets.values())


def test_what_left_meanwhile_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        home = Yard()
        sent = home.join(10).sent
        await home.settle()
        windows: list[Callable[[], None]] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda _, over: windows.append(over) or loop.call_soon(int))
        home.say(attributes(65001))
        assert (len(sent), len(windows)) == (2, 1)
        home.say(None)
        assert len(sent) == 2
        home.exporter.flush()
        assert len(sent) == 3
        windows.pop()()
        assert windows == []
        home.say(attributes(65001))
        assert len(sent) == 4
        home.say(None)
        windows.pop()()
        assert (len(sent), len(windows)) == (5, 1)
        home.exporter.close()

    asyncio.run(story())


@in_a_yard
async def test_a_new_session_is_not_told_what_the_old_one_was_to_hear(home: Yard, _: pytest.MonkeyPatch) -> None:
    home.say(attributes(65001))
    home.exporter.leave(14)
    home.exporter.leave(15)
    home.rib.apply(1, IPV4_UNICAST, [PREFIX], None, ())
    again = home.join(15)
    home.exporter.publish(home.rib.apply(1, IPV4_UNICAST, (), attributes(65001, 65002), [PREFIX]))
    await home.settle()
    assert len(again.sent) == 2
    assert b"\0\0\xfd\xea" in again.sent[0]
    assert again.sent[-1] == END


@in_a_yard
async def test_who_moves_on_has_been_told_what_its_old_group_said(home: Yard, _: pytest.MonkeyPatch) -> None:
    home.say(attributes(65001))
    home.exporter.change_profile(15, replace(PROFILE, shutting_down=True))
    assert len(home.outlets[15].sent) == 2
    await home.settle()
    assert [len(home.outlets[number].sent) for number in MEMBERS] == [2, 2, 2, 2, 2, 3]
    assert home.outlets[15].sent[1] == home.outlets[10].sent[1]


@in_a_yard
async def test_no_group_waits_for_ever_behind_busy_ones(home: Yard, _: pytest.MonkeyPatch) -> None:
    for number in range(20, 26):
        home.join(number, replace(PROFILE, shutting_down=True))
    last = home.join(30, replace(PROFILE, send_limit=4000))
    await home.settle()
    for count in range(5):
        home.say(attributes(65001, 65100 + count))
        await asyncio.sleep(0)
    assert len(last.sent) > 1
    await home.settle()
    assert (65100 + 4).to_bytes(4, "big") in last.sent[-1]


@in_a_yard
async def test_what_waits_is_written_at_once_for_a_speaker_that_stops(home: Yard, _: pytest.MonkeyPatch) -> None:
    home.say(attributes(65001))
    home.exporter.flush()
    assert home.told() == list(MEMBERS)


@in_a_yard
async def test_who_catches_up_does_so_in_a_turn_that_has_time(home: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    home.say(attributes(65001))
    await home.settle()
    monkeypatch.setattr(exporter_module, "CATCH_UP_COST", exporter_module.TURN_OCTETS)
    outlets = [home.join(number) for number in (20, 21, 22)]
    await asyncio.sleep(0)
    assert [len(outlet.sent) for outlet in outlets] == [2, 0, 0]
    await home.settle()
    assert [len(outlet.sent) for outlet in outlets] == [2, 2, 2]
