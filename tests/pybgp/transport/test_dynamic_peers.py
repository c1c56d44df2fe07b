"""Neighbours that come unannounced from a prefix."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from pybgp import DynamicPeers, LocalError, Speaker
from pybgp.session.state_machine import State
from tests.pybgp.session.session_examples import ours
from tests.pybgp.transport.test_speaker import PATIENCE, Town, run, until
from tests.pybgp.transport.test_tcp_options import needs_md5

PREFIX = "127.0.1.0/28"


def group(hub: Speaker, *, prefix: str = PREFIX, limit: int = 100, linger: float = 10.0, **options: Any) -> Any:
    template = hub.peer("192.0.2.1", 64512, local_address="127.0.1.1", idle_hold_time=0.05, **options)
    return {"pods": DynamicPeers(prefix, template, limit=limit, linger=linger)}


def up(speaker: Speaker) -> set[str]:
    return {name for name, status in speaker.peers().items() if status.state == "Established"}


async def start(place: Town) -> None:
    for speaker in place.speakers.values():
        await speaker.start()


def test_whoever_comes_from_the_prefix_is_a_neighbour_and_is_forgotten_when_it_is_gone() -> None:
    async def scenario(place: Town) -> None:
        hub, two, three = (place.make(number) for number in (1, 2, 3))
        hub.configure_dynamic(group(hub, linger=0.05))
        place.join(2, 1)
        place.join(3, 1)
        two.announce("192.0.2.0/24")
        await start(place)
        await until(lambda: up(hub) == {"pods/127.0.1.2", "pods/127.0.1.3"})
        await until(lambda: place.seen(1) == {"192.0.2.0/24"})
        hub.configure({})
        assert len(hub.peers()) == 2
        await two.stop()
        await until(lambda: set(hub.peers()) == {"pods/127.0.1.3"})
        assert place.seen(1) == set()
        hub.configure_dynamic({})
        assert hub.peers() == {}
        await until(lambda: not up(three))

    run(scenario)


def test_beyond_the_limit_nobody_is_let_in() -> None:
    async def scenario(place: Town) -> None:
        hub, two, _ = (place.make(number) for number in (1, 2, 3))
        hub.configure_dynamic(group(hub, limit=1, linger=0.05))
        place.join(2, 1)
        await start(place)
        await until(lambda: up(hub) == {"pods/127.0.1.2"})
        place.join(3, 1)
        await until(lambda: place.speakers[3].peers()["n1"].last_error)
        assert set(hub.peers()) == {"pods/127.0.1.2"}
        await two.stop()
        await until(lambda: up(hub) == {"pods/127.0.1.3"})

    run(scenario)


def test_a_stranger_that_says_nothing_holds_its_place_for_a_short_time() -> None:
    async def scenario(place: Town) -> None:
        hub = place.make(1)
        hub.configure_dynamic(group(hub, linger=0.05, open_time=0.1))
        await start(place)
        with socket.create_connection(("127.0.1.1", place.port), source_address=("127.0.1.9", 0)) as silent:
            await until(lambda: set(hub.peers()) == {"pods/127.0.1.9"})
            await until(lambda: not hub.peers())
            silent.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(PATIENCE):
                received = b""
                while octets := await loop.sock_recv(silent, 4096):
                    received += octets
            assert received.endswith(bytes([0, 21, 3, 4, 0]))

    run(scenario)


def test_a_neighbour_that_is_named_later_is_no_longer_a_dynamic_one() -> None:
    async def scenario(place: Town) -> None:
        hub, _ = place.make(1), place.make(2)
        hub.configure_dynamic(group(hub))
        place.join(2, 1)
        await start(place)
        await until(lambda: up(hub) == {"pods/127.0.1.2"})
        place.join(1, 2)
        assert set(hub.peers()) == {"n2"}
        await until(lambda: up(hub) == {"n2"})

    run(scenario)


@needs_md5
def test_the_key_of_a_prefix_changes_while_its_sessions_live() -> None:
    async def scenario(place: Town) -> None:
        hub, two, three = (place.make(number) for number in (1, 2, 3))
        hub.configure_dynamic(group(hub, password="old"))
        place.join(2, 1, password="old")
        await start(place)
        await until(lambda: up(hub) == {"pods/127.0.1.2"})
        hub.configure_dynamic(group(hub, password="new"))
        place.join(2, 1, password="new")
        two.announce("192.0.2.0/24")
        await until(lambda: place.seen(1) == {"192.0.2.0/24"})
        assert hub.peers()["pods/127.0.1.2"].established_count == 1
        assert two.peers()["n1"].established_count == 1
        place.join(3, 1, password="new")
        await until(lambda: up(three))

    run(scenario)


def test_the_template_gives_a_passive_neighbour_with_little_time() -> None:
    made = DynamicPeers("fe80::%lo/64", ours()).config_of("fe80::1%lo")
    assert (made.address, made.passive, made.open_time) == ("fe80::1%lo", True, 30.0)


@pytest.mark.parametrize(
    ("prefix", "changes", "message"),
    [
        ("192.0.2.1/24", {}, "prefix '192.0.2.1/24': a network such as 192.0.2.0/24 expected"),
        ("192.0.2.1", {}, "prefix '192.0.2.1': a network such as 192.0.2.0/24 expected"),
        (PREFIX, {"limit": 0}, "limit 0: at least 1 expected"),
        (PREFIX, {"linger": -1.0}, "linger -1.0: 0 or more seconds expected"),
    ],
)
def test_wrong_settings_are_named(prefix: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError) as raised:
        DynamicPeers(prefix, ours(), **changes)
    assert str(raised.value) == message


def test_a_neighbour_that_rests_after_a_failure_is_not_forgotten() -> None:
    """Else each connection would begin with a clean slate, and an unstable neighbour would never be damped."""

    async def scenario(place: Town) -> None:
        hub = place.make(1)
        hub.configure_dynamic(
            {"pods": DynamicPeers(PREFIX, hub.peer("192.0.2.1", 64512, idle_hold_time=0.3), linger=0.02)}
        )
        await start(place)
        with socket.create_connection(("127.0.1.1", place.port), source_address=("127.0.1.9", 0)) as broken:
            broken.sendall(b"\0" * 19)
            await until(lambda: hub.peers() and hub.peers()["pods/127.0.1.9"].last_error)
        peer = next(iter(hub._peerings.values())).peer
        assert peer.neighbor.state is State.IDLE
        await asyncio.sleep(0.1)
        assert set(hub.peers()) == {"pods/127.0.1.9"}
        await until(lambda: not hub.peers())

    run(scenario)
